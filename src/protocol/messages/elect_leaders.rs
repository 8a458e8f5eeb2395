//! ElectLeaders (key 43). Elects leaders, on the controller: in v0 always the preferred ones (KIP-183),
//! from v1 on unclean ones too and with an error for the whole (KIP-460). v2 is flexible.

use bytestring::ByteString;

schema! {
    /// Names partitions; null is all.
    message ElectLeadersRequest 0..=2, flexible 2 {
        /// 0: preferred; 1: unclean.
        election_type: i8, 1..;
        topic_partitions: Option<Vec<TopicPartitions>>, 0..;
        timeout_ms: i32, 0.., default 60000;
    }

    /// An element of [`ElectLeadersRequest::topic_partitions`].
    struct TopicPartitions {
        topic: ByteString, 0..;
        partition_id: Vec<i32>, 0..;
    }
}

schema! {
    /// What became of each partition.
    message ElectLeadersResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 1..;
        replica_election_results: Vec<ReplicaElectionResult>, 0..;
    }

    /// An element of [`ElectLeadersResponse::replica_election_results`].
    struct ReplicaElectionResult {
        topic: ByteString, 0..;
        partition_result: Vec<PartitionResult>, 0..;
    }

    /// An element of [`ReplicaElectionResult::partition_result`].
    struct PartitionResult {
        partition_id: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
    }
}
