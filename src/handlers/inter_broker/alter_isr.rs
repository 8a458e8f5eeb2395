//! AlterIsr, version 0, on the controller: in-sync replicas as their leader wants them (KIP-497).

use crate::common::{ErrorCode, TopicPartition};
use crate::controller::IsrChange;
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::alter_isr::{
    AlterIsrRequest, AlterIsrResponse, AlterIsrResponsePartitionData, AlterIsrResponseTopicData,
};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Serves the request, from the wire or of this very broker.
pub async fn apply(broker: Arc<Broker>, request: AlterIsrRequest) -> AlterIsrResponse {
    let (id, epoch) = (request.broker_id, request.broker_epoch);
    let changes = changes(request);
    let answer = match broker.controller.get() {
        Some(controller) => controller.alter_isr(id, epoch, changes).await,
        None => Err(ErrorCode::NotController),
    };
    let results = match answer {
        Ok(results) => results,
        Err(code) => return AlterIsrResponse { error_code: code.code(), ..Default::default() },
    };
    let mut topics: BTreeMap<ByteString, Vec<AlterIsrResponsePartitionData>> = BTreeMap::new();
    for (tp, result) in results {
        let partition_index = tp.partition;
        topics.entry(tp.topic).or_default().push(match result {
            Ok(state) => AlterIsrResponsePartitionData {
                partition_index,
                leader_id: state.leader,
                leader_epoch: state.leader_epoch,
                isr: state.isr.into_vec(),
                current_isr_version: state.zk_version,
                ..Default::default()
            },
            Err(code) => AlterIsrResponsePartitionData {
                partition_index,
                error_code: code.code(),
                ..Default::default()
            },
        });
    }
    let topic = |(name, partitions)| AlterIsrResponseTopicData { name, partitions, ..Default::default() };
    AlterIsrResponse { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
}

fn changes(request: AlterIsrRequest) -> Vec<IsrChange> {
    let mut changes = Vec::new();
    for topic in request.topics {
        // The name outlives the request's frame.
        let name = ByteString::from(&*topic.name);
        changes.extend(topic.partitions.into_iter().map(|partition| IsrChange {
            partition: TopicPartition::new(name.clone(), partition.partition_index),
            leader_epoch: partition.leader_epoch,
            isr: partition.new_isr,
            zk_version: partition.current_isr_version,
        }));
    }
    changes
}
