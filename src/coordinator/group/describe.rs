//! How a group is shown.

use super::machine::{Group, State};
use super::member::Member;
use crate::protocol::messages::describe_groups::{DescribedGroup, DescribedGroupMember};
use bytestring::ByteString;

/// A group as DescribeGroups tells it: protocol, metadata and assignments in a stable one only.
pub fn describe(group: &Group) -> DescribedGroup {
    let protocol = group.protocol().filter(|_| group.state() == State::Stable);
    let member = |(id, member): (&ByteString, &Member)| DescribedGroupMember {
        member_id: id.clone(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        member_metadata: protocol.and_then(|name| member.metadata(name)).cloned().unwrap_or_default(),
        member_assignment: protocol.map(|_| member.assignment.clone()).unwrap_or_default(),
        ..Default::default()
    };
    DescribedGroup {
        group_id: group.id().clone(),
        group_state: ByteString::from_static(group.state().name()),
        protocol_type: group.protocol_type(),
        protocol_data: protocol.cloned().unwrap_or_default(),
        members: group.members().iter().map(member).collect(),
        ..Default::default()
    }
}
