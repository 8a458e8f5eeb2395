//! Records of v2 batches, walked without allocating.
//!
//! ```text
//! record = size varint (bytes after it), attributes i8 (0), timestamp_delta varlong, offset_delta varint,
//!          key_size varint (negative: null), key, value_size varint (negative: null), value,
//!          header_count varint, header*
//! header = key_size varint, key (UTF-8), value_size varint (negative: null), value
//! ```
//!
//! What is accepted is what Kafka 2.8.2 accepts (`common/record/DefaultRecord.java`,
//! `DefaultRecordBatch.java`): the declared number of records, each exactly as long as it says, then nothing.

use super::RecordsError;
use super::batch::{BatchInfo, Compression, TimestampType, V2_HEADER_SIZE};
use super::builder::RawHeaders;
use super::compression::{Decoder, Limits, Window, decompress_into};
use super::varint::{self, MAX_VARINT_SIZE, MAX_VARLONG_SIZE, VarintError};
use std::borrow::Cow;

const PREMATURE_END: RecordsError =
    RecordsError::Invalid("Incorrect declared batch size, premature EOF reached");
const BYTES_LEFT: RecordsError =
    RecordsError::Invalid("Incorrect declared batch size, records still remaining in file");
const BAD_COUNT: RecordsError = RecordsError::Invalid("Found invalid record count in magic v2 batch");
const BAD_STRUCTURE: RecordsError = RecordsError::Invalid("Found invalid record structure");
const BAD_SIZE: RecordsError = RecordsError::Invalid("Invalid record size");
const BAD_HEADER_COUNT: RecordsError = RecordsError::Invalid("Found invalid number of record headers");
const BAD_HEADER_KEY: RecordsError = RecordsError::Invalid("Invalid negative header key size");

/// The numbers of one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecordHead {
    /// Added to the batch's base timestamp.
    pub timestamp_delta: i64,
    /// Added to the batch's base offset.
    pub offset_delta: i32,
    /// Bytes of the key; negative: null.
    pub key_size: i32,
    /// Bytes of the value; negative: null.
    pub value_size: i32,
    /// Number of headers.
    pub header_count: i32,
    /// Position of the key in the bytes that were parsed; meaningless for a streamed record.
    pub key_at: usize,
    /// Position of the value, likewise.
    pub value_at: usize,
    /// Position of the first header, likewise.
    pub headers_at: usize,
    /// Bytes of the whole record, its size field included.
    pub size_bytes: usize,
}

impl RecordHead {
    /// The record's timestamp, which in a batch with append time is the batch's.
    #[inline(always)]
    pub fn timestamp(&self, info: &BatchInfo) -> i64 {
        if info.timestamp_type() == TimestampType::LogAppendTime {
            info.max_timestamp
        } else {
            info.base_timestamp.wrapping_add(self.timestamp_delta)
        }
    }
}

impl From<VarintError> for RecordsError {
    fn from(_: VarintError) -> Self {
        BAD_STRUCTURE
    }
}

/// Reads a length and steps over as many bytes of `body`; negative lengths stand for null.
#[inline(always)]
fn step_over(body: &[u8], at: &mut usize) -> Result<i32, RecordsError> {
    let size = varint::read_i32(body, at)?;
    if size > 0 {
        if size as usize > body.len() - *at {
            return Err(BAD_STRUCTURE);
        }
        *at += size as usize;
    }
    Ok(size)
}

fn step_over_headers(body: &[u8], at: &mut usize, count: i32) -> Result<(), RecordsError> {
    if count < 0 || count as usize > body.len() - *at {
        return Err(BAD_HEADER_COUNT);
    }
    for _ in 0..count {
        if step_over(body, at)? < 0 {
            return Err(BAD_HEADER_KEY);
        }
        step_over(body, at)?;
    }
    Ok(())
}

/// Parses the record that begins at `bytes[0]`; `None` if `bytes` ends within it.
#[inline(always)]
pub(super) fn parse(bytes: &[u8]) -> Result<Option<RecordHead>, RecordsError> {
    let mut at = 0;
    let size = match varint::read_i32(bytes, &mut at) {
        Ok(size) => size,
        Err(VarintError::Cut) => return Ok(None),
        Err(VarintError::TooLong) => return Err(BAD_STRUCTURE),
    };
    if size < 0 {
        return Err(BAD_SIZE);
    }
    if size as usize > bytes.len() - at {
        return Ok(None);
    }
    let body = &bytes[..at + size as usize];
    // The attributes; Kafka looks at none of their bits.
    at += 1;
    let timestamp_delta = varint::read_i64(body, &mut at)?;
    let offset_delta = varint::read_i32(body, &mut at)?;
    let key_size = step_over(body, &mut at)?;
    let key_at = at - key_size.max(0) as usize;
    let value_size = step_over(body, &mut at)?;
    let value_at = at - value_size.max(0) as usize;
    let header_count = varint::read_i32(body, &mut at)?;
    let headers_at = at;
    if header_count != 0 {
        step_over_headers(body, &mut at, header_count)?;
    }
    if at != body.len() {
        return Err(BAD_SIZE);
    }
    Ok(Some(RecordHead {
        timestamp_delta,
        offset_delta,
        key_size,
        value_size,
        header_count,
        key_at,
        value_at,
        headers_at,
        size_bytes: at,
    }))
}

/// The records of `batch`, the bytes of `info`, as they are without compression: at most `buffer_bytes`.
pub(super) fn decompressed<'a>(
    info: &BatchInfo,
    batch: &'a [u8],
    buffer_bytes: usize,
) -> Result<Cow<'a, [u8]>, RecordsError> {
    let records = &batch[V2_HEADER_SIZE..info.size_bytes];
    match info.compression()? {
        Compression::None => Ok(Cow::Borrowed(records)),
        compression => {
            let mut out = Vec::new();
            decompress_into(compression, info.magic, records, buffer_bytes, &mut out)?;
            Ok(Cow::Owned(out))
        }
    }
}

/// As [`walk`], over records that were decompressed; `visit` gets the bytes too and may stop with an error.
#[inline]
pub(super) fn walk_records<E: From<RecordsError>>(
    info: &BatchInfo,
    mut records: &[u8],
    mut visit: impl FnMut(&RecordHead, &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    if info.records_count < 0 {
        return Err(BAD_COUNT.into());
    }
    for _ in 0..info.records_count {
        let head = parse(records)?.ok_or(PREMATURE_END)?;
        let (record, rest) = records.split_at(head.size_bytes);
        visit(&head, record)?;
        records = rest;
    }
    if records.is_empty() { Ok(()) } else { Err(BYTES_LEFT.into()) }
}

/// The parts of `record`, whose numbers are `head`: key, value, headers.
pub(super) fn parts<'a>(
    head: &RecordHead,
    record: &'a [u8],
) -> (Option<&'a [u8]>, Option<&'a [u8]>, RawHeaders<'a>) {
    let field = |at: usize, size: i32| usize::try_from(size).ok().map(|size| &record[at..at + size]);
    let headers = RawHeaders { count: head.header_count, bytes: &record[head.headers_at..] };
    (field(head.key_at, head.key_size), field(head.value_at, head.value_size), headers)
}

/// Calls `visit` with every record of `batch`, the bytes of `info`; checks the structure of all.
///
/// Compressed records come out of a window of constant size; `limits.walk_bytes` bounds how many.
#[inline]
pub fn walk(
    info: &BatchInfo,
    batch: &[u8],
    limits: &Limits,
    mut visit: impl FnMut(&RecordHead),
) -> Result<(), RecordsError> {
    if info.records_count < 0 {
        return Err(BAD_COUNT);
    }
    if info.records_count == 0 {
        // Kafka does not open it. Compaction leaves such batches, to keep their sequences.
        return Ok(());
    }
    let records = &batch[V2_HEADER_SIZE..info.size_bytes];
    match info.compression().map_err(RecordsError::Batch)? {
        Compression::None => walk_records(info, records, |head, _| {
            visit(head);
            Ok(())
        }),
        compression => {
            let decoder = Decoder::new(compression, info.magic, records, limits.walk_bytes)?;
            walk_window(Window::new(decoder), info.records_count, &mut visit)
        }
    }
}

fn walk_window(
    mut window: Window<'_>,
    count: i32,
    visit: &mut impl FnMut(&RecordHead),
) -> Result<(), RecordsError> {
    for _ in 0..count {
        let head = loop {
            if let Some(head) = parse(window.ready())? {
                window.consume(head.size_bytes);
                break head;
            }
            if !window.more()? {
                break walk_long_record(&mut window)?;
            }
        };
        visit(&head);
    }
    if window.ready().is_empty() && !window.more()? { Ok(()) } else { Err(BYTES_LEFT) }
}

/// A record that is larger than the window, piece by piece.
struct LongRecord<'a, 'b> {
    window: &'a mut Window<'b>,
    /// Bytes of the record that were not read yet.
    left: usize,
}

impl LongRecord<'_, '_> {
    fn number<T>(
        &mut self,
        max_size: usize,
        read: impl Fn(&[u8], &mut usize) -> Result<T, VarintError>,
    ) -> Result<T, RecordsError> {
        while self.window.ready().len() < max_size.min(self.left) && self.window.more()? {}
        let ready = self.window.ready();
        let mut at = 0;
        let number = read(&ready[..ready.len().min(self.left)], &mut at)?;
        self.window.consume(at);
        self.left -= at;
        Ok(number)
    }

    fn int(&mut self) -> Result<i32, RecordsError> {
        self.number(MAX_VARINT_SIZE, varint::read_i32)
    }

    fn skip(&mut self, count: usize) -> Result<(), RecordsError> {
        if count > self.left {
            return Err(BAD_STRUCTURE);
        }
        self.left -= count;
        if self.window.skip(count)? { Ok(()) } else { Err(PREMATURE_END) }
    }

    fn step_over(&mut self) -> Result<i32, RecordsError> {
        let size = self.int()?;
        self.skip(size.max(0) as usize)?;
        Ok(size)
    }
}

fn walk_long_record(window: &mut Window<'_>) -> Result<RecordHead, RecordsError> {
    if window.ready().is_empty() {
        return Err(PREMATURE_END);
    }
    let mut record = LongRecord { window, left: MAX_VARINT_SIZE };
    let size = record.int().map_err(|_| PREMATURE_END)?;
    let size_size = MAX_VARINT_SIZE - record.left;
    record.left = usize::try_from(size).map_err(|_| BAD_SIZE)?;
    record.skip(1)?;
    let head = RecordHead {
        timestamp_delta: record.number(MAX_VARLONG_SIZE, varint::read_i64)?,
        offset_delta: record.int()?,
        key_size: record.step_over()?,
        value_size: record.step_over()?,
        header_count: record.int()?,
        size_bytes: size_size + size as usize,
        ..RecordHead::default()
    };
    if head.header_count < 0 || head.header_count as usize > record.left {
        return Err(BAD_HEADER_COUNT);
    }
    for _ in 0..head.header_count {
        if record.step_over()? < 0 {
            return Err(BAD_HEADER_KEY);
        }
        record.step_over()?;
    }
    if record.left != 0 {
        return Err(BAD_SIZE);
    }
    Ok(head)
}

#[cfg(test)]
mod tests;
