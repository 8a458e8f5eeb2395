//! What a log knows of the producers that write to it: sequences (KIP-98) and transactions.
//!
//! Invariants:
//! - Of each producer the last five batches of its current epoch are remembered, in sequence order.
//! - `ongoing` holds every transaction without a marker, by first offset; `unreplicated` every transaction
//!   whose marker may be at or above the high watermark. The smallest first offset of both bounds what
//!   READ_COMMITTED consumers may see.
//! - `end_offset` is the offset up to which batches were taken in.
//!
//! Checking and taking in are apart: [`ProducerState::prepare`] gives a [`ProducerUpdate`] that learns batches
//! without touching the state, [`ProducerState::commit`] takes it in.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/ProducerStateManager.scala`.

use super::append_types::AppendOrigin;
use super::end_marker::EndMarker;
use super::error::AppendError;
use super::read_plan::LogPosition;
use crate::common::{Offset, ProducerEpoch, ProducerId, TopicPartition};
use crate::record::batch::{BatchInfo, decrement_sequence};
use smallvec::SmallVec;
use std::collections::{BTreeMap, HashMap};

/// Batches remembered per producer: as many as a producer may have in flight.
const BATCHES_MAX: usize = 5;
pub(crate) const NO_EPOCH: ProducerEpoch = -1;
const NO_SEQUENCE: i32 = -1;

/// One remembered batch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BatchMetadata {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp: i64,
}

impl BatchMetadata {
    fn of(info: &BatchInfo, first_offset: Offset) -> BatchMetadata {
        BatchMetadata {
            last_sequence: info.last_sequence(),
            last_offset: info.last_offset(),
            offset_delta: (info.last_offset() - first_offset) as i32,
            timestamp: info.max_timestamp,
        }
    }

    pub(crate) fn first_sequence(&self) -> i32 {
        decrement_sequence(self.last_sequence, self.offset_delta)
    }

    pub(crate) fn first_offset(&self) -> Offset {
        self.last_offset - i64::from(self.offset_delta)
    }
}

/// What is known of one producer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ProducerEntry {
    pub(crate) producer_epoch: ProducerEpoch,
    pub(crate) coordinator_epoch: i32,
    pub(crate) last_timestamp: i64,
    pub(crate) current_txn_first_offset: Option<Offset>,
    /// Oldest first.
    pub(crate) batches: SmallVec<[BatchMetadata; 1]>,
}

impl ProducerEntry {
    fn empty() -> ProducerEntry {
        ProducerEntry {
            producer_epoch: NO_EPOCH,
            coordinator_epoch: -1,
            last_timestamp: -1,
            current_txn_first_offset: None,
            batches: SmallVec::new(),
        }
    }

    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.last().map_or(NO_SEQUENCE, |batch| batch.last_sequence)
    }

    fn set_epoch(&mut self, epoch: ProducerEpoch) {
        if self.producer_epoch != epoch {
            self.batches.clear();
            self.producer_epoch = epoch;
        }
    }

    fn add(&mut self, batch: BatchMetadata) {
        if self.batches.len() == BATCHES_MAX {
            self.batches.remove(0);
        }
        self.batches.push(batch);
    }

    fn find_duplicate(&self, info: &BatchInfo) -> Option<BatchMetadata> {
        if info.producer_epoch != self.producer_epoch {
            return None;
        }
        let (first, last) = (info.base_sequence, info.last_sequence());
        self.batches.iter().find(|b| b.first_sequence() == first && b.last_sequence == last).copied()
    }
}

/// Where a producer stands: what compaction must keep of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LastRecord {
    /// Last offset of its last data batch, if one of its current epoch is known.
    pub(crate) data_offset: Option<Offset>,
    pub(crate) producer_epoch: ProducerEpoch,
}

/// A transaction that got its marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CompletedTxn {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    pub(crate) last_offset: Offset,
    pub(crate) aborted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OpenTxn {
    producer_id: ProducerId,
    first: LogPosition,
    /// The marker's offset, once it is there.
    last_offset: Option<Offset>,
}

/// Batches of one producer that were checked and not yet taken in.
#[derive(Debug)]
pub(crate) struct ProducerUpdate {
    producer_id: ProducerId,
    /// Epoch and last sequence of the state when the update began.
    known_epoch: ProducerEpoch,
    known_last_sequence: i32,
    updated: ProducerEntry,
    started: SmallVec<[LogPosition; 1]>,
}

/// The producers of one log.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProducerState {
    producers: HashMap<ProducerId, ProducerEntry>,
    ongoing: BTreeMap<Offset, OpenTxn>,
    unreplicated: BTreeMap<Offset, OpenTxn>,
    end_offset: Offset,
}

impl ProducerUpdate {
    pub(crate) fn producer_id(&self) -> ProducerId {
        self.producer_id
    }

    /// Checks a batch of this producer and learns it. `first` is the batch's place; `marker` what its control
    /// record says, if it is one. Gives the transaction that it completes.
    pub(crate) fn append(
        &mut self,
        info: &BatchInfo,
        first: LogPosition,
        marker: Option<EndMarker>,
        check: &Check<'_>,
    ) -> Result<Option<CompletedTxn>, AppendError> {
        if info.is_control() {
            return match marker {
                Some(marker) => self.append_marker(info, marker, check),
                // Compaction removed the transaction altogether.
                None => Ok(None),
            };
        }
        self.check_epoch(info.producer_epoch, first.offset, check)?;
        if check.origin == AppendOrigin::Client {
            self.check_sequence(info, first.offset, check)?;
        }
        self.updated.set_epoch(info.producer_epoch);
        self.updated.add(BatchMetadata::of(info, first.offset));
        self.updated.last_timestamp = info.max_timestamp;
        match (self.updated.current_txn_first_offset, info.is_transactional()) {
            (Some(_), false) if check.origin != AppendOrigin::Replication => {
                Err(AppendError::InvalidTxnState(format!(
                    "Expected transactional write from producer {} at offset {} in partition {}",
                    self.producer_id, first.offset, check.topic_partition
                )))
            }
            (None, true) => {
                self.updated.current_txn_first_offset = Some(first.offset);
                self.started.push(first);
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn check_epoch(
        &self,
        epoch: ProducerEpoch,
        offset: Offset,
        check: &Check<'_>,
    ) -> Result<(), AppendError> {
        if epoch >= self.updated.producer_epoch || check.origin == AppendOrigin::Replication {
            return Ok(());
        }
        Err(AppendError::InvalidProducerEpoch(format!(
            "Epoch of producer {} at offset {offset} in {} is {epoch}, which is smaller than the last seen \
             epoch {}",
            self.producer_id, check.topic_partition, self.updated.producer_epoch
        )))
    }

    fn check_sequence(&self, info: &BatchInfo, offset: Offset, check: &Check<'_>) -> Result<(), AppendError> {
        let sequence = info.base_sequence;
        if info.producer_epoch != self.updated.producer_epoch {
            if sequence == 0 || self.updated.producer_epoch == NO_EPOCH {
                return Ok(());
            }
            return Err(AppendError::OutOfOrderSequence(format!(
                "Invalid sequence number for new epoch of producer {} at offset {offset} in partition {}: {} \
                 (request epoch), {sequence} (seq. number), {} (current producer epoch)",
                self.producer_id, check.topic_partition, info.producer_epoch, self.updated.producer_epoch
            )));
        }
        let last = match self.updated.batches.last() {
            Some(batch) => batch.last_sequence,
            None if info.producer_epoch == self.known_epoch => self.known_last_sequence,
            None => NO_SEQUENCE,
        };
        let follows = i64::from(sequence) == i64::from(last) + 1 || (sequence == 0 && last == i32::MAX);
        // A producer of which nothing is known (its records were deleted) may go on with any sequence.
        if self.known_epoch == NO_EPOCH || follows {
            return Ok(());
        }
        Err(AppendError::OutOfOrderSequence(format!(
            "Out of order sequence number for producer {} at offset {offset} in partition {}: {sequence} \
             (incoming seq. number), {last} (current end sequence number)",
            self.producer_id, check.topic_partition
        )))
    }

    fn append_marker(
        &mut self,
        info: &BatchInfo,
        marker: EndMarker,
        check: &Check<'_>,
    ) -> Result<Option<CompletedTxn>, AppendError> {
        let offset = info.base_offset;
        self.check_epoch(info.producer_epoch, offset, check)?;
        if self.updated.coordinator_epoch > marker.coordinator_epoch
            && check.origin != AppendOrigin::Replication
        {
            return Err(AppendError::TransactionCoordinatorFenced(format!(
                "Invalid coordinator epoch for producerId {} at offset {offset} in partition {}: {} (zombie), \
                 {} (current)",
                self.producer_id,
                check.topic_partition,
                marker.coordinator_epoch,
                self.updated.coordinator_epoch
            )));
        }
        // A marker without records before it neither bounds readers nor belongs into the index.
        let completed = self.updated.current_txn_first_offset.take().map(|first_offset| CompletedTxn {
            producer_id: self.producer_id,
            first_offset,
            last_offset: offset,
            aborted: marker.aborted,
        });
        self.updated.set_epoch(info.producer_epoch);
        self.updated.coordinator_epoch = marker.coordinator_epoch;
        self.updated.last_timestamp = marker.timestamp;
        Ok(completed)
    }
}

/// For whom a batch is checked; names for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Check<'a> {
    pub(crate) origin: AppendOrigin,
    pub(crate) topic_partition: &'a TopicPartition,
}

impl ProducerState {
    /// A state that knows nobody, at `end_offset`.
    pub(crate) fn at(end_offset: Offset) -> ProducerState {
        ProducerState { end_offset, ..ProducerState::default() }
    }

    /// A state as a snapshot holds it.
    pub(crate) fn from_entries(
        end_offset: Offset,
        entries: Vec<(ProducerId, ProducerEntry)>,
    ) -> ProducerState {
        let mut state = ProducerState::at(end_offset);
        for (producer_id, entry) in entries {
            if let Some(offset) = entry.current_txn_first_offset {
                let first = LogPosition::of_offset(offset);
                state.ongoing.insert(offset, OpenTxn { producer_id, first, last_offset: None });
            }
            state.producers.insert(producer_id, entry);
        }
        state
    }

    pub(crate) fn end_offset(&self) -> Offset {
        self.end_offset
    }

    pub(crate) fn set_end_offset(&mut self, offset: Offset) {
        self.end_offset = offset;
    }

    /// True if nobody is known and no transaction bounds readers.
    pub(crate) fn is_empty(&self) -> bool {
        self.producers.is_empty() && self.unreplicated.is_empty()
    }

    /// True if a producer's last batch is not older than `timestamp`.
    pub(crate) fn has_active_since(&self, timestamp: i64) -> bool {
        self.producers.values().any(|entry| entry.last_timestamp >= timestamp)
    }

    /// All producers, by id.
    pub(crate) fn sorted(&self) -> Vec<(ProducerId, &ProducerEntry)> {
        let mut all: Vec<_> = self.producers.iter().map(|(id, entry)| (*id, entry)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// Where every producer stands.
    pub(crate) fn last_records(&self) -> HashMap<ProducerId, LastRecord> {
        let last = |entry: &ProducerEntry| LastRecord {
            data_offset: entry.batches.last().map(|batch| batch.last_offset),
            producer_epoch: entry.producer_epoch,
        };
        self.producers.iter().map(|(producer_id, entry)| (*producer_id, last(entry))).collect()
    }

    /// The remembered batch that a client sent again, if it is one.
    pub(crate) fn find_duplicate(&self, info: &BatchInfo) -> Option<BatchMetadata> {
        self.producers.get(&info.producer_id)?.find_duplicate(info)
    }

    /// Begins an update of one producer.
    pub(crate) fn prepare(&self, producer_id: ProducerId) -> ProducerUpdate {
        let mut updated = ProducerEntry::empty();
        let (mut known_epoch, mut known_last_sequence) = (NO_EPOCH, NO_SEQUENCE);
        if let Some(known) = self.producers.get(&producer_id) {
            updated.producer_epoch = known.producer_epoch;
            updated.coordinator_epoch = known.coordinator_epoch;
            updated.last_timestamp = known.last_timestamp;
            updated.current_txn_first_offset = known.current_txn_first_offset;
            known_epoch = known.producer_epoch;
            known_last_sequence = known.last_sequence();
        }
        ProducerUpdate { producer_id, known_epoch, known_last_sequence, updated, started: SmallVec::new() }
    }

    /// Takes an update in.
    pub(crate) fn commit(&mut self, update: ProducerUpdate) {
        let ProducerUpdate { producer_id, updated, started, .. } = update;
        for first in started {
            self.ongoing.insert(first.offset, OpenTxn { producer_id, first, last_offset: None });
        }
        let Some(known) = self.producers.get_mut(&producer_id) else {
            self.producers.insert(producer_id, updated);
            return;
        };
        known.set_epoch(updated.producer_epoch);
        updated.batches.into_iter().for_each(|batch| known.add(batch));
        known.coordinator_epoch = updated.coordinator_epoch;
        known.current_txn_first_offset = updated.current_txn_first_offset;
        known.last_timestamp = updated.last_timestamp;
    }

    /// The last stable offset that goes into the index with a completed transaction: the first offset of the
    /// earliest transaction of somebody else, or the offset after the marker.
    pub(crate) fn last_stable_offset_at(&self, completed: &CompletedTxn) -> Offset {
        let other = self.ongoing.iter().find(|(_, txn)| txn.producer_id != completed.producer_id);
        other.map_or(completed.last_offset + 1, |(first_offset, _)| *first_offset)
    }

    /// Moves a transaction from open to complete.
    pub(crate) fn complete(&mut self, completed: &CompletedTxn) {
        if let Some(mut txn) = self.ongoing.remove(&completed.first_offset) {
            txn.last_offset = Some(completed.last_offset);
            self.unreplicated.insert(completed.first_offset, txn);
        }
    }

    /// Forgets completed transactions whose marker is below `offset` (high watermark or log start).
    pub(crate) fn forget_completed_below(&mut self, offset: Offset) {
        if !self.unreplicated.is_empty() {
            self.unreplicated.retain(|_, txn| txn.last_offset.is_none_or(|last| last >= offset));
        }
    }

    /// The place of the first record that is not decided or not replicated.
    pub(crate) fn first_unstable(&self) -> Option<LogPosition> {
        let first = |txns: &BTreeMap<Offset, OpenTxn>| txns.first_key_value().map(|(_, txn)| txn.first);
        match (first(&self.ongoing), first(&self.unreplicated)) {
            (Some(a), Some(b)) => Some(if a.offset < b.offset { a } else { b }),
            (a, b) => a.or(b),
        }
    }

    /// Forgets producers that were idle for `expiration_ms` and have no open transaction.
    pub(crate) fn remove_expired(&mut self, now_ms: i64, expiration_ms: i64) {
        self.producers.retain(|_, entry| !is_expired(entry, now_ms, expiration_ms));
    }

    /// Notes a data batch of the log for [`ProducerState::take_batches_of`], and nothing else of it.
    pub(crate) fn note_batch(&mut self, info: &BatchInfo) {
        let entry = self.producers.entry(info.producer_id).or_insert_with(ProducerEntry::empty);
        entry.set_epoch(info.producer_epoch);
        entry.add(BatchMetadata::of(info, info.base_offset));
    }

    /// Takes over the remembered batches of producers that `other` has followed to the same last batch.
    pub(crate) fn take_batches_of(&mut self, other: &ProducerState) {
        for (producer_id, entry) in &mut self.producers {
            let Some(found) = other.producers.get(producer_id) else { continue };
            let same_end = found.producer_epoch == entry.producer_epoch
                && found.batches.last().map(|b| b.last_offset) == entry.batches.last().map(|b| b.last_offset);
            if same_end && found.batches.len() > entry.batches.len() {
                entry.batches.clone_from(&found.batches);
            }
        }
    }

    /// The log start moved up.
    pub(crate) fn log_start_advanced(&mut self, log_start_offset: Offset) {
        self.forget_completed_below(log_start_offset);
        self.end_offset = self.end_offset.max(log_start_offset);
    }
}

/// True if a producer may be forgotten.
pub(crate) fn is_expired(entry: &ProducerEntry, now_ms: i64, expiration_ms: i64) -> bool {
    entry.current_txn_first_offset.is_none() && now_ms.saturating_sub(entry.last_timestamp) >= expiration_ms
}

#[cfg(test)]
mod tests;
