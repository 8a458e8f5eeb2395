use super::*;
use crate::record::batch::{Batches, check_crc};
use crate::record::reader::{Record, Records};
use bytes::Bytes;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn batch(options: BatchOptions, count: i64) -> (BatchInfo, Bytes) {
    let base = options.base_offset;
    let mut builder = BatchBuilder::new(options).expect("options");
    for n in 0..count {
        let (key, value) = (format!("key-{n}"), vec![n as u8; 50]);
        let value = (n % 4 != 3).then_some(&value[..]);
        builder.append_at(base + 2 * n, 1000 - n, Some(key.as_bytes()), value, &[]).expect("record");
    }
    let bytes = builder.build().expect("batch");
    (BatchInfo::parse(&bytes).expect("built"), bytes)
}

fn records(bytes: &[u8]) -> Vec<Record> {
    let bytes = Bytes::copy_from_slice(bytes);
    let mut found = Vec::new();
    for batch in Batches::new(&bytes) {
        let (info, raw) = batch.expect("a batch");
        check_crc(&info, raw).expect("checksum");
        let opened = Records::open(&info, &bytes.slice_ref(raw), &Limits::default()).expect("opens");
        found.extend(opened.map(|record| record.expect("a record")));
    }
    found
}

#[test]
fn what_stays_is_what_it_was() {
    let mut scratch = Scratch::default();
    for magic in 0..=2 {
        for compression in CODECS.into_iter().filter(|c| magic == 2 || *c != Compression::Zstd) {
            for log_append_time in [None, Some(5000)].into_iter().filter(|t| magic > 0 || t.is_none()) {
                let options = BatchOptions {
                    magic,
                    compression,
                    base_offset: 700,
                    log_append_time,
                    ..BatchOptions::default()
                };
                let (info, bytes) =
                    batch(options, if magic < 2 && compression == Compression::None { 1 } else { 9 });
                let before = records(&bytes);
                for mask in [0u32, 0x1ff, 0x0aa, 0x001, 0x100, 0x1fe, 0x0f0] {
                    let mut out = b"before".to_vec();
                    let wanted = |offset: i64| mask & (1 << ((offset - 700) / 2)) != 0;
                    let kept = retain(&info, &bytes, &Limits::default(), &mut scratch, &mut out, |r| {
                        wanted(r.offset)
                    })
                    .expect("readable");
                    assert_eq!(&out[..6], b"before");
                    let expected: Vec<_> = before.iter().filter(|r| wanted(r.offset)).cloned().collect();
                    assert_eq!(records(&out[6..]), expected, "{magic} {compression:?} {mask:x}");
                    assert_eq!((kept.read as usize, kept.kept as usize), (before.len(), expected.len()));
                    assert_eq!(kept.batch, BatchInfo::parse(&out[6..]).ok(), "the header is told");
                    if kept.kept == kept.read {
                        assert_eq!(out[6..], bytes, "not touched");
                    }
                    if let Some(after) = kept.batch.filter(|after| after.magic == 2) {
                        assert_eq!(
                            (after.base_offset, after.last_offset()),
                            (info.base_offset, info.last_offset())
                        );
                        let largest = expected.iter().map(|r| r.timestamp).max().expect("records");
                        assert_eq!(after.max_timestamp, largest);
                    }
                }
            }
        }
    }
}

#[test]
fn producers_keep_their_sequences_without_records() {
    let options = BatchOptions {
        compression: Compression::Lz4,
        base_offset: 40,
        producer_id: 9,
        producer_epoch: 3,
        base_sequence: 17,
        transactional: true,
        partition_leader_epoch: 5,
        ..BatchOptions::default()
    };
    let (info, bytes) = batch(options, 6);
    let mut out = Vec::new();
    let empty = write_empty(&info, &bytes, &mut out);
    assert_eq!(BatchInfo::parse(&out), Ok(empty));
    check_crc(&empty, &out).expect("checksum");
    assert_eq!((out.len(), empty.records_count, empty.base_timestamp), (V2_HEADER_SIZE, 0, NO_TIMESTAMP));
    assert_eq!((empty.last_sequence(), empty.last_offset()), (info.last_sequence(), info.last_offset()));
    assert_eq!((empty.producer_id, empty.producer_epoch, empty.partition_leader_epoch), (9, 3, 5));
    assert!(empty.is_transactional() && !empty.is_compressed());
    let mut again = Vec::new();
    assert_eq!(write_empty(&empty, &out, &mut again), empty);
    assert_eq!(again, out);
    let none = retain(&empty, &out, &Limits::default(), &mut Scratch::default(), &mut again, |_| true);
    assert_eq!(none, Ok(Retained { read: 0, kept: 0, batch: None }));
    assert_eq!(again, out);
}

#[test]
fn visitors_may_have_enough_and_damage_is_told() {
    let mut scratch = Scratch::default();
    for magic in 0..=2 {
        let (info, bytes) =
            batch(BatchOptions { magic, compression: Compression::Gzip, ..Default::default() }, 5);
        let mut seen = Vec::new();
        let all = visit_keys(&info, &bytes, &Limits::default(), &mut scratch, |record| {
            seen.push((record.offset, record.key.map(<[u8]>::to_vec), record.has_value));
            record.offset < 4
        });
        assert_eq!(all, Ok(false));
        let key = |n: i64| Some(format!("key-{n}").into_bytes());
        assert_eq!(seen, [(0, key(0), true), (2, key(1), true), (4, key(2), true)]);
        let mut cut = bytes.to_vec();
        let last = cut.len() - 12;
        cut[last..].fill(0xee);
        let mut out = vec![1];
        let failed = retain(&info, &cut, &Limits::default(), &mut scratch, &mut out, |_| true);
        assert!(failed.is_err() && out == [1], "{failed:?}");
        let small = Limits { buffer_bytes: 64, ..Limits::default() };
        assert!(visit_keys(&info, &bytes, &small, &mut scratch, |_| true).is_err(), "a bomb");
    }
}
