//! Decode, compare with Kafka's JSON view, encode again.

use crate::golden::{self, Golden};
use ottla::protocol::header::{
    decode_response_header, encode_request_header, encode_response_header, request_header_version,
    response_header_version,
};
use ottla::protocol::{ApiKey, Message, Reader, Writer, decode_request_header, json};
use serde_json::Value;

/// Decodes and encodes body by body; returns what the two views differ in.
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

#[test]
fn every_frame_comes_back_byte_for_byte() {
    let goldens = golden::frames();
    assert_eq!(goldens.len(), 1879);
    for golden in goldens {
        let key = ApiKey::from_i16(golden.number("key") as i16).expect("served");
        assert_eq!(key.name(), golden.text("api"));
        let version = golden.version();
        let mut reader = Reader::new(golden.frame.clone());
        let mut writer = Writer::frame();
        if golden.text("direction") == "request" {
            let (header, decoded_key) = decode_request_header(&mut reader).expect("header");
            assert_eq!((decoded_key, header.api_version), (key, version));
            assert_eq!(i64::from(header.correlation_id), golden.number("correlationId"));
            assert_eq!(i64::from(request_header_version(key, version)), golden.number("headerVersion"));
            encode_request_header(&mut writer, key, &header);
            request_body(key, &golden, &mut reader, &mut writer);
        } else {
            let header = decode_response_header(&mut reader, key, version).expect("header");
            assert_eq!(i64::from(header.correlation_id), golden.number("correlationId"));
            assert_eq!(i64::from(response_header_version(key, version)), golden.number("headerVersion"));
            encode_response_header(&mut writer, key, version, &header);
            response_body(key, &golden, &mut reader, &mut writer);
        }
        let encoded = writer.finish().into_memory().expect("in memory");
        assert_eq!(encoded[..4], (golden.frame.len() as u32).to_be_bytes());
        assert_eq!(encoded.slice(4..), golden.frame, "{}", golden.place);
    }
}
