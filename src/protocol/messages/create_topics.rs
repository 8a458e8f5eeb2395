//! CreateTopics (key 19). Creates topics, on the controller. v1 can validate only, v4 lets -1 choose the
//! defaults for partitions and replicas (KIP-464), v5 is flexible and returns the configuration
//! (KIP-525), v6 may answer THROTTLING_QUOTA_EXCEEDED (KIP-599), v7 returns the topic id (KIP-516).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Asks for topics.
    message CreateTopicsRequest 0..=7, flexible 5 {
        topics: Vec<CreatableTopic>, 0..;
        timeout_ms: i32, 0.., default 60000;
        validate_only: bool, 1..;
    }

    /// An element of [`CreateTopicsRequest::topics`].
    struct CreatableTopic {
        name: ByteString, 0..;
        /// -1 with assignments, or for the default.
        num_partitions: i32, 0..;
        /// -1 with assignments, or for the default.
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
    /// What became of each topic.
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
