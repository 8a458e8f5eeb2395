//! Bytes that nobody sent in good faith: no panic, bounded memory, and what is accepted is sound.

use super::super::batch::{
    ATTRIBUTES_AT, Batches, CRC_AT, Compression, LEGACY_CRC_AT, TimestampType, check_crc, compute_crc,
};
use super::super::builder::BatchOptions;
use super::super::compression::Limits;
use super::super::convert::down_convert;
use super::super::reader::read_all;
use super::super::testing::{CODECS, Rng, build, exists, random_records};
use super::super::v2;
use super::super::validator::{Origin, RequestFormat, ValidationRules, prepare_client_records};
use crate::common::TopicPartition;
use bytes::Bytes;

const LIMITS: Limits = Limits { walk_bytes: 8 << 20, buffer_bytes: 8 << 20 };

fn random_rules(rng: &mut Rng) -> ValidationRules {
    ValidationRules {
        topic_partition: TopicPartition::new("t", 0),
        request_format: RequestFormat::AnyBatches,
        origin: if rng.below(8) == 0 { Origin::Coordinator } else { Origin::Client },
        target_magic: rng.below(3) as i8,
        target_compression: [None, Some(CODECS[rng.below(5) as usize])][rng.below(2) as usize],
        zstd_allowed: true,
        timestamp_type: [TimestampType::CreateTime, TimestampType::LogAppendTime][rng.below(2) as usize],
        max_timestamp_difference_ms: [i64::MAX, 1000][(rng.below(4) == 0) as usize],
        max_message_bytes: 16 << 20,
        compacted: rng.below(8) == 0,
        limits: LIMITS,
    }
}

/// Changes some bytes; mostly repairs the checksum, so that what lies behind it is reached.
fn damage(rng: &mut Rng, set: &mut Vec<u8>) {
    for _ in 0..rng.below(4) {
        let at = rng.below(set.len() as u64) as usize;
        // Headers and the first records are where the structure is.
        let at = if rng.below(2) == 0 { at % 100 } else { at };
        if let Some(byte) = set.get_mut(at) {
            *byte = [rng.next() as u8, *byte ^ (1 << rng.below(8)), 0xff, 0][rng.below(4) as usize];
        }
    }
    if rng.below(4) == 0 {
        set.truncate(rng.below(set.len() as u64 + 1) as usize);
    }
    if set.len() > 26 && rng.below(8) > 0 {
        let (magic, at) = if set[16] == 2 { (2, CRC_AT) } else { (0, LEGACY_CRC_AT) };
        let end = set.len().min(12 + i32::from_be_bytes([set[8], set[9], set[10], set[11]]).max(0) as usize);
        if end > ATTRIBUTES_AT {
            let crc = compute_crc(magic, &set[..end]);
            set[at..at + 4].copy_from_slice(&crc.to_be_bytes());
        }
    }
}

#[test]
fn damaged_sets_never_panic_and_accepted_ones_are_sound() {
    let mut rng = Rng::seeded("damaged_sets_never_panic_and_accepted_ones_are_sound");
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..150 {
        let magic = rng.below(3) as i8;
        let compression = CODECS[rng.below(5) as usize];
        if !exists(magic, compression) {
            continue;
        }
        let mut records = random_records(&mut rng, magic);
        records.truncate(8);
        for record in &mut records {
            record.value = record.value.take().map(|value| value.slice(..value.len().min(2000)));
        }
        let set = build(BatchOptions { magic, compression, ..Default::default() }, &records);
        for _ in 0..20 {
            let mut bad = set.to_vec();
            damage(&mut rng, &mut bad);
            let bad = Bytes::from(bad);
            let _ = read_all(&bad, &LIMITS);
            let _ = down_convert(&bad, rng.below(2) as i8, rng.below(5) as i64, &LIMITS);
            let rules = random_rules(&mut rng);
            let Ok(batches) = prepare_client_records(&bad, &rules, 1_700_000_000_000) else {
                refused += 1;
                continue;
            };
            accepted += 1;
            let mut next = 0;
            for batch in batches {
                assert_eq!(batch.info.base_offset, next);
                let placed = batch.place(next + 1000, 3);
                let written: Bytes = [&placed.head[..], &placed.rest[..]].concat().into();
                let (info, _) = Batches::new(&written).next().unwrap().unwrap();
                check_crc(&info, &written).unwrap();
                assert_eq!(info.size_bytes, placed.info.size_bytes);
                let read = read_all(&written, &LIMITS).unwrap();
                if rules.origin == Origin::Client {
                    assert_eq!(read.len(), batch.info.records_count as usize);
                    let offsets: Vec<i64> = read.iter().map(|r| r.offset - 1000).collect();
                    assert_eq!(offsets, (next..next + read.len() as i64).collect::<Vec<_>>());
                    if rules.timestamp_type == TimestampType::LogAppendTime && rules.target_magic > 0 {
                        assert!(read.iter().all(|r| r.timestamp == 1_700_000_000_000));
                    }
                }
                next = batch.info.last_offset() + 1;
            }
        }
    }
    println!("{accepted} accepted, {refused} refused");
    assert!(accepted > 200 && refused > 200, "{accepted} accepted, {refused} refused");
}

/// Records in a slice and in a small window of a stream are the same, good or bad.
#[test]
fn streamed_and_direct_walks_agree() {
    let mut rng = Rng::seeded("streamed_and_direct_walks_agree");
    for _ in 0..60 {
        let mut records = random_records(&mut rng, 2);
        if rng.below(3) == 0 {
            // Larger than the window.
            let size = 300_000 + rng.below(600_000) as usize;
            records[0].value = Some(vec![rng.next() as u8; size].into());
        }
        let direct = build(BatchOptions::default(), &records);
        let mut inner = direct[61..].to_vec();
        for _ in 0..rng.below(3) {
            let at = rng.below(inner.len() as u64) as usize % 40;
            if let Some(byte) = inner.get_mut(at) {
                *byte = rng.next() as u8;
            }
        }
        let with = |compression: Compression| {
            let mut batch = direct[..61].to_vec();
            super::super::compression::compress(compression, 2, &inner, &mut batch);
            let size = (batch.len() - 12) as i32;
            batch[8..12].copy_from_slice(&size.to_be_bytes());
            batch[22] = compression as u8;
            let (info, _) = Batches::new(&batch).next().unwrap().unwrap();
            let mut heads = Vec::new();
            let result = v2::walk(&info, &batch, &LIMITS, |head| {
                heads.push((head.size_bytes, head.timestamp_delta, head.key_size, head.value_size));
            });
            (result.is_ok(), heads)
        };
        let expected = with(Compression::None);
        for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd] {
            assert_eq!(with(compression), expected, "{compression:?}");
        }
    }
}
