use super::*;
use bytes::Bytes;

fn v2(base_offset: i64, records: &[u8]) -> Vec<u8> {
    let mut batch = vec![0; V2_HEADER_SIZE];
    batch[..8].copy_from_slice(&base_offset.to_be_bytes());
    batch[SIZE_AT..12]
        .copy_from_slice(&((V2_HEADER_SIZE - LOG_OVERHEAD + records.len()) as i32).to_be_bytes());
    batch[LEADER_EPOCH_AT..16].copy_from_slice(&7i32.to_be_bytes());
    batch[MAGIC_AT] = 2;
    batch[ATTRIBUTES_AT + 1] = 0x3b;
    batch[LAST_OFFSET_DELTA_AT..27].copy_from_slice(&4i32.to_be_bytes());
    batch[BASE_SEQUENCE_AT..57].copy_from_slice(&(i32::MAX - 1).to_be_bytes());
    batch.extend_from_slice(records);
    let crc = compute_crc(2, &batch);
    batch[CRC_AT..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn v0(offset: i64) -> Vec<u8> {
    let mut entry = offset.to_be_bytes().to_vec();
    entry.extend_from_slice(&14i32.to_be_bytes());
    entry.extend_from_slice(&[0, 0, 0, 0, 0, 0]);
    entry.extend_from_slice(&[0xff; 8]);
    let crc = compute_crc(0, &entry);
    entry[12..16].copy_from_slice(&crc.to_be_bytes());
    entry
}

#[test]
fn mixed_formats_iterate() {
    let mut set = v0(3);
    set.extend(v2(4, b"abc"));
    set.extend(v0(9));
    let whole = set.len();
    set.extend(&v2(10, b"")[..60]);
    let mut batches = Batches::new(&set);
    let found: Vec<_> = batches.by_ref().map(|b| b.unwrap().0).collect();
    assert_eq!(
        found.iter().map(|i| (i.base_offset, i.last_offset())).collect::<Vec<_>>(),
        [(3, 3), (4, 8), (9, 9)]
    );
    assert_eq!((batches.position(), batches.remaining()), (whole, 60));
    let info = found[1];
    assert_eq!((info.partition_leader_epoch, info.records_count, info.last_sequence()), (7, 0, 2));
    assert!(info.is_control() && info.is_transactional());
    assert_eq!(info.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(info.compression(), Ok(Compression::Lz4));
    for batch in Batches::new(&set) {
        let (info, bytes) = batch.unwrap();
        check_crc(&info, bytes).unwrap();
        let mut broken = bytes.to_vec();
        *broken.last_mut().unwrap() ^= 1;
        assert!(matches!(check_crc(&info, &broken), Err(BatchError::WrongCrc { .. })));
    }
}

#[test]
fn bad_headers_are_errors() {
    let good = v2(0, b"");
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        Batches::new(&bad).next().unwrap().unwrap_err()
    };
    assert_eq!(with(MAGIC_AT, 7).to_string(), "Invalid magic found in record: 7");
    assert_eq!(with(MAGIC_AT, 0xff).to_string(), "Invalid magic found in record: -1");
    assert_eq!(with(11, 13).to_string(), "Record size 13 is less than the minimum record overhead (14)");
    assert_eq!(with(8, 0x80), BatchError::SizeTooSmall(-0x8000_0000 + 49));
    assert_eq!(with(11, 48), BatchError::HeaderTooSmall { size_bytes: 60, magic: 2 });
    for cut in 0..good.len() {
        assert!(Batches::new(&good[..cut]).next().is_none(), "cut at {cut}");
        assert!(matches!(BatchInfo::parse(&good[..cut]), Err(BatchError::Incomplete { .. })));
    }
}

#[test]
fn placing_writes_offset_and_epoch_only() {
    let bytes = Bytes::from(v2(0, b"xyz"));
    let prepared = PreparedBatch { info: BatchInfo::parse(&bytes).unwrap(), bytes };
    let placed = prepared.place(1000, 12);
    let all = [&placed.head[..], &placed.rest[..]].concat();
    let info = BatchInfo::parse(&all).unwrap();
    assert_eq!((info.base_offset, info.last_offset(), info.partition_leader_epoch), (1000, 1004, 12));
    assert_eq!(info, placed.info);
    check_crc(&info, &all).unwrap();

    let bytes = Bytes::from(v0(0));
    let mut info = BatchInfo::parse(&bytes).unwrap();
    info.last_offset_delta = 2;
    let placed = PreparedBatch { info, bytes }.place(1000, 12);
    assert_eq!(i64_at(&placed.head, 0), 1002);
}

#[test]
fn sequences_wrap() {
    assert_eq!(increment_sequence(i32::MAX, 1), 0);
    assert_eq!(increment_sequence(5, i32::MAX), 4);
    assert_eq!(decrement_sequence(0, 1), i32::MAX);
    assert_eq!(decrement_sequence(10, 3), 7);
}
