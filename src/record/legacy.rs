//! Entries of the formats 0 and 1: a record, or a wrapper whose value is a compressed set of records.
//!
//! The grammar of an entry stands in `batch`. Inner entries of a v0 wrapper carry absolute offsets; those of a
//! v1 wrapper are relative to its first record, whose offset is the wrapper's minus the last inner one. Some
//! librdkafka versions produce a v1 wrapper with offset 0; then the inner offsets are taken as they are.
//!
//! Source: Kafka 2.8.2, `common/record/AbstractLegacyRecordBatch.java`, `LegacyRecord.java`.

use super::RecordsError;
use super::batch::{
    BatchInfo, CODEC_MASK, Compression, LEGACY_ATTRIBUTES_AT, LEGACY_CRC_AT, LEGACY_TIMESTAMP_AT,
    LOG_OVERHEAD, MAGIC_AT, NO_TIMESTAMP, TimestampType, V0_OVERHEAD, V1_OVERHEAD, i32_at, i64_at,
};
use super::compression::{Limits, decompress_into};

const NESTED: RecordsError = RecordsError::Invalid("Inner messages must not be compressed");
const NULL_WRAPPER: RecordsError =
    RecordsError::Invalid("Found invalid compressed record set with null value");
const EMPTY_WRAPPER: RecordsError =
    RecordsError::Invalid("Found invalid compressed record set with no inner records");
const ZSTD_WRAPPER: RecordsError =
    RecordsError::Invalid("Invalid wrapper compressionType found in legacy deep record iterator");
const BAD_OFFSET: RecordsError = RecordsError::Invalid(
    "Found invalid wrapper offset in compressed v1 message set: less than the last inner message offset and not zero",
);
const BAD_STRUCTURE: RecordsError = RecordsError::Invalid("Key or value of a record do not fit its size");

/// One record of a v0/v1 entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LegacyRecord<'a> {
    /// Its offset: absolute if the set came from a log, from 0 if a client made it.
    pub offset: i64,
    /// 0 or 1; an inner entry may differ from its wrapper.
    pub magic: i8,
    /// The entry's own attributes.
    pub attributes: u8,
    /// -1 in format 0; the wrapper's if that has append time.
    pub timestamp: i64,
    /// Null or bytes.
    pub key: Option<&'a [u8]>,
    /// Null or bytes.
    pub value: Option<&'a [u8]>,
    /// The whole entry, offset and size included.
    pub entry: &'a [u8],
}

impl LegacyRecord<'_> {
    /// True if the entry's checksum is right. Of inner entries nobody else checks it.
    pub fn crc_is_valid(&self) -> bool {
        crc32fast::hash(&self.entry[MAGIC_AT..]) == i32_at(self.entry, LEGACY_CRC_AT) as u32
    }
}

/// Reads a field with a 4-byte length at `*at`; negative lengths stand for null.
fn read_field<'a>(entry: &'a [u8], at: &mut usize) -> Result<Option<&'a [u8]>, RecordsError> {
    let rest = entry.get(*at..).unwrap_or_default();
    let (size, rest) = rest.split_first_chunk::<4>().ok_or(BAD_STRUCTURE)?;
    *at += 4;
    let Ok(size) = usize::try_from(i32::from_be_bytes(*size)) else { return Ok(None) };
    *at += size;
    rest.get(..size).map(Some).ok_or(BAD_STRUCTURE)
}

/// Reads the record of one entry; of a wrapper, key and the compressed value.
pub fn parse_entry(entry: &[u8]) -> Result<LegacyRecord<'_>, RecordsError> {
    let magic = entry[MAGIC_AT] as i8;
    let minimum = if magic == 0 { V0_OVERHEAD } else { V1_OVERHEAD };
    if entry.len() < LOG_OVERHEAD + minimum {
        return Err(BAD_STRUCTURE);
    }
    let timestamp = if magic == 0 { NO_TIMESTAMP } else { i64_at(entry, LEGACY_TIMESTAMP_AT) };
    let mut at = if magic == 0 { LEGACY_TIMESTAMP_AT } else { LEGACY_TIMESTAMP_AT + 8 };
    let key = read_field(entry, &mut at)?;
    let value = read_field(entry, &mut at)?;
    let attributes = entry[LEGACY_ATTRIBUTES_AT];
    Ok(LegacyRecord { offset: i64_at(entry, 0), magic, attributes, timestamp, key, value, entry })
}

/// Cuts the next entry of an inner set; `None` at its end, which may be cut.
fn next_entry<'a>(set: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordsError> {
    if set.len() < LOG_OVERHEAD {
        return Ok(None);
    }
    let size = i32_at(set, LOG_OVERHEAD - 4);
    if size < V0_OVERHEAD as i32 {
        return Err(RecordsError::Corrupt("Record size is less than the minimum record overhead (14)"));
    }
    let Some((entry, rest)) = set.split_at_checked(LOG_OVERHEAD + size as usize) else { return Ok(None) };
    *set = rest;
    let magic = entry[MAGIC_AT];
    if magic > 1 {
        return Err(RecordsError::Corrupt("Invalid magic found in inner record"));
    }
    Ok(Some(entry))
}

/// A v0/v1 entry whose records are in memory: decompressed if it is a wrapper.
#[derive(Debug)]
pub struct LegacySet<'a> {
    entry: &'a [u8],
    /// Decompressed inner set of a wrapper.
    inner: Option<Vec<u8>>,
    /// Added to inner offsets.
    offset_base: i64,
    append_time: Option<i64>,
    count: usize,
}

impl<'a> LegacySet<'a> {
    /// Opens `entry`, the bytes of `info`; at most `limits.buffer_bytes` come out of a wrapper.
    pub fn open(info: &BatchInfo, entry: &'a [u8], limits: &Limits) -> Result<LegacySet<'a>, RecordsError> {
        let entry = &entry[..info.size_bytes];
        let append_time =
            (info.timestamp_type() == TimestampType::LogAppendTime).then_some(info.max_timestamp);
        let compression = info.compression().map_err(RecordsError::Batch)?;
        if compression == Compression::None {
            return Ok(LegacySet { entry, inner: None, offset_base: 0, append_time, count: 1 });
        }
        if compression == Compression::Zstd {
            return Err(ZSTD_WRAPPER);
        }
        let value = parse_entry(entry)?.value.ok_or(NULL_WRAPPER)?;
        let mut inner = Vec::new();
        decompress_into(compression, info.magic, value, limits.buffer_bytes, &mut inner)?;
        let mut rest = &inner[..];
        let (mut count, mut last_offset) = (0, 0);
        while let Some(entry) = next_entry(&mut rest)? {
            last_offset = i64_at(entry, 0);
            count += 1;
        }
        if count == 0 {
            return Err(EMPTY_WRAPPER);
        }
        let offset_base = match (info.magic, info.base_offset) {
            (0, _) | (_, 0) => 0,
            (_, wrapper) if wrapper < last_offset => return Err(BAD_OFFSET),
            (_, wrapper) => wrapper.wrapping_sub(last_offset),
        };
        Ok(LegacySet { entry, inner: Some(inner), offset_base, append_time, count })
    }

    /// Number of records.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The records in order.
    pub fn records(&self) -> impl Iterator<Item = Result<LegacyRecord<'_>, RecordsError>> {
        let (compressed, mut rest) = match &self.inner {
            Some(inner) => (true, &inner[..]),
            None => (false, self.entry),
        };
        let mut left = self.count;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            left -= 1;
            let record = self.read(&mut rest, compressed);
            if record.is_err() {
                left = 0;
            }
            Some(record)
        })
    }

    fn read<'s>(&self, rest: &mut &'s [u8], compressed: bool) -> Result<LegacyRecord<'s>, RecordsError> {
        let entry = next_entry(rest)?.ok_or(BAD_STRUCTURE)?;
        let mut record = parse_entry(entry)?;
        if compressed && i16::from(record.attributes) & CODEC_MASK != 0 {
            return Err(NESTED);
        }
        record.offset = record.offset.wrapping_add(self.offset_base);
        if let Some(append_time) = self.append_time
            && record.magic == 1
        {
            record.timestamp = append_time;
        }
        Ok(record)
    }
}
