//! OffsetDelete, version 0 (KIP-496): offsets of topics that the group does not consume.

use super::is_known;
use crate::common::{ErrorCode, TopicPartition};
use crate::coordinator::group::offsets::OffsetsStorage;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use bytestring::ByteString;
use std::collections::HashMap;
use std::sync::Arc;

/// Deletes what may be deleted.
pub async fn handle(broker: Arc<Broker>, _: Call, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    let named = request.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|p| TopicPartition::new(topic.name.clone(), p.partition_index))
    });
    let (known, unknown): (Vec<_>, Vec<_>) = named.partition(|partition| is_known(&broker, partition));
    let codes = match delete(&broker, &request.group_id, &known).await {
        Ok(codes) => codes,
        Err(code) => return OffsetDeleteResponse { error_code: code.code(), ..Default::default() },
    };
    let mut by_partition: HashMap<TopicPartition, ErrorCode> =
        unknown.into_iter().map(|partition| (partition, ErrorCode::UnknownTopicOrPartition)).collect();
    by_partition.extend(known.into_iter().zip(codes));
    let mut response = OffsetDeleteResponse::default();
    for topic in request.topics {
        let partition = |index: i32| {
            let code = by_partition.get(&TopicPartition::new(topic.name.clone(), index));
            OffsetDeleteResponsePartition {
                partition_index: index,
                error_code: code.copied().unwrap_or_default().code(),
                ..Default::default()
            }
        };
        let partitions = topic.partitions.iter().map(|p| partition(p.partition_index)).collect();
        response.topics.push(OffsetDeleteResponseTopic {
            name: topic.name,
            partitions,
            ..Default::default()
        });
    }
    response
}

async fn delete(
    broker: &Broker,
    group: &ByteString,
    partitions: &[TopicPartition],
) -> Result<Vec<ErrorCode>, ErrorCode> {
    let fence = broker.groups.fence_of(group);
    let judged = broker.groups.delete_offsets(group, partitions);
    if broker.groups.storage_of(group) == OffsetsStorage::Kafka {
        return judged;
    }
    let store = broker.groups.zookeeper_offsets();
    let codes = match judged {
        // A group that only has offsets.
        Err(ErrorCode::GroupIdNotFound) => {
            let found = store.fetch_all(group.clone()).await.map_err(|error| error.code())?;
            if found.is_empty() {
                return Err(ErrorCode::GroupIdNotFound);
            }
            vec![ErrorCode::None; partitions.len()]
        }
        judged => judged?,
    };
    let deletable = partitions.iter().zip(&codes).filter(|(_, code)| code.is_none());
    let deletable: Vec<TopicPartition> = deletable.map(|(partition, _)| partition.clone()).collect();
    if !deletable.is_empty() {
        store.delete(group.clone(), deletable, fence?).await.map_err(|error| error.code())?;
    }
    Ok(codes)
}
