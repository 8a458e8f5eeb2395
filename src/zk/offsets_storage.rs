//! Where the cluster keeps committed offsets: one node for all, written by the first broker.
//!
//! A broker asks before it registers. So while the node is missing, every registered broker is one of Apache Kafka's,
//! or of a release of ours that knows no node; either keeps offsets in `__consumer_offsets`.

use super::client::ZkClient;
use super::data::NodeError;
use super::data::offsets_storage::OffsetsStorageNode;
use super::error::ZkError;
use super::paths;
use super::types::{CreateMode, Watch};
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use std::fmt;

pub use super::data::offsets_storage::OffsetsStorage;

/// Why a broker cannot join with its setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// ZooKeeper failed, or the node is garbage.
    Node(NodeError),
    /// The cluster does it otherwise.
    Contrary {
        /// What the broker is told.
        configured: OffsetsStorage,
        /// How it is.
        actual: OffsetsStorage,
        /// How that is known.
        reason: String,
    },
}

impl From<NodeError> for Refusal {
    fn from(error: NodeError) -> Refusal {
        Refusal::Node(error)
    }
}

impl From<ZkError> for Refusal {
    fn from(error: ZkError) -> Refusal {
        Refusal::Node(error.into())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Node(error) => error.fmt(f),
            Refusal::Contrary { configured, actual, reason } => {
                let (configured, actual) = (configured.name(), actual.name());
                write!(
                    f,
                    "Invalid value {configured} for configuration offsets.storage: this cluster keeps committed \
                     offsets in {actual} ({reason}). Remove the setting or set it to {actual}; to move the offsets \
                     while the brokers run, use bin/kafka-offsets-migrate.sh --zookeeper HOST:PORT --to {configured}"
                )
            }
        }
    }
}

impl std::error::Error for Refusal {}

/// What the cluster has decided, if it has.
pub async fn get(zk: &ZkClient) -> Result<Option<OffsetsStorageNode>, NodeError> {
    match zk.get(paths::OFFSETS_STORAGE).await? {
        Some((data, _)) => Ok(Some(OffsetsStorageNode::decode(&data)?)),
        None => Ok(None),
    }
}

/// [`get`] with the node's version, and a watch.
pub async fn get_and_watch(zk: &ZkClient) -> Result<(Option<(OffsetsStorageNode, i32)>, Watch), NodeError> {
    let (found, watch) = zk.get_and_watch(paths::OFFSETS_STORAGE).await?;
    match found {
        Some((data, stat)) => Ok((Some((OffsetsStorageNode::decode(&data)?, stat.version)), watch)),
        None => Ok((None, watch)),
    }
}

/// Records a decision where there is none; gives what stands there then.
pub async fn record(zk: &ZkClient, node: OffsetsStorageNode) -> Result<OffsetsStorageNode, NodeError> {
    loop {
        match zk.create_with_parents(paths::OFFSETS_STORAGE, node.encode(), CreateMode::Persistent).await {
            Ok(_) => return Ok(node),
            Err(error) if error.is_node_exists() => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(found) = get(zk).await? {
            return Ok(found);
        }
    }
}

/// The cluster's storage for a broker with this setting, decided and recorded now if nobody has yet. To be called
/// before the broker registers.
pub async fn decide(
    zk: &ZkClient,
    configured: Option<OffsetsStorage>,
) -> Result<OffsetsStorageNode, Refusal> {
    let node = match get(zk).await? {
        Some(node) => node,
        None => {
            let evidence = evidence_of_kafka(zk).await?;
            let storage = match (configured, evidence) {
                (Some(configured @ OffsetsStorage::ZooKeeper), Some(reason)) => {
                    return Err(Refusal::Contrary { configured, actual: OffsetsStorage::Kafka, reason });
                }
                (_, Some(_)) => OffsetsStorage::Kafka,
                (configured, None) => configured.unwrap_or(OffsetsStorage::ZooKeeper),
            };
            record(zk, OffsetsStorageNode::of(storage)).await?
        }
    };
    match configured {
        // While the offsets move, both are right.
        Some(configured) if configured != node.storage && Some(configured) != node.migrating_to => {
            let reason = format!("recorded in {}", paths::OFFSETS_STORAGE);
            Err(Refusal::Contrary { configured, actual: node.storage, reason })
        }
        _ => Ok(node),
    }
}

/// What says that offsets are in `__consumer_offsets` already.
async fn evidence_of_kafka(zk: &ZkClient) -> Result<Option<String>, ZkError> {
    if zk.exists(&paths::topic(GROUP_METADATA_TOPIC)).await?.is_some() {
        return Ok(Some(format!("the topic {GROUP_METADATA_TOPIC} exists")));
    }
    let mut brokers = zk.children(paths::BROKER_IDS).await?;
    brokers.sort();
    Ok((!brokers.is_empty())
        .then(|| format!("brokers of Apache Kafka are registered: {}", brokers.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;
    use OffsetsStorage::{Kafka, ZooKeeper};

    async fn cluster(nodes: &[&str]) -> (MemoryZooKeeper, ZkClient) {
        let zookeeper = MemoryZooKeeper::new();
        let zk = zookeeper.connect();
        for node in nodes {
            zk.ensure_path(node).await.unwrap();
        }
        (zookeeper, zk)
    }

    #[tokio::test]
    async fn the_first_broker_of_a_fresh_cluster_decides_and_all_follow() {
        for (configured, expected) in [(None, ZooKeeper), (Some(ZooKeeper), ZooKeeper), (Some(Kafka), Kafka)]
        {
            let (zookeeper, zk) = cluster(&["/brokers/ids"]).await;
            assert_eq!(decide(&zk, configured).await.unwrap().storage, expected);
            // What is there by then no longer counts.
            zk.ensure_path("/brokers/ids/1").await.unwrap();
            zk.ensure_path("/brokers/topics/__consumer_offsets").await.unwrap();
            let other = zookeeper.connect();
            assert_eq!(decide(&other, None).await.unwrap().storage, expected);
            assert_eq!(decide(&other, Some(expected)).await.unwrap().storage, expected);
            let contrary = if expected == Kafka { ZooKeeper } else { Kafka };
            let refusal = decide(&other, Some(contrary)).await.unwrap_err();
            assert_eq!(
                refusal.to_string(),
                format!(
                    "Invalid value {0} for configuration offsets.storage: this cluster keeps committed offsets in {1} \
                     (recorded in /ottla/offsets_storage). Remove the setting or set it to {1}; to move the offsets \
                     while the brokers run, use bin/kafka-offsets-migrate.sh --zookeeper HOST:PORT --to {0}",
                    contrary.name(),
                    expected.name()
                )
            );
        }
    }

    #[tokio::test]
    async fn a_cluster_of_apache_kafka_keeps_its_offsets_where_they_are() {
        for node in ["/brokers/topics/__consumer_offsets", "/brokers/ids/7"] {
            let (zookeeper, zk) = cluster(&["/brokers/ids", node]).await;
            zookeeper.take_log();
            assert!(matches!(
                decide(&zk, Some(ZooKeeper)).await,
                Err(Refusal::Contrary { actual: Kafka, .. })
            ));
            assert!(zookeeper.take_log().is_empty(), "a refusal records nothing");
            assert_eq!(decide(&zk, None).await.unwrap().storage, Kafka);
        }
    }

    #[tokio::test]
    async fn while_offsets_move_both_settings_are_right_and_garbage_is_never_overwritten() {
        let (_, zk) = cluster(&[]).await;
        let moving = OffsetsStorageNode { storage: Kafka, migrating_to: Some(ZooKeeper) };
        assert_eq!(record(&zk, moving).await.unwrap(), moving);
        for configured in [None, Some(Kafka), Some(ZooKeeper)] {
            assert_eq!(decide(&zk, configured).await.unwrap(), moving);
        }
        zk.set(paths::OFFSETS_STORAGE, "?", -1).await.unwrap();
        assert!(matches!(decide(&zk, None).await, Err(Refusal::Node(NodeError::Data(_)))));
    }
}
