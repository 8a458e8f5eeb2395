use super::super::batch::PreparedBatch;
use super::super::control::end_transaction_marker;
use super::super::reader::{Header, Record, read_all};
use super::super::testing::{CODECS, build, exists};
use super::*;

fn record(offset: i64) -> Record {
    Record {
        offset,
        timestamp: 1000 + offset,
        sequence: -1,
        key: Some("k".into()),
        value: Some(format!("v{offset}").into()),
        headers: vec![Header { key: "h".into(), value: None }],
    }
}

fn batch(offsets: &[i64], compression: Compression) -> Bytes {
    let records: Vec<Record> = offsets.iter().map(|offset| record(*offset)).collect();
    build(BatchOptions { base_offset: offsets[0], compression, ..Default::default() }, &records)
}

fn placed(batch: &PreparedBatch, offset: i64) -> Vec<u8> {
    let placed = batch.place(offset, 0);
    [&placed.head[..], &placed.rest[..]].concat()
}

fn converted(set: &Bytes, to_magic: i8, first_offset: i64) -> Vec<Record> {
    let converted = down_convert(set, to_magic, first_offset, &Limits::default()).unwrap();
    assert!(is_compatible(&converted.bytes, to_magic));
    read_all(&converted.bytes, &Limits::default()).unwrap()
}

#[test]
fn headers_and_control_batches_are_dropped() {
    for to_magic in 0..=1 {
        for compression in CODECS.into_iter().filter(|c| exists(1, *c)) {
            let marker = placed(&end_transaction_marker(5, 0, true, 0, 1), 12);
            let set = [&batch(&[10, 11], compression)[..], &marker, &batch(&[13, 17], compression)].concat();
            let records = converted(&set.into(), to_magic, 0);
            let expected: Vec<Record> = [10, 11, 13, 17]
                .into_iter()
                .map(|offset| Record {
                    headers: Vec::new(),
                    timestamp: if to_magic == 0 { -1 } else { 1000 + offset },
                    ..record(offset)
                })
                .collect();
            assert_eq!(records, expected, "{to_magic} {compression:?}");
        }
    }
}

#[test]
fn only_uncompressed_records_below_the_reader_are_dropped() {
    let offsets = |set: Bytes| converted(&set, 1, 11).iter().map(|r| r.offset).collect::<Vec<_>>();
    assert_eq!(offsets(batch(&[10, 11, 12], Compression::None)), [11, 12]);
    assert_eq!(offsets(batch(&[10, 11, 12], Compression::Lz4)), [10, 11, 12]);
    assert_eq!(offsets(batch(&[8, 9], Compression::None)), [0i64; 0]);
}

#[test]
fn append_time_stays() {
    let options = BatchOptions { log_append_time: Some(77), ..Default::default() };
    for compression in [Compression::None, Compression::Gzip] {
        let set = build(BatchOptions { compression, ..options.clone() }, &[record(0), record(1)]);
        let out = down_convert(&set, 1, 0, &Limits::default()).unwrap();
        assert_eq!(out.records_converted, 2);
        for batch in Batches::new(&out.bytes) {
            let (info, _) = batch.unwrap();
            assert_eq!((info.timestamp_type(), info.max_timestamp), (TimestampType::LogAppendTime, 77));
        }
        assert!(converted(&set, 1, 0).iter().all(|r| r.timestamp == 77));
    }
}

#[test]
fn batches_without_records_are_passed_over() {
    for compression in CODECS {
        let mut empty = batch(&[4], compression)[..V2_HEADER_SIZE].to_vec();
        empty[8..12].copy_from_slice(&49i32.to_be_bytes());
        empty[57..61].fill(0);
        let empty = Bytes::from(empty);
        assert_eq!(converted(&empty, 1, 0), []);
        assert_eq!(read_all(&empty, &Limits::default()).unwrap(), []);
    }
}

#[test]
fn zstd_is_refused() {
    let set = [&batch(&[0], Compression::None)[..], &batch(&[1], Compression::Zstd)].concat();
    let error = down_convert(&set.into(), 1, 0, &Limits::default()).unwrap_err();
    assert_eq!(error, ConvertError::UnsupportedCompression);
}

#[test]
fn chunks_hold_whole_batches() {
    let one = batch(&[0, 1], Compression::None);
    let set = [&one[..], &one, &one, &one[..50]].concat();
    assert_eq!(chunk(&set, 1), one.len());
    assert_eq!(chunk(&set, 2 * one.len()), 2 * one.len());
    assert_eq!(chunk(&set, usize::MAX), 3 * one.len());
    assert_eq!(chunk(&one[..50], 1000), 0);
}

#[test]
fn overflow_batches_claim_more_than_the_answer_holds() {
    for remaining in [0, 1, 12, 60, 61, 100, CHUNK_SIZE, 10 * CHUNK_SIZE] {
        let fake = overflow_batch(remaining);
        assert!(fake.len() >= 12 && fake.len() <= CHUNK_SIZE);
        let size = i32::from_be_bytes([fake[8], fake[9], fake[10], fake[11]]);
        assert!(size as usize > remaining, "{remaining}");
        assert!(size as usize >= V2_HEADER_SIZE);
    }
}
