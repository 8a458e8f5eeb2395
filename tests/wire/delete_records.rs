//! DeleteRecords (key 21).

use super::records::batch;
use super::script::{Script, versions};
use ottla::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};

const UNORDERED: &[&str] = &["topics", "partitions"];

fn delete(topics: &[(&str, &[(i32, i64)])]) -> DeleteRecordsRequest {
    let partition = |(partition_index, offset): &(i32, i64)| DeleteRecordsPartition {
        partition_index: *partition_index,
        offset: *offset,
        ..Default::default()
    };
    let topic = |(name, partitions): &(&str, &[(i32, i64)])| DeleteRecordsTopic {
        name: (*name).into(),
        partitions: partitions.iter().map(partition).collect(),
        ..Default::default()
    };
    DeleteRecordsRequest {
        topics: topics.iter().map(topic).collect(),
        timeout_ms: 10_000,
        ..Default::default()
    }
}

#[test]
fn answers() {
    let mut script = Script::start("delete_records", &[("auto.create.topics.enable", "false")]);
    script.create_topics(&[
        ("p2", 2, &[]),
        ("cmp", 1, &[("cleanup.policy", "compact")]),
        ("both", 1, &[("cleanup.policy", "compact,delete")]),
        ("empty", 1, &[]),
        ("__consumer_offsets", 1, &[]),
    ]);
    for v in versions::<DeleteRecordsRequest>() {
        let three = batch(&[(Some("a"), Some("1")), (Some("b"), Some("2")), (Some("c"), Some("3"))]);
        for (topic, partition) in [("p2", 0), ("p2", 1), ("cmp", 0), ("both", 0)] {
            script.append(topic, partition, three.clone());
        }
        let base = i64::from(v) * 3;
        script.call("ok", v, &delete(&[("p2", &[(0, base + 1)])]));
        script.call("back", v, &delete(&[("p2", &[(0, 0)])]));
        script.call("same", v, &delete(&[("p2", &[(0, base + 1)])]));
        script.call("behind the end", v, &delete(&[("p2", &[(0, base + 4)])]));
        script.call("to the end", v, &delete(&[("p2", &[(0, base + 3)])]));
        script.call("all", v, &delete(&[("p2", &[(1, -1)])]));
        script.call("all again", v, &delete(&[("p2", &[(1, -1)])]));
        script.call("negative", v, &delete(&[("p2", &[(1, -2)])]));
        script.call("compacted", v, &delete(&[("cmp", &[(0, -1)])]));
        script.call("compacted and deleted", v, &delete(&[("both", &[(0, base + 1)])]));
        script.call("empty topic", v, &delete(&[("empty", &[(0, -1)])]));
        script.call("internal", v, &delete(&[("__consumer_offsets", &[(0, -1)])]));
        script.call("unknown topic", v, &delete(&[("nope", &[(0, 0)])]));
        script.call("unknown partition", v, &delete(&[("p2", &[(9, 0)])]));
        script.call("negative partition", v, &delete(&[("p2", &[(-1, 0)])]));
        let mixed =
            delete(&[("p2", &[(1, 999_999), (9, 0), (0, -1)]), ("nope", &[(0, 0)]), ("cmp", &[(0, 0)])]);
        script.call_sorted("mixed", v, &mixed, UNORDERED);
        script.call("nothing", v, &delete(&[]));
        script.call("topic without partitions", v, &delete(&[("p2", &[])]));
    }
    script.finish();
}
