//! Where each leader epoch begins (KIP-101): leader and follower agree by it where their logs part.
//!
//! Invariant: epochs and start offsets rise strictly. The file is written with the first record of an epoch at the
//! latest, but synced only before the recovery point passes the entry: what stands above the recovery point, recovery
//! rebuilds from the batches. Source: Kafka 2.8.2, `core/src/main/scala/kafka/server/epoch/LeaderEpochFileCache.scala`.

use crate::common::{LeaderEpoch, Offset};

/// The entries of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LeaderEpochCache {
    entries: Vec<(LeaderEpoch, Offset)>,
}

impl LeaderEpochCache {
    /// Entries as a file holds them; such as break the order push out earlier ones, as in Kafka.
    pub(crate) fn from_entries(entries: &[(LeaderEpoch, Offset)]) -> LeaderEpochCache {
        let mut cache = LeaderEpochCache::default();
        for &(epoch, start_offset) in entries {
            cache.assign(epoch, start_offset);
        }
        cache
    }

    pub(crate) fn entries(&self) -> &[(LeaderEpoch, Offset)] {
        &self.entries
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|entry| entry.0)
    }

    /// The first entry.
    pub(crate) fn earliest(&self) -> Option<(LeaderEpoch, Offset)> {
        self.entries.first().copied()
    }

    /// Notes that `epoch` begins at `start_offset`; true if that was new. Entries that contradict it go.
    pub(crate) fn assign(&mut self, epoch: LeaderEpoch, start_offset: Offset) -> bool {
        if epoch < 0 || start_offset < 0 {
            return false;
        }
        if self.entries.last().is_some_and(|last| last.0 == epoch && start_offset >= last.1) {
            return false;
        }
        while self.entries.last().is_some_and(|last| last.0 >= epoch || last.1 >= start_offset) {
            self.entries.pop();
        }
        self.entries.push((epoch, start_offset));
        true
    }

    /// Drops entries that begin at or above `end_offset`; true if there were any.
    pub(crate) fn truncate_from_end(&mut self, end_offset: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|entry| entry.1 < end_offset);
        self.entries.len() != before
    }

    /// Clips entries to a log that begins at `start_offset`; true if something changed.
    pub(crate) fn truncate_from_start(&mut self, start_offset: Offset) -> bool {
        let covered = self.entries.iter().take_while(|entry| entry.1 <= start_offset).count();
        if covered == 0 || (covered == 1 && self.entries[0].1 == start_offset) {
            return false;
        }
        self.entries.drain(..covered - 1);
        self.entries[0].1 = start_offset;
        true
    }

    /// Drops everything; true if there was something.
    pub(crate) fn clear(&mut self) -> bool {
        let changed = !self.entries.is_empty();
        self.entries = Vec::new();
        changed
    }

    /// The largest epoch that is not above `requested`, and where it ends. `None`: undefined.
    pub(crate) fn end_offset_for(
        &self,
        requested: LeaderEpoch,
        log_end_offset: Offset,
    ) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        // Other negative ones are older than all, as in Kafka.
        if requested == -1 || requested > latest {
            return None;
        }
        if requested == latest {
            return Some((requested, log_end_offset));
        }
        let higher = self.entries.partition_point(|entry| entry.0 <= requested);
        let end = self.entries[higher].1;
        Some((if higher == 0 { requested } else { self.entries[higher - 1].0 }, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_order() {
        let mut cache = LeaderEpochCache::default();
        assert!(cache.assign(0, 0));
        assert!(!cache.assign(0, 5), "the start of an epoch stays");
        assert!(cache.assign(2, 10));
        assert!(cache.assign(4, 20));
        assert!(cache.assign(3, 15), "pushes out epoch 4");
        assert_eq!(cache.entries(), [(0, 0), (2, 10), (3, 15)]);
        assert!(cache.assign(5, 15), "epoch 3 had no records");
        assert_eq!(cache.entries(), [(0, 0), (2, 10), (5, 15)]);
        assert!(!cache.assign(-1, 20));
    }

    #[test]
    fn ends_of_epochs() {
        let cache = LeaderEpochCache::from_entries(&[(1, 5), (3, 10), (7, 20)]);
        let end = |epoch| cache.end_offset_for(epoch, 33);
        assert_eq!(end(-1), None);
        assert_eq!(end(0), Some((0, 5)), "below the first: its start");
        assert_eq!(end(1), Some((1, 10)));
        assert_eq!(end(2), Some((1, 10)));
        assert_eq!(end(6), Some((3, 20)));
        assert_eq!(end(7), Some((7, 33)));
        assert_eq!(end(8), None);
        assert_eq!(LeaderEpochCache::default().end_offset_for(0, 3), None);
    }

    #[test]
    fn truncation_clips_both_ends() {
        let full = LeaderEpochCache::from_entries(&[(1, 5), (3, 10), (7, 20)]);
        let mut cache = full.clone();
        assert!(!cache.truncate_from_end(21));
        assert!(cache.truncate_from_end(20));
        assert_eq!(cache.entries(), [(1, 5), (3, 10)]);
        let mut cache = full.clone();
        assert!(!cache.truncate_from_start(4));
        assert!(!cache.truncate_from_start(5));
        assert!(cache.truncate_from_start(12));
        assert_eq!(cache.entries(), [(3, 12), (7, 20)]);
        assert!(cache.truncate_from_start(100));
        assert_eq!(cache.entries(), [(7, 100)]);
        assert!(cache.clear() && !cache.clear());
    }
}
