//! Answers on their way out: memory by `writev`, ranges of files by `sendfile`.
//!
//! File bytes that are not in the page cache would stall every connection of the worker, so a range is
//! probed first (`preadv2` with `RWF_NOWAIT`, 0.4 µs) and, if cold, read ahead on a blocking thread.

use crate::common::FileSlice;
use crate::protocol::{Frame, Part};
use bytes::Bytes;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

const SLICES_MAX: usize = 32;
/// A range is sent, and probed, in steps of this many bytes.
const STEP_BYTES: usize = 1 << 20;
const PAGE_BYTES: u64 = 4096;
const PROBE_EVERY_BYTES: u64 = 128 << 10;

enum Item {
    Memory(Bytes),
    File { slice: FileSlice, resident_until: u64 },
}

/// What one connection still has to send.
#[derive(Default)]
pub struct Transmitter {
    items: VecDeque<Item>,
    bytes: usize,
    read_ahead: Option<JoinHandle<io::Result<()>>>,
}

impl Transmitter {
    /// Puts a frame in line.
    pub fn push(&mut self, frame: Frame) {
        for part in frame.parts {
            match part {
                Part::Memory(bytes) if bytes.is_empty() => {}
                Part::Memory(bytes) => {
                    self.bytes += bytes.len();
                    self.items.push_back(Item::Memory(bytes));
                }
                Part::File(slice) if slice.len == 0 => {}
                Part::File(slice) => {
                    self.bytes += slice.len;
                    let resident_until = slice.position;
                    self.items.push_back(Item::File { slice, resident_until });
                }
            }
        }
    }

    /// Bytes still to send.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Sends as much as the socket takes. Ready when nothing is left.
    pub fn poll_flush(&mut self, socket: &TcpStream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.items.is_empty() {
            if let Some(task) = &mut self.read_ahead {
                let done = ready!(Pin::new(task).poll(cx));
                self.read_ahead = None;
                done.map_err(io::Error::other)??;
            }
            if self.start_read_ahead()? {
                continue;
            }
            match self.send_some(socket) {
                Ok(sent) => self.consume(sent),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(socket.poll_write_ready(cx))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// True if the front is a cold range: a thread reads it now.
    fn start_read_ahead(&mut self) -> io::Result<bool> {
        let Some(Item::File { slice, resident_until }) = self.items.front_mut() else { return Ok(false) };
        if *resident_until > slice.position {
            return Ok(false);
        }
        let end = slice.position + slice.len.min(STEP_BYTES) as u64;
        *resident_until = end;
        let fd = slice.file.as_raw_fd();
        if is_resident(fd, slice.position, end)? {
            return Ok(false);
        }
        let (file, position) = (slice.file.clone(), slice.position);
        self.read_ahead =
            Some(tokio::task::spawn_blocking(move || read_through(file.as_raw_fd(), position, end)));
        Ok(true)
    }

    fn send_some(&mut self, socket: &TcpStream) -> io::Result<usize> {
        match self.items.front() {
            Some(Item::File { slice, resident_until }) => {
                let len = (*resident_until - slice.position).min(slice.len as u64) as usize;
                let (file, position) = (slice.file.as_raw_fd(), slice.position);
                socket.try_io(Interest::WRITABLE, || send_file(socket.as_raw_fd(), file, position, len))
            }
            _ => self.send_memory(socket),
        }
    }

    fn send_memory(&mut self, socket: &TcpStream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        let mut file_follows = false;
        for item in &self.items {
            match item {
                Item::Memory(bytes) if count < SLICES_MAX => {
                    slices[count] = IoSlice::new(bytes);
                    count += 1;
                }
                Item::Memory(_) => break,
                Item::File { .. } => {
                    file_follows = true;
                    break;
                }
            }
        }
        let slices = &slices[..count];
        if file_follows {
            // The header and the first records belong into one packet.
            socket.try_io(Interest::WRITABLE, || send_more(socket.as_raw_fd(), slices))
        } else if let [only] = slices {
            // One piece is the rule, and `send` is cheaper than `writev`.
            socket.try_write(only)
        } else {
            socket.try_write_vectored(slices)
        }
    }

    fn consume(&mut self, mut sent: usize) {
        self.bytes -= sent;
        while sent > 0 {
            let finished = match self.items.front_mut() {
                Some(Item::Memory(bytes)) => {
                    let n = sent.min(bytes.len());
                    bytes::Buf::advance(bytes, n);
                    sent -= n;
                    bytes.is_empty()
                }
                Some(Item::File { slice, .. }) => {
                    let n = sent.min(slice.len);
                    slice.position += n as u64;
                    slice.len -= n;
                    sent -= n;
                    slice.len == 0
                }
                None => return,
            };
            if finished {
                self.items.pop_front();
            }
        }
    }
}

fn check(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn send_file(socket: RawFd, file: RawFd, position: u64, len: usize) -> io::Result<usize> {
    let mut offset = position as libc::off_t;
    // SAFETY: both descriptors are open while the call runs, and `offset` outlives it.
    let sent = check(unsafe { libc::sendfile(socket, file, &mut offset, len) })?;
    if sent == 0 {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the log file is shorter than its index says",
        ));
    }
    Ok(sent)
}

fn send_more(socket: RawFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: an all-zero msghdr is a valid empty one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // `IoSlice` has the layout of `iovec`.
    message.msg_iov = slices.as_ptr().cast_mut().cast();
    message.msg_iovlen = slices.len();
    // SAFETY: the slices live across the call and are only read.
    check(unsafe { libc::sendmsg(socket, &message, libc::MSG_MORE | libc::MSG_NOSIGNAL) })
}

/// Asks the page cache for a byte of every 128 KiB, and for the last one.
fn is_resident(file: RawFd, position: u64, end: u64) -> io::Result<bool> {
    let mut at = position;
    while at < end {
        if !probe(file, at)? {
            return Ok(false);
        }
        at += PROBE_EVERY_BYTES;
    }
    if end - position > PAGE_BYTES { probe(file, end - 1) } else { Ok(true) }
}

fn probe(file: RawFd, position: u64) -> io::Result<bool> {
    let mut byte = 0u8;
    let slot = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    // SAFETY: the one-byte buffer lives across the call.
    let got = check(unsafe { libc::preadv2(file, &slot, 1, position as libc::off_t, libc::RWF_NOWAIT) });
    match got {
        Ok(_) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(false),
        // A file system without RWF_NOWAIT: assume the best, as Kafka does.
        Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(true),
        Err(e) => Err(e),
    }
}

/// Reads a range into the page cache.
fn read_through(file: RawFd, position: u64, end: u64) -> io::Result<()> {
    let mut scratch = vec![0u8; 128 << 10];
    let mut at = position;
    while at < end {
        let len = scratch.len().min((end - at) as usize);
        // SAFETY: `scratch` is at least `len` bytes and lives across the call.
        let n = check(unsafe { libc::pread(file, scratch.as_mut_ptr().cast(), len, at as libc::off_t) })?;
        if n == 0 {
            break;
        }
        at += n as u64;
    }
    Ok(())
}
