//! Cutting a log: at the end (truncation), at the beginning (log start, retention), or altogether.

use super::error::{ReadError, StorageError};
use super::log::Log;
use super::loggers;
use super::producer_replay;
use super::segment::{ActiveSegment, Segment};
use crate::common::Offset;
use std::io;
use std::sync::Arc;

impl Log {
    /// Cuts off everything at and above `offset`. False if there was nothing to cut; epoch entries at or
    /// above the log end go even then.
    ///
    /// The recovery point may move back: the caller writes the recovery points of the directory
    /// ([`super::LogManager::write_recovery_points`]) before it appends again, as Kafka does.
    pub fn truncate_to(&mut self, offset: Offset, now_ms: i64) -> Result<bool, StorageError> {
        self.check_not_failed()?;
        if offset >= self.end_offset {
            log::info!(
                target: loggers::LOG,
                "{}Truncating to {offset} has no effect as the largest offset in the log is {}",
                self.dir.ident(),
                self.end_offset - 1
            );
            let end_offset = self.end_offset;
            if self.epochs.as_mut().is_some_and(|epochs| epochs.truncate_from_end(end_offset)) {
                self.write_epochs()?;
            }
            return Ok(false);
        }
        log::info!(target: loggers::LOG, "{}Truncating to offset {offset}", self.dir.ident());
        if offset < self.first_base_offset() {
            self.truncate_fully_and_start_at(offset.max(0), now_ms)?;
            return Ok(true);
        }
        self.cut(offset, now_ms).map_err(|error| self.fail("truncating log", error))?;
        if self.epochs.as_mut().is_some_and(|epochs| epochs.truncate_from_end(offset)) {
            self.write_epochs()?;
        }
        self.truncations = self.truncations.wrapping_add(1);
        self.lowest_truncation = self.lowest_truncation.min(offset);
        self.log_start_offset = self.log_start_offset.min(offset);
        self.end_offset = offset;
        self.recovery_point = self.recovery_point.min(offset);
        // The indexes of the active segment change from here on.
        self.indexes_synced_below = self.indexes_synced_below.min(self.active.base_offset());
        self.indexes_complete_at = -1;
        self.reload_producers(now_ms).map_err(|error| self.fail("truncating log", error))?;
        Ok(true)
    }

    /// Drops segments that begin above `offset` and cuts the one that holds it.
    fn cut(&mut self, offset: Offset, now_ms: i64) -> io::Result<()> {
        if self.active.base_offset() > offset {
            let keep = self.sealed.partition_point(|segment| segment.base_offset() <= offset);
            let sealed = Arc::make_mut(&mut self.sealed);
            let dropped: Vec<_> = sealed.drain(keep..).collect();
            let Some(last) = sealed.pop() else {
                return Err(io::Error::other("no segment holds the offset"));
            };
            let active = self.active.file.clone();
            // The newest first: a crash in between leaves no hole.
            self.delete_file(&active)?;
            dropped.iter().rev().try_for_each(|segment| self.delete_file(&segment.file))?;
            let (file, has_txn) = (last.file.clone(), last.has_txn_index);
            self.active = ActiveSegment::open(file, last.size, has_txn, &self.config, now_ms)?;
        }
        let position = self.active_position_of(offset)?;
        self.active.truncate(offset, position, now_ms)
    }

    /// Drops everything; the log goes on, empty, at `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now_ms: i64) -> Result<(), StorageError> {
        self.check_not_failed()?;
        log::info!(target: loggers::LOG, "{}Truncate and start at offset {offset}", self.dir.ident());
        self.drop_everything(offset, now_ms)
            .map_err(|error| self.fail("truncating the entire log", error))?;
        if self.epochs.as_mut().is_some_and(|epochs| epochs.clear()) {
            self.write_epochs()?;
        }
        self.truncations = self.truncations.wrapping_add(1);
        self.lowest_truncation = self.lowest_truncation.min(offset);
        self.log_start_offset = offset;
        self.end_offset = offset;
        self.recovery_point = self.recovery_point.min(offset);
        self.indexes_synced_below = self.indexes_synced_below.min(offset);
        self.indexes_complete_at = -1;
        Ok(())
    }

    fn drop_everything(&mut self, offset: Offset, now_ms: i64) -> io::Result<()> {
        let sealed = std::mem::take(Arc::make_mut(&mut self.sealed));
        let active = self.active.file.clone();
        self.delete_segments(&sealed)?;
        self.delete_file(&active)?;
        self.active = ActiveSegment::create(&self.dir, offset, &self.config, now_ms)?;
        self.unsynced.directory = true;
        self.snapshots.remove_if(&self.dir, |_| true)?;
        self.producers = super::producer_state::ProducerState::at(offset);
        Ok(())
    }

    /// Brings producer state to the log end after the log got shorter.
    fn reload_producers(&mut self, now_ms: i64) -> io::Result<()> {
        let nobody_known = self.producers.is_empty() && self.producers.end_offset() >= self.end_offset;
        let (from, to) = (self.log_start_offset, self.end_offset);
        self.snapshots.remove_if(&self.dir, |offset| offset > to || offset <= from)?;
        if self.config.message_format_magic < 2 || nobody_known {
            self.producers.set_end_offset(to);
            return self.take_snapshot();
        }
        self.producers = self.snapshots.load(&self.dir, from, now_ms)?;
        let mut segments = self.sealed.as_ref().clone();
        segments.push(Segment::new(self.active.file.clone(), self.active.size, false));
        let start = producer_replay::Start { segments: &segments, log_start_offset: from };
        let taken = producer_replay::replay(&self.dir, &start, &mut self.producers, &mut self.snapshots, to)?;
        self.unsynced.snapshots.extend(taken);
        Ok(())
    }

    /// Gives segments their `.deleted` names, and their producer snapshots too.
    pub(crate) fn delete_segments(&mut self, segments: &[Arc<Segment>]) -> io::Result<()> {
        segments.iter().try_for_each(|segment| self.delete_file(&segment.file))
    }

    fn delete_file(&mut self, file: &Arc<super::partition_dir::SegmentFile>) -> io::Result<()> {
        file.pin(false);
        file.delete(self.config.file_delete_delay_ms)?;
        self.unsynced.directory = true;
        self.snapshots.delete_later(&self.dir, file.base_offset, self.config.file_delete_delay_ms)
    }

    /// Moves the log start up (DeleteRecords, or the leader's log start). False if it was there already. An
    /// offset above the high watermark is out of range.
    pub fn advance_log_start_offset(
        &mut self,
        offset: Offset,
        high_watermark: Offset,
    ) -> Result<bool, ReadError> {
        self.check_not_failed()?;
        if offset > high_watermark || offset > self.end_offset {
            return Err(self.out_of_range(offset));
        }
        Ok(self.move_log_start(offset, "client delete records request")?)
    }

    /// Moves the log start up without asking for more; for a follower, whose leader decided. `why` is for the log.
    pub(crate) fn move_log_start(&mut self, offset: Offset, why: &str) -> Result<bool, StorageError> {
        if offset <= self.log_start_offset {
            return Ok(false);
        }
        self.log_start_offset = offset;
        log::info!(
            target: loggers::LOG,
            "{}Incremented log start offset to {offset} due to {why}",
            self.dir.ident()
        );
        // Not to the log start, as in 2.8.2: what stands before it in its segment is recovered with the rest, and a
        // torn batch there would end the log before what was flushed.
        self.recovery_point = self.recovery_point.max(self.first_base_offset());
        self.producers.log_start_advanced(offset);
        if self.epochs.as_mut().is_some_and(|epochs| epochs.truncate_from_start(offset)) {
            self.write_epochs()?;
        }
        Ok(true)
    }
}
