//! The latest offset of every key in the dirty part of a log, in bounded memory: keys are remembered by a hash of 128
//! bits.
//!
//! ```text
//! slot = hash u128, offset + 1 u64 (0: empty)          24 bytes, as in Kafka
//! ```
//!
//! The hash is SipHash-2-4 under a key of this map alone: whoever chooses the record keys cannot make two of them
//! collide (with Kafka's MD5 he can, and one of the two records is lost). Probing is linear.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/OffsetMap.scala`.

use crate::common::{Offset, random};
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 24;

/// Not `struct`: the allocator gives zeroed pages for arrays of integers, which cost nothing until they are used.
type Slot = [u64; 3];

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    used: usize,
    used_max: usize,
    key: (u64, u64),
    latest: Offset,
}

impl OffsetMap {
    /// A map for at most `keys_max` keys that takes at most `memory_bytes`, filled up to `load_factor`.
    pub(crate) fn new(memory_bytes: usize, load_factor: f64, keys_max: u64) -> OffsetMap {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let slots_max = (memory_bytes / SLOT_BYTES).max(2);
        let wanted = (keys_max as f64 / load_factor).ceil() + 1.0;
        let slots = if wanted < slots_max as f64 { (wanted as usize).max(2) } else { slots_max };
        OffsetMap {
            slots: vec![[0; 3]; slots],
            used: 0,
            used_max: ((slots as f64 * load_factor) as usize).clamp(1, slots - 1),
            key: (random::next_u64(), random::next_u64()),
            latest: -1,
        }
    }

    fn hash(&self, key: &[u8]) -> (u64, u64) {
        let mut hasher = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hasher.write(key);
        let hash = hasher.finish128();
        (hash.h1, hash.h2)
    }

    /// The slot of a key, or the empty one where it would be.
    fn find(&self, (high, low): (u64, u64)) -> usize {
        let count = self.slots.len();
        let mut at = ((u128::from(high) * count as u128) >> 64) as usize;
        loop {
            let slot = &self.slots[at];
            if slot[2] == 0 || (slot[0] == high && slot[1] == low) {
                return at;
            }
            at = if at + 1 == count { 0 } else { at + 1 };
        }
    }

    /// Remembers that `key` stands at `offset`, which is above all before. False: the map is full, nothing changed.
    pub(crate) fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        let hash = self.hash(key);
        let at = self.find(hash);
        if self.slots[at][2] == 0 {
            if self.used == self.used_max {
                return false;
            }
            self.used += 1;
        }
        self.slots[at] = [hash.0, hash.1, offset as u64 + 1];
        true
    }

    /// The latest offset of `key`, if it was put.
    pub(crate) fn get(&self, key: &[u8]) -> Option<Offset> {
        match self.slots[self.find(self.hash(key))][2] {
            0 => None,
            offset => Some((offset - 1) as Offset),
        }
    }

    /// Up to which offset, inclusive, the map knows all keys; -1 in the beginning.
    pub(crate) fn latest(&self) -> Offset {
        self.latest
    }

    /// Notes that all up to `offset` was put.
    pub(crate) fn advance_to(&mut self, offset: Offset) {
        self.latest = self.latest.max(offset);
    }

    /// Part of the memory that is used.
    pub(crate) fn utilization(&self) -> f64 {
        self.used as f64 / self.slots.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_offset_of_every_key_is_known() {
        let mut map = OffsetMap::new(1 << 20, 0.9, 1000);
        for offset in 0..3000i64 {
            assert!(map.put(format!("key-{}", offset % 1000).as_bytes(), offset));
        }
        for n in 0..1000 {
            assert_eq!(map.get(format!("key-{n}").as_bytes()), Some(2000 + n));
        }
        assert_eq!(map.get(b"key-1000"), None);
        assert_eq!(map.get(b""), None);
        assert!(map.put(b"", 3000) && map.get(b"") == Some(3000), "an empty key is a key");
        assert!(map.slots.len() < 1200, "no larger than needed");
    }

    #[test]
    fn a_full_map_takes_known_keys_only() {
        let mut map = OffsetMap::new(100 * SLOT_BYTES, 0.75, u64::MAX);
        let taken = (0..200i64).take_while(|n| map.put(&n.to_be_bytes(), *n)).count();
        assert_eq!((taken, map.slots.len()), (75, 100));
        assert!(map.put(&3i64.to_be_bytes(), 500));
        assert_eq!(map.get(&3i64.to_be_bytes()), Some(500));
        assert!(!map.put(b"new", 501));
        assert_eq!(map.utilization(), 0.75);
        let mut smallest = OffsetMap::new(0, 0.0, 0);
        assert!(smallest.put(b"a", 0), "there is always progress");
        assert_eq!(smallest.get(b"b"), None);
    }
}
