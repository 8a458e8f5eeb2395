//! Writing records anew: in another format, with another codec, or with other offsets.

use super::super::batch::{Batches, Compression, PreparedBatch};
use super::super::builder::{BatchBuilder, BatchOptions};
use super::super::legacy::LegacySet;
use super::super::v2;
use super::check::Checker;
use super::{PreparedBatches, RecordError, SetInfo, TimestampType, check_size, one};
use bytes::Bytes;

/// Checks all batches of `records` and writes them as the topic wants them, at offsets from 0.
pub(super) fn rebuild(
    records: &Bytes,
    checker: &Checker<'_>,
    set: &SetInfo,
    target: Compression,
) -> Result<PreparedBatches, RecordError> {
    let rules = checker.rules;
    for batch in Batches::new(records) {
        checker.check_batch(&batch?.0)?;
    }
    let first = &set.first;
    let append_time = rules.timestamp_type == TimestampType::LogAppendTime;
    let mut builder = BatchBuilder::new(BatchOptions {
        magic: rules.target_magic,
        compression: target,
        log_append_time: append_time.then_some(checker.now_ms),
        producer_id: first.producer_id,
        producer_epoch: first.producer_epoch,
        base_sequence: first.base_sequence,
        transactional: first.is_transactional(),
        control: first.is_control(),
        ..BatchOptions::default()
    })?;
    for batch in Batches::new(records) {
        let (info, bytes) = batch?;
        if info.magic == 2 {
            let records = v2::decompressed(&info, bytes, rules.limits.buffer_bytes)?;
            checker.check_decompressed_v2_records(&info, &records)?;
            v2::walk_records(&info, &records, |head, record| -> Result<(), RecordError> {
                let (key, value, headers) = v2::parts(head, record);
                let offset = builder.next_offset();
                Ok(builder.append_raw(offset, head.timestamp(&info), key, value, headers)?)
            })?;
        } else {
            let set = LegacySet::open(&info, bytes, &rules.limits)?;
            checker.check_legacy_set(&info, &set)?;
            for record in set.records() {
                let record = record?;
                let offset = builder.next_offset();
                builder.append_at(offset, record.timestamp, record.key, record.value, &[])?;
            }
        }
    }
    let count = builder.len() as i32;
    let built = builder.build()?;
    let batches = split(&built, count, target)?;
    for batch in &batches {
        check_size(rules, batch.info.size_bytes)?;
    }
    Ok(batches)
}

/// The batches in what a builder made: one, or as many as there are uncompressed v0/v1 records.
fn split(built: &Bytes, count: i32, target: Compression) -> Result<PreparedBatches, RecordError> {
    let mut batches = PreparedBatches::new();
    for (offset, batch) in (0..).zip(Batches::new(built)) {
        let (mut info, bytes) = batch?;
        if info.magic < 2 && target != Compression::None {
            info.last_offset_delta = count - 1;
            info.records_count = count;
            return Ok(one(info, built.clone()));
        }
        if info.magic < 2 {
            info.base_offset = offset;
        }
        batches.push(PreparedBatch { info, bytes: built.slice_ref(bytes) });
    }
    Ok(batches)
}
