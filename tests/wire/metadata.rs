//! Metadata (key 3) and DescribeCluster (key 60).

use super::script::{Script, UNKNOWN_ID, versions};
use super::support::wait_for;
use ottla::common::Uuid;
use ottla::protocol::messages::describe_cluster::DescribeClusterRequest;
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};

const UNORDERED: &[&str] = &["topics", "partitions"];

fn named(names: &[&str]) -> MetadataRequest {
    let topic = |name: &&str| MetadataRequestTopic { name: Some((*name).into()), ..Default::default() };
    MetadataRequest {
        topics: Some(names.iter().map(topic).collect()),
        allow_auto_topic_creation: false,
        ..Default::default()
    }
}

fn by_id(name: Option<&str>, topic_id: Uuid) -> MetadataRequest {
    let topic = MetadataRequestTopic { name: name.map(Into::into), topic_id, ..Default::default() };
    MetadataRequest { topics: Some(vec![topic]), ..Default::default() }
}

#[test]
fn answers() {
    // Off: versions below 4 cannot ask for no creation.
    let mut script =
        Script::start("metadata", &[("auto.create.topics.enable", "false"), ("broker.rack", "r1")]);
    let all = |v| MetadataRequest { topics: (v == 0).then(Vec::new), ..Default::default() };
    for v in versions::<MetadataRequest>() {
        script.call("before any topic", v, &all(v));
    }
    script.create_topics(&[("p2", 2, &[]), ("m", 1, &[])]);
    for v in versions::<MetadataRequest>() {
        script.call_sorted("all", v, &all(v), UNORDERED);
        if v >= 1 {
            script.call("none", v, &named(&[]));
        }
        script.call_sorted("named", v, &named(&["p2", "nope", "bad name!", "", ".", "..", "m"]), UNORDERED);
        script.call_sorted("twice", v, &named(&["m", "m"]), UNORDERED);
        let long = "x".repeat(250);
        script.call_sorted("long name", v, &named(&[&long]), UNORDERED);
        let auto = MetadataRequest { allow_auto_topic_creation: true, ..named(&["auto"]) };
        script.call("creation is off", v, &auto);
        let operations = MetadataRequest {
            include_cluster_authorized_operations: v <= 10,
            include_topic_authorized_operations: true,
            ..named(&["m", "nope"])
        };
        if v >= 8 {
            script.call_sorted("authorizedOps", v, &operations, UNORDERED);
        }
    }
    ids(&mut script);
    script.call("DescribeCluster", 0, &DescribeClusterRequest::default());
    let operations =
        DescribeClusterRequest { include_cluster_authorized_operations: true, ..Default::default() };
    script.call("DescribeCluster.ops", 0, &operations);
    script.finish();
}

fn ids(script: &mut Script) {
    let id = script.exchange(11, &named(&["m"])).expect("an answer").topics[0].topic_id;
    for v in [10, 11] {
        script.call("byId", v, &by_id(None, id));
        script.call("byUnknownId", v, &by_id(None, Uuid::parse(UNKNOWN_ID).expect("an id")));
        script.call("idAndName", v, &by_id(Some("m"), id));
        script.call("neither", v, &by_id(None, Uuid::ZERO));
    }
}

/// The first answer says LEADER_NOT_AVAILABLE, later ones a leader; v4 and up may forbid it.
#[test]
fn automatic_creation() {
    let mut script = Script::start("metadata_auto_create", &[("num.partitions", "2")]);
    for v in versions::<MetadataRequest>() {
        let name = format!("auto-v{v}");
        if v >= 4 {
            script.call("forbidden", v, &named(&[&name]));
        }
        let create = MetadataRequest { allow_auto_topic_creation: true, ..named(&[&name]) };
        let first = script.exchange(v, &create).expect("an answer").topics[0].error_code;
        // The controller may be faster than the answer is made.
        assert!(first == 5 || first == 0, "v{v}: {first}");
        wait_for("created topic", || {
            let topic = &script.exchange(v, &create)?.topics[0];
            (topic.error_code == 0
                && topic.partitions.len() == 2
                && topic.partitions.iter().all(|p| p.error_code == 0))
            .then_some(())
        });
        script.call_sorted("created", v, &create, UNORDERED);
        let bad = MetadataRequest { allow_auto_topic_creation: true, ..named(&["bad name!", ""]) };
        script.call_sorted("bad name", v, &bad, UNORDERED);
    }
    let internal = MetadataRequest { allow_auto_topic_creation: false, ..named(&["__consumer_offsets"]) };
    script.call("internal, not yet there", 9, &internal);
    script.finish();
}
