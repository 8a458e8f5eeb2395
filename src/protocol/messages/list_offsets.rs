//! ListOffsets (key 2). Finds offsets by time, or with -1 the end and with -2 the start. v0 lists up to
//! `max_num_offsets` segment starts, v1 gives one offset and its timestamp (KIP-79), v2 adds the
//! isolation level (KIP-98), v4 the leader epoch (KIP-320), v5 the error OFFSET_NOT_AVAILABLE (KIP-207),
//! v6 is flexible.

use bytestring::ByteString;

schema! {
    /// Asks for the offset at a time.
    message ListOffsetsRequest 0..=6, flexible 6 {
        /// The follower, or -1 for a consumer, -2 for a debugging consumer.
        replica_id: i32, 0..;
        /// 0: read uncommitted; 1: read committed.
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
    /// The offsets found.
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
