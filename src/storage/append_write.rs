//! Collects the batches of a group of appends and writes them with one vectored write.
//!
//! Of a large batch only the first bytes are copied (base offset and leader epoch are the log's, and stand
//! before the checksum); the rest goes out from the buffer that the request came in. Small batches are copied
//! whole: two vectors cost more than a copy of a few kilobytes. The buffers are one thread's, shared by all
//! its partitions.

use super::file;
use super::segment::SetInfo;
use super::transaction_index::AbortedTxn;
use crate::common::{LeaderEpoch, Offset};
use crate::record::batch::{BASE_OFFSET_AT, LEADER_EPOCH_AT, MAGIC_AT, PreparedBatch, SIZE_AT};
use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;

/// Batches below this size are copied whole.
const COPY_BYTES_MAX: usize = 4096;
/// A buffer that grew beyond this is given back after the append.
const KEEP_BYTES_MAX: usize = 1 << 20;

/// Bytes of the run, in order.
#[derive(Clone, Copy, Debug)]
enum Piece {
    /// So many bytes of the buffer.
    Copied(usize),
    /// Batch `batch` of append `append`, without its first `skip` bytes.
    Shared { append: usize, batch: usize, skip: usize },
}

/// One appended set.
#[derive(Debug)]
pub(crate) struct StagedSet {
    pub(crate) info: SetInfo,
    pub(crate) magic: i8,
    pub(crate) leader_epoch: LeaderEpoch,
}

/// What was accepted and is not yet written.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    buffer: Vec<u8>,
    pieces: Vec<Piece>,
    pub(crate) sets: Vec<StagedSet>,
    pub(crate) aborted: Vec<AbortedTxn>,
    size_bytes: u64,
}

thread_local! {
    static STAGING: RefCell<Staging> = RefCell::default();
}

/// Runs `work` with this thread's buffers, empty before and after.
pub(crate) fn with_staging<T>(work: impl FnOnce(&mut Staging) -> T) -> T {
    STAGING.with_borrow_mut(|staging| {
        staging.clear();
        let result = work(staging);
        staging.clear();
        if staging.buffer.capacity() > KEEP_BYTES_MAX {
            staging.buffer = Vec::new();
        }
        result
    })
}

impl Staging {
    pub(crate) fn clear(&mut self) {
        self.buffer.clear();
        self.pieces.clear();
        self.sets.clear();
        self.aborted.clear();
        self.size_bytes = 0;
    }

    /// Bytes that will be written. They fit into a segment.
    pub(crate) fn size_bytes(&self) -> u32 {
        self.size_bytes as u32
    }

    /// The offset after what is staged, if something is.
    pub(crate) fn next_offset(&self, log_end_offset: Offset) -> Offset {
        self.sets.last().map_or(log_end_offset, |set| set.info.last_offset + 1)
    }

    /// Notes a set whose bytes are written otherwise.
    pub(crate) fn note_set(&mut self, info: SetInfo, magic: i8, leader_epoch: LeaderEpoch) {
        self.size_bytes += info.size_bytes;
        self.sets.push(StagedSet { info, magic, leader_epoch });
    }

    /// Adds the batches of append number `append`, placed from `info.first_offset` on.
    pub(crate) fn stage_set(
        &mut self,
        info: &SetInfo,
        append: usize,
        batches: &[PreparedBatch],
        leader_epoch: LeaderEpoch,
    ) {
        let base = info.first_offset - batches.first().map_or(0, |batch| batch.info.base_offset);
        for (at, batch) in batches.iter().enumerate() {
            let first_offset = base + batch.info.base_offset;
            let skip = self.stage_batch(batch, first_offset, leader_epoch);
            if skip < batch.bytes.len() {
                self.pieces.push(Piece::Shared { append, batch: at, skip });
            }
        }
        let magic = batches.iter().map(|batch| batch.info.magic).min().unwrap_or(2);
        self.note_set(*info, magic, leader_epoch);
    }

    /// Copies a batch, or its head; returns how many bytes were copied.
    fn stage_batch(
        &mut self,
        batch: &PreparedBatch,
        first_offset: Offset,
        leader_epoch: LeaderEpoch,
    ) -> usize {
        let bytes = &batch.bytes;
        let copied = if bytes.len() < COPY_BYTES_MAX { bytes.len() } else { MAGIC_AT };
        let from = self.buffer.len();
        self.buffer.extend_from_slice(&bytes[..copied]);
        let head = &mut self.buffer[from..];
        if batch.info.magic >= 2 {
            head[BASE_OFFSET_AT..SIZE_AT].copy_from_slice(&first_offset.to_be_bytes());
            head[LEADER_EPOCH_AT..MAGIC_AT].copy_from_slice(&leader_epoch.to_be_bytes());
        } else {
            let last_offset = first_offset + i64::from(batch.info.last_offset_delta);
            head[BASE_OFFSET_AT..SIZE_AT].copy_from_slice(&last_offset.to_be_bytes());
        }
        match self.pieces.last_mut() {
            Some(Piece::Copied(len)) => *len += copied,
            _ => self.pieces.push(Piece::Copied(copied)),
        }
        copied
    }

    /// Writes all staged bytes at `position`.
    pub(crate) fn write<'a>(
        &'a self,
        fd: &OwnedFd,
        position: u64,
        batches: impl Fn(usize) -> &'a [PreparedBatch],
    ) -> io::Result<()> {
        let mut vectors = Vec::with_capacity(self.pieces.len());
        let mut buffer = self.buffer.as_slice();
        for piece in &self.pieces {
            match *piece {
                Piece::Copied(len) => {
                    let (piece, rest) = buffer.split_at(len);
                    vectors.push(IoSlice::new(piece));
                    buffer = rest;
                }
                Piece::Shared { append, batch, skip } => {
                    vectors.push(IoSlice::new(&batches(append)[batch].bytes[skip..]));
                }
            }
        }
        file::write_vectored_at(fd, &mut vectors, position)
    }
}
