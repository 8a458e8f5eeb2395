//! OffsetForLeaderEpoch (key 23). Tells where a leader epoch ended, for followers and consumers that
//! check their position (KIP-101). v1 returns the epoch found, v2 fences by the current epoch (KIP-320),
//! v3 adds the replica, -2 for a debugging consumer, v4 is flexible.

use bytestring::ByteString;

schema! {
    /// Asks for the end of epochs.
    message OffsetForLeaderEpochRequest 0..=4, flexible 4 {
        /// The follower, or -1 for a consumer, -2 for a debugging consumer.
        replica_id: i32, 3.., default -2;
        topics: Vec<OffsetForLeaderTopic>, 0..;
    }

    /// An element of [`OffsetForLeaderEpochRequest::topics`].
    struct OffsetForLeaderTopic {
        topic: ByteString, 0..;
        partitions: Vec<OffsetForLeaderPartition>, 0..;
    }

    /// An element of [`OffsetForLeaderTopic::partitions`].
    struct OffsetForLeaderPartition {
        partition: i32, 0..;
        current_leader_epoch: i32, 2.., default -1;
        leader_epoch: i32, 0..;
    }
}

schema! {
    /// The end offsets; -1 where unknown.
    message OffsetForLeaderEpochResponse 0..=4, flexible 4 {
        throttle_time_ms: i32, 2..;
        topics: Vec<OffsetForLeaderTopicResult>, 0..;
    }

    /// An element of [`OffsetForLeaderEpochResponse::topics`].
    struct OffsetForLeaderTopicResult {
        topic: ByteString, 0..;
        partitions: Vec<EpochEndOffset>, 0..;
    }

    /// An element of [`OffsetForLeaderTopicResult::partitions`].
    struct EpochEndOffset {
        error_code: i16, 0..;
        partition: i32, 0..;
        leader_epoch: i32, 1.., default -1;
        end_offset: i64, 0.., default -1;
    }
}
