//! JoinGroup, versions 0-7. Version 0 has one timeout for both purposes; from version 4 on a new dynamic member is told
//! its id first and enters with it (KIP-394); version 5 knows static members (KIP-345).

use super::static_members_allowed;
use crate::common::{ErrorCode, Uuid};
use crate::coordinator::group::coordinator::{Reply, join_answer};
use crate::coordinator::group::join::JoinRequest;
use crate::coordinator::group::step::{Answer, join_refusal};
use crate::handlers::dispatch::{Broker, Call};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::join_group::JoinGroupRequest;
use bytestring::ByteString;
use std::net::IpAddr;
use std::sync::Arc;

const REBALANCE_TIMEOUT_VERSION_MIN: i16 = 1;
const KNOWN_MEMBER_VERSION_MIN: i16 = 4;

/// Waits for the rebalance, as a rule.
pub fn handle(broker: &Arc<Broker>, call: Call, request: JoinGroupRequest) -> Dispatch {
    if !static_members_allowed(broker, request.group_instance_id.as_ref()) {
        let refused = join_refusal(&ByteString::new(), ErrorCode::UnsupportedVersion);
        return Dispatch::reply(call.respond(&refused));
    }
    let group = request.group_id.clone();
    match broker.groups.join(&group, wish(&call, request)) {
        Reply::Now(answer) => Dispatch::reply(call.respond(&join_answer(Some(answer)))),
        Reply::Later(receiver) => Dispatch::Pending(Box::pin(async move {
            let answer: Option<Answer> = receiver.await.ok();
            Outcome::Reply(call.respond(&join_answer(answer)))
        })),
    }
}

fn wish(call: &Call, request: JoinGroupRequest) -> JoinRequest {
    let client_id = call.client_id.clone().unwrap_or_default();
    let prefix = request.group_instance_id.as_ref().unwrap_or(&client_id);
    let fresh_member_id = match request.member_id.is_empty() {
        true => ByteString::from(format!("{prefix}-{}", uuid_text(Uuid::random()))),
        false => ByteString::new(),
    };
    JoinRequest {
        fresh_member_id,
        needs_known_member_id: call.version >= KNOWN_MEMBER_VERSION_MIN,
        client_host: ByteString::from(java_address(call.connection.peer.ip())),
        client_id,
        rebalance_timeout_ms: match call.version >= REBALANCE_TIMEOUT_VERSION_MIN {
            true => request.rebalance_timeout_ms,
            false => request.session_timeout_ms,
        },
        session_timeout_ms: request.session_timeout_ms,
        protocol_type: request.protocol_type,
        protocols: request.protocols.into_iter().map(|p| (p.name, p.metadata)).collect(),
        member_id: request.member_id,
        instance_id: request.group_instance_id,
    }
}

/// As `java.util.UUID` prints it.
fn uuid_text(id: Uuid) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in id.0.iter().enumerate() {
        if [4, 6, 8, 10].contains(&place) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// As `java.net.InetAddress` prints an address without a name: `/10.0.0.5`, `/0:0:0:0:0:0:0:1`.
fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => format!("/{address}"),
        IpAddr::V6(address) => {
            let groups: Vec<String> = address.segments().iter().map(|group| format!("{group:x}")).collect();
            format!("/{}", groups.join(":"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_those_of_java() {
        assert_eq!(java_address("10.0.0.5".parse().unwrap()), "/10.0.0.5");
        assert_eq!(java_address("::1".parse().unwrap()), "/0:0:0:0:0:0:0:1");
        assert_eq!(java_address("::ffff:10.0.0.5".parse().unwrap()), "/10.0.0.5");
        let id: Vec<u8> = (0..16).map(|i| i * 17).collect();
        let text = uuid_text(Uuid(id.try_into().unwrap()));
        assert_eq!(text, "00112233-4455-6677-8899-aabbccddeeff");
    }
}
