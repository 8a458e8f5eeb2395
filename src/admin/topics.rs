//! What a new topic and new partitions may be. Pure.
//!
//! Source: Kafka 2.8.2, `kafka.server.ZkAdminManager` and `kafka.zk.AdminZkClient`; the order of the checks decides
//! which error a client sees, and is Kafka's.

use super::AdminError;
use crate::common::{BrokerId, ErrorCode, topic_name};
use crate::config::{BrokerConfig, Settings, validate_topic_overrides};
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::create_partitions::CreatePartitionsTopic;
use crate::protocol::messages::create_topics::{CreatableTopic, CreateableTopicConfig};
use crate::zk::data::TopicAssignment;
use crate::zk::replica_placement::{Assignment, BrokerRack, Start, assign, assign_added, has_duplicates};
use bytestring::ByteString;

/// "The broker's default", for partitions and replicas of a new topic.
const DEFAULT: i32 = -1;

/// A topic to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Its replicas.
    pub assignment: Assignment,
    /// Its own settings.
    pub settings: Settings,
}

/// Live brokers with their racks, by id.
pub fn brokers(cluster: &ClusterSnapshot) -> Vec<BrokerRack> {
    let rack = |rack: &ByteString| rack.to_string();
    cluster.brokers.values().map(|b| BrokerRack { id: b.id, rack: b.rack.as_ref().map(rack) }).collect()
}

/// Places the replicas of a topic. `exists`: the broker knows a topic of this name.
pub fn plan(
    topic: &CreatableTopic,
    exists: bool,
    brokers: &[BrokerRack],
    config: &BrokerConfig,
) -> Result<TopicPlan, AdminError> {
    if exists {
        return Err(already_exists(&topic.name));
    }
    let nulls: Vec<&str> = topic.configs.iter().filter(|c| c.value.is_none()).map(|c| &*c.name).collect();
    if !nulls.is_empty() {
        let names = nulls.join(",");
        return Err(AdminError::invalid_request(format!(
            "Null value not supported for topic configs : {names}"
        )));
    }
    let has_counts = topic.num_partitions != DEFAULT || i32::from(topic.replication_factor) != DEFAULT;
    if has_counts && !topic.assignments.is_empty() {
        return Err(AdminError::invalid_request(
            "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the \
             same time.",
        ));
    }
    let assignment = if topic.assignments.is_empty() {
        let or_default = |given: i32, default: i32| if given == DEFAULT { default } else { given };
        let partitions = or_default(topic.num_partitions, config.num_partitions);
        let replicas = or_default(i32::from(topic.replication_factor), config.default_replication_factor);
        assign(brokers, partitions, replicas, Start::Random, -1)?
    } else {
        topic.assignments.iter().map(|a| (a.partition_index, a.broker_ids.clone())).collect()
    };
    let text = |c: &CreateableTopicConfig| c.value.as_ref().map(|v| (c.name.to_string(), v.to_string()));
    let settings = topic.configs.iter().filter_map(text).collect();
    Ok(TopicPlan { name: topic.name.to_string(), assignment, settings })
}

/// TOPIC_ALREADY_EXISTS.
pub fn already_exists(name: &str) -> AdminError {
    AdminError::new(ErrorCode::TopicAlreadyExists, format!("Topic '{name}' already exists."))
}

/// INVALID_TOPIC_EXCEPTION for an illegal name.
pub fn validate_name(name: &str) -> Result<(), AdminError> {
    topic_name::validate(name).map_err(|why| AdminError::new(ErrorCode::InvalidTopicException, why))
}

/// INVALID_TOPIC_EXCEPTION for a name whose metrics would be those of another topic.
pub fn validate_no_collision<'a>(
    name: &str,
    all: impl IntoIterator<Item = &'a str>,
) -> Result<(), AdminError> {
    let mut colliding: Vec<&str> = all.into_iter().filter(|other| topic_name::collide(name, other)).collect();
    colliding.sort_unstable();
    if colliding.contains(&name) {
        return Err(already_exists(name));
    }
    if colliding.is_empty() {
        return Ok(());
    }
    let message = format!("Topic '{name}' collides with existing topics: {}", colliding.join(", "));
    Err(AdminError::new(ErrorCode::InvalidTopicException, message))
}

/// Checks replicas that a client chose, then the settings. Brokers need not be alive or known, as in Kafka.
pub fn validate(plan: &TopicPlan) -> Result<(), AdminError> {
    let invalid = |message: &str| Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut counts = plan.assignment.values().map(Vec::len);
    let count = counts.next().unwrap_or(0);
    // Kafka lets a topic through whose partitions all have no replica; nothing could ever be done with it.
    if count == 0 || counts.any(|other| other != count) {
        return invalid("All partitions should have the same number of replicas");
    }
    if plan.assignment.values().any(|replicas| has_duplicates(replicas)) {
        let shown = |(p, replicas): (&i32, &Vec<BrokerId>)| format!("{p} -> ArrayBuffer({})", join(replicas));
        let all: Vec<String> = plan.assignment.iter().map(shown).collect();
        return invalid(&format!("Duplicate replica assignment found: HashMap({})", all.join(", ")));
    }
    if plan.assignment.keys().zip(0..).any(|(partition, expected)| *partition != expected) {
        return invalid("partitions should be a consecutive 0-based integer sequence");
    }
    validate_topic_overrides(plan.settings.iter().map(|(key, text)| (key.as_str(), text.as_str())))?;
    Ok(())
}

/// Replicas of the partitions that a topic shall get.
pub fn plan_partitions(
    request: &CreatePartitionsTopic,
    existing: Option<&TopicAssignment>,
    brokers: &[BrokerRack],
) -> Result<Assignment, AdminError> {
    let name = &*request.name;
    let absent =
        || AdminError::new(ErrorCode::UnknownTopicOrPartition, format!("The topic '{name}' does not exist."));
    let existing = existing.filter(|topic| !topic.partitions.is_empty()).ok_or_else(absent)?;
    if existing.partitions.values().any(|partition| partition.is_being_reassigned()) {
        let message = format!("A partition reassignment is in progress for the topic '{name}'.");
        return Err(AdminError::new(ErrorCode::ReassignmentInProgress, message));
    }
    let (old, new) = (existing.partitions.len() as i32, request.count);
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidPartitions, message));
    if new < old {
        return invalid(format!(
            "Topic currently has {old} partitions, which is higher than the requested {new}."
        ));
    }
    if new == old {
        return invalid(format!("Topic already has {old} partitions."));
    }
    let manual = match &request.assignments {
        Some(lists) => Some(manual_partitions(
            lists.iter().map(|list| &list.broker_ids[..]).collect(),
            old,
            new,
            brokers,
        )?),
        None => None,
    };
    let replicas =
        existing.partitions.iter().map(|(p, partition)| (*p, partition.replicas.clone())).collect();
    Ok(assign_added(name, &replicas, brokers, new, manual.as_ref())?)
}

fn manual_partitions(
    lists: Vec<&[BrokerId]>,
    old: i32,
    new: i32,
    brokers: &[BrokerRack],
) -> Result<Assignment, AdminError> {
    let invalid = |message: String| Err(AdminError::new(ErrorCode::InvalidReplicaAssignment, message));
    let mut unknown: Vec<BrokerId> = Vec::new();
    for id in lists.iter().copied().flatten() {
        if !brokers.iter().any(|broker| broker.id == *id) && !unknown.contains(id) {
            unknown.push(*id);
        }
    }
    if !unknown.is_empty() {
        return invalid(format!("Unknown broker(s) in replica assignment: {}.", join(&unknown)));
    }
    if lists.len() as i64 != i64::from(new) - i64::from(old) {
        return invalid(format!(
            "Increasing the number of partitions by {} but {} assignments provided.",
            new - old,
            lists.len()
        ));
    }
    Ok((old..new).zip(lists).map(|(partition, replicas)| (partition, replicas.to_vec())).collect())
}

/// The topic that the broker makes by itself when a client asks for `name`: its defaults, or what the cluster's own
/// topics need.
pub fn default_topic(name: &str, config: &BrokerConfig) -> CreatableTopic {
    let (partitions, replication_factor, settings) = match name {
        topic_name::GROUP_METADATA_TOPIC => (
            config.offsets_topic_num_partitions,
            config.offsets_topic_replication_factor,
            vec![
                ("cleanup.policy", "compact".to_string()),
                ("compression.type", "producer".to_string()),
                ("segment.bytes", config.offsets_topic_segment_bytes.to_string()),
            ],
        ),
        topic_name::TRANSACTION_STATE_TOPIC => (
            config.transaction_state_log_num_partitions,
            config.transaction_state_log_replication_factor,
            vec![
                ("cleanup.policy", "compact".to_string()),
                ("compression.type", "uncompressed".to_string()),
                ("min.insync.replicas", config.transaction_state_log_min_isr.to_string()),
                ("segment.bytes", config.transaction_state_log_segment_bytes.to_string()),
                ("unclean.leader.election.enable", "false".to_string()),
            ],
        ),
        _ => (DEFAULT, DEFAULT as i16, Vec::new()),
    };
    let config = |(name, value): (&'static str, String)| CreateableTopicConfig {
        name: ByteString::from_static(name),
        value: Some(ByteString::from(value)),
        ..Default::default()
    };
    CreatableTopic {
        name: ByteString::from(name),
        num_partitions: partitions,
        replication_factor,
        configs: settings.into_iter().map(config).collect(),
        ..Default::default()
    }
}

fn join(ids: &[BrokerId]) -> String {
    ids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
