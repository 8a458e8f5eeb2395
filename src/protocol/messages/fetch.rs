//! Fetch (key 1).

use crate::protocol::Records;
use bytestring::ByteString;

schema! {
    /// Request.
    message FetchRequest 0..=12, flexible 12 {
        cluster_id: Option<ByteString>, 12.., tag 0, default None;
        replica_id: i32, 0..;
        max_wait_ms: i32, 0..;
        min_bytes: i32, 0..;
        max_bytes: i32, 3.., default 0x7fffffff;
        isolation_level: i8, 4..;
        session_id: i32, 7..;
        session_epoch: i32, 7.., default -1;
        topics: Vec<FetchTopic>, 0..;
        forgotten_topics_data: Vec<ForgottenTopic>, 7..;
        rack_id: ByteString, 11..;
    }

    /// An element of [`FetchRequest::topics`].
    struct FetchTopic {
        topic: ByteString, 0..;
        partitions: Vec<FetchPartition>, 0..;
    }

    /// An element of [`FetchTopic::partitions`].
    struct FetchPartition {
        partition: i32, 0..;
        current_leader_epoch: i32, 9.., default -1;
        fetch_offset: i64, 0..;
        last_fetched_epoch: i32, 12.., default -1;
        log_start_offset: i64, 5.., default -1;
        partition_max_bytes: i32, 0..;
    }

    /// An element of [`FetchRequest::forgotten_topics_data`].
    struct ForgottenTopic {
        topic: ByteString, 7..;
        partitions: Vec<i32>, 7..;
    }
}

schema! {
    /// Response.
    message FetchResponse 0..=12, flexible 12 {
        throttle_time_ms: i32, 1..;
        error_code: i16, 7..;
        session_id: i32, 7..;
        responses: Vec<FetchableTopicResponse>, 0..;
    }

    /// An element of [`FetchResponse::responses`].
    struct FetchableTopicResponse {
        topic: ByteString, 0..;
        partition_responses: Vec<FetchablePartitionResponse>, 0..;
    }

    /// An element of [`FetchableTopicResponse::partition_responses`].
    struct FetchablePartitionResponse {
        partition: i32, 0..;
        error_code: i16, 0..;
        high_watermark: i64, 0..;
        last_stable_offset: i64, 4.., default -1;
        log_start_offset: i64, 5.., default -1;
        diverging_epoch: EpochEndOffset, 12.., tag 0;
        current_leader: LeaderIdAndEpoch, 12.., tag 1;
        snapshot_id: SnapshotId, 12.., tag 2;
        aborted_transactions: Option<Vec<AbortedTransaction>>, 4..;
        preferred_read_replica: i32, 11.., default -1;
        record_set: Option<Records>, 0.., default None;
    }

    /// The value of [`FetchablePartitionResponse::diverging_epoch`].
    struct EpochEndOffset {
        epoch: i32, 12.., default -1;
        end_offset: i64, 12.., default -1;
    }

    /// The value of [`FetchablePartitionResponse::current_leader`].
    struct LeaderIdAndEpoch {
        leader_id: i32, 12.., default -1;
        leader_epoch: i32, 12.., default -1;
    }

    /// The value of [`FetchablePartitionResponse::snapshot_id`].
    struct SnapshotId {
        end_offset: i64, 0.., default -1;
        epoch: i32, 0.., default -1;
    }

    /// An element of [`FetchablePartitionResponse::aborted_transactions`].
    struct AbortedTransaction {
        producer_id: i64, 4..;
        first_offset: i64, 4..;
    }
}
