//! CreatePartitions (key 37). Raises the number of partitions, on the controller (KIP-195). v2 is
//! flexible, v3 may answer THROTTLING_QUOTA_EXCEEDED (KIP-599).

use bytestring::ByteString;

schema! {
    /// The new counts.
    message CreatePartitionsRequest 0..=3, flexible 2 {
        topics: Vec<CreatePartitionsTopic>, 0..;
        timeout_ms: i32, 0..;
        validate_only: bool, 0..;
    }

    /// An element of [`CreatePartitionsRequest::topics`].
    struct CreatePartitionsTopic {
        name: ByteString, 0..;
        count: i32, 0..;
        assignments: Option<Vec<CreatePartitionsAssignment>>, 0..;
    }

    /// An element of [`CreatePartitionsTopic::assignments`].
    struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>, 0..;
    }
}

schema! {
    /// What became of each topic.
    message CreatePartitionsResponse 0..=3, flexible 2 {
        throttle_time_ms: i32, 0..;
        results: Vec<CreatePartitionsTopicResult>, 0..;
    }

    /// An element of [`CreatePartitionsResponse::results`].
    struct CreatePartitionsTopicResult {
        name: ByteString, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0.., default None;
    }
}
