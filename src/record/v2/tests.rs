use super::super::builder::BatchOptions;
use super::super::reader::{Header, Record};
use super::super::testing::build;
use super::*;

fn records() -> Vec<u8> {
    let record = Record {
        timestamp: 5,
        key: Some("key".into()),
        value: None,
        headers: vec![Header { key: "h".into(), value: Some("x".into()) }],
        ..Default::default()
    };
    build(BatchOptions::default(), &[record])[V2_HEADER_SIZE..].to_vec()
}

#[test]
fn a_record_is_exactly_as_long_as_it_says() {
    let good = records();
    let head = parse(&good).unwrap().unwrap();
    assert_eq!((head.key_size, head.value_size, head.header_count, head.size_bytes), (3, -1, 1, good.len()));
    for cut in 0..good.len() {
        assert_eq!(parse(&good[..cut]), Ok(None), "cut at {cut}");
    }
    for wrong in [-2i32, -1, 0, 5, 12, 14] {
        let mut bad = vec![(wrong << 1 ^ wrong >> 31) as u8];
        bad.extend_from_slice(&good[1..]);
        bad.extend_from_slice(&[0; 20]);
        assert!(parse(&bad).is_err(), "size {wrong}");
    }
}

#[test]
fn bad_parts_are_named() {
    let with = |at: usize, byte: u8| {
        let mut bad = records();
        bad[at] = byte;
        parse(&bad).unwrap_err().to_string()
    };
    // size, attributes, timestamp, offset, key size, key (3), value size, header count, key size, key, ...
    assert_eq!(with(4, 100), "Found invalid record structure");
    assert_eq!(with(9, 1), "Found invalid number of record headers");
    assert_eq!(with(9, 80), "Found invalid number of record headers");
    assert_eq!(with(10, 1), "Invalid negative header key size");
    assert_eq!(with(9, 0), "Invalid record size");
}
