//! What one step of the group machine is given, and what it leaves for the driver to do.

use super::offsets::CommittedOffset;
use crate::common::{ErrorCode, Offset, ProducerEpoch, ProducerId, TopicPartition};
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::messages::sync_group::SyncGroupResponse;
use crate::protocol::stored::group_metadata::GroupMetadataValue;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// The time of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// For deadlines; never goes back.
    pub monotonic_ms: i64,
    /// For what is stored, since 1970.
    pub wall_ms: i64,
}

/// What the machine takes from the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupSettings {
    /// `group.min.session.timeout.ms`.
    pub session_timeout_ms_min: i32,
    /// `group.max.session.timeout.ms`.
    pub session_timeout_ms_max: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub initial_rebalance_delay_ms: i64,
    /// `group.max.size`.
    pub group_size_max: usize,
    /// `offset.metadata.max.bytes`; counted in UTF-16 units, as Kafka does.
    pub metadata_size_max: usize,
    /// `offsets.retention.minutes`.
    pub offsets_retention_ms: i64,
}

/// A request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Caller(pub usize);

/// What a waiting request is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// To JoinGroup.
    Join(Box<JoinGroupResponse>),
    /// To SyncGroup.
    Sync(SyncGroupResponse),
    /// To OffsetCommit and TxnOffsetCommit: the code of all offsets that were stored, or not.
    Commit(ErrorCode),
}

/// A group in the life of one coordinator: what is stored for it must not be taken for its successor's of the same name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GroupRef {
    /// The group's id.
    pub id: ByteString,
    /// Counts the groups of a shard.
    pub incarnation: u64,
}

/// Why the machine wants its group stored.
#[derive(Clone, PartialEq, Debug)]
pub enum Purpose {
    /// The leader's assignments: once stored, the members get them.
    Assignment {
        /// The generation that they are for.
        generation: i32,
        /// By member id.
        assignments: BTreeMap<ByteString, Bytes>,
    },
    /// The last member is gone.
    Empty,
    /// A static member came back under another id while the group was stable.
    StaticMember {
        /// The generation that goes on.
        generation: i32,
        /// The id before.
        old_member_id: ByteString,
        /// The id now.
        new_member_id: ByteString,
        /// What the member supported before.
        old_protocols: Vec<(ByteString, Bytes)>,
        /// The leader before, under its id of then.
        leader: ByteString,
    },
}

/// Offsets that were accepted and are to be stored.
#[derive(Clone, PartialEq, Debug)]
pub struct OffsetsToStore {
    /// Whose.
    pub group: GroupRef,
    /// Which; one for each partition.
    pub offsets: Vec<(TopicPartition, CommittedOffset)>,
    /// The transaction that they are part of.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    /// Who waits.
    pub caller: Caller,
}

/// Something for the driver to do, in order.
#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Answers a request.
    Answer(Caller, Answer),
    /// Stores the group, then reports to `Shard::group_stored`.
    StoreGroup {
        /// Which.
        group: GroupRef,
        /// The record.
        value: GroupMetadataValue,
        /// For `group_stored`.
        purpose: Purpose,
    },
    /// Stores offsets, then reports to `Shard::offsets_stored`.
    StoreOffsets(OffsetsToStore),
    /// Writes tombstones; nobody waits for them.
    Tombstones {
        /// The group's id.
        group: ByteString,
        /// Whose offsets are gone.
        partitions: Vec<TopicPartition>,
        /// The group itself is gone, too.
        group_is_gone: bool,
    },
    /// Offsets of a transaction that has committed, where they are not kept in `__consumer_offsets`: stores them, then
    /// reports to `Shard::handed_over`.
    HandOver {
        /// Whose.
        group: GroupRef,
        /// Which.
        offsets: Vec<(TopicPartition, CommittedOffset)>,
    },
    /// Calls `Shard::tick` for this group at this (monotonic) time.
    Wake {
        /// Which.
        group: ByteString,
        /// When.
        at_ms: i64,
    },
}

/// Why an append to `__consumer_offsets` failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreFailure {
    /// Too few replicas, or the partition is gone.
    Unavailable,
    /// This broker does not lead the partition any more, or its directory failed.
    NotCoordinator,
    /// The replicas took too long.
    TimedOut,
    /// The record is larger than the topic allows.
    TooLarge,
    /// The log refused it.
    Refused(ErrorCode),
}

impl StoreFailure {
    /// What members hear if their group could not be stored.
    pub fn group_code(self) -> ErrorCode {
        match self {
            StoreFailure::Unavailable => ErrorCode::CoordinatorNotAvailable,
            StoreFailure::NotCoordinator => ErrorCode::NotCoordinator,
            StoreFailure::TimedOut => ErrorCode::RebalanceInProgress,
            StoreFailure::TooLarge => ErrorCode::UnknownServerError,
            StoreFailure::Refused(code) => code,
        }
    }

    /// What a committer hears if its offsets could not be stored.
    pub fn offsets_code(self) -> ErrorCode {
        match self {
            StoreFailure::Unavailable => ErrorCode::CoordinatorNotAvailable,
            StoreFailure::NotCoordinator => ErrorCode::NotCoordinator,
            StoreFailure::TimedOut => ErrorCode::RequestTimedOut,
            StoreFailure::TooLarge => ErrorCode::InvalidCommitOffsetSize,
            StoreFailure::Refused(code) => code,
        }
    }
}

/// How an append ended: the offset of its first record.
pub type StoreResult = Result<Offset, StoreFailure>;

/// Time, settings and effects of one step.
pub struct Step<'a> {
    /// Now.
    pub now: Now,
    /// The configuration.
    pub settings: &'a GroupSettings,
    /// What is to be done.
    pub effects: &'a mut Vec<Effect>,
}

impl Step<'_> {
    /// The moment `ms` from now.
    pub(super) fn after(&self, ms: i64) -> i64 {
        self.now.monotonic_ms.saturating_add(ms.max(0))
    }

    pub(super) fn answer_join(&mut self, caller: Caller, response: JoinGroupResponse) {
        self.effects.push(Effect::Answer(caller, Answer::Join(Box::new(response))));
    }

    pub(super) fn refuse_join(&mut self, caller: Caller, member_id: &ByteString, code: ErrorCode) {
        self.answer_join(caller, join_refusal(member_id, code));
    }

    pub(super) fn answer_sync(&mut self, caller: Caller, response: SyncGroupResponse) {
        self.effects.push(Effect::Answer(caller, Answer::Sync(response)));
    }

    pub(super) fn refuse_sync(&mut self, caller: Caller, code: ErrorCode) {
        self.answer_sync(caller, sync_refusal(code));
    }
}

/// A JoinGroup answer that is only an error.
pub fn join_refusal(member_id: &ByteString, code: ErrorCode) -> JoinGroupResponse {
    JoinGroupResponse {
        error_code: code.code(),
        member_id: member_id.clone(),
        protocol_name: None,
        ..Default::default()
    }
}

/// A SyncGroup answer that is only an error.
pub fn sync_refusal(code: ErrorCode) -> SyncGroupResponse {
    SyncGroupResponse { error_code: code.code(), ..Default::default() }
}

/// A text of its own: what outlives a request must not hold its whole frame.
pub(super) fn own_text(text: &ByteString) -> ByteString {
    ByteString::from(&**text)
}

/// Bytes of their own.
pub(super) fn own_bytes(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}
