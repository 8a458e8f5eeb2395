//! Produce (key 0). Appends record sets to partitions. v3 adds the transactional id and demands one
//! record batch of magic 2 per partition (KIP-98), v7 allows zstd (KIP-110), v8 says which records were
//! refused (KIP-467), v9 is flexible. The response gains the throttle time in v1, the append time in v2,
//! the log start offset in v5. With acks 0 there is no response.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Asks to append.
    message ProduceRequest 0..=9, flexible 9 {
        /// Null without a transaction.
        transactional_id: Option<ByteString>, 3.., default None;
        /// 0: no response; 1: the leader has it; -1: all in-sync replicas have it.
        acks: i16, 0..;
        timeout_ms: i32, 0..;
        topic_data: Vec<TopicProduceData>, 0..;
    }

    /// An element of [`ProduceRequest::topic_data`].
    struct TopicProduceData {
        name: ByteString, 0..;
        partition_data: Vec<PartitionProduceData>, 0..;
    }

    /// An element of [`TopicProduceData::partition_data`].
    struct PartitionProduceData {
        index: i32, 0..;
        records: Option<Bytes>, 0.., default None;
    }
}

schema! {
    /// What became of each append.
    message ProduceResponse 0..=9, flexible 9 {
        responses: Vec<TopicProduceResponse>, 0..;
        throttle_time_ms: i32, 1..;
    }

    /// An element of [`ProduceResponse::responses`].
    struct TopicProduceResponse {
        name: ByteString, 0..;
        partition_responses: Vec<PartitionProduceResponse>, 0..;
    }

    /// An element of [`TopicProduceResponse::partition_responses`].
    struct PartitionProduceResponse {
        index: i32, 0..;
        error_code: i16, 0..;
        /// Offset of the first record; -1 after an error.
        base_offset: i64, 0..;
        /// The broker's time if the topic uses LogAppendTime, else -1.
        log_append_time_ms: i64, 2.., default -1;
        log_start_offset: i64, 5.., default -1;
        record_errors: Vec<BatchIndexAndErrorMessage>, 8..;
        error_message: Option<ByteString>, 8.., default None;
    }

    /// An element of [`PartitionProduceResponse::record_errors`].
    struct BatchIndexAndErrorMessage {
        /// The refused record, counted from 0 in its batch.
        batch_index: i32, 8..;
        batch_index_error_message: Option<ByteString>, 8.., default None;
    }
}
