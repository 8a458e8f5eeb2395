//! Produce (key 0).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Request.
    message ProduceRequest 0..=9, flexible 9 {
        transactional_id: Option<ByteString>, 3.., default None;
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
    /// Response.
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
        base_offset: i64, 0..;
        log_append_time_ms: i64, 2.., default -1;
        log_start_offset: i64, 5.., default -1;
        record_errors: Vec<BatchIndexAndErrorMessage>, 8..;
        error_message: Option<ByteString>, 8.., default None;
    }

    /// An element of [`PartitionProduceResponse::record_errors`].
    struct BatchIndexAndErrorMessage {
        batch_index: i32, 8..;
        batch_index_error_message: Option<ByteString>, 8.., default None;
    }
}
