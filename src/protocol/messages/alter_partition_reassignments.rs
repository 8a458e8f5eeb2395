//! AlterPartitionReassignments (key 45). Starts, changes or (null replicas) cancels reassignments, on the
//! controller (KIP-455). Flexible from the start.

use bytestring::ByteString;

schema! {
    /// The wanted replicas.
    message AlterPartitionReassignmentsRequest 0..=0, flexible 0 {
        timeout_ms: i32, 0.., default 60000;
        topics: Vec<ReassignableTopic>, 0..;
    }

    /// An element of [`AlterPartitionReassignmentsRequest::topics`].
    struct ReassignableTopic {
        name: ByteString, 0..;
        partitions: Vec<ReassignablePartition>, 0..;
    }

    /// An element of [`ReassignableTopic::partitions`].
    struct ReassignablePartition {
        partition_index: i32, 0..;
        /// Null cancels.
        replicas: Option<Vec<i32>>, 0.., default None;
    }
}

schema! {
    /// What became of each partition.
    message AlterPartitionReassignmentsResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        responses: Vec<ReassignableTopicResponse>, 0..;
    }

    /// An element of [`AlterPartitionReassignmentsResponse::responses`].
    struct ReassignableTopicResponse {
        name: ByteString, 0..;
        partitions: Vec<ReassignablePartitionResponse>, 0..;
    }

    /// An element of [`ReassignableTopicResponse::partitions`].
    struct ReassignablePartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
    }
}
