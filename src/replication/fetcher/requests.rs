//! The machine's questions as Kafka's requests, and the answers back.

use super::messages::{EpochQuestion, FetchAnswer, FetchQuestion, FetchedPartition, OffsetQuestion};
use super::truncation::EpochEnd;
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition};
use crate::config::BrokerConfig;
use crate::protocol::Records;
use crate::protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchablePartitionResponse, ForgottenTopic,
};
use crate::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use crate::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::HashMap;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;

/// Puts elements of one topic that follow each other together.
fn group<T, P>(
    elements: impl IntoIterator<Item = (ByteString, P)>,
    make: impl Fn(ByteString) -> T,
    parts: impl Fn(&mut T) -> (&ByteString, &mut Vec<P>),
) -> Vec<T> {
    let mut topics: Vec<T> = Vec::new();
    for (topic, element) in elements {
        let open = topics.last_mut().is_some_and(|last| *parts(last).0 == topic);
        if !open {
            topics.push(make(topic));
        }
        let last = topics.last_mut().expect("pushed above");
        parts(last).1.push(element);
    }
    topics
}

pub(super) fn fetch(question: &FetchQuestion, config: &BrokerConfig) -> FetchRequest {
    let session = &question.session;
    let partitions = session.partitions.iter().map(|(name, position)| {
        let partition = FetchPartition {
            partition: name.partition,
            current_leader_epoch: position.current_leader_epoch,
            fetch_offset: position.fetch_offset,
            last_fetched_epoch: position.last_fetched_epoch.unwrap_or(-1),
            log_start_offset: position.log_start_offset,
            partition_max_bytes: config.replica_fetch_max_bytes,
            ..Default::default()
        };
        (name.topic.clone(), partition)
    });
    let topic = |topic| FetchTopic { topic, ..Default::default() };
    let forgotten = session.forgotten.iter().map(|name| (name.topic.clone(), name.partition));
    let forgotten_topic = |topic| ForgottenTopic { topic, ..Default::default() };
    FetchRequest {
        replica_id: config.broker_id,
        max_wait_ms: i32::try_from(question.wait_ms_max).unwrap_or(i32::MAX),
        min_bytes: config.replica_fetch_min_bytes,
        max_bytes: config.replica_fetch_response_max_bytes,
        session_id: session.session_id,
        session_epoch: session.session_epoch,
        topics: group(partitions, topic, |topic| (&topic.topic, &mut topic.partitions)),
        forgotten_topics_data: group(forgotten, forgotten_topic, |topic| {
            (&topic.topic, &mut topic.partitions)
        }),
        ..Default::default()
    }
}

pub(super) fn fetched(response: FetchResponse) -> FetchAnswer {
    let partitions = response.responses.into_iter().flat_map(|topic| {
        let name = topic.topic;
        topic.partition_responses.into_iter().map(move |partition| fetched_partition(&name, partition))
    });
    FetchAnswer {
        error: ErrorCode::from_code(response.error_code),
        session_id: response.session_id,
        partitions: partitions.collect(),
    }
}

fn fetched_partition(topic: &ByteString, partition: FetchablePartitionResponse) -> FetchedPartition {
    let diverging = &partition.diverging_epoch;
    let diverging = (diverging.epoch >= 0)
        .then_some(EpochEnd { leader_epoch: diverging.epoch, end_offset: diverging.end_offset });
    let records = match partition.record_set {
        Some(Records::Memory(bytes)) => bytes,
        // What was decoded is in memory.
        _ => Bytes::new(),
    };
    FetchedPartition {
        name: TopicPartition { topic: topic.clone(), partition: partition.partition },
        error: ErrorCode::from_code(partition.error_code),
        high_watermark: partition.high_watermark,
        log_start_offset: partition.log_start_offset,
        diverging,
        records,
    }
}

pub(super) fn epochs(questions: &[EpochQuestion], replica_id: BrokerId) -> OffsetForLeaderEpochRequest {
    let partitions = questions.iter().map(|question| {
        let partition = OffsetForLeaderPartition {
            partition: question.name.partition,
            current_leader_epoch: question.current_leader_epoch,
            leader_epoch: question.leader_epoch,
            ..Default::default()
        };
        (question.name.topic.clone(), partition)
    });
    let topic = |topic| OffsetForLeaderTopic { topic, ..Default::default() };
    let topics = group(partitions, topic, |topic| (&topic.topic, &mut topic.partitions));
    OffsetForLeaderEpochRequest { replica_id, topics, ..Default::default() }
}

pub(super) fn epoch_ends(
    questions: Vec<EpochQuestion>,
    response: OffsetForLeaderEpochResponse,
) -> Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)> {
    let mut found = HashMap::new();
    for topic in response.topics {
        for end in topic.partitions {
            let code = ErrorCode::from_code(end.error_code);
            let end_of = EpochEnd { leader_epoch: end.leader_epoch, end_offset: end.end_offset };
            found.insert(
                TopicPartition { topic: topic.topic.clone(), partition: end.partition },
                (code, end_of),
            );
        }
    }
    let answer = |question: EpochQuestion| {
        let end = found.get(&question.name).copied();
        (question, end)
    };
    questions.into_iter().map(answer).collect()
}

pub(super) fn offsets(questions: &[OffsetQuestion], replica_id: BrokerId) -> ListOffsetsRequest {
    let partitions = questions.iter().map(|question| {
        let partition = ListOffsetsPartition {
            partition_index: question.name.partition,
            current_leader_epoch: question.current_leader_epoch,
            timestamp: if question.earliest { EARLIEST } else { LATEST },
            ..Default::default()
        };
        (question.name.topic.clone(), partition)
    });
    let topic = |name| ListOffsetsTopic { name, ..Default::default() };
    let topics = group(partitions, topic, |topic| (&topic.name, &mut topic.partitions));
    ListOffsetsRequest { replica_id, topics, ..Default::default() }
}

pub(super) fn listed(
    questions: Vec<OffsetQuestion>,
    response: ListOffsetsResponse,
) -> Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)> {
    let mut found = HashMap::new();
    for topic in response.topics {
        for partition in topic.partitions {
            let name = TopicPartition { topic: topic.name.clone(), partition: partition.partition_index };
            let code = ErrorCode::from_code(partition.error_code);
            // Version 0 has a list, the others have one offset.
            let offset = partition.old_style_offsets.first().copied().unwrap_or(partition.offset);
            let silent = code == ErrorCode::None && offset < 0;
            if !silent {
                found.insert(name, (code, offset));
            }
        }
    }
    let answer = |question: OffsetQuestion| {
        let offset = found.get(&question.name).copied();
        (question, offset)
    };
    questions.into_iter().map(answer).collect()
}
