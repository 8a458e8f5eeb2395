//! The leader writes.

use super::{IsrWriter, LOG, Outcome, RETRY};
use crate::common::TopicPartition;
use crate::replication::partition_machine::{IsrChange, IsrState};
use crate::replication::replica_manager::WantedIsr;
use crate::zk::data::isr_change;
use crate::zk::data::partition_state::PartitionState;
use crate::zk::{ZkError, notifications, paths};
use log::{debug, warn};
use tokio::time::sleep;

/// A partition's state beside a change that was to replace its predecessor.
pub(super) enum Found {
    /// It is still the one before the change.
    Unchanged,
    /// It is another one.
    Changed(Outcome),
}

impl IsrWriter {
    pub(super) async fn write_all(&self, batch: &mut Vec<WantedIsr>) {
        let writes = batch.drain(..).map(async |WantedIsr { name, change }| {
            let outcome = self.write(&name, &change).await;
            self.settle(&name, &change, outcome).then_some(name)
        });
        let changed = futures_util::future::join_all(writes).await;
        // At once: a reassignment goes on when the controller hears of it. What comes meanwhile waits here, and goes
        // out together.
        self.tell(changed.into_iter().flatten().collect()).await;
    }

    /// Ends once the outcome is known.
    async fn write(&self, name: &TopicPartition, change: &IsrChange) -> Outcome {
        let path = paths::partition_state(&name.topic, name.partition);
        let state = PartitionState {
            controller_epoch: change.controller_epoch,
            leader: change.leader,
            leader_epoch: change.leader_epoch,
            isr: change.in_sync_replicas.clone(),
        };
        loop {
            let failed = match self.zk.set(&path, state.encode(), change.zk_version).await {
                Ok(stat) => {
                    let in_sync_replicas = change.in_sync_replicas.clone();
                    return Outcome::Is(IsrState { in_sync_replicas, zk_version: stat.version });
                }
                Err(ZkError::NoNode { .. }) => return Outcome::Refused("the partition was deleted".into()),
                Err(ZkError::BadVersion { .. }) => match self.look(name, change).await {
                    Ok(Found::Changed(outcome)) => return outcome,
                    Ok(Found::Unchanged) => continue,
                    Err(failed) => failed,
                },
                Err(failed) => failed,
            };
            debug!(target: LOG, "The ISR of {name} is not written yet: {failed}");
            sleep(RETRY).await;
        }
    }

    /// What stands in ZooKeeper: the change itself, if the answer to an earlier attempt was lost.
    pub(super) async fn look(&self, name: &TopicPartition, change: &IsrChange) -> Result<Found, ZkError> {
        let path = paths::partition_state(&name.topic, name.partition);
        let Some((data, stat)) = self.zk.get(&path).await? else {
            return Ok(Found::Changed(Outcome::Refused("the partition was deleted".into())));
        };
        if stat.version == change.zk_version {
            return Ok(Found::Unchanged);
        }
        Ok(Found::Changed(match PartitionState::decode(&data) {
            Ok(found) if found.leader == change.leader && found.leader_epoch == change.leader_epoch => {
                Outcome::Is(IsrState { in_sync_replicas: found.isr, zk_version: stat.version })
            }
            Ok(found) => Outcome::Refused(format!(
                "the state is of another version (leader {}, epoch {}, ISR {:?})",
                found.leader, found.leader_epoch, found.isr
            )),
            Err(damaged) => Outcome::Refused(damaged.to_string()),
        }))
    }

    async fn tell(&self, changed: Vec<TopicPartition>) {
        for some in changed.chunks(isr_change::PARTITIONS_MAX) {
            let told = notifications::notify(&self.zk, &paths::isr_change(), isr_change::encode(some)).await;
            if let Err(failed) = told {
                // The controller reads the states again when it next writes them.
                warn!(target: LOG, "Cannot tell the controller of changed ISRs: {failed}");
            }
        }
    }
}
