//! Beginning and end of the log manager: directories are locked and loaded, in parallel; logs are closed,
//! checkpointed, and their directories marked clean.

use super::error::{StartError, StorageError};
use super::file;
use super::filename::{self, DirKind};
use super::loader::{self, LoadOptions};
use super::log::Log;
use super::log_config::LogConfig;
use super::log_dir::{LogDir, OpenError};
use super::log_manager::{LogManager, Registry, Role};
use super::loggers;
use super::partition_dir::{Deletion, PartitionDir, Shared, lock};
use crate::common::{Offset, TRACE_MARK, TopicPartition, clock};
use std::collections::{HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Logs of one directory from which on their files are synced all at once at the end.
const SYNC_EVERYTHING_FROM: usize = 64;

/// How a broker keeps its logs.
#[derive(Clone, Debug)]
pub struct LogManagerOptions {
    /// `log.dirs`.
    pub log_dirs: Vec<PathBuf>,
    /// Directories that failed before (their `meta.properties` could not be read): they begin offline.
    pub failed_dirs: Vec<PathBuf>,
    /// `num.recovery.threads.per.data.dir`.
    pub recovery_threads_per_data_dir: usize,
    /// `transactional.id.expiration.ms`: producers that were idle for so long are forgotten.
    pub producer_expiration_ms: i64,
    /// True from inter-broker protocol 2.8 on: `partition.metadata` files are kept.
    pub keep_partition_metadata: bool,
}

/// Gives the settings of a topic, for loading.
pub type ConfigOf<'a> = dyn Fn(&str) -> Arc<LogConfig> + Sync + 'a;

/// One directory to load.
struct Job {
    at: usize,
    name: TopicPartition,
    dir_name: String,
    is_future: bool,
    clean: bool,
    recovery_point: Offset,
    log_start_offset: Offset,
}

impl LogManager {
    /// Locks all directories and loads all logs; recovers those of directories without the marker of a clean
    /// stop. Directories that fail are offline afterwards; with none left the broker cannot start.
    pub fn open(options: &LogManagerOptions, config_of: &ConfigOf<'_>) -> Result<LogManager, StartError> {
        let (dirs, mut errors) = open_dirs(options)?;
        let open_max = (file::descriptors_max() / 4).clamp(64, 8192) as usize;
        let manager = LogManager {
            dirs,
            shared: Shared::new(open_max, options.producer_expiration_ms, options.keep_partition_metadata),
            registry: Mutex::new(Registry::default()),
            threads_per_dir: options.recovery_threads_per_data_dir.max(1),
        };
        let live: Vec<_> = manager.dirs.iter().filter(|dir| dir.is_online()).collect();
        let live: Vec<_> = live.iter().map(|dir| dir.path.display().to_string()).collect();
        log::info!(
            target: loggers::LOG_MANAGER,
            "Loading logs from log dirs ArraySeq({})",
            live.join(", ")
        );
        let mut jobs = Vec::new();
        let mut clean_everywhere = true;
        for at in 0..manager.dirs.len() {
            if !manager.dirs[at].is_online() {
                continue;
            }
            match manager.plan_dir(at) {
                Ok((planned, clean)) => {
                    jobs.extend(planned);
                    clean_everywhere &= clean;
                }
                Err(PlanError::Fatal(error)) => return Err(error),
                Err(PlanError::Offline(error)) => manager.fail_at_start(at, error, &mut errors),
            }
        }
        manager.load(jobs, clean_everywhere, config_of, &mut errors)?;
        if manager.online_directories() == 0 {
            return Err(no_directory_left(options));
        }
        Ok(manager)
    }

    fn fail_at_start(&self, at: usize, error: StorageError, errors: &mut Vec<StorageError>) {
        log::error!(target: loggers::LOG_DIR_FAILURES, "{}", error.log_text());
        log::error!(
            target: loggers::LOG_MANAGER,
            "There was an error in one of the threads during logs loading: \
             org.apache.kafka.common.errors.KafkaStorageException: {}",
            error.context
        );
        self.fail_directory(&self.dirs[at].path.clone());
        errors.push(error);
    }

    /// What is to be loaded in one directory, and whether it was left clean.
    fn plan_dir(&self, at: usize) -> Result<(Vec<Job>, bool), PlanError> {
        let dir = &self.dirs[at];
        let io_error = |error| {
            let context = format!("Error while loading log dir {}", dir.path.display());
            PlanError::Offline(StorageError::new(&dir.path, context, error))
        };
        let recovery_points = dir.read_checkpoint(filename::RECOVERY_POINTS).map_err(PlanError::Offline)?;
        let log_starts = dir.read_checkpoint(filename::LOG_START_OFFSETS).map_err(PlanError::Offline)?;
        let mut jobs = Vec::new();
        for entry in file::list(&dir.path).map_err(io_error)? {
            if !entry.is_dir {
                continue;
            }
            let (name, kind) = filename::parse_dir(&dir.path, &entry.name).map_err(PlanError::Fatal)?;
            match kind {
                DirKind::Foreign => {}
                DirKind::Deleted => self.delete_later(dir, &entry.name),
                DirKind::Current | DirKind::Future => jobs.push(Job {
                    at,
                    recovery_point: recovery_points.get(&name).copied().unwrap_or(0),
                    log_start_offset: log_starts.get(&name).copied().unwrap_or(0),
                    name,
                    dir_name: entry.name,
                    is_future: kind == DirKind::Future,
                    clean: false,
                }),
            }
        }
        // Last, so that a start that is refused above leaves the marker.
        let clean = dir.take_clean_marker().map_err(io_error)?;
        jobs.iter_mut().for_each(|job| job.clean = clean);
        if clean {
            log::info!(
                target: loggers::LOG_MANAGER,
                "Skipping recovery for all logs in {} since clean shutdown file was found",
                dir.path.display()
            );
        } else {
            log::info!(
                target: loggers::LOG_MANAGER,
                "Attempting recovery for all logs in {} since no clean shutdown file was found",
                dir.path.display()
            );
        }
        Ok((jobs, clean))
    }

    fn delete_later(&self, dir: &LogDir, name: &str) {
        let (path, log_dir) = (dir.path.join(name), dir.path.clone());
        let delay_ms = LogConfig::default().file_delete_delay_ms;
        lock(&self.shared.deletions).push(Deletion { path, log_dir, delay_ms, is_dir: true });
    }

    fn load(
        &self,
        jobs: Vec<Job>,
        clean: bool,
        config_of: &ConfigOf<'_>,
        errors: &mut Vec<StorageError>,
    ) -> Result<(), StartError> {
        let total = jobs.len();
        let began_ms = clock::monotonic_ms();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let configured = self.threads_per_dir * self.dirs.len();
        let threads = if clean { configured.max(cores) } else { configured }.min(total.max(1));
        let loaded = Mutex::new(Vec::with_capacity(total));
        let failed: Mutex<Vec<(usize, StorageError)>> = Mutex::default();
        let in_dir = |at: usize| (jobs.iter().filter(|job| job.at == at).count(), AtomicUsize::new(0));
        let progress: Vec<_> = (0..self.dirs.len()).map(in_dir).collect();
        let queue = Mutex::new(VecDeque::from(jobs));
        let work = || {
            while let Some(job) = { lock(&queue).pop_front() } {
                if lock(&failed).iter().any(|(at, _)| *at == job.at) {
                    continue;
                }
                let job_began_ms = clock::monotonic_ms();
                match self.load_one(&job, config_of) {
                    Ok(log) => {
                        let took_ms = clock::monotonic_ms() - job_began_ms;
                        self.log_progress(&log, took_ms, job.at, &progress[job.at]);
                        lock(&loaded).push((job.at, log));
                    }
                    Err(error) => lock(&failed).push((job.at, error)),
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        for (at, log) in loaded.into_inner().unwrap_or_default() {
            self.register(at, log)?;
        }
        for (at, error) in failed.into_inner().unwrap_or_default() {
            self.fail_at_start(at, error, errors);
        }
        let took_ms = clock::monotonic_ms() - began_ms;
        log::info!(target: loggers::LOG_MANAGER, "Loaded {total} logs in {took_ms}ms.");
        Ok(())
    }

    fn log_progress(&self, log: &Log, took_ms: i64, at: usize, (total, done): &(usize, AtomicUsize)) {
        let TopicPartition { topic, partition } = log.topic_partition();
        let start = log.log_start_offset();
        log::info!(
            target: loggers::LOG_MANAGER,
            "Completed load of Log(dir={}, topic={topic}, partition={partition}, highWatermark={start}, \
             lastStableOffset={start}, logStartOffset={start}, logEndOffset={}) with {} segments in {took_ms}ms \
             ({}/{total} loaded in {})",
            log.path().display(),
            log.log_end_offset(),
            log.segment_count(),
            done.fetch_add(1, Ordering::Relaxed) + 1,
            self.dirs[at].path.display()
        );
    }

    fn load_one(&self, job: &Job, config_of: &ConfigOf<'_>) -> Result<Log, StorageError> {
        let root = self.dirs[job.at].root();
        let dir = PartitionDir::new(job.name.clone(), root, &job.dir_name, self.shared.clone());
        let options = LoadOptions {
            config: config_of(&job.name.topic),
            is_future: job.is_future,
            clean: job.clean,
            recovery_point: job.recovery_point,
            log_start_offset: job.log_start_offset,
            now_ms: clock::now_ms(),
        };
        loader::load(&dir, &options)
    }

    fn register(&self, at: usize, log: Log) -> Result<(), StartError> {
        let role = if log.is_future() { Role::Future } else { Role::Current };
        let name = log.topic_partition().clone();
        let path = log.path();
        let mut registry = lock(&self.registry);
        registry.places.insert((name.clone(), role), at);
        let Some(previous) = registry.unclaimed.insert((name.clone(), role), log) else { return Ok(()) };
        let (a, b) = (path.display(), previous.path());
        let message = match role {
            Role::Future => format!("Duplicate log directories found: {a}, {}", b.display()),
            Role::Current => format!(
                "Duplicate log directories for {name} are found in both {a} and {}. It is likely because log \
                 directory failure happened while broker was replacing current replica with future replica. \
                 Recover broker from this failure by manually deleting one of the two directories for this \
                 partition. It is recommended to delete the partition in the log directory that is known to \
                 have failed recently.",
                b.display()
            ),
        };
        Err(StartError::new("java.lang.IllegalStateException", message))
    }

    /// The end: closes the given logs and those that nobody claimed, writes all checkpoints, marks directories
    /// clean whose logs are all on disk, and unlocks them. The last error is given; its directory is not
    /// marked, the others are.
    pub fn shut_down(
        &self,
        claimed: Vec<Log>,
        high_watermarks: HashMap<Arc<Path>, Vec<(TopicPartition, Offset)>>,
    ) -> Result<(), StorageError> {
        let now_ms = clock::now_ms();
        let mut by_dir: Vec<Vec<Log>> = self.dirs.iter().map(|_| Vec::new()).collect();
        let unclaimed: Vec<Log> = lock(&self.registry).unclaimed.drain().map(|(_, log)| log).collect();
        for log in claimed.into_iter().chain(unclaimed) {
            if let Some(at) = self.dirs.iter().position(|dir| dir.path == *log.log_dir()) {
                by_dir[at].push(log);
            }
        }
        let mut result = self.write_high_watermarks(high_watermarks);
        for (dir, logs) in self.dirs.iter().zip(by_dir) {
            if dir.is_online() {
                result = self.shut_down_dir(dir, logs, now_ms).and(result);
                dir.take_offline();
            }
        }
        result
    }

    fn shut_down_dir(&self, dir: &LogDir, mut logs: Vec<Log>, now_ms: i64) -> Result<(), StorageError> {
        close_all(dir, &mut logs, now_ms)?;
        let names: Vec<_> = logs.iter().map(Log::state).collect();
        let points = names.iter().map(|state| (&state.topic_partition, state.recovery_point)).collect();
        dir.write_checkpoint(filename::RECOVERY_POINTS, points)?;
        let starts = names.iter().filter_map(|state| Some((&state.topic_partition, state.log_start_offset?)));
        dir.write_checkpoint(filename::LOG_START_OFFSETS, starts.collect())?;
        dir.mark_clean().map_err(|error| {
            let context = format!("Error while marking {} clean", dir.path.display());
            dir.fail(context, error)
        })
    }
}

/// Writes and syncs all logs of a directory: file by file, or the whole file system if there are many.
fn close_all(dir: &LogDir, logs: &mut [Log], now_ms: i64) -> Result<(), StorageError> {
    let mut jobs = Vec::new();
    for log in logs.iter_mut() {
        jobs.push(log.begin_close(now_ms)?);
    }
    let dirty = jobs.iter().flatten().count();
    if dirty >= SYNC_EVERYTHING_FROM {
        let context = || format!("Error while flushing logs in {}", dir.path.display());
        dir.sync_everything().map_err(|error| dir.fail(context(), error))?;
    }
    for (log, job) in logs.iter_mut().zip(jobs) {
        if let Some(job) = job {
            let done = if dirty >= SYNC_EVERYTHING_FROM { job.done() } else { job.run()? };
            log.complete_flush(done);
        }
        log.end_close();
    }
    Ok(())
}

enum PlanError {
    Fatal(StartError),
    Offline(StorageError),
}

fn open_dirs(options: &LogManagerOptions) -> Result<(Vec<LogDir>, Vec<StorageError>), StartError> {
    let (mut dirs, mut errors) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    for configured in &options.log_dirs {
        let path: Arc<Path> = std::path::absolute(configured).unwrap_or_else(|_| configured.clone()).into();
        let opened = if options.failed_dirs.contains(configured) {
            let text = format!("Failed to load {} during broker startup", path.display());
            Err(OpenError::Offline(io::Error::other(text)))
        } else {
            LogDir::open(path.clone())
        };
        match opened {
            Ok(dir) => {
                if !file::canonical(&path).is_ok_and(|canonical| seen.insert(canonical)) {
                    return Err(duplicate(options));
                }
                dirs.push(dir);
            }
            // The second of two equal entries finds the lock of the first.
            Err(OpenError::Fatal(error)) => {
                let twice = file::canonical(&path).is_ok_and(|canonical| seen.contains(&canonical));
                return Err(if twice { duplicate(options) } else { error });
            }
            Err(OpenError::Offline(error)) => {
                let context = format!("Failed to create or validate data directory {}", path.display());
                log::error!(
                    target: "kafka.server.LogDirFailureChannel",
                    "{context}{TRACE_MARK}java.io.IOException: {error}"
                );
                let error = StorageError::new(&path, context, error);
                errors.push(error);
                dirs.push(LogDir::offline(path));
            }
        }
    }
    if dirs.iter().all(|dir| !dir.is_online()) {
        return Err(no_directory_left(options));
    }
    Ok((dirs, errors))
}

fn names(options: &LogManagerOptions) -> String {
    options.log_dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn duplicate(options: &LogManagerOptions) -> StartError {
    StartError::kafka(format!("Duplicate log directory found: {}", names(options)))
}

/// The reasons go into the log; Kafka's last words do not repeat them.
fn no_directory_left(options: &LogManagerOptions) -> StartError {
    let dirs = names(options);
    let message = format!(
        "Shutdown broker because none of the specified log dirs from {dirs} can be created or validated"
    );
    let error = StartError::new("org.apache.kafka.common.errors.KafkaStorageException", message);
    StartError { halts: true, ..error }
}
