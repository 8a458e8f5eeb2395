//! Walks over batch headers of a segment with small bounded reads, without its records.

use super::file;
use crate::common::Offset;
use crate::record::batch::{BatchInfo, V2_HEADER_SIZE};
use std::io;
use std::os::fd::OwnedFd;

/// Bytes of one read: many small batches, or the header of one large batch.
const WINDOW_BYTES: usize = 2048;

/// Iterates over headers between two positions. Ends at the end, at a batch that reaches beyond it, and at
/// bytes that are no header.
pub(crate) struct HeaderScan<'a> {
    fd: &'a OwnedFd,
    position: u32,
    end: u32,
    window: [u8; WINDOW_BYTES],
    window_at: u32,
    window_len: usize,
}

impl<'a> HeaderScan<'a> {
    /// Scans from `position`, where a batch begins, to `end`.
    pub(crate) fn new(fd: &'a OwnedFd, position: u32, end: u32) -> HeaderScan<'a> {
        HeaderScan { fd, position, end, window: [0; WINDOW_BYTES], window_at: 0, window_len: 0 }
    }

    /// The next batch's position and header.
    pub(crate) fn next_batch(&mut self) -> io::Result<Option<(u32, BatchInfo)>> {
        let position = self.position;
        if position >= self.end {
            return Ok(None);
        }
        let left = (self.end - position) as usize;
        let wanted = left.min(V2_HEADER_SIZE);
        let inside =
            position >= self.window_at && (position - self.window_at) as usize + wanted <= self.window_len;
        if !inside {
            let want = left.min(WINDOW_BYTES);
            self.window_len = file::read_at(self.fd, &mut self.window[..want], u64::from(position))?;
            self.window_at = position;
        }
        let from = (position - self.window_at) as usize;
        let bytes = &self.window[from.min(self.window_len)..self.window_len];
        let Ok(info) = BatchInfo::parse(bytes) else { return Ok(None) };
        if info.size_bytes > left {
            return Ok(None);
        }
        self.position += info.size_bytes as u32;
        Ok(Some((position, info)))
    }

    /// Position after the last batch that was returned.
    pub(crate) fn position(&self) -> u32 {
        self.position
    }

    /// The first batch whose last offset is not below `offset`.
    pub(crate) fn find(&mut self, offset: Offset) -> io::Result<Option<(u32, BatchInfo)>> {
        while let Some(found) = self.next_batch()? {
            if found.1.last_offset() >= offset {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
