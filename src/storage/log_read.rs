//! What readers ask a log: bytes, places, the last stable offset, aborted transactions.

use super::error::{ReadError, StorageError};
use super::header_scan::HeaderScan;
use super::index::Found;
use super::log::Log;
use super::read_plan::{AbortedTransaction, ActiveView, LogPosition, ReadPlan, collect_aborted};
use super::segment::relative;
use crate::common::Offset;

/// Where an offset of the active segment is, as far as memory knows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lookup {
    /// At or after this position.
    At(u32),
    /// The first so many entries of the index file know.
    InFile(u32),
}

impl Log {
    /// Plans a read from `offset` up to `upper` (high watermark, last stable offset or log end). No I/O.
    pub fn plan_read(&self, offset: Offset, upper: LogPosition) -> Result<ReadPlan, ReadError> {
        self.check_not_failed()?;
        if offset < self.log_start_offset || offset > self.end_offset {
            return Err(self.out_of_range(offset));
        }
        Ok(self.plan(offset, upper))
    }

    pub(crate) fn out_of_range(&self, offset: Offset) -> ReadError {
        ReadError::OffsetOutOfRange {
            offset,
            log_start_offset: self.log_start_offset,
            log_end_offset: self.end_offset,
        }
    }

    fn plan(&self, offset: Offset, upper: LogPosition) -> ReadPlan {
        ReadPlan {
            offset,
            upper,
            log_end_offset: self.end_offset,
            sealed: self.sealed.clone(),
            active: self.active_view(offset),
            first: self.segment_of(offset),
            hint: None,
            aborted: false,
        }
    }

    /// Number of the segment that holds `offset`; `sealed.len()` is the active one.
    pub(crate) fn segment_of(&self, offset: Offset) -> usize {
        if offset >= self.active.base_offset() {
            return self.sealed.len();
        }
        self.sealed.partition_point(|segment| segment.base_offset() <= offset).saturating_sub(1)
    }

    pub(crate) fn active_view(&self, offset: Offset) -> ActiveView {
        let target = relative(self.active.base_offset(), offset);
        let index = &self.active.offset_index;
        let lookup = match index.search(|entry| entry.relative_offset.cmp(&target)) {
            Found::Here(entry) => Lookup::At(entry.map_or(0, |entry| entry.position)),
            Found::InFile(entries) => Lookup::InFile(entries),
        };
        ActiveView {
            file: self.active.file.clone(),
            size: self.active.size,
            lookup,
            index_entries: index.parts().0,
            has_txn_index: self.active.has_txn_index,
        }
    }

    /// The place of the batch that holds `offset` (or of the next one). May read the disk, unless `offset` is
    /// the log end.
    pub fn position_of(&self, offset: Offset) -> Result<LogPosition, ReadError> {
        if offset == self.end_offset {
            return Ok(self.log_end());
        }
        let read = self.plan_read(offset, self.log_end())?.execute(1, false)?;
        Ok(if read.start.is_exact() { read.start } else { self.log_end() })
    }

    /// The last stable offset under this high watermark: below it no transaction is open (READ_COMMITTED).
    /// Forgets transactions that are complete below the high watermark.
    pub fn last_stable_offset(&mut self, high_watermark: LogPosition) -> LogPosition {
        self.producers.forget_completed_below(high_watermark.offset);
        let Some(first) = self.producers.first_unstable() else { return high_watermark };
        let first = if first.offset < self.log_start_offset {
            LogPosition::of_offset(self.log_start_offset)
        } else {
            first
        };
        if first.offset < high_watermark.offset { first } else { high_watermark }
    }

    /// Aborted transactions that overlap `from..to`. Reads the disk; see also
    /// [`ReadPlan::with_aborted_transactions`].
    pub fn aborted_transactions(
        &self,
        from: Offset,
        to: Offset,
    ) -> Result<Vec<AbortedTransaction>, StorageError> {
        self.check_not_failed()?;
        let view = self.active_view(from);
        collect_aborted(&self.sealed, &view, self.segment_of(from), from, to)
            .map_err(|error| self.dir.fail("reading aborted transactions", error))
    }

    /// Position of the first batch of the active segment whose last offset is not below `offset`; the
    /// segment's size if there is none.
    pub(crate) fn active_position_of(&self, offset: Offset) -> std::io::Result<u32> {
        let view = self.active_view(offset);
        let from = match view.lookup {
            Lookup::At(position) => position,
            Lookup::InFile(entries) => {
                super::segment::lookup_in_file(&view.file, entries, offset, view.size)?
            }
        };
        let fd = view.file.log()?;
        let found = HeaderScan::new(&fd, from, view.size).find(offset)?;
        Ok(found.map_or(view.size, |(position, _)| position))
    }
}
