//! LeaderAndIsr, versions 0-5: who leads the partitions of this broker, and whom the others follow.

use super::fence;
use crate::common::{ErrorCode, TopicPartition, Uuid};
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::leader_and_isr::{
    LeaderAndIsrPartitionError, LeaderAndIsrPartitionState, LeaderAndIsrRequest, LeaderAndIsrResponse,
    LeaderAndIsrTopicError,
};
use crate::replication::partition_machine::LeadershipState;
use crate::replication::replica_manager::{Assignment, AssignmentError};
use bytestring::ByteString;
use std::collections::BTreeSet;
use std::sync::Arc;

/// From this version on the answer is grouped by topic id.
const TOPIC_ID_VERSION_MIN: i16 = 5;

/// Applies the request.
pub async fn handle(broker: Arc<Broker>, call: Call, request: LeaderAndIsrRequest) -> LeaderAndIsrResponse {
    apply(broker, request, call.version).await
}

/// The same without a connection, for the controller on this broker.
pub async fn apply(broker: Arc<Broker>, request: LeaderAndIsrRequest, version: i16) -> LeaderAndIsrResponse {
    let assignments = assignments(&request);
    if let Err(code) = fence(&broker, request.broker_epoch, request.controller_epoch) {
        let refused = assignments.into_iter().map(|a| (a.name, a.topic_id, code));
        return LeaderAndIsrResponse { error_code: code.code(), ..respond(refused, version) };
    }
    let topics: BTreeSet<ByteString> = assignments.iter().map(|a| a.name.topic.clone()).collect();
    let configs = broker.admin.topic_configs(topics.into_iter().collect()).await;
    let replicas = Arc::clone(&broker.replicas);
    let applied = tokio::task::spawn_blocking(move || replicas.apply(assignments, &configs)).await;
    answer(applied.unwrap_or_default(), version)
}

/// The answer to a request that was applied.
pub fn answer(
    applied: Vec<(TopicPartition, Option<Uuid>, Result<(), AssignmentError>)>,
    version: i16,
) -> LeaderAndIsrResponse {
    let code = |result: Result<(), _>| result.err().map_or(ErrorCode::None, |error| error_code(&error));
    let applied = applied.into_iter();
    respond(applied.map(|(name, topic_id, result)| (name, topic_id, code(result))), version)
}

/// What a request decides, partition by partition.
pub fn assignments(request: &LeaderAndIsrRequest) -> Vec<Assignment> {
    let own = |name: &ByteString| ByteString::from(&**name);
    let single = request.ungrouped_partition_states.iter().map(|s| assignment(own(&s.topic_name), None, s));
    let grouped = request.topic_states.iter().flat_map(|topic| {
        let (name, id) = (own(&topic.topic_name), Some(topic.topic_id).filter(|id| !id.is_zero()));
        topic.partition_states.iter().map(move |state| assignment(name.clone(), id, state))
    });
    single.chain(grouped).collect()
}

fn assignment(topic: ByteString, topic_id: Option<Uuid>, state: &LeaderAndIsrPartitionState) -> Assignment {
    Assignment {
        name: TopicPartition { topic, partition: state.partition_index },
        topic_id,
        state: LeadershipState {
            controller_epoch: state.controller_epoch,
            leader: state.leader,
            leader_epoch: state.leader_epoch,
            in_sync_replicas: state.isr.clone(),
            zk_version: state.zk_version,
            replicas: state.replicas.clone(),
        },
        is_new: state.is_new,
    }
}

fn error_code(error: &AssignmentError) -> ErrorCode {
    match error {
        AssignmentError::Stale => ErrorCode::StaleControllerEpoch,
        AssignmentError::NotAReplica => ErrorCode::UnknownTopicOrPartition,
        AssignmentError::StorageFailed => ErrorCode::KafkaStorageError,
        AssignmentError::OtherTopicId => ErrorCode::InconsistentTopicId,
    }
}

type Applied = (TopicPartition, Option<Uuid>, ErrorCode);

fn respond(applied: impl Iterator<Item = Applied>, version: i16) -> LeaderAndIsrResponse {
    let mut response = LeaderAndIsrResponse::default();
    for (name, topic_id, code) in applied {
        let mut error = LeaderAndIsrPartitionError {
            partition_index: name.partition,
            error_code: code.code(),
            ..Default::default()
        };
        if version < TOPIC_ID_VERSION_MIN {
            error.topic_name = name.topic;
            response.partition_errors.push(error);
            continue;
        }
        let topic_id = topic_id.unwrap_or_default();
        match response.topics.iter_mut().find(|topic| topic.topic_id == topic_id) {
            Some(topic) => topic.partition_errors.push(error),
            None => response.topics.push(LeaderAndIsrTopicError {
                topic_id,
                partition_errors: vec![error],
                ..Default::default()
            }),
        }
    }
    response
}
