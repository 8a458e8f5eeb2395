//! The log of `__consumer_offsets` in memory: batches as they are on disk.

use super::bug::Bug;
use bytes::{Bytes, BytesMut};
use ottla::coordinator::group::load::Loader;
use ottla::record::BatchInfo;

struct Entry {
    bytes: Bytes,
    base_offset: i64,
}

/// Batches; those behind `committed` may be lost in a crash.
#[derive(Default)]
pub struct Journal {
    entries: Vec<Entry>,
    end: i64,
    committed: usize,
}

impl Journal {
    /// Appends a batch; gives its place and the offset of its first record.
    pub fn append(&mut self, batch: &Bytes) -> (usize, i64) {
        let info = BatchInfo::parse(batch).expect("a batch");
        let mut bytes = BytesMut::from(&batch[..]);
        bytes[..8].copy_from_slice(&self.end.to_be_bytes());
        let base_offset = self.end;
        self.end += i64::from(info.last_offset_delta) + 1;
        self.entries.push(Entry { bytes: bytes.freeze(), base_offset });
        (self.entries.len() - 1, base_offset)
    }

    /// The batch at `place`, and all before it, are there for good.
    pub fn commit(&mut self, place: usize) {
        self.committed = self.committed.max(place + 1);
    }

    /// How many batches a crash may take.
    pub fn uncommitted(&self) -> usize {
        self.entries.len() - self.committed
    }

    /// The last `count` batches are lost.
    pub fn lose(&mut self, count: usize) {
        let kept = self.entries.len() - count;
        assert!(kept >= self.committed);
        if let Some(first_lost) = self.entries.get(kept) {
            self.end = first_lost.base_offset;
        }
        self.entries.truncate(kept);
        self.committed = self.committed.max(kept);
    }

    /// Reads everything; a new leader commits what it has.
    pub fn load(&mut self, bug: Option<Bug>) -> Loader {
        self.committed = self.entries.len();
        let mut loader = Loader::default();
        let missed = usize::from(bug == Some(Bug::LoadMissesTheEnd));
        for entry in &self.entries[..self.entries.len().saturating_sub(missed)] {
            let info = BatchInfo::parse(&entry.bytes).expect("a batch");
            let is_missed = match bug {
                Some(Bug::LoadMissesMarkers) => info.is_control(),
                Some(Bug::LoadForgetsOffsets) => info.records_count > 1,
                _ => false,
            };
            if !is_missed {
                assert_eq!(
                    loader.read(&entry.bytes),
                    Some(entry.base_offset + i64::from(info.last_offset_delta) + 1)
                );
            }
        }
        assert_eq!(loader.skipped(), 0);
        loader
    }
}
