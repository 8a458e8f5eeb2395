//! Topics as an administrator changes them: checks and znode writes that the command line tools and the
//! admin APIs share.
//!
//! A topic is created by two writes, `/config/topics/T` first and then `/brokers/topics/T`: the controller
//! acts on the second and must find the first. Source: Kafka 2.8.2, `kafka.zk.AdminZkClient`.

use super::data::{BrokerRegistration, DataError, TopicAssignment, config_change, config_entity};
use super::replica_placement::{Assignment, BrokerRack, PlacementError, assign_added, has_duplicates};
use super::{ANY_VERSION, CreateMode, Stat, ZkClient, ZkError, data, paths};
use crate::common::{BrokerId, ErrorCode, Uuid, topic_name};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Settings of a topic.
pub type Configs = BTreeMap<String, String>;

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicAdminError {
    /// The change is refused, with the code and the message of an answer. `UNKNOWN_SERVER_ERROR` is Kafka's
    /// `AdminOperationException`.
    Refused {
        /// The code.
        code: ErrorCode,
        /// The message.
        message: String,
    },
    /// ZooKeeper failed.
    Zk(ZkError),
}

impl TopicAdminError {
    fn new(code: ErrorCode, message: impl Into<String>) -> TopicAdminError {
        TopicAdminError::Refused { code, message: message.into() }
    }
}

impl fmt::Display for TopicAdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicAdminError::Refused { message, .. } => f.write_str(message),
            TopicAdminError::Zk(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for TopicAdminError {}

impl From<ZkError> for TopicAdminError {
    fn from(error: ZkError) -> TopicAdminError {
        TopicAdminError::Zk(error)
    }
}

impl From<PlacementError> for TopicAdminError {
    fn from(error: PlacementError) -> TopicAdminError {
        TopicAdminError::Refused { code: error.code, message: error.message }
    }
}

/// Names of all topics, sorted.
pub async fn all_topics(zk: &ZkClient) -> Result<Vec<String>, ZkError> {
    let mut names = zk.children(paths::TOPICS).await?;
    names.sort_unstable();
    Ok(names)
}

/// Names of the topics that are to be deleted.
pub async fn topics_to_delete(zk: &ZkClient) -> Result<BTreeSet<String>, ZkError> {
    Ok(zk.children(paths::DELETE_TOPICS).await?.into_iter().collect())
}

/// What is known of each topic, in the order of `names`; `None` for one that does not exist.
pub async fn read_topics(
    zk: &ZkClient,
    names: &[String],
) -> Result<Vec<Option<(TopicAssignment, Stat)>>, ZkError> {
    let nodes = zk.get_many(names.iter().map(|name| paths::topic(name)).collect()).await?;
    let decode =
        |(data, stat): (Bytes, Stat)| Ok((TopicAssignment::decode(&data).map_err(unreadable)?, stat));
    nodes.into_iter().map(|node| node.map(decode).transpose()).collect()
}

/// The settings of each topic, in the order of `names`; none for a topic without a node of its own.
pub async fn read_configs(zk: &ZkClient, names: &[String]) -> Result<Vec<Configs>, ZkError> {
    let path = |name: &String| paths::config_entity("topics", name);
    let nodes = zk.get_many(names.iter().map(path).collect()).await?;
    let decode = |(data, _): (Bytes, Stat)| config_entity::decode(&data).map_err(unreadable);
    nodes.into_iter().map(|node| node.map_or(Ok(Configs::new()), decode)).collect()
}

fn unreadable(error: DataError) -> ZkError {
    ZkError::Unexpected(error.to_string())
}

/// The live brokers, sorted by id.
pub async fn live_brokers(zk: &ZkClient) -> Result<Vec<BrokerRack>, ZkError> {
    let names = zk.children(paths::BROKER_IDS).await?;
    let mut ids: Vec<BrokerId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort_unstable();
    let nodes = zk.get_many(ids.iter().map(|id| paths::broker(*id)).collect()).await?;
    let mut brokers = Vec::new();
    for (id, node) in ids.into_iter().zip(nodes) {
        // A broker may go between the two questions.
        if let Some((data, _)) = node {
            let rack = BrokerRegistration::decode(&data).map_err(unreadable)?.rack;
            brokers.push(BrokerRack { id, rack });
        }
    }
    Ok(brokers)
}

/// Brokers for a placement by racks; refused if only some of them have one.
pub fn with_racks(brokers: Vec<BrokerRack>) -> Result<Vec<BrokerRack>, TopicAdminError> {
    let racks = brokers.iter().filter(|broker| broker.rack.is_some()).count();
    if racks > 0 && racks < brokers.len() {
        return Err(TopicAdminError::new(
            ErrorCode::UnknownServerError,
            "Not all brokers have rack information. Add --disable-rack-aware in command line to make replica \
             assignment without rack information.",
        ));
    }
    Ok(brokers)
}

/// The same brokers, racks forgotten.
pub fn without_racks(brokers: Vec<BrokerRack>) -> Vec<BrokerRack> {
    brokers.into_iter().map(|broker| BrokerRack { rack: None, ..broker }).collect()
}

/// Refuses a topic that cannot be created: illegal name, existing, colliding with another one's metric name, bad
/// assignment. Settings are the caller's to check (`config::validate_topic_overrides`).
pub async fn validate_create(
    zk: &ZkClient,
    topic: &str,
    assignment: &Assignment,
) -> Result<(), TopicAdminError> {
    let invalid = ErrorCode::InvalidTopicException;
    topic_name::validate(topic).map_err(|message| TopicAdminError::new(invalid, message))?;
    if topic_name::has_collision_chars(topic) {
        let all = all_topics(zk).await?;
        if all.iter().any(|other| other == topic) {
            return Err(exists(topic));
        }
        let colliding: Vec<&str> =
            all.iter().filter(|other| topic_name::collide(other, topic)).map(String::as_str).collect();
        if !colliding.is_empty() {
            let message = format!("Topic '{topic}' collides with existing topics: {}", colliding.join(", "));
            return Err(TopicAdminError::new(invalid, message));
        }
    } else if zk.exists(&paths::topic(topic)).await?.is_some() {
        return Err(exists(topic));
    }
    validate_assignment(assignment)
}

fn exists(topic: &str) -> TopicAdminError {
    TopicAdminError::new(ErrorCode::TopicAlreadyExists, format!("Topic '{topic}' already exists."))
}

/// Refuses partitions that are not numbered from 0 on, unequal replica counts and repeated replicas.
pub fn validate_assignment(assignment: &Assignment) -> Result<(), TopicAdminError> {
    let invalid = |message: &str| Err(TopicAdminError::new(ErrorCode::InvalidReplicaAssignment, message));
    let counts: BTreeSet<usize> = assignment.values().map(Vec::len).collect();
    if counts.len() != 1 {
        return invalid("All partitions should have the same number of replicas");
    }
    if assignment.values().any(|replicas| has_duplicates(replicas)) {
        let entry = |(partition, replicas): (&i32, &Vec<i32>)| format!("{partition} -> {replicas:?}");
        let all = assignment.iter().map(entry).collect::<Vec<_>>().join(", ");
        return invalid(&format!("Duplicate replica assignment found: Map({all})"));
    }
    if assignment.keys().copied().ne(0..assignment.len() as i32) {
        return invalid("partitions should be a consecutive 0-based integer sequence");
    }
    Ok(())
}

/// Writes a topic that was validated.
///
/// # Errors
/// `TOPIC_ALREADY_EXISTS` if somebody was faster.
pub async fn create(
    zk: &ZkClient,
    topic: &str,
    assignment: Assignment,
    configs: &Configs,
    topic_id: Option<Uuid>,
) -> Result<(), TopicAdminError> {
    write_configs(zk, topic, configs).await?;
    let node = TopicAssignment::of(topic_id, assignment).encode();
    match zk.create_with_parents(&paths::topic(topic), node, CreateMode::Persistent).await {
        Ok(_) => Ok(()),
        Err(ZkError::NodeExists { .. }) => Err(exists(topic)),
        Err(error) => Err(error.into()),
    }
}

async fn write_configs(zk: &ZkClient, topic: &str, configs: &Configs) -> Result<(), ZkError> {
    let data = config_entity::encode(configs);
    let path = paths::config_entity("topics", topic);
    match zk.create_with_parents(&path, data.clone(), CreateMode::Persistent).await {
        Err(ZkError::NodeExists { .. }) => zk.set(&path, data, ANY_VERSION).await.map(drop),
        other => other.map(drop),
    }
}

/// Replaces the settings of a topic and tells the brokers. Settings are the caller's to check.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION` if there is no such topic.
pub async fn change_configs(zk: &ZkClient, topic: &str, configs: &Configs) -> Result<(), TopicAdminError> {
    if zk.exists(&paths::topic(topic)).await?.is_none() {
        let code = ErrorCode::UnknownTopicOrPartition;
        return Err(TopicAdminError::new(code, format!("Topic '{topic}' does not exist.")));
    }
    write_configs(zk, topic, configs).await?;
    let notification = config_change::encode(&format!("topics/{topic}"));
    zk.create_with_parents(&paths::config_change(), notification, CreateMode::PersistentSequential).await?;
    Ok(())
}

/// Adds partitions up to `total`: the replicas of `manual`, or placed on `brokers`. What else the topic's node
/// says is kept, also if it changes meanwhile. Returns the assignment of all partitions.
pub async fn add_partitions(
    zk: &ZkClient,
    topic: &str,
    brokers: &[BrokerRack],
    total: i32,
    manual: Option<&Assignment>,
) -> Result<Assignment, TopicAdminError> {
    loop {
        let found = read_topics(zk, &[topic.to_string()]).await?.pop().flatten();
        let (mut node, stat) = found.filter(|(node, _)| !node.partitions.is_empty()).ok_or_else(|| {
            let message = format!("The topic {topic} does not exist");
            TopicAdminError::new(ErrorCode::InvalidTopicException, message)
        })?;
        let existing: Assignment = replicas(&node);
        for (partition, replicas) in assign_added(topic, &existing, brokers, total, manual)? {
            node.partitions.insert(partition, data::ReplicaAssignment::of(replicas));
        }
        match zk.set(&paths::topic(topic), node.encode(), stat.version).await {
            Ok(_) => return Ok(replicas(&node)),
            Err(ZkError::BadVersion { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// All replicas of each partition.
pub fn replicas(topic: &TopicAssignment) -> Assignment {
    topic.partitions.iter().map(|(partition, all)| (*partition, all.replicas.clone())).collect()
}

/// Asks the controller to delete a topic. False if that was asked before.
pub async fn mark_for_deletion(zk: &ZkClient, topic: &str) -> Result<bool, ZkError> {
    let path = paths::delete_topic(topic);
    match zk.create_with_parents(&path, Bytes::new(), CreateMode::Persistent).await {
        Ok(_) => Ok(true),
        Err(ZkError::NodeExists { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;
    use serde_json::{Value, json};

    fn brokers() -> Vec<BrokerRack> {
        (1..=3).map(|id| BrokerRack { id, rack: None }).collect()
    }

    async fn json(zk: &ZkClient, path: &str) -> Value {
        serde_json::from_slice(&zk.get(path).await.unwrap().unwrap().0).unwrap()
    }

    #[tokio::test]
    async fn a_topic_is_two_nodes() {
        let zk = MemoryZooKeeper::new().connect();
        let assignment = Assignment::from([(0, vec![1, 2]), (1, vec![2, 3])]);
        let configs = Configs::from([("retention.ms".to_string(), "5".to_string())]);
        validate_create(&zk, "a.b", &assignment).await.unwrap();
        create(&zk, "a.b", assignment.clone(), &configs, None).await.unwrap();
        assert_eq!(
            json(&zk, "/brokers/topics/a.b").await,
            json!({"version":3,"partitions":{"0":[1,2],"1":[2,3]},"adding_replicas":{},"removing_replicas":{}})
        );
        assert_eq!(json(&zk, "/config/topics/a.b").await, json!({"version":1,"config":{"retention.ms":"5"}}));
        assert_eq!(read_configs(&zk, &["a.b".to_string()]).await.unwrap(), [configs]);
        let message = validate_create(&zk, "a_b", &assignment).await.unwrap_err().to_string();
        assert_eq!(message, "Topic 'a_b' collides with existing topics: a.b");
        let again = create(&zk, "a.b", assignment, &Configs::new(), None).await.unwrap_err();
        assert_eq!(again, exists("a.b"));
    }

    #[tokio::test]
    async fn added_partitions_keep_the_rest_of_the_node() {
        let zk = MemoryZooKeeper::new().connect();
        let id = "kZ4o3M1bQm2yqjv0b1Yb0A";
        let node = format!(
            r#"{{"version":3,"partitions":{{"0":[1,2,3]}},"adding_replicas":{{"0":[3]}},"removing_replicas":{{}},"topic_id":"{id}"}}"#
        );
        zk.create_with_parents("/brokers/topics/t", node, CreateMode::Persistent).await.unwrap();
        let all = add_partitions(&zk, "t", &brokers(), 2, Some(&Assignment::from([(1, vec![3, 1, 2])])))
            .await
            .unwrap();
        assert_eq!(all[&1], [3, 1, 2]);
        let (read, _) = read_topics(&zk, &["t".to_string()]).await.unwrap().pop().unwrap().unwrap();
        assert_eq!(read.partitions[&0].adding_replicas, [3]);
        assert_eq!(read.topic_id.unwrap().to_string(), id);
        let absent = add_partitions(&zk, "x", &brokers(), 2, None).await.unwrap_err();
        assert_eq!(absent.to_string(), "The topic x does not exist");
    }

    #[tokio::test]
    async fn changed_settings_are_announced() {
        let zk = MemoryZooKeeper::new().connect();
        create(&zk, "t", Assignment::from([(0, vec![1])]), &Configs::new(), None).await.unwrap();
        let configs = Configs::from([("segment.bytes".to_string(), "100".to_string())]);
        change_configs(&zk, "t", &configs).await.unwrap();
        assert_eq!(
            json(&zk, "/config/topics/t").await,
            json!({"version":1,"config":{"segment.bytes":"100"}})
        );
        assert_eq!(
            json(&zk, "/config/changes/config_change_0000000000").await,
            json!({"version":2,"entity_path":"topics/t"})
        );
        assert!(change_configs(&zk, "x", &configs).await.is_err());
    }

    #[tokio::test]
    async fn deletion_is_asked_once() {
        let zk = MemoryZooKeeper::new().connect();
        assert!(mark_for_deletion(&zk, "t").await.unwrap());
        assert!(!mark_for_deletion(&zk, "t").await.unwrap());
        assert_eq!(topics_to_delete(&zk).await.unwrap(), BTreeSet::from(["t".to_string()]));
    }
}
