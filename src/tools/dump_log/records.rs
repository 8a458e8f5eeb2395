//! `.log` files: batches, and the records in them.

use super::segment::{Batch, Segment};
use super::{Plan, base_offset, note};
use crate::record::compression::Limits;
use crate::record::control::ControlRecord;
use crate::record::legacy::LegacySet;
use crate::record::reader::{Record, Records};
use crate::record::{RecordsError, TimestampType};
use crate::tools::Shape;
use crate::tools::exception::Exception;
use crate::tools::output::out;
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// Where the checksum of an entry of format 0 or 1 stands.
const LEGACY_CRC: std::ops::Range<usize> = 12..16;

/// A record and what only old formats say of it.
struct Shown {
    record: Record,
    /// Checksum, and whether it is right.
    crc: Option<(u32, bool)>,
}

/// Prints the file.
pub fn dump(file: &Path, plan: &Plan, gaps: &mut Vec<(PathBuf, Vec<(i64, i64)>)>) -> Result<(), Exception> {
    out_line!("Starting offset: {}", base_offset(file)?);
    let segment = Segment::open(file)?;
    let mut position = 0;
    let mut last_offset = -1;
    while let Some(batch) = segment.batch_at(position, u64::MAX)? {
        if plan.shape == Shape::V2_8_2 || !plan.is_deep {
            print_batch(&batch, position, plan.shape)?;
        }
        if plan.is_deep {
            let records = records_of(&batch)?;
            let base_offset = match batch.info.magic {
                0..=1 => records.first().map_or(batch.info.base_offset, |first| first.record.offset),
                _ => batch.info.base_offset,
            };
            for shown in &records {
                let offset = shown.record.offset;
                if last_offset != -1 && offset != last_offset + 1 {
                    note(gaps, file, (last_offset, offset));
                }
                last_offset = offset;
                let line = match plan.shape {
                    Shape::V1_1_1 => old_record_line(&batch, shown, position, plan),
                    Shape::V2_8_2 => record_line(&batch, shown, base_offset, position, plan),
                };
                // A record that a decoder does not take is cut off where that is found out.
                let (text, failed) = match line {
                    Ok(text) => (text + "\n", None),
                    Err((text, exception)) => (text, Some(exception)),
                };
                out(format_args!("{text}"));
                if let Some(exception) = failed {
                    return Err(exception);
                }
            }
        }
        position += batch.info.size_bytes as u64;
    }
    let trailing = segment.size() - position;
    if trailing > 0 {
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        out_line!("Found {trailing} invalid bytes at the end of {name}");
    }
    Ok(())
}

fn records_of(batch: &Batch) -> Result<Vec<Shown>, Exception> {
    let limits = Limits::default();
    if batch.info.magic >= 2 {
        let records = Records::open(&batch.info, &batch.bytes, &limits).map_err(unreadable)?;
        return records.map(|record| Ok(Shown { record: record.map_err(unreadable)?, crc: None })).collect();
    }
    let set = LegacySet::open(&batch.info, &batch.bytes, &limits).map_err(unreadable)?;
    let mut all = Vec::new();
    for legacy in set.records() {
        let legacy = legacy.map_err(unreadable)?;
        let mut crc = [0; 4];
        crc.copy_from_slice(&legacy.entry[LEGACY_CRC]);
        let record = Record {
            offset: legacy.offset,
            timestamp: legacy.timestamp,
            sequence: -1,
            key: legacy.key.map(Bytes::copy_from_slice),
            value: legacy.value.map(Bytes::copy_from_slice),
            headers: Vec::new(),
        };
        all.push(Shown { record, crc: Some((u32::from_be_bytes(crc), legacy.crc_is_valid())) });
    }
    Ok(all)
}

fn unreadable(error: RecordsError) -> Exception {
    match error {
        RecordsError::Invalid(why) => Exception::new("org.apache.kafka.common.InvalidRecordException", why),
        RecordsError::Corrupt(why) => Exception::api("CorruptRecordException", why),
        other => Exception::new("org.apache.kafka.common.KafkaException", other.to_string()),
    }
}

fn codec(batch: &Batch) -> Result<String, Exception> {
    let unknown = |_| {
        Exception::illegal_argument(format!("Unknown compression type id: {}", batch.info.attributes & 7))
    };
    Ok(batch.info.compression().map_err(unknown)?.name().to_uppercase())
}

fn timestamp_type(batch: &Batch) -> &'static str {
    match batch.info.timestamp_type() {
        TimestampType::None => "NoTimestampType",
        kind => kind.name(),
    }
}

fn print_batch(batch: &Batch, position: u64, shape: Shape) -> Result<(), Exception> {
    let info = &batch.info;
    let is_old = shape == Shape::V1_1_1;
    let mut line = if info.magic >= 2 {
        let count = if is_old { String::new() } else { format!(" count: {}", info.records_count) };
        let control = if is_old { String::new() } else { format!(" isControl: {}", info.is_control()) };
        format!(
            "baseOffset: {} lastOffset: {}{count} baseSequence: {} lastSequence: {} producerId: {} producerEpoch: {} \
             partitionLeaderEpoch: {} isTransactional: {}{control}",
            info.base_offset,
            info.last_offset(),
            info.base_sequence,
            info.last_sequence(),
            info.producer_id,
            info.producer_epoch,
            info.partition_leader_epoch,
            info.is_transactional()
        )
    } else {
        format!("offset: {}", info.last_offset())
    };
    line.push_str(&format!(" position: {position} {}: {}", timestamp_type(batch), info.max_timestamp));
    let (size, magic, codec) = (info.size_bytes, batch.magic, codec(batch)?);
    line.push_str(&match shape {
        Shape::V1_1_1 => format!(
            " isvalid: {} size: {size} magic: {magic} compresscodec: {codec} crc: {}",
            batch.is_valid(),
            info.crc
        ),
        Shape::V2_8_2 => format!(
            " size: {size} magic: {magic} compresscodec: {codec} crc: {} isvalid: {}",
            info.crc,
            batch.is_valid()
        ),
    });
    out_line!("{line}");
    Ok(())
}

/// A line, or what stood of it when it failed.
type Line = Result<String, (String, Exception)>;

fn size_text(bytes: &Option<Bytes>) -> i64 {
    bytes.as_ref().map_or(-1, |bytes| bytes.len() as i64)
}

fn header_keys(record: &Record) -> String {
    record.headers.iter().map(|header| header.key_text()).collect::<Vec<_>>().join(",")
}

fn crc_text(shown: &Shown) -> (String, bool) {
    shown.crc.map_or(("null".to_string(), true), |(crc, is_valid)| (crc.to_string(), is_valid))
}

fn record_line(batch: &Batch, shown: &Shown, base_offset: i64, position: u64, plan: &Plan) -> Line {
    let (info, record) = (&batch.info, &shown.record);
    let mut line = String::new();
    if !plan.skips_record_metadata {
        let (crc, is_valid) = crc_text(shown);
        line = format!(
            "| offset: {} isValid: {is_valid} crc: {crc} keySize: {} valueSize: {} {}: {} baseOffset: {base_offset} \
             lastOffset: {} baseSequence: {} lastSequence: {} producerEpoch: {} partitionLeaderEpoch: {} \
             batchSize: {} magic: {} compressType: {} position: {position}",
            record.offset,
            size_text(&record.key),
            size_text(&record.value),
            timestamp_type(batch),
            record.timestamp,
            info.last_offset(),
            info.base_sequence,
            info.last_sequence(),
            info.producer_epoch,
            info.partition_leader_epoch,
            info.size_bytes,
            batch.magic,
            codec(batch).map_err(|exception| (String::new(), exception))?,
        );
        if info.magic >= 2 {
            line.push_str(&format!(" sequence: {} headerKeys: [{}]", record.sequence, header_keys(record)));
        } else {
            line.push_str(&format!(" crc: {crc} isvalid: {is_valid}"));
        }
        if info.is_control() {
            line.push_str(&control_text(record));
        }
    }
    if plan.prints_data && !info.is_control() {
        let prefix = if plan.skips_record_metadata { "| " } else { " " };
        push_data(&mut line, prefix, record, plan)?;
    }
    Ok(line)
}

/// 1.1.1: one line per record, and none per batch.
fn old_record_line(batch: &Batch, shown: &Shown, position: u64, plan: &Plan) -> Line {
    let (info, record) = (&batch.info, &shown.record);
    let (crc, is_valid) = crc_text(shown);
    let mut line = format!(
        "offset: {} position: {position} {}: {} isvalid: {is_valid} keysize: {} valuesize: {} magic: {} \
         compresscodec: {}",
        record.offset,
        timestamp_type(batch),
        record.timestamp,
        size_text(&record.key),
        size_text(&record.value),
        batch.magic,
        codec(batch).map_err(|exception| (String::new(), exception))?,
    );
    if info.magic >= 2 {
        line.push_str(&format!(
            " producerId: {} producerEpoch: {} sequence: {} isTransactional: {} headerKeys: [{}]",
            info.producer_id,
            info.producer_epoch,
            record.sequence,
            info.is_transactional(),
            header_keys(record)
        ));
    } else {
        line.push_str(&format!(" crc: {crc}"));
    }
    if info.is_control() {
        line.push_str(&control_text(record));
    } else if plan.prints_data {
        push_data(&mut line, " ", record, plan)?;
    }
    Ok(line)
}

fn push_data(
    line: &mut String,
    prefix: &str,
    record: &Record,
    plan: &Plan,
) -> Result<(), (String, Exception)> {
    let (key, payload) = plan
        .parser
        .parse(record.key.as_ref(), record.value.as_ref(), plan.shape)
        .map_err(|exception| (std::mem::take(line), exception))?;
    if let Some(key) = key {
        line.push_str(&format!("{prefix}key: {key}"));
    }
    if let Some(payload) = payload {
        line.push_str(&format!(" payload: {payload}"));
    }
    Ok(())
}

fn control_text(record: &Record) -> String {
    match ControlRecord::parse(record) {
        Some(ControlRecord::EndTransaction { commit, coordinator_epoch }) => {
            let kind = if commit { "COMMIT" } else { "ABORT" };
            format!(" endTxnMarker: {kind} coordinatorEpoch: {coordinator_epoch}")
        }
        Some(ControlRecord::Unknown(2)) => " controlType: LEADER_CHANGE(2)".to_string(),
        Some(ControlRecord::Unknown(kind)) => format!(" controlType: UNKNOWN({kind})"),
        None => " controlType: UNKNOWN(-1)".to_string(),
    }
}
