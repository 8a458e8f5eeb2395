//! One segment: a stretch of the log in a file, with its indexes. Sealed ones never change; the newest, the
//! active one, grows.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/LogSegment.scala`.

use super::file;
use super::filename;
use super::header_scan::HeaderScan;
use super::index::{self, ActiveIndex, Entry};
use super::log_config::LogConfig;
use super::offset_index::OffsetEntry;
use super::partition_dir::{PartitionDir, SegmentFile};
use super::time_index::TimeEntry;
use crate::common::{Offset, random};
use crate::record::batch::NO_TIMESTAMP;
use std::io;
use std::sync::{Arc, OnceLock};

/// Largest distance of an offset from its segment's base.
const RELATIVE_OFFSET_MAX: i64 = i32::MAX as i64;

/// A segment that never changes any more.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) size: u32,
    /// True if a `.txnindex` exists.
    pub(crate) has_txn_index: bool,
    /// Largest timestamp and its offset, from the last entry of the time index.
    largest: OnceLock<TimeEntry>,
    /// Entries of the offset index.
    index_entries: OnceLock<u32>,
    /// Largest timestamp of the first batch.
    first_timestamp: OnceLock<i64>,
}

impl Segment {
    pub(crate) fn new(file: Arc<SegmentFile>, size: u32, has_txn_index: bool) -> Arc<Segment> {
        Arc::new(Segment {
            file,
            size,
            has_txn_index,
            largest: OnceLock::new(),
            index_entries: OnceLock::new(),
            first_timestamp: OnceLock::new(),
        })
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.file.base_offset
    }

    /// The last entry of the time index: the largest timestamp, -1 if there is none.
    pub(crate) fn largest(&self) -> io::Result<TimeEntry> {
        if let Some(known) = self.largest.get() {
            return Ok(*known);
        }
        let none = TimeEntry { timestamp: NO_TIMESTAMP, relative_offset: 0 };
        let found = match file::open_read(&self.file.path(filename::TIME_INDEX)) {
            Ok(fd) => match index::entries_of::<TimeEntry>(&fd)? {
                0 => none,
                n => index::read_entry(&fd, n - 1)?.unwrap_or(none),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => none,
            Err(error) => return Err(error),
        };
        Ok(*self.largest.get_or_init(|| found))
    }

    /// The largest timestamp; the age of the file if records have none.
    pub(crate) fn largest_timestamp(&self) -> io::Result<i64> {
        match self.largest()?.timestamp {
            timestamp if timestamp >= 0 => Ok(timestamp),
            _ => file::modified_ms(&self.file.path(filename::LOG)),
        }
    }

    /// The largest timestamp of the first batch, -1 if there is none.
    pub(crate) fn first_timestamp(&self) -> io::Result<i64> {
        if let Some(known) = self.first_timestamp.get() {
            return Ok(*known);
        }
        let first = HeaderScan::new(&*self.file.log()?, 0, self.size).next_batch()?;
        let found = first.map_or(NO_TIMESTAMP, |(_, info)| info.max_timestamp);
        Ok(*self.first_timestamp.get_or_init(|| found))
    }

    /// Bytes of the offset and of the time index.
    pub(crate) fn index_bytes(&self) -> io::Result<(u64, u64)> {
        let times = match file::path_len(&self.file.path(filename::TIME_INDEX)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            other => other?,
        };
        Ok((u64::from(self.index_entries()?) * OffsetEntry::SIZE as u64, times))
    }

    /// Before a compacted segment takes over the names of its files; see [`SegmentFile::retire`].
    pub(crate) fn retire(&self) -> io::Result<()> {
        self.largest()?;
        self.index_entries()?;
        self.file.retire(self.has_txn_index)
    }

    fn index_entries(&self) -> io::Result<u32> {
        if let Some(known) = self.index_entries.get() {
            return Ok(*known);
        }
        let entries = index::entries_of::<OffsetEntry>(&*self.file.offset_index()?)?;
        Ok(*self.index_entries.get_or_init(|| entries))
    }

    /// A position at or before the batch that holds `offset`.
    pub(crate) fn lookup(&self, offset: Offset) -> io::Result<u32> {
        if self.size == 0 {
            return Ok(0);
        }
        let entries = self.index_entries()?;
        lookup_in_file(&self.file, entries, offset, self.size)
    }

    /// The offset of the first index entry at or after `position`.
    pub(crate) fn offset_after(&self, position: u32) -> io::Result<Option<Offset>> {
        offset_after(&self.file, self.index_entries()?, position)
    }
}

/// A position at or before the batch that holds `offset`, by the first `entries` of the index file. An entry
/// that cannot be (a damaged index under a clean marker is believed on load) leads to the beginning.
pub(crate) fn lookup_in_file(
    segment: &Arc<SegmentFile>,
    entries: u32,
    offset: Offset,
    size: u32,
) -> io::Result<u32> {
    let target = relative(segment.base_offset, offset);
    if entries == 0 {
        return Ok(0);
    }
    let fd = segment.offset_index()?;
    let found = index::search_file(&fd, entries, |e: &OffsetEntry| e.relative_offset.cmp(&target))?;
    Ok(found.map(|entry| entry.position).filter(|position| *position < size).unwrap_or(0))
}

/// The offset of the first of the first `entries` of the index file at or after `position`.
pub(crate) fn offset_after(
    segment: &Arc<SegmentFile>,
    entries: u32,
    position: u32,
) -> io::Result<Option<Offset>> {
    if entries == 0 {
        return Ok(None);
    }
    let fd = segment.offset_index()?;
    let slot = index::partition_point(&fd, entries, |e: &OffsetEntry| e.position < position)?;
    let entry = if slot < entries { index::read_entry::<OffsetEntry>(&fd, slot)? } else { None };
    Ok(entry.map(|entry| segment.base_offset + i64::from(entry.relative_offset)))
}

/// `offset` relative to `base`, at the bounds if it is outside.
pub(crate) fn relative(base: Offset, offset: Offset) -> u32 {
    offset.saturating_sub(base).clamp(0, RELATIVE_OFFSET_MAX) as u32
}

/// The segment that takes appends.
#[derive(Debug)]
pub(crate) struct ActiveSegment {
    pub(crate) file: Arc<SegmentFile>,
    pub(crate) size: u32,
    pub(crate) offset_index: ActiveIndex<OffsetEntry>,
    pub(crate) time_index: ActiveIndex<TimeEntry>,
    pub(crate) has_txn_index: bool,
    /// Bytes since the last entry of the offset index.
    bytes_since_entry: u64,
    /// Largest timestamp so far and the last offset of its batch.
    max_timestamp: i64,
    offset_of_max_timestamp: Offset,
    /// Largest timestamp of the first set that was appended; `None`: not known yet.
    first_timestamp: Option<i64>,
    created_ms: i64,
    jitter_ms: i64,
}

impl ActiveSegment {
    /// Creates the files of an empty segment; what is left of an earlier one of this name is emptied.
    pub(crate) fn create(
        dir: &Arc<PartitionDir>,
        base_offset: Offset,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<ActiveSegment> {
        let log = file::create_empty(&dir.of_offset(base_offset, filename::LOG))?;
        if config.preallocate {
            file::reserve(&log, u64::from(config.segment_bytes))?;
        }
        file::create_empty(&dir.of_offset(base_offset, filename::OFFSET_INDEX))?;
        file::create_empty(&dir.of_offset(base_offset, filename::TIME_INDEX))?;
        let file = SegmentFile::with_open(dir, base_offset, log);
        file.pin(true);
        Ok(ActiveSegment {
            offset_index: ActiveIndex::new(config.offset_index_entries_max()),
            time_index: ActiveIndex::new(config.time_index_entries_max()),
            ..ActiveSegment::around(file, 0, config, now_ms)
        })
    }

    fn around(file: Arc<SegmentFile>, size: u32, config: &LogConfig, now_ms: i64) -> ActiveSegment {
        let jitter_max = config.segment_jitter_ms.min(config.segment_ms);
        let jitter_ms = if jitter_max > 0 { random::below(jitter_max as u64) as i64 } else { 0 };
        ActiveSegment {
            offset_of_max_timestamp: file.base_offset,
            file,
            size,
            offset_index: ActiveIndex::new(0),
            time_index: ActiveIndex::new(0),
            has_txn_index: false,
            bytes_since_entry: 0,
            max_timestamp: NO_TIMESTAMP,
            first_timestamp: None,
            created_ms: now_ms,
            jitter_ms,
        }
    }

    /// Takes over the files of a segment that exist.
    pub(crate) fn open(
        file: Arc<SegmentFile>,
        size: u32,
        has_txn_index: bool,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<ActiveSegment> {
        let offset_index =
            ActiveIndex::open(&file.path(filename::OFFSET_INDEX), config.offset_index_entries_max())?;
        let time_index =
            ActiveIndex::open(&file.path(filename::TIME_INDEX), config.time_index_entries_max())?;
        file.pin(true);
        let mut segment = ActiveSegment {
            offset_index,
            time_index,
            has_txn_index,
            ..ActiveSegment::around(file, size, config, now_ms)
        };
        segment.load_largest_timestamp();
        Ok(segment)
    }

    fn load_largest_timestamp(&mut self) {
        let base = self.base_offset();
        let (timestamp, offset) = match self.time_index.last() {
            Some(entry) => (entry.timestamp, base + i64::from(entry.relative_offset)),
            None => (NO_TIMESTAMP, base),
        };
        self.max_timestamp = timestamp;
        self.offset_of_max_timestamp = offset;
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.file.base_offset
    }

    /// Largest timestamp so far, -1 if there is none.
    pub(crate) fn largest(&self) -> TimeEntry {
        let relative_offset = relative(self.base_offset(), self.offset_of_max_timestamp);
        TimeEntry { timestamp: self.max_timestamp, relative_offset }
    }

    /// Obeys other settings from now on.
    pub(crate) fn update_config(&mut self, config: &LogConfig) {
        self.offset_index.set_entries_max(config.offset_index_entries_max());
        self.time_index.set_entries_max(config.time_index_entries_max());
    }

    /// The largest timestamp; the age of the file if records have none.
    pub(crate) fn largest_timestamp(&self) -> io::Result<i64> {
        if self.max_timestamp >= 0 {
            return Ok(self.max_timestamp);
        }
        file::modified_ms(&self.file.path(filename::LOG))
    }

    /// True if a set with this largest timestamp, last offset and size belongs into a new segment. `staged`
    /// are bytes that will be written to this one before it.
    pub(crate) fn should_roll(
        &mut self,
        set: &SetInfo,
        staged: u32,
        config: &LogConfig,
        now_ms: i64,
    ) -> io::Result<bool> {
        let size = u64::from(self.size) + u64::from(staged);
        if size + set.size_bytes > u64::from(config.segment_bytes)
            || set.last_offset - self.base_offset() > RELATIVE_OFFSET_MAX
            || self.offset_index.is_full(0)
            || self.time_index.is_full(1)
        {
            return Ok(true);
        }
        if size == 0 {
            return Ok(false);
        }
        let waited_ms = match self.first_timestamp()? {
            Some(first) if first >= 0 => set.max_timestamp.saturating_sub(first),
            _ => now_ms - self.created_ms,
        };
        Ok(waited_ms > config.max_segment_ms() - self.jitter_ms)
    }

    fn first_timestamp(&mut self) -> io::Result<Option<i64>> {
        if self.first_timestamp.is_none() && self.size > 0 {
            let fd = self.file.log()?;
            let first = HeaderScan::new(&fd, 0, self.size).next_batch()?;
            self.first_timestamp = Some(first.map_or(NO_TIMESTAMP, |(_, info)| info.max_timestamp));
        }
        Ok(self.first_timestamp)
    }

    /// Takes in a set that was written at the end of the file.
    pub(crate) fn note_appended(&mut self, set: &SetInfo, interval_bytes: u32) -> io::Result<()> {
        if self.size == 0 {
            self.first_timestamp = Some(set.max_timestamp);
        }
        if set.max_timestamp > self.max_timestamp {
            self.max_timestamp = set.max_timestamp;
            self.offset_of_max_timestamp = set.offset_of_max_timestamp;
        }
        if self.bytes_since_entry > u64::from(interval_bytes) && !self.offset_index.is_full(0) {
            self.add_offset_entry(set.last_offset, self.size)?;
            if !self.time_index.is_full(1) {
                self.add_time_entry()?;
            }
            self.bytes_since_entry = 0;
        }
        self.bytes_since_entry += set.size_bytes;
        self.size += set.size_bytes as u32;
        Ok(())
    }

    fn add_offset_entry(&mut self, offset: Offset, position: u32) -> io::Result<()> {
        let entry = OffsetEntry { relative_offset: relative(self.base_offset(), offset), position };
        if self.offset_index.last().is_some_and(|last| last.relative_offset >= entry.relative_offset) {
            return Ok(());
        }
        let file = &self.file;
        self.offset_index.push(entry, || file.path(filename::OFFSET_INDEX))
    }

    fn add_time_entry(&mut self) -> io::Result<()> {
        let entry = TimeEntry {
            timestamp: self.max_timestamp,
            relative_offset: relative(self.base_offset(), self.offset_of_max_timestamp),
        };
        if entry.timestamp <= self.time_index.last().map_or(NO_TIMESTAMP, |last| last.timestamp) {
            return Ok(());
        }
        let file = &self.file;
        self.time_index.push(entry, || file.path(filename::TIME_INDEX))
    }

    /// Writes the indexes out.
    pub(crate) fn write_indexes(&mut self) -> io::Result<()> {
        self.offset_index.write_out(&self.file.path(filename::OFFSET_INDEX))?;
        self.time_index.write_out(&self.file.path(filename::TIME_INDEX))
    }

    /// Adds the last entry of the time index, writes the indexes out and gives reserved blocks back: before a
    /// close.
    pub(crate) fn finish(&mut self, config: &LogConfig) -> io::Result<()> {
        self.add_time_entry()?;
        if config.preallocate {
            file::truncate(&*self.file.log()?, u64::from(self.size))?;
        }
        self.write_indexes()
    }

    /// The segment as a sealed one; its files are complete.
    pub(crate) fn seal(&mut self, config: &LogConfig) -> io::Result<Arc<Segment>> {
        self.finish(config)?;
        let none = TimeEntry { timestamp: NO_TIMESTAMP, relative_offset: 0 };
        let sealed = Segment::new(self.file.clone(), self.size, self.has_txn_index);
        // Fresh cells: setting them cannot fail.
        let _ = sealed.largest.set(self.time_index.last().unwrap_or(none));
        let _ = sealed.index_entries.set(self.offset_index.len());
        self.file.pin(false);
        Ok(sealed)
    }

    /// Cuts the segment so that it ends before `position`, where `offset` would be.
    pub(crate) fn truncate(&mut self, offset: Offset, position: u32, now_ms: i64) -> io::Result<()> {
        let target = relative(self.base_offset(), offset);
        self.offset_index
            .truncate(&self.file.path(filename::OFFSET_INDEX), |e| e.relative_offset >= target)?;
        self.time_index.truncate(&self.file.path(filename::TIME_INDEX), |e| e.relative_offset >= target)?;
        if self.has_txn_index {
            super::transaction_index::truncate(&self.file.path(filename::TXN_INDEX), offset)?;
        }
        let fd = self.file.log()?;
        file::truncate(&fd, u64::from(position))?;
        self.size = position;
        if position == 0 {
            self.created_ms = now_ms;
            self.first_timestamp = None;
        }
        self.bytes_since_entry = 0;
        let had_timestamps = self.max_timestamp >= 0;
        self.load_largest_timestamp();
        if had_timestamps {
            self.scan_timestamps_after_last_entry(&fd)?;
        }
        Ok(())
    }

    fn scan_timestamps_after_last_entry(&mut self, fd: &Arc<std::os::fd::OwnedFd>) -> io::Result<()> {
        let from = self.offset_index.last().map_or(0, |entry| entry.position);
        let mut scan = HeaderScan::new(fd, from, self.size);
        while let Some((_, info)) = scan.next_batch()? {
            if info.max_timestamp > self.max_timestamp {
                self.max_timestamp = info.max_timestamp;
                self.offset_of_max_timestamp = info.last_offset();
            }
        }
        Ok(())
    }
}

/// What a segment needs to know of a set of batches that is appended at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SetInfo {
    pub(crate) size_bytes: u64,
    pub(crate) first_offset: Offset,
    pub(crate) last_offset: Offset,
    pub(crate) max_timestamp: i64,
    pub(crate) offset_of_max_timestamp: Offset,
}

impl SetInfo {
    /// Before the first batch.
    pub(crate) fn empty() -> SetInfo {
        SetInfo {
            size_bytes: 0,
            first_offset: -1,
            last_offset: -1,
            max_timestamp: NO_TIMESTAMP,
            offset_of_max_timestamp: -1,
        }
    }

    /// Adds a batch at its place.
    pub(crate) fn add(&mut self, first_offset: Offset, last_offset: Offset, size: usize, max_timestamp: i64) {
        if self.size_bytes == 0 {
            self.first_offset = first_offset;
        }
        self.size_bytes += size as u64;
        self.last_offset = last_offset;
        if max_timestamp > self.max_timestamp {
            self.max_timestamp = max_timestamp;
            self.offset_of_max_timestamp = last_offset;
        }
    }
}
