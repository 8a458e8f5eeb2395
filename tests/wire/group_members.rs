//! FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup (keys 10 to 14).

use super::groups::{Member, find_coordinator, protocols, settle_coordinator};
use super::script::{Script, versions};
use bytestring::ByteString;
use ottla::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla::protocol::messages::heartbeat::HeartbeatRequest;
use ottla::protocol::messages::join_group::JoinGroupRequest;
use ottla::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla::protocol::messages::sync_group::SyncGroupRequest;

#[test]
fn find_coordinators() {
    let mut script = Script::start("find_coordinator", &[]);
    script.call("first use", 3, &find_coordinator("g", 0));
    script.call("first use of transactions", 3, &find_coordinator("t", 1));
    settle_coordinator(&mut script);
    for v in versions::<FindCoordinatorRequest>() {
        script.call("group", v, &find_coordinator("g", 0));
        script.call("empty", v, &find_coordinator("", 0));
        if v > 0 {
            script.call("transaction", v, &find_coordinator("t", 1));
            script.call("bad type", v, &find_coordinator("g", 9));
        }
    }
    script.finish();
}

fn join_of(group: &str, member_id: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: group.into(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 15_000,
        member_id: member_id.into(),
        protocol_type: "consumer".into(),
        protocols: protocols(&["range", "roundrobin"]),
        ..Default::default()
    }
}

fn refusals(script: &mut Script, v: i16, group: &str) {
    let short = JoinGroupRequest { session_timeout_ms: 5_999, ..join_of(group, "") };
    script.call("session too short", v, &short);
    let long = JoinGroupRequest { session_timeout_ms: 1_800_001, ..join_of(group, "") };
    script.call("session too long", v, &long);
    script.call("unknown group", v, &join_of(group, "nobody"));
    script.call("empty group", v, &join_of("", ""));
    let none = JoinGroupRequest { protocols: Vec::new(), ..join_of(group, "") };
    script.call("no protocols", v, &none);
    let untyped = JoinGroupRequest { protocol_type: "".into(), ..join_of(group, "") };
    script.call("no protocol type", v, &untyped);
}

#[test]
fn joins() {
    let mut script = Script::start("join_group", &[]);
    settle_coordinator(&mut script);
    for v in versions::<JoinGroupRequest>() {
        let group = format!("g-v{v}");
        refusals(&mut script, v, &group);
        let first = script.call("first", v, &join_of(&group, "")).expect("an answer");
        if v >= 4 {
            script.call("with the id", v, &join_of(&group, &first.member_id));
            let claims = JoinGroupRequest { group_instance_id: Some("i".into()), ..join_of(&group, "x") };
            if v >= 5 {
                script.call("unknown instance", v, &claims);
            }
        }
        script.call("unknown member", v, &join_of(&group, "nobody"));
        let other = JoinGroupRequest { protocols: protocols(&["other"]), ..join_of(&group, "") };
        script.call("no common protocol", v, &other);
        let kind = JoinGroupRequest { protocol_type: "connect".into(), ..join_of(&group, "") };
        script.call("other protocol type", v, &kind);
        script.call("again, while completing", v, &join_of(&group, &first.member_id));
        let changed =
            JoinGroupRequest { protocols: protocols(&["roundrobin"]), ..join_of(&group, &first.member_id) };
        script.call("changed, while completing", v, &changed);
        let generation = 2;
        let sync = SyncGroupRequest {
            group_id: group.as_str().into(),
            generation_id: generation,
            member_id: first.member_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("roundrobin".into()),
            ..Default::default()
        };
        script.exchange(5, &sync).expect("an answer");
        script.call("leader, while stable", v, &changed);
    }
    script.finish();
}

#[test]
fn static_members() {
    let mut script = Script::start("static_members", &[]);
    settle_coordinator(&mut script);
    for v in 5..=7 {
        let group = format!("s-v{v}");
        let instance = |member_id: &str| JoinGroupRequest {
            group_instance_id: Some("i".into()),
            ..join_of(&group, member_id)
        };
        let first = script.call("first", v, &instance("")).expect("an answer");
        let sync = |member_id: &ByteString| SyncGroupRequest {
            group_id: group.as_str().into(),
            generation_id: 1,
            member_id: member_id.clone(),
            group_instance_id: Some("i".into()),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![ottla::protocol::messages::sync_group::SyncGroupRequestAssignment {
                member_id: member_id.clone(),
                assignment: bytes::Bytes::from_static(b"mine"),
                ..Default::default()
            }],
            ..Default::default()
        };
        let sync_version = v - 2;
        script.call("sync of the first", sync_version, &sync(&first.member_id));
        let second = script.call("comes back", v, &instance("")).expect("an answer");
        script.call("the first again", v, &instance(&first.member_id));
        script.call("sync of the fenced", sync_version, &sync(&first.member_id));
        script.call("sync of the second", sync_version, &sync(&second.member_id));
        let beat = |member_id: &ByteString| HeartbeatRequest {
            group_id: group.as_str().into(),
            generation_id: 1,
            member_id: member_id.clone(),
            group_instance_id: Some("i".into()),
            ..Default::default()
        };
        if v <= 6 {
            script.call("heartbeat of the fenced", v - 2, &beat(&first.member_id));
            script.call("heartbeat of the second", v - 2, &beat(&second.member_id));
            script.call(
                "heartbeat of another instance",
                v - 2,
                &HeartbeatRequest { group_instance_id: Some("other".into()), ..beat(&second.member_id) },
            );
        }
        let leave = |member_id: &str, instance: &str| LeaveGroupRequest {
            group_id: group.as_str().into(),
            members: vec![MemberIdentity {
                member_id: member_id.into(),
                group_instance_id: Some(instance.into()),
                ..Default::default()
            }],
            ..Default::default()
        };
        if v <= 6 {
            script.call("fenced leaves", v - 2, &leave(&first.member_id, "i"));
            script.call("unknown instance leaves", v - 2, &leave("", "other"));
            script.call("instance leaves", v - 2, &leave("", "i"));
            script.call("instance leaves again", v - 2, &leave("", "i"));
        }
    }
    script.finish();
}

#[test]
fn members_work() {
    let mut script = Script::start("group_members", &[]);
    settle_coordinator(&mut script);
    for v in versions::<SyncGroupRequest>() {
        let group = format!("m-v{v}");
        let member = Member::join(&mut script, &group);
        let beat = |member_id: &str, generation_id: i32, group: &str| HeartbeatRequest {
            group_id: group.into(),
            generation_id,
            member_id: member_id.into(),
            ..Default::default()
        };
        if v <= 4 {
            script.call("heartbeat while completing", v, &beat(&member.id, 1, &group));
        }
        script.call("sync of another generation", v, &member.sync(7));
        script.call("sync of nobody", v, &SyncGroupRequest { member_id: "nobody".into(), ..member.sync(1) });
        script.call("sync in no group", v, &SyncGroupRequest { group_id: "none".into(), ..member.sync(1) });
        script.call(
            "sync in the empty group",
            v,
            &SyncGroupRequest { group_id: "".into(), ..member.sync(1) },
        );
        if v >= 5 {
            let other = SyncGroupRequest { protocol_name: Some("other".into()), ..member.sync(1) };
            script.call("sync with another protocol", v, &other);
            let other = SyncGroupRequest { protocol_type: Some("other".into()), ..member.sync(1) };
            script.call("sync with another type", v, &other);
            let silent = SyncGroupRequest { protocol_name: None, ..member.sync(1) };
            script.call("sync without a protocol", v, &silent);
        }
        script.call("sync", v, &member.sync(1));
        script.call("sync again", v, &SyncGroupRequest { assignments: Vec::new(), ..member.sync(1) });
        if v <= 4 {
            script.call("heartbeat", v, &beat(&member.id, 1, &group));
            script.call("heartbeat of another generation", v, &beat(&member.id, 0, &group));
            script.call("heartbeat of nobody", v, &beat("nobody", 1, &group));
            script.call("heartbeat in no group", v, &beat(&member.id, 1, "none"));
            script.call("heartbeat in the empty group", v, &beat(&member.id, 1, ""));
            leaves(&mut script, v, &group, &member.id);
            script.call("heartbeat after all left", v, &beat(&member.id, 1, &group));
            let rejoin = script.call("join after all left", v, &join_of(&group, &member.id));
            assert!(rejoin.is_some());
        }
    }
    script.finish();
}

fn leaves(script: &mut Script, v: i16, group: &str, member_id: &str) {
    let leave = |group: &str, member_id: &str| LeaveGroupRequest {
        group_id: group.into(),
        member_id: member_id.into(),
        members: vec![MemberIdentity { member_id: member_id.into(), ..Default::default() }],
        ..Default::default()
    };
    script.call("nobody leaves", v, &leave(group, "nobody"));
    script.call("leaves no group", v, &leave("none", member_id));
    script.call("leaves the empty group", v, &leave("", member_id));
    if v >= 3 {
        let nobody = LeaveGroupRequest { group_id: group.into(), members: Vec::new(), ..Default::default() };
        script.call("none leave", v, &nobody);
    }
    script.call("leaves", v, &leave(group, member_id));
    script.call("leaves again", v, &leave(group, member_id));
}
