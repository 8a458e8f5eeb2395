//! Committed offsets in ZooKeeper, as the store of the group coordinator and of version 0 of OffsetCommit and
//! OffsetFetch. How they stand there is [`crate::zk::offsets`]'s.
//!
//! While one round of writes is under way, the commits that arrive wait, whoever sends them; the next round takes them
//! all together. So a slow ensemble makes larger transactions, not a longer line, and commits of one partition take
//! effect in the order of their arrival.

mod writer;

use super::group::offsets::{CommittedOffset, ExpiryRule, Fence, OffsetStore, OffsetStoreError, Stored};
use crate::common::{ErrorCode, TopicPartition};
use crate::zk::offsets::{self, Fences, Found, StoredOffset, WriteError};
use crate::zk::{NodeError, ZkClient, ZkError};
use bytestring::ByteString;
use log::{error, warn};
use std::sync::Arc;
use std::time::Duration;
use writer::Writer;

const LOG: &str = "kafka.coordinator.group.ZooKeeperOffsets";

/// The store.
pub struct ZooKeeperOffsets {
    zk: ZkClient,
    fences: Arc<Fences>,
    writer: Writer,
}

impl ZooKeeperOffsets {
    /// Starts the task that writes, on the runtime of the caller. Nothing waits longer than `patience` for ZooKeeper
    /// (`offsets.commit.timeout.ms`).
    pub fn start(zk: &ZkClient, patience: Duration) -> ZooKeeperOffsets {
        let zk = zk.with_patience(patience);
        let fences = Arc::new(Fences::default());
        ZooKeeperOffsets { writer: Writer::start(zk.clone(), Arc::clone(&fences)), fences, zk }
    }
}

/// What is said about a failure, and what the caller hears.
fn failed(what: &str, group: &str, error: &ZkError) -> OffsetStoreError {
    match error.cause() {
        ZkError::TooLarge { .. } => OffsetStoreError::TooLarge,
        ZkError::BadArgument(_) => OffsetStoreError::InvalidName,
        ZkError::RequestTimeout | ZkError::ConnectionLoss | ZkError::SessionExpired | ZkError::Closed => {
            warn!(target: LOG, "Cannot {what} the offsets of group {group}: {error}");
            OffsetStoreError::Unavailable
        }
        _ => {
            error!(target: LOG, "Cannot {what} the offsets of group {group}: {error}");
            OffsetStoreError::Unavailable
        }
    }
}

fn not_written(what: &str, group: &str, error: &WriteError) -> OffsetStoreError {
    match error {
        WriteError::Zk(error) => failed(what, group, error),
        WriteError::Fenced => {
            warn!(target: LOG, "Did not {what} the offsets of group {group}: {error}");
            OffsetStoreError::NotCoordinator
        }
    }
}

fn to_stored(committed: &CommittedOffset) -> StoredOffset {
    StoredOffset {
        offset: committed.offset,
        leader_epoch: committed.leader_epoch,
        metadata: committed.metadata.to_string(),
        commit_timestamp_ms: committed.commit_timestamp_ms,
        expire_timestamp_ms: committed.expire_timestamp_ms,
    }
}

fn to_committed(found: Found) -> CommittedOffset {
    let stored = found.stored;
    CommittedOffset {
        offset: stored.offset,
        leader_epoch: stored.leader_epoch,
        metadata: stored.metadata.into(),
        commit_timestamp_ms: stored.commit_timestamp_ms,
        expire_timestamp_ms: stored.expire_timestamp_ms,
    }
}

impl ZooKeeperOffsets {
    fn write(
        &self,
        group: ByteString,
        (offsets, keeps_time): (&[(TopicPartition, CommittedOffset)], bool),
        fence: Option<Fence>,
    ) -> Stored<Vec<Result<(), OffsetStoreError>>> {
        let commits = offsets.iter().map(|(partition, committed)| offsets::Commit {
            group: group.to_string(),
            partition: partition.clone(),
            offset: to_stored(committed),
            keeps_time,
            fence,
        });
        let written = self.writer.write(commits.collect());
        Box::pin(async move {
            let results = written.await.map_err(|error| failed("commit", &group, &error))?;
            let mut said = None;
            let told = results.into_iter().map(|result| {
                result.map_err(|error| match &said {
                    // Once for all that failed alike.
                    Some((earlier, answer)) if *earlier == error => OffsetStoreError::clone(answer),
                    _ => {
                        let answer = not_written("commit", &group, &error);
                        said = Some((error, answer.clone()));
                        answer
                    }
                })
            });
            Ok(told.collect())
        })
    }
}

impl OffsetStore for ZooKeeperOffsets {
    fn commit(
        &self,
        group: ByteString,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        fence: Option<Fence>,
    ) -> Stored<Vec<Result<(), OffsetStoreError>>> {
        self.write(group, (&offsets, false), fence)
    }

    fn hand_over(
        &self,
        group: ByteString,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        fence: Fence,
    ) -> Stored<Vec<Result<(), OffsetStoreError>>> {
        self.write(group, (&offsets, true), Some(fence))
    }

    fn fetch(
        &self,
        group: ByteString,
        partitions: Vec<TopicPartition>,
    ) -> Stored<Vec<Result<Option<CommittedOffset>, OffsetStoreError>>> {
        let zk = self.zk.clone();
        Box::pin(async move {
            let found = offsets::read(&zk, &group, &partitions).await;
            let found = found.map_err(|error| failed("fetch", &group, &error))?;
            let told = found.into_iter().zip(&partitions).map(|(found, partition)| match found {
                Ok(found) => Ok(found.map(to_committed)),
                Err(NodeError::Zk(error)) => Err(failed("fetch", &group, &error)),
                Err(NodeError::Data(error)) => {
                    error!(target: LOG, "The offset of group {group} for {partition} cannot be read: {error}");
                    Err(OffsetStoreError::Corrupt)
                }
            });
            Ok(told.collect())
        })
    }

    fn fetch_all(&self, group: ByteString) -> Stored<Vec<(TopicPartition, CommittedOffset)>> {
        let zk = self.zk.clone();
        Box::pin(async move {
            let all = offsets::read_all(&zk, &group).await;
            let all = all.map_err(|error| failed("fetch", &group, &error))?;
            Ok(all.into_iter().map(|(key, found)| (key, to_committed(found))).collect())
        })
    }

    fn delete(&self, group: ByteString, partitions: Vec<TopicPartition>, fence: Fence) -> Stored<usize> {
        let (zk, fences) = (self.zk.clone(), Arc::clone(&self.fences));
        Box::pin(async move {
            let deleted = offsets::delete(&zk, &fences, Some(fence), &group, &partitions).await;
            deleted.map_err(|error| not_written("delete", &group, &error))
        })
    }

    fn delete_group(&self, group: ByteString, fence: Fence) -> Stored<usize> {
        let (zk, fences) = (self.zk.clone(), Arc::clone(&self.fences));
        Box::pin(async move {
            let work = async {
                match offsets::has_live_consumers(&zk, &group).await? {
                    true => Ok(None),
                    false => offsets::delete_group(&zk, &fences, Some(fence), &group).await.map(Some),
                }
            };
            match work.await.map_err(|error| not_written("delete", &group, &error))? {
                Some(count) => Ok(count),
                None => Err(OffsetStoreError::InUse),
            }
        })
    }

    fn remove_expired(&self, group: ByteString, rule: ExpiryRule, fence: Fence) -> Stored<usize> {
        let (zk, fences) = (self.zk.clone(), Arc::clone(&self.fences));
        Box::pin(async move {
            let is_expired = |key: &TopicPartition, found: &Found| is_expired(&rule, key, found);
            let expired = offsets::remove_expired(&zk, &fences, Some(fence), &group, is_expired).await;
            expired.map(|expired| expired.left).map_err(|error| not_written("expire", &group, &error))
        })
    }

    fn groups(&self) -> Stored<Vec<ByteString>> {
        let zk = self.zk.clone();
        Box::pin(async move {
            let groups = offsets::groups(&zk).await.map_err(|error| failed("list", "any", &error))?;
            Ok(groups.into_iter().map(ByteString::from).collect())
        })
    }
}

/// As in Kafka, but for plain numbers in a group that never had members here: those belong to old consumers, which
/// write only what has changed, and whose offsets have never expired.
fn is_expired(rule: &ExpiryRule, key: &TopicPartition, found: &Found) -> bool {
    let is_of_old_consumers =
        !found.has_details && rule.since_ms.is_none() && rule.subscribed_topics.is_empty();
    !is_of_old_consumers && rule.is_expired(&key.topic, &to_committed(found.clone()))
}

/// The answer of version 0 of OffsetCommit, which knows no coordinators, to what the store says. Kafka 2.8.2 tells a
/// failure of ZooKeeper as an unknown error.
pub fn v0_code(result: &Result<(), OffsetStoreError>) -> ErrorCode {
    match result {
        Ok(()) => ErrorCode::None,
        Err(OffsetStoreError::Unavailable) => ErrorCode::UnknownServerError,
        Err(other) => other.code(),
    }
}

#[cfg(test)]
mod tests;
