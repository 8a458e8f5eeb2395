//! Offsets by time: ListOffsets.
//!
//! Version 1 and later look for the first record at or after a timestamp: the first segment whose largest
//! timestamp reaches it, its time index, then the records themselves (decompressed if need be). Version 0
//! looks at the age of segment files. Source: Kafka 2.8.2, `Log.scala`, `fetchOffsetByTimestamp` and
//! `legacyFetchOffsetsBefore`.

use super::error::{ReadError, StorageError};
use super::file;
use super::filename;
use super::header_scan::HeaderScan;
use super::index;
use super::log::Log;
use super::loggers;
use super::partition_dir::SegmentFile;
use super::read_plan::ActiveView;
use super::segment::{self, Segment, relative};
use super::time_index::TimeEntry;
use crate::common::{LeaderEpoch, Offset};
use crate::record::batch::BatchInfo;
use crate::record::compression::Limits;
use crate::record::reader::Records;
use std::io;
use std::sync::Arc;

/// "The log end", in place of a timestamp.
pub const LATEST_TIMESTAMP: i64 = -1;
/// "The log start", in place of a timestamp.
pub const EARLIEST_TIMESTAMP: i64 = -2;

/// A record's offset and timestamp, found by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampAndOffset {
    /// The record's timestamp; -1 for log start and log end.
    pub timestamp: i64,
    /// Its offset.
    pub offset: Offset,
    /// Leader epoch of its batch, -1 if unknown.
    pub leader_epoch: LeaderEpoch,
}

/// A search by time that needs the partition's lock no more.
#[derive(Debug)]
pub struct TimestampLookup {
    answer: Option<TimestampAndOffset>,
    timestamp: i64,
    log_start_offset: Offset,
    sealed: Arc<Vec<Arc<Segment>>>,
    active: ActiveView,
    /// Entries of the active segment's time index: in its file, and in memory.
    time_entries: (u32, Vec<TimeEntry>),
    active_largest: i64,
}

impl Log {
    /// The first record with a timestamp of at least `timestamp_ms`, at or above the log start; -1 and -2
    /// (latest, earliest) give log end and log start. Reads and decompresses: under a lock use
    /// [`Log::plan_offset_for_timestamp`].
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        Ok(self.plan_offset_for_timestamp(timestamp_ms)?.execute()?)
    }

    /// Plans [`Log::offset_for_timestamp`]; [`TimestampLookup::execute`] does the reading off the lock.
    pub fn plan_offset_for_timestamp(&self, timestamp_ms: i64) -> Result<TimestampLookup, ReadError> {
        self.check_not_failed()?;
        let known = |offset, leader_epoch| Some(TimestampAndOffset { timestamp: -1, offset, leader_epoch });
        let answer = match timestamp_ms {
            EARLIEST_TIMESTAMP => {
                let first = self.epochs.as_ref().and_then(|epochs| epochs.earliest());
                let first = first.filter(|(_, start_offset)| *start_offset <= self.log_start_offset);
                known(self.log_start_offset, first.map_or(-1, |(epoch, _)| epoch))
            }
            LATEST_TIMESTAMP => known(self.end_offset, self.latest_epoch().unwrap_or(-1)),
            _ if self.config.message_format_magic < 1 => return Err(ReadError::UnsupportedForMessageFormat),
            _ => None,
        };
        let (in_file, tail) = self.active.time_index.parts();
        let active_largest = self.active.largest_timestamp();
        Ok(TimestampLookup {
            answer,
            timestamp: timestamp_ms,
            log_start_offset: self.log_start_offset,
            sealed: self.sealed.clone(),
            active: self.active_view(self.end_offset),
            time_entries: (in_file, tail.to_vec()),
            active_largest: active_largest
                .map_err(|error| self.dir.fail("fetching offset by timestamp", error))?,
        })
    }

    /// ListOffsets version 0: offsets of segments whose file is not younger than `timestamp_ms`, newest first,
    /// before them the log end (as if of `now_ms`); at most `offsets_max`.
    pub fn legacy_offsets_before(
        &self,
        timestamp_ms: i64,
        offsets_max: usize,
        now_ms: i64,
    ) -> Result<Vec<Offset>, StorageError> {
        self.check_not_failed()?;
        let mut offsets = Vec::with_capacity(self.sealed.len() + 2);
        for file in self.sealed.iter().map(|segment| &segment.file).chain([&self.active.file]) {
            let modified = file::modified_ms(&file.path(filename::LOG));
            let modified =
                modified.map_err(|error| self.dir.fail("fetching offsets before a time", error))?;
            offsets.push((file.base_offset.max(self.log_start_offset), modified));
        }
        if self.active.size > 0 {
            offsets.push((self.end_offset, now_ms));
        }
        let wanted = match timestamp_ms {
            LATEST_TIMESTAMP => offsets.len(),
            EARLIEST_TIMESTAMP => 1,
            _ => offsets.iter().rposition(|(_, age)| *age <= timestamp_ms).map_or(0, |at| at + 1),
        };
        offsets.truncate(wanted);
        let mut offsets: Vec<_> = offsets.into_iter().map(|(offset, _)| offset).rev().collect();
        offsets.truncate(offsets_max);
        offsets.sort_unstable_by(|a, b| b.cmp(a));
        Ok(offsets)
    }
}

impl TimestampLookup {
    /// Searches.
    pub fn execute(self) -> Result<Option<TimestampAndOffset>, StorageError> {
        if self.answer.is_some() {
            return Ok(self.answer);
        }
        match self.search() {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.any_deleted() => Ok(None),
            other => other.map_err(|error| self.active.file.dir.fail("fetching offset by timestamp", error)),
        }
    }

    fn any_deleted(&self) -> bool {
        self.active.file.is_deleted() || self.sealed.iter().any(|segment| segment.file.is_deleted())
    }

    fn search(&self) -> io::Result<Option<TimestampAndOffset>> {
        for segment in self.sealed.iter() {
            if segment.size == 0 || segment.largest_timestamp()? < self.timestamp {
                continue;
            }
            let from = self.sealed_position(segment)?;
            // Kafka 2.8.2 ends here even with nothing: of a segment without timestamps, or of one whose young
            // records are below the log start.
            if let Some(found) = self.scan(&segment.file, from, segment.size)? {
                return Ok(Some(found));
            }
        }
        if self.active_largest < self.timestamp {
            return Ok(None);
        }
        let from = self.active_position()?;
        self.scan(&self.active.file, from, self.active.size)
    }

    fn not_after(&self) -> impl Fn(&TimeEntry) -> std::cmp::Ordering + use<'_> {
        |entry| entry.timestamp.cmp(&self.timestamp)
    }

    /// The offset from which records can be as young as wanted.
    fn lower_bound(&self, base: Offset, entry: Option<TimeEntry>) -> Offset {
        let indexed = entry.map_or(base, |entry| base + i64::from(entry.relative_offset));
        indexed.max(self.log_start_offset)
    }

    fn sealed_position(&self, segment: &Segment) -> io::Result<u32> {
        let entry = search_time_file(&segment.file, None, self.not_after())?;
        segment.lookup(self.lower_bound(segment.base_offset(), entry))
    }

    fn active_position(&self) -> io::Result<u32> {
        let (in_file, tail) = &self.time_entries;
        let after = tail.partition_point(|entry| entry.timestamp <= self.timestamp);
        let entry = match after {
            0 => search_time_file(&self.active.file, Some(*in_file), self.not_after())?,
            after => Some(tail[after - 1]),
        };
        let offset = self.lower_bound(self.active.file.base_offset, entry);
        let (file, size) = (&self.active.file, self.active.size);
        segment::lookup_in_file(file, self.active.index_entries, offset, size)
    }

    /// The first record from `from` on that is young enough.
    fn scan(&self, file: &Arc<SegmentFile>, from: u32, size: u32) -> io::Result<Option<TimestampAndOffset>> {
        let fd = file.log()?;
        let mut scan = HeaderScan::new(&fd, from, size);
        while let Some((position, info)) = scan.next_batch()? {
            if info.max_timestamp < self.timestamp || info.last_offset() < self.log_start_offset {
                continue;
            }
            let bytes = file::read_range(&fd, u64::from(position), info.size_bytes)?;
            if let Some(found) = self.search_batch(&info, &bytes) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn search_batch(&self, info: &BatchInfo, bytes: &bytes::Bytes) -> Option<TimestampAndOffset> {
        let records = match Records::open(info, bytes, &Limits::default()) {
            Ok(records) => records,
            Err(error) => {
                log::warn!(
                    target: loggers::LOG,
                    "Cannot read the records at offset {}: {error}",
                    info.base_offset
                );
                return None;
            }
        };
        let found = records
            .map_while(Result::ok)
            .find(|r| r.timestamp >= self.timestamp && r.offset >= self.log_start_offset)?;
        let leader_epoch = info.partition_leader_epoch;
        Some(TimestampAndOffset { timestamp: found.timestamp, offset: found.offset, leader_epoch })
    }
}

/// The largest entry of a time index file that is not above the target, among the first `count` if given.
fn search_time_file(
    segment: &SegmentFile,
    count: Option<u32>,
    order: impl Fn(&TimeEntry) -> std::cmp::Ordering,
) -> io::Result<Option<TimeEntry>> {
    let fd = match file::open_read(&segment.path(filename::TIME_INDEX)) {
        Ok(fd) => fd,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let entries = index::entries_of::<TimeEntry>(&fd)?;
    let largest = relative(0, i64::MAX);
    let found = index::search_file(&fd, count.map_or(entries, |count| count.min(entries)), order)?;
    Ok(found.filter(|entry| entry.relative_offset <= largest))
}
