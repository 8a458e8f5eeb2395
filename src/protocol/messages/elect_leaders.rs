//! ElectLeaders (key 43).

use bytestring::ByteString;

schema! {
    /// Request.
    message ElectLeadersRequest 0..=2, flexible 2 {
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
    /// Response.
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
