//! StopReplica, versions 0-3: give up partitions, delete some of them.

use super::fence;
use crate::common::{ErrorCode, TopicPartition};
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::stop_replica::{
    StopReplicaPartitionError, StopReplicaRequest, StopReplicaResponse,
};
use crate::replication::replica_manager::{Stop, StopError};
use bytestring::ByteString;
use std::sync::Arc;

/// "No epoch given": versions 0-2.
const NO_EPOCH: i32 = -1;

/// Applies the request.
pub async fn handle(broker: Arc<Broker>, _: Call, request: StopReplicaRequest) -> StopReplicaResponse {
    apply(broker, request).await
}

/// The same without a connection, for the controller on this broker.
pub async fn apply(broker: Arc<Broker>, request: StopReplicaRequest) -> StopReplicaResponse {
    if let Err(code) = fence(&broker, request.broker_epoch, request.controller_epoch) {
        return StopReplicaResponse { error_code: code.code(), ..Default::default() };
    }
    let stops = stops(&request);
    let replicas = Arc::clone(&broker.replicas);
    let stopped = tokio::task::spawn_blocking(move || replicas.stop(stops)).await.unwrap_or_default();
    answer(stopped)
}

/// The answer to a request that was applied.
pub fn answer(stopped: Vec<(TopicPartition, Result<(), StopError>)>) -> StopReplicaResponse {
    let partition_errors = stopped.into_iter().map(|(name, result)| {
        let code = match result {
            Ok(()) => ErrorCode::None,
            Err(StopError::Fenced) => ErrorCode::FencedLeaderEpoch,
            Err(StopError::StorageFailed) => ErrorCode::KafkaStorageError,
        };
        StopReplicaPartitionError {
            topic_name: name.topic,
            partition_index: name.partition,
            error_code: code.code(),
            ..Default::default()
        }
    });
    StopReplicaResponse { partition_errors: partition_errors.collect(), ..Default::default() }
}

/// What a request gives up.
pub fn stops(request: &StopReplicaRequest) -> Vec<Stop> {
    let name = |topic: &ByteString, partition| TopicPartition::new(ByteString::from(&**topic), partition);
    let mut stops = Vec::new();
    for p in &request.ungrouped_partitions {
        let name = name(&p.topic_name, p.partition_index);
        stops.push(Stop { name, leader_epoch: NO_EPOCH, delete: request.delete_partitions });
    }
    for topic in &request.topics {
        for partition in &topic.partition_indexes {
            let name = name(&topic.name, *partition);
            stops.push(Stop { name, leader_epoch: NO_EPOCH, delete: request.delete_partitions });
        }
    }
    for topic in &request.topic_states {
        for p in &topic.partition_states {
            let name = name(&topic.topic_name, p.partition_index);
            stops.push(Stop { name, leader_epoch: p.leader_epoch, delete: p.delete_partition });
        }
    }
    stops
}
