//! Making batches: one v2 batch, or a set of v0/v1 entries (compressed: one wrapper).
//!
//! What comes out is what Kafka 2.8.2's `MemoryRecordsBuilder` writes, up to the codecs' freedom.

use super::batch::{
    ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_SEQUENCE_AT, BASE_TIMESTAMP_AT, CONTROL_BIT, CRC_AT, Compression,
    LAST_OFFSET_DELTA_AT, LEADER_EPOCH_AT, LEGACY_ATTRIBUTES_AT, LEGACY_CRC_AT, LEGACY_TIMESTAMP_AT,
    LOG_APPEND_TIME_BIT, LOG_OVERHEAD, MAGIC_AT, MAX_TIMESTAMP_AT, NO_SEQUENCE, NO_TIMESTAMP,
    PRODUCER_EPOCH_AT, PRODUCER_ID_AT, RECORDS_COUNT_AT, SIZE_AT, TRANSACTIONAL_BIT, V2_HEADER_SIZE,
    compute_crc,
};
use super::reader::Header;
use super::{compression, varint};
use crate::common::ids::{NO_LEADER_EPOCH, NO_PRODUCER_ID};
use crate::common::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use bytes::Bytes;
use std::fmt;

/// What a batch says besides its records. The default is what a plain producer sends.
#[derive(Clone, PartialEq, Debug)]
pub struct BatchOptions {
    /// Format: 0, 1 or 2.
    pub magic: i8,
    /// Codec of the records.
    pub compression: Compression,
    /// Offset of the first record.
    pub base_offset: Offset,
    /// `Some`: append time, for all records.
    pub log_append_time: Option<i64>,
    /// -1: none. v2 only, as all that follows.
    pub producer_id: ProducerId,
    /// -1: none.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of the first record, -1: none.
    pub base_sequence: i32,
    /// Part of a transaction.
    pub transactional: bool,
    /// A control batch.
    pub control: bool,
    /// -1 until a leader appends it.
    pub partition_leader_epoch: LeaderEpoch,
}

impl Default for BatchOptions {
    fn default() -> Self {
        BatchOptions {
            magic: 2,
            compression: Compression::None,
            base_offset: 0,
            log_append_time: None,
            producer_id: NO_PRODUCER_ID,
            producer_epoch: -1,
            base_sequence: NO_SEQUENCE,
            transactional: false,
            control: false,
            partition_leader_epoch: NO_LEADER_EPOCH,
        }
    }
}

/// Why a record does not go into a batch. Kafka throws IllegalArgumentException in these cases.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BuildError {
    /// Negative and not -1.
    InvalidTimestamp(i64),
    /// Formats 0 and 1 have no headers.
    HeadersNeedV2,
    /// Formats 0 and 1 have no zstd.
    ZstdNeedsV2,
    /// Formats 0 and 1 have no producer ids, transactions and control batches.
    ProducerNeedsV2,
    /// Not above the one before, or too far from the base offset.
    InvalidOffset(Offset),
    /// A key, value or batch does not fit into the 31 bits of its length.
    TooLarge,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::InvalidTimestamp(timestamp) => write!(f, "Invalid negative timestamp {timestamp}"),
            BuildError::HeadersNeedV2 => f.write_str("Magic v0 and v1 do not support record headers"),
            BuildError::ZstdNeedsV2 => {
                f.write_str("ZStandard compression is not supported for magic v0 and v1")
            }
            BuildError::ProducerNeedsV2 => f.write_str(
                "Idempotent, transactional and control records are not supported for magic v0 and v1",
            ),
            BuildError::InvalidOffset(offset) => write!(f, "Illegal offset {offset}"),
            BuildError::TooLarge => f.write_str("Record or batch is too large"),
        }
    }
}

impl std::error::Error for BuildError {}

/// Collects records, then makes the batch. Records are compressed at the end, in one piece.
#[derive(Debug)]
pub struct BatchBuilder {
    options: BatchOptions,
    /// Room for the header, then the records as they are before compression.
    bytes: Vec<u8>,
    base_timestamp: i64,
    max_timestamp: i64,
    last_offset: Option<Offset>,
    count: i32,
}

/// Headers as they stand in a v2 record, after their count.
#[derive(Clone, Copy)]
pub(super) struct RawHeaders<'a> {
    pub(super) count: i32,
    pub(super) bytes: &'a [u8],
}

impl RawHeaders<'_> {
    pub(super) const NONE: RawHeaders<'static> = RawHeaders { count: 0, bytes: &[] };
}

fn write_field(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::write_i32(out, -1),
        Some(field) => {
            varint::write_i32(out, field.len() as i32);
            out.extend_from_slice(field);
        }
    }
}

/// Bytes before the records: a v2 header, or the wrapper of a compressed v0/v1 set.
fn header_size(options: &BatchOptions) -> usize {
    match (options.magic, options.compression) {
        (2.., _) => V2_HEADER_SIZE,
        (_, Compression::None) => 0,
        (0, _) => LOG_OVERHEAD + super::batch::V0_OVERHEAD,
        (_, _) => LOG_OVERHEAD + super::batch::V1_OVERHEAD,
    }
}

fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

impl BatchBuilder {
    /// Begins a batch.
    pub fn new(options: BatchOptions) -> Result<BatchBuilder, BuildError> {
        if options.magic < 2 {
            if options.compression == Compression::Zstd {
                return Err(BuildError::ZstdNeedsV2);
            }
            if options.transactional || options.control || options.producer_id != NO_PRODUCER_ID {
                return Err(BuildError::ProducerNeedsV2);
            }
        }
        let bytes = vec![0; header_size(&options)];
        Ok(BatchBuilder {
            options,
            bytes,
            base_timestamp: NO_TIMESTAMP,
            max_timestamp: NO_TIMESTAMP,
            last_offset: None,
            count: 0,
        })
    }

    /// Number of records so far.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// True before the first record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch so far, before compression.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a record at the next offset.
    pub fn append(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        self.append_at(self.next_offset(), timestamp, key, value, headers)
    }

    /// The offset of the next [`BatchBuilder::append`].
    pub fn next_offset(&self) -> Offset {
        self.last_offset.map_or(self.options.base_offset, |last| last + 1)
    }

    /// Adds a record at `offset`, which is above that of the record before.
    pub fn append_at(
        &mut self,
        offset: Offset,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[Header],
    ) -> Result<(), BuildError> {
        if headers.is_empty() {
            return self.append_raw(offset, timestamp, key, value, RawHeaders::NONE);
        }
        let mut bytes = Vec::new();
        for header in headers {
            write_field(&mut bytes, Some(&header.key));
            write_field(&mut bytes, header.value.as_deref());
        }
        let headers = RawHeaders { count: headers.len() as i32, bytes: &bytes };
        self.append_raw(offset, timestamp, key, value, headers)
    }

    /// As [`BatchBuilder::append_at`], with the headers as they stand in a v2 record.
    pub(super) fn append_raw(
        &mut self,
        offset: Offset,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: RawHeaders<'_>,
    ) -> Result<(), BuildError> {
        if timestamp < NO_TIMESTAMP {
            return Err(BuildError::InvalidTimestamp(timestamp));
        }
        let delta = offset.checked_sub(self.options.base_offset).and_then(|delta| i32::try_from(delta).ok());
        let delta = match delta {
            Some(delta) if delta >= 0 && self.last_offset.is_none_or(|last| offset > last) => delta,
            _ => return Err(BuildError::InvalidOffset(offset)),
        };
        let size = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + headers.bytes.len();
        if self.bytes.len() + size > i32::MAX as usize - 1024 || self.count == i32::MAX {
            return Err(BuildError::TooLarge);
        }
        if self.options.magic == 2 {
            if self.count == 0 {
                self.base_timestamp = timestamp;
            }
            self.write_v2(delta, timestamp, key, value, headers);
        } else if headers.count == 0 {
            self.write_legacy(offset, delta, timestamp, key, value);
        } else {
            return Err(BuildError::HeadersNeedV2);
        }
        if self.options.magic > 0 {
            self.max_timestamp = self.max_timestamp.max(timestamp);
        }
        self.last_offset = Some(offset);
        self.count += 1;
        Ok(())
    }

    fn write_v2(
        &mut self,
        offset_delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: RawHeaders<'_>,
    ) {
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let field_size =
            |field: Option<&[u8]>| field.map_or(1, |f| varint::size_i32(f.len() as i32) + f.len());
        let size = 1
            + varint::size_i64(timestamp_delta)
            + varint::size_i32(offset_delta)
            + field_size(key)
            + field_size(value)
            + varint::size_i32(headers.count)
            + headers.bytes.len();
        let out = &mut self.bytes;
        varint::write_i32(out, size as i32);
        out.push(0);
        varint::write_i64(out, timestamp_delta);
        varint::write_i32(out, offset_delta);
        write_field(out, key);
        write_field(out, value);
        varint::write_i32(out, headers.count);
        out.extend_from_slice(headers.bytes);
    }

    fn write_legacy(
        &mut self,
        offset: Offset,
        delta: i32,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let relative = self.options.magic == 1 && self.options.compression != Compression::None;
        let offset = if relative { i64::from(delta) } else { offset };
        let start = self.bytes.len();
        let timestamp = self.options.log_append_time.unwrap_or(timestamp);
        self.write_entry_header(offset, Compression::None, timestamp);
        for field in [key, value] {
            let size = field.map_or(-1, |f| f.len() as i32);
            self.bytes.extend_from_slice(&size.to_be_bytes());
            self.bytes.extend_from_slice(field.unwrap_or_default());
        }
        seal_entry(&mut self.bytes[start..]);
    }

    /// Offset to timestamp of a v0/v1 entry; size and checksum follow with [`seal_entry`].
    fn write_entry_header(&mut self, offset: Offset, compression: Compression, timestamp: i64) {
        let mut attributes = compression as u8;
        if self.options.magic > 0 && self.options.log_append_time.is_some() {
            attributes |= LOG_APPEND_TIME_BIT as u8;
        }
        let out = &mut self.bytes;
        out.extend_from_slice(&offset.to_be_bytes());
        out.extend_from_slice(&[0; 8]);
        out.push(self.options.magic as u8);
        out.push(attributes);
        if self.options.magic > 0 {
            out.extend_from_slice(&timestamp.to_be_bytes());
        }
    }

    /// The batch, or for uncompressed v0/v1 records their entries; empty without records.
    pub fn build(mut self) -> Result<Bytes, BuildError> {
        let Some(last_offset) = self.last_offset else { return Ok(Bytes::new()) };
        if self.options.compression != Compression::None {
            let header = header_size(&self.options);
            let mut out = Vec::with_capacity(header + self.bytes.len() / 2);
            out.resize(header, 0);
            compression::compress(
                self.options.compression,
                self.options.magic,
                &self.bytes[header..],
                &mut out,
            );
            self.bytes = out;
        }
        if self.bytes.len() > i32::MAX as usize {
            return Err(BuildError::TooLarge);
        }
        if self.options.magic == 2 {
            self.write_v2_header(last_offset);
        } else if self.options.compression != Compression::None {
            self.write_wrapper_header(last_offset);
        }
        Ok(self.bytes.into())
    }

    fn write_v2_header(&mut self, last_offset: Offset) {
        let options = &self.options;
        let mut attributes = options.compression as i16;
        let flags = [
            (options.log_append_time.is_some(), LOG_APPEND_TIME_BIT),
            (options.transactional, TRANSACTIONAL_BIT),
            (options.control, CONTROL_BIT),
        ];
        attributes |= flags.iter().filter(|(set, _)| *set).map(|(_, bit)| bit).sum::<i16>();
        let max_timestamp = options.log_append_time.unwrap_or(self.max_timestamp);
        let delta = (last_offset - options.base_offset) as i32;
        let size = (self.bytes.len() - LOG_OVERHEAD) as i32;
        let out = &mut self.bytes[..];
        put(out, BASE_OFFSET_AT, &options.base_offset.to_be_bytes());
        put(out, SIZE_AT, &size.to_be_bytes());
        put(out, LEADER_EPOCH_AT, &options.partition_leader_epoch.to_be_bytes());
        out[MAGIC_AT] = 2;
        put(out, ATTRIBUTES_AT, &attributes.to_be_bytes());
        put(out, LAST_OFFSET_DELTA_AT, &delta.to_be_bytes());
        put(out, BASE_TIMESTAMP_AT, &self.base_timestamp.to_be_bytes());
        put(out, MAX_TIMESTAMP_AT, &max_timestamp.to_be_bytes());
        put(out, PRODUCER_ID_AT, &options.producer_id.to_be_bytes());
        put(out, PRODUCER_EPOCH_AT, &options.producer_epoch.to_be_bytes());
        put(out, BASE_SEQUENCE_AT, &options.base_sequence.to_be_bytes());
        put(out, RECORDS_COUNT_AT, &self.count.to_be_bytes());
        let crc = compute_crc(2, out);
        put(out, CRC_AT, &crc.to_be_bytes());
    }

    fn write_wrapper_header(&mut self, last_offset: Offset) {
        let timestamp = self.options.log_append_time.unwrap_or(self.max_timestamp);
        let compressed = std::mem::take(&mut self.bytes);
        let header = header_size(&self.options);
        self.bytes.reserve_exact(compressed.len());
        self.write_entry_header(last_offset, self.options.compression, timestamp);
        self.bytes.extend_from_slice(&(-1i32).to_be_bytes());
        self.bytes.extend_from_slice(&((compressed.len() - header) as i32).to_be_bytes());
        self.bytes.extend_from_slice(&compressed[header..]);
        seal_entry(&mut self.bytes);
    }
}

/// Writes size and checksum of a v0/v1 entry.
fn seal_entry(entry: &mut [u8]) {
    let size = (entry.len() - LOG_OVERHEAD) as i32;
    put(entry, SIZE_AT, &size.to_be_bytes());
    let crc = compute_crc(0, entry);
    put(entry, LEGACY_CRC_AT, &crc.to_be_bytes());
}

/// Writes attributes and largest timestamp of a v2 batch, and its checksum, which was right before. The cost
/// of the latter does not depend on the batch's size: CRC-32C is linear.
pub(super) fn rewrite_v2_timestamp(batch: &mut [u8], attributes: i16, max_timestamp: i64) {
    let old_crc = super::batch::i32_at(batch, CRC_AT) as u32;
    let old_header = crc32c::crc32c(&batch[ATTRIBUTES_AT..V2_HEADER_SIZE]);
    put(batch, ATTRIBUTES_AT, &attributes.to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, &max_timestamp.to_be_bytes());
    let new_header = crc32c::crc32c(&batch[ATTRIBUTES_AT..V2_HEADER_SIZE]);
    // crc(header ++ records) = shift(crc(header), len(records)) ^ crc(records): shift the difference only.
    let crc = crc32c::crc32c_combine(old_header ^ new_header, old_crc, batch.len() - V2_HEADER_SIZE);
    put(batch, CRC_AT, &crc.to_be_bytes());
}

/// Writes attributes and timestamp of a v1 entry, and its checksum.
pub(super) fn rewrite_v1_timestamp(entry: &mut [u8], log_append_time: bool, timestamp: i64) {
    let bit = LOG_APPEND_TIME_BIT as u8;
    let attributes = entry[LEGACY_ATTRIBUTES_AT] & !bit;
    entry[LEGACY_ATTRIBUTES_AT] = if log_append_time { attributes | bit } else { attributes };
    put(entry, LEGACY_TIMESTAMP_AT, &timestamp.to_be_bytes());
    seal_entry(entry);
}

#[cfg(test)]
mod tests;
