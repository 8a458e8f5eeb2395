//! What a pass of the cleaner knows of transactions: which data to drop because it was aborted, and which markers are
//! still needed.
//!
//! - A transaction that the index names as aborted is so from its first offset to its marker.
//! - A marker may go once no data batch of its transaction is left: not in the pass that removes the data.
//! - An abort marker whose transaction has a batch left (kept for its sequence) stays in the transaction index.
//!
//! Source: Kafka 2.8.2, `LogCleaner.scala`, `CleanedTransactionMetadata`.

use super::super::transaction_index::AbortedTxn;
use crate::common::{Offset, ProducerId};
use crate::record::batch::BatchInfo;
use crate::record::control::ControlRecord;
use std::collections::{HashMap, HashSet};

/// See the module. One per pass; batches come in the order of their offsets.
#[derive(Debug, Default)]
pub(crate) struct Transactions {
    /// Aborted ones that have not begun, the first one last.
    pending: Vec<AbortedTxn>,
    /// Aborted ones that have begun, and whether a batch of them was seen.
    aborted: HashMap<ProducerId, (AbortedTxn, bool)>,
    /// Others of which a batch was seen.
    committed: HashSet<ProducerId>,
}

/// What a marker means for the pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Marker {
    /// Nothing of its transaction is left.
    pub(crate) is_free: bool,
    /// The entry that the transaction index keeps.
    pub(crate) indexed: Option<AbortedTxn>,
}

impl Transactions {
    /// Learns of aborted transactions; those known already do no harm.
    pub(crate) fn add(&mut self, aborted: Vec<AbortedTxn>) {
        self.pending.extend(aborted);
        self.pending.sort_unstable_by_key(|txn| std::cmp::Reverse(txn.first_offset));
    }

    fn begin_up_to(&mut self, offset: Offset) {
        while let Some(txn) = self.pending.pop_if(|txn| txn.first_offset <= offset) {
            self.aborted.entry(txn.producer_id).or_insert((txn, false));
        }
    }

    /// A data batch: true if it is part of an aborted transaction.
    pub(crate) fn is_aborted(&mut self, info: &BatchInfo) -> bool {
        self.begin_up_to(info.last_offset());
        if !info.is_transactional() {
            return false;
        }
        if let Some((_, seen)) = self.aborted.get_mut(&info.producer_id) {
            *seen = true;
            return true;
        }
        self.committed.insert(info.producer_id);
        false
    }

    /// A control batch; `record` is what its first record says, if it has one.
    pub(crate) fn on_marker(&mut self, info: &BatchInfo, record: Option<ControlRecord>) -> Marker {
        self.begin_up_to(info.last_offset());
        let none = Marker { is_free: true, indexed: None };
        match record {
            // It was cleaned before, and is there for its producer's epoch only.
            None => none,
            Some(ControlRecord::EndTransaction { commit: true, .. }) => {
                Marker { is_free: !self.committed.remove(&info.producer_id), ..none }
            }
            Some(ControlRecord::EndTransaction { .. }) => match self.aborted.remove(&info.producer_id) {
                Some((txn, true)) => Marker { is_free: false, indexed: Some(txn) },
                _ => none,
            },
            Some(ControlRecord::Unknown(_)) => Marker { is_free: false, indexed: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::builder::{BatchBuilder, BatchOptions};
    use crate::record::control::end_transaction_marker;

    fn data(producer_id: ProducerId, base_offset: Offset, transactional: bool) -> BatchInfo {
        let options = BatchOptions {
            producer_id,
            producer_epoch: 0,
            base_offset,
            base_sequence: 0,
            transactional,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options).expect("options");
        builder.append(1, Some(b"k"), None, &[]).expect("record");
        BatchInfo::parse(&builder.build().expect("batch")).expect("built")
    }

    fn marker(producer_id: ProducerId, base_offset: Offset) -> BatchInfo {
        BatchInfo { base_offset, ..end_transaction_marker(producer_id, 0, true, 0, 1).info }
    }

    fn end(commit: bool) -> Option<ControlRecord> {
        Some(ControlRecord::EndTransaction { commit, coordinator_epoch: 0 })
    }

    #[test]
    fn data_goes_before_its_marker() {
        let aborted =
            AbortedTxn { producer_id: 7, first_offset: 10, last_offset: 20, last_stable_offset: 21 };
        let mut pass = Transactions::default();
        pass.add(vec![aborted]);
        assert!(!pass.is_aborted(&data(7, 5, true)), "an earlier transaction, committed");
        assert_eq!(pass.on_marker(&marker(7, 6), end(true)), Marker { is_free: false, indexed: None });
        pass.add(vec![aborted]);
        assert!(!pass.is_aborted(&data(8, 9, true)));
        assert!(pass.is_aborted(&data(7, 10, true)));
        assert!(!pass.is_aborted(&data(7, 12, false)), "not in the transaction");
        assert_eq!(
            pass.on_marker(&marker(7, 20), end(false)),
            Marker { is_free: false, indexed: Some(aborted) }
        );
        assert!(!pass.is_aborted(&data(7, 22, true)), "the next one");
        assert_eq!(pass.on_marker(&marker(8, 23), end(true)), Marker { is_free: false, indexed: None });
        let mut pass = Transactions::default();
        pass.add(vec![aborted]);
        let free = Marker { is_free: true, indexed: None };
        assert_eq!(pass.on_marker(&marker(7, 20), end(false)), free, "its data went before");
        assert_eq!(pass.on_marker(&marker(8, 23), end(true)), free);
        assert_eq!(pass.on_marker(&marker(8, 24), None), free);
        assert!(!pass.on_marker(&marker(8, 25), Some(ControlRecord::Unknown(9))).is_free);
    }
}
