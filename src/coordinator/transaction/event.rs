//! What goes into the machine and what comes out.
//!
//! `R` is whatever the driver needs to answer a request; the machine hands it back with the answer, once.

use super::partition_set::PartitionSet;
use super::state::TransactionState;
use crate::common::{ErrorCode, LeaderEpoch, ProducerEpoch, ProducerId, TopicPartition};
use bytestring::ByteString;

/// A producer id and its epoch.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Producer {
    /// The id.
    pub id: ProducerId,
    /// The epoch.
    pub epoch: ProducerEpoch,
}

/// A partition of `__transaction_state`, and the leader epoch under which its transactions were loaded: the epoch
/// of the coordinator.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The partition.
    pub partition: i32,
    /// The epoch.
    pub coordinator_epoch: LeaderEpoch,
}

/// A request for a producer id and epoch.
#[derive(Debug)]
pub struct InitProducerId<R> {
    /// Who asks.
    pub reply: R,
    /// Partition of the transactional id.
    pub partition: i32,
    /// The transactional id.
    pub transactional_id: ByteString,
    /// How long its transactions may stay open, in ms.
    pub timeout_ms: i32,
    /// What the producer believes to be (KIP-360).
    pub expected: Option<Producer>,
    /// An unused producer id, once the machine has asked for one.
    pub fresh_id: Option<ProducerId>,
}

/// A request to add partitions to a transaction.
#[derive(Debug)]
pub struct AddPartitions<R> {
    /// Who asks.
    pub reply: R,
    /// Partition of the transactional id.
    pub partition: i32,
    /// The transactional id.
    pub transactional_id: ByteString,
    /// The producer.
    pub producer: Producer,
    /// What it adds.
    pub partitions: PartitionSet,
}

/// A request to end a transaction.
#[derive(Debug)]
pub struct EndTransaction<R> {
    /// Who asks.
    pub reply: R,
    /// Partition of the transactional id.
    pub partition: i32,
    /// The transactional id.
    pub transactional_id: ByteString,
    /// The producer.
    pub producer: Producer,
    /// Commit, else abort.
    pub commit: bool,
}

/// The transaction's producer, or why not.
pub type Answer = Result<Producer, ErrorCode>;

/// Why a record was not committed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendFailure {
    /// Too few replicas, or too slow. The record may be committed all the same, later.
    Unavailable,
    /// This broker leads the partition no more.
    NotLeader,
    /// The log does not take it.
    Refused,
}

impl AppendFailure {
    /// What the client is told.
    pub fn code(self) -> ErrorCode {
        match self {
            AppendFailure::Unavailable => ErrorCode::CoordinatorNotAvailable,
            AppendFailure::NotLeader => ErrorCode::NotCoordinator,
            AppendFailure::Refused => ErrorCode::UnknownServerError,
        }
    }
}

/// What became of a marker in one partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MarkerOutcome {
    /// It is in the log of all in-sync replicas.
    Written,
    /// The partition cannot take it and will not: it is deleted, its format has no transactions, or its log knows
    /// a newer epoch of the producer.
    Skipped,
    /// Not now: no leader, another leader, too few replicas.
    Retry,
    /// A coordinator with a newer epoch was there: this one is not the coordinator any more.
    Fenced,
}

/// The markers that end a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Marker {
    /// Who sends them.
    pub place: Place,
    /// The transactional id.
    pub transactional_id: ByteString,
    /// The producer, with the epoch that the markers carry.
    pub producer: Producer,
    /// Commit, else abort.
    pub commit: bool,
    /// Where they go.
    pub partitions: PartitionSet,
}

/// What happens to the coordinator.
#[derive(Debug)]
pub enum Event<R> {
    /// This broker leads a partition of the transaction log.
    Elected(Place),
    /// The partition is read to the end, and all of it is committed.
    Loaded(Place, Vec<(ByteString, TransactionState)>),
    /// The partition is led by another broker (since the epoch), or gone.
    Resigned(i32, Option<LeaderEpoch>),
    /// A request.
    InitProducerId(InitProducerId<R>),
    /// The producer id that the request needs.
    ProducerId(InitProducerId<R>, Result<ProducerId, ErrorCode>),
    /// A request.
    AddPartitions(AddPartitions<R>),
    /// A request.
    EndTransaction(EndTransaction<R>),
    /// An append of a transaction's record is over.
    Appended(Place, ByteString, Result<(), AppendFailure>),
    /// An append of tombstones is over.
    TombstonesAppended(Place, Vec<ByteString>, Result<(), AppendFailure>),
    /// Some markers were written, or not. Each partition of [`Effect::SendMarkers`] is answered once.
    Marked(Place, ByteString, Vec<(TopicPartition, MarkerOutcome)>),
    /// The wait of [`Effect::SendMarkers`] is over.
    MarkersDue(Marker),
    /// Time to look for transactions that are open too long.
    AbortTimedOut,
    /// Time to look for transactional ids that nobody uses.
    RemoveExpired,
}

/// What the driver is to do.
#[derive(Debug)]
pub enum Effect<R> {
    /// Answer a request.
    Answer(R, Answer),
    /// Get an unused producer id; then [`Event::ProducerId`].
    NewProducerId(InitProducerId<R>),
    /// Read the partition; then [`Event::Loaded`].
    Load(Place),
    /// Forget the partition as it was under this epoch: stop sending its markers.
    Unload(Place),
    /// Append a record; then [`Event::Appended`]. The state's timeout bounds the wait.
    Append {
        /// Where, and under which epoch only.
        place: Place,
        /// The key.
        transactional_id: ByteString,
        /// The value.
        state: Box<TransactionState>,
        /// Wait before, in ms.
        after_ms: i64,
    },
    /// Append tombstones; then [`Event::TombstonesAppended`].
    AppendTombstones(Place, Vec<ByteString>),
    /// Write markers; then one [`Event::Marked`] or several. With a wait in ms: first [`Event::MarkersDue`].
    SendMarkers(Marker, i64),
}

/// Who waits for a record.
#[derive(Debug)]
pub enum Reply<R> {
    /// Somebody who gets the transaction's producer.
    Producer(R),
    /// Somebody whose predecessor had to be fenced first: shall come again.
    ComeAgain(R),
}

impl<R> Reply<R> {
    /// The answer once the record is committed, or not.
    pub fn answer(self, outcome: Answer) -> Effect<R> {
        match self {
            Reply::Producer(reply) => Effect::Answer(reply, outcome),
            Reply::ComeAgain(reply) => {
                Effect::Answer(reply, outcome.and(Err(ErrorCode::ConcurrentTransactions)))
            }
        }
    }
}
