use super::super::batch::BatchInfo;
use super::super::batch::{Batches, TimestampType, check_crc};
use super::super::compression::Limits;
use super::super::reader::{Record, read_all};
use super::super::testing::{CODECS, Rng, build, exists, random_records};
use super::*;

#[test]
fn records_come_back_from_every_format_and_codec() {
    let mut rng = Rng::seeded("records_come_back_from_every_format_and_codec");
    for _ in 0..15 {
        for magic in 0..=2 {
            for compression in CODECS.into_iter().filter(|c| exists(magic, *c)) {
                let records = random_records(&mut rng, magic);
                let set = build(BatchOptions { magic, compression, ..Default::default() }, &records);
                for batch in Batches::new(&set) {
                    let (info, bytes) = batch.unwrap();
                    check_crc(&info, bytes).unwrap();
                    assert_eq!(info.compression(), Ok(compression));
                }
                assert_eq!(read_all(&set, &Limits::default()).unwrap(), records, "{magic} {compression:?}");
            }
        }
    }
}

#[test]
fn header_says_what_the_options_say() {
    let options = BatchOptions {
        base_offset: 1000,
        compression: Compression::Lz4,
        log_append_time: Some(77),
        producer_id: 5,
        producer_epoch: 6,
        base_sequence: i32::MAX,
        transactional: true,
        partition_leader_epoch: 9,
        ..Default::default()
    };
    let record = |offset| Record { offset, timestamp: offset, value: Some("v".into()), ..Default::default() };
    let bytes = build(options.clone(), &[record(1000), record(1005)]);
    let info = BatchInfo::parse(&bytes).unwrap();
    assert_eq!((info.base_offset, info.last_offset(), info.records_count), (1000, 1005, 2));
    assert_eq!((info.producer_id, info.producer_epoch, info.last_sequence()), (5, 6, 4));
    assert!(info.is_transactional() && !info.is_control());
    assert_eq!((info.timestamp_type(), info.max_timestamp), (TimestampType::LogAppendTime, 77));
    assert_eq!((info.base_timestamp, info.partition_leader_epoch), (1000, 9));
    let read = read_all(&bytes, &Limits::default()).unwrap();
    assert_eq!(read.iter().map(|r| (r.timestamp, r.sequence)).collect::<Vec<_>>(), [(77, i32::MAX), (77, 4)]);
}

#[test]
fn refuses_what_a_format_cannot_hold() {
    let new = |options| BatchBuilder::new(options).map(|_| ()).unwrap_err();
    let v1 = BatchOptions { magic: 1, ..Default::default() };
    assert_eq!(new(BatchOptions { compression: Compression::Zstd, ..v1.clone() }), BuildError::ZstdNeedsV2);
    assert_eq!(new(BatchOptions { producer_id: 1, ..v1.clone() }), BuildError::ProducerNeedsV2);
    let mut builder = BatchBuilder::new(v1).unwrap();
    assert_eq!(builder.append(0, None, None, &[Header::default()]), Err(BuildError::HeadersNeedV2));
    assert_eq!(builder.append(-2, None, None, &[]), Err(BuildError::InvalidTimestamp(-2)));
    builder.append_at(5, -1, None, None, &[]).unwrap();
    assert_eq!(builder.append_at(5, -1, None, None, &[]), Err(BuildError::InvalidOffset(5)));
    assert_eq!(builder.append_at(1 << 31, -1, None, None, &[]), Err(BuildError::InvalidOffset(1 << 31)));
    assert_eq!(builder.append_at(-1, -1, None, None, &[]), Err(BuildError::InvalidOffset(-1)));
    assert_eq!(BatchBuilder::new(BatchOptions::default()).unwrap().build(), Ok(Bytes::new()));
}

#[test]
fn rewritten_timestamps_keep_the_checksum_right() {
    let mut rng = Rng::seeded("rewritten_timestamps_keep_the_checksum_right");
    for _ in 0..20 {
        let records = random_records(&mut rng, 2);
        let mut bytes = build(BatchOptions::default(), &records).to_vec();
        rewrite_v2_timestamp(&mut bytes, 8, 123_456);
        let info = BatchInfo::parse(&bytes).unwrap();
        check_crc(&info, &bytes).unwrap();
        assert_eq!((info.timestamp_type(), info.max_timestamp), (TimestampType::LogAppendTime, 123_456));
    }
}
