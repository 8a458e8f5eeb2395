//! OffsetDelete (key 47).

use bytestring::ByteString;

schema! {
    /// Request.
    message OffsetDeleteRequest 0..=0 {
        group_id: ByteString, 0..;
        topics: Vec<OffsetDeleteRequestTopic>, 0..;
    }

    /// An element of [`OffsetDeleteRequest::topics`].
    struct OffsetDeleteRequestTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetDeleteRequestPartition>, 0..;
    }

    /// An element of [`OffsetDeleteRequestTopic::partitions`].
    struct OffsetDeleteRequestPartition {
        partition_index: i32, 0..;
    }
}

schema! {
    /// Response.
    message OffsetDeleteResponse 0..=0 {
        error_code: i16, 0..;
        throttle_time_ms: i32, 0..;
        topics: Vec<OffsetDeleteResponseTopic>, 0..;
    }

    /// An element of [`OffsetDeleteResponse::topics`].
    struct OffsetDeleteResponseTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetDeleteResponsePartition>, 0..;
    }

    /// An element of [`OffsetDeleteResponseTopic::partitions`].
    struct OffsetDeleteResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
