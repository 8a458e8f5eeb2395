//! Indexes, aborted transactions and producer snapshots.
//!
//! ```text
//! .index     = (relative_offset i32, position i32)*
//! .timeindex = (timestamp i64, relative_offset i32)*
//! ```
//! Those of an active segment may be larger than their entries: zeros follow, and a zero offset that is not the
//! first ends the list. `.txnindex` and `.snapshot`: see `storage`.

use super::segment::Segment;
use super::{Findings, Plan, absolute, base_offset, io_error, note, sibling};
use crate::record::batch::decrement_sequence;
use crate::record::compression::Limits;
use crate::record::reader::Records;
use crate::tools::Shape;
use crate::tools::exception::Exception;
use std::path::{Path, PathBuf};

const OFFSET_ENTRY: usize = 8;
const TIME_ENTRY: usize = 12;
const ABORTED_ENTRY: usize = 34;
const SNAPSHOT_HEADER: usize = 10;
const SNAPSHOT_ENTRY: usize = 46;

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn i32_at(bytes: &[u8], at: usize) -> i32 {
    i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn i64_at(bytes: &[u8], at: usize) -> i64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    i64::from_be_bytes(word)
}

/// An index file. Java makes an absent one and then refuses its size; nothing is made here.
fn read_index(file: &Path) -> Result<Vec<u8>, Exception> {
    std::fs::read(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Exception::illegal_argument("Invalid max index size: -1"),
        _ => io_error(file, &error),
    })
}

fn corrupt(message: String) -> Exception {
    Exception::new("kafka.log.CorruptIndexException", message)
}

/// Offsets and positions of an offset index.
fn offset_entries(bytes: &[u8], base: i64) -> Vec<(i64, i32)> {
    let entry = |entry: &[u8]| (base.wrapping_add(i64::from(i32_at(entry, 0))), i32_at(entry, 4));
    bytes.chunks_exact(OFFSET_ENTRY).map(entry).collect()
}

/// Prints an offset index and compares it with its log.
pub fn dump_offsets(
    file: &Path,
    plan: &Plan,
    mismatches: &mut Vec<(PathBuf, Vec<(i64, i64)>)>,
) -> Result<(), Exception> {
    let base = base_offset(file)?;
    let log = Segment::open(&sibling(file, ".log"))?;
    let bytes = read_index(file)?;
    let entries = offset_entries(&bytes, base);
    if entries.is_empty() && plan.shape == Shape::V2_8_2 {
        out_line!("{} is empty.", file.display());
        return Ok(());
    }
    if plan.checks_sanity_only {
        check_offsets(file, &entries, bytes.len(), base)?;
        out_line!("{} passed sanity check.", file.display());
        return Ok(());
    }
    for (i, (offset, position)) in entries.into_iter().enumerate() {
        if offset == base && i > 0 {
            return Ok(());
        }
        let found = offset_in_log(&log, position, plan)?;
        if found != offset {
            note(mismatches, file, (offset, found));
        }
        if !plan.verifies_only {
            out_line!("offset: {offset} position: {position}");
        }
    }
    Ok(())
}

fn check_offsets(file: &Path, entries: &[(i64, i32)], length: usize, base: i64) -> Result<(), Exception> {
    let path = absolute(file);
    let path = path.display();
    match entries.last() {
        Some((last, _)) if *last < base => Err(corrupt(format!(
            "Corrupt index found, index file ({path}) has non-zero size but the last offset is {last} which is less \
             than the base offset {base}."
        ))),
        _ if !length.is_multiple_of(OFFSET_ENTRY) => Err(corrupt(format!(
            "Index file {path} is corrupt, found {length} bytes which is neither positive nor a multiple of \
             {OFFSET_ENTRY}."
        ))),
        _ => Ok(()),
    }
}

/// The offset that an entry should name: of the batch's last record, in 1.1.1 of its first.
fn offset_in_log(log: &Segment, position: i32, plan: &Plan) -> Result<i64, Exception> {
    let start = u64::try_from(position).unwrap_or(u64::MAX);
    if start > log.size() {
        return Err(Exception::illegal_argument(format!(
            "Slice from position {position} exceeds end position of {}",
            log.size()
        )));
    }
    let end = start.saturating_add(u64::try_from(plan.max_message_size).unwrap_or(0));
    let Some(batch) = log.batch_at(start, end)? else {
        return Err(Exception::bare("java.util.NoSuchElementException"));
    };
    if plan.shape == Shape::V2_8_2 {
        return Ok(batch.info.last_offset());
    }
    let first = Records::open(&batch.info, &batch.bytes, &Limits::default())
        .ok()
        .and_then(|mut records| records.next())
        .and_then(Result::ok);
    Ok(first.map_or(batch.info.base_offset, |record| record.offset))
}

/// Prints a time index and compares it with its log.
pub fn dump_times(file: &Path, plan: &Plan, findings: &mut Findings) -> Result<(), Exception> {
    let base = base_offset(file)?;
    let log = Segment::open(&sibling(file, ".log"))?;
    let offsets = offset_entries(&read_index(&sibling(file, ".index"))?, base);
    let bytes = read_index(file)?;
    let entry = |entry: &[u8]| (i64_at(entry, 0), base.wrapping_add(i64::from(i32_at(entry, 8))));
    let entries: Vec<(i64, i64)> = bytes.chunks_exact(TIME_ENTRY).map(entry).collect();
    if plan.checks_sanity_only {
        check_times(file, &entries, bytes.len(), base)?;
        out_line!("{} passed sanity check.", file.display());
        return Ok(());
    }
    // Zeros end what is sorted.
    let sorted =
        offsets.windows(2).position(|pair| pair[1].0 <= pair[0].0).map_or(offsets.len(), |at| at + 1);
    let offsets = &offsets[..sorted];
    let mut previous = -1;
    for (i, (timestamp, offset)) in entries.into_iter().enumerate() {
        let is_end = offset == base && i > 0;
        if is_end && plan.shape == Shape::V2_8_2 {
            return Ok(());
        }
        let at = offsets.partition_point(|(indexed, _)| *indexed <= offset);
        let position = at.checked_sub(1).map_or(0, |at| offsets[at].1);
        match timestamp_in_log(&log, position, offset)? {
            Err(found) => note(&mut findings.offsets_not_found, file, (offset, found)),
            Ok(latest) => {
                if latest != timestamp {
                    note(&mut findings.time_mismatches, file, (timestamp, latest));
                }
                if previous >= timestamp {
                    note(&mut findings.time_disorders, file, (timestamp, previous));
                }
                if is_end {
                    return Ok(());
                }
            }
        }
        if !plan.verifies_only {
            out_line!("timestamp: {timestamp} offset: {offset}");
        }
        previous = timestamp;
    }
    Ok(())
}

/// The latest timestamp of the batch that ends at `offset`, or the last offset of the one that has it (-1: none).
fn timestamp_in_log(log: &Segment, position: i32, offset: i64) -> Result<Result<i64, i64>, Exception> {
    let mut at = u64::try_from(position).unwrap_or(0);
    while let Some(batch) = log.batch_at(at, u64::MAX)? {
        let last = batch.info.last_offset();
        if last < offset {
            at += batch.info.size_bytes as u64;
            continue;
        }
        if last != offset {
            return Ok(Err(last));
        }
        let records = Records::open(&batch.info, &batch.bytes, &Limits::default())
            .map_err(|error| Exception::new("org.apache.kafka.common.KafkaException", error.to_string()))?;
        return Ok(Ok(records.flatten().map(|record| record.timestamp).fold(-1, i64::max)));
    }
    Ok(Err(-1))
}

fn check_times(file: &Path, entries: &[(i64, i64)], length: usize, base: i64) -> Result<(), Exception> {
    let path = absolute(file);
    let path = path.display();
    if let (Some((first, _)), Some((last, last_offset))) = (entries.first(), entries.last()) {
        let found = |what: String| {
            let head =
                format!("Corrupt time index found, time index file ({path}) has non-zero size but the last");
            Err(corrupt(format!("{head} {what}")))
        };
        if last < first {
            return found(format!("timestamp is {last} which is less than the first timestamp {first}"));
        }
        if *last_offset < base {
            return found(format!("offset is {last_offset} which is less than the first offset {base}"));
        }
    }
    if !length.is_multiple_of(TIME_ENTRY) {
        return Err(corrupt(format!(
            "Time index file {path} is corrupt, found {length} bytes which is neither positive nor a multiple of \
             {TIME_ENTRY}."
        )));
    }
    Ok(())
}

/// Prints an index of aborted transactions; an absent one has none.
pub fn dump_aborted(file: &Path) -> Result<(), Exception> {
    base_offset(file)?;
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io_error(file, &error)),
    };
    let mut lines = Vec::new();
    for entry in bytes.chunks_exact(ABORTED_ENTRY) {
        let version = i16_at(entry, 0);
        if version > 0 {
            return Err(Exception::new(
                "org.apache.kafka.common.KafkaException",
                format!(
                    "Unexpected aborted transaction version {version} in transaction index {}, current version is 0",
                    absolute(file).display()
                ),
            ));
        }
        let field = |n: usize| i64_at(entry, 2 + 8 * n);
        lines.push(format!(
            "version: {version} producerId: {} firstOffset: {} lastOffset: {} lastStableOffset: {}",
            field(0),
            field(1),
            field(2),
            field(3)
        ));
    }
    lines.iter().for_each(|line| out_line!("{line}"));
    Ok(())
}

/// Prints a snapshot of producers; says on stderr why it is none.
pub fn dump_snapshot(file: &Path) -> Result<(), Exception> {
    let bytes = std::fs::read(file).map_err(|error| io_error(file, &error))?;
    match snapshot_lines(&bytes) {
        Ok(lines) => lines.iter().for_each(|line| out_line!("{line}")),
        Err(why) => err_line!("{why}"),
    }
    Ok(())
}

fn snapshot_lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    if bytes.len() < SNAPSHOT_HEADER {
        return Err(format!("Snapshot failed schema validation: it has {} bytes", bytes.len()));
    }
    let version = i16_at(bytes, 0);
    if version != 1 {
        return Err(format!("Snapshot contained an unknown file version {version}"));
    }
    let (stored, computed) = (i32_at(bytes, 2) as u32, crc32c::crc32c(&bytes[6..]));
    if stored != computed {
        return Err(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
        ));
    }
    let entries = bytes[SNAPSHOT_HEADER..].chunks_exact(SNAPSHOT_ENTRY);
    let count = usize::try_from(i32_at(bytes, 6)).unwrap_or(0);
    if count > entries.len() {
        return Err(format!("Snapshot failed schema validation: {count} entries do not fit its size"));
    }
    Ok(entries.take(count).map(snapshot_line).collect())
}

fn snapshot_line(entry: &[u8]) -> String {
    let (last_sequence, last_offset, offset_delta) =
        (i32_at(entry, 10), i64_at(entry, 14), i32_at(entry, 22));
    let transaction = match i64_at(entry, 38) {
        offset @ 0.. => format!("Some({offset})"),
        _ => "None".to_string(),
    };
    let mut line = format!(
        "producerId: {} producerEpoch: {} coordinatorEpoch: {} currentTxnFirstOffset: {transaction} ",
        i64_at(entry, 0),
        i16_at(entry, 8),
        i32_at(entry, 34)
    );
    if last_offset >= 0 {
        line.push_str(&format!(
            "firstSequence: {} lastSequence: {last_sequence} lastOffset: {last_offset} offsetDelta: {offset_delta} \
             timestamp: {}",
            decrement_sequence(last_sequence, offset_delta),
            i64_at(entry, 26)
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snapshots() {
        let mut bytes = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        for (value, size) in [(7i64, 8), (1, 2), (5, 4), (9, 8), (2, 4), (1000, 8), (-1, 4), (-1, 8)] {
            bytes.extend_from_slice(&value.to_be_bytes()[8 - size..]);
        }
        assert!(snapshot_lines(&bytes).unwrap_err().starts_with("Snapshot is corrupt (CRC"));
        let crc = crc32c::crc32c(&bytes[6..]);
        bytes[2..6].copy_from_slice(&crc.to_be_bytes());
        assert_eq!(
            snapshot_lines(&bytes).unwrap(),
            [
                "producerId: 7 producerEpoch: 1 coordinatorEpoch: -1 currentTxnFirstOffset: None firstSequence: 3 \
                 lastSequence: 5 lastOffset: 9 offsetDelta: 2 timestamp: 1000"
            ]
        );
        assert!(snapshot_lines(&[0, 2]).is_err());
        assert_eq!(
            snapshot_lines(&[0, 2, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err(),
            "Snapshot contained an unknown file version 2"
        );
    }
}
