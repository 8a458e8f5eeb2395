//! DescribeProducers, version 0 (KIP-664): the producers that a replica knows, whether it leads or not.

use crate::common::ErrorCode;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::not_hosted_code;
use crate::protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use crate::storage::ActiveProducer;

const NO_TRANSACTION: i64 = -1;

/// Answers every partition.
pub fn handle(broker: &Broker, _: &Call, request: DescribeProducersRequest) -> DescribeProducersResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let describe = |partition: &i32| match producers(broker, &topic.name, *partition) {
            Ok(active_producers) => {
                PartitionResponse { partition_index: *partition, active_producers, ..Default::default() }
            }
            Err(code) => PartitionResponse {
                partition_index: *partition,
                error_code: code.code(),
                ..Default::default()
            },
        };
        let partitions = topic.partition_indexes.iter().map(describe).collect();
        TopicResponse { name: topic.name, partitions, ..Default::default() }
    });
    DescribeProducersResponse { topics: topics.collect(), ..Default::default() }
}

fn producers(broker: &Broker, topic: &str, partition: i32) -> Result<Vec<ProducerState>, ErrorCode> {
    let cluster = broker.metadata.current();
    if cluster.topic(topic).is_none() {
        return Err(ErrorCode::UnknownTopicOrPartition);
    }
    let hosted = broker.replicas.find(topic, partition);
    let hosted = hosted.ok_or_else(|| not_hosted_code(&cluster, topic, partition))?;
    let found = hosted.with_state(|state| state.log.as_ref().map(|log| log.active_producers()));
    Ok(found.ok_or(ErrorCode::KafkaStorageError)?.into_iter().map(state).collect())
}

fn state(producer: ActiveProducer) -> ProducerState {
    ProducerState {
        producer_id: producer.producer_id,
        producer_epoch: i32::from(producer.producer_epoch),
        last_sequence: producer.last_sequence,
        last_timestamp: producer.last_timestamp,
        coordinator_epoch: producer.coordinator_epoch,
        current_txn_start_offset: producer.current_txn_first_offset.unwrap_or(NO_TRANSACTION),
        ..Default::default()
    }
}
