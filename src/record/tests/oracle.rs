//! A second implementation: the crate kafka-protocol writes what we read, and reads what we write.

use super::super::batch::Compression;
use super::super::builder::BatchOptions;
use super::super::compression::Limits;
use super::super::reader::{Record, read_all};
use super::super::testing::{CODECS, Rng, build, random_records};
use bytes::{Bytes, BytesMut};
use kafka_protocol::records as theirs;

fn their_codec(compression: Compression) -> theirs::Compression {
    match compression {
        Compression::None => theirs::Compression::None,
        Compression::Gzip => theirs::Compression::Gzip,
        Compression::Snappy => theirs::Compression::Snappy,
        Compression::Lz4 => theirs::Compression::Lz4,
        Compression::Zstd => theirs::Compression::Zstd,
    }
}

/// What it can hold: header keys that are text, each once; timestamps within an int of each other.
fn make_plain(records: &mut [Record]) {
    for record in records {
        record.timestamp = record.timestamp.min(1 << 30);
        for (i, header) in record.headers.iter_mut().enumerate() {
            header.key = format!("header-{i}").into();
            // It takes -1 for a negative length here.
            header.value.get_or_insert_default();
        }
    }
}

fn to_theirs(record: &Record, sequence: i32) -> theirs::Record {
    theirs::Record {
        transactional: false,
        control: false,
        partition_leader_epoch: -1,
        producer_id: 7,
        producer_epoch: 1,
        timestamp_type: theirs::TimestampType::Creation,
        offset: record.offset,
        sequence,
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record
            .headers
            .iter()
            .map(|h| {
                (kafka_protocol::protocol::StrBytes::from_string(h.key_text().into_owned()), h.value.clone())
            })
            .collect(),
    }
}

fn assert_same(ours: &Record, other: &theirs::Record, context: &str) {
    assert_eq!((ours.offset, ours.timestamp), (other.offset, other.timestamp), "{context}");
    assert_eq!((&ours.key, &ours.value), (&other.key, &other.value), "{context}");
    let headers: Vec<(String, Option<Bytes>)> =
        ours.headers.iter().map(|h| (h.key_text().into_owned(), h.value.clone())).collect();
    let other: Vec<_> = other.headers.iter().map(|(key, value)| (key.to_string(), value.clone())).collect();
    assert_eq!(headers, other, "{context}");
}

#[test]
fn we_read_what_it_writes() {
    let mut rng = Rng::seeded("we_read_what_it_writes");
    for round in 0..60 {
        let compression = CODECS[round % CODECS.len()];
        let mut records = random_records(&mut rng, 2);
        make_plain(&mut records);
        let out: Vec<_> = records.iter().map(|r| to_theirs(r, r.offset as i32)).collect();
        let mut bytes = BytesMut::new();
        let options = theirs::RecordEncodeOptions { version: 2, compression: their_codec(compression) };
        theirs::RecordBatchEncoder::encode(&mut bytes, &out, &options).unwrap();
        let read = read_all(&bytes.freeze(), &Limits::default()).unwrap();
        assert_eq!(read.len(), records.len());
        for (ours, other) in read.iter().zip(&out) {
            assert_same(ours, other, compression.name());
            assert_eq!(ours.sequence, other.sequence);
        }
    }
}

#[test]
fn it_reads_what_we_write() {
    let mut rng = Rng::seeded("it_reads_what_we_write");
    for _ in 0..12 {
        for magic in 0..=2 {
            // It knows snappy without framing only, and does not open compressed entries of formats 0 and 1.
            let readable = |c: &Compression| {
                if magic == 2 { *c != Compression::Snappy } else { *c == Compression::None }
            };
            for compression in CODECS.into_iter().filter(readable) {
                let mut records = random_records(&mut rng, magic);
                make_plain(&mut records);
                let mut bytes = build(BatchOptions { magic, compression, ..Default::default() }, &records);
                let sets = theirs::RecordBatchDecoder::decode_all(&mut bytes).unwrap();
                let read: Vec<_> = sets.into_iter().flat_map(|set| set.records).collect();
                let context = format!("{magic} {}", compression.name());
                assert_eq!(read.len(), records.len(), "{context}");
                for (ours, other) in records.iter().zip(&read) {
                    assert_same(ours, other, &context);
                }
            }
        }
    }
}
