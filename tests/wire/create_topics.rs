//! CreateTopics (key 19).

use super::script::{Script, topic, versions};
use ottla::protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest, CreateableTopicConfig,
};
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

const UNORDERED: &[&str] = &["configs"];

fn create(topics: Vec<CreatableTopic>) -> CreateTopicsRequest {
    CreateTopicsRequest { topics, timeout_ms: 30_000, ..Default::default() }
}

fn assigned(name: &str, counts: (i32, i16), assignments: &[(i32, &[i32])]) -> CreatableTopic {
    let assignment = |(partition_index, brokers): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition_index,
        broker_ids: brokers.to_vec(),
        ..Default::default()
    };
    CreatableTopic {
        assignments: assignments.iter().map(assignment).collect(),
        ..topic(name, counts.0, counts.1, &[])
    }
}

fn null_config(name: &str) -> CreatableTopic {
    let config = CreateableTopicConfig { name: "retention.ms".into(), value: None, ..Default::default() };
    CreatableTopic { configs: vec![config], ..topic(name, 1, 1, &[]) }
}

/// Counts of -1 before v4 are an error of the version; every other mistake has its own code and message.
fn mistakes(v: i16) -> Vec<CreatableTopic> {
    let long = "x".repeat(250);
    vec![
        topic(&format!("ct-v{v}"), 1, 1, &[]),
        topic("bad name!", 1, 1, &[]),
        topic("", 1, 1, &[]),
        topic(".", 1, 1, &[]),
        topic("..", 1, 1, &[]),
        topic(&long, 1, 1, &[]),
        topic("col_lide", 1, 1, &[]),
        topic("e1", 1, 5, &[]),
        topic("e2", 0, 1, &[]),
        topic("e2a", -2, 1, &[]),
        topic("e2b", 1, 0, &[]),
        topic("e2c", 1, -2, &[]),
        topic("e3", 1, 1, &[("no.such.config", "1")]),
        topic("e4", 1, 1, &[("retention.ms", "abc")]),
        topic("e4a", 1, 1, &[("retention.ms", "-2")]),
        topic("e4b", 1, 1, &[("cleanup.policy", "shred")]),
        topic("e4c", 1, 1, &[("min.insync.replicas", "0")]),
        topic("e4d", 1, 1, &[("message.format.version", "9.9")]),
        topic("e4e", 1, 1, &[("unclean.leader.election.enable", "maybe")]),
        topic("e4f", 1, 1, &[("segment.bytes", "13")]),
        topic("e4g", 1, 1, &[("compression.type", "brotli")]),
        topic("e4h", 1, 1, &[("min.cleanable.dirty.ratio", "1.5")]),
        topic("e4i", 1, 1, &[("max.message.bytes", "99999999999")]),
        topic("e4j", 1, 1, &[("leader.replication.throttled.replicas", "x")]),
        topic(&format!("e4k-v{v}"), 1, 1, &[("retention.ms", "1"), ("retention.ms", "2")]),
        null_config("e4l"),
        assigned("e5", (1, 1), &[(0, &[0])]),
        assigned("e6", (-1, -1), &[(1, &[0])]),
        assigned("e6b", (-1, -1), &[(0, &[0, 0])]),
        assigned(&format!("e6c-v{v}"), (-1, -1), &[(0, &[0]), (0, &[0])]),
        assigned("e7a", (-1, -1), &[(0, &[0]), (1, &[0, 1])]),
    ]
}

/// Kafka makes topics of these, too, that stay without a leader: the answer is that of an expired wait. It does so also
/// of a partition without replicas, which is refused here.
fn leaderless(v: i16) -> Vec<CreatableTopic> {
    vec![
        assigned(&format!("unknown-v{v}"), (-1, -1), &[(0, &[99])]),
        assigned(&format!("negative-v{v}"), (-1, -1), &[(0, &[-1])]),
    ]
}

#[test]
fn answers() {
    let mut script = Script::start("create_topics", &[]);
    script.create_topics(&[("col.lide", 1, &[])]);
    for v in versions::<CreateTopicsRequest>() {
        let configs = [("retention.ms", "86400000"), ("cleanup.policy", "compact")];
        let ok = create(vec![topic(&format!("ct-v{v}"), 2, 1, &configs)]);
        script.call_sorted("ok", v, &ok, UNORDERED);
        let manual = assigned(&format!("cm-v{v}"), (-1, -1), &[(0, &[0]), (1, &[0])]);
        let default = topic(&format!("cd-v{v}"), -1, -1, &[]);
        script.call_sorted("manual+default", v, &create(vec![manual, default]), UNORDERED);
        // One by one: the order of several is that of a hash table, and errors must not mix.
        for mistake in mistakes(v) {
            let step = format!("error {}", if mistake.name.len() > 20 { "long" } else { &mistake.name });
            script.call_sorted(&step.replace(&format!("-v{v}"), ""), v, &create(vec![mistake]), UNORDERED);
        }
        for topic in leaderless(v) {
            let step = format!("leaderless {}", topic.name.split('-').next().unwrap_or_default());
            let request = CreateTopicsRequest { timeout_ms: 200, ..create(vec![topic]) };
            script.call_sorted(&step, v, &request, UNORDERED);
        }
        let twice = create(vec![topic("dup", 1, 1, &[]), topic("dup", 1, 1, &[])]);
        script.call_sorted("duplicate", v, &twice, UNORDERED);
        let good = topic(&format!("good-v{v}"), 1, 1, &[]);
        let mixed = create(vec![
            good,
            topic("bad name!", 1, 1, &[]),
            topic("dup", 1, 1, &[]),
            topic("dup", 1, 1, &[]),
        ]);
        script.call_sorted("mixed", v, &mixed, &["topics", "configs"]);
        let validate = CreateTopicsRequest {
            validate_only: v >= 1,
            ..create(vec![topic(&format!("vo-v{v}"), 3, 1, &[("retention.ms", "5")]), topic("e1", 1, 5, &[])])
        };
        script.call_sorted("validateOnly", v, &validate, &["topics", "configs"]);
        let hurried =
            CreateTopicsRequest { timeout_ms: 0, ..create(vec![topic(&format!("t0-v{v}"), 1, 1, &[])]) };
        script.call_sorted("timeout0", v, &hurried, UNORDERED);
        script.call("empty", v, &create(vec![]));
    }
    what_was_created(&mut script);
    script.finish();
}

fn what_was_created(script: &mut Script) {
    let names = ["ct-v0", "ct-v7", "cm-v4", "cd-v4", "vo-v0", "vo-v1", "good-v3", "e1", "dup"];
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).into()), ..Default::default() };
    let request = MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    };
    script.call_sorted("what was created", 9, &request, &["topics", "partitions"]);
}
