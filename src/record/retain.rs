//! Keeping some of the records of a batch: what compaction does to it.
//!
//! A v2 batch keeps base offset, last offset, sequence, producer, leader epoch and codec, so that nothing a producer
//! or a follower asks for changes; its records stay as they stand, relative to the same base timestamp (Kafka 2.8.2
//! writes them anew, relative to the first one kept). Count, largest timestamp and checksum become those of what is
//! kept. Of formats 0 and 1 a wrapper is compressed anew around the entries that stay.
//!
//! Source: Kafka 2.8.2, `common/record/MemoryRecords.java`, `filterTo`.

use super::RecordsError;
use super::batch::{
    ATTRIBUTES_AT, BASE_OFFSET_AT, BASE_TIMESTAMP_AT, BatchInfo, CODEC_MASK, CRC_AT, Compression,
    LOG_OVERHEAD, MAX_TIMESTAMP_AT, NO_TIMESTAMP, RECORDS_COUNT_AT, SIZE_AT, TimestampType, V2_HEADER_SIZE,
    compute_crc,
};
use super::builder::{BatchBuilder, BatchOptions, RawHeaders};
use super::compression::{self, Limits, decompress_into};
use super::legacy::{LegacyRecord, LegacySet};
use super::v2;
use crate::common::Offset;

/// What decides over a record.
#[derive(Clone, Copy, Debug)]
pub struct Keyed<'a> {
    /// Its offset.
    pub offset: Offset,
    /// Its key, null or bytes.
    pub key: Option<&'a [u8]>,
    /// False for a tombstone.
    pub has_value: bool,
}

/// Memory that is used again for every batch.
#[derive(Debug, Default)]
pub struct Scratch {
    plain: Vec<u8>,
    kept: Vec<u8>,
}

/// What became of a batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retained {
    /// Records before.
    pub read: u32,
    /// Records after.
    pub kept: u32,
    /// Header of what was appended to the output; none if no record stays.
    pub batch: Option<BatchInfo>,
}

/// Ends a walk: an error, or because the visitor had enough.
enum Stop {
    Failed(RecordsError),
    Enough,
}

impl From<RecordsError> for Stop {
    fn from(error: RecordsError) -> Stop {
        Stop::Failed(error)
    }
}

/// The records of a v2 batch as they are without compression.
fn plain<'a>(
    info: &BatchInfo,
    batch: &'a [u8],
    limits: &Limits,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], RecordsError> {
    let records = &batch[V2_HEADER_SIZE..info.size_bytes];
    match info.compression()? {
        Compression::None => Ok(records),
        // Of an empty batch Kafka does not look at the records.
        _ if info.records_count == 0 => Ok(&[]),
        compression => {
            buffer.clear();
            decompress_into(compression, info.magic, records, limits.buffer_bytes, buffer)?;
            Ok(buffer)
        }
    }
}

fn keyed<'a>(info: &BatchInfo, head: &v2::RecordHead, record: &'a [u8]) -> Keyed<'a> {
    let key = usize::try_from(head.key_size).ok().map(|size| &record[head.key_at..head.key_at + size]);
    let offset = info.base_offset.wrapping_add(i64::from(head.offset_delta));
    Keyed { offset, key, has_value: head.value_size >= 0 }
}

fn keyed_entry<'a>(record: &LegacyRecord<'a>) -> Keyed<'a> {
    Keyed { offset: record.offset, key: record.key, has_value: record.value.is_some() }
}

/// Calls `visit` with every record of `batch`, the bytes of `info`, until it returns false. True if all were visited.
pub fn visit_keys(
    info: &BatchInfo,
    batch: &[u8],
    limits: &Limits,
    scratch: &mut Scratch,
    mut visit: impl FnMut(Keyed<'_>) -> bool,
) -> Result<bool, RecordsError> {
    if info.magic < 2 {
        for record in LegacySet::open(info, batch, limits)?.records() {
            if !visit(keyed_entry(&record?)) {
                return Ok(false);
            }
        }
        return Ok(true);
    }
    let records = plain(info, batch, limits, &mut scratch.plain)?;
    let walked = v2::walk_records(info, records, |head, record| {
        if visit(keyed(info, head, record)) { Ok(()) } else { Err(Stop::Enough) }
    });
    match walked {
        Ok(()) => Ok(true),
        Err(Stop::Enough) => Ok(false),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// Appends to `out` what stays of `batch`, the bytes of `info`, if only records stay for which `keep` holds.
///
/// # Errors
/// The records cannot be read; `out` is as before.
pub fn retain(
    info: &BatchInfo,
    batch: &[u8],
    limits: &Limits,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    keep: impl FnMut(Keyed<'_>) -> bool,
) -> Result<Retained, RecordsError> {
    let start = out.len();
    let retained = match info.magic {
        ..2 => retain_legacy(info, batch, limits, out, keep),
        _ if info.is_compressed() => retain_compressed(info, batch, limits, scratch, out, keep),
        _ => {
            out.extend_from_slice(&batch[..V2_HEADER_SIZE]);
            sift(info, &batch[V2_HEADER_SIZE..info.size_bytes], out, keep)
                .map(|sifted| sifted.finish(info, out, start))
        }
    };
    if !matches!(retained, Ok(Retained { batch: Some(_), .. })) {
        out.truncate(start);
    }
    retained
}

fn retain_compressed(
    info: &BatchInfo,
    batch: &[u8],
    limits: &Limits,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
    keep: impl FnMut(Keyed<'_>) -> bool,
) -> Result<Retained, RecordsError> {
    let start = out.len();
    let Scratch { plain: buffer, kept } = scratch;
    let records = plain(info, batch, limits, buffer)?;
    kept.clear();
    let sifted = sift(info, records, kept, keep)?;
    if sifted.kept == sifted.read {
        out.extend_from_slice(&batch[..info.size_bytes]);
    } else {
        out.extend_from_slice(&batch[..V2_HEADER_SIZE]);
        compression::compress(info.compression()?, info.magic, kept, out);
    }
    Ok(sifted.finish(info, out, start))
}

/// What went through.
struct Sifted {
    read: u32,
    kept: u32,
    max_timestamp: i64,
}

/// Appends the records that stay, in runs.
fn sift(
    info: &BatchInfo,
    records: &[u8],
    out: &mut Vec<u8>,
    mut keep: impl FnMut(Keyed<'_>) -> bool,
) -> Result<Sifted, RecordsError> {
    let mut sifted = Sifted { read: 0, kept: 0, max_timestamp: NO_TIMESTAMP };
    let (mut at, mut run) = (0, 0);
    v2::walk_records(info, records, |head, record| {
        let next = at + head.size_bytes;
        sifted.read += 1;
        if keep(keyed(info, head, record)) {
            sifted.kept += 1;
            sifted.max_timestamp = sifted.max_timestamp.max(head.timestamp(info));
        } else {
            out.extend_from_slice(&records[run..at]);
            run = next;
        }
        at = next;
        Ok::<(), RecordsError>(())
    })?;
    out.extend_from_slice(&records[run..]);
    Ok(sifted)
}

impl Sifted {
    /// Makes the header at `start` say what follows it.
    fn finish(&self, info: &BatchInfo, out: &mut [u8], start: usize) -> Retained {
        let Sifted { read, kept, max_timestamp } = *self;
        let batch = match kept {
            0 => None,
            _ if kept == read => Some(*info),
            _ => {
                let batch = &mut out[start..];
                let append_time = info.timestamp_type() == TimestampType::LogAppendTime;
                let max_timestamp = if append_time { info.max_timestamp } else { max_timestamp };
                Some(seal(info, batch, kept, max_timestamp))
            }
        };
        Retained { read, kept, batch }
    }
}

/// Writes size, count, largest timestamp and checksum; gives the header.
fn seal(info: &BatchInfo, batch: &mut [u8], count: u32, max_timestamp: i64) -> BatchInfo {
    let size_bytes = batch.len();
    let put =
        |batch: &mut [u8], at: usize, number: &[u8]| batch[at..at + number.len()].copy_from_slice(number);
    put(batch, SIZE_AT, &((size_bytes - LOG_OVERHEAD) as i32).to_be_bytes());
    put(batch, MAX_TIMESTAMP_AT, &max_timestamp.to_be_bytes());
    put(batch, RECORDS_COUNT_AT, &(count as i32).to_be_bytes());
    let crc = compute_crc(2, batch);
    put(batch, CRC_AT, &crc.to_be_bytes());
    BatchInfo { size_bytes, crc, max_timestamp, records_count: count as i32, ..*info }
}

/// Appends the header of a v2 batch alone: the sequence of its producer stays known.
pub fn write_empty(info: &BatchInfo, batch: &[u8], out: &mut Vec<u8>) -> BatchInfo {
    debug_assert_eq!(info.magic, 2, "only these have sequences");
    let start = out.len();
    out.extend_from_slice(&batch[..V2_HEADER_SIZE]);
    let header = &mut out[start..];
    let attributes = info.attributes & !CODEC_MASK;
    header[ATTRIBUTES_AT..ATTRIBUTES_AT + 2].copy_from_slice(&attributes.to_be_bytes());
    header[BASE_TIMESTAMP_AT..BASE_TIMESTAMP_AT + 8].copy_from_slice(&NO_TIMESTAMP.to_be_bytes());
    header[BASE_OFFSET_AT..BASE_OFFSET_AT + 8].copy_from_slice(&info.base_offset.to_be_bytes());
    let empty = BatchInfo { attributes, base_timestamp: NO_TIMESTAMP, ..*info };
    seal(&empty, header, 0, info.max_timestamp)
}

fn retain_legacy(
    info: &BatchInfo,
    batch: &[u8],
    limits: &Limits,
    out: &mut Vec<u8>,
    mut keep: impl FnMut(Keyed<'_>) -> bool,
) -> Result<Retained, RecordsError> {
    let set = LegacySet::open(info, batch, limits)?;
    let mut kept = Vec::new();
    // Old brokers wrote wrappers around entries of another format (KAFKA-4298).
    let mut as_it_is = true;
    for record in set.records() {
        let record = record?;
        if keep(keyed_entry(&record)) {
            as_it_is &= record.magic == info.magic;
            kept.push(record);
        } else {
            as_it_is = false;
        }
    }
    let (read, count) = (set.count() as u32, kept.len() as u32);
    let batch = match kept.first() {
        None => None,
        Some(_) if as_it_is => {
            out.extend_from_slice(&batch[..info.size_bytes]);
            Some(*info)
        }
        Some(first) => Some(rebuild_legacy(info, first.offset, &kept, out)?),
    };
    Ok(Retained { read, kept: count, batch })
}

fn rebuild_legacy(
    info: &BatchInfo,
    base_offset: Offset,
    kept: &[LegacyRecord<'_>],
    out: &mut Vec<u8>,
) -> Result<BatchInfo, RecordsError> {
    const UNBUILDABLE: RecordsError = RecordsError::Invalid("Records that stay make no batch");
    let append_time = (info.timestamp_type() == TimestampType::LogAppendTime).then_some(info.max_timestamp);
    let options = BatchOptions {
        magic: info.magic,
        compression: info.compression()?,
        base_offset,
        log_append_time: append_time,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).map_err(|_| UNBUILDABLE)?;
    for record in kept {
        let LegacyRecord { offset, timestamp, key, value, .. } = *record;
        builder.append_raw(offset, timestamp, key, value, RawHeaders::NONE).map_err(|_| UNBUILDABLE)?;
    }
    let bytes = builder.build().map_err(|_| UNBUILDABLE)?;
    let info = BatchInfo::parse(&bytes)?;
    out.extend_from_slice(&bytes);
    Ok(info)
}

#[cfg(test)]
mod tests;
