//! A partition's directory and the descriptors of its segment files.
//!
//! Descriptors are opened when first needed. Those of sealed segments are closed again, oldest first, when
//! more than a bound are open: ten thousand partitions with many segments exhaust neither descriptors nor
//! memory. Bytes on their way to a socket hold their own reference and are not disturbed.

use super::error::StorageError;
use super::file;
use super::filename;
use super::health::Health;
use super::transaction_index::{self, AbortedTxn};
use crate::common::{Offset, TopicPartition};
use std::collections::VecDeque;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

/// A guard also after another thread panicked: what these locks protect is valid at every step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file or directory whose name ends in `.deleted` or `-delete`, to be removed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    pub(crate) path: PathBuf,
    pub(crate) log_dir: Arc<Path>,
    pub(crate) delay_ms: i64,
    pub(crate) is_dir: bool,
}

/// What all logs of a broker share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Open descriptors of sealed segments, in the order in which they were opened.
    open: Mutex<VecDeque<Weak<SegmentFile>>>,
    open_max: usize,
    /// Files waiting for their removal; whoever runs deletions stamps them with the time.
    pub(crate) deletions: Mutex<Vec<Deletion>>,
    /// Producers that were idle for so long are forgotten (`transactional.id.expiration.ms`).
    pub(crate) producer_expiration_ms: i64,
    /// False if `partition.metadata` is not to be kept (inter-broker protocol below 2.8).
    pub(crate) keep_partition_metadata: bool,
}

impl Shared {
    pub(crate) fn new(
        open_max: usize,
        producer_expiration_ms: i64,
        keep_partition_metadata: bool,
    ) -> Arc<Shared> {
        Arc::new(Shared {
            open: Mutex::default(),
            open_max: open_max.max(1),
            deletions: Mutex::default(),
            producer_expiration_ms,
            keep_partition_metadata,
        })
    }

    /// Takes a sealed segment with an open descriptor into the bounded set; closes others if there are too many.
    fn admit(&self, file: &Arc<SegmentFile>) {
        let mut closing = Vec::new();
        {
            let mut open = lock(&self.open);
            open.push_back(Arc::downgrade(file));
            let mut chances = open.len();
            while open.len() > self.open_max {
                let Some(oldest) = open.pop_front() else { break };
                let Some(oldest) = oldest.upgrade() else { continue };
                let used = oldest.used.swap(false, Ordering::Relaxed);
                if used && chances > 0 {
                    chances -= 1;
                    open.push_back(Arc::downgrade(&oldest));
                } else {
                    closing.push(oldest);
                }
            }
        }
        closing.iter().for_each(|file| file.close());
    }
}

/// The directory of one log.
#[derive(Debug)]
pub(crate) struct PartitionDir {
    pub(crate) topic_partition: TopicPartition,
    /// The entry of `log.dirs`.
    pub(crate) log_dir: Arc<Path>,
    path: RwLock<Arc<Path>>,
    pub(crate) shared: Arc<Shared>,
    /// Of the log directory.
    pub(crate) health: Arc<Health>,
    /// Held while files are synced: a sync that runs beside a failing one could miss the error.
    pub(crate) syncing: Mutex<()>,
}

/// An entry of `log.dirs` as a partition's directory sees it.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    pub(crate) path: Arc<Path>,
    pub(crate) health: Arc<Health>,
}

impl PartitionDir {
    pub(crate) fn new(
        topic_partition: TopicPartition,
        root: Root,
        name: &str,
        shared: Arc<Shared>,
    ) -> Arc<PartitionDir> {
        let Root { path: log_dir, health } = root;
        let path = RwLock::new(Arc::from(log_dir.join(name)));
        let syncing = Mutex::default();
        Arc::new(PartitionDir { topic_partition, log_dir, path, shared, health, syncing })
    }

    /// What the lines of this log begin with: `[Log partition=..., dir=...] `.
    pub(crate) fn ident(&self) -> String {
        format!("[Log partition={}, dir={}] ", self.topic_partition, self.log_dir.display())
    }

    /// The directory's path now.
    pub(crate) fn path(&self) -> Arc<Path> {
        self.path.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Path of a segment's file.
    pub(crate) fn of_offset(&self, base_offset: Offset, suffix: &str) -> PathBuf {
        self.file(&filename::of_offset(base_offset, suffix))
    }

    /// Renames the directory within its log directory.
    pub(crate) fn rename(&self, name: &str) -> io::Result<()> {
        let mut path = self.path.write().unwrap_or_else(PoisonError::into_inner);
        let to: Arc<Path> = Arc::from(self.log_dir.join(name));
        file::rename(&path, &to)?;
        *path = to;
        Ok(())
    }

    /// An error of this partition, with which its log directory goes offline.
    pub(crate) fn fail(&self, doing: &str, source: io::Error) -> StorageError {
        let error = self.error(doing, source);
        self.health.fail(&error);
        error
    }

    /// An error of this partition: `Error while {doing} for {partition} in dir {log dir}`.
    pub(crate) fn error(&self, doing: &str, source: io::Error) -> StorageError {
        let context =
            format!("Error while {doing} for {} in dir {}", self.topic_partition, self.log_dir.display());
        StorageError::new(&self.log_dir, context, source)
    }

    /// Gives a file its `.deleted` name and queues its removal. A file that is not there is passed over.
    pub(crate) fn delete_later(&self, name: &str, delay_ms: i64) -> io::Result<()> {
        let to = self.file(&format!("{name}{}", filename::DELETED));
        if file::rename_if_exists(&self.file(name), &to)? {
            let log_dir = self.log_dir.clone();
            lock(&self.shared.deletions).push(Deletion { path: to, log_dir, delay_ms, is_dir: false });
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
struct Slot {
    log: Option<Arc<OwnedFd>>,
    index: Option<Arc<OwnedFd>>,
}

/// The files of one segment: opened on demand.
#[derive(Debug)]
pub(crate) struct SegmentFile {
    pub(crate) dir: Arc<PartitionDir>,
    pub(crate) base_offset: Offset,
    slot: Mutex<Slot>,
    /// Looked at since the last sweep.
    used: AtomicBool,
    /// The active segment stays open.
    pinned: AtomicBool,
    /// The segment was taken out of the log: that its files are gone is no error.
    deleted: AtomicBool,
    /// The transaction index of a segment that a compacted one replaces.
    retired: OnceLock<Vec<AbortedTxn>>,
}

impl SegmentFile {
    pub(crate) fn new(dir: &Arc<PartitionDir>, base_offset: Offset) -> Arc<SegmentFile> {
        Arc::new(SegmentFile {
            dir: dir.clone(),
            base_offset,
            slot: Mutex::default(),
            used: AtomicBool::new(false),
            pinned: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
            retired: OnceLock::new(),
        })
    }

    /// A segment whose `.log` was just created.
    pub(crate) fn with_open(dir: &Arc<PartitionDir>, base_offset: Offset, fd: OwnedFd) -> Arc<SegmentFile> {
        let file = SegmentFile::new(dir, base_offset);
        lock(&file.slot).log = Some(Arc::new(fd));
        file
    }

    pub(crate) fn path(&self, suffix: &str) -> PathBuf {
        self.dir.of_offset(self.base_offset, suffix)
    }

    /// Opens a file of the segment; a directory that is renamed meanwhile is tried again.
    fn open(&self, suffix: &str) -> io::Result<OwnedFd> {
        let path = self.path(suffix);
        match file::open_write(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.path(suffix) != path => {
                file::open_write(&self.path(suffix))
            }
            other => other,
        }
    }

    fn fd(
        self: &Arc<SegmentFile>,
        suffix: &str,
        place: fn(&mut Slot) -> &mut Option<Arc<OwnedFd>>,
    ) -> io::Result<Arc<OwnedFd>> {
        self.used.store(true, Ordering::Relaxed);
        let (fd, admit) = {
            let mut slot = lock(&self.slot);
            let was_closed = slot.log.is_none() && slot.index.is_none();
            let place = place(&mut slot);
            if let Some(fd) = place {
                return Ok(fd.clone());
            }
            let fd = Arc::new(self.open(suffix)?);
            *place = Some(fd.clone());
            (fd, was_closed && !self.pinned.load(Ordering::Relaxed))
        };
        if admit {
            self.dir.shared.admit(self);
        }
        Ok(fd)
    }

    /// The `.log` file.
    pub(crate) fn log(self: &Arc<SegmentFile>) -> io::Result<Arc<OwnedFd>> {
        self.fd(filename::LOG, |slot| &mut slot.log)
    }

    /// The `.index` file.
    pub(crate) fn offset_index(self: &Arc<SegmentFile>) -> io::Result<Arc<OwnedFd>> {
        self.fd(filename::OFFSET_INDEX, |slot| &mut slot.index)
    }

    /// Keeps the descriptor open (active segment), or lets it be closed when others are needed.
    pub(crate) fn pin(self: &Arc<SegmentFile>, pinned: bool) {
        let was = self.pinned.swap(pinned, Ordering::Relaxed);
        if was && !pinned && lock(&self.slot).log.is_some() {
            self.dir.shared.admit(self);
        }
    }

    /// Closes the descriptors unless the segment is the active one.
    pub(crate) fn close(&self) {
        let mut slot = lock(&self.slot);
        if !self.pinned.load(Ordering::Relaxed) {
            *slot = Slot::default();
        }
    }

    /// Before a compacted segment takes over the names: whoever reads this one goes on with its own files, which stay
    /// open until nobody does.
    pub(crate) fn retire(self: &Arc<SegmentFile>, has_txn_index: bool) -> io::Result<()> {
        self.pinned.store(true, Ordering::Relaxed);
        self.log()?;
        self.offset_index()?;
        if has_txn_index {
            let aborted = transaction_index::read(&self.path(filename::TXN_INDEX))?.unwrap_or_default();
            // Set before: it is the same.
            let _ = self.retired.set(aborted);
        }
        Ok(())
    }

    /// Adds the aborted transactions that overlap `from..to`; true if no later segment can hold more of them.
    pub(crate) fn collect_aborted(
        &self,
        from: Offset,
        to: Offset,
        out: &mut Vec<AbortedTxn>,
    ) -> io::Result<bool> {
        let known = out.len();
        let complete = transaction_index::collect(&self.path(filename::TXN_INDEX), from, to, out)?;
        match self.retired.get().filter(|_| self.is_deleted()) {
            Some(own) => {
                // What was read may be of the segment that took the name.
                out.truncate(known);
                Ok(transaction_index::select(own, from, to, out))
            }
            None => Ok(complete),
        }
    }

    /// Closes the descriptors even of the active segment: after loading, until the log is used.
    pub(crate) fn rest(&self) {
        *lock(&self.slot) = Slot::default();
    }

    pub(crate) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }

    /// Takes the files away from the log: `.deleted` names, removal later.
    pub(crate) fn delete(&self, delay_ms: i64) -> io::Result<()> {
        self.deleted.store(true, Ordering::Release);
        for suffix in [filename::LOG, filename::OFFSET_INDEX, filename::TIME_INDEX, filename::TXN_INDEX] {
            self.dir.delete_later(&filename::of_offset(self.base_offset, suffix), delay_ms)?;
        }
        Ok(())
    }

    /// The whole log is deleted or gone offline: readers in flight end quietly.
    pub(crate) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_segments_are_closed_when_too_many_are_open() {
        let root = tempfile::tempdir().expect("temporary directory");
        let shared = Shared::new(4, 1, true);
        let root_dir = Root { path: Arc::from(root.path()), health: Arc::default() };
        let dir = PartitionDir::new(TopicPartition::new("t", 0), root_dir, "t-0", shared.clone());
        file::create_dir_all(&dir.path()).expect("create");
        let files: Vec<_> = (0..20)
            .map(|n| {
                let fd = file::create(&dir.of_offset(n, filename::LOG)).expect("create");
                let segment = SegmentFile::with_open(&dir, n, fd);
                segment.pin(true);
                segment
            })
            .collect();
        let open = || files.iter().filter(|file| lock(&file.slot).log.is_some()).count();
        assert_eq!(open(), 20, "active segments stay open");
        files.iter().for_each(|file| file.pin(false));
        assert_eq!(open(), 4);
        dir.rename("t-0.x-future").expect("rename");
        for file in files.iter().rev() {
            file.log().expect("opens again, under its new name");
        }
        assert!(open() <= 5, "{} open", open());
        files[3].delete(10).expect("delete");
        files[3].close();
        assert!(files[3].log().is_err() && files[3].is_deleted());
        assert_eq!(lock(&shared.deletions).len(), 1);
    }
}
