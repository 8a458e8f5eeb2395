//! What tests of replication share.

use super::partition::leader::FollowerFetch;
use super::partition_machine::LeadershipState;
use super::replica_manager::{Assignment, ReplicaContext, WantedIsr, log_config, on_threads_of};
use super::{Partition, ReplicaManager};
use crate::common::{BrokerId, LeaderEpoch, Offset, TopicPartition};
use crate::config::properties::Properties;
use crate::config::{BrokerConfig, TopicConfig};
use crate::storage::{LogManager, LogManagerOptions, LogPosition};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Longer than any test.
pub const LONG_MS: i64 = 3_600_000;

/// The replicas of broker 0 in an empty directory, and the ISRs that its leaders will want. `settings` are lines of a
/// broker's properties. To be called in a runtime.
pub fn replicas(
    settings: &str,
) -> (Arc<ReplicaManager>, mpsc::UnboundedReceiver<WantedIsr>, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let text = format!("zookeeper.connect=none:1\n{settings}");
    let properties = Properties::parse_named(text.as_bytes(), "f").expect("well formed");
    let config = BrokerConfig::from_properties(&properties).expect("valid").0;
    let defaults = Arc::new(TopicConfig::defaults(&config));
    let options = LogManagerOptions {
        log_dirs: vec![dir.path().to_path_buf()],
        failed_dirs: Vec::new(),
        recovery_threads_per_data_dir: 1,
        producer_expiration_ms: LONG_MS,
        keep_partition_metadata: true,
    };
    let of_log = Arc::new(log_config(&defaults));
    let logs = LogManager::open(&options, &|_| Arc::clone(&of_log)).expect("an empty directory");
    let (isr_changes, wanted) = mpsc::unbounded_channel();
    let context = ReplicaContext {
        broker_id: 0,
        zstd_allowed: true,
        run_blocking: on_threads_of(tokio::runtime::Handle::current()),
        replica_lag_ms_max: LONG_MS,
        reads_near: config.reads_near(),
        failures: mpsc::unbounded_channel().0,
        isr_changes,
    };
    (Arc::new(ReplicaManager::new(context, Arc::new(logs), defaults, HashMap::new())), wanted, dir)
}

/// Has partition `partition` of topic `t` led by `leader`, with these replicas in sync, of those in `members`.
pub fn decide(
    replicas: &ReplicaManager,
    partition: i32,
    (leader, leader_epoch): (BrokerId, LeaderEpoch),
    in_sync_replicas: &[BrokerId],
    members: &[BrokerId],
) {
    let state = LeadershipState {
        controller_epoch: 1,
        leader,
        leader_epoch,
        in_sync_replicas: in_sync_replicas.to_vec(),
        zk_version: 0,
        replicas: members.to_vec(),
    };
    let name = TopicPartition::new("t", partition);
    let assignment = Assignment { name, topic_id: None, state, is_new: true };
    assert_eq!(replicas.apply(vec![assignment], &HashMap::new())[0].2, Ok(()));
}

/// Follower `id` asks the leader for what comes after `offset`, and gets into the ISR by that if it belongs there.
pub fn follower_fetches(partition: &Partition, id: BrokerId, offset: Offset) {
    let log_end = LogPosition { offset, ..Default::default() };
    let fetch = FollowerFetch { replica_id: id, log_end, log_start: 0 };
    let wanted = partition.with_due(|state, due| state.follower_fetched(&fetch, due)).expect("a leader");
    if let Some((change, words)) = wanted {
        partition.want(change, &words);
    }
}
