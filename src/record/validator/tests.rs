use super::super::batch::{
    ATTRIBUTES_AT, CONTROL_BIT, CRC_AT, LAST_OFFSET_DELTA_AT, LOG_APPEND_TIME_BIT, MAX_TIMESTAMP_AT,
    RECORDS_COUNT_AT, compute_crc,
};
use super::super::builder::BatchOptions;
use super::super::reader::{Header, Record, read_all};
use super::super::testing::{CODECS, Rng, build, exists, random_records};
use super::*;

const NOW: i64 = 1_700_000_000_000;

fn rules() -> ValidationRules {
    ValidationRules {
        topic_partition: TopicPartition::new("topic", 3),
        request_format: RequestFormat::OneBatch,
        origin: Origin::Client,
        target_magic: 2,
        target_compression: None,
        zstd_allowed: true,
        timestamp_type: TimestampType::CreateTime,
        max_timestamp_difference_ms: i64::MAX,
        max_message_bytes: 1_048_588,
        compacted: false,
        limits: Limits::default(),
    }
}

fn old_rules(target_magic: i8) -> ValidationRules {
    ValidationRules { request_format: RequestFormat::AnyBatches, target_magic, ..rules() }
}

fn record(offset: i64) -> Record {
    Record {
        offset,
        timestamp: NOW + offset,
        sequence: -1,
        key: Some(format!("key-{offset}").into()),
        value: Some("value".into()),
        headers: Vec::new(),
    }
}

fn options(magic: i8, compression: Compression) -> BatchOptions {
    BatchOptions { magic, compression, ..Default::default() }
}

fn batch(count: i64) -> Bytes {
    build(BatchOptions::default(), &(0..count).map(record).collect::<Vec<_>>())
}

/// The batch with some bytes replaced and its checksum right again.
fn patched(batch: &Bytes, at: usize, with: &[u8]) -> Bytes {
    let mut bytes = batch.to_vec();
    bytes[at..at + with.len()].copy_from_slice(with);
    let crc = compute_crc(2, &bytes);
    bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

fn refused(records: &Bytes, rules: &ValidationRules) -> RecordError {
    prepare_client_records(records, rules, NOW).unwrap_err()
}

fn code(records: &Bytes, rules: &ValidationRules) -> ErrorCode {
    refused(records, rules).code
}

fn stored(batches: &PreparedBatches) -> Vec<Record> {
    let limits = Limits::default();
    batches.iter().flat_map(|b| read_all(&written(b, 0), &limits).unwrap()).collect()
}

fn written(batch: &PreparedBatch, base: i64) -> Bytes {
    let placed = batch.place(base + batch.info.base_offset, 5);
    [&placed.head[..], &placed.rest[..]].concat().into()
}

#[test]
fn good_batches_stay_where_they_are() {
    for compression in CODECS {
        let records = build(options(2, compression), &[record(0), record(1)]);
        let batches = prepare_client_records(&records, &rules(), NOW).unwrap();
        assert_eq!(batches.len(), 1);
        assert_eq!(batches[0].bytes.as_ptr(), records.as_ptr());
        assert_eq!(batches[0].info, BatchInfo::parse(&records).unwrap());
    }
}

#[test]
fn request_formats() {
    let one = batch(2);
    let two = Bytes::from([&one[..], &one[..]].concat());
    let old = build(options(1, Compression::None), &[record(0)]);
    let zstd = build(options(2, Compression::Zstd), &[record(0)]);
    let no_zstd = ValidationRules { request_format: RequestFormat::OneBatchWithoutZstd, ..rules() };
    for bad in [&Bytes::new(), &two, &old, &one.slice(..one.len() - 1)] {
        let error = refused(bad, &rules());
        assert_eq!((error.code, error.tells_log_start_offset), (ErrorCode::InvalidRecord, false));
        assert_eq!(error.message, None);
    }
    assert_eq!(code(&zstd, &no_zstd), ErrorCode::UnsupportedCompressionType);
    assert!(prepare_client_records(&zstd, &rules(), NOW).is_ok());
    assert!(prepare_client_records(&Bytes::new(), &old_rules(2), NOW).unwrap().is_empty());
    assert_eq!(code(&two, &old_rules(2)), ErrorCode::InvalidRecord);
    // What follows the last whole batch is dropped.
    let trailing = Bytes::from([&one[..], &one[..60]].concat());
    assert_eq!(prepare_client_records(&trailing, &rules(), NOW).unwrap()[0].bytes, one);
}

#[test]
fn headers_of_batches() {
    let one = batch(2);
    let code = |records: Bytes| code(&records, &rules());
    assert_eq!(code(patched(&one, 7, &[1])), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, LAST_OFFSET_DELTA_AT, &(-1i32).to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, LAST_OFFSET_DELTA_AT, &2i32.to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, RECORDS_COUNT_AT, &0i32.to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, RECORDS_COUNT_AT, &(-1i32).to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, ATTRIBUTES_AT, &CONTROL_BIT.to_be_bytes())), ErrorCode::InvalidRecord);
    assert_eq!(code(patched(&one, ATTRIBUTES_AT, &7i16.to_be_bytes())), ErrorCode::UnknownServerError);
    let no_sequence = BatchOptions { producer_id: 4, producer_epoch: 0, ..Default::default() };
    assert_eq!(code(build(no_sequence.clone(), &[record(0)])), ErrorCode::InvalidRecord);
    let idempotent = BatchOptions { base_sequence: 0, ..no_sequence };
    let idempotent = build(idempotent, &[record(0)]);
    assert!(prepare_client_records(&idempotent, &rules(), NOW).is_ok());
    let error = refused(&idempotent, &old_rules(1));
    assert_eq!((error.code, error.tells_log_start_offset), (ErrorCode::UnsupportedForMessageFormat, true));

    let mut broken = one.to_vec();
    broken[70] ^= 1;
    let error = refused(&broken.into(), &rules());
    assert_eq!((error.code, error.tells_log_start_offset), (ErrorCode::CorruptMessage, false));
    let small = ValidationRules { max_message_bytes: one.len() - 1, ..rules() };
    let error = refused(&one, &small);
    assert_eq!((error.code, error.tells_log_start_offset), (ErrorCode::MessageTooLarge, false));
}

#[test]
fn coordinators_may_write_control_batches() {
    let marker = super::super::control::end_transaction_marker(7, 1, true, 3, NOW);
    assert_eq!(code(&marker.bytes, &rules()), ErrorCode::InvalidRecord);
    let rules = ValidationRules {
        origin: Origin::Coordinator,
        target_compression: Some(Compression::Gzip),
        ..old_rules(2)
    };
    let batches = prepare_client_records(&marker.bytes, &rules, NOW).unwrap();
    assert_eq!(batches[0], marker);
}

#[test]
fn faults_of_records_are_listed() {
    let mut records: Vec<Record> = (0..4).map(record).collect();
    records[1].key = None;
    records[3].key = None;
    let compacted = ValidationRules { compacted: true, ..rules() };
    for compression in CODECS {
        let error = refused(&build(options(2, compression), &records), &compacted);
        let text = "Compacted topic cannot accept message without key in topic partition topic-3.";
        assert_eq!(error.code, ErrorCode::InvalidRecord);
        assert_eq!(error.message.as_deref(), Some("One or more records have been rejected"));
        assert_eq!(error.record_errors, [(1, text.to_owned()), (3, text.to_owned())]);
        assert!(error.tells_log_start_offset);
    }
    let late = ValidationRules { max_timestamp_difference_ms: 1, ..rules() };
    let error = refused(&build(BatchOptions::default(), &records), &late);
    assert_eq!(error.code, ErrorCode::InvalidTimestamp);
    assert_eq!(
        error.message.as_deref(),
        Some("One or more records have been rejected due to invalid timestamp")
    );
    assert_eq!(error.record_errors.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(
        error.record_errors[0].1,
        "Timestamp 1700000000002 of message with offset 2 is out of range. The timestamp should be within [1699999999999, 1700000000001]"
    );
    records.iter_mut().for_each(|record| record.timestamp = -1);
    assert!(prepare_client_records(&build(BatchOptions::default(), &records), &late, NOW).is_ok());
    let append_time = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..late };
    assert!(prepare_client_records(&batch(4), &append_time, 0).is_ok());
}

#[test]
fn producers_do_not_set_append_time() {
    let with_append_time = |compression| {
        let options = BatchOptions { log_append_time: Some(NOW), ..options(2, compression) };
        build(options, &[Record { key: None, ..record(0) }])
    };
    let text = |compression| {
        let error = refused(&with_append_time(compression), &rules());
        assert_eq!(error.code, ErrorCode::InvalidTimestamp);
        error.record_errors[0].1.clone()
    };
    assert_eq!(
        text(Compression::None),
        "Invalid timestamp type in message DefaultRecord(offset=0, timestamp=1700000000000, key=0 bytes, value=5 bytes). Producer should not set timestamp type to LogAppendTime."
    );
    assert!(
        text(Compression::Gzip)
            .contains("PartialDefaultRecord(offset=0, timestamp=1700000000000, key=-1 bytes, value=5 bytes)")
    );
    let old = BatchOptions { log_append_time: Some(NOW), ..options(1, Compression::None) };
    assert_eq!(code(&build(old, &[record(0)]), &old_rules(1)), ErrorCode::InvalidTimestamp);
}

#[test]
fn append_time_and_wrong_maximum_rewrite_the_header_only() {
    let append_time = ValidationRules { timestamp_type: TimestampType::LogAppendTime, ..rules() };
    for compression in CODECS {
        let records = build(options(2, compression), &[record(0), record(1)]);
        let batches = prepare_client_records(&records, &append_time, 99).unwrap();
        let info = batches[0].info;
        assert_eq!((info.max_timestamp, info.attributes & LOG_APPEND_TIME_BIT), (99, LOG_APPEND_TIME_BIT));
        assert_eq!(batches[0].bytes[61..], records[61..]);
        check_crc(&info, &batches[0].bytes).unwrap();
        assert!(stored(&batches).iter().all(|r| r.timestamp == 99));

        let wrong = patched(&records, MAX_TIMESTAMP_AT, &5i64.to_be_bytes());
        let batches = prepare_client_records(&wrong, &rules(), NOW).unwrap();
        assert_eq!(batches[0].bytes, records);
    }
}

#[test]
fn every_format_and_codec_into_every_other() {
    let mut rng = Rng::seeded("every_format_and_codec_into_every_other");
    for (from, to) in (0..3).flat_map(|from| (0..3).map(move |to| (from, to))) {
        for source in CODECS.into_iter().filter(|c| exists(from, *c)) {
            for target in [None].into_iter().chain(CODECS.map(Some)) {
                let codec = target.unwrap_or(source);
                let mut records = random_records(&mut rng, from);
                records.truncate(6);
                records.iter_mut().for_each(|record| record.headers.truncate(if to == 2 { 9 } else { 0 }));
                let set = build(options(from, source), &records);
                let rules = ValidationRules { target_compression: target, ..old_rules(to) };
                let result = prepare_client_records(&set, &rules, NOW);
                let context = format!("{from} {source:?} -> {to} {codec:?}");
                if !exists(to, codec) {
                    assert_eq!(result.unwrap_err().code, ErrorCode::UnknownServerError, "{context}");
                    continue;
                }
                let batches = result.unwrap();
                if to < 2 && codec == Compression::None {
                    assert_eq!(batches.len(), records.len(), "{context}");
                } else {
                    assert_eq!(batches.len(), 1, "{context}");
                    assert_eq!(batches[0].info.records_count as usize, records.len(), "{context}");
                }
                let mut expected = records;
                for record in &mut expected {
                    record.offset += 500;
                    if to == 0 {
                        record.timestamp = -1;
                    }
                }
                let log: Vec<u8> = batches.iter().flat_map(|b| written(b, 500)).collect();
                assert_eq!(read_all(&log.into(), &Limits::default()).unwrap(), expected, "{context}");
                for batch in &batches {
                    assert_eq!((batch.info.magic, batch.info.compression()), (to, Ok(codec)), "{context}");
                }
            }
        }
    }
}

#[test]
fn headers_do_not_fit_old_formats() {
    let header = Header { key: "h".into(), value: None };
    let set = build(BatchOptions::default(), &[Record { headers: vec![header], ..record(0) }]);
    assert_eq!(code(&set, &old_rules(1)), ErrorCode::UnknownServerError);
}

#[test]
fn wrong_inner_offsets_are_written_anew() {
    for compression in CODECS {
        let set = build(options(2, compression), &[record(0), record(5), record(6)]);
        let set = patched(&set, LAST_OFFSET_DELTA_AT, &2i32.to_be_bytes());
        let batches = prepare_client_records(&set, &rules(), NOW).unwrap();
        assert_eq!(stored(&batches).iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1, 2]);
    }
    // Wrappers of format 1: offset 0 on the outside is what some librdkafka versions send.
    let set = build(options(1, Compression::Gzip), &[record(0), record(1)]);
    let mut zero = set.to_vec();
    zero[..8].fill(0);
    let zero = Bytes::from(zero);
    let batches = prepare_client_records(&zero, &old_rules(1), NOW).unwrap();
    assert_eq!((batches[0].bytes.as_ptr(), batches[0].info.last_offset()), (zero.as_ptr(), 1));
    let far =
        build(BatchOptions { base_offset: 7, ..options(1, Compression::Gzip) }, &[record(7), record(8)]);
    let batches = prepare_client_records(&far, &old_rules(1), NOW).unwrap();
    assert_ne!(batches[0].bytes.as_ptr(), far.as_ptr());
    assert_eq!(stored(&batches).iter().map(|r| r.offset).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn old_sets_do_not_mix() {
    let (v0, v1) = (
        build(options(0, Compression::None), &[Record { timestamp: -1, ..record(0) }]),
        build(options(1, Compression::None), &[record(0)]),
    );
    let packed = build(options(1, Compression::Gzip), &[record(0)]);
    for set in [[&v0[..], &v1].concat(), [&v1[..], &packed].concat(), [&packed[..], &packed].concat()] {
        assert_eq!(code(&set.into(), &old_rules(1)), ErrorCode::InvalidRecord);
    }
    // A damaged record inside of a sound wrapper.
    let mut inner = v1.to_vec();
    *inner.last_mut().unwrap() ^= 1;
    let wrap = |inner: &[u8]| {
        let mut packed = Vec::new();
        super::super::compression::compress(Compression::Gzip, 1, inner, &mut packed);
        let mut set = build(
            options(1, Compression::None),
            &[Record { key: None, value: Some(packed.into()), ..record(0) }],
        )
        .to_vec();
        set[17] = 1;
        let crc = compute_crc(1, &set);
        set[12..16].copy_from_slice(&crc.to_be_bytes());
        Bytes::from(set)
    };
    assert!(prepare_client_records(&wrap(&v1), &old_rules(1), NOW).is_ok());
    assert_eq!(code(&wrap(&inner), &old_rules(1)), ErrorCode::CorruptMessage);
    assert_eq!(code(&wrap(&v0), &old_rules(1)), ErrorCode::InvalidRecord);
    assert_eq!(code(&wrap(&packed), &old_rules(1)), ErrorCode::InvalidRecord);
    assert_eq!(code(&wrap(&[]), &old_rules(1)), ErrorCode::InvalidRecord);
}

#[test]
fn zstd_waits_for_the_cluster() {
    let rules = ValidationRules { zstd_allowed: false, ..rules() };
    let set = build(options(2, Compression::Zstd), &[record(0)]);
    assert_eq!(code(&set, &rules), ErrorCode::UnsupportedCompressionType);
}

#[test]
fn bombs_are_refused_within_bounds() {
    let big = Record { value: Some(vec![0; 40 << 20].into()), ..record(0) };
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
        let set = build(options(2, compression), std::slice::from_ref(&big));
        let small = Limits { walk_bytes: 1 << 20, buffer_bytes: 1 << 20 };
        let max_message_bytes = 1 << 24;
        let walked = ValidationRules { limits: small, max_message_bytes, ..rules() };
        assert_eq!(code(&set, &walked), ErrorCode::MessageTooLarge);
        let rebuilt = ValidationRules { target_compression: Some(Compression::None), ..walked.clone() };
        assert_eq!(code(&set, &rebuilt), ErrorCode::MessageTooLarge);
        // Within the bounds even one huge record is walked, through a window of constant size.
        let honest = ValidationRules { limits: Limits::default(), ..walked };
        assert!(prepare_client_records(&set, &honest, NOW).is_ok());
    }
}
