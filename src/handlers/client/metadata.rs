//! Metadata, versions 0-11.
//!
//! Version 0 asks for all topics with an empty list, later ones with null. A topic that is not there is made
//! if the broker (`auto.create.topics.enable`) and, from version 4, the request allow it; the client hears
//! LEADER_NOT_AVAILABLE and asks again. Versions 10-11 carry topic ids, but only names may be asked for
//! (KIP-516 in 2.8).
//!
//! A broker that has just started knows nothing yet. Kafka then answers without brokers and topics, and a client
//! that has just seen its topic takes it for deleted; here the answer waits a little for the controller.

use crate::common::topic_name::is_internal;
use crate::common::{ErrorCode, clock};
use crate::handlers::dispatch::{Broker, Call, in_background};
use crate::handlers::operations;
use crate::metadata::{ClusterSnapshot, PartitionMetadata, TopicMetadata};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use bytestring::ByteString;
use std::sync::Arc;

/// From this version on a leader without the client's listener is LISTENER_NOT_FOUND.
const LISTENER_ERROR_VERSION_MIN: i16 = 6;
/// From this version on replicas that are down are listed all the same.
const ALL_REPLICAS_VERSION_MIN: i16 = 1;
const TOPIC_ID_VERSION_MIN: i16 = 10;

/// How long the first answers wait for the controller to tell this broker about the cluster.
const FIRST_UPDATE_WAIT_MS: i64 = 2_000;

/// What the client wants to hear of.
enum Wanted {
    All,
    Topics(Vec<ByteString>),
    /// A request that 2.8.2 refuses.
    Invalid(Vec<MetadataRequestTopic>),
}

/// Answers at once, unless topics must be made first, or nothing is known yet.
pub fn handle(broker: &Arc<Broker>, call: Call, request: MetadataRequest) -> Dispatch {
    if broker.metadata.is_known() {
        return answer(broker, call, request);
    }
    let broker = Arc::clone(broker);
    Dispatch::Pending(Box::pin(async move {
        let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(FIRST_UPDATE_WAIT_MS));
        let mut updates = broker.metadata.subscribe();
        let known = updates.wait_for(|version| *version > 0);
        // Late or not, the answer is what is known now.
        let _ = tokio::time::timeout_at(deadline, known).await.is_ok();
        match answer(&broker, call, request) {
            Dispatch::Done(outcome) => outcome,
            Dispatch::Pending(reply) => reply.await,
        }
    }))
}

fn answer(broker: &Arc<Broker>, call: Call, request: MetadataRequest) -> Dispatch {
    let cluster = broker.metadata.current();
    let allow_auto_create = request.allow_auto_topic_creation && broker.config.auto_create_topics_enable;
    let operations = Operations {
        cluster: request.include_cluster_authorized_operations,
        topics: request.include_topic_authorized_operations,
    };
    let names = match wanted(&call, request) {
        Wanted::All => {
            let topics = cluster.topics.iter().map(|(name, topic)| describe(&cluster, &call, name, topic));
            return reply(broker, &call, &cluster, topics.collect(), operations);
        }
        Wanted::Invalid(topics) => return Dispatch::reply(call.respond(&refused(topics))),
        Wanted::Topics(names) => names,
    };
    let (mut topics, mut missing) = (Vec::with_capacity(names.len()), Vec::new());
    for name in names {
        match cluster.topic(&name) {
            Some(topic) => topics.push(describe(&cluster, &call, &name, topic)),
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        return reply(broker, &call, &cluster, topics, operations);
    }
    if !allow_auto_create {
        topics.extend(missing.iter().map(|name| failed_topic(name, unknown_code(broker, name))));
        return reply(broker, &call, &cluster, topics, operations);
    }
    let background = Arc::clone(broker);
    in_background(broker, async move {
        for name in missing {
            // A name of its own: the request's frame need not wait for ZooKeeper.
            let code = background.auto_create(&call, &name).await;
            topics.push(failed_topic(&name, code));
        }
        let cluster = background.metadata.current();
        Outcome::Reply(call.respond(&response(&background, &call, &cluster, topics, operations)))
    })
}

fn wanted(call: &Call, request: MetadataRequest) -> Wanted {
    let Some(topics) = request.topics else { return Wanted::All };
    if call.version == 0 && topics.is_empty() {
        return Wanted::All;
    }
    let by_id = call.version >= TOPIC_ID_VERSION_MIN
        && topics.iter().any(|topic| topic.name.is_none() || !topic.topic_id.is_zero());
    if by_id {
        return Wanted::Invalid(topics);
    }
    let mut names: Vec<ByteString> = topics.into_iter().map(|topic| topic.name.unwrap_or_default()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Wanted::Topics(names)
}

/// Kafka's answer to a request that it refuses as a whole says nothing of the cluster.
fn refused(topics: Vec<MetadataRequestTopic>) -> MetadataResponse {
    let refuse = |topic: MetadataRequestTopic| MetadataResponseTopic {
        error_code: ErrorCode::InvalidRequest.code(),
        name: topic.name.unwrap_or_default(),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    MetadataResponse { topics: topics.into_iter().map(refuse).collect(), ..Default::default() }
}

/// Which operations the answer is to list (KIP-430).
#[derive(Clone, Copy)]
struct Operations {
    cluster: bool,
    topics: bool,
}

fn unknown_code(broker: &Broker, name: &str) -> ErrorCode {
    if broker.admin.is_valid_name(name) {
        ErrorCode::UnknownTopicOrPartition
    } else {
        ErrorCode::InvalidTopicException
    }
}

fn reply(
    broker: &Broker,
    call: &Call,
    cluster: &ClusterSnapshot,
    topics: Vec<MetadataResponseTopic>,
    operations: Operations,
) -> Dispatch {
    Dispatch::reply(call.respond(&response(broker, call, cluster, topics, operations)))
}

fn response(
    broker: &Broker,
    call: &Call,
    cluster: &ClusterSnapshot,
    mut topics: Vec<MetadataResponseTopic>,
    asked: Operations,
) -> MetadataResponse {
    if asked.topics {
        topics.iter_mut().for_each(|topic| topic.topic_authorized_operations = operations::TOPIC);
    }
    let brokers = cluster.brokers.values().filter_map(|node| {
        let endpoint = node.endpoint(&call.connection.listener)?;
        Some(MetadataResponseBroker {
            node_id: node.id,
            host: endpoint.host.clone(),
            port: endpoint.port,
            rack: node.rack.clone(),
            ..Default::default()
        })
    });
    let none = MetadataResponse::default().cluster_authorized_operations;
    MetadataResponse {
        cluster_authorized_operations: if asked.cluster { operations::CLUSTER } else { none },
        brokers: brokers.collect(),
        cluster_id: Some(broker.cluster_id.clone()),
        controller_id: cluster.controller_id.unwrap_or(-1),
        topics,
        ..Default::default()
    }
}

fn failed_topic(name: &ByteString, code: ErrorCode) -> MetadataResponseTopic {
    let is_internal = is_internal(name);
    MetadataResponseTopic { error_code: code.code(), name: name.clone(), is_internal, ..Default::default() }
}

fn describe(
    cluster: &ClusterSnapshot,
    call: &Call,
    name: &ByteString,
    topic: &TopicMetadata,
) -> MetadataResponseTopic {
    let partitions =
        topic.partitions.iter().map(|(index, state)| describe_partition(cluster, call, *index, state));
    MetadataResponseTopic {
        name: name.clone(),
        topic_id: topic.topic_id,
        is_internal: is_internal(name),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

/// Source of the rules: Kafka 2.8.2 `MetadataCache.getPartitionMetadata`.
fn describe_partition(
    cluster: &ClusterSnapshot,
    call: &Call,
    partition_index: i32,
    state: &PartitionMetadata,
) -> MetadataResponsePartition {
    let listener = &*call.connection.listener;
    let reachable = |id: &i32| cluster.brokers.get(id).is_some_and(|node| node.endpoint(listener).is_some());
    let alive = |ids: &[i32]| ids.iter().copied().filter(|id| reachable(id)).collect::<Vec<_>>();
    let lists_all = call.version >= ALL_REPLICAS_VERSION_MIN;
    let (replica_nodes, isr_nodes) = if lists_all {
        (state.replicas.clone(), state.in_sync_replicas.clone())
    } else {
        (alive(&state.replicas), alive(&state.in_sync_replicas))
    };
    let offline = |id: &i32| !reachable(id) || state.offline_replicas.contains(id);
    let error = if !reachable(&state.leader) {
        if cluster.brokers.contains_key(&state.leader) && call.version >= LISTENER_ERROR_VERSION_MIN {
            ErrorCode::ListenerNotFound
        } else {
            ErrorCode::LeaderNotAvailable
        }
    } else if replica_nodes.len() < state.replicas.len() || isr_nodes.len() < state.in_sync_replicas.len() {
        ErrorCode::ReplicaNotAvailable
    } else {
        ErrorCode::None
    };
    MetadataResponsePartition {
        error_code: error.code(),
        partition_index,
        leader_id: if reachable(&state.leader) { state.leader } else { -1 },
        leader_epoch: state.leader_epoch,
        replica_nodes,
        isr_nodes,
        offline_replicas: state.replicas.iter().copied().filter(offline).collect(),
        ..Default::default()
    }
}
