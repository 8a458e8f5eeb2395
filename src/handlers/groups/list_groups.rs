//! ListGroups, versions 0-4: the groups of this broker, from version 4 on filtered by state (KIP-518). Where offsets are
//! in ZooKeeper, groups that only have offsets are found there.

use crate::common::ErrorCode;
use crate::coordinator::group::coordinator::ListedGroup as Listed;
use crate::coordinator::group::offsets::OffsetsStorage;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};
use bytestring::ByteString;
use std::collections::HashSet;
use std::sync::Arc;

/// Lists them.
pub async fn handle(broker: Arc<Broker>, _: Call, request: ListGroupsRequest) -> ListGroupsResponse {
    let (mut code, mut groups) = broker.groups.list();
    if broker.groups.has_offsets_in_store() {
        match broker.groups.zookeeper_offsets().groups().await {
            Ok(stored) => add(&broker, &mut groups, stored),
            Err(error) if code == ErrorCode::None => code = error.code(),
            Err(_) => {}
        }
    }
    let wanted = |group: &Listed| {
        request.states_filter.is_empty() || request.states_filter.iter().any(|state| *state == group.state)
    };
    let group = |group: Listed| ListedGroup {
        group_id: group.id,
        protocol_type: group.protocol_type,
        group_state: ByteString::from_static(group.state),
        ..Default::default()
    };
    ListGroupsResponse {
        error_code: code.code(),
        groups: groups.into_iter().filter(wanted).map(group).collect(),
        ..Default::default()
    }
}

fn add(broker: &Broker, groups: &mut Vec<Listed>, stored: Vec<ByteString>) {
    let known: HashSet<ByteString> = groups.iter().map(|group| group.id.clone()).collect();
    let is_kept_there = |id: &ByteString| {
        broker.groups.check(id).is_ok() && broker.groups.storage_of(id) == OffsetsStorage::ZooKeeper
    };
    let own = stored.into_iter().filter(|id| !known.contains(id) && is_kept_there(id));
    groups.extend(own.map(|id| Listed { id, protocol_type: ByteString::new(), state: "Empty" }));
}
