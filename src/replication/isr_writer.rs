//! Writes changed ISRs into ZooKeeper, and tells the controller of them.
//!
//! The write carries the version of the state that it replaces: if the controller has written since, it fails, and the
//! controller's decision is on its way. While the outcome is unknown (ZooKeeper does not answer) the partition counts
//! with both ISRs, and this task asks until it knows. Source: Kafka 2.8.2 `ZkIsrManager`, `ReplicationUtils`.

use super::ReplicaManager;
use super::partition_machine::IsrChange;
use super::replica_manager::WantedIsr;
use crate::common::TopicPartition;
use crate::zk::data::isr_change;
use crate::zk::data::partition_state::PartitionState;
use crate::zk::{ZkClient, ZkError, notifications, paths};
use log::{debug, warn};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep};

const LOG: &str = "kafka.server.ReplicaManager";
/// Writes under way at a time.
const BATCH_MAX: usize = 256;
const RETRY: Duration = Duration::from_millis(100);

/// The outcome of a write.
enum Written {
    /// With the version that the state has now.
    Done(i32),
    Refused(String),
}

/// Follows what partitions want, and has them look for followers that lag every half of `replica_lag_max`. Ends with
/// its sender.
pub async fn run(
    zk: ZkClient,
    replicas: Arc<ReplicaManager>,
    mut wanted: mpsc::UnboundedReceiver<WantedIsr>,
    replica_lag_max: Duration,
) {
    let mut look = interval((replica_lag_max / 2).max(Duration::from_millis(1)));
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = wanted.recv_many(&mut batch, BATCH_MAX) => {
                if count == 0 {
                    return;
                }
                let writes = batch.drain(..).map(|one| write_one(&zk, &replicas, one));
                let changed = futures_util::future::join_all(writes).await;
                // At once: a reassignment goes on when the controller hears of it. What comes meanwhile waits here, and
                // goes out together.
                tell(&zk, changed.into_iter().flatten().collect()).await;
            }
            _ = look.tick() => replicas.all().iter().for_each(|partition| partition.shrink_isr()),
        }
    }
}

/// Gives the partition's name if its state was changed.
async fn write_one(zk: &ZkClient, replicas: &ReplicaManager, wanted: WantedIsr) -> Option<TopicPartition> {
    let WantedIsr { name, change } = wanted;
    let written = write(zk, &name, &change).await;
    let partition = replicas.find(&name.topic, name.partition)?;
    match written {
        Written::Done(zk_version) => {
            partition.isr_written(&change, zk_version);
            Some(name)
        }
        Written::Refused(reason) => {
            partition.isr_refused(&change, &reason);
            None
        }
    }
}

/// Ends once the outcome is known.
async fn write(zk: &ZkClient, name: &TopicPartition, change: &IsrChange) -> Written {
    let path = paths::partition_state(&name.topic, name.partition);
    let state = PartitionState {
        controller_epoch: change.controller_epoch,
        leader: change.leader,
        leader_epoch: change.leader_epoch,
        isr: change.in_sync_replicas.clone(),
    };
    loop {
        let failed = match zk.set(&path, state.encode(), change.zk_version).await {
            Ok(stat) => return Written::Done(stat.version),
            Err(ZkError::NoNode { .. }) => return Written::Refused("the partition was deleted".into()),
            Err(ZkError::BadVersion { .. }) => match compare(zk, &path, &state).await {
                Ok(written) => return written,
                Err(failed) => failed,
            },
            Err(failed) => failed,
        };
        debug!(target: LOG, "The ISR of {name} is not written yet: {failed}");
        sleep(RETRY).await;
    }
}

/// Another version stands there: ours, if the answer to an earlier attempt was lost.
async fn compare(zk: &ZkClient, path: &str, wanted: &PartitionState) -> Result<Written, ZkError> {
    Ok(match zk.get(path).await? {
        None => Written::Refused("the partition was deleted".into()),
        Some((data, stat)) => match PartitionState::decode(&data) {
            Ok(found) if found == *wanted => Written::Done(stat.version),
            Ok(found) => Written::Refused(format!(
                "the state is of another version (leader {}, epoch {}, ISR {:?})",
                found.leader, found.leader_epoch, found.isr
            )),
            Err(damaged) => Written::Refused(damaged.to_string()),
        },
    })
}

async fn tell(zk: &ZkClient, changed: Vec<TopicPartition>) {
    for some in changed.chunks(isr_change::PARTITIONS_MAX) {
        if let Err(failed) = notifications::notify(zk, &paths::isr_change(), isr_change::encode(some)).await {
            // The controller reads the states again when it next writes them.
            warn!(target: LOG, "Cannot tell the controller of changed ISRs: {failed}");
        }
    }
}
