//! Writing records anew: in another format, with another codec, or with other offsets.

use super::super::batch::{BatchInfo, Batches, Compression, PreparedBatch, V2_HEADER_SIZE};
use super::super::builder::{BatchBuilder, BatchOptions, RawHeaders};
use super::super::compression::decompress_into;
use super::super::legacy::LegacySet;
use super::super::{RecordsError, v2};
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
            checker.check_v2_records(&info, bytes)?;
            append_v2(&mut builder, &info, bytes, rules.limits.buffer_bytes)?;
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

/// Appends the records of a v2 batch, which were checked, at the builder's next offsets.
pub(in super::super) fn append_v2(
    builder: &mut BatchBuilder,
    info: &BatchInfo,
    batch: &[u8],
    buffer_bytes: usize,
) -> Result<(), RecordError> {
    let mut decompressed = Vec::new();
    let records = &batch[V2_HEADER_SIZE..info.size_bytes];
    let mut rest = match info.compression()? {
        Compression::None => records,
        compression => {
            decompress_into(compression, info.magic, records, buffer_bytes, &mut decompressed)
                .map_err(RecordsError::Codec)?;
            &decompressed[..]
        }
    };
    for _ in 0..info.records_count {
        let head = v2::parse(rest)?.ok_or(RecordsError::Invalid("Records end too early"))?;
        let (record, next) = rest.split_at(head.size_bytes);
        let field = |at: usize, size: i32| usize::try_from(size).ok().map(|size| &record[at..at + size]);
        let headers = RawHeaders { count: head.header_count, bytes: &record[head.headers_at..] };
        builder.append_raw(
            builder.next_offset(),
            head.timestamp(info),
            field(head.key_at, head.key_size),
            field(head.value_at, head.value_size),
            headers,
        )?;
        rest = next;
    }
    Ok(())
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
