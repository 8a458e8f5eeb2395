//! Decode, compare with Kafka's JSON view, encode again.

use crate::golden::{self, Golden};
use bytes::Bytes;
use ottla::protocol::header::{
    decode_response_header, encode_request_header, encode_response_header, request_header_version,
    response_header_version,
};
use ottla::protocol::stored::{
    consumer_protocol::*, group_metadata::*, offset_commit::*, transaction_log::*,
};
use ottla::protocol::{
    ApiKey, Message, Reader, Writer, decode_forward_compatible, decode_request_header, decode_versioned,
    encode_versioned, json,
};
use serde_json::Value;

/// Reads a body, compares its view, and writes it.
fn body<M: Message>(golden: &Golden, reader: &mut Reader, writer: &mut Writer) {
    let message = M::decode(reader, golden.version()).unwrap_or_else(|e| panic!("{}: {e}", golden.place));
    assert_eq!(reader.remaining(), 0, "{}: bytes left", golden.place);
    same_view(golden, &json::to_json(&message, golden.version()));
    message.encode(writer, golden.version());
}

fn same_view(golden: &Golden, ours: &Value) {
    assert_eq!(ours.to_string(), golden.line["body"].to_string(), "{}", golden.place);
}

macro_rules! bodies {
    ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
        fn request_body(key: ApiKey, golden: &Golden, reader: &mut Reader, writer: &mut Writer) {
            match key {
                $(ApiKey::$name => {
                    body::<ottla::protocol::messages::$module::$request>(golden, reader, writer)
                })*
            }
        }
        fn response_body(key: ApiKey, golden: &Golden, reader: &mut Reader, writer: &mut Writer) {
            match key {
                $(ApiKey::$name => {
                    body::<ottla::protocol::messages::$module::$response>(golden, reader, writer)
                })*
            }
        }
    };
}

ottla::for_each_api!(bodies);

fn request(golden: &Golden, key: ApiKey, writer: &mut Writer) {
    let mut reader = Reader::new(golden.frame.clone());
    let (header, decoded_key) = decode_request_header(&mut reader).expect("header");
    assert_eq!((decoded_key, header.api_version), (key, golden.version()));
    assert_eq!(i64::from(header.correlation_id), golden.number("correlationId"));
    if golden.number("headerVersion") > 0 {
        assert_eq!(header.client_id.as_deref().unwrap_or_default(), golden.text("clientId"));
    }
    assert_eq!(i64::from(request_header_version(key, golden.version())), golden.number("headerVersion"));
    encode_request_header(writer, key, &header);
    request_body(key, golden, &mut reader, writer);
}

fn response(golden: &Golden, key: ApiKey, writer: &mut Writer) {
    let mut reader = Reader::new(golden.frame.clone());
    let header = decode_response_header(&mut reader, key, golden.version()).expect("header");
    assert_eq!(i64::from(header.correlation_id), golden.number("correlationId"));
    assert_eq!(i64::from(response_header_version(key, golden.version())), golden.number("headerVersion"));
    encode_response_header(writer, key, golden.version(), &header);
    response_body(key, golden, &mut reader, writer);
}

#[test]
fn every_frame_comes_back_byte_for_byte() {
    let goldens = golden::frames();
    assert_eq!(goldens.len(), 1879);
    for golden in goldens {
        let key = ApiKey::from_i16(golden.number("key") as i16).expect("served");
        assert_eq!(key.name(), golden.text("api"));
        let mut writer = Writer::frame();
        match golden.text("direction") {
            "request" => request(&golden, key, &mut writer),
            _ => response(&golden, key, &mut writer),
        }
        let encoded = writer.finish().into_memory().expect("in memory");
        assert_eq!(encoded[..4], (golden.frame.len() as u32).to_be_bytes());
        assert_eq!(encoded.slice(4..), golden.frame, "{}", golden.place);
    }
}

/// All versions of all APIs are there, and no others.
#[test]
fn the_goldens_cover_what_is_advertised() {
    let mut seen = std::collections::BTreeSet::new();
    for golden in golden::frames() {
        seen.insert((golden.number("key"), golden.version(), golden.text("direction").to_string()));
    }
    let advertised: usize = ApiKey::ALL.iter().map(|key| key.versions().count()).sum();
    assert_eq!(seen.len(), 2 * advertised);
    for (key, version, _) in seen {
        assert!(ApiKey::from_i16(key as i16).expect("served").versions().contains(&version));
    }
}

fn record<M: Message>(golden: &Golden) -> Bytes {
    let (version, record) = decode_versioned::<M>(golden.frame.clone()).expect("decodes");
    assert_eq!(version, golden.version());
    same_view(golden, &json::to_json(&record, version));
    encode_versioned(&record, version)
}

#[test]
fn every_stored_record_comes_back_byte_for_byte() {
    let goldens = golden::records();
    assert_eq!(goldens.len(), 60);
    for golden in goldens {
        let encoded = match golden.text("type") {
            "OffsetCommitKey" => record::<OffsetCommitKey>(&golden),
            "OffsetCommitValue" => record::<OffsetCommitValue>(&golden),
            "GroupMetadataKey" => record::<GroupMetadataKey>(&golden),
            "GroupMetadataValue" => record::<GroupMetadataValue>(&golden),
            "TransactionLogKey" => record::<TransactionLogKey>(&golden),
            "TransactionLogValue" => record::<TransactionLogValue>(&golden),
            "ConsumerProtocolSubscription" => record::<ConsumerProtocolSubscription>(&golden),
            "ConsumerProtocolAssignment" => record::<ConsumerProtocolAssignment>(&golden),
            other => panic!("golden of unknown type {other}"),
        };
        assert_eq!(encoded, golden.frame, "{}", golden.place);
    }
}

#[test]
fn consumer_protocol_reads_later_versions_as_its_newest() {
    let subscription = ConsumerProtocolSubscription {
        topics: vec!["a".into()],
        owned_partitions: vec![TopicPartition {
            topic: "a".into(),
            partitions: vec![1],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mut later = encode_versioned(&subscription, 1).to_vec();
    later[1] = 7;
    later.extend_from_slice(b"appended by a later version");
    let later = Bytes::from(later);
    assert!(decode_versioned::<ConsumerProtocolSubscription>(later.clone()).is_err());
    assert_eq!(decode_forward_compatible(later), Ok((1, subscription)));
}
