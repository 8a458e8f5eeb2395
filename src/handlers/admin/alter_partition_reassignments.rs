//! AlterPartitionReassignments, version 0, on the controller: starts, changes and cancels moves of replicas (KIP-455).
//!
//! The answer says what is under way, not what is done: ListPartitionReassignments tells when it is.

use crate::common::{ErrorCode, TopicPartition};
use crate::controller::ReassignmentError;
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartitionResponse,
    ReassignableTopicResponse,
};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Hands the request to the controller.
pub async fn handle(
    broker: Arc<Broker>,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let mut asked = Vec::new();
    for topic in request.topics {
        // The name outlives the request's frame.
        let name = ByteString::from(&*topic.name);
        asked.extend(
            topic
                .partitions
                .into_iter()
                .map(|p| (TopicPartition::new(name.clone(), p.partition_index), p.replicas)),
        );
    }
    let answer = match broker.controller.get() {
        Some(controller) => controller.alter_reassignments(asked).await,
        None => Err(ErrorCode::NotController),
    };
    let results = match answer {
        Ok(results) => results,
        Err(code) => {
            return AlterPartitionReassignmentsResponse {
                error_code: code.code(),
                error_message: Some(ByteString::from_static(code.message())),
                ..Default::default()
            };
        }
    };
    let mut topics: BTreeMap<ByteString, Vec<ReassignablePartitionResponse>> = BTreeMap::new();
    for (tp, result) in results {
        let error = result.err().unwrap_or(ReassignmentError { code: ErrorCode::None, message: None });
        topics.entry(tp.topic).or_default().push(ReassignablePartitionResponse {
            partition_index: tp.partition,
            error_code: error.code.code(),
            error_message: error.message.map(ByteString::from),
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| ReassignableTopicResponse { name, partitions, ..Default::default() };
    AlterPartitionReassignmentsResponse {
        responses: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
