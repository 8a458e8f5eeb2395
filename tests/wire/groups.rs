//! What the scripts about groups share.

use super::script::Script;
use bytes::Bytes;
use bytestring::ByteString;
use ottla::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla::protocol::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

/// Subscribes to the topic `t`.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

pub fn find_coordinator(key: &str, key_type: i8) -> FindCoordinatorRequest {
    FindCoordinatorRequest { key: key.into(), key_type, ..Default::default() }
}

/// Waits until groups and transactional ids have coordinators that have loaded.
pub fn settle_coordinator(script: &mut Script) {
    for key_type in [0, 1] {
        until(|| {
            let found = script.exchange(1, &find_coordinator("g", key_type)).expect("an answer");
            found.error_code == 0
        });
    }
    until(|| {
        let nobody = LeaveGroup { group_id: "g".into(), member_id: "nobody".into(), ..Default::default() };
        script.exchange(0, &nobody).is_some_and(|left| left.error_code == 25)
    });
}

type LeaveGroup = ottla::protocol::messages::leave_group::LeaveGroupRequest;

fn until(mut holds: impl FnMut() -> bool) {
    crate::support::wait_for("coordinator", || holds().then_some(()));
}

pub fn protocols(names: &[&str]) -> Vec<JoinGroupRequestProtocol> {
    let protocol = |name: &&str| JoinGroupRequestProtocol {
        name: (*name).into(),
        metadata: Bytes::from_static(SUBSCRIPTION),
        ..Default::default()
    };
    names.iter().map(protocol).collect()
}

/// The only member of its group.
pub struct Member {
    pub group: ByteString,
    pub id: ByteString,
}

impl Member {
    /// Joins; the leader of generation 1.
    pub fn join(script: &mut Script, group: &str) -> Member {
        let request = JoinGroupRequest {
            group_id: group.into(),
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            protocol_type: "consumer".into(),
            protocols: protocols(&["range"]),
            ..Default::default()
        };
        let joined = script.exchange(2, &request).expect("an answer");
        assert_eq!(joined.error_code, 0);
        Member { group: group.into(), id: joined.member_id }
    }

    /// SyncGroup with its own assignment.
    pub fn sync(&self, generation_id: i32) -> SyncGroupRequest {
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id,
            member_id: self.id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: vec![SyncGroupRequestAssignment {
                member_id: self.id.clone(),
                assignment: Bytes::from_static(b"mine"),
                ..Default::default()
            }],
            ..Default::default()
        }
    }
}
