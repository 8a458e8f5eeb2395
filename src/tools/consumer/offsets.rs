//! Offsets of a group: committing them, and asking what was committed. One attempt each; callers try again.
//!
//! Source: Kafka 2.8.2, `ConsumerCoordinator.java` (`OffsetCommitResponseHandler`, `OffsetFetchResponseHandler`).

use super::link::{Link, NO_GENERATION, Shared};
use crate::common::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// An offset to go on from, and the leader epoch of what stands before it, if known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The next offset to read.
    pub offset: Offset,
    /// Of the record before it.
    pub leader_epoch: Option<LeaderEpoch>,
}

/// Offsets by partition.
pub type Places = BTreeMap<TopicPartition, Place>;

/// Why offsets were not committed or found.
#[derive(Debug)]
pub enum Refused {
    /// It may pass.
    ForNow,
    /// It will not.
    ForGood(Exception),
}

/// Commits in the name of the member's generation, or of nobody if partitions are assigned by hand.
pub fn commit(shared: &Shared, is_managed: bool, places: &Places) -> Result<(), Refused> {
    if places.is_empty() {
        return Ok(());
    }
    let mut link = shared.lock();
    if is_managed && link.generation == NO_GENERATION {
        return Err(Refused::ForGood(commit_failed()));
    }
    let request = commit_request(shared, &link, places);
    let response = shared.call(&mut link, &request).map_err(|_| Refused::ForNow)?;
    let mut unauthorized = Vec::new();
    for topic in response.topics {
        for partition in topic.partitions {
            match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => {}
                ErrorCode::TopicAuthorizationFailed => unauthorized.push(topic.name.to_string()),
                code => return Err(commit_error(shared, &mut link, code)),
            }
        }
    }
    if unauthorized.is_empty() {
        return Ok(());
    }
    unauthorized.dedup();
    Err(Refused::ForGood(unauthorized_topics(&unauthorized)))
}

fn commit_request(shared: &Shared, link: &Link, places: &Places) -> OffsetCommitRequest {
    let mut topics: BTreeMap<ByteString, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (key, place) in places {
        topics.entry(key.topic.clone()).or_default().push(OffsetCommitRequestPartition {
            partition_index: key.partition,
            committed_offset: place.offset,
            committed_leader_epoch: place.leader_epoch.unwrap_or(-1),
            committed_metadata: Some(ByteString::new()),
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| OffsetCommitRequestTopic { name, partitions, ..Default::default() };
    OffsetCommitRequest {
        group_id: shared.group.id.clone(),
        generation_id: link.generation,
        member_id: link.member_id.clone(),
        group_instance_id: shared.group.instance_id.clone(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    }
}

fn commit_error(shared: &Shared, link: &mut Link, code: ErrorCode) -> Refused {
    match code {
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::UnknownTopicOrPartition => Refused::ForNow,
        ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator | ErrorCode::RequestTimedOut => {
            link.forget_coordinator();
            Refused::ForNow
        }
        ErrorCode::RebalanceInProgress => {
            link.must_join = true;
            Refused::ForGood(Exception::of_error(
                code,
                Some(
                    "Offset commit cannot be completed since the consumer group is executing a rebalance at the \
                     moment. You can try completing the rebalance by calling poll() and then retry commit again",
                ),
            ))
        }
        ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => {
            link.forget_generation();
            Refused::ForGood(commit_failed())
        }
        ErrorCode::GroupAuthorizationFailed
        | ErrorCode::OffsetMetadataTooLarge
        | ErrorCode::InvalidCommitOffsetSize
        | ErrorCode::FencedInstanceId => Refused::ForGood(shared.exception(code)),
        code => Refused::ForGood(Exception::new(
            "org.apache.kafka.common.KafkaException",
            format!("Unexpected error in commit: {}", code.message()),
        )),
    }
}

/// What the group committed for these partitions; those without a commit are left out.
pub fn fetch(shared: &Shared, partitions: &[TopicPartition]) -> Result<Places, Refused> {
    let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
    for key in partitions {
        topics.entry(key.topic.clone()).or_default().push(key.partition);
    }
    let topic =
        |(name, partition_indexes)| OffsetFetchRequestTopic { name, partition_indexes, ..Default::default() };
    let request = OffsetFetchRequest {
        group_id: shared.group.id.clone(),
        topics: Some(topics.into_iter().map(topic).collect()),
        // Offsets of an open transaction are waited for (KIP-447).
        require_stable: true,
        ..Default::default()
    };
    let mut link = shared.lock();
    let response = shared.call(&mut link, &request).map_err(|_| Refused::ForNow)?;
    check_fetch(shared, &mut link, response.error_code)?;
    let mut places = Places::new();
    for topic in response.topics {
        for partition in topic.partitions {
            check_fetch(shared, &mut link, partition.error_code)?;
            if partition.committed_offset >= 0 {
                let key = TopicPartition { topic: topic.name.clone(), partition: partition.partition_index };
                let leader_epoch = Some(partition.committed_leader_epoch).filter(|epoch| *epoch >= 0);
                places.insert(key, Place { offset: partition.committed_offset, leader_epoch });
            }
        }
    }
    Ok(places)
}

fn check_fetch(shared: &Shared, link: &mut Link, code: i16) -> Result<(), Refused> {
    match ErrorCode::from_code(code) {
        ErrorCode::None => Ok(()),
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::UnstableOffsetCommit => Err(Refused::ForNow),
        ErrorCode::NotCoordinator | ErrorCode::CoordinatorNotAvailable => {
            link.forget_coordinator();
            Err(Refused::ForNow)
        }
        code @ ErrorCode::GroupAuthorizationFailed => Err(Refused::ForGood(shared.exception(code))),
        code => Err(Refused::ForGood(Exception::new(
            "org.apache.kafka.common.KafkaException",
            format!("Unexpected error in fetch offset response: {}", code.message()),
        ))),
    }
}

/// Of topics that may not be read.
pub fn unauthorized_topics(topics: &[String]) -> Exception {
    let message = format!("Not authorized to access topics: [{}]", topics.join(", "));
    Exception::of_error(ErrorCode::TopicAuthorizationFailed, Some(&message))
}

fn commit_failed() -> Exception {
    Exception::new(
        "org.apache.kafka.clients.consumer.CommitFailedException",
        "Offset commit cannot be completed since the consumer is not part of an active group for auto partition \
         assignment; it is likely that the consumer was kicked out of the group.",
    )
}
