//! DescribeProducers (key 61). Shows the producers that a partition leader remembers (KIP-664). Flexible
//! from the start.

use bytestring::ByteString;

schema! {
    /// Names the partitions.
    message DescribeProducersRequest 0..=0, flexible 0 {
        topics: Vec<TopicRequest>, 0..;
    }

    /// An element of [`DescribeProducersRequest::topics`].
    struct TopicRequest {
        name: ByteString, 0..;
        partition_indexes: Vec<i32>, 0..;
    }
}

schema! {
    /// The producers, by partition.
    message DescribeProducersResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        topics: Vec<TopicResponse>, 0..;
    }

    /// An element of [`DescribeProducersResponse::topics`].
    struct TopicResponse {
        name: ByteString, 0..;
        partitions: Vec<PartitionResponse>, 0..;
    }

    /// An element of [`TopicResponse::partitions`].
    struct PartitionResponse {
        partition_index: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0.., default None;
        active_producers: Vec<ProducerState>, 0..;
    }

    /// An element of [`PartitionResponse::active_producers`].
    struct ProducerState {
        producer_id: i64, 0..;
        producer_epoch: i32, 0..;
        last_sequence: i32, 0.., default -1;
        last_timestamp: i64, 0.., default -1;
        coordinator_epoch: i32, 0..;
        current_txn_start_offset: i64, 0.., default -1;
    }
}
