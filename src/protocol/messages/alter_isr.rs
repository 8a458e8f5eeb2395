//! AlterIsr (key 56). A leader asks the controller to change the in-sync replicas of its partitions
//! (KIP-497), instead of writing ZooKeeper itself. Flexible from the start.

use bytestring::ByteString;

schema! {
    /// The wanted sets.
    message AlterIsrRequest 0..=0, flexible 0 {
        broker_id: i32, 0..;
        broker_epoch: i64, 0.., default -1;
        topics: Vec<TopicData>, 0..;
    }

    /// An element of [`AlterIsrRequest::topics`].
    struct TopicData {
        name: ByteString, 0..;
        partitions: Vec<PartitionData>, 0..;
    }

    /// An element of [`TopicData::partitions`].
    struct PartitionData {
        partition_index: i32, 0..;
        leader_epoch: i32, 0..;
        new_isr: Vec<i32>, 0..;
        current_isr_version: i32, 0..;
    }
}

schema! {
    /// What became of each partition.
    message AlterIsrResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        topics: Vec<AlterIsrResponseTopicData>, 0..;
    }

    /// An element of [`AlterIsrResponse::topics`].
    struct AlterIsrResponseTopicData {
        name: ByteString, 0..;
        partitions: Vec<AlterIsrResponsePartitionData>, 0..;
    }

    /// An element of [`AlterIsrResponseTopicData::partitions`].
    struct AlterIsrResponsePartitionData {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 0..;
        isr: Vec<i32>, 0..;
        current_isr_version: i32, 0..;
    }
}
