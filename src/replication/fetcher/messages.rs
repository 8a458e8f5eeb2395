//! What the machine of a fetcher asks and is told, and what it needs of the logs.

use super::session::SessionFetch;
use super::truncation::EpochEnd;
use crate::common::{ErrorCode, LeaderEpoch, Offset, TopicPartition};
use bytes::Bytes;

/// How a follower's log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LogView {
    /// Its first offset.
    pub log_start_offset: Offset,
    /// Offset after its last record.
    pub log_end_offset: Offset,
    /// What it knows to be committed.
    pub high_watermark: Offset,
    /// Its latest leader epoch; none if it is empty or of an older message format.
    pub latest_epoch: Option<LeaderEpoch>,
}

/// Why a log was not changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogFailure {
    /// The replica does not follow in that leader epoch any more.
    NotFollowing,
    /// Its directory is offline.
    Storage,
    /// The records are not what they should be.
    Rejected(String),
}

/// What a leader sent for one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The log end for which it was asked.
    pub fetch_offset: Offset,
    /// Batches; the last one may be cut off.
    pub records: Bytes,
    /// The leader's.
    pub high_watermark: Offset,
    /// The leader's; -1 from one that does not tell.
    pub log_start_offset: Offset,
}

/// The log of a replica. Every call says in which leader epoch the caller believes the replica to follow; in another
/// one nothing is done.
pub trait FollowerLog {
    /// How it stands.
    fn look(&self, leader_epoch: LeaderEpoch) -> Result<LogView, LogFailure>;

    /// The largest epoch that is not above `epoch`, and where it ends.
    fn end_offset_for_epoch(
        &self,
        leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, LogFailure>;

    /// Appends; then takes high watermark and log start over, as far as its own log reaches.
    fn append(&self, leader_epoch: LeaderEpoch, fetched: &Fetched) -> Result<LogView, LogFailure>;

    /// Cuts off what is at and above `offset`.
    fn truncate_to(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure>;

    /// Drops everything and goes on at `offset`.
    fn restart_at(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure>;
}

/// Whether a partition may use the follower's share of the network (KIP-73).
pub trait Throttle {
    /// True if the partition is listed as throttled and too much was replicated lately.
    fn holds_back(&self, name: &TopicPartition) -> bool;
}

/// What never holds back.
impl Throttle for () {
    fn holds_back(&self, _: &TopicPartition) -> bool {
        false
    }
}

/// Asks for the end of an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EpochQuestion {
    /// The partition.
    pub name: TopicPartition,
    /// In which it follows.
    pub current_leader_epoch: LeaderEpoch,
    /// Its latest.
    pub leader_epoch: LeaderEpoch,
}

/// Asks for the end or the start of the leader's log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OffsetQuestion {
    /// The partition.
    pub name: TopicPartition,
    /// In which it follows.
    pub current_leader_epoch: LeaderEpoch,
    /// The start (-2), else the end (-1).
    pub earliest: bool,
}

/// A fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchQuestion {
    /// Session, partitions.
    pub session: SessionFetch,
    /// For how long the leader may hold it.
    pub wait_ms_max: i64,
}

/// What to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// OffsetForLeaderEpoch.
    Epochs(Vec<EpochQuestion>),
    /// ListOffsets.
    Offsets(Vec<OffsetQuestion>),
    /// Fetch.
    Fetch(FetchQuestion),
    /// Nothing, until this time or for ever, or until partitions come.
    Wait(Option<i64>),
}

/// The leader's answer for one partition of a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchedPartition {
    /// The partition.
    pub name: TopicPartition,
    /// What went wrong there.
    pub error: ErrorCode,
    /// -1 if unknown.
    pub high_watermark: Offset,
    /// -1 if unknown.
    pub log_start_offset: Offset,
    /// Cut here first.
    pub diverging: Option<EpochEnd>,
    /// Batches.
    pub records: Bytes,
}

/// The answer to a fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FetchAnswer {
    /// What went wrong altogether.
    pub error: ErrorCode,
    /// 0: none.
    pub session_id: i32,
    /// In the leader's order.
    pub partitions: Vec<FetchedPartition>,
}
