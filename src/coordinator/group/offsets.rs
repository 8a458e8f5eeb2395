//! Committed offsets, and how the group coordinator keeps them outside of `__consumer_offsets`.
//!
//! The group machine judges a commit (member, generation, size of the metadata). What it accepts goes where the
//! cluster's [`OffsetsStorage`] says:
//!
//! - [`OffsetsStorage::Kafka`]: into `__consumer_offsets` and the memory of the group, as in Apache Kafka;
//! - [`OffsetsStorage::ZooKeeper`]: through an [`OffsetStore`]. Membership stays in `__consumer_offsets`, and so do
//!   transactional offsets until their transaction commits; then the driver hands them to the store, and writes
//!   tombstones for them once the store has them. A load that finds committed ones without a tombstone hands them over
//!   again.
//!
//! Version 0 of OffsetCommit and OffsetFetch goes to the store in both modes.

use crate::common::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use bytestring::ByteString;
use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;

pub use crate::zk::offsets::Fence;
pub use crate::zk::offsets_storage::OffsetsStorage;

/// The offset that a group has committed for a partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommittedOffset {
    /// The next record to consume.
    pub offset: Offset,
    /// Epoch of the last consumed record's leader (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// Whatever the consumer wants to remember; empty for none.
    pub metadata: ByteString,
    /// When it was committed.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the commit said so (OffsetCommit v2-4); else the retention of the group decides (KIP-211).
    pub expire_timestamp_ms: Option<i64>,
}

/// Why a store did not do what it was asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OffsetStoreError {
    /// It cannot be reached at the moment: the client may try again.
    Unavailable,
    /// A name that cannot be stored (a group called `a/b` is no znode).
    InvalidName,
    /// The store holds something unreadable in that place.
    Corrupt,
    /// Larger than the store can hold.
    TooLarge,
    /// Old consumers, which coordinate through the store, are active in the group.
    InUse,
    /// Another broker coordinates the group by now.
    NotCoordinator,
}

impl OffsetStoreError {
    /// What the client is told.
    pub fn code(&self) -> ErrorCode {
        match self {
            OffsetStoreError::Unavailable => ErrorCode::CoordinatorNotAvailable,
            OffsetStoreError::InvalidName => ErrorCode::InvalidGroupId,
            OffsetStoreError::Corrupt => ErrorCode::UnknownServerError,
            OffsetStoreError::TooLarge => ErrorCode::InvalidCommitOffsetSize,
            OffsetStoreError::InUse => ErrorCode::NonEmptyGroup,
            OffsetStoreError::NotCoordinator => ErrorCode::NotCoordinator,
        }
    }
}

impl fmt::Display for OffsetStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OffsetStoreError::Unavailable => "the store of offsets is not available",
            OffsetStoreError::InvalidName => "the store of offsets cannot hold this name",
            OffsetStoreError::Corrupt => "the store of offsets holds something unreadable",
            OffsetStoreError::TooLarge => "the store of offsets does not hold anything so large",
            OffsetStoreError::InUse => "old consumers are active in the group",
            OffsetStoreError::NotCoordinator => "another broker coordinates the group",
        })
    }
}

/// Which offsets of a group have expired (KIP-211).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExpiryRule {
    /// Now.
    pub now_ms: i64,
    /// `offsets.retention.minutes`.
    pub retention_ms: i64,
    /// Retention counts from here if the group has become empty; none: from each commit.
    pub since_ms: Option<i64>,
    /// Topics that the members consume: their offsets stay.
    pub subscribed_topics: HashSet<ByteString>,
}

impl ExpiryRule {
    /// True if `committed` has expired.
    pub fn is_expired(&self, topic: &str, committed: &CommittedOffset) -> bool {
        if self.subscribed_topics.contains(topic) {
            return false;
        }
        match committed.expire_timestamp_ms {
            Some(expires) => self.now_ms >= expires,
            None => {
                let base = self.since_ms.unwrap_or(committed.commit_timestamp_ms);
                self.now_ms.saturating_sub(base) >= self.retention_ms
            }
        }
    }
}

/// What a store's call gives, later.
pub type Stored<T> = Pin<Box<dyn Future<Output = Result<T, OffsetStoreError>> + Send>>;

/// A place for committed offsets outside of `__consumer_offsets`. Calls for one group come in order: the coordinator
/// awaits one write before it begins the next of the same partitions. The caller puts a time limit on every call.
///
/// Whoever writes as a coordinator says as which leader, in which epoch, and is refused once another one has followed
/// ([`OffsetStoreError::NotCoordinator`]). The epoch is that in which the write was judged to be right, not the one of
/// the call.
pub trait OffsetStore: Send + Sync {
    /// Stores offsets; a result for each, in order. The outer error means that none was stored. Without a fence: for
    /// clients that know no coordinators.
    fn commit(
        &self,
        group: ByteString,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        fence: Option<Fence>,
    ) -> Stored<Vec<Result<(), OffsetStoreError>>>;

    /// As [`OffsetStore::commit`], of offsets that were committed before, in a transaction: each keeps its time to the
    /// millisecond, so that it can be told from the one before it.
    fn hand_over(
        &self,
        group: ByteString,
        offsets: Vec<(TopicPartition, CommittedOffset)>,
        fence: Fence,
    ) -> Stored<Vec<Result<(), OffsetStoreError>>>;

    /// The offsets of `partitions`, in order, none where there is none.
    fn fetch(
        &self,
        group: ByteString,
        partitions: Vec<TopicPartition>,
    ) -> Stored<Vec<Result<Option<CommittedOffset>, OffsetStoreError>>>;

    /// Everything that the group has committed.
    fn fetch_all(&self, group: ByteString) -> Stored<Vec<(TopicPartition, CommittedOffset)>>;

    /// Deletes offsets; gives how many there were.
    fn delete(&self, group: ByteString, partitions: Vec<TopicPartition>, fence: Fence) -> Stored<usize>;

    /// Deletes all offsets of the group; gives how many there were.
    fn delete_group(&self, group: ByteString, fence: Fence) -> Stored<usize>;

    /// Deletes what has expired, unless old consumers (those that coordinate through the store) are active in the
    /// group. Gives how many offsets are left.
    fn remove_expired(&self, group: ByteString, rule: ExpiryRule, fence: Fence) -> Stored<usize>;

    /// Names of groups that have offsets.
    fn groups(&self) -> Stored<Vec<ByteString>>;
}
