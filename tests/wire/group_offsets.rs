//! OffsetCommit, OffsetFetch, OffsetDelete, DescribeGroups, ListGroups, DeleteGroups.

use super::groups::{Member, settle_coordinator};
use super::script::{Script, versions};
use ottla::protocol::messages::delete_groups::DeleteGroupsRequest;
use ottla::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla::protocol::messages::list_groups::ListGroupsRequest;
use ottla::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};

/// Where Apache Kafka keeps them.
const SETTINGS: &[(&str, &str)] = &[("offsets.storage", "kafka")];

fn commit(
    group: &str,
    generation_id: i32,
    member_id: &str,
    topics: &[(&str, i32, &str)],
) -> OffsetCommitRequest {
    let topic = |(name, partition, metadata): &(&str, i32, &str)| OffsetCommitRequestTopic {
        name: (*name).into(),
        partitions: vec![OffsetCommitRequestPartition {
            partition_index: *partition,
            committed_offset: 42,
            committed_leader_epoch: 3,
            committed_metadata: (!metadata.is_empty()).then(|| (*metadata).into()),
            ..Default::default()
        }],
        ..Default::default()
    };
    OffsetCommitRequest {
        group_id: group.into(),
        generation_id,
        member_id: member_id.into(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

fn fetch(group: &str, topics: Option<&[(&str, &[i32])]>) -> OffsetFetchRequest {
    let topic = |(name, partitions): &(&str, &[i32])| OffsetFetchRequestTopic {
        name: (*name).into(),
        partition_indexes: partitions.to_vec(),
        ..Default::default()
    };
    OffsetFetchRequest {
        group_id: group.into(),
        topics: topics.map(|topics| topics.iter().map(topic).collect()),
        ..Default::default()
    }
}

#[test]
fn commits() {
    let mut script = Script::start("offset_commit", SETTINGS);
    script.create_topics(&[("t", 2, &[])]);
    settle_coordinator(&mut script);
    for v in versions::<OffsetCommitRequest>().filter(|v| *v > 0) {
        let group = format!("c-v{v}");
        script.call("of no group", v, &commit(&group, 1, "x", &[("t", 0, "")]));
        script.call("without a group's name", v, &commit("", -1, "", &[("t", 0, "")]));
        script.call("nothing", v, &commit(&group, -1, "", &[]));
        script.call(
            "alone",
            v,
            &commit(&format!("alone-v{v}"), -1, "", &[("t", 0, "meta"), ("none", 0, "")]),
        );
        let large = "m".repeat(4097);
        script.call(
            "large metadata",
            v,
            &commit(&format!("large-v{v}"), -1, "", &[("t", 0, &large), ("t", 1, "")]),
        );
        let member = Member::join(&mut script, &group);
        script.call("while completing", v, &commit(&group, 1, &member.id, &[("t", 0, "")]));
        script.exchange(5, &member.sync(1)).expect("an answer");
        script.call("of a member", v, &commit(&group, 1, &member.id, &[("t", 0, "meta"), ("t", 1, "")]));
        script.call(
            "of another generation",
            v,
            &commit(&group, 2, &member.id, &[("t", 0, ""), ("t", 9, "")]),
        );
        script.call("of nobody", v, &commit(&group, 1, "nobody", &[("t", 0, "")]));
        script.call("of an outsider", v, &commit(&group, -1, "", &[("t", 0, "")]));
        if v >= 7 {
            let other = OffsetCommitRequest {
                group_instance_id: Some("other".into()),
                ..commit(&group, 1, &member.id, &[("t", 0, "")])
            };
            script.call("of an unknown instance", v, &other);
        }
        if (2..=7).contains(&v) {
            script.call_sorted("all", v, &fetch(&group, None), &["topics", "partitions"]);
        }
    }
    script.finish();
}

#[test]
fn fetches() {
    let mut script = Script::start("offset_fetch", SETTINGS);
    script.create_topics(&[("t", 2, &[])]);
    settle_coordinator(&mut script);
    script.exchange(8, &commit("f", -1, "", &[("t", 0, "meta")])).expect("an answer");
    for v in versions::<OffsetFetchRequest>().filter(|v| *v > 0) {
        script.call("some", v, &fetch("f", Some(&[("t", &[0, 1, 7]), ("none", &[0])])));
        script.call("nothing", v, &fetch("f", Some(&[])));
        script.call("no group", v, &fetch("none", Some(&[("t", &[0])])));
        script.call("no name", v, &fetch("", Some(&[("t", &[0])])));
        if v >= 2 {
            script.call("all", v, &fetch("f", None));
            script.call("all of no group", v, &fetch("none", None));
        }
        if v >= 7 {
            let stable = OffsetFetchRequest { require_stable: true, ..fetch("f", None) };
            script.call("all, stable", v, &stable);
        }
    }
    script.finish();
}

fn delete_offsets(group: &str, topics: &[(&str, i32)]) -> OffsetDeleteRequest {
    let topic = |(name, partition): &(&str, i32)| OffsetDeleteRequestTopic {
        name: (*name).into(),
        partitions: vec![OffsetDeleteRequestPartition { partition_index: *partition, ..Default::default() }],
        ..Default::default()
    };
    OffsetDeleteRequest {
        group_id: group.into(),
        topics: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

#[test]
fn deletions() {
    let mut script = Script::start("offset_delete", SETTINGS);
    script.create_topics(&[("t", 2, &[]), ("u", 1, &[])]);
    settle_coordinator(&mut script);
    script.call("no group", 0, &delete_offsets("none", &[("t", 0)]));
    script.call("no name", 0, &delete_offsets("", &[("t", 0)]));
    let member = Member::join(&mut script, "d");
    script.exchange(5, &member.sync(1)).expect("an answer");
    script.exchange(8, &commit("d", 1, &member.id, &[("t", 0, ""), ("u", 0, "")])).expect("an answer");
    let all = delete_offsets("d", &[("t", 0), ("u", 0), ("none", 0)]);
    script.call_sorted("of a working group", 0, &all, &["topics"]);
    script.call("what is left", 7, &fetch("d", Some(&[("t", &[0]), ("u", &[0])])));
    for v in versions::<DeleteGroupsRequest>() {
        let group = format!("dg-v{v}");
        script.exchange(8, &commit(&group, -1, "", &[("t", 0, "")])).expect("an answer");
        let request = |names: &[&str]| DeleteGroupsRequest {
            groups_names: names.iter().map(|name| (*name).into()).collect(),
            ..Default::default()
        };
        script.call_sorted("groups", v, &request(&[&group, "none", "d", "", "d"]), &["results"]);
        script.call("groups again", v, &request(&[&group]));
        script.call("no groups", v, &request(&[]));
    }
    script.finish();
}

#[test]
fn descriptions() {
    let mut script = Script::start("describe_groups", SETTINGS);
    script.create_topics(&[("t", 2, &[])]);
    settle_coordinator(&mut script);
    script.exchange(8, &commit("alone", -1, "", &[("t", 0, "")])).expect("an answer");
    let completing = Member::join(&mut script, "completing");
    let stable = Member::join(&mut script, "stable");
    script.exchange(5, &stable.sync(1)).expect("an answer");
    let left = Member::join(&mut script, "left");
    let leave = ottla::protocol::messages::leave_group::LeaveGroupRequest {
        group_id: "left".into(),
        member_id: left.id,
        ..Default::default()
    };
    script.exchange(0, &leave).expect("an answer");
    let names = ["stable", "completing", "left", "alone", "none", ""];
    for v in versions::<DescribeGroupsRequest>() {
        let request = DescribeGroupsRequest {
            groups: names.iter().map(|name| (*name).into()).collect(),
            include_authorized_operations: v >= 3,
            ..Default::default()
        };
        script.call("all", v, &request);
    }
    for v in versions::<ListGroupsRequest>() {
        script.call_sorted("list", v, &ListGroupsRequest::default(), &["groups"]);
    }
    for state in ["Stable", "Empty", "CompletingRebalance", "Dead", "stable"] {
        let filter = ListGroupsRequest { states_filter: vec![state.into()], ..Default::default() };
        script.call_sorted(&format!("list {state}"), 4, &filter, &["groups"]);
    }
    assert!(!completing.id.is_empty());
    script.finish();
}
