//! Rolling to a new segment, syncing in two halves, closing.

use super::error::StorageError;
use super::file;
use super::filename;
use super::log::{Log, Unsynced};
use super::loggers;
use super::partition_dir::{PartitionDir, SegmentFile, lock};
use super::segment::ActiveSegment;
use crate::common::{Offset, clock};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// How much a flush takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlushScope {
    /// Sealed segments: what a roll asks for. Bytes of the active segment are left to the kernel.
    Sealed,
    /// Everything.
    All,
}

/// Syncs files off the partition's lock: from [`Log::begin_flush`], then [`FlushJob::run`], then
/// [`Log::complete_flush`].
#[derive(Debug)]
pub struct FlushJob {
    dir: Arc<PartitionDir>,
    logs: Vec<Arc<SegmentFile>>,
    unsynced: Unsynced,
    up_to: Offset,
    sealed_below: Offset,
    /// The log end, if the indexes of the active segment are complete.
    complete_at: Option<Offset>,
    truncations: u32,
    now_ms: i64,
}

/// Proof that a [`FlushJob`] ran.
#[derive(Debug)]
pub struct FlushDone {
    up_to: Offset,
    sealed_below: Offset,
    complete_at: Option<Offset>,
    truncations: u32,
    now_ms: i64,
}

impl FlushJob {
    /// Syncs. Blocks on the disk: never under a partition's lock, never on an async worker.
    pub fn run(self) -> Result<FlushDone, StorageError> {
        let _alone = lock(&self.dir.syncing);
        self.dir.health.check()?;
        self.sync().map_err(|error| self.dir.fail("flushing log", error))?;
        Ok(self.done())
    }

    /// For who synced the whole file system.
    pub(crate) fn done(&self) -> FlushDone {
        let FlushJob { up_to, sealed_below, complete_at, truncations, now_ms, .. } = *self;
        FlushDone { up_to, sealed_below, complete_at, truncations, now_ms }
    }

    fn sync(&self) -> io::Result<()> {
        for segment in &self.logs {
            let synced = segment.log().and_then(|fd| file::sync_data(&fd));
            ignore_if(segment.is_deleted(), synced)?;
        }
        for segment in &self.unsynced.sealed {
            for suffix in [filename::OFFSET_INDEX, filename::TIME_INDEX] {
                ignore_if(segment.is_deleted(), file::sync_path(&segment.path(suffix)))?;
            }
            sync_if_there(&segment.path(filename::TXN_INDEX))?;
        }
        for &offset in &self.unsynced.snapshots {
            sync_if_there(&self.dir.of_offset(offset, filename::SNAPSHOT))?;
        }
        if self.unsynced.leader_epochs {
            sync_if_there(&self.dir.file(filename::LEADER_EPOCHS))?;
        }
        if self.unsynced.directory || self.unsynced.leader_epochs || !self.unsynced.snapshots.is_empty() {
            sync_if_there(&self.dir.path())?;
        }
        if self.unsynced.log_dir {
            file::sync_path(&self.dir.log_dir)?;
        }
        Ok(())
    }
}

/// A file that was deleted or renamed meanwhile needs no sync.
fn sync_if_there(path: &Path) -> io::Result<()> {
    match file::sync_path(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn ignore_if(deleted: bool, result: io::Result<()>) -> io::Result<()> {
    if deleted { Ok(()) } else { result }
}

impl Log {
    /// Seals the active segment and begins a new one at `base_offset`, or at the log end if that is larger.
    pub(crate) fn roll(&mut self, base_offset: Offset, now_ms: i64) -> io::Result<()> {
        let base_offset = base_offset.max(self.end_offset);
        let began_ms = clock::monotonic_ms();
        if base_offset > self.active.base_offset() {
            let sealed = self.active.seal(&self.config)?;
            self.unsynced.sealed.push(sealed.file.clone());
            Arc::make_mut(&mut self.sealed).push(sealed);
        }
        // The base may be ahead of the log end; the snapshot belongs to the segment.
        self.producers.set_end_offset(base_offset);
        self.take_snapshot()?;
        self.active = ActiveSegment::create(&self.dir, base_offset, &self.config, now_ms)?;
        self.unsynced.directory = true;
        self.rolled = true;
        log::info!(
            target: loggers::LOG,
            "{}Rolled new log segment at offset {base_offset} in {} ms.",
            self.dir.ident(),
            clock::monotonic_ms() - began_ms
        );
        Ok(())
    }

    /// Writes a producer snapshot at the end of the producer state, unless there is one.
    pub(crate) fn take_snapshot(&mut self) -> io::Result<()> {
        let taken = self.snapshots.take(&self.dir, &self.producers, self.log_start_offset)?;
        self.unsynced.snapshots.extend(taken);
        Ok(())
    }

    /// Records since the last flush; at `flush.messages` a flush is due before they are acknowledged.
    pub fn unflushed_messages(&self) -> i64 {
        self.end_offset - self.recovery_point
    }

    /// True if a segment was rolled or `flush.ms` went by: time for [`Log::begin_flush`].
    pub fn flush_wanted(&self, now_ms: i64) -> bool {
        self.failed.is_none() && (self.rolled || self.flush_overdue(now_ms))
    }

    fn flush_overdue(&self, now_ms: i64) -> bool {
        let age_ms = now_ms.saturating_sub(self.last_flush_ms);
        self.unflushed_messages() > 0 && age_ms >= self.config.flush_ms
    }

    /// First half of a flush: what is to be synced. `None` if nothing is. After a roll that is only what was
    /// sealed, unless `flush.messages` or `flush.ms` ask for everything: the kernel writes the rest in its time.
    pub fn begin_flush(&mut self, now_ms: i64) -> Result<Option<FlushJob>, StorageError> {
        let many = self.unflushed_messages() >= self.config.flush_messages;
        let sealed_only = self.rolled && !many && !self.flush_overdue(now_ms);
        self.begin_flush_of(if sealed_only { FlushScope::Sealed } else { FlushScope::All }, now_ms)
    }

    /// [`Log::begin_flush`] of a given scope.
    pub fn begin_flush_of(
        &mut self,
        scope: FlushScope,
        now_ms: i64,
    ) -> Result<Option<FlushJob>, StorageError> {
        self.check_not_failed()?;
        let up_to = match scope {
            FlushScope::Sealed => self.active.base_offset().min(self.end_offset),
            FlushScope::All => self.end_offset,
        };
        self.rolled = false;
        let from = self.recovery_point;
        if up_to <= from && self.unsynced.is_empty() {
            return Ok(None);
        }
        self.write_stale_epochs()?;
        let mut logs = Vec::new();
        if up_to > from {
            let first =
                self.sealed.partition_point(|segment| segment.base_offset() <= from).saturating_sub(1);
            let sealed = self.sealed[first..].iter().filter(|segment| segment.base_offset() < up_to);
            logs.extend(sealed.map(|segment| segment.file.clone()));
        }
        if scope == FlushScope::All && self.active.base_offset() < up_to {
            let written = self.active.write_indexes();
            written.map_err(|error| self.fail("flushing log", error))?;
            logs.push(self.active.file.clone());
        }
        Ok(Some(FlushJob {
            dir: self.dir.clone(),
            logs,
            unsynced: std::mem::take(&mut self.unsynced),
            up_to,
            sealed_below: self.active.base_offset(),
            complete_at: None,
            truncations: self.truncations,
            now_ms,
        }))
    }

    /// Second half: the recovery point moves up.
    pub fn complete_flush(&mut self, done: FlushDone) {
        if done.truncations == self.truncations {
            self.recovery_point = self.recovery_point.max(done.up_to.min(self.end_offset));
            self.indexes_synced_below = self.indexes_synced_below.max(done.sealed_below);
            self.indexes_complete_at = done.complete_at.unwrap_or(self.indexes_complete_at);
            self.last_flush_ms = done.now_ms;
        }
    }

    /// Both halves at once, under the lock: for tests and tools.
    pub fn flush(&mut self, now_ms: i64) -> Result<(), StorageError> {
        if let Some(job) = self.begin_flush_of(FlushScope::All, now_ms)? {
            match job.run() {
                Ok(done) => self.complete_flush(done),
                Err(error) => {
                    self.failed.get_or_insert(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Writes everything that the next start needs, without syncing: last index entries, producer snapshot.
    /// Gives the job that syncs it.
    pub(crate) fn begin_close(&mut self, now_ms: i64) -> Result<Option<FlushJob>, StorageError> {
        self.check_not_failed()?;
        self.write_stale_epochs()?;
        let finished = self.take_snapshot().and_then(|()| self.active.finish(&self.config));
        finished.map_err(|error| self.fail("closing log", error))?;
        let complete = self.indexes_complete_at == self.end_offset;
        if !complete {
            self.unsynced.sealed.push(self.active.file.clone());
        }
        let job = self.begin_flush_of(FlushScope::All, now_ms)?;
        Ok(job.map(|job| FlushJob { complete_at: Some(self.end_offset), ..job }))
    }

    /// Writes and syncs everything, and closes the files. Afterwards the log can be opened without recovery;
    /// it accepts nothing more.
    pub fn close(&mut self, now_ms: i64) -> Result<(), StorageError> {
        if let Some(job) = self.begin_close(now_ms)? {
            let done = job.run().inspect_err(|error| {
                self.failed.get_or_insert(error.clone());
            })?;
            self.complete_flush(done);
        }
        self.end_close();
        Ok(())
    }

    pub(crate) fn end_close(&mut self) {
        let closed = io::Error::other("the log is closed");
        let error = self.dir.error("using a closed log", closed);
        self.mark_offline(error);
    }
}
