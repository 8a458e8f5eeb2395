//! StopReplica (key 5). The controller tells a broker to stop, and maybe delete, replicas. v0 lists
//! partitions, v1 adds the broker epoch (KIP-380) and groups them by topic, v2 is flexible, v3 adds the
//! leader epoch and decides deletion for each partition (KIP-570).

use bytestring::ByteString;

schema! {
    /// Stops replicas.
    message StopReplicaRequest 0..=3, flexible 2 {
        controller_id: i32, 0..;
        controller_epoch: i32, 0..;
        broker_epoch: i64, 1.., default -1;
        delete_partitions: bool, 0..=2;
        ungrouped_partitions: Vec<StopReplicaPartitionV0>, 0..=0;
        topics: Vec<StopReplicaTopicV1>, 1..=2;
        topic_states: Vec<StopReplicaTopicState>, 3..;
    }

    /// An element of [`StopReplicaRequest::ungrouped_partitions`].
    struct StopReplicaPartitionV0 {
        topic_name: ByteString, 0..=0;
        partition_index: i32, 0..=0;
    }

    /// An element of [`StopReplicaRequest::topics`].
    struct StopReplicaTopicV1 {
        name: ByteString, 1..=2;
        partition_indexes: Vec<i32>, 1..=2;
    }

    /// An element of [`StopReplicaRequest::topic_states`].
    struct StopReplicaTopicState {
        topic_name: ByteString, 3..;
        partition_states: Vec<StopReplicaPartitionState>, 3..;
    }

    /// An element of [`StopReplicaTopicState::partition_states`].
    struct StopReplicaPartitionState {
        partition_index: i32, 3..;
        /// -2: the topic is being deleted.
        leader_epoch: i32, 3.., default -1;
        delete_partition: bool, 3..;
    }
}

schema! {
    /// What became of each replica.
    message StopReplicaResponse 0..=3, flexible 2 {
        error_code: i16, 0..;
        partition_errors: Vec<StopReplicaPartitionError>, 0..;
    }

    /// An element of [`StopReplicaResponse::partition_errors`].
    struct StopReplicaPartitionError {
        topic_name: ByteString, 0..;
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
