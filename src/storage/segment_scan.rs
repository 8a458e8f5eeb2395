//! Reads a segment from end to end in large sequential reads, batch by batch.

use super::file;
use crate::record::batch::{BatchError, BatchInfo};
use std::cell::RefCell;
use std::io;
use std::ops::{ControlFlow, Range};
use std::os::fd::OwnedFd;

/// Bytes of one read.
const READ_BYTES: usize = 2 << 20;

/// A whole batch of a segment.
pub(crate) struct Scanned<'a> {
    pub(crate) info: BatchInfo,
    pub(crate) bytes: &'a [u8],
    pub(crate) position: u32,
}

/// Where a scan ended.
#[derive(Debug)]
pub(crate) struct ScanEnd {
    /// Position after the last batch that was visited.
    pub(crate) position: u32,
    /// Why it ended early, in words; `None` at the end or if the visitor broke off.
    pub(crate) invalid: Option<String>,
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Gives this thread's read buffer back.
pub(crate) fn release_buffer() {
    BUFFER.with_borrow_mut(|buffer| *buffer = Vec::new());
}

/// Visits the batches between two positions until one is cut or no batch at all, or the visitor breaks off
/// (that batch does not count as visited).
pub(crate) fn scan(
    fd: &OwnedFd,
    from: u32,
    to: u32,
    visit: impl FnMut(Scanned<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<ScanEnd> {
    BUFFER.with_borrow_mut(|buffer| scan_with(buffer, READ_BYTES, fd, from..to, visit))
}

/// As [`scan`], with the caller's buffer and so many bytes a read; a larger batch makes the buffer larger.
pub(crate) fn scan_with(
    buffer: &mut Vec<u8>,
    read_bytes: usize,
    fd: &OwnedFd,
    Range { start: from, end: to }: Range<u32>,
    mut visit: impl FnMut(Scanned<'_>) -> io::Result<ControlFlow<()>>,
) -> io::Result<ScanEnd> {
    let mut position = from;
    let mut want = read_bytes;
    loop {
        let left = (to - position.min(to)) as usize;
        if left == 0 {
            return Ok(ScanEnd { position, invalid: None });
        }
        let len = left.min(want.max(read_bytes));
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let read = file::read_at(fd, &mut buffer[..len], u64::from(position))?;
        let mut at = 0;
        let stop = loop {
            let rest = &buffer[at..read];
            let info = match BatchInfo::parse(rest) {
                Ok(info) if info.size_bytes <= rest.len() => info,
                Ok(info) => break BatchError::Incomplete { needed: info.size_bytes },
                Err(error) => break error,
            };
            let batch = Scanned { info, bytes: &rest[..info.size_bytes], position: position + at as u32 };
            if visit(batch)?.is_break() {
                return Ok(ScanEnd { position: position + at as u32, invalid: None });
            }
            at += info.size_bytes;
        };
        position += at as u32;
        let left = (to - position.min(to)) as usize;
        match stop {
            // The file is shorter than its owner believed.
            BatchError::Incomplete { .. } if read < len => {
                return Ok(ScanEnd { position, invalid: Some(stop.to_string()) });
            }
            // Read on, from the beginning of the batch that is cut by the buffer.
            BatchError::Incomplete { needed } if needed <= left && (at > 0 || needed > read) => want = needed,
            BatchError::Incomplete { .. } if left == 0 => {}
            error => return Ok(ScanEnd { position, invalid: Some(error.to_string()) }),
        }
    }
}
