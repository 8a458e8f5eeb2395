//! `kafka-topics.sh --zookeeper`: reads and writes the znodes itself, no broker needed.
//!
//! One question must not cost more than a few round trips: what does not depend on each other is asked at
//! once.

use super::Failure;
use super::description::{PartitionDescription, Selection, TopicDescription};
use super::request::{Request, warn_of_collisions};
use crate::common::{ErrorCode, topic_name};
use crate::config::validate_topic_overrides;
use crate::tools::Shape;
use crate::tools::exception::Exception;
use crate::tools::zookeeper::{self, exception_of};
use crate::zk::data::{PartitionState, TopicAssignment};
use crate::zk::replica_placement::{Assignment, Start, assign};
use crate::zk::topic_admin::{self, Configs, TopicAdminError};
use crate::zk::{Stat, ZkClient, ZkError, paths};
use std::collections::BTreeSet;

/// Runs the action.
pub fn run(request: &Request) -> Result<(), Failure> {
    let connect = request.options.value("zookeeper").map_err(Failure::Start)?.unwrap_or_default();
    let done = zookeeper::with_client(connect, async |zk| act(request, &zk).await);
    done.map_err(Failure::Start)?.map_err(Failure::Run)
}

async fn act(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    if request.has("create") {
        create(request, zk).await
    } else if request.has("alter") {
        alter(request, zk).await
    } else if request.has("list") {
        list(request, zk).await
    } else if request.has("describe") {
        describe(request, zk).await
    } else {
        delete(request, zk).await
    }
}

impl From<TopicAdminError> for Exception {
    fn from(error: TopicAdminError) -> Exception {
        match error {
            TopicAdminError::Refused { code: ErrorCode::UnknownServerError, message } => {
                Exception::new("kafka.admin.AdminOperationException", message)
            }
            TopicAdminError::Refused { code, message } => Exception::of_error(code, Some(&message)),
            TopicAdminError::Zk(error) => exception_of(&error),
        }
    }
}

async fn selected(request: &Request, zk: &ZkClient) -> Result<Vec<String>, Exception> {
    let names = request.filter(topic_admin::all_topics(zk).await?)?;
    request.ensure_exists(&names)?;
    Ok(names)
}

async fn create(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    let wish = request.wish()?;
    warn_of_collisions(&wish.name);
    let assignment = match wish.assignment {
        Some(assignment) => assignment,
        None => {
            let brokers = topic_admin::live_brokers(zk).await?;
            let brokers = if request.has("disable-rack-aware") {
                topic_admin::without_racks(brokers)
            } else {
                topic_admin::with_racks(brokers)?
            };
            let (partitions, factor) = (wish.partitions.unwrap_or(0), wish.replication_factor.unwrap_or(0));
            assign(&brokers, partitions, factor, Start::Random, 0).map_err(TopicAdminError::from)?
        }
    };
    let configs: Configs = wish.configs.into_iter().collect();
    let created = match topic_admin::validate_create(zk, &wish.name, &assignment).await {
        Ok(()) => topic_admin::create(zk, &wish.name, assignment, &configs, None).await,
        refused => refused,
    };
    match (created, request.shape) {
        (Ok(()), Shape::V1_1_1) => out_line!("Created topic \"{}\".", wish.name),
        (Ok(()), Shape::V2_8_2) => out_line!("Created topic {}.", wish.name),
        (Err(TopicAdminError::Refused { code: ErrorCode::TopicAlreadyExists, .. }), _)
            if request.has("if-not-exists") => {}
        (Err(error), _) => return Err(error.into()),
    }
    Ok(())
}

async fn list(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    let (all, marked) = tokio::join!(topic_admin::all_topics(zk), topic_admin::topics_to_delete(zk));
    let marked = marked?;
    for name in request.filter(all?)? {
        let mark = if marked.contains(&name) { " - marked for deletion" } else { "" };
        out_line!("{name}{mark}");
    }
    Ok(())
}

async fn alter(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    let names = selected(request, zk).await?;
    let wish = request.wish()?;
    let removed: Vec<&str> = request.options.values("delete-config").into_iter().map(str::trim).collect();
    super::check_config_names(&removed)?;
    for name in names {
        if request.has("config") || request.has("delete-config") {
            change_configs(request, zk, &name, &wish.configs, &removed).await?;
        }
        if let Some(total) = wish.partitions {
            add_partitions(request, zk, &name, total, wish.assignment.as_ref()).await?;
        }
    }
    Ok(())
}

async fn change_configs(
    request: &Request,
    zk: &ZkClient,
    topic: &str,
    added: &[(String, String)],
    removed: &[&str],
) -> Result<(), Exception> {
    out_line!(
        "WARNING: Altering topic configuration from this script has been deprecated and may be removed in \
         future releases."
    );
    out_line!("         Going forward, please use kafka-configs.sh for this functionality");
    let mut configs = topic_admin::read_configs(zk, &[topic.to_string()]).await?.pop().unwrap_or_default();
    configs.extend(added.iter().cloned());
    configs.retain(|key, _| !removed.contains(&key.as_str()));
    validate_topic_overrides(configs.iter().map(|(k, v)| (k.as_str(), v.as_str())))
        .map_err(super::config_exception)?;
    topic_admin::change_configs(zk, topic, &configs).await?;
    match request.shape {
        Shape::V1_1_1 => out_line!("Updated config for topic \"{topic}\"."),
        Shape::V2_8_2 => out_line!("Updated config for topic {topic}."),
    }
    Ok(())
}

async fn add_partitions(
    request: &Request,
    zk: &ZkClient,
    topic: &str,
    total: i32,
    assignment: Option<&Assignment>,
) -> Result<(), Exception> {
    let refused = match request.shape {
        Shape::V1_1_1 if topic == topic_name::GROUP_METADATA_TOPIC => {
            Some("The number of partitions for the offsets topic cannot be changed.".to_string())
        }
        Shape::V2_8_2 if topic_name::is_internal(topic) => {
            Some(format!("The number of partitions for the internal topic {topic} cannot be changed."))
        }
        _ => None,
    };
    if let Some(message) = refused {
        return Err(Exception::illegal_argument(message));
    }
    out_line!(
        "WARNING: If partitions are increased for a topic that has a key, the partition logic or ordering of \
         the messages will be affected"
    );
    let name = [topic.to_string()];
    let (brokers, existing) =
        tokio::join!(topic_admin::live_brokers(zk), topic_admin::read_topics(zk, &name));
    let existing = existing?.pop().flatten().map_or(0, |(node, _)| node.partitions.len());
    let brokers = topic_admin::with_racks(brokers?)?;
    // The list names the partitions from 0 on; only what goes beyond the existing ones counts.
    let manual: Option<Assignment> =
        assignment.map(|all| all.iter().skip(existing).map(|(p, replicas)| (*p, replicas.clone())).collect());
    let manual = manual.filter(|manual| !manual.is_empty());
    topic_admin::add_partitions(zk, topic, &brokers, total, manual.as_ref()).await?;
    out_line!("Adding partitions succeeded!");
    Ok(())
}

async fn delete(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    for topic in selected(request, zk).await? {
        if topic_name::is_internal(&topic) {
            return Err(Exception::new(
                "kafka.admin.AdminOperationException",
                format!(
                    "Topic {topic} is a kafka internal topic and is not allowed to be marked for deletion."
                ),
            ));
        }
        match topic_admin::mark_for_deletion(zk, &topic).await {
            Ok(true) => {
                out_line!("Topic {topic} is marked for deletion.");
                out_line!("Note: This will have no impact if delete.topic.enable is not set to true.");
            }
            Ok(false) => out_line!("Topic {topic} is already marked for deletion."),
            Err(error) => {
                let class = "kafka.admin.AdminOperationException";
                return Err(Exception::new(class, format!("Error while deleting topic {topic}"))
                    .caused_by(exception_of(&error)));
            }
        }
    }
    Ok(())
}

async fn describe(request: &Request, zk: &ZkClient) -> Result<(), Exception> {
    let (all, live, marked) = tokio::join!(
        topic_admin::all_topics(zk),
        zk.children(paths::BROKER_IDS),
        topic_admin::topics_to_delete(zk)
    );
    let names = request.filter(all?)?;
    request.ensure_exists(&names)?;
    let live = live?.iter().filter_map(|id| id.parse().ok()).collect();
    let selection = Selection::new(request, live);
    let (topics, configs) =
        tokio::join!(topic_admin::read_topics(zk, &names), topic_admin::read_configs(zk, &names));
    let topics = topics?;
    let mut states = if selection.with_partitions { states(zk, &names, &topics).await? } else { Vec::new() };
    states.reverse();
    let marked = marked?;
    for ((name, topic), configs) in names.iter().zip(&topics).zip(configs?) {
        match topic {
            None => out_line!("Topic {name} doesn't exist!"),
            Some((topic, _)) => show(&selection, name, topic, configs, &mut states, &marked),
        }
    }
    Ok(())
}

/// The state of every partition of every topic, in order; a partition may have none yet.
async fn states(
    zk: &ZkClient,
    names: &[String],
    topics: &[Option<(TopicAssignment, Stat)>],
) -> Result<Vec<Option<PartitionState>>, ZkError> {
    let mut all = Vec::new();
    for (name, topic) in names.iter().zip(topics) {
        let partitions = topic.iter().flat_map(|(topic, _)| topic.partitions.keys());
        all.extend(partitions.map(|partition| paths::partition_state(name, *partition)));
    }
    let nodes = zk.get_many(all).await?;
    // A state that cannot be read is shown as none, like one that is not there.
    Ok(nodes.into_iter().map(|node| PartitionState::decode(&node?.0).ok()).collect())
}

fn show(
    selection: &Selection<'_>,
    name: &str,
    topic: &TopicAssignment,
    configs: Configs,
    states: &mut Vec<Option<PartitionState>>,
    marked: &BTreeSet<String>,
) {
    let is_marked = marked.contains(name);
    selection.show_topic(&TopicDescription {
        name,
        topic_id: topic.topic_id.unwrap_or_default(),
        partitions: topic.partitions.len(),
        replication_factor: topic.partitions.values().next().map_or(0, |all| all.replicas.len()),
        configs: configs.into_iter().collect(),
        is_marked,
    });
    if !selection.with_partitions {
        return;
    }
    for (partition, all) in &topic.partitions {
        let state = states.pop().flatten();
        selection.show_partition(&PartitionDescription {
            topic: name,
            partition: *partition,
            leader: state
                .as_ref()
                .map(|state| state.leader)
                .filter(|leader| *leader >= 0 || selection.shows_no_leader_as_number()),
            replicas: all.replicas.clone(),
            isr: state.map_or_else(Vec::new, |state| state.isr),
            reassignment: None,
            replication_factor: all.replicas.len(),
            min_isr: None,
            is_marked,
        });
    }
}
