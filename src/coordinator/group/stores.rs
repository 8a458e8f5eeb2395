//! Carrying out what shards want stored: appends to `__consumer_offsets`, and calls of the store of offsets outside.

use super::coordinator::{GroupCoordinator, LOG};
use super::offsets::{CommittedOffset, Fence, OffsetStoreError, OffsetsStorage, Stored};
use super::slot::{Due, Job, Owned, Slot};
use super::step::{Effect, GroupRef, OffsetsToStore, Step, StoreFailure, StoreResult};
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::record::builder::BuildError;
use crate::replication::PartitionError;
use crate::replication::coordination::CoordinatorAppend;
use bytes::Bytes;
use bytestring::ByteString;
use log::{debug, error, info, warn};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Wait before offsets that could not be handed over are tried again.
const HAND_OVER_RETRY: Duration = Duration::from_secs(1);

/// What is under way, and for which life of which shard.
struct Errand {
    coordinator: Arc<GroupCoordinator>,
    slot: Arc<Slot>,
    load: u64,
}

impl Errand {
    fn report(&self, act: impl FnOnce(&mut Owned, &mut Step<'_>)) {
        let due: Option<Due> = self.slot.step_of(self.load, &self.coordinator.settings, act);
        if let Some(due) = due {
            self.coordinator.serve(&self.slot, due);
        }
    }
}

impl GroupCoordinator {
    /// Begins what a shard wants done; it goes on by itself.
    pub(super) fn perform(self: &Arc<Self>, slot: &Arc<Slot>, job: Job) {
        let errand = Errand { coordinator: Arc::clone(self), slot: Arc::clone(slot), load: job.load };
        let now_ms = clock::now_ms();
        let append = |batch: Result<Bytes, BuildError>| self.append(&job, batch);
        match &job.effect {
            Effect::StoreGroup { group, value, .. } => {
                let appended = append(self.format.group_batch(&group.id, value, now_ms));
                let Effect::StoreGroup { group, purpose, .. } = job.effect else { return };
                self.spawn(async move {
                    let result = settle(appended).await;
                    errand.report(|owned, step| owned.shard.group_stored(&group, purpose, result, step));
                });
            }
            Effect::StoreOffsets(store)
                if store.producer.is_none() && job.storage == OffsetsStorage::ZooKeeper =>
            {
                let fence = Fence { partition: slot.partition, leader_epoch: job.leader_epoch };
                let committed = self.store.commit(store.group.id.clone(), store.offsets.clone(), Some(fence));
                let Effect::StoreOffsets(store) = job.effect else { return };
                self.spawn(commit_in_store(errand, store, committed));
            }
            Effect::StoreOffsets(store) => {
                let batch =
                    self.format.offsets_batch(&store.group.id, &store.offsets, store.producer, now_ms);
                let appended = append(batch);
                let Effect::StoreOffsets(store) = job.effect else { return };
                self.spawn(async move {
                    let result = settle(appended).await;
                    errand.report(|owned, step| owned.shard.offsets_stored(store, result, step));
                });
            }
            Effect::Tombstones { group, partitions, group_is_gone } => {
                let batch = self.format.tombstones_batch(group, partitions, *group_is_gone, now_ms);
                // Nobody waits for it: what is lost is found expired again.
                if let Err(failure) = append(batch) {
                    error!(target: LOG, "Failed to append tombstones for group {group}: {failure:?}");
                }
            }
            Effect::HandOver { group, offsets } => {
                self.background.spawn(hand_over(errand, group.clone(), offsets.clone()));
            }
            Effect::Answer(..) | Effect::Wake { .. } => {}
        }
    }

    fn append(&self, job: &Job, batch: Result<Bytes, BuildError>) -> Result<CoordinatorAppend, StoreFailure> {
        let batch = batch.map_err(|error| match error {
            BuildError::TooLarge => StoreFailure::TooLarge,
            _ => StoreFailure::Refused(ErrorCode::UnknownServerError),
        })?;
        let acks = self.acks.ok_or(StoreFailure::Refused(ErrorCode::InvalidRequiredAcks))?;
        Ok(job.log.append_as_coordinator_with(batch, job.leader_epoch, acks, self.commit_timeout_ms))
    }

    /// On the worker that is asked, or in the background.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        match tokio::runtime::Handle::try_current() {
            Ok(here) => drop(here.spawn(work)),
            Err(_) => drop(self.background.spawn(work)),
        }
    }

    /// Has the store forget the offsets of topics that are gone, in the groups that are coordinated here.
    pub(super) fn forget_topics_in_store(self: &Arc<Self>, topics: &[ByteString]) {
        if !self.has_offsets_in_store() {
            return;
        }
        let (coordinator, topics) = (Arc::clone(self), topics.to_vec());
        self.background.spawn(async move {
            if let Err(error) = coordinator.forget_topics(&topics).await {
                warn!(target: LOG, "Cannot remove offsets associated with deleted topics {topics:?}: {error}");
            }
        });
    }

    async fn forget_topics(&self, topics: &[ByteString]) -> Result<(), OffsetStoreError> {
        // A topic of the same name may be there soon.
        let deleted_ms = clock::now_ms();
        for group in self.store.groups().await? {
            let Ok(fence) = self.fence_of(&group) else { continue };
            if self.storage_of(&group) != OffsetsStorage::ZooKeeper {
                continue;
            }
            let mut offsets = self.store.fetch_all(group.clone()).await?;
            offsets.retain(|(key, committed)| {
                topics.contains(&key.topic) && committed.commit_timestamp_ms <= deleted_ms
            });
            if !offsets.is_empty() {
                let gone: Vec<TopicPartition> = offsets.into_iter().map(|(partition, _)| partition).collect();
                let count = self.store.delete(group.clone(), gone, fence).await?;
                info!(target: LOG, "Removed {count} offsets of group {group} associated with deleted topics: {topics:?}");
            }
        }
        Ok(())
    }

    /// Has the store forget what has expired there; groups that have nothing left go.
    pub(super) fn expire_in_store(self: &Arc<Self>, slot: &Arc<Slot>) {
        let rules = slot.step(&self.settings, |owned, step| (owned.load(), owned.shard.expiry_rules(step)));
        let Ok(((load, rules), _)) = rules else { return };
        let errand = Errand { coordinator: Arc::clone(self), slot: Arc::clone(slot), load };
        self.background.spawn(async move {
            for (group, rule) in rules {
                let Some(fence) = errand.slot.fence_of(load) else { return };
                match errand.coordinator.store.remove_expired(group.id.clone(), rule, fence).await {
                    Ok(0) => errand.report(|owned, step| owned.shard.remove_unused(&group, step)),
                    Ok(_) => {}
                    Err(error) => warn!(target: LOG, "Cannot expire offsets of group {}: {error}", group.id),
                }
            }
        });
    }
}

async fn settle(appended: Result<CoordinatorAppend, StoreFailure>) -> StoreResult {
    match appended?.await {
        Ok(appended) => Ok(appended.base_offset),
        Err(error) => {
            debug!(target: LOG, "An append to __consumer_offsets failed: {error}");
            Err(failure(&error))
        }
    }
}

fn failure(error: &PartitionError) -> StoreFailure {
    let refused = |code| match code {
        ErrorCode::MessageTooLarge | ErrorCode::RecordListTooLarge => StoreFailure::TooLarge,
        code => StoreFailure::Refused(code),
    };
    match error {
        PartitionError::NotLeader
        | PartitionError::FencedLeaderEpoch
        | PartitionError::UnknownLeaderEpoch
        | PartitionError::StorageFailed
        | PartitionError::NotAReplica => StoreFailure::NotCoordinator,
        PartitionError::NotEnoughReplicas | PartitionError::NotEnoughReplicasAfterAppend => {
            StoreFailure::Unavailable
        }
        PartitionError::TimedOut => StoreFailure::TimedOut,
        PartitionError::Records(code) => refused(*code),
        PartitionError::Append(error) => refused(error.code()),
        PartitionError::Read(_) => StoreFailure::Refused(ErrorCode::UnknownServerError),
    }
}

async fn commit_in_store(
    errand: Errand,
    store: OffsetsToStore,
    committed: Stored<Vec<Result<(), OffsetStoreError>>>,
) {
    let limit = Duration::from_millis(errand.coordinator.commit_timeout_ms.max(0) as u64);
    let result = match tokio::time::timeout(limit, committed).await {
        Err(_) => Err(StoreFailure::TimedOut),
        Ok(Err(error)) => Err(StoreFailure::Refused(error.code())),
        Ok(Ok(results)) => match results.into_iter().find_map(Result::err) {
            Some(error) => Err(StoreFailure::Refused(error.code())),
            None => Ok(0),
        },
    };
    errand.report(|owned, step| owned.shard.offsets_stored(store, result, step));
}

/// True if the store may do tomorrow what it has refused today: in the next leader epoch, if it is still ours.
fn may_pass(error: &OffsetStoreError) -> bool {
    matches!(error, OffsetStoreError::Unavailable | OffsetStoreError::NotCoordinator)
}

/// Brings offsets of transactions to the store. What the store has of a later time stays: it was committed after them,
/// or put there by hand, and a load may find them long after they were handed over.
async fn hand_over(errand: Errand, group: GroupRef, offsets: Vec<(TopicPartition, CommittedOffset)>) {
    let store = &errand.coordinator.store;
    let partitions: Vec<TopicPartition> = offsets.iter().map(|(partition, _)| partition.clone()).collect();
    while let Some(fence) = errand.slot.fence_of(errand.load) {
        let newer = async {
            let known = store.fetch(group.id.clone(), partitions.clone()).await?;
            let is_older = |known: &Result<Option<CommittedOffset>, _>, ours: &CommittedOffset| match known {
                Ok(Some(known)) => known.commit_timestamp_ms <= ours.commit_timestamp_ms,
                Ok(None) | Err(_) => true,
            };
            let newer = offsets.iter().zip(&known).filter(|((_, ours), known)| is_older(known, ours));
            let newer: Vec<_> = newer.map(|(offset, _)| offset.clone()).collect();
            if !newer.is_empty() {
                let stored = store.hand_over(group.id.clone(), newer, fence).await?;
                // What can never be stored must not hold up the rest for ever.
                for error in stored.into_iter().filter_map(Result::err) {
                    if may_pass(&error) {
                        return Err(error);
                    }
                    error!(target: LOG, "An offset of group {} that a transaction has committed is lost: {error}", group.id);
                }
            }
            Ok::<(), OffsetStoreError>(())
        };
        // One at a time: what is compared must not change before it is replaced.
        let turn = errand.slot.hand_over_turn().await;
        let done = newer.await;
        drop(turn);
        match done {
            Ok(()) => break,
            Err(error) if may_pass(&error) => {
                warn!(target: LOG, "Offsets of group {} that a transaction has committed wait for ZooKeeper", group.id);
                tokio::time::sleep(HAND_OVER_RETRY).await;
            }
            Err(error) => {
                error!(target: LOG, "Offsets of group {} that a transaction has committed are lost: {error}", group.id);
                break;
            }
        }
    }
    errand.report(|owned, step| owned.shard.handed_over(&group, partitions, step));
}
