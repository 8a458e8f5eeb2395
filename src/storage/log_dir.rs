//! One entry of `log.dirs`: its lock, its checkpoints, the marker of a clean stop.

use super::checkpoint;
use super::cleaner_checkpoint::CleanedOffsets;
use super::error::{StartError, StorageError};
use super::file;
use super::filename;
use super::health::Health;
use super::loggers;
use super::partition_dir::{Root, lock};
use crate::common::{Offset, TopicPartition};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// See the module.
#[derive(Debug)]
pub(crate) struct LogDir {
    pub(crate) path: Arc<Path>,
    online: AtomicBool,
    pub(crate) health: Arc<Health>,
    /// The locked file, while the directory is online.
    lock: Mutex<Option<OwnedFd>>,
    /// What was last written to each checkpoint, as a hash: what did not change is not written again.
    written: Mutex<HashMap<&'static str, u64>>,
    /// How far its logs are compacted; read when first needed.
    pub(crate) cleaned: Mutex<Option<CleanedOffsets>>,
}

/// Why a directory could not be opened.
pub(crate) enum OpenError {
    /// The broker does not start.
    Fatal(StartError),
    /// The directory is offline.
    Offline(io::Error),
}

impl LogDir {
    /// A directory that cannot be used.
    pub(crate) fn offline(path: Arc<Path>) -> LogDir {
        LogDir {
            path,
            online: AtomicBool::new(false),
            health: Arc::default(),
            lock: Mutex::default(),
            written: Mutex::default(),
            cleaned: Mutex::default(),
        }
    }

    /// Creates the directory and its checkpoints if need be, and locks it.
    pub(crate) fn open(path: Arc<Path>) -> Result<LogDir, OpenError> {
        if !file::exists(&path) {
            log::info!(
                target: loggers::LOG_MANAGER,
                "Log directory {} not found, creating it.",
                path.display()
            );
            file::create_dir_all(&path).map_err(OpenError::Offline)?;
        }
        if !file::is_readable_dir(&path) {
            let text = format!("{} is not a readable log directory.", path.display());
            return Err(OpenError::Offline(io::Error::other(text)));
        }
        let Some(locked) = file::lock(&path.join(filename::LOCK)).map_err(OpenError::Offline)? else {
            return Err(OpenError::Fatal(StartError::kafka(format!(
                "Failed to acquire lock on file .lock in {}. A Kafka instance in another process or thread is \
                 using this directory.",
                path.display()
            ))));
        };
        for name in filename::CHECKPOINTS {
            file::create(&path.join(name)).map_err(OpenError::Offline)?;
        }
        let dir = LogDir::offline(path);
        dir.online.store(true, Ordering::Release);
        *lock(&dir.lock) = Some(locked);
        Ok(dir)
    }

    pub(crate) fn is_online(&self) -> bool {
        self.online.load(Ordering::Acquire)
    }

    /// What its partitions need of it.
    pub(crate) fn root(&self) -> Root {
        Root { path: self.path.clone(), health: self.health.clone() }
    }

    /// An error with which the directory goes offline.
    pub(crate) fn fail(&self, context: impl Into<String>, error: io::Error) -> StorageError {
        let error = StorageError::new(&self.path, context, error);
        self.health.fail(&error);
        error
    }

    /// Stops using the directory; true if it was in use.
    pub(crate) fn take_offline(&self) -> bool {
        *lock(&self.lock) = None;
        self.online.swap(false, Ordering::AcqRel)
    }

    /// True if the last stop was clean. The marker is gone afterwards, also after a power failure: a crash
    /// from now on is an unclean stop.
    pub(crate) fn take_clean_marker(&self) -> io::Result<bool> {
        let was_there = file::remove_if_exists(&self.path.join(filename::CLEAN_SHUTDOWN))?;
        if was_there {
            file::sync_path(&self.path)?;
        }
        Ok(was_there)
    }

    /// Says that everything is on disk.
    pub(crate) fn mark_clean(&self) -> io::Result<()> {
        file::create_empty(&self.path.join(filename::CLEAN_SHUTDOWN))?;
        file::sync_path(&self.path)
    }

    /// Writes everything of the file system to disk.
    pub(crate) fn sync_everything(&self) -> io::Result<()> {
        match &*lock(&self.lock) {
            Some(fd) => file::sync_filesystem(fd),
            None => Err(io::Error::other("the log directory is offline")),
        }
    }

    /// Reads a checkpoint of offsets.
    pub(crate) fn read_checkpoint(
        &self,
        name: &'static str,
    ) -> Result<HashMap<TopicPartition, Offset>, StorageError> {
        let path = self.path.join(name);
        checkpoint::read_offsets(&path).map_err(|error| {
            let context = format!("Error while reading checkpoint file {}", path.display());
            self.fail(context, error)
        })
    }

    /// Writes a checkpoint of offsets, sorted by partition, if it changed. Nothing if the directory is offline.
    pub(crate) fn write_checkpoint(
        &self,
        name: &'static str,
        mut entries: Vec<(&TopicPartition, Offset)>,
    ) -> Result<(), StorageError> {
        if !self.is_online() {
            return Ok(());
        }
        // A failure that nobody told the broker is told now.
        self.health.check()?;
        entries.sort_unstable();
        let text = checkpoint::format_offsets(entries.into_iter());
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        let mut written = lock(&self.written);
        if written.get(name) == Some(&hash) {
            return Ok(());
        }
        let path = self.path.join(name);
        file::replace(&path, text.as_bytes(), true).map_err(|error| {
            let context = format!("Error while writing to checkpoint file {}", path.display());
            self.fail(context, error)
        })?;
        written.insert(name, hash);
        Ok(())
    }
}
