//! The segment that compaction writes: its files under their `.cleaned` names.

use super::super::file;
use super::super::filename::{self, CLEANED};
use super::super::index_builder::IndexBuilder;
use super::super::log_clean::CleanedFiles;
use super::super::log_config::LogConfig;
use super::super::partition_dir::PartitionDir;
use super::super::transaction_index::AbortedTxn;
use crate::common::Offset;
use crate::record::batch::BatchInfo;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

/// A segment that grows.
#[derive(Debug)]
pub(super) struct Output {
    dir: Arc<PartitionDir>,
    base_offset: Offset,
    log: OwnedFd,
    /// What was not written yet; batches are appended here, then noted.
    pub(super) buffer: Vec<u8>,
    written: u64,
    write_bytes: usize,
    indexes: IndexBuilder,
}

fn path_of(dir: &PartitionDir, base_offset: Offset, suffix: &str) -> PathBuf {
    dir.file(&format!("{}{CLEANED}", filename::of_offset(base_offset, suffix)))
}

fn remove_all(dir: &PartitionDir, base_offset: Offset) -> io::Result<()> {
    for suffix in [filename::LOG, filename::OFFSET_INDEX, filename::TIME_INDEX, filename::TXN_INDEX] {
        file::remove_if_exists(&path_of(dir, base_offset, suffix))?;
    }
    Ok(())
}

impl Output {
    /// Begins a segment at `base_offset`, over what an earlier attempt left. `buffer` goes out in pieces of about
    /// `write_bytes`.
    pub(super) fn create(
        dir: &Arc<PartitionDir>,
        base_offset: Offset,
        config: &LogConfig,
        write_bytes: usize,
        mut buffer: Vec<u8>,
    ) -> io::Result<Output> {
        remove_all(dir, base_offset)?;
        buffer.clear();
        Ok(Output {
            dir: dir.clone(),
            base_offset,
            log: file::create_empty(&path_of(dir, base_offset, filename::LOG))?,
            buffer,
            written: 0,
            write_bytes,
            indexes: IndexBuilder::new(base_offset, config),
        })
    }

    /// Bytes so far.
    pub(super) fn size_bytes(&self) -> u64 {
        self.written + self.buffer.len() as u64
    }

    /// Notes a batch that was appended to the buffer.
    pub(super) fn note(&mut self, info: &BatchInfo) -> io::Result<()> {
        let end = u32::try_from(self.size_bytes())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the compacted segment is too large"))?;
        self.indexes.add(info, end - info.size_bytes as u32);
        if self.buffer.len() >= self.write_bytes { self.spill() } else { Ok(()) }
    }

    /// Notes that the transaction index keeps an entry.
    pub(super) fn note_aborted(&mut self, txn: AbortedTxn) {
        self.indexes.aborted.push(txn);
    }

    fn spill(&mut self) -> io::Result<()> {
        file::write_at(&self.log, &self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the files and brings them to disk; the log file is as old as `modified`: tombstones age by it.
    pub(super) fn finish(&mut self, modified: SystemTime) -> io::Result<CleanedFiles> {
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        let path = |suffix: &str| path_of(&self.dir, self.base_offset, suffix);
        self.indexes.write(path)?;
        file::set_modified(&path(filename::LOG), modified)?;
        let has_txn_index = !self.indexes.aborted.is_empty();
        let suffixes = [filename::TXN_INDEX, filename::TIME_INDEX, filename::OFFSET_INDEX, filename::LOG];
        for suffix in &suffixes[usize::from(!has_txn_index)..] {
            file::sync_path(&path(suffix))?;
        }
        Ok(CleanedFiles { base_offset: self.base_offset, size: self.written as u32, has_txn_index })
    }

    /// Takes the buffer back.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Removes the files: the segment is not wanted.
    pub(super) fn discard(&self) -> io::Result<()> {
        remove_all(&self.dir, self.base_offset)
    }
}
