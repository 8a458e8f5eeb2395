//! DeleteRecords (key 21). Moves the log start offset of partitions forward (KIP-107). v2 is flexible.

use bytestring::ByteString;

schema! {
    /// Says up to which offset; -1 is the high watermark.
    message DeleteRecordsRequest 0..=2, flexible 2 {
        topics: Vec<DeleteRecordsTopic>, 0..;
        timeout_ms: i32, 0..;
    }

    /// An element of [`DeleteRecordsRequest::topics`].
    struct DeleteRecordsTopic {
        name: ByteString, 0..;
        partitions: Vec<DeleteRecordsPartition>, 0..;
    }

    /// An element of [`DeleteRecordsTopic::partitions`].
    struct DeleteRecordsPartition {
        partition_index: i32, 0..;
        offset: i64, 0..;
    }
}

schema! {
    /// The new low watermarks.
    message DeleteRecordsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        topics: Vec<DeleteRecordsTopicResult>, 0..;
    }

    /// An element of [`DeleteRecordsResponse::topics`].
    struct DeleteRecordsTopicResult {
        name: ByteString, 0..;
        partitions: Vec<DeleteRecordsPartitionResult>, 0..;
    }

    /// An element of [`DeleteRecordsTopicResult::partitions`].
    struct DeleteRecordsPartitionResult {
        partition_index: i32, 0..;
        low_watermark: i64, 0..;
        error_code: i16, 0..;
    }
}
