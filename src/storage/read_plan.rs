//! A read in two halves: planned under the partition's lock without I/O, executed off it.
//!
//! The plan holds references to the segments as they were: sealed ones never change, and of the active one it
//! knows size and index at that moment. What is appended, rolled or deleted meanwhile does not disturb it.

use super::error::StorageError;
use super::header_scan::HeaderScan;
use super::log_read::Lookup;
use super::partition_dir::SegmentFile;
use super::segment::{self, Segment};
use super::transaction_index::AbortedTxn;
use crate::common::{FileSlice, Offset, ProducerId};
use crate::record::batch::BatchInfo;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

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

impl From<AbortedTxn> for AbortedTransaction {
    fn from(txn: AbortedTxn) -> AbortedTransaction {
        AbortedTransaction { producer_id: txn.producer_id, first_offset: txn.first_offset }
    }
}

/// What a read found.
#[derive(Clone, Debug)]
pub struct LogRead {
    /// The bytes, from a batch's beginning on; `None` if there are none. The last batch may be cut.
    pub records: Option<FileSlice>,
    /// The fetch offset and the place of the batch that holds it.
    pub start: LogPosition,
    /// Where a reader who consumed all of `records` goes on, if that is known: a hint for the next read.
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

/// The active segment as it was.
#[derive(Clone, Debug)]
pub(crate) struct ActiveView {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) size: u32,
    /// Where the fetch offset is, if it is in this segment.
    pub(crate) lookup: Lookup,
    /// Entries of the index that are in its file.
    pub(crate) index_entries: u32,
    pub(crate) has_txn_index: bool,
}

/// A read that needs the partition's lock no more.
#[derive(Clone, Debug)]
pub struct ReadPlan {
    pub(crate) offset: Offset,
    pub(crate) upper: LogPosition,
    pub(crate) log_end_offset: Offset,
    pub(crate) sealed: Arc<Vec<Arc<Segment>>>,
    pub(crate) active: ActiveView,
    /// The first segment to look into; `sealed.len()` is the active one.
    pub(crate) first: usize,
    pub(crate) hint: Option<LogPosition>,
    pub(crate) aborted: bool,
}

/// The batch that holds the fetch offset.
struct Start {
    segment: usize,
    fd: Arc<OwnedFd>,
    position: u32,
    batch: BatchInfo,
    /// The position up to which this segment may be read.
    end: u32,
}

impl ReadPlan {
    /// Where an earlier read ended ([`LogRead::next`]): spares the index lookup if it fits. A stale hint does
    /// no harm.
    pub fn with_hint(mut self, hint: Option<LogPosition>) -> ReadPlan {
        self.hint = hint;
        self
    }

    /// Lists aborted transactions too (READ_COMMITTED).
    pub fn with_aborted_transactions(mut self) -> ReadPlan {
        self.aborted = true;
        self
    }

    /// True if there is nothing to read below the upper bound: [`ReadPlan::execute`] does no I/O.
    pub fn is_empty(&self) -> bool {
        self.offset >= self.upper.offset
    }

    /// Finds the bytes: at most `max_bytes`, but the whole first batch if `min_one_batch`. Never beyond the
    /// upper bound. Segments that were deleted since the plan was made give an empty read.
    pub fn execute(self, max_bytes: usize, min_one_batch: bool) -> Result<LogRead, StorageError> {
        if self.is_empty() {
            let same = self.offset == self.upper.offset;
            return Ok(self.nothing(if same { self.upper } else { LogPosition::of_offset(self.offset) }));
        }
        match self.find_start() {
            Ok(Some(start)) => self.slice(start, max_bytes, min_one_batch),
            // All records from here on were compacted away.
            Ok(None) => Ok(self.nothing(LogPosition::of_offset(self.offset))),
            Err(error) => self.error(self.first, error),
        }
    }

    fn nothing(&self, start: LogPosition) -> LogRead {
        LogRead {
            records: None,
            start,
            next: start.is_exact().then_some(start),
            first_batch_incomplete: false,
            aborted_transactions: self.aborted.then(Vec::new),
        }
    }

    fn error(&self, segment: usize, error: io::Error) -> Result<LogRead, StorageError> {
        let file = self.file(segment);
        if file.is_deleted() && error.kind() == io::ErrorKind::NotFound {
            return Ok(self.nothing(LogPosition::of_offset(self.offset)));
        }
        Err(file.dir.fail("reading", error))
    }

    fn file(&self, segment: usize) -> &Arc<SegmentFile> {
        self.sealed.get(segment).map_or(&self.active.file, |sealed| &sealed.file)
    }

    fn size(&self, segment: usize) -> u32 {
        self.sealed.get(segment).map_or(self.active.size, |sealed| sealed.size)
    }

    /// Base offset of the segment after this one, or the log end.
    fn next_base(&self, segment: usize) -> Offset {
        if segment >= self.sealed.len() { self.log_end_offset } else { self.file(segment + 1).base_offset }
    }

    fn find_start(&self) -> io::Result<Option<Start>> {
        for segment in self.first..=self.sealed.len() {
            let file = self.file(segment);
            if file.base_offset >= self.upper.offset {
                return Ok(None);
            }
            if self.size(segment) == 0 {
                continue;
            }
            let fd = file.log()?;
            let end = self.end_of(segment, &fd)?;
            if let Some((position, batch)) = self.find_in(segment, &fd, end)? {
                return Ok(Some(Start { segment, fd, position, batch, end }));
            }
        }
        Ok(None)
    }

    /// The position up to which a segment may be read.
    fn end_of(&self, segment: usize, fd: &OwnedFd) -> io::Result<u32> {
        let (size, base) = (self.size(segment), self.file(segment).base_offset);
        if self.upper.is_exact() && self.upper.segment_base_offset == base {
            return Ok(self.upper.position.min(size));
        }
        if self.upper.offset >= self.next_base(segment) {
            return Ok(size);
        }
        let from = self.lookup(segment, self.upper.offset)?;
        let found = HeaderScan::new(fd, from, size).find(self.upper.offset)?;
        Ok(found.map_or(size, |(position, _)| position))
    }

    fn lookup(&self, segment: usize, offset: Offset) -> io::Result<u32> {
        match self.sealed.get(segment) {
            Some(sealed) => sealed.lookup(offset),
            None if offset == self.offset => match self.active.lookup {
                Lookup::At(position) => Ok(position),
                Lookup::InFile(entries) => {
                    segment::lookup_in_file(&self.active.file, entries, offset, self.active.size)
                }
            },
            None => {
                let entries = self.active.index_entries;
                segment::lookup_in_file(&self.active.file, entries, offset, self.active.size)
            }
        }
    }

    fn find_in(&self, segment: usize, fd: &OwnedFd, end: u32) -> io::Result<Option<(u32, BatchInfo)>> {
        if let Some(hint) = self.hint
            && hint.offset == self.offset
            && hint.segment_base_offset == self.file(segment).base_offset
            && hint.position < end
            // A sealed segment may have been compacted since: its positions are not what they were.
            && (segment == self.sealed.len() || hint.position == 0)
            && let Some((position, batch)) = HeaderScan::new(fd, hint.position, end).next_batch()?
            && batch.base_offset == self.offset
            && batch.magic >= 2
        {
            return Ok(Some((position, batch)));
        }
        let from = self.lookup(segment, self.offset)?;
        let found = HeaderScan::new(fd, from, end).find(self.offset)?;
        if found.is_none() && from > 0 && from < end {
            // An index that does not fit its log (it is believed after a clean stop): the log itself decides.
            return HeaderScan::new(fd, 0, end).find(self.offset);
        }
        Ok(found)
    }

    fn slice(&self, start: Start, max_bytes: usize, min_one_batch: bool) -> Result<LogRead, StorageError> {
        let Start { segment, fd, position, batch, end } = start;
        let base = self.file(segment).base_offset;
        let wanted = if min_one_batch { max_bytes.max(batch.size_bytes) } else { max_bytes };
        let len = wanted.min((end - position) as usize);
        let stop = position + len as u32;
        let next = if stop == end && self.upper.segment_base_offset == base && end == self.upper.position {
            Some(self.upper)
        } else if stop == self.size(segment) && segment < self.sealed.len() {
            let next = self.next_base(segment);
            Some(LogPosition { offset: next, segment_base_offset: next, position: 0 })
        } else {
            None
        };
        let aborted_transactions = if self.aborted {
            match self.aborted_in(segment, stop) {
                Ok(transactions) => Some(transactions),
                Err(error) => return self.error(segment, error),
            }
        } else {
            None
        };
        Ok(LogRead {
            records: (len > 0).then_some(FileSlice { file: fd, position: u64::from(position), len }),
            start: LogPosition { offset: self.offset, segment_base_offset: base, position },
            next: next.filter(|_| len > 0),
            first_batch_incomplete: wanted < batch.size_bytes,
            aborted_transactions,
        })
    }

    /// Aborted transactions that overlap the range from the fetch offset to position `stop`.
    fn aborted_in(&self, first: usize, stop: u32) -> io::Result<Vec<AbortedTransaction>> {
        let indexed = match self.sealed.get(first) {
            Some(sealed) => sealed.offset_after(stop)?,
            None => segment::offset_after(&self.active.file, self.active.index_entries, stop)?,
        };
        let to = indexed.unwrap_or_else(|| self.next_base(first)).min(self.upper.offset);
        collect_aborted(&self.sealed, &self.active, first, self.offset, to)
    }
}

/// Aborted transactions that overlap `from..to`, from segment number `first` on.
pub(crate) fn collect_aborted(
    sealed: &[Arc<Segment>],
    active: &ActiveView,
    first: usize,
    from: Offset,
    to: Offset,
) -> io::Result<Vec<AbortedTransaction>> {
    let mut found = Vec::new();
    for segment in first..=sealed.len() {
        let (file, has_index) = match sealed.get(segment) {
            Some(sealed) => (&sealed.file, sealed.has_txn_index),
            None => (&active.file, active.has_txn_index),
        };
        if has_index && file.collect_aborted(from, to, &mut found)? {
            break;
        }
    }
    Ok(found.into_iter().map(AbortedTransaction::from).collect())
}
