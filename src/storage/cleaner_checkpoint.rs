//! How far logs are compacted: `cleaner-offset-checkpoint` of each log directory, the first dirty offset of each
//! partition.
//!
//! What the file says is lowered when its log is cut, forgotten when the log is deleted, and goes along when it moves
//! to another directory. A file that cannot be parsed says nothing: the logs are compacted from their start (Kafka
//! takes the directory offline). Source: Kafka 2.8.2, `LogCleanerManager.scala`.

use super::checkpoint;
use super::error::StorageError;
use super::filename::CLEANER_OFFSETS;
use super::log::{Log, LogState};
use super::log_dir::LogDir;
use super::log_manager::{LogManager, Role};
use super::loggers;
use super::partition_dir::lock;
use crate::common::{Offset, TopicPartition};
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;

/// How far one log is compacted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CleanedOffset {
    pub(crate) first_dirty: Offset,
    /// How many truncations of its log it takes into account.
    truncations: u32,
}

/// Of one directory.
pub(crate) type CleanedOffsets = HashMap<TopicPartition, CleanedOffset>;

fn read(dir: &LogDir) -> Result<CleanedOffsets, StorageError> {
    let path = dir.path.join(CLEANER_OFFSETS);
    match checkpoint::read_offsets(&path) {
        Ok(offsets) => {
            let entry = |(name, first_dirty)| (name, CleanedOffset { first_dirty, truncations: 0 });
            Ok(offsets.into_iter().map(entry).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            log::error!(
                target: loggers::LOG_CLEANER,
                "{error}; the logs in {} are compacted from their start",
                dir.path.display()
            );
            Ok(CleanedOffsets::new())
        }
        Err(error) => Err(dir.fail(format!("Error while reading checkpoint file {}", path.display()), error)),
    }
}

/// Runs `change` on what is known; writes the file if that says that something changed.
fn with_cleaned(
    dir: &LogDir,
    alive: Option<&HashSet<TopicPartition>>,
    change: impl FnOnce(&mut CleanedOffsets) -> bool,
) -> Result<(), StorageError> {
    if !dir.is_online() {
        return Ok(());
    }
    let mut guard = lock(&dir.cleaned);
    let cleaned = match guard.take() {
        Some(cleaned) => guard.insert(cleaned),
        None => guard.insert(read(dir)?),
    };
    if change(cleaned) {
        if let Some(alive) = alive {
            cleaned.retain(|name, _| alive.contains(name));
        }
        let entries = cleaned.iter().map(|(name, at)| (name, at.first_dirty)).collect();
        dir.write_checkpoint(CLEANER_OFFSETS, entries)?;
    }
    Ok(())
}

impl LogManager {
    fn log_dir(&self, path: &Path) -> Option<&LogDir> {
        self.dirs.iter().find(|dir| *dir.path == *path)
    }

    /// The first dirty offset of a log that was cut so often, and no lower than to `lowest`; none if it was never
    /// compacted.
    pub(crate) fn first_dirty(
        &self,
        name: &TopicPartition,
        log_dir: &Path,
        (truncations, lowest): (u32, Offset),
    ) -> Result<Option<Offset>, StorageError> {
        let Some(dir) = self.log_dir(log_dir) else { return Ok(None) };
        let mut found = None;
        with_cleaned(dir, None, |cleaned| {
            let Some(at) = cleaned.get_mut(name) else { return false };
            let lowered = lower(at, truncations, lowest);
            found = Some(at.first_dirty);
            lowered
        })?;
        Ok(found)
    }

    /// Notes that a log is compacted up to `first_dirty`.
    pub(crate) fn set_first_dirty(
        &self,
        name: &TopicPartition,
        log_dir: &Path,
        first_dirty: Offset,
        truncations: u32,
    ) -> Result<(), StorageError> {
        let Some(dir) = self.log_dir(log_dir) else { return Ok(()) };
        let alive = self.current_in(log_dir);
        with_cleaned(dir, Some(&alive), |cleaned| {
            cleaned.insert(name.clone(), CleanedOffset { first_dirty, truncations });
            true
        })
    }

    /// Names of the logs in a directory.
    fn current_in(&self, log_dir: &Path) -> HashSet<TopicPartition> {
        let registry = lock(&self.registry);
        let in_it = |at: usize| *self.dirs[at].path == *log_dir;
        let current = registry.places.iter().filter(|((_, role), at)| *role == Role::Current && in_it(**at));
        current.map(|((name, _), _)| name.clone()).collect()
    }

    /// What was cut off is dirty once it is written again.
    pub(super) fn note_truncations(&self, states: &[LogState]) -> Result<(), StorageError> {
        let mut result = Ok(());
        for state in states.iter().filter(|state| state.truncated.0 > 0) {
            let lowered = self.first_dirty(&state.topic_partition, &state.log_dir, state.truncated);
            result = lowered.map(drop).and(result);
        }
        result
    }

    pub(super) fn forget_cleaned(&self, name: &TopicPartition, log_dir: &Path) -> Result<(), StorageError> {
        let Some(dir) = self.log_dir(log_dir) else { return Ok(()) };
        with_cleaned(dir, None, |cleaned| cleaned.remove(name).is_some())
    }

    /// The log moved from `from` to where `to` is. That one copied it, compacted as it was.
    pub(super) fn move_cleaned(
        &self,
        name: &TopicPartition,
        from: &Path,
        to: &Log,
    ) -> Result<(), StorageError> {
        let Some(dir) = self.log_dir(from) else { return Ok(()) };
        let mut moved = None;
        with_cleaned(dir, None, |cleaned| {
            moved = cleaned.remove(name);
            moved.is_some()
        })?;
        match moved {
            Some(at) => self.set_first_dirty(name, to.log_dir(), at.first_dirty, to.truncations),
            None => Ok(()),
        }
    }
}

fn lower(at: &mut CleanedOffset, truncations: u32, lowest: Offset) -> bool {
    let is_news = at.truncations != truncations;
    at.truncations = truncations;
    let lowered = is_news && at.first_dirty > lowest;
    at.first_dirty = if lowered { lowest } else { at.first_dirty };
    lowered
}
