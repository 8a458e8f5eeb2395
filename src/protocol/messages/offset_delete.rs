//! OffsetDelete (key 47). Deletes a group's offsets of topics that it does not consume (KIP-496). Not
//! flexible.

use bytestring::ByteString;

schema! {
    /// Names the partitions.
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
    /// What became of each partition.
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
