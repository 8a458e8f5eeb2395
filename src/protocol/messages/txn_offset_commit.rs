//! TxnOffsetCommit (key 28). Stores a group's offsets as part of a transaction (KIP-98). v2 adds the
//! leader epoch (KIP-320), v3 is flexible and adds the membership, so that a zombie is fenced (KIP-447).

use bytestring::ByteString;

schema! {
    /// Asks to store offsets.
    message TxnOffsetCommitRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        group_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        generation_id: i32, 3.., default -1;
        member_id: ByteString, 3..;
        group_instance_id: Option<ByteString>, 3.., default None;
        topics: Vec<TxnOffsetCommitRequestTopic>, 0..;
    }

    /// An element of [`TxnOffsetCommitRequest::topics`].
    struct TxnOffsetCommitRequestTopic {
        name: ByteString, 0..;
        partitions: Vec<TxnOffsetCommitRequestPartition>, 0..;
    }

    /// An element of [`TxnOffsetCommitRequestTopic::partitions`].
    struct TxnOffsetCommitRequestPartition {
        partition_index: i32, 0..;
        committed_offset: i64, 0..;
        committed_leader_epoch: i32, 2.., default -1;
        committed_metadata: Option<ByteString>, 0..;
    }
}

schema! {
    /// What became of each offset.
    message TxnOffsetCommitResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        topics: Vec<TxnOffsetCommitResponseTopic>, 0..;
    }

    /// An element of [`TxnOffsetCommitResponse::topics`].
    struct TxnOffsetCommitResponseTopic {
        name: ByteString, 0..;
        partitions: Vec<TxnOffsetCommitResponsePartition>, 0..;
    }

    /// An element of [`TxnOffsetCommitResponseTopic::partitions`].
    struct TxnOffsetCommitResponsePartition {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
