//! The coordinators of groups and transactions, built and told of their partitions.

use super::markers::{MarkerLinks, partitions};
use super::startup::StartupError;
use crate::common::topic_name::{GROUP_METADATA_TOPIC, TRANSACTION_STATE_TOPIC};
use crate::config::BrokerConfig;
use crate::coordinator::group::loading::GroupListener;
use crate::coordinator::group::offsets::OffsetsStorage;
use crate::coordinator::group::{GroupCoordinator, GroupDeps, OffsetPlaces};
use crate::coordinator::transaction::{MarkerTransport, TransactionCoordinator, TransactionDeps};
use crate::coordinator::zookeeper_offsets::ZooKeeperOffsets;
use crate::metadata::{MetadataCache, ProducerIds};
use crate::replication::ReplicaManager;
use crate::zk::ZkClient;
use crate::zk::data::NodeError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// What [`start`] gives.
pub struct Coordinators {
    /// Ids for producers.
    pub producer_ids: Arc<ProducerIds>,
    /// Of transactions.
    pub transactions: Arc<TransactionCoordinator>,
    /// The way of their markers, to be connected with the broker.
    pub markers: Arc<MarkerLinks>,
    /// Of groups.
    pub groups: Arc<GroupCoordinator>,
}

/// Starts both, before the controller's first decision arrives.
pub async fn start(
    zk: &ZkClient,
    config: &Arc<BrokerConfig>,
    metadata: &Arc<MetadataCache>,
    replicas: &ReplicaManager,
    at_start: OffsetsStorage,
) -> Result<Coordinators, StartupError> {
    let patience = |ms: i64| Duration::from_millis(ms.max(0) as u64);
    let patient = zk.with_patience(patience(i64::from(config.zookeeper_connection_timeout_ms)));
    let producer_ids = Arc::new(ProducerIds::start(patient.clone(), config.broker_id).await?);
    let config = with_partitions_of_internal_topics(zk, config).await?;
    let markers = Arc::new(MarkerLinks::new(&config, patient));
    let transactions = TransactionCoordinator::start(TransactionDeps {
        config: Arc::clone(&config),
        metadata: Arc::clone(metadata),
        producer_ids: Arc::clone(&producer_ids),
        transport: Arc::clone(&markers) as Arc<dyn MarkerTransport>,
    });
    replicas.listen(TRANSACTION_STATE_TOPIC, transactions.clone());
    let store_patience = patience(i64::from(config.offsets_commit_timeout_ms));
    let groups = GroupCoordinator::start(GroupDeps {
        places: OffsetPlaces::Recorded {
            zk: zk.with_patience(store_patience),
            broker_id: config.broker_id,
            at_start,
        },
        config,
        metadata: Arc::clone(metadata),
        store: Arc::new(ZooKeeperOffsets::start(zk, store_patience)),
    });
    replicas.listen(GROUP_METADATA_TOPIC, Arc::new(GroupListener(Arc::clone(&groups))));
    Ok(Coordinators { producer_ids, transactions, markers, groups })
}

/// The configuration for coordinators: internal topics that exist have the partitions that they have.
async fn with_partitions_of_internal_topics(
    zk: &ZkClient,
    config: &Arc<BrokerConfig>,
) -> Result<Arc<BrokerConfig>, NodeError> {
    let mut adapted = BrokerConfig::clone(config);
    let count = |found: BTreeSet<i32>| i32::try_from(found.len()).unwrap_or(i32::MAX);
    if let Some(found) = partitions(zk, GROUP_METADATA_TOPIC).await? {
        adapted.offsets_topic_num_partitions = count(found);
    }
    if let Some(found) = partitions(zk, TRANSACTION_STATE_TOPIC).await? {
        adapted.transaction_state_log_num_partitions = count(found);
    }
    Ok(Arc::new(adapted))
}
