//! FindCoordinator, versions 0-3: the leader of the partition of `__consumer_offsets` or (key type 1, version 1)
//! `__transaction_state` that holds a group or transactional id.
//!
//! The topic is made when it is first asked for; until it has leaders, clients hear COORDINATOR_NOT_AVAILABLE and ask
//! again.

use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::common::{ErrorCode, java_hash};
use crate::handlers::dispatch::{Broker, Call, in_background};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use bytestring::ByteString;
use std::sync::Arc;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Answers from the cluster's metadata; makes the topic if there is none.
pub fn handle(broker: &Arc<Broker>, call: Call, request: FindCoordinatorRequest) -> Dispatch {
    let topic = match request.key_type {
        GROUP => GROUP_METADATA_TOPIC,
        TRANSACTION => TRANSACTION_STATE_TOPIC,
        _ => return Dispatch::reply(call.respond(&refused(ErrorCode::InvalidRequest))),
    };
    let cluster = broker.metadata.current();
    let Some(metadata) = cluster.topic(topic) else {
        let background = Arc::clone(broker);
        return in_background(broker, async move {
            // Whether it could be made or not, the client asks again.
            background.auto_create(&call, topic).await;
            Outcome::Reply(call.respond(&refused(ErrorCode::CoordinatorNotAvailable)))
        });
    };
    let partition = java_hash::partition_of(&request.key, metadata.partitions.len() as i32);
    let leader = metadata.partitions.get(&partition).map(|partition| partition.leader);
    let endpoint = leader
        .and_then(|leader| cluster.brokers.get(&leader))
        .and_then(|node| Some((node.id, node.endpoint(&call.connection.listener)?)));
    let response = match endpoint {
        Some((node_id, endpoint)) => FindCoordinatorResponse {
            error_message: Some(ByteString::from_static("NONE")),
            node_id,
            host: endpoint.host.clone(),
            port: endpoint.port,
            ..Default::default()
        },
        None => refused(ErrorCode::CoordinatorNotAvailable),
    };
    Dispatch::reply(call.respond(&response))
}

fn refused(code: ErrorCode) -> FindCoordinatorResponse {
    FindCoordinatorResponse {
        error_code: code.code(),
        error_message: Some(ByteString::from_static(code.message())),
        node_id: -1,
        port: -1,
        ..Default::default()
    }
}
