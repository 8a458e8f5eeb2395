//! LeaveGroup, versions 0-4: one member up to version 2, then many, also by instance id (KIP-345).

use crate::common::ErrorCode;
use crate::coordinator::group::membership::MemberRef;
use crate::handlers::dispatch::{Broker, Call};
use crate::network::Dispatch;
use crate::protocol::messages::leave_group::{LeaveGroupRequest, LeaveGroupResponse, MemberResponse};
use std::sync::Arc;

const BATCH_VERSION_MIN: i16 = 3;

/// Answers at once.
pub fn handle(broker: &Arc<Broker>, call: Call, request: LeaveGroupRequest) -> Dispatch {
    let members: Vec<MemberRef> = if call.version < BATCH_VERSION_MIN {
        vec![MemberRef { member_id: request.member_id, instance_id: None }]
    } else {
        let member = |member: crate::protocol::messages::leave_group::MemberIdentity| MemberRef {
            member_id: member.member_id,
            instance_id: member.group_instance_id,
        };
        request.members.into_iter().map(member).collect()
    };
    let left = broker.groups.leave(&request.group_id, &members);
    Dispatch::reply(call.respond(&response(call.version, members, left)))
}

fn response(
    version: i16,
    members: Vec<MemberRef>,
    left: Result<Vec<ErrorCode>, ErrorCode>,
) -> LeaveGroupResponse {
    let codes = match left {
        Err(code) => return LeaveGroupResponse { error_code: code.code(), ..Default::default() },
        Ok(codes) => codes,
    };
    if version < BATCH_VERSION_MIN {
        let code = codes.first().copied().unwrap_or_default();
        return LeaveGroupResponse { error_code: code.code(), ..Default::default() };
    }
    let member = |(member, code): (MemberRef, ErrorCode)| MemberResponse {
        member_id: member.member_id,
        group_instance_id: member.instance_id,
        error_code: code.code(),
        ..Default::default()
    };
    LeaveGroupResponse { members: members.into_iter().zip(codes).map(member).collect(), ..Default::default() }
}
