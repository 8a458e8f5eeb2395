//! Fetch (key 1): positions, limits, sessions (KIP-227), epochs.

use super::records::{batch, describe, has_compressed, received};
use super::script::{Script, versions};
use bytes::Bytes;
use ottla::protocol::json::to_json;
use ottla::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, ForgottenTopic,
};
use serde_json::{Value, json};

/// One partition as a consumer without a session reads it.
pub fn fetch_one(topic: &str, partition: i32, offset: i64, max_wait_ms: i32) -> FetchRequest {
    FetchRequest { max_wait_ms, ..fetch(&[(topic, partition, offset)]) }
}

/// Several partitions, in this order; neighbours of the same topic share an element.
fn fetch(partitions: &[(&str, i32, i64)]) -> FetchRequest {
    let mut topics: Vec<FetchTopic> = Vec::new();
    for (name, partition, fetch_offset) in partitions {
        if topics.last().is_none_or(|topic| topic.topic != *name) {
            topics.push(FetchTopic { topic: (*name).into(), ..Default::default() });
        }
        topics.last_mut().expect("just pushed").partitions.push(FetchPartition {
            partition: *partition,
            fetch_offset: *fetch_offset,
            partition_max_bytes: 500_000,
            ..Default::default()
        });
    }
    FetchRequest {
        replica_id: -1,
        max_wait_ms: 100,
        min_bytes: 1,
        max_bytes: 1_000_000,
        topics,
        ..Default::default()
    }
}

/// Changes every partition of a request.
fn each(mut request: FetchRequest, change: impl Fn(&mut FetchPartition)) -> FetchRequest {
    for topic in &mut request.topics {
        topic.partitions.iter_mut().for_each(&change);
    }
    request
}

impl Script {
    /// Notes the answer under `step`, and what the record sets hold under `step records`. Down-converted sets (below
    /// version 4) may end in an incomplete message of any size, and the size of compressed ones is the codec's affair.
    pub fn fetch(&mut self, step: &str, version: i16, request: &FetchRequest) -> FetchResponse {
        let response = self.exchange(version, request).expect("an answer");
        let mut view = to_json(&response, version);
        let mut sets = Vec::new();
        let all = response.responses.iter().map(|topic| &topic.partition_responses);
        for (t, partitions) in all.enumerate() {
            for (p, partition) in partitions.iter().enumerate() {
                let bytes = received(&partition.record_set);
                let mut set = describe(&bytes);
                let is_converted = version < 4 && !bytes.is_empty();
                if is_converted || has_compressed(&bytes) {
                    view["responses"][t]["partitionResponses"][p]["recordSetSizeInBytes"] = "ANY".into();
                }
                if is_converted {
                    set["cutBytes"] = "ANY".into();
                }
                if !bytes.is_empty() {
                    sets.push(set);
                }
            }
        }
        self.note(step, version, view);
        if !sets.is_empty() {
            self.note(&format!("{step} records"), version, Value::Array(sets));
        }
        response
    }
}

/// Two batches of three records in `a`, one in each partition of `p2`, 20 single ones in `many`, a start offset of 2
/// in `cut`.
fn fill(script: &mut Script) {
    script.create_topics(&[
        ("a", 1, &[]),
        ("p2", 2, &[]),
        ("many", 1, &[]),
        ("cut", 1, &[]),
        ("empty", 1, &[]),
    ]);
    let three = batch(&[(Some("k1"), Some("v1")), (None, Some("v2")), (Some("k3"), None)]);
    script.append("a", 0, three.clone());
    script.append("a", 0, three.clone());
    script.append("p2", 0, three.clone());
    script.append("p2", 1, three.clone());
    for i in 0..20 {
        script.append("many", 0, batch(&[(None, Some(&format!("value {i}")))]));
    }
    for _ in 0..2 {
        script.append("cut", 0, three.clone());
    }
    let partition = DeleteRecordsPartition { partition_index: 0, offset: 4, ..Default::default() };
    let topic = DeleteRecordsTopic { name: "cut".into(), partitions: vec![partition], ..Default::default() };
    let cut = DeleteRecordsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let response = script.exchange(1, &cut).expect("an answer");
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

#[test]
fn answers() {
    let mut script = Script::start("fetch", &[("auto.create.topics.enable", "false")]);
    fill(&mut script);
    for v in versions::<FetchRequest>() {
        script.fetch("from 0", v, &fetch(&[("a", 0, 0)]));
        script.fetch("inside a batch", v, &fetch(&[("a", 0, 1)]));
        script.fetch("second batch", v, &fetch(&[("a", 0, 3)]));
        script.fetch("end", v, &fetch(&[("a", 0, 6)]));
        script.fetch("behind the end", v, &fetch(&[("a", 0, 7)]));
        script.fetch("far behind the end", v, &fetch(&[("a", 0, 99_999)]));
        script.fetch("negative", v, &fetch(&[("a", 0, -5)]));
        script.fetch("before the start", v, &fetch(&[("cut", 0, 3)]));
        script.fetch("at the start", v, &fetch(&[("cut", 0, 4)]));
        script.fetch("no records", v, &fetch(&[("empty", 0, 0)]));
        script.fetch("unknown topic", v, &fetch(&[("nope", 0, 0)]));
        script.fetch("bad name", v, &fetch(&[("bad name!", 0, 0)]));
        script.fetch("unknown partition", v, &fetch(&[("a", 9, 0)]));
        script.fetch("negative partition", v, &fetch(&[("a", -1, 0)]));
        script.fetch("nothing", v, &fetch(&[]));
        script.fetch("several", v, &fetch(&[("p2", 0, 0), ("p2", 1, 1), ("a", 0, 2)]));
        script.fetch(
            "partition 10 bytes",
            v,
            &each(fetch(&[("many", 0, 0)]), |p| p.partition_max_bytes = 10),
        );
        script.fetch("partition 0 bytes", v, &each(fetch(&[("many", 0, 0)]), |p| p.partition_max_bytes = 0));
        script.fetch(
            "partition 200 bytes",
            v,
            &each(fetch(&[("many", 0, 3)]), |p| p.partition_max_bytes = 200),
        );
        script.fetch(
            "max 1 byte",
            v,
            &FetchRequest { max_bytes: 1, ..fetch(&[("many", 0, 0), ("a", 0, 0)]) },
        );
        script.fetch(
            "max 300 bytes",
            v,
            &FetchRequest { max_bytes: 300, ..fetch(&[("many", 0, 0), ("a", 0, 0)]) },
        );
        script.fetch(
            "min too many",
            v,
            &FetchRequest { min_bytes: 1_000_000, max_wait_ms: 1, ..fetch(&[("a", 0, 0)]) },
        );
        script.fetch("no wait", v, &FetchRequest { max_wait_ms: 0, ..fetch(&[("a", 0, 6)]) });
        script.fetch(
            "min 0",
            v,
            &FetchRequest { min_bytes: 0, max_wait_ms: 10_000, ..fetch(&[("a", 0, 6)]) },
        );
        script.fetch("committed", v, &FetchRequest { isolation_level: 1, ..fetch(&[("a", 0, 0)]) });
        for (step, request) in [
            ("committed, at the end", fetch(&[("a", 0, 6)])),
            ("committed, behind the end", fetch(&[("a", 0, 7)])),
            ("committed, unknown", fetch(&[("nope", 0, 0)])),
            ("committed, no bytes left", fetch(&[("many", 0, 0), ("a", 0, 0)])),
        ] {
            let max_bytes = if step.ends_with("left") { 1 } else { 1_000_000 };
            script.fetch(step, v, &FetchRequest { isolation_level: 1, max_bytes, ..request });
        }
        script.fetch("debugging", v, &FetchRequest { replica_id: -2, ..fetch(&[("a", 0, 0)]) });
        let with_unknown = fetch(&[("a", 0, 6), ("nope", 0, 0), ("empty", 0, 0)]);
        script.fetch("unknown among good", v, &with_unknown);
        // Answered at once whatever the limits say: one partition has an error.
        let with_error = fetch(&[("empty", 0, 0), ("a", 0, 7)]);
        script.fetch("error among good", v, &FetchRequest { max_wait_ms: 600_000, ..with_error });
    }
    epochs(&mut script);
    script.finish();
}

fn epochs(script: &mut Script) {
    for v in 9..=12 {
        script.fetch("epoch 0", v, &each(fetch(&[("a", 0, 0)]), |p| p.current_leader_epoch = 0));
        script.fetch("epoch 9", v, &each(fetch(&[("a", 0, 0)]), |p| p.current_leader_epoch = 9));
        script.fetch("epoch -5", v, &each(fetch(&[("a", 0, 0)]), |p| p.current_leader_epoch = -5));
    }
    let last = |epoch, offset| each(fetch(&[("a", 0, offset)]), |p| p.last_fetched_epoch = epoch);
    script.fetch("last epoch 0", 12, &last(0, 3));
    script.fetch("last epoch 5", 12, &last(5, 3));
    script.fetch("last epoch 0, behind the end", 12, &last(0, 5000));
    script.fetch("last epoch -2", 12, &last(-2, 3));
    let tagged = FetchRequest { cluster_id: Some("whatever".into()), ..fetch(&[("a", 0, 3)]) };
    script.fetch("cluster id", 12, &tagged);
    script.fetch("rack", 11, &FetchRequest { rack_id: "nowhere".into(), ..fetch(&[("a", 0, 3)]) });
}

fn session(id: i32, epoch: i32, request: FetchRequest) -> FetchRequest {
    FetchRequest { session_id: id, session_epoch: epoch, ..request }
}

fn forget(mut request: FetchRequest, topic: &str, partitions: &[i32]) -> FetchRequest {
    request.forgotten_topics_data =
        vec![ForgottenTopic { topic: topic.into(), partitions: partitions.to_vec(), ..Default::default() }];
    request
}

#[test]
fn sessions() {
    let mut script = Script::start("fetch_sessions", &[("auto.create.topics.enable", "false")]);
    fill(&mut script);
    for v in 7..=12 {
        one_session(&mut script, v);
    }
    script.finish();
}

fn one_session(script: &mut Script, v: i16) {
    let new = session(0, 0, fetch(&[("a", 0, 0), ("empty", 0, 0), ("p2", 0, 3), ("nope", 0, 0)]));
    let id = script.fetch("new", v, &new).session_id;
    assert_ne!(id, 0, "a session");
    let nothing = || fetch(&[]);
    script.fetch("1: same positions", v, &session(id, 1, nothing()));
    script.fetch("wrong epoch", v, &session(id, 7, nothing()));
    script.fetch("epoch again", v, &session(id, 1, nothing()));
    // An error does not end the session, nor does it count.
    script.fetch("2: moved to the end", v, &session(id, 2, fetch(&[("a", 0, 6)])));
    script.fetch("3: nothing new", v, &session(id, 3, nothing()));
    script.append("empty", 0, batch(&[(None, Some("new"))]));
    script.fetch("4: only the new", v, &session(id, 4, nothing()));
    script.fetch("5: position not moved", v, &session(id, 5, nothing()));
    let end = 2 * i64::from(v - 7) + 1;
    script.fetch("6: added", v, &session(id, 6, fetch(&[("empty", 0, end), ("p2", 1, 0)])));
    script.fetch("7: forgotten", v, &session(id, 7, forget(nothing(), "p2", &[1, 5])));
    script.fetch("8: forgotten and added", v, &session(id, 8, forget(fetch(&[("p2", 0, 0)]), "p2", &[0])));
    script.fetch("9: unknown forgotten", v, &session(id, 9, forget(nothing(), "unknown", &[0])));
    script.fetch("unknown id", v, &session(id.wrapping_add(1).max(1), 1, nothing()));
    script.fetch("id 0 with epoch", v, &session(0, 5, nothing()));
    script.fetch("close", v, &session(id, -1, nothing()));
    script.fetch("closed", v, &session(id, 10, nothing()));
    let all = (0..=3).map(|i| ["a", "empty", "p2", "many"][i]).map(|name| (name, 0, 0)).collect::<Vec<_>>();
    let first = script.fetch("another", v, &session(0, 0, fetch(&all))).session_id;
    let second = script.fetch("replaced", v, &session(first, 0, fetch(&[("a", 0, 0)]))).session_id;
    assert_ne!(first, second, "a session of its own");
    script.fetch("the replaced one", v, &session(first, 1, nothing()));
    script.fetch("the last partition forgotten", v, &session(second, 1, forget(nothing(), "a", &[0])));
    script.fetch("after that", v, &session(second, 2, nothing()));
    script.fetch("new with nothing", v, &session(0, 0, nothing()));
    script.append("empty", 0, batch(&[(None, Some("one more"))]));
}

/// Answers that are too small for all: who got something goes to the end of the line.
#[test]
fn partitions_take_turns() {
    let mut script = Script::start("fetch_turns", &[]);
    script.create_topics(&[("t", 4, &[])]);
    for _ in 0..6 {
        for partition in 0..4 {
            script.append("t", partition, batch(&[(None, Some("value"))]));
        }
    }
    let small = |request: FetchRequest| FetchRequest { max_bytes: 100, ..request };
    let mut offsets = [0i64; 4];
    let all: Vec<_> = (0..4).map(|partition| ("t", partition, 0)).collect();
    let mut request = session(0, 0, small(fetch(&all)));
    let mut id = 0;
    for round in 0..14 {
        let response = script.fetch(&format!("round {round:02}"), 11, &request);
        id = response.session_id.max(id);
        let mut moved = Vec::new();
        for partition in response.responses.iter().flat_map(|topic| &topic.partition_responses) {
            let set = received(&partition.record_set);
            let records = describe(&set)["batches"].as_array().map_or(0, Vec::len) as i64;
            if records > 0 {
                offsets[partition.partition as usize] += records;
                moved.push(("t", partition.partition, offsets[partition.partition as usize]));
            }
        }
        request = session(id, round + 1, small(fetch(&moved)));
    }
    script.finish();
}

/// A consumer that waits gets its answer when records come, not when its time is over.
#[test]
fn a_waiting_fetch_wakes() {
    let mut script = Script::start("fetch_wakes", &[]);
    script.create_topics(&[("t", 1, &[])]);
    let mut other = Script::connect(&script);
    let waiting = FetchRequest { max_wait_ms: 600_000, ..fetch(&[("t", 0, 0)]) };
    script.send(11, &waiting).expect("an open connection");
    let records: Bytes = batch(&[(None, Some("v"))]);
    let produce = super::script::produce("t", 0, 1, records);
    let frame = ottla::protocol::encode_request(1, None, 7, &produce);
    other.send_raw(&frame).expect("an open connection");
    other.read_frame().expect("an answer");
    let (_, response) = script.receive::<FetchRequest>(11).expect("an answer");
    let set = received(&response.responses[0].partition_responses[0].record_set);
    assert_eq!(describe(&set)["batches"][0]["records"][0][3], json!("v"));
}
