//! ElectLeaders, versions 0-2, on the controller: preferred leaders, or any that live (KIP-183, KIP-460).
//!
//! Answers when this broker's metadata shows the new leaders, as Kafka does. Asked for all partitions, it leaves out
//! those that need no election.

use super::wait_until;
use crate::common::{ErrorCode, TopicPartition};
use crate::controller::ElectionKind;
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

type Results = Vec<(TopicPartition, Result<(), ErrorCode>)>;

/// Elects.
pub async fn handle(broker: Arc<Broker>, request: ElectLeadersRequest) -> ElectLeadersResponse {
    let kind = match request.election_type {
        0 => ElectionKind::Preferred,
        1 => ElectionKind::Unclean,
        _ => {
            let code = ErrorCode::UnknownServerError;
            let refused = named(&request).into_iter().map(|tp| (tp, Err(code))).collect();
            return ElectLeadersResponse { error_code: code.code(), ..response(refused, None) };
        }
    };
    let is_about_all = request.topic_partitions.is_none();
    let partitions = if is_about_all { all(&broker) } else { named(&request) };
    let mut results = elect(&broker, partitions, kind, request.timeout_ms).await;
    if is_about_all {
        results.retain(|(_, result)| *result != Err(ErrorCode::ElectionNotNeeded));
    }
    response(results, Some(kind))
}

fn named(request: &ElectLeadersRequest) -> Vec<TopicPartition> {
    let topics = request.topic_partitions.iter().flatten();
    let partitions = topics.flat_map(|topic| {
        // The name outlives the request's frame.
        let name = ByteString::from(&*topic.topic);
        topic.partition_id.iter().map(move |id| TopicPartition::new(name.clone(), *id))
    });
    partitions.collect()
}

fn all(broker: &Broker) -> Vec<TopicPartition> {
    let cluster = broker.metadata.current();
    let partitions = cluster.topics.iter().flat_map(|(name, topic)| {
        topic.partitions.keys().map(|partition| TopicPartition::new(name.clone(), *partition))
    });
    partitions.collect()
}

async fn elect(
    broker: &Broker,
    partitions: Vec<TopicPartition>,
    kind: ElectionKind,
    timeout_ms: i32,
) -> Results {
    let answer = match broker.controller.get() {
        Some(controller) => controller.elect_leaders(partitions.clone(), kind).await,
        None => Err(ErrorCode::NotController),
    };
    let elected = match answer {
        Ok(elected) => elected,
        Err(code) => return partitions.into_iter().map(|tp| (tp, Err(code))).collect(),
    };
    let has_leader = |cluster: &crate::metadata::ClusterSnapshot, tp: &TopicPartition, leader: i32| {
        cluster.partition(&tp.topic, tp.partition).is_some_and(|found| found.leader == leader)
    };
    let shown = wait_until(&broker.metadata, timeout_ms, |cluster| {
        elected.iter().all(|(tp, result)| match result {
            Ok(leader) => has_leader(cluster, tp, *leader),
            Err(_) => true,
        })
    });
    shown.await;
    let cluster = broker.metadata.current();
    let settle = |(tp, result): (TopicPartition, Result<i32, ErrorCode>)| {
        let result = match result {
            Ok(leader) if has_leader(&cluster, &tp, leader) => Ok(()),
            Ok(_) => Err(ErrorCode::RequestTimedOut),
            Err(code) => Err(code),
        };
        (tp, result)
    };
    elected.into_iter().map(settle).collect()
}

/// Kafka's words, for the codes that it gives some.
fn message(tp: &TopicPartition, code: ErrorCode, kind: Option<ElectionKind>) -> Option<ByteString> {
    let strategy = match kind {
        Some(ElectionKind::Preferred) => "PreferredReplicaPartitionLeaderElectionStrategy",
        _ => "OfflinePartitionLeaderElectionStrategy(true)",
    };
    let text = match code {
        ErrorCode::ElectionNotNeeded => code.message(),
        ErrorCode::InvalidTopicException => "The topic is being deleted",
        ErrorCode::UnknownTopicOrPartition => "The partition does not exist.",
        ErrorCode::PreferredLeaderNotAvailable | ErrorCode::EligibleLeadersNotAvailable => {
            return Some(
                format!("Failed to elect leader for partition {tp} under strategy {strategy}").into(),
            );
        }
        _ => return None,
    };
    Some(ByteString::from_static(text))
}

fn response(results: Results, kind: Option<ElectionKind>) -> ElectLeadersResponse {
    let mut topics: BTreeMap<ByteString, Vec<PartitionResult>> = BTreeMap::new();
    for (tp, result) in results {
        let code = result.err().unwrap_or(ErrorCode::None);
        let error_message = message(&tp, code, kind);
        topics.entry(tp.topic).or_default().push(PartitionResult {
            partition_id: tp.partition,
            error_code: code.code(),
            error_message,
            ..Default::default()
        });
    }
    let result =
        |(topic, partition_result)| ReplicaElectionResult { topic, partition_result, ..Default::default() };
    ElectLeadersResponse {
        replica_election_results: topics.into_iter().map(result).collect(),
        ..Default::default()
    }
}
