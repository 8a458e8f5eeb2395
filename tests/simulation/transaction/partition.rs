//! A partition leader as far as producers see it: the rules of `storage::producer_state`.

use super::world::Bug;
use ottla::common::ErrorCode;
use ottla::coordinator::transaction::Producer;
use std::collections::BTreeMap;

/// What is in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// An output record: the number of its input.
    Output(i64),
    /// A committed position.
    Position(i64),
    /// The end of a transaction.
    Marker { commit: bool },
}

#[derive(Clone, Copy, Debug)]
struct Known {
    epoch: i16,
    last_sequence: i64,
    coordinator_epoch: i32,
    is_open: bool,
}

/// One log.
#[derive(Clone, Default, Debug)]
pub struct Partition {
    pub log: Vec<(Producer, Entry)>,
    producers: BTreeMap<i64, Known>,
    bug: Option<Bug>,
}

impl Partition {
    /// An empty log.
    pub fn new(bug: Option<Bug>) -> Partition {
        Partition { bug, ..Partition::default() }
    }

    fn known(&mut self, id: i64) -> &mut Known {
        let new = Known { epoch: -1, last_sequence: -1, coordinator_epoch: -1, is_open: false };
        self.producers.entry(id).or_insert(new)
    }

    /// A produce request of one record.
    pub fn produce(&mut self, producer: Producer, sequence: i64, value: i64) -> Result<(), ErrorCode> {
        let bug = self.bug;
        let known = self.known(producer.id);
        if producer.epoch < known.epoch && bug != Some(Bug::EpochNotChecked) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if producer.epoch > known.epoch {
            if sequence != 0 && known.epoch != -1 {
                return Err(ErrorCode::OutOfOrderSequenceNumber);
            }
            known.last_sequence = sequence - 1;
        }
        if sequence <= known.last_sequence && bug != Some(Bug::DuplicatesWritten) {
            return Ok(());
        }
        if sequence > known.last_sequence + 1 {
            return Err(ErrorCode::OutOfOrderSequenceNumber);
        }
        known.epoch = producer.epoch;
        known.last_sequence = sequence;
        known.is_open = true;
        self.log.push((producer, Entry::Output(value)));
        Ok(())
    }

    /// TxnOffsetCommit: no sequences.
    pub fn commit_position(&mut self, producer: Producer, position: i64) -> Result<(), ErrorCode> {
        let known = self.known(producer.id);
        if producer.epoch < known.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if producer.epoch > known.epoch {
            known.last_sequence = -1;
        }
        known.epoch = producer.epoch;
        known.is_open = true;
        self.log.push((producer, Entry::Position(position)));
        Ok(())
    }

    /// WriteTxnMarkers.
    pub fn mark(
        &mut self,
        producer: Producer,
        commit: bool,
        coordinator_epoch: i32,
    ) -> Result<(), ErrorCode> {
        let known = self.known(producer.id);
        if producer.epoch < known.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        if coordinator_epoch < known.coordinator_epoch {
            return Err(ErrorCode::TransactionCoordinatorFenced);
        }
        if producer.epoch > known.epoch {
            known.last_sequence = -1;
        }
        known.epoch = producer.epoch;
        known.coordinator_epoch = coordinator_epoch;
        known.is_open = false;
        self.log.push((producer, Entry::Marker { commit }));
        Ok(())
    }

    /// True while a transaction has no marker.
    pub fn is_open(&self) -> bool {
        self.producers.values().any(|known| known.is_open)
    }

    /// What read_committed shows, in the order of the log.
    pub fn committed(&self) -> Vec<Entry> {
        let mut shown = Vec::new();
        for (at, (producer, entry)) in self.log.iter().enumerate() {
            let end = self.log[at..].iter().find_map(|(other, entry)| match entry {
                Entry::Marker { commit } if other.id == producer.id => Some(*commit),
                _ => None,
            });
            let visible = end == Some(true) || self.bug == Some(Bug::AbortedIsVisible) && end.is_some();
            if visible && !matches!(entry, Entry::Marker { .. }) {
                shown.push(*entry);
            }
        }
        shown
    }

    /// The committed position.
    pub fn position(&self) -> i64 {
        let position = |entry| match entry {
            Entry::Position(position) => Some(position),
            _ => None,
        };
        self.committed().into_iter().rev().find_map(position).unwrap_or(0)
    }
}
