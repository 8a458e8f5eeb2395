//! From timestamps to offsets.
//!
//! ```text
//! entry = timestamp i64, relative_offset u32 (offset - base offset)          (12 bytes, big-endian)
//! ```
//!
//! An entry says: up to this offset no record is younger than this timestamp. Timestamps rise strictly,
//! offsets do not fall. The last slot is reserved for the entry that a segment gets when it is rolled or
//! closed: its largest timestamp. Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/TimeIndex.scala`.

use super::index::Entry;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimeEntry {
    pub(crate) timestamp: i64,
    pub(crate) relative_offset: u32,
}

impl Entry for TimeEntry {
    const SIZE: usize = 12;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> TimeEntry {
        let mut timestamp = [0; 8];
        timestamp.copy_from_slice(&bytes[..8]);
        let offset = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        TimeEntry { timestamp: i64::from_be_bytes(timestamp), relative_offset: offset }
    }
}
