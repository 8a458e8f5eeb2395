//! Fetch (key 1). Reads record sets, for consumers and for followers. v3 limits the whole response and
//! makes the order of partitions matter (KIP-74), v4 adds the isolation level and aborted transactions
//! (KIP-98), v5 the log start offset (KIP-107), v7 incremental sessions (KIP-227), v9 the leader epoch
//! that fences (KIP-320), v10 allows zstd, v11 adds the rack and the preferred replica (KIP-392), v12 is
//! flexible and tells followers where their log diverges (KIP-595). Below v2 records come down-converted
//! to magic 0, below v4 to magic 1.

use crate::protocol::Records;
use bytestring::ByteString;

schema! {
    /// Asks for records.
    message FetchRequest 0..=12, flexible 12 {
        cluster_id: Option<ByteString>, 12.., tag 0, default None;
        /// The follower, or -1 for a consumer, -2 for a debugging consumer.
        replica_id: i32, 0..;
        max_wait_ms: i32, 0..;
        min_bytes: i32, 0..;
        max_bytes: i32, 3.., default 0x7fffffff;
        /// 0: read uncommitted; 1: read committed.
        isolation_level: i8, 4..;
        session_id: i32, 7..;
        /// 0: new session; -1: none.
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
        /// Epoch of the follower's last record, -1: unknown.
        last_fetched_epoch: i32, 12.., default -1;
        /// The follower's; -1 from a consumer.
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
    /// The records, or nothing new.
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
        /// Tells a follower to truncate.
        diverging_epoch: EpochEndOffset, 12.., tag 0;
        current_leader: LeaderIdAndEpoch, 12.., tag 1;
        snapshot_id: SnapshotId, 12.., tag 2;
        /// Null for readers of uncommitted records.
        aborted_transactions: Option<Vec<AbortedTransaction>>, 4..;
        /// Where to read instead; -1: here.
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
