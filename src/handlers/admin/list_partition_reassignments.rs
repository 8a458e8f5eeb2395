//! ListPartitionReassignments, version 0, on the controller: moves of replicas that are under way (KIP-455).

use crate::common::{ErrorCode, TopicPartition};
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Asks the controller.
pub async fn handle(
    broker: Arc<Broker>,
    request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    let asked = request.topics.map(|topics| {
        let partitions = topics.iter().flat_map(|topic| {
            let partition = |id: &i32| TopicPartition::new(topic.name.clone(), *id);
            topic.partition_indexes.iter().map(partition)
        });
        partitions.collect()
    });
    let answer = match broker.controller.get() {
        Some(controller) => controller.list_reassignments(asked).await,
        None => Err(ErrorCode::NotController),
    };
    let ongoing = match answer {
        Ok(ongoing) => ongoing,
        Err(code) => {
            return ListPartitionReassignmentsResponse {
                error_code: code.code(),
                error_message: Some(ByteString::from_static(code.message())),
                ..Default::default()
            };
        }
    };
    let mut topics: BTreeMap<ByteString, Vec<OngoingPartitionReassignment>> = BTreeMap::new();
    for (tp, assignment) in ongoing {
        topics.entry(tp.topic).or_default().push(OngoingPartitionReassignment {
            partition_index: tp.partition,
            replicas: assignment.replicas.into_vec(),
            adding_replicas: assignment.adding.into_vec(),
            removing_replicas: assignment.removing.into_vec(),
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| OngoingTopicReassignment { name, partitions, ..Default::default() };
    ListPartitionReassignmentsResponse {
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}
