//! What producers and consumers say about topics that metadata could not give.

use crate::common::ErrorCode;
use crate::protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use crate::tools::output::{Level, log};

/// Says which topics of a metadata answer have an error, as Kafka's clients do.
pub fn warn_of_topic_errors(client: &str, correlation_id: u64, response: &MetadataResponse) {
    let named = |topic: &MetadataResponseTopic, code: ErrorCode| format!("{}={}", topic.name, code.name());
    let errors: Vec<String> = response
        .topics
        .iter()
        .filter(|topic| topic.error_code != 0)
        .map(|topic| named(topic, ErrorCode::from_code(topic.error_code)))
        .collect();
    if !errors.is_empty() {
        let text = format!(
            "[{client}] Error while fetching metadata with correlation id {correlation_id} : {{{}}}",
            errors.join(", ")
        );
        log(Level::Warn, &text, "org.apache.kafka.clients.NetworkClient");
    }
    let is_invalid = |topic: &&MetadataResponseTopic| {
        ErrorCode::from_code(topic.error_code) == ErrorCode::InvalidTopicException
    };
    let invalid: Vec<&str> = response.topics.iter().filter(is_invalid).map(|topic| &*topic.name).collect();
    if !invalid.is_empty() {
        let text = format!("[{client}] Metadata response reported invalid topics [{}]", invalid.join(", "));
        log(Level::Error, &text, "org.apache.kafka.clients.Metadata");
    }
}
