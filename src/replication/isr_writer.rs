//! Has changed ISRs written: into ZooKeeper, and the controller told of them; or, from `inter.broker.protocol.version`
//! 2.7 on, by the controller (KIP-497).
//!
//! Either way the write carries the version of the state that it replaces: if the controller has written since, it
//! fails, and the controller's decision is on its way. While the outcome is unknown (nobody answers) the partition
//! counts with both ISRs, and this task asks until it knows. Source: Kafka 2.8.2 `ZkIsrManager`,
//! `DefaultAlterIsrManager`, `ReplicationUtils`.

mod controller;
mod zookeeper;

pub use controller::{AlterIsrFuture, AskController};

use super::ReplicaManager;
use super::partition_machine::{IsrChange, IsrState};
use super::replica_manager::WantedIsr;
use crate::common::TopicPartition;
use crate::zk::ZkClient;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

const LOG: &str = "kafka.server.ReplicaManager";
/// Changes under way at a time.
const BATCH_MAX: usize = 256;
const RETRY: Duration = Duration::from_millis(100);

/// The outcome of a change.
enum Outcome {
    /// The state as it is now, of the same leader epoch.
    Is(IsrState),
    /// The controller has decided something else.
    Refused(String),
}

/// What this task needs.
pub struct IsrWriter {
    /// The broker's session.
    pub zk: ZkClient,
    /// The partitions.
    pub replicas: Arc<ReplicaManager>,
    /// The way to the controller, if that writes.
    pub controller: Option<Arc<dyn AskController>>,
}

impl IsrWriter {
    /// Follows what partitions want, and has them look for followers that lag every half of `replica_lag_max`. Ends
    /// with its sender.
    pub async fn run(self, mut wanted: mpsc::UnboundedReceiver<WantedIsr>, replica_lag_max: Duration) {
        let mut look = interval((replica_lag_max / 2).max(Duration::from_millis(1)));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                count = wanted.recv_many(&mut batch, BATCH_MAX) => {
                    if count == 0 {
                        return;
                    }
                    match &self.controller {
                        None => self.write_all(&mut batch).await,
                        Some(controller) => {
                            self.alter_all(controller.as_ref(), &mut batch, &mut wanted).await;
                        }
                    }
                }
                _ = look.tick() => self.replicas.all().iter().for_each(|partition| partition.shrink_isr()),
            }
        }
    }

    /// Tells the partition. True if the state is as it wanted.
    fn settle(&self, name: &TopicPartition, change: &IsrChange, outcome: Outcome) -> bool {
        let Some(partition) = self.replicas.find(&name.topic, name.partition) else { return false };
        match outcome {
            Outcome::Is(state) => {
                let is_as_wanted = state.in_sync_replicas == change.in_sync_replicas;
                partition.isr_is(change, state);
                is_as_wanted
            }
            Outcome::Refused(reason) => {
                partition.isr_refused(change, &reason);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;
