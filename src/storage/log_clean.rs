//! What compaction needs of a log: a view of its sealed segments, taken under the lock, and the exchange of some of
//! them for one that was written off it.
//!
//! The exchange is Kafka's, so that either broker completes what the other began: the new files, on disk under the
//! suffix `.cleaned`, become `.swap` (from here on they count), the old ones `.deleted`, the new ones lose their suffix.
//! In each step the log file comes last: without it, indexes are nobody's. Source: Kafka 2.8.2, `Log.scala`,
//! `replaceSegments`.

use super::error::StorageError;
use super::file;
use super::filename::{self, CLEANED, SWAP};
use super::log::Log;
use super::log_config::LogConfig;
use super::partition_dir::{PartitionDir, SegmentFile};
use super::producer_state::LastRecord;
use super::read_plan::LogPosition;
use super::segment::Segment;
use super::transaction_index::{self, AbortedTxn};
use crate::common::{Offset, ProducerId};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;

/// A log as the cleaner sees it.
#[derive(Clone, Debug)]
pub(crate) struct CleaningView {
    pub(crate) dir: Arc<PartitionDir>,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) sealed: Arc<Vec<Arc<Segment>>>,
    active: Arc<SegmentFile>,
    active_has_txn_index: bool,
    pub(crate) log_start_offset: Offset,
    pub(crate) log_end_offset: Offset,
    /// From here on records are undecided or not committed.
    pub(crate) last_stable_offset: Offset,
    /// From here on segments are not on disk.
    pub(crate) recovery_point: Offset,
    pub(crate) truncations: u32,
    /// The smallest offset that the log was ever cut to.
    pub(crate) lowest_truncation: Offset,
}

/// Files that stand under their `.cleaned` names, on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CleanedFiles {
    pub(crate) base_offset: Offset,
    pub(crate) size: u32,
    pub(crate) has_txn_index: bool,
}

impl CleaningView {
    pub(crate) fn active_base_offset(&self) -> Offset {
        self.active.base_offset
    }

    /// True if `log` is the one that was seen, and was not cut since.
    pub(crate) fn is_of(&self, log: &Log) -> bool {
        Arc::ptr_eq(&log.dir, &self.dir) && log.truncations == self.truncations
    }

    /// Base offset of the segment after sealed number `at`.
    pub(crate) fn next_base(&self, at: usize) -> Offset {
        self.sealed.get(at + 1).map_or(self.active.base_offset, |next| next.base_offset())
    }

    /// Aborted transactions that overlap `from..to`, from sealed segment number `first` on.
    pub(crate) fn aborted(&self, first: usize, from: Offset, to: Offset) -> io::Result<Vec<AbortedTxn>> {
        let mut found = Vec::new();
        let sealed = self.sealed[first..].iter().map(|segment| (&segment.file, segment.has_txn_index));
        for (file, _) in sealed.chain([(&self.active, self.active_has_txn_index)]).filter(|(_, has)| *has) {
            let complete = transaction_index::collect(&file.path(filename::TXN_INDEX), from, to, &mut found)?;
            if file.is_deleted() {
                return Err(io::ErrorKind::NotFound.into());
            }
            if complete {
                break;
            }
        }
        Ok(found)
    }
}

impl Log {
    /// The log for compaction, as it is now.
    pub(crate) fn cleaning_view(&mut self, high_watermark: LogPosition) -> CleaningView {
        CleaningView {
            dir: self.dir.clone(),
            config: self.config.clone(),
            sealed: self.sealed.clone(),
            active: self.active.file.clone(),
            active_has_txn_index: self.active.has_txn_index,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.end_offset,
            last_stable_offset: self.last_stable_offset(high_watermark).offset,
            recovery_point: self.state().recovery_point,
            truncations: self.truncations,
            lowest_truncation: self.lowest_truncation,
        }
    }

    /// The last batch of every known producer.
    pub(crate) fn last_records(&self) -> HashMap<ProducerId, LastRecord> {
        self.producers.last_records()
    }

    /// Puts `cleaned` in the place of `old`, segments of `view`. False if the log is not what it was: it was cut, or
    /// some of the segments went, or it is another log; then nothing happens.
    pub(crate) fn replace_segments(
        &mut self,
        view: &CleaningView,
        old: &[Arc<Segment>],
        cleaned: CleanedFiles,
    ) -> Result<bool, StorageError> {
        self.check_not_failed()?;
        if !view.is_of(self) {
            return Ok(false);
        }
        let first = self.sealed.partition_point(|segment| segment.base_offset() < cleaned.base_offset);
        let range = first..(first + old.len()).min(self.sealed.len());
        let same = self.sealed[range.clone()].iter().zip(old).filter(|(a, b)| Arc::ptr_eq(a, b)).count();
        if same != old.len() {
            return Ok(false);
        }
        self.swap_files(old, cleaned).map_err(|error| self.fail("swapping cleaned segments", error))?;
        let segment = Segment::new(
            SegmentFile::new(&self.dir, cleaned.base_offset),
            cleaned.size,
            cleaned.has_txn_index,
        );
        Arc::make_mut(&mut self.sealed).splice(range, [segment]);
        Ok(true)
    }

    fn swap_files(&mut self, old: &[Arc<Segment>], cleaned: CleanedFiles) -> io::Result<()> {
        let (base_offset, delay_ms) = (cleaned.base_offset, self.config.file_delete_delay_ms);
        self.rename_all(cleaned, CLEANED, SWAP)?;
        self.unsynced.directory = true;
        for segment in old {
            segment.file.delete(delay_ms)?;
            if segment.base_offset() != base_offset {
                self.snapshots.delete_later(&self.dir, segment.base_offset(), delay_ms)?;
            }
        }
        self.rename_all(cleaned, SWAP, "")
    }

    fn rename_all(&self, cleaned: CleanedFiles, from: &str, to: &str) -> io::Result<()> {
        let suffixes = [filename::TXN_INDEX, filename::TIME_INDEX, filename::OFFSET_INDEX, filename::LOG];
        for suffix in &suffixes[usize::from(!cleaned.has_txn_index)..] {
            let name = filename::of_offset(cleaned.base_offset, suffix);
            file::rename(&self.dir.file(&format!("{name}{from}")), &self.dir.file(&format!("{name}{to}")))?;
        }
        Ok(())
    }
}
