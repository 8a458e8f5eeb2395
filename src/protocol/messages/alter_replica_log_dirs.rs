//! AlterReplicaLogDirs (key 34). Moves replicas of this broker between its log directories (KIP-113). v2
//! is flexible.

use bytestring::ByteString;

schema! {
    /// Names directories and what shall be there.
    message AlterReplicaLogDirsRequest 0..=2, flexible 2 {
        dirs: Vec<AlterReplicaLogDir>, 0..;
    }

    /// An element of [`AlterReplicaLogDirsRequest::dirs`].
    struct AlterReplicaLogDir {
        path: ByteString, 0..;
        topics: Vec<AlterReplicaLogDirTopic>, 0..;
    }

    /// An element of [`AlterReplicaLogDir::topics`].
    struct AlterReplicaLogDirTopic {
        name: ByteString, 0..;
        partitions: Vec<i32>, 0..;
    }
}

schema! {
    /// What became of each replica.
    message AlterReplicaLogDirsResponse 0..=2, flexible 2 {
        throttle_time_ms: i32, 0..;
        results: Vec<AlterReplicaLogDirTopicResult>, 0..;
    }

    /// An element of [`AlterReplicaLogDirsResponse::results`].
    struct AlterReplicaLogDirTopicResult {
        topic_name: ByteString, 0..;
        partitions: Vec<AlterReplicaLogDirPartitionResult>, 0..;
    }

    /// An element of [`AlterReplicaLogDirTopicResult::partitions`].
    struct AlterReplicaLogDirPartitionResult {
        partition_index: i32, 0..;
        error_code: i16, 0..;
    }
}
