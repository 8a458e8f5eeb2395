//! Operational errors as error codes: the only place where one becomes the other.

use crate::common::ErrorCode;
use crate::metadata::ClusterSnapshot;
use crate::replication::PartitionError;
use crate::storage::ReadError;

/// The code of a partition's refusal.
pub fn partition_error_code(error: &PartitionError) -> ErrorCode {
    match error {
        PartitionError::NotLeader => ErrorCode::NotLeaderOrFollower,
        PartitionError::NotAReplica => ErrorCode::ReplicaNotAvailable,
        PartitionError::FencedLeaderEpoch => ErrorCode::FencedLeaderEpoch,
        PartitionError::UnknownLeaderEpoch => ErrorCode::UnknownLeaderEpoch,
        PartitionError::StorageFailed => ErrorCode::KafkaStorageError,
        PartitionError::NotEnoughReplicas => ErrorCode::NotEnoughReplicas,
        PartitionError::NotEnoughReplicasAfterAppend => ErrorCode::NotEnoughReplicasAfterAppend,
        PartitionError::TimedOut => ErrorCode::RequestTimedOut,
        PartitionError::Records(code) => *code,
        PartitionError::Append(refused) => refused.code(),
        PartitionError::Read(ReadError::OffsetOutOfRange { .. }) => ErrorCode::OffsetOutOfRange,
        PartitionError::Read(ReadError::UnsupportedForMessageFormat) => {
            ErrorCode::UnsupportedForMessageFormat
        }
        PartitionError::Read(ReadError::Storage(_)) => ErrorCode::KafkaStorageError,
    }
}

/// The code for a partition that is not hosted here: known to the cluster or not.
pub fn not_hosted_code(cluster: &ClusterSnapshot, topic: &str, partition: i32) -> ErrorCode {
    match cluster.partition(topic, partition) {
        Some(_) => ErrorCode::NotLeaderOrFollower,
        None => ErrorCode::UnknownTopicOrPartition,
    }
}
