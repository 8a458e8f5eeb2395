//! Batches in the formats that old consumers read, and moving format-0 wrappers to their offsets.
//!
//! Source: Kafka 2.8.2, `common/record/RecordsUtil.java`, `LazyDownConversionRecords.java` and its `Send`. The
//! other direction happens when a leader takes records: see `validator`.

use super::batch::{
    BatchInfo, Batches, Compression, LOG_OVERHEAD, TimestampType, V2_HEADER_SIZE, size_and_magic,
};
use super::builder::{BatchBuilder, BatchOptions, BuildError, RawHeaders};
use super::compression::Limits;
use super::legacy::LegacySet;
use super::{RecordsError, v2};
use crate::common::Offset;
use bytes::Bytes;
use std::fmt;

/// How many bytes Kafka converts at a time: see [`chunk`].
pub const CHUNK_SIZE: usize = 128 * 1024;

/// What a conversion made.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Converted {
    /// The batches in the wanted format.
    pub bytes: Bytes,
    /// Records that were written anew; batches that were old enough are not counted.
    pub records_converted: usize,
}

/// Why batches cannot be converted.
#[derive(Clone, PartialEq, Debug)]
pub enum ConvertError {
    /// zstd, which the old formats do not have: UNSUPPORTED_COMPRESSION_TYPE.
    UnsupportedCompression,
    /// What is in the log cannot be read.
    Records(RecordsError),
    /// A record does not fit the old format.
    Build(BuildError),
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConvertError::UnsupportedCompression => {
                f.write_str("Down-conversion of zstandard-compressed batches is not supported")
            }
            ConvertError::Records(error) => error.fmt(f),
            ConvertError::Build(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConvertError {}

impl<E: Into<RecordsError>> From<E> for ConvertError {
    fn from(error: E) -> Self {
        ConvertError::Records(error.into())
    }
}

impl From<BuildError> for ConvertError {
    fn from(error: BuildError) -> Self {
        ConvertError::Build(error)
    }
}

/// Bytes of the whole batches at the front of `batches` that together take at most `max_bytes`, or of the
/// first one; 0 if there is none.
///
/// A fetched set is converted chunk by chunk, so that memory holds one at a time. Kafka converts the first
/// batch alone before it answers: if that fails, the partition's answer is the error; if a later chunk fails,
/// it sends an [`overflow_batch`], and the consumer meets the error with its next fetch.
pub fn chunk(batches: &[u8], max_bytes: usize) -> usize {
    let mut end = 0;
    while let Ok((size, _)) = size_and_magic(&batches[end..]) {
        if size > batches.len() - end || (end > 0 && end + size > max_bytes) {
            break;
        }
        end += size;
    }
    end
}

/// True if no batch needs conversion for a reader of `magic`: Kafka's `hasCompatibleMagic`.
pub fn is_compatible(batches: &[u8], magic: i8) -> bool {
    Batches::new(batches).all(|batch| batch.is_ok_and(|(info, _)| info.magic <= magic))
}

/// Converts the whole batches in `batches` for a reader that knows formats up to `to_magic` (0 or 1).
///
/// Control batches and headers are dropped; the codec is kept. Of uncompressed v2 batches the records below
/// `first_offset`, where the reader is, are dropped too: some versions of librdkafka rely on it. The result may
/// be empty. A timestamp below -1, which the old formats' builder refuses, becomes -1.
pub fn down_convert(
    batches: &Bytes,
    to_magic: i8,
    first_offset: Offset,
    limits: &Limits,
) -> Result<Converted, ConvertError> {
    if is_compatible(batches, to_magic) {
        let whole = Batches::new(batches).last_position();
        return Ok(Converted { bytes: batches.slice(..whole), records_converted: 0 });
    }
    let mut out = Vec::new();
    let mut records_converted = 0;
    for batch in Batches::new(batches) {
        let (info, bytes) = batch?;
        // Compaction leaves batches without records, which Kafka does not open.
        if info.is_control() || info.records_count == 0 {
            continue;
        }
        if info.compression()? == Compression::Zstd {
            return Err(ConvertError::UnsupportedCompression);
        }
        if info.magic <= to_magic {
            out.extend_from_slice(bytes);
            continue;
        }
        let mut target = Target { info, to_magic, builder: None };
        if info.magic == 2 {
            let records = v2::decompressed(&info, bytes, limits.buffer_bytes)?;
            v2::walk_records(&info, &records, |head, record| {
                let offset = info.base_offset.wrapping_add(i64::from(head.offset_delta));
                let (key, value, _) = v2::parts(head, record);
                if info.is_compressed() || offset >= first_offset {
                    target.append(offset, head.timestamp(&info), key, value)?;
                }
                Ok::<(), ConvertError>(())
            })?;
        } else {
            let set = LegacySet::open(&info, bytes, limits)?;
            for record in set.records() {
                let record = record?;
                if info.is_compressed() || record.offset >= first_offset {
                    target.append(record.offset, record.timestamp, record.key, record.value)?;
                }
            }
        }
        if let Some(builder) = target.builder {
            records_converted += builder.len();
            out.extend_from_slice(&builder.build()?);
        }
    }
    Ok(Converted { bytes: out.into(), records_converted })
}

/// The converted form of one batch, begun with its first record.
struct Target {
    info: BatchInfo,
    to_magic: i8,
    builder: Option<BatchBuilder>,
}

impl Target {
    fn append(
        &mut self,
        offset: Offset,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), ConvertError> {
        if self.builder.is_none() {
            let append_time = self.info.timestamp_type() == TimestampType::LogAppendTime;
            self.builder = Some(BatchBuilder::new(BatchOptions {
                magic: self.to_magic,
                compression: self.info.compression()?,
                base_offset: offset,
                log_append_time: append_time.then_some(self.info.max_timestamp),
                ..BatchOptions::default()
            })?);
        }
        if let Some(builder) = &mut self.builder {
            builder.append_raw(offset, timestamp.max(-1), key, value, RawHeaders::NONE)?;
        }
        Ok(())
    }
}

/// What fills the rest of an answer whose size was promised before conversion: the beginning of a batch that
/// says it is larger than the answer, so that the consumer takes it for cut and ignores it.
///
/// `remaining` bytes are left in the answer; at most [`CHUNK_SIZE`] come at a time, at least the 12 bytes of an
/// offset and a size (an answer where nothing was converted is just these).
pub fn overflow_batch(remaining: usize) -> Bytes {
    let mut bytes = vec![0; remaining.saturating_add(1).clamp(LOG_OVERHEAD, CHUNK_SIZE)];
    bytes[..8].copy_from_slice(&(-1i64).to_be_bytes());
    let size = (remaining.saturating_add(1)).clamp(V2_HEADER_SIZE, i32::MAX as usize) as i32;
    bytes[8..LOG_OVERHEAD].copy_from_slice(&size.to_be_bytes());
    bytes.into()
}

/// A compressed entry of format 0, which `validator` made with offsets from 0, with offsets from `base_offset`.
pub(super) fn move_v0_wrapper(info: &BatchInfo, bytes: &Bytes, base_offset: Offset) -> (BatchInfo, Bytes) {
    const OURS: &str = "the validator made this entry";
    let limits = Limits { buffer_bytes: i32::MAX as usize, ..Limits::default() };
    let set = LegacySet::open(info, bytes, &limits).expect(OURS);
    let mut builder = BatchBuilder::new(BatchOptions {
        magic: 0,
        compression: info.compression().expect(OURS),
        base_offset,
        ..BatchOptions::default()
    })
    .expect(OURS);
    for record in set.records() {
        let record = record.expect(OURS);
        builder.append(record.timestamp, record.key, record.value, &[]).expect(OURS);
    }
    let bytes = builder.build().expect(OURS);
    let built = BatchInfo::parse(&bytes).expect(OURS);
    (BatchInfo { size_bytes: built.size_bytes, crc: built.crc, base_offset, ..*info }, bytes)
}

#[cfg(test)]
mod tests;
