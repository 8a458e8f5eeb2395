//! OffsetCommit (key 8). Stores a group's offsets. v0 stores them in ZooKeeper. v1 adds the membership
//! and a timestamp for each partition, v2 a retention time instead of it, which v5 drops again (KIP-211),
//! v6 adds the leader epoch (KIP-320), v7 the static member's id (KIP-345), v8 is flexible.

use bytestring::ByteString;

schema! {
    /// Asks to store offsets.
    message OffsetCommitRequest 0..=8, flexible 8 {
        group_id: ByteString, 0..;
        /// -1: the committer is no member.
        generation_id: i32, 1.., default -1;
        member_id: ByteString, 1..;
        group_instance_id: Option<ByteString>, 7.., default None;
        /// -1: the broker's.
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
    /// What became of each offset.
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
