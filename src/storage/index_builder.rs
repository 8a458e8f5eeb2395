//! The indexes of a segment whose batches are known: one that was recovered, or one that compaction wrote.

use super::file;
use super::filename;
use super::index::{self, Entry};
use super::log_config::LogConfig;
use super::offset_index::OffsetEntry;
use super::segment::relative;
use super::time_index::TimeEntry;
use super::transaction_index::{self, AbortedTxn};
use crate::common::Offset;
use crate::record::batch::{BatchInfo, NO_TIMESTAMP};
use std::io;
use std::path::PathBuf;

/// Collects entries while batches pass.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    base_offset: Offset,
    interval_bytes: u32,
    offsets_max: u32,
    times_max: u32,
    offsets: Vec<OffsetEntry>,
    times: Vec<TimeEntry>,
    /// In the order of their markers.
    pub(crate) aborted: Vec<AbortedTxn>,
    max_timestamp: i64,
    offset_of_max_timestamp: Offset,
    last_entry_position: u32,
    last_offset: Offset,
}

impl IndexBuilder {
    pub(crate) fn new(base_offset: Offset, config: &LogConfig) -> IndexBuilder {
        IndexBuilder {
            base_offset,
            interval_bytes: config.index_interval_bytes,
            offsets_max: config.offset_index_entries_max(),
            times_max: config.time_index_entries_max(),
            offsets: Vec::new(),
            times: Vec::new(),
            aborted: Vec::new(),
            max_timestamp: NO_TIMESTAMP,
            offset_of_max_timestamp: base_offset,
            last_entry_position: 0,
            last_offset: base_offset - 1,
        }
    }

    /// Offset of the last record; the one before the base if there is none.
    pub(crate) fn last_offset(&self) -> Offset {
        self.last_offset
    }

    /// Takes a batch in.
    pub(crate) fn add(&mut self, info: &BatchInfo, position: u32) {
        self.last_offset = info.last_offset();
        if info.max_timestamp > self.max_timestamp {
            self.max_timestamp = info.max_timestamp;
            self.offset_of_max_timestamp = info.last_offset();
        }
        let room = (self.offsets.len() as u32) < self.offsets_max;
        if position - self.last_entry_position > self.interval_bytes && room {
            let relative_offset = relative(self.base_offset, info.last_offset());
            self.offsets.push(OffsetEntry { relative_offset, position });
            self.add_time();
            self.last_entry_position = position;
        }
    }

    fn add_time(&mut self) {
        let last = self.times.last().map_or(NO_TIMESTAMP, |entry| entry.timestamp);
        let room = (self.times.len() as u32) < self.times_max;
        if self.max_timestamp > last && room {
            let relative_offset = relative(self.base_offset, self.offset_of_max_timestamp);
            self.times.push(TimeEntry { timestamp: self.max_timestamp, relative_offset });
        }
    }

    /// Adds the last entry of the time index and writes the files at `path(suffix)`; the transaction index only if it
    /// has entries, or if there was one.
    pub(crate) fn write(&mut self, path: impl Fn(&str) -> PathBuf) -> io::Result<()> {
        self.add_time();
        write_file(path(filename::OFFSET_INDEX), &self.offsets)?;
        write_file(path(filename::TIME_INDEX), &self.times)?;
        let path = path(filename::TXN_INDEX);
        file::remove_if_exists(&path)?;
        if !self.aborted.is_empty() {
            transaction_index::append(&path, &self.aborted)?;
        }
        Ok(())
    }
}

fn write_file<E: Entry>(path: PathBuf, entries: &[E]) -> io::Result<()> {
    index::write_file(&path, entries)
}
