//! `kafka-topics.sh --bootstrap-server`: every action is a call of the admin client.

use super::Failure;
use super::description::{PartitionDescription, Selection, TopicDescription};
use super::request::{Request, TopicWish, warn_of_collisions};
use crate::common::{BrokerId, ErrorCode};
use crate::config::properties::Properties;
use crate::protocol::messages::create_partitions::{CreatePartitionsAssignment, CreatePartitionsTopic};
use crate::protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateableTopicConfig,
};
use crate::protocol::messages::describe_configs::DescribeConfigsResourceResult;
use crate::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsTopics, OngoingPartitionReassignment,
};
use crate::protocol::messages::metadata::{MetadataResponsePartition, MetadataResponseTopic};
use crate::tools::client::Admin;
use crate::tools::exception::Exception;
use crate::tools::java::{hash_map_order, string_hash};
use crate::tools::load_properties;
use bytestring::ByteString;
use std::collections::HashMap;

/// `ConfigEntry.ConfigSource.DEFAULT_CONFIG` on the wire.
const DEFAULT_CONFIG: i8 = 5;

type Reassignments = HashMap<(ByteString, i32), OngoingPartitionReassignment>;

/// Runs the action.
pub fn run(request: &Request) -> Result<(), Failure> {
    let properties = match request.options.value("command-config").map_err(Failure::Start)? {
        Some(file) => load_properties(file).map_err(Failure::Start)?,
        None => Properties::new(),
    };
    let bootstrap = request.options.value("bootstrap-server").map_err(Failure::Start)?.unwrap_or_default();
    let mut admin = Admin::new(bootstrap, &properties).map_err(Failure::Start)?;
    let done = if request.has("create") {
        create(request, &mut admin)
    } else if request.has("alter") {
        alter(request, &mut admin)
    } else if request.has("list") {
        list(request, &mut admin)
    } else if request.has("describe") {
        describe(request, &mut admin)
    } else {
        delete(request, &mut admin)
    };
    done.map_err(Failure::Run)
}

fn topics(request: &Request, admin: &mut Admin) -> Result<Vec<ByteString>, Exception> {
    let all = admin.list_topics(!request.has("exclude-internal"))?;
    request.filter(all)
}

fn create(request: &Request, admin: &mut Admin) -> Result<(), Exception> {
    let wish = request.wish()?;
    warn_of_collisions(&wish.name);
    if wish.replication_factor.is_some_and(|factor| !(1..=i32::from(i16::MAX)).contains(&factor)) {
        let message = format!("The replication factor must be between 1 and {} inclusive", i16::MAX);
        return Err(Exception::illegal_argument(message));
    }
    if wish.partitions.is_some_and(|partitions| partitions < 1) {
        return Err(Exception::illegal_argument("The partitions must be greater than 0"));
    }
    match admin.create_topic(creatable(&wish)) {
        Ok(()) => out_line!("Created topic {}.", wish.name),
        Err(error) if error.is(ErrorCode::TopicAlreadyExists) && request.has("if-not-exists") => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// -1 leaves a count to the broker, and to the assignment if there is one.
fn creatable(wish: &TopicWish) -> CreatableTopic {
    let assignments =
        wish.assignment.iter().flatten().map(|(partition, replicas)| CreatableReplicaAssignment {
            partition_index: *partition,
            broker_ids: replicas.clone(),
            ..Default::default()
        });
    let configs = wish.configs.iter().map(|(name, value)| CreateableTopicConfig {
        name: name.as_str().into(),
        value: Some(value.as_str().into()),
        ..Default::default()
    });
    CreatableTopic {
        name: wish.name.as_str().into(),
        num_partitions: wish.partitions.unwrap_or(-1),
        replication_factor: wish.replication_factor.map_or(-1, |factor| factor as i16),
        assignments: assignments.collect(),
        configs: configs.collect(),
        ..Default::default()
    }
}

fn list(request: &Request, admin: &mut Admin) -> Result<(), Exception> {
    let names = topics(request, admin)?;
    out_line!("{}", names.iter().map(|name| &**name).collect::<Vec<_>>().join("\n"));
    Ok(())
}

fn alter(request: &Request, admin: &mut Admin) -> Result<(), Exception> {
    let wish = request.wish()?;
    let names = topics(request, admin)?;
    request.ensure_exists(&names)?;
    if names.is_empty() {
        return Ok(());
    }
    let count = wish.partitions.unwrap_or(-1);
    let mut altered = Vec::new();
    for name in names {
        let assignments = match &wish.assignment {
            None => None,
            Some(assignment) => {
                let existing = admin.describe_topics(std::slice::from_ref(&name))?;
                let existing = existing.first().map_or(0, |topic| topic.partitions.len());
                let added = assignment.values().skip(existing).map(|replicas| CreatePartitionsAssignment {
                    broker_ids: replicas.clone(),
                    ..Default::default()
                });
                Some(added.collect())
            }
        };
        altered.push(CreatePartitionsTopic { name, count, assignments, ..Default::default() });
    }
    admin.create_partitions(altered)
}

fn delete(request: &Request, admin: &mut Admin) -> Result<(), Exception> {
    let names = topics(request, admin)?;
    request.ensure_exists(&names)?;
    if names.is_empty() { Ok(()) } else { admin.delete_topics(&names) }
}

fn describe(request: &Request, admin: &mut Admin) -> Result<(), Exception> {
    let names = topics(request, admin)?;
    request.ensure_exists(&names)?;
    if names.is_empty() {
        return Ok(());
    }
    let mut configs = admin.describe_topic_configs(&names)?;
    let mut topics = admin.describe_topics(&names)?;
    topics.sort_by(|a, b| a.name.cmp(&b.name));
    let reassignments = reassignments(admin, &topics)?;
    let selection = Selection::new(request, admin.live_brokers());
    for topic in &mut topics {
        let configs = configs.remove(&topic.name).transpose()?.unwrap_or_default();
        show(&selection, topic, &configs, &reassignments);
    }
    Ok(())
}

fn reassignments(admin: &mut Admin, topics: &[MetadataResponseTopic]) -> Result<Reassignments, Exception> {
    let asked = topics.iter().map(|topic| ListPartitionReassignmentsTopics {
        name: topic.name.clone(),
        partition_indexes: topic.partitions.iter().map(|partition| partition.partition_index).collect(),
        ..Default::default()
    });
    let ongoing = admin.list_reassignments(asked.collect())?;
    let by_partition =
        |topic: crate::protocol::messages::list_partition_reassignments::OngoingTopicReassignment| {
            let name = topic.name;
            topic
                .partitions
                .into_iter()
                .map(move |partition| ((name.clone(), partition.partition_index), partition))
        };
    Ok(ongoing.into_iter().flat_map(by_partition).collect())
}

fn show(
    selection: &Selection<'_>,
    topic: &mut MetadataResponseTopic,
    configs: &[DescribeConfigsResourceResult],
    reassignments: &Reassignments,
) {
    topic.partitions.sort_by_key(|partition| partition.partition_index);
    let reassignment = |partition: &MetadataResponsePartition| {
        reassignments.get(&(topic.name.clone(), partition.partition_index))
    };
    let value = |config: &DescribeConfigsResourceResult| {
        (config.name.to_string(), config.value.as_deref().unwrap_or("null").to_string())
    };
    selection.show_topic(&TopicDescription {
        name: &topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.len(),
        replication_factor: topic
            .partitions
            .first()
            .map_or(0, |first| replication_factor(&first.replica_nodes, reassignment(first))),
        configs: hash_map_order(configs.iter().collect(), None, |config| string_hash(&config.name))
            .into_iter()
            .filter(|config| !config.is_default && config.config_source != DEFAULT_CONFIG)
            .map(value)
            .collect(),
        is_marked: false,
    });
    let min_isr = configs
        .iter()
        .find(|config| &*config.name == "min.insync.replicas")
        .and_then(|config| config.value.as_deref()?.parse().ok());
    for partition in &topic.partitions {
        let reassignment = reassignment(partition);
        selection.show_partition(&PartitionDescription {
            topic: &topic.name,
            partition: partition.partition_index,
            leader: Some(partition.leader_id).filter(|leader| *leader >= 0),
            replicas: partition.replica_nodes.clone(),
            isr: partition.isr_nodes.clone(),
            reassignment: reassignment.map(|r| (r.adding_replicas.clone(), r.removing_replicas.clone())),
            replication_factor: replication_factor(&partition.replica_nodes, reassignment),
            min_isr,
            is_marked: false,
        });
    }
}

/// The replicas that count: while a reassignment is under way, not those that it adds.
fn replication_factor(replicas: &[BrokerId], reassignment: Option<&OngoingPartitionReassignment>) -> usize {
    let Some(ongoing) = reassignment else { return replicas.len() };
    let is_changing =
        |id: &BrokerId| ongoing.adding_replicas.contains(id) || ongoing.removing_replicas.contains(id);
    if !replicas.iter().any(is_changing) {
        return replicas.len();
    }
    ongoing.replicas.iter().filter(|id| !ongoing.adding_replicas.contains(id)).count()
}
