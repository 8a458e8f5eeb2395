//! ListOffsets (key 2).

use super::records::{FIRST_TIMESTAMP, batch, batch_with};
use super::script::{Script, versions};
use ottla::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla::record::Compression;
use ottla::record::builder::BatchOptions;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

fn list(name: &str, partitions: &[(i32, i64)]) -> ListOffsetsRequest {
    let partition = |(partition_index, timestamp): &(i32, i64)| ListOffsetsPartition {
        partition_index: *partition_index,
        timestamp: *timestamp,
        max_num_offsets: 5,
        ..Default::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    let topic = ListOffsetsTopic { name: name.into(), partitions, ..Default::default() };
    ListOffsetsRequest { replica_id: -1, topics: vec![topic], ..Default::default() }
}

fn with_epoch(mut request: ListOffsetsRequest, epoch: i32) -> ListOffsetsRequest {
    request.topics[0].partitions[0].current_leader_epoch = epoch;
    request
}

const UNORDERED: &[&str] = &["topics", "partitions"];

fn fill(script: &mut Script) {
    script.create_topics(&[
        ("t", 1, &[]),
        ("p2", 2, &[]),
        ("m0", 1, &[("message.format.version", "0.9.0")]),
        ("m1", 1, &[("message.format.version", "0.10.0")]),
        ("lz4", 1, &[]),
        ("empty", 1, &[]),
        ("rolled", 1, &[("segment.bytes", "200")]),
    ]);
    let records: &[(Option<&str>, Option<&str>)] =
        &[(Some("a"), Some("1")), (None, Some("2")), (Some("c"), None)];
    script.append("t", 0, batch(records));
    script.append("t", 0, batch(records));
    script.append("p2", 0, batch(records));
    script.append("m0", 0, batch(records));
    script.append("m1", 0, batch(records));
    script.append(
        "lz4",
        0,
        batch_with(BatchOptions { compression: Compression::Lz4, ..Default::default() }, records),
    );
    for _ in 0..5 {
        script.append("rolled", 0, batch(records));
    }
}

#[test]
fn answers() {
    let mut script = Script::start("list_offsets", &[("auto.create.topics.enable", "false")]);
    fill(&mut script);
    for v in versions::<ListOffsetsRequest>() {
        for topic in ["t", "m0", "m1", "lz4", "empty", "rolled"] {
            script.call(&format!("{topic} latest"), v, &list(topic, &[(0, LATEST)]));
            script.call(&format!("{topic} earliest"), v, &list(topic, &[(0, EARLIEST)]));
            // Version 0 compares with the times of files.
            if v > 0 {
                for delta in [-1, 0, 1, 4, 5] {
                    let request = list(topic, &[(0, FIRST_TIMESTAMP + delta)]);
                    script.call(&format!("{topic} at {delta}"), v, &request);
                }
                script.call(&format!("{topic} at time 0"), v, &list(topic, &[(0, 0)]));
            }
            script.call(&format!("{topic} in the future"), v, &list(topic, &[(0, 9_999_999_999_999)]));
        }
        script.call("timestamp -3", v, &list("t", &[(0, -3)]));
        script.call("timestamp -4", v, &list("t", &[(0, -4)]));
        script.call(
            "committed latest",
            v,
            &ListOffsetsRequest { isolation_level: i8::from(v >= 2), ..list("t", &[(0, LATEST)]) },
        );
        script.call("debugging", v, &ListOffsetsRequest { replica_id: -2, ..list("t", &[(0, LATEST)]) });
        script.call("follower", v, &ListOffsetsRequest { replica_id: 5, ..list("t", &[(0, LATEST)]) });
        script.call_sorted(
            "partitions",
            v,
            &list("p2", &[(0, LATEST), (1, LATEST), (7, LATEST), (-1, LATEST)]),
            UNORDERED,
        );
        script.call("unknown topic", v, &list("nope", &[(0, LATEST)]));
        script.call("bad name", v, &list("bad name!", &[(0, LATEST)]));
        script.call_sorted("duplicate", v, &list("t", &[(0, LATEST), (0, EARLIEST)]), UNORDERED);
        script.call("no partitions", v, &list("t", &[]));
        script.call("nothing", v, &ListOffsetsRequest { replica_id: -1, ..Default::default() });
        if v >= 4 {
            for epoch in [0, 9, -5] {
                script.call(&format!("epoch {epoch}"), v, &with_epoch(list("t", &[(0, LATEST)]), epoch));
            }
        }
    }
    old_style(&mut script);
    script.finish();
}

/// Version 0 answers with base offsets of segments, newest first.
fn old_style(script: &mut Script) {
    for count in [0, 1, 2, 3, 100] {
        let mut request = list("rolled", &[(0, LATEST)]);
        request.topics[0].partitions[0].max_num_offsets = count;
        script.call(&format!("old style, at most {count}"), 0, &request);
    }
}
