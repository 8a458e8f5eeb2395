//! SyncGroup, versions 0-5. From version 5 on protocol type and name must be there (KIP-559).

use super::static_members_allowed;
use crate::common::ErrorCode;
use crate::coordinator::group::coordinator::{Reply, sync_answer};
use crate::coordinator::group::step::sync_refusal;
use crate::coordinator::group::sync::SyncRequest;
use crate::handlers::dispatch::{Broker, Call};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::sync_group::SyncGroupRequest;
use std::sync::Arc;

const PROTOCOL_VERSION_MIN: i16 = 5;

/// Waits for the leader's assignments, as a rule.
pub fn handle(broker: &Arc<Broker>, call: Call, request: SyncGroupRequest) -> Dispatch {
    if !static_members_allowed(broker, request.group_instance_id.as_ref()) {
        return Dispatch::reply(call.respond(&sync_refusal(ErrorCode::UnsupportedVersion)));
    }
    let says_protocol = request.protocol_type.is_some() && request.protocol_name.is_some();
    if call.version >= PROTOCOL_VERSION_MIN && !says_protocol {
        return Dispatch::reply(call.respond(&sync_refusal(ErrorCode::InconsistentGroupProtocol)));
    }
    let wish = SyncRequest {
        member_id: request.member_id,
        instance_id: request.group_instance_id,
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol_name: request.protocol_name,
        assignments: request.assignments.into_iter().map(|a| (a.member_id, a.assignment)).collect(),
    };
    match broker.groups.sync(&request.group_id, wish) {
        Reply::Now(answer) => Dispatch::reply(call.respond(&sync_answer(Some(answer)))),
        Reply::Later(receiver) => Dispatch::Pending(Box::pin(async move {
            Outcome::Reply(call.respond(&sync_answer(receiver.await.ok())))
        })),
    }
}
