//! Heartbeat, versions 0-4.

use super::static_members_allowed;
use crate::common::ErrorCode;
use crate::coordinator::group::membership::MemberRef;
use crate::handlers::dispatch::{Broker, Call};
use crate::network::Dispatch;
use crate::protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use std::sync::Arc;

/// Answers at once.
pub fn handle(broker: &Arc<Broker>, call: Call, request: HeartbeatRequest) -> Dispatch {
    let code = if static_members_allowed(broker, request.group_instance_id.as_ref()) {
        let member = MemberRef { member_id: request.member_id, instance_id: request.group_instance_id };
        broker.groups.heartbeat(&request.group_id, &member, request.generation_id)
    } else {
        ErrorCode::UnsupportedVersion
    };
    Dispatch::reply(call.respond(&HeartbeatResponse { error_code: code.code(), ..Default::default() }))
}
