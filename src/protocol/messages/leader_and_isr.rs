//! LeaderAndIsr (key 4). The controller tells a broker which partitions it leads or follows. v1 says
//! which are new, v2 adds the broker epoch (KIP-380) and groups partitions by topic, v3 adds the replicas
//! that a reassignment adds and removes (KIP-455), v4 is flexible, v5 adds topic ids and the kind of the
//! request, and names topics by id in the answer (KIP-516).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Hands out partitions.
    message LeaderAndIsrRequest 0..=5, flexible 4 {
        controller_id: i32, 0..;
        controller_epoch: i32, 0..;
        broker_epoch: i64, 2.., default -1;
        /// 0: unknown; 1: incremental; 2: everything the broker has.
        r#type: i8, 5..;
        ungrouped_partition_states: Vec<LeaderAndIsrPartitionState>, 0..=1;
        topic_states: Vec<LeaderAndIsrTopicState>, 2..;
        live_leaders: Vec<LeaderAndIsrLiveLeader>, 0..;
    }

    /// An element of [`LeaderAndIsrRequest::topic_states`].
    struct LeaderAndIsrTopicState {
        topic_name: ByteString, 2..;
        topic_id: Uuid, 5..;
        partition_states: Vec<LeaderAndIsrPartitionState>, 2..;
    }

    /// An element of [`LeaderAndIsrRequest::live_leaders`].
    struct LeaderAndIsrLiveLeader {
        broker_id: i32, 0..;
        host_name: ByteString, 0..;
        port: i32, 0..;
    }

    /// Shared inside [`LeaderAndIsrRequest`].
    struct LeaderAndIsrPartitionState {
        topic_name: ByteString, 0..=1;
        partition_index: i32, 0..;
        controller_epoch: i32, 0..;
        leader: i32, 0..;
        leader_epoch: i32, 0..;
        isr: Vec<i32>, 0..;
        /// Version of the partition's state znode.
        zk_version: i32, 0..;
        replicas: Vec<i32>, 0..;
        adding_replicas: Vec<i32>, 3..;
        removing_replicas: Vec<i32>, 3..;
        /// True for a replica that never existed.
        is_new: bool, 1..;
    }
}

schema! {
    /// What became of each partition.
    message LeaderAndIsrResponse 0..=5, flexible 4 {
        error_code: i16, 0..;
        partition_errors: Vec<LeaderAndIsrPartitionError>, 0..=4;
        topics: Vec<LeaderAndIsrTopicError>, 5..;
    }

    /// An element of [`LeaderAndIsrResponse::topics`].
    struct LeaderAndIsrTopicError {
        topic_id: Uuid, 5..;
        partition_errors: Vec<LeaderAndIsrPartitionError>, 5..;
    }

    /// Shared inside [`LeaderAndIsrResponse`].
    struct LeaderAndIsrPartitionError {
        topic_name: ByteString, 0..=4;
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
