//! OffsetCommit (key 8).

use bytestring::ByteString;

schema! {
    /// Request.
    message OffsetCommitRequest 0..=8, flexible 8 {
        group_id: ByteString, 0..;
        generation_id: i32, 1.., default -1;
        member_id: ByteString, 1..;
        group_instance_id: Option<ByteString>, 7.., default None;
        retention_time_ms: i64, 2..=4, default -1;
        topics: Vec<OffsetCommitRequestTopic>, 0..;
    }

    /// An element of [`OffsetCommitRequest::topics`].
    struct OffsetCommitRequestTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetCommitRequestPartition>, 0..;
    }

    /// An element of [`OffsetCommitRequestTopic::partitions`].
    struct OffsetCommitRequestPartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 6.., default -1;
        commit_timestamp: i64, 1..=1, default -1;
        committed_metadata: Option<ByteString>, 0..;
    }
}

schema! {
    /// Response.
    message OffsetCommitResponse 0..=8, flexible 8 {
        throttle_time_ms: i32, 3..;
        topics: Vec<OffsetCommitResponseTopic>, 0..;
    }

    /// An element of [`OffsetCommitResponse::topics`].
    struct OffsetCommitResponseTopic {
        name: ByteString, 0..;
        partitions: Vec<OffsetCommitResponsePartition>, 0..;
    }

    /// An element of [`OffsetCommitResponseTopic::partitions`].
    struct OffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
