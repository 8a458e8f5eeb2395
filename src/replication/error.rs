//! Why a partition refused.

use crate::common::ErrorCode;
use crate::storage::{AppendError, ReadError};
use std::fmt;

/// A refusal; handlers turn it into an error code.
#[derive(Clone, Debug)]
pub enum PartitionError {
    /// This broker does not lead the partition.
    NotLeader,
    /// A follower asks that is not among the replicas.
    NotAReplica,
    /// The request's leader epoch is older than the partition's (KIP-320).
    FencedLeaderEpoch,
    /// The request's leader epoch is newer than the partition's (KIP-320).
    UnknownLeaderEpoch,
    /// The directory of its log failed.
    StorageFailed,
    /// Fewer in-sync replicas than `min.insync.replicas`, seen before the append.
    NotEnoughReplicas,
    /// The same, seen once the append was replicated.
    NotEnoughReplicasAfterAppend,
    /// The wait for replicas took longer than the request allows.
    TimedOut,
    /// The batches of a coordinator are not valid for the topic (too large, say).
    Records(ErrorCode),
    /// The log refused the batches.
    Append(AppendError),
    /// The log has no such offset.
    Read(ReadError),
}

impl fmt::Display for PartitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PartitionError::NotLeader => f.write_str("this broker is not the leader"),
            PartitionError::NotAReplica => f.write_str("the follower is not a replica"),
            PartitionError::FencedLeaderEpoch => f.write_str("the leader epoch is older than the broker's"),
            PartitionError::UnknownLeaderEpoch => f.write_str("the leader epoch is newer than the broker's"),
            PartitionError::StorageFailed => f.write_str("the log directory is offline"),
            PartitionError::NotEnoughReplicas => f.write_str("too few in-sync replicas"),
            PartitionError::NotEnoughReplicasAfterAppend => {
                f.write_str("too few in-sync replicas after append")
            }
            PartitionError::TimedOut => f.write_str("timed out"),
            PartitionError::Records(code) => f.write_str(code.name()),
            PartitionError::Append(e) => write!(f, "{e}"),
            PartitionError::Read(e) => write!(f, "{e}"),
        }
    }
}
