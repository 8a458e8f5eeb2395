//! DeleteTopics (key 20). Deletes topics, on the controller. v3 may answer TOPIC_DELETION_DISABLED, v4 is
//! flexible, v5 adds messages and THROTTLING_QUOTA_EXCEEDED (KIP-599), v6 takes topic ids in place of
//! names (KIP-516).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Names the topics.
    message DeleteTopicsRequest 0..=6, flexible 4 {
        topics: Vec<DeleteTopicState>, 6..;
        topic_names: Vec<ByteString>, 0..=5;
        timeout_ms: i32, 0..;
    }

    /// An element of [`DeleteTopicsRequest::topics`].
    struct DeleteTopicState {
        name: Option<ByteString>, 6..;
        topic_id: Uuid, 6..;
    }
}

schema! {
    /// What became of each topic.
    message DeleteTopicsResponse 0..=6, flexible 4 {
        throttle_time_ms: i32, 1..;
        responses: Vec<DeletableTopicResult>, 0..;
    }

    /// An element of [`DeleteTopicsResponse::responses`].
    struct DeletableTopicResult {
        name: Option<ByteString>, 0.., nullable 6..;
        topic_id: Uuid, 6..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 5.., default None;
    }
}
