//! OffsetForLeaderEpoch (key 23).

use super::records::batch;
use super::script::{Script, versions};
use ottla::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};

const UNORDERED: &[&str] = &["topics", "partitions"];

/// Partition, the client's epoch, the epoch asked for.
fn ask(replica_id: i32, topic: &str, partitions: &[(i32, i32, i32)]) -> OffsetForLeaderEpochRequest {
    let partition = |(partition, current, wanted): &(i32, i32, i32)| OffsetForLeaderPartition {
        partition: *partition,
        current_leader_epoch: *current,
        leader_epoch: *wanted,
        ..Default::default()
    };
    let partitions = partitions.iter().map(partition).collect();
    let topic = OffsetForLeaderTopic { topic: topic.into(), partitions, ..Default::default() };
    OffsetForLeaderEpochRequest { replica_id, topics: vec![topic], ..Default::default() }
}

#[test]
fn answers() {
    let mut script = Script::start("offset_for_leader_epoch", &[("auto.create.topics.enable", "false")]);
    script.create_topics(&[("t", 2, &[]), ("empty", 1, &[])]);
    script.append("t", 0, batch(&[(None, Some("1")), (None, Some("2"))]));
    for v in versions::<OffsetForLeaderEpochRequest>() {
        for replica in [-1, -2, 5] {
            for wanted in [0, 1, 5, -1, -2] {
                let step = format!("replica {replica} epoch {wanted}");
                script.call(&step, v, &ask(replica, "t", &[(0, -1, wanted)]));
            }
        }
        script.call("empty", v, &ask(-1, "empty", &[(0, -1, 0)]));
        script.call_sorted(
            "partitions",
            v,
            &ask(-1, "t", &[(0, -1, 0), (1, -1, 0), (4, -1, 0), (-1, -1, 0)]),
            UNORDERED,
        );
        script.call("unknown topic", v, &ask(-1, "nope", &[(0, -1, 0)]));
        script.call("bad name", v, &ask(-1, "bad name!", &[(0, -1, 0)]));
        script.call("nothing", v, &OffsetForLeaderEpochRequest::default());
        for current in [0, 9, -5] {
            let step = format!("current epoch {current}");
            script.call(&step, v, &ask(-1, "t", &[(0, if v >= 2 { current } else { -1 }, 0)]));
        }
    }
    script.finish();
}
