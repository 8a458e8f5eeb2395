//! Whatever the bytes are: no panic, no memory beyond what the bytes can hold, and what decodes comes back
//! from its own encoding.

use crate::golden;
use crate::memory;
use crate::mutation::{Random, mutate};
use bytes::Bytes;
use ottla::protocol::header::decode_response_header;
use ottla::protocol::stored::{
    consumer_protocol::*, group_metadata::*, offset_commit::*, transaction_log::*,
};
use ottla::protocol::{ApiKey, Message, Reader, Writer, decode_request_header, json};

const ROUNDS: usize = 60;
/// The largest struct has about 300 bytes and takes a few on the wire; arrays grow by doubling.
const MEMORY_PER_BYTE: usize = 256;
/// What three nested arrays may reserve before their elements turn out to be missing.
const MEMORY_FIXED: usize = 256 * 1024;

fn encode<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::contiguous();
    message.encode(&mut writer, version);
    writer.into_bytes()
}

/// Decodes, and if that works out, encodes and decodes again.
fn survive<M: Message>(body: Bytes, version: i16) -> bool {
    let size = body.len();
    let (decoded, peak) = memory::peak(|| M::decode(&mut Reader::new(body), version));
    assert!(peak <= MEMORY_FIXED + MEMORY_PER_BYTE * size, "{peak} bytes of memory for {size} on the wire");
    let Ok(message) = decoded else { return false };
    let encoded = encode(&message, version);
    let mut reader = Reader::new(encoded.clone());
    let again = M::decode(&mut reader, version).expect("decodes what it encoded");
    assert_eq!(reader.remaining(), 0);
    assert_eq!(encode(&again, version), encoded);
    assert_eq!(json::to_json(&again, version), json::to_json(&message, version));
    true
}

macro_rules! survivals {
    ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
        fn survive_request(key: ApiKey, body: Bytes, version: i16) -> bool {
            match key {
                $(ApiKey::$name => survive::<ottla::protocol::messages::$module::$request>(body, version),)*
            }
        }
        fn survive_response(key: ApiKey, body: Bytes, version: i16) -> bool {
            match key {
                $(ApiKey::$name => survive::<ottla::protocol::messages::$module::$response>(body, version),)*
            }
        }
    };
}

ottla::for_each_api!(survivals);

fn request(frame: Bytes) -> bool {
    let mut reader = Reader::new(frame);
    let (header, peak) = memory::peak(|| decode_request_header(&mut reader));
    assert!(peak <= MEMORY_FIXED);
    header.is_ok_and(|(header, key)| survive_request(key, reader.rest(), header.api_version))
}

fn response(key: ApiKey, frame: Bytes, version: i16) -> bool {
    let mut reader = Reader::new(frame);
    decode_response_header(&mut reader, key, version)
        .is_ok_and(|_| survive_response(key, reader.rest(), version))
}

#[test]
fn damaged_frames_do_no_harm() {
    let mut random = Random::seeded("damaged_frames_do_no_harm");
    let goldens = golden::frames();
    let (mut decoded, mut refused) = (0, 0);
    for golden in &goldens {
        let key = ApiKey::from_i16(golden.number("key") as i16).expect("served");
        for _ in 0..ROUNDS {
            let other = &goldens[random.below(goldens.len())].frame;
            let frame = mutate(&mut random, &golden.frame, other);
            let survived = match golden.text("direction") {
                "request" => request(frame),
                _ => response(key, frame, golden.version()),
            };
            if survived { decoded += 1 } else { refused += 1 }
        }
    }
    // Both sides of the decoder must have been visited.
    assert!(decoded > 1000 && refused > 1000, "{decoded} decoded, {refused} refused");
}

#[test]
fn frames_of_other_apis_and_versions_do_no_harm() {
    let mut random = Random::seeded("frames_of_other_apis_and_versions_do_no_harm");
    for golden in golden::frames() {
        for _ in 0..20 {
            let key = ApiKey::ALL[random.below(ApiKey::ALL.len())];
            let version = random.below(key.max_version() as usize + 1) as i16;
            let start = random.below(golden.frame.len());
            survive_request(key, golden.frame.slice(start..), version);
            survive_response(key, golden.frame.slice(start..), version);
        }
    }
}

#[test]
fn damaged_records_do_no_harm() {
    let mut random = Random::seeded("damaged_records_do_no_harm");
    let goldens = golden::records();
    for golden in &goldens {
        for _ in 0..ROUNDS {
            let other = &goldens[random.below(goldens.len())].frame;
            let body = mutate(&mut random, &golden.frame[2..], other);
            let version = random.below(5) as i16;
            survive::<OffsetCommitKey>(body.clone(), version);
            survive::<OffsetCommitValue>(body.clone(), version);
            survive::<GroupMetadataKey>(body.clone(), version);
            survive::<GroupMetadataValue>(body.clone(), version);
            survive::<TransactionLogKey>(body.clone(), version);
            survive::<TransactionLogValue>(body.clone(), version);
            survive::<ConsumerProtocolSubscription>(body.clone(), version);
            survive::<ConsumerProtocolAssignment>(body, version);
        }
    }
}

/// The measure itself can fail.
#[test]
fn memory_is_measured() {
    let (kept, peak) = memory::peak(|| drop(vec![0u8; 10_000_000]));
    assert_eq!((kept, peak), ((), 10_000_000));
}
