//! ListPartitionReassignments (key 46). Lists reassignments under way, on the controller (KIP-455).
//! Flexible from the start.

use bytestring::ByteString;

schema! {
    /// Names partitions; null is all.
    message ListPartitionReassignmentsRequest 0..=0, flexible 0 {
        timeout_ms: i32, 0.., default 60000;
        topics: Option<Vec<ListPartitionReassignmentsTopics>>, 0.., default None;
    }

    /// An element of [`ListPartitionReassignmentsRequest::topics`].
    struct ListPartitionReassignmentsTopics {
        name: ByteString, 0..;
        partition_indexes: Vec<i32>, 0..;
    }
}

schema! {
    /// The reassignments.
    message ListPartitionReassignmentsResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        topics: Vec<OngoingTopicReassignment>, 0..;
    }

    /// An element of [`ListPartitionReassignmentsResponse::topics`].
    struct OngoingTopicReassignment {
        name: ByteString, 0..;
        partitions: Vec<OngoingPartitionReassignment>, 0..;
    }

    /// An element of [`OngoingTopicReassignment::partitions`].
    struct OngoingPartitionReassignment {
        partition_index: i32, 0..;
        replicas: Vec<i32>, 0..;
        adding_replicas: Vec<i32>, 0..;
        removing_replicas: Vec<i32>, 0..;
    }
}
