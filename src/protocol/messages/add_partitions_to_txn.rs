//! AddPartitionsToTxn (key 24). Adds partitions to a transaction (KIP-98). v2 knows PRODUCER_FENCED
//! (KIP-588), v3 is flexible.

use bytestring::ByteString;

schema! {
    /// Names the partitions.
    message AddPartitionsToTxnRequest 0..=3, flexible 3 {
        transactional_id: ByteString, 0..;
        producer_id: i64, 0..;
        producer_epoch: i16, 0..;
        topics: Vec<AddPartitionsToTxnTopic>, 0..;
    }

    /// An element of [`AddPartitionsToTxnRequest::topics`].
    struct AddPartitionsToTxnTopic {
        name: ByteString, 0..;
        partitions: Vec<i32>, 0..;
    }
}

schema! {
    /// What became of each partition.
    message AddPartitionsToTxnResponse 0..=3, flexible 3 {
        throttle_time_ms: i32, 0..;
        results: Vec<AddPartitionsToTxnTopicResult>, 0..;
    }

    /// An element of [`AddPartitionsToTxnResponse::results`].
    struct AddPartitionsToTxnTopicResult {
        name: ByteString, 0..;
        results: Vec<AddPartitionsToTxnPartitionResult>, 0..;
    }

    /// An element of [`AddPartitionsToTxnTopicResult::results`].
    struct AddPartitionsToTxnPartitionResult {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
