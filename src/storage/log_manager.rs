//! All log directories of a broker, and all logs until partitions claim them.
//!
//! A log is owned by its partition once it was handed out; the manager remembers only where it lives. What
//! needs to see all logs (checkpoints, the end of the broker) is given their states. Source: Kafka 2.8.2,
//! `core/src/main/scala/kafka/log/LogManager.scala`.

use super::error::{CreateError, StorageError};
use super::file;
use super::filename;
use super::loader;
use super::log::{Log, LogState};
use super::log_config::LogConfig;
use super::log_dir::LogDir;
use super::loggers;
use super::meta_properties;
use super::partition_dir::{Deletion, PartitionDir, Shared, lock};
use crate::common::{BrokerId, Offset, TopicPartition, clock};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Which of the two logs that a partition can have on a broker (KIP-113).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Role {
    Current,
    Future,
}

/// Where logs live, and those that nobody claimed.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    pub(crate) unclaimed: HashMap<(TopicPartition, Role), Log>,
    /// Number of the directory.
    pub(crate) places: HashMap<(TopicPartition, Role), usize>,
    preferred: HashMap<TopicPartition, usize>,
    /// By the time at which they are due.
    deletions: BTreeMap<i64, Vec<Deletion>>,
}

/// See the module.
#[derive(Debug)]
pub struct LogManager {
    pub(crate) dirs: Vec<LogDir>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) registry: Mutex<Registry>,
    pub(crate) threads_per_dir: usize,
}

impl LogManager {
    /// The log of a partition that was loaded (or given back); the caller owns it from now on.
    pub fn claim(&self, name: &TopicPartition) -> Option<Log> {
        lock(&self.registry).unclaimed.remove(&(name.clone(), Role::Current))
    }

    /// The future log of a partition, as [`LogManager::claim`].
    pub fn claim_future(&self, name: &TopicPartition) -> Option<Log> {
        lock(&self.registry).unclaimed.remove(&(name.clone(), Role::Future))
    }

    /// Takes a log back whose partition is not served any more but whose data stay.
    pub fn give_back(&self, log: Log) {
        let role = if log.is_future() { Role::Future } else { Role::Current };
        lock(&self.registry).unclaimed.insert((log.topic_partition().clone(), role), log);
    }

    /// Partitions whose logs nobody claimed.
    pub fn unclaimed_partitions(&self) -> Vec<TopicPartition> {
        let registry = lock(&self.registry);
        registry
            .unclaimed
            .keys()
            .filter(|(_, role)| *role == Role::Current)
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The directory in which the current log of a partition lives.
    pub fn directory_of(&self, name: &TopicPartition) -> Option<Arc<Path>> {
        let at = *lock(&self.registry).places.get(&(name.clone(), Role::Current))?;
        Some(self.dirs[at].path.clone())
    }

    /// All entries of `log.dirs`, and whether each is online.
    pub fn directories(&self) -> Vec<(Arc<Path>, bool)> {
        self.dirs.iter().map(|dir| (dir.path.clone(), dir.is_online())).collect()
    }

    /// Number of directories that work.
    pub fn online_directories(&self) -> usize {
        self.dirs.iter().filter(|dir| dir.is_online()).count()
    }

    /// Takes a directory offline: it is not written any more, its unclaimed logs are gone. True if it was
    /// online. The caller takes its claimed logs from their partitions.
    pub fn fail_directory(&self, directory: &Path) -> bool {
        let Some(at) = self.dirs.iter().position(|dir| *dir.path == *directory) else { return false };
        let was_online = self.dirs[at].take_offline();
        let dir = directory.display();
        if was_online {
            log::warn!(target: loggers::LOG_MANAGER, "Stopping serving logs in dir {dir}");
        }
        let context = "The log directory is offline";
        let offline = self.dirs[at].fail(context, io::Error::other(context));
        let mut registry = lock(&self.registry);
        let Registry { unclaimed, places, .. } = &mut *registry;
        unclaimed.retain(|key, log| {
            let stays = places.get(key) != Some(&at);
            if !stays {
                log.mark_offline(offline.clone());
            }
            stays
        });
        let mut lost = [Vec::new(), Vec::new()];
        places.retain(|(name, role), place| {
            if *place == at {
                lost[usize::from(*role == Role::Future)].push(name.to_string());
            }
            *place != at
        });
        drop(registry);
        if was_online {
            lost.iter_mut().for_each(|names| names.sort());
            log::warn!(
                target: loggers::LOG_MANAGER,
                "Logs for partitions {} are offline and logs for future partitions {} are offline due to failure \
                 on log directory {dir}",
                lost[0].join(","),
                lost[1].join(",")
            );
        }
        was_online
    }

    /// The partition's log: the one that is there, or a new one. Without `is_new` none is created while a
    /// directory is offline, because it may be there.
    pub fn get_or_create(
        &self,
        name: &TopicPartition,
        config: &Arc<LogConfig>,
        is_new: bool,
    ) -> Result<Log, CreateError> {
        if let Some(mut log) = self.claim(name) {
            log.update_config(config.clone()).map_err(CreateError::Storage)?;
            return Ok(log);
        }
        let offline: Vec<_> = self.dirs.iter().filter(|dir| !dir.is_online()).collect();
        if !is_new && !offline.is_empty() {
            let names: Vec<_> = offline.iter().map(|dir| dir.path.display().to_string()).collect();
            return Err(CreateError::Offline(format!(
                "Can not create log for {name} because log directories {} are offline",
                names.join(",")
            )));
        }
        let preferred = lock(&self.registry).preferred.remove(name);
        let candidates = match preferred {
            Some(at) => vec![at],
            None => self.least_loaded(),
        };
        self.create_in_first(name, Role::Current, config, &candidates)
    }

    /// Wants the next log of this partition to be created in this directory (AlterReplicaLogDirs).
    pub fn prefer_directory(&self, name: &TopicPartition, directory: &Path) -> Result<(), CreateError> {
        let at = self.number_of(directory)?;
        lock(&self.registry).preferred.insert(name.clone(), at);
        Ok(())
    }

    /// True if the name of a future log's directory is not too long.
    pub fn can_have_future(&self, name: &TopicPartition) -> bool {
        filename::future_dir_of(name).len() <= filename::NAME_BYTES_MAX
    }

    /// Creates the future log of a partition in another directory.
    pub fn create_future(
        &self,
        name: &TopicPartition,
        config: &Arc<LogConfig>,
        directory: &Path,
    ) -> Result<Log, CreateError> {
        let at = self.number_of(directory)?;
        self.create_in_first(name, Role::Future, config, &[at])
    }

    fn number_of(&self, directory: &Path) -> Result<usize, CreateError> {
        let at = self.dirs.iter().position(|dir| *dir.path == *directory);
        at.ok_or_else(|| CreateError::UnknownDir(directory.to_path_buf()))
    }

    /// Directories that are online, those with the fewest logs first.
    fn least_loaded(&self) -> Vec<usize> {
        let mut counts = vec![0usize; self.dirs.len()];
        lock(&self.registry).places.values().for_each(|at| counts[*at] += 1);
        let mut order: Vec<usize> = (0..self.dirs.len()).filter(|at| self.dirs[*at].is_online()).collect();
        order.sort_by_key(|at| counts[*at]);
        order
    }

    fn create_in_first(
        &self,
        name: &TopicPartition,
        role: Role,
        config: &Arc<LogConfig>,
        candidates: &[usize],
    ) -> Result<Log, CreateError> {
        let mut failure = None;
        for &at in candidates {
            if !self.dirs[at].is_online() {
                failure.get_or_insert(CreateError::Offline(format!(
                    "Can not create log {name} because log directory {} is offline",
                    self.dirs[at].path.display()
                )));
                continue;
            }
            match self.create_in(name, role, config, at) {
                Ok(log) => {
                    lock(&self.registry).places.insert((name.clone(), role), at);
                    return Ok(log);
                }
                Err(error) => {
                    let doing = format!(
                        "Error while creating log for {name} in dir {}",
                        self.dirs[at].path.display()
                    );
                    failure = Some(CreateError::Storage(self.dirs[at].fail(doing, error)));
                    break;
                }
            }
        }
        Err(failure.unwrap_or_else(|| CreateError::Offline("No log directories available.".into())))
    }

    fn create_in(
        &self,
        name: &TopicPartition,
        role: Role,
        config: &Arc<LogConfig>,
        at: usize,
    ) -> io::Result<Log> {
        let dir_name = match role {
            Role::Current => filename::dir_of(name),
            Role::Future => filename::future_dir_of(name),
        };
        let dir = PartitionDir::new(name.clone(), self.dirs[at].root(), &dir_name, self.shared.clone());
        if !file::create_dir(&dir.path())? {
            log::warn!(
                target: loggers::LOG_MANAGER,
                "The directory {} exists already",
                dir.path().display()
            );
        }
        let log = loader::create(&dir, config, role == Role::Future, clock::now_ms())?;
        log::info!(
            target: loggers::LOG_MANAGER,
            "Created log for partition {name} in {} with properties {}",
            dir.path().display(),
            config.overridden
        );
        Ok(log)
    }

    /// Deletes a log: its directory is renamed at once and removed after `file.delete.delay.ms`. On an error
    /// the directory goes offline.
    pub fn delete(&self, mut log: Log) -> Result<(), StorageError> {
        let name = log.topic_partition().clone();
        let role = if log.is_future() { Role::Future } else { Role::Current };
        lock(&self.registry).places.remove(&(name.clone(), role));
        if role == Role::Current {
            self.forget_cleaned(&name, log.log_dir())?;
        }
        self.mark_for_deletion(&mut log)
    }

    fn mark_for_deletion(&self, log: &mut Log) -> Result<(), StorageError> {
        log.check_not_failed()?;
        let dir = log.dir.clone();
        let to = filename::deleted_dir_of(&dir.topic_partition);
        dir.rename(&to).map_err(|error| dir.fail("renaming dir", error))?;
        log.end_close();
        lock(&self.shared.deletions).push(Deletion {
            path: dir.path().to_path_buf(),
            log_dir: dir.log_dir.clone(),
            delay_ms: log.config().file_delete_delay_ms,
            is_dir: true,
        });
        log::info!(
            target: loggers::LOG_MANAGER,
            "Log for partition {} is renamed to {} and is scheduled for deletion",
            dir.topic_partition,
            dir.path().display()
        );
        Ok(())
    }

    /// Deletes what nobody claimed of a partition: its log and its future log.
    pub fn delete_unclaimed(&self, name: &TopicPartition) -> Result<(), StorageError> {
        [self.claim(name), self.claim_future(name)].into_iter().flatten().try_for_each(|log| self.delete(log))
    }

    /// Puts a future log, which caught up, into the place of the current one; that is deleted. The future log
    /// stays with the caller and is the current one from now on, even if the other could not be deleted; an error before
    /// that leaves it a future log.
    pub fn promote_future(&self, current: &mut Log, future: &mut Log) -> Result<(), StorageError> {
        let name = future.topic_partition().clone();
        let renamed = future.dir.rename(&filename::dir_of(&name));
        renamed.map_err(|error| future.dir.fail("renaming dir", error))?;
        future.is_future = false;
        future.unsynced.log_dir = true;
        // A flush of the other log that is still under way says nothing of this one.
        future.truncations = current.truncations.wrapping_add(1);
        // Last, before the other one loses its name: after a power failure there must be one with this name.
        let synced = file::sync_path(&future.dir.log_dir);
        synced.map_err(|error| future.dir.fail("syncing dir", error))?;
        {
            let mut registry = lock(&self.registry);
            if let Some(at) = registry.places.remove(&(name.clone(), Role::Future)) {
                registry.places.insert((name.clone(), Role::Current), at);
            }
        }
        self.move_cleaned(&name, current.log_dir(), future)?;
        self.mark_for_deletion(current)
    }

    /// Removes files and directories whose deletion is due at `now_ms`, off any lock. An error concerns the
    /// directory it names; the rest is removed all the same.
    pub fn run_deletions(&self, now_ms: i64) -> Result<(), StorageError> {
        let waiting = std::mem::take(&mut *lock(&self.shared.deletions));
        let mut result = self.sync_renames(&waiting);
        let due: Vec<Deletion> = {
            let mut registry = lock(&self.registry);
            for deletion in waiting {
                let due_ms = now_ms.saturating_add(deletion.delay_ms.max(0));
                registry.deletions.entry(due_ms).or_default().push(deletion);
            }
            let later = registry.deletions.split_off(&now_ms.saturating_add(1));
            std::mem::replace(&mut registry.deletions, later).into_values().flatten().collect()
        };
        for Deletion { path, log_dir, is_dir, .. } in due {
            let Some(dir) = self.dirs.iter().find(|dir| dir.path == log_dir && dir.is_online()) else {
                continue;
            };
            let removed =
                if is_dir { file::remove_dir_all(&path) } else { file::remove_if_exists(&path).map(drop) };
            match removed {
                Ok(()) => log_removal(&path, is_dir),
                Err(error) => {
                    let context = format!("Error while deleting {}", path.display());
                    result = Err(dir.fail(context, error));
                }
            }
        }
        result
    }

    /// Makes the new names of deleted partitions last, so that none comes back after a power failure.
    fn sync_renames(&self, deletions: &[Deletion]) -> Result<(), StorageError> {
        self.for_each_dir(|dir| {
            if !deletions.iter().any(|deletion| deletion.is_dir && deletion.log_dir == dir.path) {
                return Ok(());
            }
            let context = || format!("Error while syncing {}", dir.path.display());
            file::sync_path(&dir.path).map_err(|error| dir.fail(context(), error))
        })
    }

    /// States of the given logs, of those that nobody claimed, by directory.
    fn states_by_dir(&self, claimed: &[LogState]) -> HashMap<Arc<Path>, Vec<LogState>> {
        let mut by_dir: HashMap<Arc<Path>, Vec<LogState>> =
            self.dirs.iter().map(|dir| (dir.path.clone(), Vec::new())).collect();
        let unclaimed: Vec<LogState> = lock(&self.registry).unclaimed.values().map(Log::state).collect();
        for state in claimed.iter().cloned().chain(unclaimed) {
            by_dir.entry(state.log_dir.clone()).or_default().push(state);
        }
        by_dir
    }

    fn write_checkpoints(
        &self,
        name: &'static str,
        claimed: &[LogState],
        offset: impl Fn(&LogState) -> Option<Offset>,
    ) -> Result<(), StorageError> {
        let by_dir = self.states_by_dir(claimed);
        self.for_each_dir(|dir| {
            let states = by_dir.get(&dir.path).map_or(&[][..], Vec::as_slice);
            let entries = states.iter().filter_map(|s| Some((&s.topic_partition, offset(s)?))).collect();
            dir.write_checkpoint(name, entries)
        })
    }

    /// Calls `work` for each directory that is online; gives the last error.
    fn for_each_dir(
        &self,
        mut work: impl FnMut(&LogDir) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let mut result = Ok(());
        for dir in self.dirs.iter().filter(|dir| dir.is_online()) {
            if let Err(error) = work(dir) {
                result = Err(error);
            }
        }
        result
    }

    /// Writes the recovery points of all logs; `claimed` are the states of those that partitions own. Only
    /// directories whose points changed are written. What was cut off is not taken for compacted any more.
    pub fn write_recovery_points(&self, claimed: &[LogState]) -> Result<(), StorageError> {
        self.note_truncations(claimed)?;
        self.write_checkpoints(filename::RECOVERY_POINTS, claimed, |state| Some(state.recovery_point))
    }

    /// Writes the log starts that are above the first segment of their log.
    pub fn write_log_starts(&self, claimed: &[LogState]) -> Result<(), StorageError> {
        self.write_checkpoints(filename::LOG_START_OFFSETS, claimed, |state| state.log_start_offset)
    }

    /// Writes high watermarks, by directory. Directories that are not named keep their file.
    pub fn write_high_watermarks(
        &self,
        high_watermarks: HashMap<Arc<Path>, Vec<(TopicPartition, Offset)>>,
    ) -> Result<(), StorageError> {
        self.for_each_dir(|dir| match high_watermarks.get(&dir.path) {
            Some(entries) => {
                let entries = entries.iter().map(|(name, offset)| (name, *offset)).collect();
                dir.write_checkpoint(filename::HIGH_WATERMARKS, entries)
            }
            None => Ok(()),
        })
    }

    /// The high watermarks that were checkpointed; beside them the errors of unreadable files, whose directories
    /// are to be taken offline: after the start, as Kafka does.
    pub fn read_high_watermarks(&self) -> (HashMap<TopicPartition, Offset>, Vec<StorageError>) {
        let (mut found, mut errors) = (HashMap::new(), Vec::new());
        for dir in self.dirs.iter().filter(|dir| dir.is_online()) {
            match dir.read_checkpoint(filename::HIGH_WATERMARKS) {
                Ok(entries) => found.extend(entries),
                Err(error) => errors.push(error),
            }
        }
        (found, errors)
    }

    /// Writes `meta.properties` to every directory that is online, where it does not say the same already.
    pub fn write_meta_properties(&self, cluster_id: &str, broker_id: BrokerId) -> Result<(), StorageError> {
        self.for_each_dir(|dir| {
            meta_properties::write(&dir.path, cluster_id, broker_id, clock::now_ms())
                .map_err(|error| dir.fail("Failed to write meta.properties", error))
        })
    }

    /// The directories as they were configured.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.dirs.iter().map(|dir| dir.path.to_path_buf()).collect()
    }
}

fn log_removal(path: &Path, is_dir: bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if is_dir {
        let partition = name.split_once('.').map_or(&*name, |(partition, _)| partition);
        log::info!(
            target: loggers::LOG_MANAGER,
            "Deleted log for partition {partition} in {}.",
            path.display()
        );
        return;
    }
    let kind = match name.split('.').nth(1) {
        Some("log") => "log",
        Some("index") => "offset index",
        Some("timeindex") => "time index",
        Some("txnindex") => "transaction index",
        _ => "producer snapshot",
    };
    log::info!(target: loggers::LOG_SEGMENT, "Deleted {kind} {}.", path.display());
}
