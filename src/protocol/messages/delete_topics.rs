//! DeleteTopics (key 20).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Request.
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
    /// Response.
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
