//! OffsetFetch, versions 0-7. Version 0 reads ZooKeeper, and calls what is not there UNKNOWN_TOPIC_OR_PARTITION; later
//! versions read where the cluster keeps offsets, and give -1. Version 2 may ask for all partitions and has one error for
//! all; version 7 refuses offsets that a transaction may still change (KIP-447).

use super::is_known;
use crate::common::{ErrorCode, TopicPartition};
use crate::coordinator::group::offsets::{CommittedOffset, OffsetStoreError, OffsetsStorage, Stored};
use crate::coordinator::group::shard::FetchedOffset;
use crate::handlers::dispatch::{Broker, Call, in_background};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse, OffsetFetchResponsePartition,
    OffsetFetchResponseTopic,
};
use bytestring::ByteString;
use std::sync::Arc;

const GROUP_ERROR_VERSION_MIN: i16 = 2;

/// From memory at once, from ZooKeeper later.
pub fn handle(broker: &Arc<Broker>, call: Call, request: OffsetFetchRequest) -> Dispatch {
    if call.version == 0 || broker.groups.storage_of(&request.group_id) == OffsetsStorage::ZooKeeper {
        let background = Arc::clone(broker);
        return in_background(broker, async move {
            let response = match call.version {
                0 => from_zookeeper_only(&background, request).await,
                version => from_zookeeper(&background, version, request).await,
            };
            Outcome::Reply(call.respond(&response))
        });
    }
    let OffsetFetchRequest { group_id, topics, require_stable, .. } = request;
    let response = match topics {
        None => broker.groups.fetch_all(&group_id, require_stable).map(all),
        Some(topics) => match broker.groups.fetch(&group_id, &partitions(&topics), require_stable) {
            Ok(found) => Ok(some(topics, found)),
            Err(code) => Ok(refused(call.version, topics, code)),
        },
    };
    let response = response.unwrap_or_else(|code| refused(call.version, Vec::new(), code));
    Dispatch::reply(call.respond(&response))
}

fn partitions(topics: &[OffsetFetchRequestTopic]) -> Vec<TopicPartition> {
    let of = |topic: &OffsetFetchRequestTopic| {
        let name = topic.name.clone();
        let partition = move |index: &i32| TopicPartition::new(name.clone(), *index);
        topic.partition_indexes.iter().map(partition).collect::<Vec<_>>()
    };
    topics.iter().flat_map(of).collect()
}

/// Version 0: no group, no member, only nodes.
async fn from_zookeeper_only(broker: &Broker, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let topics = request.topics.unwrap_or_default();
    let named = partitions(&topics);
    let known: Vec<TopicPartition> = named.iter().filter(|p| is_known(broker, p)).cloned().collect();
    let found = fetch(broker, &request.group_id, known.clone()).await;
    let mut found = known.into_iter().zip(found).collect::<std::collections::HashMap<_, _>>();
    let answer = |partition: &TopicPartition| match found.remove(partition) {
        Some(Ok(Some(offset))) => Ok(Some(CommittedOffset {
            // The old consumers know offsets only.
            metadata: ByteString::new(),
            ..offset
        })),
        Some(Err(code)) => Err(code),
        Some(Ok(None)) | None => Err(ErrorCode::UnknownTopicOrPartition),
    };
    let answers = named.iter().map(answer).collect();
    some(topics, answers)
}

async fn from_zookeeper(broker: &Broker, version: i16, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let OffsetFetchRequest { group_id, topics, require_stable, .. } = request;
    let Some(topics) = topics else {
        return match all_from_zookeeper(broker, &group_id, require_stable).await {
            Ok(found) => all(found),
            Err(code) => refused(version, Vec::new(), code),
        };
    };
    let named = partitions(&topics);
    // Before the offsets are read: what becomes stable in between is then read as it has become.
    let stable = match broker.groups.fetch(&group_id, &named, require_stable) {
        Ok(stable) => stable,
        Err(code) => return refused(version, topics, code),
    };
    let found = fetch(broker, &group_id, named).await;
    some(topics, stable.into_iter().zip(found).map(|(stable, found)| stable.and(found)).collect())
}

async fn all_from_zookeeper(
    broker: &Broker,
    group: &ByteString,
    require_stable: bool,
) -> Result<Vec<(TopicPartition, FetchedOffset)>, ErrorCode> {
    broker.groups.check(group)?;
    let store = broker.groups.zookeeper_offsets();
    let named: Vec<TopicPartition> =
        before(store.fetch_all(group.clone())).await?.into_iter().map(|(partition, _)| partition).collect();
    let stable = broker.groups.fetch(group, &named, require_stable)?;
    let found = fetch(broker, group, named.clone()).await;
    let merged = stable.into_iter().zip(found).map(|(stable, found)| stable.and(found));
    Ok(named.into_iter().zip(merged).filter(|(_, found)| !matches!(found, Ok(None))).collect())
}

async fn before<T>(stored: Stored<T>) -> Result<T, ErrorCode> {
    stored.await.map_err(|error: OffsetStoreError| error.code())
}

async fn fetch(broker: &Broker, group: &ByteString, partitions: Vec<TopicPartition>) -> Vec<FetchedOffset> {
    let count = partitions.len();
    match broker.groups.zookeeper_offsets().fetch(group.clone(), partitions).await {
        Ok(found) => found.into_iter().map(|found| found.map_err(|error| error.code())).collect(),
        Err(error) => vec![Err(error.code()); count],
    }
}

fn all(found: Vec<(TopicPartition, FetchedOffset)>) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse::default();
    let mut sorted = found;
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (partition, fetched) in sorted {
        if response.topics.last().is_none_or(|topic| topic.name != partition.topic) {
            response.topics.push(OffsetFetchResponseTopic { name: partition.topic, ..Default::default() });
        }
        if let Some(topic) = response.topics.last_mut() {
            topic.partitions.push(answer(partition.partition, fetched));
        }
    }
    response
}

fn some(topics: Vec<OffsetFetchRequestTopic>, found: Vec<FetchedOffset>) -> OffsetFetchResponse {
    let mut found = found.into_iter();
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic
            .partition_indexes
            .iter()
            .map(|index| answer(*index, found.next().unwrap_or(Ok(None))))
            .collect(),
        ..Default::default()
    };
    OffsetFetchResponse { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
}

fn answer(partition_index: i32, fetched: FetchedOffset) -> OffsetFetchResponsePartition {
    let none = OffsetFetchResponsePartition {
        partition_index,
        committed_offset: -1,
        committed_leader_epoch: -1,
        metadata: Some(ByteString::new()),
        ..Default::default()
    };
    match fetched {
        Err(code) => OffsetFetchResponsePartition { error_code: code.code(), ..none },
        Ok(None) => none,
        Ok(Some(committed)) => OffsetFetchResponsePartition {
            committed_offset: committed.offset,
            committed_leader_epoch: committed.leader_epoch.unwrap_or(-1),
            metadata: Some(committed.metadata),
            ..none
        },
    }
}

/// Before version 2 an error of the group stands with each partition.
fn refused(version: i16, topics: Vec<OffsetFetchRequestTopic>, code: ErrorCode) -> OffsetFetchResponse {
    if version >= GROUP_ERROR_VERSION_MIN {
        return OffsetFetchResponse { error_code: code.code(), ..Default::default() };
    }
    let count = topics.iter().map(|topic| topic.partition_indexes.len()).sum();
    some(topics, vec![Err(code); count])
}
