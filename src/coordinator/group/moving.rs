//! Where the offsets of a partition's groups are, and moving them when the cluster is told to.
//!
//! It happens while the partition is loaded: no commit is accepted then. What was copied is read back before the
//! partition is marked as moved; until then the old place holds the truth. See [`crate::zk::offsets_move`].

use super::coordinator::{GroupCoordinator, LOG};
use super::load::Loader;
use super::offsets::{CommittedOffset, Fence, OffsetStoreError, OffsetsStorage};
use super::slot::Slot;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::common::{BrokerId, LeaderEpoch, TopicPartition, clock, java_hash};
use crate::replication::{Partition, PartitionError};
use crate::zk::data::TopicAssignment;
use crate::zk::data::offsets_moved::OffsetsMoved;
use crate::zk::offsets_move::{self, Place};
use crate::zk::{NodeError, ZkClient, paths};
use bytes::Bytes;
use bytestring::ByteString;
use log::{error, info, warn};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Offsets of one batch, or of one call of the store.
const CHUNK: usize = 500;
/// Attempts to copy before the partition is served from where its offsets are; it is tried again later.
const ATTEMPTS_MAX: u32 = 5;
const RETRY: Duration = Duration::from_secs(1);

/// Who knows where offsets are.
#[derive(Clone)]
pub enum OffsetPlaces {
    /// Always here.
    Fixed(OffsetsStorage),
    /// As the cluster has recorded it.
    Recorded {
        /// The session.
        zk: ZkClient,
        /// For the marks.
        broker_id: BrokerId,
        /// What the record said at the start.
        at_start: OffsetsStorage,
    },
}

impl OffsetPlaces {
    /// Where they are before any partition was loaded.
    pub fn at_start(&self) -> OffsetsStorage {
        match self {
            OffsetPlaces::Fixed(storage) | OffsetPlaces::Recorded { at_start: storage, .. } => *storage,
        }
    }
}

/// Why offsets could not be moved.
enum MoveError {
    Store(OffsetStoreError),
    Log(PartitionError),
    /// What came back is not what went there.
    Lost(String),
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MoveError::Store(error) => error.fmt(f),
            MoveError::Log(error) => error.fmt(f),
            MoveError::Lost(what) => f.write_str(what),
        }
    }
}

impl From<OffsetStoreError> for MoveError {
    fn from(error: OffsetStoreError) -> MoveError {
        MoveError::Store(error)
    }
}

/// A partition that is being loaded.
pub(super) struct Loading<'a> {
    pub(super) slot: &'a Slot,
    pub(super) log: &'a Arc<Partition>,
    pub(super) load: u64,
}

impl GroupCoordinator {
    /// Where the groups of the partition have their offsets, moved first if they are to be; none if the load is over.
    pub(super) async fn settle_place(
        &self,
        loading: &Loading<'_>,
        loader: &mut Loader,
    ) -> Option<OffsetsStorage> {
        let (zk, broker) = match &self.places {
            OffsetPlaces::Fixed(storage) => return Some(*storage),
            OffsetPlaces::Recorded { zk, broker_id, .. } => (zk, *broker_id),
        };
        let partition = loading.slot.partition;
        let mut attempts = 0;
        // As whom: a replica that dies gives this leader a new epoch, and what was begun under the old one is refused.
        while let Some(fence) = loading.slot.fence_of(loading.load) {
            let place = match offsets_move::place_of(zk, partition).await {
                // Without a record the brokers are about to write it again.
                Ok(found) => found,
                Err(failed) => {
                    warn!(target: LOG, "Cannot read where the offsets of {} are: {failed}", loading.log.name);
                    None
                }
            };
            let Some(place) = place else {
                tokio::time::sleep(RETRY).await;
                continue;
            };
            let Some(to) = place.move_to else { return Some(place.storage) };
            attempts += 1;
            match self.move_and_mark(zk, (broker, place, to), (loading, fence), loader).await {
                Ok(true) => return Some(to),
                Ok(false) => {}
                Err(_) if loading.slot.fence_of(loading.load) != Some(fence) => attempts -= 1,
                Err(failed) if attempts >= ATTEMPTS_MAX => {
                    error!(target: LOG, "Cannot move the offsets of {} to {}: {failed}; they stay in {} for now",
                        loading.log.name, to.name(), place.storage.name());
                    return Some(place.storage);
                }
                Err(failed) => {
                    warn!(target: LOG, "Cannot move the offsets of {} to {} yet: {failed}", loading.log.name, to.name());
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        None
    }

    /// False: the record has changed, look again.
    async fn move_and_mark(
        &self,
        zk: &ZkClient,
        (broker, place, to): (BrokerId, Place, OffsetsStorage),
        (loading, fence): (&Loading<'_>, Fence),
        loader: &mut Loader,
    ) -> Result<bool, MoveError> {
        let partition = loading.slot.partition;
        let (groups, offsets) = match to {
            OffsetsStorage::Kafka => {
                let partitions = count_partitions(zk).await?;
                self.move_to_log(partitions, (loading, fence), loader).await?
            }
            OffsetsStorage::ZooKeeper => self.move_to_store(fence, loader).await?,
        };
        let moved = OffsetsMoved { storage: to, broker, groups, offsets };
        let marked = offsets_move::mark_moved(zk, fence, place, &moved).await;
        let marked = marked.map_err(|error| {
            warn!(target: LOG, "Cannot mark partition {partition} as moved: {error}");
            OffsetStoreError::Unavailable
        })?;
        if marked {
            info!(target: LOG, "Moved {offsets} offsets of {groups} groups of {} to {}", loading.log.name, to.name());
        }
        Ok(marked)
    }

    async fn append_for_move(
        &self,
        loading: &Loading<'_>,
        leader_epoch: LeaderEpoch,
        batch: Bytes,
    ) -> Result<i64, MoveError> {
        let appended = loading.log.append_as_coordinator(batch, leader_epoch, self.commit_timeout_ms).await;
        appended.map(|appended| appended.base_offset).map_err(MoveError::Log)
    }

    /// Into `__consumer_offsets`: what ZooKeeper has, unless a transaction has committed something later.
    async fn move_to_log(
        &self,
        partitions: i32,
        (loading, fence): (&Loading<'_>, Fence),
        loader: &mut Loader,
    ) -> Result<(usize, usize), MoveError> {
        let (mut groups, mut count) = (0, 0);
        for group in self.store.groups().await? {
            if java_hash::partition_of(&group, partitions) != loading.slot.partition {
                continue;
            }
            let mut offsets = self.store.fetch_all(group.clone()).await?;
            offsets.retain(|(partition, committed)| {
                let known = loader.committed(&group, partition);
                known.is_none_or(|known| known.commit_timestamp_ms <= committed.commit_timestamp_ms)
            });
            groups += usize::from(!offsets.is_empty());
            count += offsets.len();
            for chunk in offsets.chunks(CHUNK) {
                let batch = self.format.offsets_batch(&group, chunk, None, clock::now_ms());
                let batch = batch.map_err(|error| MoveError::Lost(format!("group {group}: {error:?}")))?;
                let base_offset = self.append_for_move(loading, fence.leader_epoch, batch).await?;
                loader.import(&group, chunk, base_offset);
            }
        }
        Ok((groups, count))
    }

    /// Into ZooKeeper: what `__consumer_offsets` has. The copies in the log are taken back once the partition is in use
    /// there, as with every load that finds some.
    async fn move_to_store(&self, fence: Fence, loader: &Loader) -> Result<(usize, usize), MoveError> {
        let all: Vec<(ByteString, Vec<(TopicPartition, CommittedOffset)>)> = loader.all_committed();
        let mut count = 0;
        for (group, offsets) in &all {
            for chunk in offsets.chunks(CHUNK) {
                let stored = self.store.commit(group.clone(), chunk.to_vec(), Some(fence)).await?;
                stored.into_iter().collect::<Result<Vec<()>, _>>()?;
                let partitions = chunk.iter().map(|(partition, _)| partition.clone()).collect();
                let found = self.store.fetch(group.clone(), partitions).await?;
                for ((partition, committed), found) in chunk.iter().zip(found) {
                    // Another number means that somebody has written it since, which is his right.
                    if found?.is_none() {
                        let what =
                            format!("group {group}: {} of {partition} was not found again", committed.offset);
                        return Err(MoveError::Lost(what));
                    }
                }
            }
            count += offsets.len();
        }
        Ok((all.len(), count))
    }

    /// Loads again every partition whose offsets are not where they should be by now.
    pub fn reconsider_places(self: &Arc<Self>, expected: OffsetsStorage) {
        for slot in self.all_slots() {
            if slot.read(|shard| shard.storage() != expected).unwrap_or(false)
                && let Some((load, log, due)) = slot.restart(&self.settings)
            {
                info!(target: LOG, "The offsets of {} are to be moved to {}", log.name, expected.name());
                self.serve(&slot, due);
                self.begin_load(&slot, log, load);
            }
        }
    }
}

/// As the topic says itself; the configuration may say otherwise.
async fn count_partitions(zk: &ZkClient) -> Result<i32, MoveError> {
    let read = async {
        let found = zk.get(&paths::topic(GROUP_METADATA_TOPIC)).await?;
        let topic = found.map(|(data, _)| TopicAssignment::decode(&data)).transpose()?;
        Ok::<_, NodeError>(topic.map_or(0, |topic| topic.partitions.len() as i32))
    };
    match read.await {
        Ok(count @ 1..) => Ok(count),
        Ok(_) => Err(MoveError::Lost(format!("{GROUP_METADATA_TOPIC} has no partitions"))),
        Err(error) => Err(MoveError::Lost(error.to_string())),
    }
}
