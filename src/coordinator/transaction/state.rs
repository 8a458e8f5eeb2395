//! One transactional id: what the log says of it, and the change that is under way.
//!
//! Invariants:
//! - `state` is what was committed to the log last, with two exceptions that the log confirms before anybody
//!   is told: an epoch that fences a producer holds in memory at once, and partitions leave the set when
//!   their marker is written (after a restart they get another one).
//! - At most one change is pending; nothing else begins until it is over.
//! - A prepared transaction always has something pending: its markers, then its last record.
//!
//! Source: Kafka 2.8.2, `TransactionMetadata.scala`.

use super::event::{Producer, Reply};
use super::partition_set::PartitionSet;
use super::status::Status;
use crate::common::ids::NO_PRODUCER_ID;
use crate::common::{ErrorCode, ProducerEpoch, ProducerId};

/// "No epoch yet", and "no last epoch".
pub const NO_PRODUCER_EPOCH: ProducerEpoch = -1;
/// Without a transaction since the last epoch.
pub const NO_TIMESTAMP: i64 = -1;

/// What a record in the log says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransactionState {
    /// The producer id.
    pub producer_id: ProducerId,
    /// Its epoch.
    pub producer_epoch: ProducerEpoch,
    /// How long a transaction may stay open, in ms.
    pub timeout_ms: i32,
    /// Where the transaction stands.
    pub status: Status,
    /// The partitions that it touches.
    pub partitions: PartitionSet,
    /// Time of the last change.
    pub last_update_ms: i64,
    /// Time of the first partition, -1 without.
    pub start_ms: i64,
}

/// A change, as it will be once its record is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// The record.
    pub state: TransactionState,
    /// See [`Transaction::last_producer_id`].
    pub last_producer_id: ProducerId,
    /// See [`Transaction::last_producer_epoch`].
    pub last_producer_epoch: ProducerEpoch,
}

/// What is under way.
#[derive(Debug)]
pub enum Pending<R> {
    /// The record of a change is being appended; who waits for it.
    Record(Box<Change>, Option<Reply<R>>),
    /// Markers are being written to the partitions that are left in the state.
    Markers,
    /// A tombstone is being appended.
    Tombstone,
}

/// A transactional id in memory.
#[derive(Debug)]
pub struct Transaction<R> {
    /// What the log says.
    pub state: TransactionState,
    /// The producer id before the current one, if its epochs were used up; memory only.
    pub last_producer_id: ProducerId,
    /// The epoch that the producer gave in exchange for the current one (KIP-360), -1 if it gave none; memory only.
    pub last_producer_epoch: ProducerEpoch,
    /// The epoch was raised to fence a producer, and the record of that may not be in the log: it is not raised again.
    pub failed_epoch_fence: bool,
    /// The change that is under way.
    pub pending: Option<Pending<R>>,
}

/// What InitProducerId leads to.
#[derive(Debug)]
pub enum Initialization {
    /// A new epoch or producer id.
    Change(Change),
    /// Epochs are used up: a new producer id is needed first.
    NeedsProducerId,
    /// An open transaction must be aborted first.
    Fence,
}

/// The client never gets the last epoch: it is left for fencing.
pub fn is_epoch_exhausted(epoch: ProducerEpoch) -> bool {
    epoch >= ProducerEpoch::MAX - 1
}

impl<R> Transaction<R> {
    /// A transactional id that nobody has used, not yet in the log.
    pub fn new(producer_id: ProducerId, timeout_ms: i32, now_ms: i64) -> Transaction<R> {
        Transaction::loaded(TransactionState {
            producer_id,
            producer_epoch: NO_PRODUCER_EPOCH,
            timeout_ms,
            status: Status::Empty,
            partitions: PartitionSet::default(),
            last_update_ms: now_ms,
            start_ms: NO_TIMESTAMP,
        })
    }

    /// As a record has it.
    pub fn loaded(state: TransactionState) -> Transaction<R> {
        Transaction {
            state,
            last_producer_id: NO_PRODUCER_ID,
            last_producer_epoch: NO_PRODUCER_EPOCH,
            failed_epoch_fence: false,
            pending: None,
        }
    }

    /// True if nothing of this id has ever been committed.
    pub fn is_new(&self) -> bool {
        self.state.producer_epoch == NO_PRODUCER_EPOCH
    }

    /// The producer that may write.
    pub fn producer(&self) -> Producer {
        Producer { id: self.state.producer_id, epoch: self.state.producer_epoch }
    }

    /// What InitProducerId does here. `expected` is what the producer believes to be (KIP-360), `fresh_id` an
    /// unused producer id if one was asked for.
    pub fn initialize(
        &self,
        expected: Option<Producer>,
        fresh_id: Option<ProducerId>,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Result<Initialization, ErrorCode> {
        if self.pending.is_some() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        if expected.is_some_and(|expected| !self.is_known(expected)) {
            return Err(ErrorCode::ProducerFenced);
        }
        match self.state.status {
            Status::Empty | Status::CompleteCommit | Status::CompleteAbort => {}
            // Kafka lets a fenced producer abort the transaction of the one that fenced it.
            Status::Ongoing if expected.is_some_and(|expected| expected != self.producer()) => {
                return Err(ErrorCode::ProducerFenced);
            }
            Status::Ongoing => return Ok(Initialization::Fence),
            _ => return Err(ErrorCode::ConcurrentTransactions),
        }
        let epoch = self.state.producer_epoch;
        let is_current = expected.is_none_or(|expected| self.is_new() || expected.epoch == epoch);
        if !is_current {
            // The same call again, whose answer was lost: nobody else came in between, or `last` would be -1.
            return match expected {
                Some(expected) if expected.epoch == self.last_producer_epoch => {
                    let change = self.renewed(self.producer(), self.last_producer_epoch, timeout_ms, now_ms);
                    Ok(Initialization::Change(change))
                }
                _ => Err(ErrorCode::ProducerFenced),
            };
        }
        let last_epoch = if expected.is_some() { epoch } else { NO_PRODUCER_EPOCH };
        if !is_epoch_exhausted(epoch) {
            let next = Producer { id: self.state.producer_id, epoch: epoch + 1 };
            return Ok(Initialization::Change(self.renewed(next, last_epoch, timeout_ms, now_ms)));
        }
        let Some(id) = fresh_id else { return Ok(Initialization::NeedsProducerId) };
        let next = Producer { id, epoch: 0 };
        Ok(Initialization::Change(self.renewed(next, last_epoch, timeout_ms, now_ms)))
    }

    /// True if `expected` is or was the producer here. Of the id before only the last epoch counts: that of a producer
    /// that did not hear of its new id.
    fn is_known(&self, expected: Producer) -> bool {
        self.is_new()
            || expected.id == self.state.producer_id
            || (expected.id == self.last_producer_id && is_epoch_exhausted(expected.epoch))
    }

    fn renewed(
        &self,
        producer: Producer,
        last_producer_epoch: ProducerEpoch,
        timeout_ms: i32,
        now_ms: i64,
    ) -> Change {
        let state = TransactionState {
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            timeout_ms,
            status: Status::Empty,
            partitions: PartitionSet::default(),
            last_update_ms: now_ms,
            start_ms: NO_TIMESTAMP,
        };
        Change { state, last_producer_id: self.state.producer_id, last_producer_epoch }
    }

    /// The transaction with more partitions. One that has them already is written all the same (Kafka answers at
    /// once): a coordinator that was replaced and does not know it would send the producer to partitions where nobody
    /// ends its transaction.
    pub fn add_partitions(
        &self,
        producer: Producer,
        added: &PartitionSet,
        now_ms: i64,
    ) -> Result<Change, ErrorCode> {
        self.check_producer(producer)?;
        if self.pending.is_some() || self.state.status.is_prepared() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        let mut change = self.changed(Status::Ongoing, now_ms);
        change.state.partitions.extend(added);
        if self.state.status != Status::Ongoing {
            change.state.start_ms = now_ms;
        }
        Ok(change)
    }

    /// The transaction decided; none if it has ended that way.
    pub fn end(&self, producer: Producer, commit: bool, now_ms: i64) -> Result<Option<Change>, ErrorCode> {
        self.check_producer(producer)?;
        if self.pending.is_some() {
            return Err(ErrorCode::ConcurrentTransactions);
        }
        match (self.state.status, commit) {
            (Status::Ongoing, true) => Ok(Some(self.changed(Status::PrepareCommit, now_ms))),
            (Status::Ongoing, false) => Ok(Some(self.changed(Status::PrepareAbort, now_ms))),
            (Status::CompleteCommit, true) | (Status::CompleteAbort, false) => Ok(None),
            (Status::PrepareCommit, true) | (Status::PrepareAbort, false) => {
                Err(ErrorCode::ConcurrentTransactions)
            }
            _ => Err(ErrorCode::InvalidTxnState),
        }
    }

    fn check_producer(&self, producer: Producer) -> Result<(), ErrorCode> {
        if producer.id != self.state.producer_id {
            return Err(ErrorCode::InvalidProducerIdMapping);
        }
        if producer.epoch != self.state.producer_epoch || self.is_new() {
            return Err(ErrorCode::ProducerFenced);
        }
        Ok(())
    }

    /// Raises the epoch of an ongoing transaction, so that its producer can do no more, and decides to abort it.
    pub fn fence_and_abort(&mut self, now_ms: i64) -> Change {
        debug_assert!(self.pending.is_none() && Status::PrepareEpochFence.may_follow(self.state.status));
        if !self.failed_epoch_fence {
            self.state.producer_epoch = self.state.producer_epoch.saturating_add(1);
        }
        self.last_producer_epoch = NO_PRODUCER_EPOCH;
        self.changed(Status::PrepareAbort, now_ms)
    }

    /// The decided transaction with all its markers written.
    pub fn complete(&mut self, now_ms: i64) -> Change {
        debug_assert!(self.state.partitions.is_empty());
        // The record of the decision is in the log, and the epoch with it.
        self.failed_epoch_fence = false;
        let status = match self.state.status {
            Status::PrepareCommit => Status::CompleteCommit,
            _ => Status::CompleteAbort,
        };
        self.changed(status, now_ms)
    }

    fn changed(&self, status: Status, now_ms: i64) -> Change {
        debug_assert!(
            status.may_follow(self.state.status),
            "{status:?} after {:?} is no transition",
            self.state.status
        );
        let state = TransactionState { status, last_update_ms: now_ms, ..self.state.clone() };
        Change {
            state,
            last_producer_id: self.last_producer_id,
            last_producer_epoch: self.last_producer_epoch,
        }
    }

    /// Takes a change over whose record is committed.
    pub fn apply(&mut self, change: Change) {
        self.state = change.state;
        self.last_producer_id = change.last_producer_id;
        self.last_producer_epoch = change.last_producer_epoch;
    }

    /// True if the transaction has been open too long.
    pub fn is_timed_out(&self, now_ms: i64) -> bool {
        self.pending.is_none()
            && self.state.status == Status::Ongoing
            && self.state.start_ms.saturating_add(i64::from(self.state.timeout_ms)) < now_ms
    }

    /// True if the transactional id was not used for `expiration_ms`.
    pub fn is_expired(&self, now_ms: i64, expiration_ms: i64) -> bool {
        self.pending.is_none()
            && self.state.status.may_expire()
            && self.state.last_update_ms <= now_ms.saturating_sub(expiration_ms)
    }
}
