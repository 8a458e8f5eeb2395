//! The groups of a partition come and go with its leadership.

use super::coordinator::{GroupCoordinator, LOG};
use super::load::Loader;
use super::moving::Loading;
use super::offsets::OffsetsStorage;
use super::slot::{Slot, now};
use super::step::Step;
use crate::common::{LeaderEpoch, clock};
use crate::replication::coordination::PartitionListener;
use crate::replication::{Partition, PartitionError};
use log::{error, info, warn};
use std::sync::Arc;
use std::time::Duration;

/// Wait before a partition that could not be read is read again.
const RETRY: Duration = Duration::from_secs(1);

/// Tells a coordinator who leads the partitions of `__consumer_offsets`.
pub struct GroupListener(pub Arc<GroupCoordinator>);

impl PartitionListener for GroupListener {
    fn became_leader(&self, partition: Arc<Partition>, leader_epoch: LeaderEpoch) {
        let number = partition.name.partition;
        info!(target: "kafka.coordinator.group.GroupCoordinator", "Elected as the group coordinator for partition {number} in epoch {leader_epoch}");
        let slot = {
            let mut slots = self.0.slots.write().expect("no panic while the slots are locked");
            Arc::clone(slots.entry(number).or_insert_with(|| Arc::new(Slot::new(number))))
        };
        if let Some(load) = slot.lead(&partition, leader_epoch) {
            self.0.begin_load(&slot, partition, load);
        }
    }

    fn became_follower(&self, partition: i32, leader_epoch: LeaderEpoch) {
        self.resign(partition, Some(leader_epoch));
    }

    fn stopped(&self, partition: i32) {
        self.resign(partition, None);
    }
}

impl GroupListener {
    fn resign(&self, partition: i32, leader_epoch: Option<LeaderEpoch>) {
        let Some(slot) = self.0.slot(partition) else { return };
        info!(target: "kafka.coordinator.group.GroupCoordinator", "Resigned as the group coordinator for partition {partition} in epoch {leader_epoch:?}");
        let due = slot.resign(leader_epoch, &self.0.settings);
        self.0.serve(&slot, due);
    }
}

impl GroupCoordinator {
    /// Loads a partition in the background.
    pub(super) fn begin_load(self: &Arc<Self>, slot: &Arc<Slot>, log: Arc<Partition>, load: u64) {
        self.background.spawn(run(Arc::clone(self), Arc::clone(slot), log, load));
    }
}

async fn run(coordinator: Arc<GroupCoordinator>, slot: Arc<Slot>, log: Arc<Partition>, load: u64) {
    let started_ms = clock::monotonic_ms();
    loop {
        let Ok(_permit) = Arc::clone(&coordinator.loads).acquire_owned().await else { return };
        if slot.is_other_life(load) {
            return;
        }
        let (from, bytes_max) = (Arc::clone(&log), coordinator.load_buffer_bytes);
        let read = tokio::task::spawn_blocking(move || read(&from, bytes_max)).await;
        match read {
            Ok(Ok(mut loader)) => {
                let loading = Loading { slot: &slot, log: &log, load };
                if let Some(storage) = coordinator.settle_place(&loading, &mut loader).await {
                    finish(&coordinator, &slot, log, (load, started_ms), loader, storage);
                }
                return;
            }
            // Whoever leads now, or takes the directory offline, says so by itself.
            Ok(Err(PartitionError::NotLeader | PartitionError::StorageFailed)) => {
                return slot.abandon_load(load);
            }
            Ok(Err(failed)) => {
                error!(target: LOG, "Error loading offsets from {}: {failed}", log.name);
                tokio::time::sleep(RETRY).await;
            }
            Err(failed) => {
                error!(target: LOG, "Error loading offsets from {}: {failed}", log.name);
                return slot.abandon_load(load);
            }
        }
    }
}

fn read(log: &Partition, bytes_max: usize) -> Result<Loader, PartitionError> {
    let mut loader = Loader::default();
    let mut offset = 0;
    loop {
        let batches = log.read_for_loading(offset, bytes_max)?;
        match loader.read(&batches) {
            Some(next) if next > offset => offset = next,
            _ => return Ok(loader),
        }
    }
}

fn finish(
    coordinator: &Arc<GroupCoordinator>,
    slot: &Arc<Slot>,
    log: Arc<Partition>,
    (load, started_ms): (u64, i64),
    loader: Loader,
    storage: OffsetsStorage,
) {
    let (name, skipped) = (log.name.clone(), loader.skipped());
    // Off the mutex: whoever asks meanwhile hears that the partition is being loaded, and does not wait.
    let mut effects = Vec::new();
    let mut step = Step { now: now(), settings: &coordinator.settings, effects: &mut effects };
    let shard = loader.finish(storage, &mut step);
    let groups = shard.len();
    let due = slot.finish_load(load, log, &coordinator.settings, (shard, effects));
    let Some(due) = due else { return };
    coordinator.serve(slot, due);
    let took_ms = clock::monotonic_ms() - started_ms;
    info!(target: LOG, "Finished loading offsets and group metadata from {name} in {took_ms} milliseconds: {groups} groups");
    if skipped > 0 {
        warn!(target: LOG, "{skipped} records of {name} could not be read and were passed over");
    }
}
