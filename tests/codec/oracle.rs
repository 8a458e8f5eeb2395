//! A second implementation, the crate kafka-protocol, must read what we write and write the same: on golden
//! messages, and on messages that only damage to goldens brings about. It sees nothing but our own encodings,
//! as it allocates by lengths that it has not checked.

use crate::golden;
use crate::mutation::{Random, mutate};
use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::{Decodable, Encodable};
use ottla::protocol::header::decode_response_header;
use ottla::protocol::{ApiKey, Message, Reader, Writer, decode_request_header};

/// Their names; one API was renamed after 2.8.
mod theirs {
    pub use kafka_protocol::messages::AlterPartitionRequest as AlterIsrRequest;
    pub use kafka_protocol::messages::AlterPartitionResponse as AlterIsrResponse;
    pub use kafka_protocol::messages::*;
}

/// What became of a message.
#[derive(PartialEq, Debug)]
enum Verdict {
    /// The damage made it no message at all.
    NotOurs,
    /// They cannot say this.
    NotTheirs,
    Same,
    Different,
}

/// Whether damage brought in a tag other than the goldens' 100 and 5000: to them, who know later versions, it
/// may have a name.
fn has_new_tag(message: &impl std::fmt::Debug) -> bool {
    let shown = format!("{message:?}");
    let mut tags = shown.split("RawTag { tag: ").skip(1);
    tags.any(|rest| !rest.starts_with("100,") && !rest.starts_with("5000,"))
}

fn compare<Ours: Message, Theirs: Decodable + Encodable>(reader: &mut Reader, version: i16) -> Verdict {
    let Ok(message) = Ours::decode(reader, version) else { return Verdict::NotOurs };
    let mut writer = Writer::contiguous();
    message.encode(&mut writer, version);
    let ours = writer.into_bytes();
    if has_new_tag(&message) {
        return Verdict::NotTheirs;
    }
    let mut rest = ours.clone();
    let Ok(message) = Theirs::decode(&mut rest, version) else { return Verdict::NotTheirs };
    let mut theirs = BytesMut::new();
    match message.encode(&mut theirs, version) {
        Err(_) => Verdict::NotTheirs,
        Ok(()) if rest.is_empty() && theirs == ours => Verdict::Same,
        Ok(()) => Verdict::Different,
    }
}

macro_rules! comparisons {
    ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
        fn compare_request(key: ApiKey, reader: &mut Reader, version: i16) -> Verdict {
            use ottla::protocol::messages;
            match key {
                $(ApiKey::$name => compare::<messages::$module::$request, theirs::$request>(reader, version),)*
            }
        }
        fn compare_response(key: ApiKey, reader: &mut Reader, version: i16) -> Verdict {
            use ottla::protocol::messages;
            match key {
                $(ApiKey::$name => compare::<messages::$module::$response, theirs::$response>(reader, version),)*
            }
        }
    };
}

ottla::for_each_api!(comparisons);

fn judge(golden: &golden::Golden, frame: Bytes) -> Verdict {
    let key = ApiKey::from_i16(golden.number("key") as i16).expect("served");
    let mut reader = Reader::new(frame);
    if golden.text("direction") == "request" {
        match decode_request_header(&mut reader) {
            Ok((header, key)) => compare_request(key, &mut reader, header.api_version),
            Err(_) => Verdict::NotOurs,
        }
    } else {
        match decode_response_header(&mut reader, key, golden.version()) {
            Ok(_) => compare_response(key, &mut reader, golden.version()),
            Err(_) => Verdict::NotOurs,
        }
    }
}

#[test]
fn golden_messages_are_the_same() {
    let mut failed = Vec::new();
    for golden in golden::frames() {
        let verdict = judge(&golden, golden.frame.clone());
        if verdict != Verdict::Same {
            failed.push(format!("{} {:?}", golden.place, verdict));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn damaged_messages_are_the_same() {
    let mut random = Random::seeded("damaged_messages_are_the_same");
    let goldens = golden::frames();
    let (mut same, mut not_theirs) = (0, 0);
    let mut failed = Vec::new();
    for golden in &goldens {
        for _ in 0..20 {
            let other = &goldens[random.below(goldens.len())].frame;
            let frame = mutate(&mut random, &golden.frame, other);
            match judge(golden, frame) {
                Verdict::Same => same += 1,
                Verdict::NotTheirs => not_theirs += 1,
                Verdict::NotOurs => {}
                Verdict::Different => failed.push(golden.place.clone()),
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(same > 1000 && not_theirs < same / 10, "{same} the same, {not_theirs} beyond them");
}

fn compare_defaults<Ours: Message, Theirs: Default + Encodable>(name: &str) {
    if name == "FetchRequest" {
        // The default of replica_id became -1 after 2.8.
        return;
    }
    for version in Ours::VERSIONS {
        let mut writer = Writer::contiguous();
        Ours::default().encode(&mut writer, version);
        let mut theirs = BytesMut::new();
        Theirs::default().encode(&mut theirs, version).expect("a default has no field of a later version");
        assert_eq!(writer.into_bytes(), theirs.freeze(), "{name} v{version}");
    }
}

macro_rules! defaults {
    ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
        #[test]
        fn defaults_are_the_same() {
            use ottla::protocol::messages;
            $(
                compare_defaults::<messages::$module::$request, theirs::$request>(stringify!($request));
                compare_defaults::<messages::$module::$response, theirs::$response>(stringify!($response));
            )*
        }
    };
}

ottla::for_each_api!(defaults);
