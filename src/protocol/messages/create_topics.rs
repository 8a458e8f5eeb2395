//! CreateTopics (key 19).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Request.
    message CreateTopicsRequest 0..=7, flexible 5 {
        topics: Vec<CreatableTopic>, 0..;
        timeout_ms: i32, 0.., default 60000;
        validate_only: bool, 1..;
    }

    /// An element of [`CreateTopicsRequest::topics`].
    struct CreatableTopic {
        name: ByteString, 0..;
        num_partitions: i32, 0..;
        replication_factor: i16, 0..;
        assignments: Vec<CreatableReplicaAssignment>, 0..;
        configs: Vec<CreateableTopicConfig>, 0..;
    }

    /// An element of [`CreatableTopic::assignments`].
    struct CreatableReplicaAssignment {
        partition_index: i32, 0..;
        broker_ids: Vec<i32>, 0..;
    }

    /// An element of [`CreatableTopic::configs`].
    struct CreateableTopicConfig {
        name: ByteString, 0..;
        value: Option<ByteString>, 0..;
    }
}

schema! {
    /// Response.
    message CreateTopicsResponse 0..=7, flexible 5 {
        throttle_time_ms: i32, 2..;
        topics: Vec<CreatableTopicResult>, 0..;
    }

    /// An element of [`CreateTopicsResponse::topics`].
    struct CreatableTopicResult {
        name: ByteString, 0..;
        topic_id: Uuid, 7..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 1..;
        topic_config_error_code: i16, 5.., tag 0;
        num_partitions: i32, 5.., default -1;
        replication_factor: i16, 5.., default -1;
        configs: Option<Vec<CreatableTopicConfigs>>, 5..;
    }

    /// An element of [`CreatableTopicResult::configs`].
    struct CreatableTopicConfigs {
        name: ByteString, 5..;
        value: Option<ByteString>, 5..;
        read_only: bool, 5..;
        config_source: i8, 5.., default -1;
        is_sensitive: bool, 5..;
    }
}
