//! ListOffsets (key 2).

use bytestring::ByteString;

schema! {
    /// Request.
    message ListOffsetsRequest 0..=6, flexible 6 {
        replica_id: i32, 0..;
        isolation_level: i8, 2..;
        topics: Vec<ListOffsetsTopic>, 0..;
    }

    /// An element of [`ListOffsetsRequest::topics`].
    struct ListOffsetsTopic {
        name: ByteString, 0..;
        partitions: Vec<ListOffsetsPartition>, 0..;
    }

    /// An element of [`ListOffsetsTopic::partitions`].
    struct ListOffsetsPartition {
        partition_index: i32, 0..;
        current_leader_epoch: i32, 4.., default -1;
        timestamp: i64, 0..;
        max_num_offsets: i32, 0..=0, default 1;
    }
}

schema! {
    /// Response.
    message ListOffsetsResponse 0..=6, flexible 6 {
        throttle_time_ms: i32, 2..;
        topics: Vec<ListOffsetsTopicResponse>, 0..;
    }

    /// An element of [`ListOffsetsResponse::topics`].
    struct ListOffsetsTopicResponse {
        name: ByteString, 0..;
        partitions: Vec<ListOffsetsPartitionResponse>, 0..;
    }

    /// An element of [`ListOffsetsTopicResponse::partitions`].
    struct ListOffsetsPartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        old_style_offsets: Vec<i64>, 0..=0;
        timestamp: i64, 1.., default -1;
        offset: i64, 1.., default -1;
        leader_epoch: i32, 4.., default -1;
    }
}
