//! What Apache Kafka 2.8.2 does with malformed requests (recorded by hand on a plaintext listener): where it
//! closes the connection decoding fails, where it answers decoding succeeds.

use bytes::Bytes;
use ottla::protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla::protocol::messages::sasl_handshake::SaslHandshakeRequest;
use ottla::protocol::{
    ApiKey, DecodeError, Message, Reader, RequestHeader, client, decode_request_header, encode_response,
};

/// `00 01` to bytes; anything in quotes is text.
fn bytes(text: &str) -> Bytes {
    let mut out = Vec::new();
    for (i, part) in text.split('\'').enumerate() {
        if i % 2 == 1 {
            out.extend_from_slice(part.as_bytes());
        } else {
            out.extend(part.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")));
        }
    }
    out.into()
}

fn header(text: &str) -> Result<RequestHeader, DecodeError> {
    decode_request_header(&mut Reader::new(bytes(text))).map(|(header, _)| header)
}

/// A Metadata body.
fn metadata(version: i16, text: &str) -> Result<MetadataRequest, DecodeError> {
    MetadataRequest::decode(&mut Reader::new(bytes(text)), version)
}

fn names(request: MetadataRequest) -> Option<Vec<String>> {
    let topics = request.topics?;
    Some(topics.into_iter().map(|topic| topic.name.unwrap_or_default().to_string()).collect())
}

#[test]
fn headers_that_close_the_connection() {
    assert_eq!(header("03 e7 00 00 00 00 00 07 ff ff"), Err(DecodeError::UnknownApiKey(999)));
    assert_eq!(header("ff ff 00 00 00 00 00 07 ff ff"), Err(DecodeError::UnknownApiKey(-1)));
    for kraft in [52, 53, 54, 55, 58, 59, 62, 63, 64] {
        let text = format!("00 {kraft:02x} 00 00 00 00 00 07 ff ff 00");
        assert_eq!(header(&text), Err(DecodeError::UnknownApiKey(kraft)));
    }
    // Nothing, one byte, no correlation id, no client id, a client id beyond the end.
    for cut in ["", "00", "00 03 00 01", "00 03 00 01 00 00 00 07", "00 03 00 01 00 00 00 07 00 7f 'mal'"] {
        assert_eq!(header(cut), Err(DecodeError::Truncated));
    }
    // Flexible ApiVersions without the rest of the header, and without its tags; also in a version to come.
    assert_eq!(header("00 12 00 03 00 00 00 07"), Err(DecodeError::Truncated));
    assert_eq!(header("00 12 00 03 00 00 00 07 00 03 'mal'"), Err(DecodeError::Truncated));
    assert_eq!(header("00 12 00 7f 00 00 00 07 00 03 'mal'"), Err(DecodeError::Truncated));
}

#[test]
fn headers_that_are_accepted() {
    let client_id = |text| header(text).expect("accepted").client_id.map(|id| id.to_string());
    assert_eq!(client_id("00 12 00 00 00 00 00 07 ff ff"), None);
    assert_eq!(client_id("00 03 00 01 00 00 00 07 ff fe"), None);
    assert_eq!(client_id("00 03 00 01 00 00 00 07 00 02 ff fe"), Some("\u{fffd}\u{fffd}".into()));
    assert_eq!(header("00 03 00 01 ff ff ff fb ff ff").expect("accepted").correlation_id, -5);
    // ApiVersions answers versions that do not exist.
    assert_eq!(header("00 12 ff ff 00 00 00 07 ff ff").expect("accepted").api_version, -1);
    assert_eq!(header("00 12 00 04 00 00 00 07 ff ff 00").expect("accepted").api_version, 4);
    // A tagged field that nobody knows.
    let tagged = header("00 03 00 09 00 00 00 07 ff ff 01 64 02 'xy'").expect("accepted");
    assert_eq!(tagged.unknown_tags.iter().next().map(|field| field.tag), Some(100));
    // The controlled shutdown of an old broker has no client id.
    assert_eq!(header("00 07 00 00 00 00 00 07").expect("accepted").client_id, None);
    assert_eq!(header("00 07 00 01 00 00 00 07"), Err(DecodeError::Truncated));
}

#[test]
fn bodies_that_close_the_connection() {
    for version in [-1, 12, i16::MIN, i16::MAX] {
        assert_eq!(metadata(version, "00 00 00 00"), Err(DecodeError::UnsupportedVersion(version)));
    }
    assert_eq!(metadata(1, ""), Err(DecodeError::Truncated));
    assert_eq!(metadata(1, "00 00 00 02 00 01 'a'"), Err(DecodeError::Truncated));
    assert_eq!(metadata(0, "ff ff ff ff"), Err(DecodeError::Null("topics")));
    assert_eq!(metadata(0, "ff ff ff fb"), Err(DecodeError::Null("topics")));
    assert_eq!(metadata(1, "7f ff ff ff 00 01 'a'"), Err(DecodeError::Truncated));
    assert_eq!(metadata(1, "00 98 96 80 00 01 'a'"), Err(DecodeError::Truncated));
    assert_eq!(metadata(1, "00 00 00 01 7f ff 'a'"), Err(DecodeError::Truncated));
    assert_eq!(metadata(0, "00 00 00 01 ff ff"), Err(DecodeError::Null("name")));
    assert_eq!(metadata(9, "ff ff ff ff ff 00 00 00 00 00"), Err(DecodeError::Varint));
    assert_eq!(metadata(9, "80 80 80 80 08 00 00 00 00 00"), Err(DecodeError::Truncated));
    assert_eq!(metadata(9, "01 01 00 00 01 64 7f 'xy'"), Err(DecodeError::Truncated));
    assert_eq!(metadata(9, "01 01 00 00 01 64 ff ff ff ff 0f 'xy'"), Err(DecodeError::Truncated));
    // A compact string may not be longer than one with an int16 length.
    let long = format!("02 81 80 02 '{}' 00 01 00 00 00", "x".repeat(32768));
    assert_eq!(metadata(9, &long), Err(DecodeError::StringTooLong));
}

#[test]
fn bodies_that_are_accepted() {
    assert_eq!(names(metadata(1, "ff ff ff fb").expect("accepted")), None);
    assert_eq!(names(metadata(9, "00 01 00 00 00").expect("accepted")), None);
    assert_eq!(names(metadata(1, "00 00 00 00").expect("accepted")), Some(vec![]));
    assert_eq!(
        names(metadata(1, "00 00 00 01 00 01 'a' ff ff ff").expect("accepted")),
        Some(vec!["a".into()])
    );
    let invalid = metadata(1, "00 00 00 01 00 04 'n' ff 'p' fe").expect("accepted");
    assert_eq!(names(invalid), Some(vec!["n\u{fffd}p\u{fffd}".into()]));
    // A negative number of tags is none; any byte but 0 is true.
    let request = metadata(9, "01 ff 00 00 ff ff ff ff 0f").expect("accepted");
    assert!(request.allow_auto_topic_creation && request.unknown_tags.is_empty());
    let tagged = metadata(9, "01 01 00 00 01 64 02 'xy'").expect("accepted");
    assert_eq!(tagged.unknown_tags.iter().next().map(|field| &field.data[..]), Some(&b"xy"[..]));
    // Only the bytes of the message are read.
    let mut reader = Reader::new(bytes("00 05 'PLAIN' 'next'"));
    let handshake = SaslHandshakeRequest::decode(&mut reader, 1).expect("accepted");
    assert_eq!((&handshake.mechanism[..], &reader.rest()[..]), ("PLAIN", &b"next"[..]));
}

#[test]
fn an_api_versions_answer_may_come_in_version_0() {
    let refusal = ApiVersionsResponse { error_code: 35, ..Default::default() };
    let frame = encode_response(7, ApiKey::ApiVersions, 0, &refusal).into_memory().expect("in memory");
    assert_eq!(frame, bytes("00 00 00 0a 00 00 00 07 00 23 00 00 00 00"));
    let (correlation_id, decoded) =
        client::decode_response::<ApiVersionsRequest>(frame.slice(4..), 3).expect("decodes");
    assert_eq!((correlation_id, decoded.error_code), (7, 35));
}

#[test]
fn a_response_is_found_by_its_request() {
    let response = MetadataResponse { controller_id: 5, ..Default::default() };
    for version in ApiKey::Metadata.versions() {
        let frame =
            encode_response(1, ApiKey::Metadata, version, &response).into_memory().expect("in memory");
        let (_, decoded) =
            client::decode_response::<MetadataRequest>(frame.slice(4..), version).expect("decodes");
        assert_eq!(decoded.controller_id, if version == 0 { -1 } else { 5 });
    }
}
