//! The four codecs: bounded streaming decompression, and compression of a whole batch.
//!
//! ```text
//! gzip   = RFC 1952, members one after another
//! snappy = 82 'S' 'N' 'A' 'P' 'P' 'Y' 00, version i32, compatible_version i32, (size i32, raw block)*
//!          or (read only) one bare raw block
//! lz4    = an LZ4 frame of independent blocks; see `lz4` for the header checksum of message format 0
//! zstd   = RFC 8878 frames
//! ```
//!
//! Memory: reading takes a window of [`WINDOW_SIZE`] and what the codec itself needs, however large the output.
//! The exceptions are bounded by their input: an LZ4 block (at most 4 MiB), a snappy block (at most 32 times
//! its compressed bytes), a zstd window (at most 128 MiB, touched only as far as data is written to it).
//!
//! Source: Kafka 2.8.2, `common/record/CompressionType.java`; snappy-java for its framing.

use super::batch::Compression;
use std::cell::RefCell;
use std::fmt;

mod lz4;
mod snappy;
mod zstd;

/// Bytes that decompression produces at a time: enough for a whole block of every codec's usual framing.
pub const WINDOW_SIZE: usize = 256 * 1024;

/// How much may come out of one compressed batch.
///
/// Kafka has no such bounds; its own are the heap and that a client counts a batch's bytes in an int. These
/// defaults are above what an Apache broker with its default heap can take, so they refuse bombs only.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Where records are only walked, in constant memory: bounds the time. Default: 2 GiB - 1.
    pub walk_bytes: u64,
    /// Where the records must be in memory (conversion, change of codec, reading them): bounds the memory.
    /// Default: 256 MiB.
    pub buffer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { walk_bytes: i32::MAX as u64, buffer_bytes: 256 * 1024 * 1024 }
    }
}

impl Limits {
    /// Defaults, raised where a topic allows batches so large that a ratio of 64 would pass them.
    pub fn for_max_message_bytes(max_message_bytes: usize) -> Limits {
        let default = Limits::default();
        Limits { buffer_bytes: default.buffer_bytes.max(max_message_bytes.saturating_mul(64)), ..default }
    }
}

/// Why compressed bytes could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CodecError {
    /// They are not what the codec writes.
    Malformed(&'static str),
    /// They end too early.
    Cut,
    /// More comes out than is allowed.
    TooLarge {
        /// The bound in bytes.
        limit: u64,
    },
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodecError::Malformed(what) => write!(f, "Failed to decompress record stream: {what}"),
            CodecError::Cut => f.write_str("Compressed record stream ends too early"),
            CodecError::TooLarge { limit } => {
                write!(f, "More than {limit} bytes come out of a compressed batch")
            }
        }
    }
}

impl std::error::Error for CodecError {}

enum Inner<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::GzDecoder<&'a [u8]>>),
    Snappy(snappy::Decoder<'a>),
    Lz4(lz4::Decoder<'a>),
    Zstd(zstd::Decoder<'a>),
}

/// A stream of decompressed bytes.
pub struct Decoder<'a> {
    inner: Inner<'a>,
    limit: u64,
    left: u64,
}

impl<'a> Decoder<'a> {
    /// Begins to read `input`, which a batch of format `magic` carries; at most `limit` bytes come out.
    pub fn new(
        compression: Compression,
        magic: i8,
        input: &'a [u8],
        limit: u64,
    ) -> Result<Decoder<'a>, CodecError> {
        let inner = match compression {
            Compression::None => Inner::None(input),
            Compression::Gzip => Inner::Gzip(Box::new(flate2::bufread::GzDecoder::new(input))),
            Compression::Snappy => Inner::Snappy(snappy::Decoder::new(input)?),
            Compression::Lz4 => Inner::Lz4(lz4::Decoder::new(input, magic == 0)?),
            Compression::Zstd => Inner::Zstd(zstd::Decoder::new(input)),
        };
        Ok(Decoder { inner, limit, left: limit })
    }

    /// Writes the next bytes to `out` and says how many; 0 at the end. `out` must not be empty; with
    /// [`WINDOW_SIZE`] bytes no codec needs to copy.
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, CodecError> {
        let count = match &mut self.inner {
            Inner::None(input) => {
                let count = input.len().min(out.len());
                out[..count].copy_from_slice(&input[..count]);
                *input = &input[count..];
                count
            }
            Inner::Gzip(decoder) => read_gzip(decoder, out)?,
            Inner::Snappy(decoder) => decoder.read(out, self.left, self.limit)?,
            Inner::Lz4(decoder) => decoder.read(out)?,
            Inner::Zstd(decoder) => decoder.read(out)?,
        };
        self.left = self.left.checked_sub(count as u64).ok_or(CodecError::TooLarge { limit: self.limit })?;
        Ok(count)
    }
}

fn read_gzip(decoder: &mut flate2::bufread::GzDecoder<&[u8]>, out: &mut [u8]) -> Result<usize, CodecError> {
    use std::io::Read;
    loop {
        match decoder.read(out) {
            Ok(0) => {
                // Another member, or (as in Java) anything, which is ignored.
                let rest = *decoder.get_ref();
                if !rest.starts_with(&[0x1f, 0x8b, 8]) {
                    return Ok(0);
                }
                *decoder = flate2::bufread::GzDecoder::new(rest);
            }
            Ok(count) => return Ok(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(CodecError::Cut),
            Err(_) => return Err(CodecError::Malformed("not a gzip stream")),
        }
    }
}

/// Appends everything that comes out of `input` to `out`; at most `limit` bytes.
pub fn decompress_into(
    compression: Compression,
    magic: i8,
    input: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let mut decoder = Decoder::new(compression, magic, input, limit as u64)?;
    let mut end = out.len();
    // Grows with what came out, never by what the input claims.
    let mut step = (input.len() * 3).clamp(1024, WINDOW_SIZE);
    loop {
        out.resize(end + step, 0);
        let count = decoder.read(&mut out[end..]);
        if !matches!(count, Ok(count) if count > 0) {
            out.truncate(end);
            return count.map(|_| ());
        }
        end += count.unwrap_or(0);
        step = (end / 2).clamp(step, 8 * WINDOW_SIZE);
    }
}

/// Input up to this is packed as tightly as gzip can.
const SMALL_INPUT: usize = 1024;

/// Appends `input`, compressed for a batch of format `magic`, to `out`.
pub fn compress(compression: Compression, magic: i8, input: &[u8], out: &mut Vec<u8>) {
    use std::io::Write;
    match compression {
        Compression::None => out.extend_from_slice(input),
        Compression::Gzip => {
            // zlib finds repetitions of three bytes at any level, zlib-rs at the highest only. For little input that
            // costs nothing, and sizes are those of other producers.
            let level =
                if input.len() <= SMALL_INPUT { flate2::Compression::best() } else { Default::default() };
            let mut encoder = flate2::write::GzEncoder::new(&mut *out, level);
            encoder
                .write_all(input)
                .and_then(|()| encoder.finish().map(|_| ()))
                .expect("a Vec takes everything");
        }
        Compression::Snappy => snappy::compress(input, out),
        Compression::Lz4 => lz4::compress(input, magic == 0, out),
        Compression::Zstd => zstd::compress(input, out),
    }
}

thread_local! {
    static WINDOW: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A sliding view over a decompressed stream, in a buffer that the thread keeps for the next one.
pub(super) struct Window<'a> {
    decoder: Decoder<'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    finished: bool,
}

impl<'a> Window<'a> {
    pub(super) fn new(decoder: Decoder<'a>) -> Window<'a> {
        let mut buffer = WINDOW.with(|window| std::mem::take(&mut *window.borrow_mut()));
        // Twice, so that after the unread tail was moved to the front a whole block still fits behind it.
        buffer.resize(2 * WINDOW_SIZE, 0);
        Window { decoder, buffer, start: 0, end: 0, finished: false }
    }

    /// The bytes that are ready.
    pub(super) fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Takes the first `count` of the ready bytes away.
    pub(super) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
    }

    /// Makes more bytes ready; false at the end of the stream, or if [`WINDOW_SIZE`] bytes are ready already.
    pub(super) fn more(&mut self) -> Result<bool, CodecError> {
        if self.finished || self.end - self.start >= WINDOW_SIZE {
            return Ok(false);
        }
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let count = self.decoder.read(&mut self.buffer[self.end..])?;
        self.end += count;
        self.finished = count == 0;
        Ok(count > 0)
    }

    /// Takes `count` bytes away, ready or not; false if the stream ends before.
    pub(super) fn skip(&mut self, mut count: usize) -> Result<bool, CodecError> {
        loop {
            let ready = (self.end - self.start).min(count);
            self.consume(ready);
            count -= ready;
            if count == 0 {
                return Ok(true);
            }
            if !self.more()? {
                return Ok(false);
            }
        }
    }
}

impl Drop for Window<'_> {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        WINDOW.with(|window| *window.borrow_mut() = buffer);
    }
}

#[cfg(test)]
mod tests;
