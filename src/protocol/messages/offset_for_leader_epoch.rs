//! OffsetForLeaderEpoch (key 23).

use bytestring::ByteString;

schema! {
    /// Request.
    message OffsetForLeaderEpochRequest 0..=4, flexible 4 {
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
    /// Response.
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
