//! Produce (key 0): what is accepted, refused and stored, in every version and record format.

use super::fetch::fetch_one;
use super::records::{batch, batch_with, idempotent, received, recorded_produce_requests};
use super::script::{NewTopic, Script, produce, produce_many, versions};
use bytes::Bytes;
use ottla::protocol::messages::fetch::FetchRequest;
use ottla::protocol::messages::produce::ProduceRequest;
use ottla::record::Compression;
use ottla::record::builder::BatchOptions;
use std::collections::HashMap;

/// The topics of the recorded requests.
pub const TOPICS: &[NewTopic<'static>] = &[
    ("m0", 1, &[("message.format.version", "0.9.0")]),
    ("m1", 1, &[("message.format.version", "0.10.0")]),
    ("m2", 1, &[]),
    ("p2", 2, &[]),
    ("zs", 1, &[]),
    ("small", 1, &[("max.message.bytes", "200")]),
    ("cmp", 1, &[("cleanup.policy", "compact")]),
    ("lat", 1, &[("message.timestamp.type", "LogAppendTime")]),
    ("nodown", 1, &[("message.downconversion.enable", "false")]),
];

/// Answers list topics and partitions in the order of a hash table.
const UNORDERED: &[&str] = &["responses", "partitionResponses"];

/// Left out: principals and transactions, which this release has not, and null records, to which Apache's broker sends
/// two answers.
const LEFT_OUT: &[&str] = &["denied", "Produce.txn", "Produce.asForcedLeader", "Produce.nullRecords"];

/// Sends the recorded requests and reads everything back.
#[test]
fn recorded_requests() {
    let mut script = Script::start("produce_recorded", &[("auto.create.topics.enable", "false")]);
    script.create_topics(TOPICS);
    script.append("nodown", 0, batch(&[(None, Some("new format"))]));
    let mut seen: HashMap<(String, i16), i32> = HashMap::new();
    for recorded in recorded_produce_requests() {
        if LEFT_OUT.contains(&recorded.scenario.as_str()) {
            continue;
        }
        let count = seen.entry((recorded.scenario.clone(), recorded.version)).or_default();
        *count += 1;
        let step =
            if *count == 1 { recorded.scenario } else { format!("{} again {count}", recorded.scenario) };
        if recorded.request.acks == 0 {
            script.call_silent(&step, recorded.version, &recorded.request);
        } else {
            script.call_sorted(&step, recorded.version, &recorded.request, UNORDERED);
        }
    }
    for v in versions::<FetchRequest>() {
        for (name, partitions, _) in TOPICS {
            for partition in 0..*partitions {
                script.fetch(&format!("{name}-{partition}"), v, &fetch_one(name, partition, 0, 100));
            }
        }
    }
    script.finish();
}

fn value(size: usize) -> String {
    "x".repeat(size)
}

/// Changes bytes of a batch; `seal` writes a checksum that fits again.
fn damaged(set: &Bytes, at: usize, bytes: &[u8], seal: bool) -> Bytes {
    let mut set = set.to_vec();
    set[at..at + bytes.len()].copy_from_slice(bytes);
    if seal {
        let crc = ottla::record::batch::compute_crc(2, &set);
        set[17..21].copy_from_slice(&crc.to_be_bytes());
    }
    set.into()
}

fn joined(sets: &[Bytes]) -> Bytes {
    sets.concat().into()
}

/// Record sets that no healthy client sends, with what is wrong with them. Not among them: wrong offsets of records,
/// which Apache's broker stores and ours corrects; records longer than their batch and cut gzip streams, which are a
/// null pointer there and INVALID_RECORD here.
fn broken_sets() -> Vec<(&'static str, Bytes)> {
    let good = batch(&[(Some("a"), Some("1")), (Some("b"), Some("2"))]);
    let magic1 = batch_with(BatchOptions { magic: 1, ..Default::default() }, &[(Some("a"), Some("1"))]);
    vec![
        ("crc", damaged(&good, good.len() - 1, &[9], false)),
        ("ten bytes", good.slice(..10)),
        ("sixteen bytes", good.slice(..16)),
        ("cut", good.slice(..good.len() - 1)),
        ("one and a cut one", joined(&[good.clone(), good.slice(..30)])),
        ("two batches", joined(&[good.clone(), good.clone()])),
        ("magic 1", magic1.clone()),
        ("magic 2 then 1", joined(&[good.clone(), magic1])),
        ("magic 7", damaged(&good, 16, &[7], false)),
        ("magic -1", damaged(&good, 16, &[0xff], false)),
        ("size 0", damaged(&good, 8, &[0, 0, 0, 0], false)),
        ("size negative", damaged(&good, 8, &[0xff, 0xff, 0xff, 0xf0], false)),
        ("size huge", damaged(&good, 8, &[0x7f, 0xff, 0xff, 0xff], false)),
        ("count 3 of 2", damaged(&good, 57, &[0, 0, 0, 3], true)),
        ("count 1 of 2", damaged(&good, 57, &[0, 0, 0, 1], true)),
        ("count 0", damaged(&good, 57, &[0, 0, 0, 0], true)),
        ("count -1", damaged(&good, 57, &[0xff; 4], true)),
        ("last offset delta 5", damaged(&good, 23, &[0, 0, 0, 5], true)),
        ("last offset delta 0", damaged(&good, 23, &[0, 0, 0, 0], true)),
        ("base offset 7", damaged(&good, 0, &7i64.to_be_bytes(), false)),
        ("control", damaged(&good, 21, &[0, 0x20], true)),
        ("log append time", damaged(&good, 21, &[0, 0x08], true)),
        ("unknown codec", damaged(&good, 21, &[0, 0x05], true)),
        ("claims gzip", damaged(&good, 21, &[0, 0x01], true)),
        ("claims snappy", damaged(&good, 21, &[0, 0x02], true)),
        ("claims lz4", damaged(&good, 21, &[0, 0x03], true)),
        ("claims zstd", damaged(&good, 21, &[0, 0x04], true)),
        ("record length negative", damaged(&good, 61, &[0x03], true)),
        ("record attributes", damaged(&good, 62, &[0x55], true)),
        ("producer id without sequence", damaged(&good, 43, &5i64.to_be_bytes(), true)),
        ("leader epoch", damaged(&good, 12, &[0, 0, 0, 9], false)),
        (
            "bytes behind the records",
            cut_v2(&joined(&[good.clone(), Bytes::from_static(b"abc")]), good.len() + 3),
        ),
        ("empty batch", batch_without_records()),
    ]
}

/// The first `size` bytes as one batch of that size.
fn cut_v2(set: &Bytes, size: usize) -> Bytes {
    let sized = damaged(&set.slice(..size), 8, &((size - 12) as i32).to_be_bytes(), false);
    damaged(&sized, 0, &[0; 8], true)
}

fn batch_without_records() -> Bytes {
    let one = batch(&[(None, None)]);
    let none = damaged(&one.slice(..61), 57, &[0, 0, 0, 0], false);
    cut_v2(&none, 61)
}

#[test]
fn broken_records() {
    let mut script = Script::start("produce_broken", &[("auto.create.topics.enable", "false")]);
    script.create_topics(TOPICS);
    for (step, set) in broken_sets() {
        // Version 2 has other rules, 3 is the first with batches, 8 the first with messages.
        for v in [2, 3, 8] {
            script.call(step, v, &produce("m2", 0, 1, set.clone()));
        }
    }
    let all = fetch_one("m2", 0, 0, 100);
    script.fetch("what was stored", 11, &all);
    script.finish();
}

#[test]
fn limits_and_names() {
    let settings = [("auto.create.topics.enable", "false"), ("message.max.bytes", "1000")];
    let mut script = Script::start("produce_limits", &settings);
    script.create_topics(TOPICS);
    script.create_topics(&[("segments", 1, &[("segment.bytes", "500"), ("max.message.bytes", "2000")])]);
    for v in versions::<ProduceRequest>() {
        let magic = v.min(2) as i8;
        let of_size = |size: usize| {
            let options = BatchOptions { magic, ..Default::default() };
            batch_with(options, &[(None, Some(&value(size)))])
        };
        script.call("too large for broker", v, &produce("p2", 0, 1, of_size(1100)));
        script.call("too large for topic", v, &produce("small", 0, 1, of_size(300)));
        script.call("too large for segment", v, &produce("segments", 0, 1, of_size(600)));
        script.call("unknown topic", v, &produce("nope", 0, 1, of_size(1)));
        script.call("unknown partition", v, &produce("p2", 9, 1, of_size(1)));
        script.call("negative partition", v, &produce("p2", -1, 1, of_size(1)));
        script.call("bad name", v, &produce("bad name!", 0, 1, of_size(1)));
        script.call("empty name", v, &produce("", 0, 1, of_size(1)));
        script.call("acks 2", v, &produce("p2", 0, 2, of_size(1)));
        script.call("acks -2", v, &produce("p2", 0, -2, of_size(1)));
        let mixed: &[(&str, &[(i32, Bytes)])] =
            &[("p2", &[(0, of_size(1)), (1, of_size(1)), (5, of_size(1))]), ("small", &[(0, of_size(300))])];
        script.call_sorted("mixed", v, &produce_many(-1, mixed), UNORDERED);
        script.call_silent("acks 0", v, &produce("p2", 0, 0, of_size(1)));
        script.call_silent("acks 0 unknown topic", v, &produce("nope", 0, 0, of_size(1)));
        script.call_silent("acks 0 too large", v, &produce("small", 0, 0, of_size(300)));
        script.call_silent("acks 0 nothing", v, &produce_many(0, &[]));
        script.call("acks 1 nothing", v, &produce_many(1, &[]));
        let empty: &[(&str, &[(i32, Bytes)])] = &[("p2", &[])];
        script.call("topic without partitions", v, &produce_many(1, empty));
    }
    script.fetch("p2-0", 11, &fetch_one("p2", 0, 0, 100));
    script.finish();
}

#[test]
fn internal_topics_and_few_replicas() {
    let mut script = Script::start("produce_refused", &[]);
    script.create_topics(&[("two", 1, &[("min.insync.replicas", "2")]), ("__consumer_offsets", 1, &[])]);
    for v in versions::<ProduceRequest>() {
        let records = batch_with(
            BatchOptions { magic: v.min(2) as i8, ..Default::default() },
            &[(Some("k"), Some("v"))],
        );
        script.call("too few replicas", v, &produce("two", 0, -1, records.clone()));
        script.call("acks 1 with too few replicas", v, &produce("two", 0, 1, records.clone()));
        script.call("internal topic", v, &produce("__consumer_offsets", 0, 1, records));
    }
    script.finish();
}

/// CreateTime out of the permitted range, and compacted topics.
#[test]
fn timestamps_and_keys() {
    let mut script = Script::start("produce_rules", &[]);
    script.create_topics(&[
        ("near", 1, &[("message.timestamp.difference.max.ms", "1000")]),
        (
            "near1",
            1,
            &[("message.timestamp.difference.max.ms", "1000"), ("message.format.version", "0.10.0")],
        ),
        ("cmp", 1, &[("cleanup.policy", "compact")]),
        ("gz", 1, &[("compression.type", "gzip")]),
        ("plain", 1, &[("compression.type", "uncompressed")]),
    ]);
    let records: &[(Option<&str>, Option<&str>)] =
        &[(Some("a"), Some("1")), (None, Some("2")), (Some("c"), None)];
    for v in versions::<ProduceRequest>() {
        let magic = v.min(2) as i8;
        for compression in [Compression::None, Compression::Lz4] {
            let name = compression.name();
            let set = batch_with(BatchOptions { magic, compression, ..Default::default() }, records);
            if magic > 0 {
                script.note_times(&format!("old, {name}"), v, &produce("near", 0, 1, set.clone()));
                script.note_times(&format!("old, magic 1, {name}"), v, &produce("near1", 0, 1, set.clone()));
            }
            script.call(&format!("without key, {name}"), v, &produce("cmp", 0, 1, set.clone()));
            script.call(&format!("to gzip, {name}"), v, &produce("gz", 0, 1, set.clone()));
            script.call(&format!("to plain, {name}"), v, &produce("plain", 0, 1, set));
        }
    }
    for topic in ["near", "near1", "cmp", "gz", "plain"] {
        script.fetch(topic, 11, &fetch_one(topic, 0, 0, 100));
    }
    script.finish();
}

impl Script {
    /// Messages name the broker's time.
    fn note_times(&mut self, step: &str, version: i16, request: &ProduceRequest) {
        let response = self.exchange(version, request).expect("an answer");
        let mut text = ottla::protocol::json::to_json(&response, version).to_string();
        while let Some(at) = text.find("is out of range") {
            text.replace_range(at..at + 15, "IS OUT OF RANGE");
        }
        let words: Vec<String> = text
            .split_inclusive([' ', ',', ']', '.', '"'])
            .map(|word| {
                let digits: String = word.chars().filter(char::is_ascii_digit).collect();
                let is_now = digits.len() == 13 && digits.as_str() > "1760000000000";
                if is_now { word.replace(&digits, "NOW") } else { word.to_string() }
            })
            .collect();
        self.note(step, version, serde_json::from_str(&words.concat()).expect("JSON"));
    }
}

/// Sequences of an idempotent producer (KIP-98).
#[test]
fn idempotent_producer() {
    let mut script = Script::start("produce_idempotent", &[]);
    script.create_topics(&[("t", 1, &[]), ("u", 1, &[]), ("w", 1, &[])]);
    let v = 8;
    let mut send = |step: &str, set: Bytes| script.call(step, v, &produce("t", 0, -1, set));
    send("first", idempotent(5, 0, 0, &["a", "b"]));
    send("again", idempotent(5, 0, 0, &["a", "b"]));
    send("second", idempotent(5, 0, 2, &["c"]));
    send("gap", idempotent(5, 0, 5, &["x"]));
    send("overlap", idempotent(5, 0, 1, &["b", "c"]));
    send("part of a batch", idempotent(5, 0, 0, &["a"]));
    send("third", idempotent(5, 0, 3, &["d"]));
    send("fourth", idempotent(5, 0, 4, &["e"]));
    send("fifth", idempotent(5, 0, 5, &["f"]));
    send("first again, still known", idempotent(5, 0, 0, &["a", "b"]));
    send("sixth", idempotent(5, 0, 6, &["g"]));
    send("first again, forgotten", idempotent(5, 0, 0, &["a", "b"]));
    send("second again", idempotent(5, 0, 2, &["c"]));
    send("new epoch, not from 0", idempotent(5, 1, 7, &["h"]));
    send("new epoch", idempotent(5, 1, 0, &["h"]));
    send("old epoch", idempotent(5, 0, 7, &["h"]));
    send("old epoch again", idempotent(5, 0, 6, &["g"]));
    send("epoch jump", idempotent(5, 7, 0, &["i"]));
    send("unknown producer, not from 0", idempotent(6, 0, 3, &["j"]));
    send("unknown producer, goes on", idempotent(6, 0, 4, &["k"]));
    send("sequence wraps", idempotent(7, 0, i32::MAX, &["l", "m"]));
    send("after the wrap", idempotent(7, 0, 1, &["n"]));
    send("plain between", batch(&[(None, Some("o"))]));
    send("epoch -1", idempotent(8, -1, 0, &["p"]));
    send("sequence -1", idempotent(8, 0, -1, &["p"]));
    send("negative sequence", idempotent(8, 0, -5, &["p"]));
    send("negative id", idempotent(-2, 0, 0, &["p"]));
    script.fetch("t", 11, &fetch_one("t", 0, 0, 100));
    script.finish();
}

/// Compressed to a thousandth: refused or read in bounded memory, and the broker goes on.
#[test]
fn decompression_bomb() {
    let mut script = Script::start("produce_bomb", &[]);
    script.create_topics(&[("t", 1, &[])]);
    for compression in [Compression::Gzip, Compression::Lz4, Compression::Zstd, Compression::Snappy] {
        let zeros = vec![0u8; 64 << 20];
        let mut builder =
            ottla::record::builder::BatchBuilder::new(BatchOptions { compression, ..Default::default() })
                .expect("sensible options");
        builder.append(0, None, Some(&zeros), &[]).expect("a record");
        let set = builder.build().expect("a batch");
        let is_small = set.len() < 1_000_000;
        let response = script.exchange(8, &produce("t", 0, 1, set)).expect("an answer");
        let code = response.responses[0].partition_responses[0].error_code;
        // Accepted where the compressed batch is small enough, as in Kafka; MESSAGE_TOO_LARGE where it is not.
        assert_eq!(code, if is_small { 0 } else { 10 }, "{}", compression.name());
    }
    let again = script.append("t", 0, batch(&[(None, Some("alive"))]));
    let response = script.exchange(11, &fetch_one("t", 0, again, 100)).expect("an answer");
    let set = received(&response.responses[0].partition_responses[0].record_set);
    assert!(!set.is_empty(), "the broker goes on");
}
