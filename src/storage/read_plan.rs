//! A read in two halves: planned under the partition's lock, executed off it.

use super::error::StorageError;
use crate::common::{FileSlice, Offset, ProducerId};

/// A place in a log: an offset, and where its batch begins (or where the log ends).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LogPosition {
    /// The offset.
    pub offset: Offset,
    /// Base offset of the segment that holds it.
    pub segment_base_offset: Offset,
    /// Byte position in that segment; [`LogPosition::UNKNOWN`] if only the offset is known.
    pub position: u32,
}

impl LogPosition {
    /// "Only the offset is known": reads that are bounded by it look it up.
    pub const UNKNOWN: u32 = u32::MAX;

    /// A place of which only the offset is known.
    pub fn of_offset(offset: Offset) -> LogPosition {
        LogPosition { offset, segment_base_offset: -1, position: LogPosition::UNKNOWN }
    }

    /// True if segment and position are known.
    pub fn is_exact(&self) -> bool {
        self.position != LogPosition::UNKNOWN
    }

    /// Bytes from `self` to `later` if both are exact and in one segment.
    pub fn bytes_until(&self, later: &LogPosition) -> Option<u32> {
        let same = self.segment_base_offset == later.segment_base_offset;
        (same && self.is_exact() && later.is_exact()).then(|| later.position.saturating_sub(self.position))
    }
}

/// An aborted transaction, as a fetch response lists it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AbortedTransaction {
    /// The producer.
    pub producer_id: ProducerId,
    /// First offset of the transaction.
    pub first_offset: Offset,
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct LogRead {
    /// The bytes, from a batch's beginning on; `None` if there are none. The last batch may be cut.
    pub records: Option<FileSlice>,
    /// The fetch offset and the place of the batch that holds it.
    pub start: LogPosition,
    /// Where a reader who consumed all of `records` goes on, if it ends at a known place: a hint for the next
    /// read.
    pub next: Option<LogPosition>,
    /// True if `max_bytes` does not reach to the end of the first batch.
    pub first_batch_incomplete: bool,
    /// Aborted transactions of the range, if they were asked for.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
}

impl LogRead {
    /// Number of bytes read.
    pub fn size_bytes(&self) -> usize {
        self.records.as_ref().map_or(0, |slice| slice.len)
    }
}

/// A read that needs the partition's lock no more.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(crate) offset: Offset,
    pub(crate) upper: LogPosition,
    pub(crate) hint: Option<LogPosition>,
    pub(crate) aborted: bool,
}

impl ReadPlan {
    /// Where an earlier read ended ([`LogRead::next`]): spares the index lookup if it fits.
    pub fn with_hint(mut self, hint: Option<LogPosition>) -> ReadPlan {
        self.hint = hint;
        self
    }

    /// Lists aborted transactions too (READ_COMMITTED).
    pub fn with_aborted_transactions(mut self) -> ReadPlan {
        self.aborted = true;
        self
    }

    /// Finds the bytes: at most `max_bytes`, but the whole first batch if `min_one_batch`.
    pub fn execute(self, max_bytes: usize, min_one_batch: bool) -> Result<LogRead, StorageError> {
        let _ = (max_bytes, min_one_batch);
        Ok(LogRead {
            records: None,
            start: LogPosition::of_offset(self.offset),
            next: self.hint,
            first_batch_incomplete: false,
            aborted_transactions: self.aborted.then(Vec::new),
        })
    }
}
