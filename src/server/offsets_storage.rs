//! Where committed offsets are kept: asked before the broker registers, and held against accidents afterwards.

use super::startup::StartupError;
use crate::common::BrokerId;
use crate::config::BrokerConfig;
use crate::coordinator::group::GroupCoordinator;
use crate::handlers::Broker;
use crate::zk::ZkClient;
use crate::zk::data::offsets_storage::OffsetsStorageNode;
use crate::zk::offsets_storage::{self, OffsetsStorage, Refusal};
use crate::zk::{CreateMode, NodeError, SessionEvent, SessionEvents, Watch, ZkError, paths};
use log::{error, info, warn};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;

const TARGET: &str = "kafka.server.KafkaServer";
const RETRY: Duration = Duration::from_millis(500);
/// While offsets are being moved: between two looks for partitions where they are not yet.
const MOVE_RETRY: Duration = Duration::from_secs(10);
/// A broker of ours that registers again after it has lost its session is unmarked for a moment.
const STRANGER_GRACE: Duration = Duration::from_secs(10);

/// The cluster's decision, made now if this is the first broker.
///
/// # Errors
/// If the broker is configured otherwise.
pub async fn decide(zk: &ZkClient, config: &BrokerConfig) -> Result<OffsetsStorageNode, StartupError> {
    let configured = config.offsets_storage.as_deref().and_then(OffsetsStorage::from_name);
    let node = offsets_storage::decide(zk, configured).await.map_err(|refusal| match refusal {
        Refusal::Node(error) => StartupError::from(error),
        contrary => StartupError::new("org.apache.kafka.common.config.ConfigException", contrary.to_string()),
    })?;
    info!(target: TARGET, "Committed offsets are kept in {} (offsets.storage)", node.storage.name());
    Ok(node)
}

/// Follows the decision and the other brokers, until the tasks are ended.
pub fn start(zk: &ZkClient, node: OffsetsStorageNode, broker: &Broker) -> [JoinHandle<()>; 3] {
    [
        tokio::spawn(keep(zk.clone(), node, Arc::clone(&broker.groups))),
        tokio::spawn(keep_mark(zk.clone(), zk.session_events(), broker.id)),
        tokio::spawn(warn_of_strangers(zk.clone())),
    ]
}

/// Follows the decision: moves the offsets when it changes, and writes it again whenever somebody deletes it, because
/// the next broker would decide anew, and perhaps otherwise. Never ends.
async fn keep(zk: ZkClient, mut known: OffsetsStorageNode, groups: Arc<GroupCoordinator>) {
    loop {
        let step = async {
            let (found, watch) = offsets_storage::get_and_watch(&zk).await?;
            match found {
                Some((node, _)) => known = node,
                None => {
                    let node = offsets_storage::record(&zk, known).await?;
                    warn!(target: TARGET, "The record of where offsets are kept was deleted; it says {} again", node.storage.name());
                    return Ok(None);
                }
            }
            Ok::<_, NodeError>(Some(watch))
        };
        match step.await {
            Ok(Some(watch)) => {
                groups.reconsider_places(known.migrating_to.unwrap_or(known.storage));
                match known.migrating_to {
                    // A partition that could not be moved is tried again.
                    Some(_) => drop(tokio::time::timeout(MOVE_RETRY, watch.changed()).await),
                    None => drop(watch.changed().await),
                }
            }
            Ok(None) => {}
            Err(failed) => {
                warn!(target: TARGET, "Cannot read where offsets are kept: {failed}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Marks this broker as one of ours, in this session; to be done before it registers.
pub async fn mark_as_own(zk: &ZkClient, id: BrokerId) -> Result<(), ZkError> {
    let path = paths::own_broker(id);
    loop {
        match zk.create_with_parents(&path, "", CreateMode::Ephemeral).await {
            Err(error) if error.is_node_exists() => match zk.exists(&path).await? {
                Some(stat) if stat.ephemeral_owner == zk.session_id() => return Ok(()),
                // Of an earlier process: it says the same, but goes with a session that is not ours.
                Some(stat) => match zk.delete(&path, stat.version).await {
                    Err(error) if !error.is_no_node() && !error.is_bad_version() => return Err(error),
                    _ => {}
                },
                None => {}
            },
            other => return other.map(drop),
        }
    }
}

/// Marks it again in every new session. Never ends.
async fn keep_mark(zk: ZkClient, mut events: SessionEvents, id: BrokerId) {
    loop {
        match events.next().await {
            SessionEvent::Closed => return,
            SessionEvent::NewSession { .. } => {
                while let Err(failed) = mark_as_own(&zk, id).await {
                    warn!(target: TARGET, "Cannot mark broker {id} as one of ours: {failed}");
                    tokio::time::sleep(RETRY).await;
                }
            }
            _ => {}
        }
    }
}

/// Registered brokers that are not ours, as far as it matters, and a watch on all.
async fn strangers(zk: &ZkClient) -> Result<(BTreeSet<String>, Watch), NodeError> {
    let (mut brokers, watch) = zk.children_and_watch(paths::BROKER_IDS).await?;
    let own = zk.children(paths::OWN_BROKERS).await?;
    let node = offsets_storage::get(zk).await?;
    let in_zookeeper = node.is_some_and(|node| node.storage == OffsetsStorage::ZooKeeper);
    brokers.retain(|id| in_zookeeper && !own.contains(id));
    Ok((brokers.into_iter().collect(), watch))
}

/// Says so when brokers of Apache Kafka share a cluster that keeps its offsets in ZooKeeper: a group that such a broker
/// coordinates keeps them in `__consumer_offsets`. Never ends.
async fn warn_of_strangers(zk: ZkClient) {
    let mut told: BTreeSet<String> = BTreeSet::new();
    loop {
        match strangers(&zk).await {
            Ok((found, watch)) if found.is_subset(&told) => {
                told = found;
                watch.changed().await;
            }
            Ok(_) => {
                tokio::time::sleep(STRANGER_GRACE).await;
                let Ok((mut still, _)) = strangers(&zk).await else { continue };
                still.retain(|id| !told.contains(id));
                if !still.is_empty() {
                    let ids = still.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                    error!(target: TARGET, "Brokers {ids} are not Ottla's, but this cluster keeps committed offsets in \
                        ZooKeeper: groups that they coordinate will not see them. Move the offsets: \
                        bin/kafka-offsets-migrate.sh --zookeeper HOST:PORT --to kafka");
                }
                told.extend(still);
            }
            Err(failed) => {
                warn!(target: TARGET, "Cannot look whose the registered brokers are: {failed}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
