//! Records as owned values, sharing the bytes that they came in: for tools, coordinators and conversion.

use super::RecordsError;
use super::batch::{
    BatchError, BatchInfo, Batches, Compression, NO_SEQUENCE, V2_HEADER_SIZE, increment_sequence,
};
use super::compression::{Limits, decompress_into};
use super::legacy::LegacySet;
use super::{v2, varint};
use crate::common::Offset;
use bytes::Bytes;
use std::borrow::Cow;

/// A header of a v2 record.
#[derive(Clone, PartialEq, Eq, Debug, Hash, Default)]
pub struct Header {
    /// UTF-8 by contract, not checked.
    pub key: Bytes,
    /// Null or bytes.
    pub value: Option<Bytes>,
}

impl Header {
    /// The key as text; what is not UTF-8 becomes U+FFFD, as in Kafka.
    pub fn key_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.key)
    }
}

/// One record of any format.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// Position in the partition (in a producer's batch: from 0).
    pub offset: Offset,
    /// Milliseconds since 1970, -1: none. In a batch with append time the batch's.
    pub timestamp: i64,
    /// Sequence of an idempotent producer, -1: none.
    pub sequence: i32,
    /// Null or bytes.
    pub key: Option<Bytes>,
    /// Null (a tombstone) or bytes.
    pub value: Option<Bytes>,
    /// Headers (v2).
    pub headers: Vec<Header>,
}

/// The records of one batch. Iteration ends after an error.
#[derive(Debug)]
pub struct Records {
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    V2(V2Records),
    Legacy(std::vec::IntoIter<Record>),
}

#[derive(Debug)]
struct V2Records {
    info: BatchInfo,
    /// The records that were not returned yet, decompressed.
    rest: Bytes,
    left: i32,
}

impl Records {
    /// Opens `batch`, the bytes of `info`. Compressed ones are decompressed at once, to at most
    /// `limits.buffer_bytes`. Checks no checksum of the batch itself.
    pub fn open(info: &BatchInfo, batch: &Bytes, limits: &Limits) -> Result<Records, RecordsError> {
        if batch.len() < info.size_bytes {
            return Err(BatchError::Incomplete { needed: info.size_bytes }.into());
        }
        if info.magic < 2 {
            return Ok(Records { inner: Inner::Legacy(legacy_records(info, batch, limits)?.into_iter()) });
        }
        if info.records_count < 0 {
            return Err(RecordsError::Invalid("Found invalid record count in magic v2 batch"));
        }
        let rest = match info.compression()? {
            Compression::None => batch.slice(V2_HEADER_SIZE..info.size_bytes),
            // Kafka does not open a batch without records: compaction leaves such.
            _ if info.records_count == 0 => Bytes::new(),
            compression => {
                let mut records = Vec::new();
                let compressed = &batch[V2_HEADER_SIZE..info.size_bytes];
                decompress_into(compression, info.magic, compressed, limits.buffer_bytes, &mut records)?;
                records.into()
            }
        };
        Ok(Records { inner: Inner::V2(V2Records { info: *info, rest, left: info.records_count }) })
    }
}

fn legacy_records(info: &BatchInfo, batch: &Bytes, limits: &Limits) -> Result<Vec<Record>, RecordsError> {
    let set = LegacySet::open(info, batch, limits)?;
    let mut records = Vec::new();
    for record in set.records() {
        let record = record?;
        records.push(Record {
            offset: record.offset,
            timestamp: record.timestamp,
            sequence: NO_SEQUENCE,
            key: record.key.map(Bytes::copy_from_slice),
            value: record.value.map(Bytes::copy_from_slice),
            headers: Vec::new(),
        });
    }
    Ok(records)
}

impl Iterator for Records {
    type Item = Result<Record, RecordsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.inner {
            Inner::Legacy(records) => records.next().map(Ok),
            Inner::V2(records) => records.next(),
        }
    }
}

impl V2Records {
    fn next(&mut self) -> Option<Result<Record, RecordsError>> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }

    fn read(&mut self) -> Result<Record, RecordsError> {
        let head = v2::parse(&self.rest)?
            .ok_or(RecordsError::Invalid("Incorrect declared batch size, premature EOF reached"))?;
        let bytes = self.rest.split_to(head.size_bytes);
        if self.left == 0 && !self.rest.is_empty() {
            return Err(RecordsError::Invalid(
                "Incorrect declared batch size, records still remaining in file",
            ));
        }
        let field = |at: usize, size: i32| usize::try_from(size).ok().map(|size| bytes.slice(at..at + size));
        let sequence = match self.info.base_sequence {
            base if base < 0 => NO_SEQUENCE,
            base => increment_sequence(base, head.offset_delta),
        };
        Ok(Record {
            offset: self.info.base_offset.wrapping_add(i64::from(head.offset_delta)),
            timestamp: head.timestamp(&self.info),
            sequence,
            key: field(head.key_at, head.key_size),
            value: field(head.value_at, head.value_size),
            headers: read_headers(&bytes, head.headers_at, head.header_count)?,
        })
    }
}

fn read_headers(record: &Bytes, mut at: usize, count: i32) -> Result<Vec<Header>, RecordsError> {
    // `parse` checked that each of them takes at least two bytes of the record.
    let mut headers = Vec::with_capacity(count as usize);
    for _ in 0..count {
        let mut field = || -> Result<Option<Bytes>, RecordsError> {
            let size = varint::read_i32(record, &mut at)?;
            let Ok(size) = usize::try_from(size) else { return Ok(None) };
            at += size;
            Ok(Some(record.slice(at - size..at)))
        };
        let key = field()?.unwrap_or_default();
        headers.push(Header { key, value: field()? });
    }
    Ok(headers)
}

/// All records of all whole batches of `set` (control batches included), as a list: for small sets.
pub fn read_all(set: &Bytes, limits: &Limits) -> Result<Vec<Record>, RecordsError> {
    let mut all = Vec::new();
    for batch in Batches::new(set) {
        let (info, bytes) = batch?;
        for record in Records::open(&info, &set.slice_ref(bytes), limits)? {
            all.push(record?);
        }
    }
    Ok(all)
}
