//! OffsetFetch (key 9).

use bytestring::ByteString;

schema! {
    /// Request.
    message OffsetFetchRequest 0..=7, flexible 6 {
        group_id: ByteString, 0..;
        topics: Option<Vec<OffsetFetchRequestTopic>>, 0.., nullable 2..;
        require_stable: bool, 7..;
    }

    /// An element of [`OffsetFetchRequest::topics`].
    struct OffsetFetchRequestTopic {
        name: ByteString, 0..;
        partition_indexes: Vec<i32>, 0..;
    }
}

schema! {
    /// Response.
    message OffsetFetchResponse 0..=7, flexible 6 {
        throttle_time_ms: i32, 3..;
        topics: Vec<OffsetFetchResponseTopic>, 0..;
        error_code: i16, 2..;
    }

    /// An element of [`OffsetFetchResponse::topics`].
    struct OffsetFetchResponseTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetFetchResponsePartition>, 0..;
    }

    /// An element of [`OffsetFetchResponseTopic::partitions`].
    struct OffsetFetchResponsePartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 5.., default -1;
        metadata: Option<ByteString>, 0..;
        error_code: i16, 0..;
    }
}
