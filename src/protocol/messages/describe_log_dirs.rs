//! DescribeLogDirs (key 35). Shows log directories and the sizes of the replicas inside (KIP-113). v2 is
//! flexible.

use bytestring::ByteString;

schema! {
    /// Names partitions; null is all.
    message DescribeLogDirsRequest 0..=2, flexible 2 {
        topics: Option<Vec<DescribableLogDirTopic>>, 0..;
    }

    /// An element of [`DescribeLogDirsRequest::topics`].
    struct DescribableLogDirTopic {
        topic: ByteString, 0..;
        partition_index: Vec<i32>, 0..;
    }
}

schema! {
    /// The directories.
    message DescribeLogDirsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        results: Vec<DescribeLogDirsResult>, 0..;
    }

    /// An element of [`DescribeLogDirsResponse::results`].
    struct DescribeLogDirsResult {
        error_code: i16, 0..;
        log_dir: ByteString, 0..;
        topics: Vec<DescribeLogDirsTopic>, 0..;
    }

    /// An element of [`DescribeLogDirsResult::topics`].
    struct DescribeLogDirsTopic {
        name: ByteString, 0..;
        partitions: Vec<DescribeLogDirsPartition>, 0..;
    }

    /// An element of [`DescribeLogDirsTopic::partitions`].
    struct DescribeLogDirsPartition {
        partition_index: i32, 0..;
        partition_size: i64, 0..;
        /// How far a moving replica is behind, or the high watermark ahead of the log end.
        offset_lag: i64, 0..;
        /// True for a replica that is moving here.
        is_future_key: bool, 0..;
    }
}
