//! From offsets to file positions, one entry per `index.interval.bytes`.
//!
//! ```text
//! entry = relative_offset u32 (offset - base offset), position u32          (8 bytes, big-endian)
//! ```
//!
//! The key is the *last* offset of a set of batches that was appended at once, the position its beginning.
//! Keys and positions rise strictly. Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/OffsetIndex.scala`.

use super::index::Entry;

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct OffsetEntry {
    pub(crate) relative_offset: u32,
    pub(crate) position: u32,
}

impl Entry for OffsetEntry {
    const SIZE: usize = 8;

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn read(bytes: &[u8]) -> OffsetEntry {
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        OffsetEntry { relative_offset: word(0), position: word(4) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::file;
    use crate::storage::index::{ActiveIndex, Found, partition_point, search_file};

    fn entry(n: u32) -> OffsetEntry {
        OffsetEntry { relative_offset: n * 10 + 9, position: n * 100 }
    }

    fn find(index: &ActiveIndex<OffsetEntry>, path: &std::path::Path, target: u32) -> Option<OffsetEntry> {
        match index.search(|e| e.relative_offset.cmp(&target)) {
            Found::Here(found) => found,
            Found::InFile(count) => {
                let fd = file::open_read(path).expect("index file");
                search_file(&fd, count, |e: &OffsetEntry| e.relative_offset.cmp(&target)).expect("search")
            }
        }
    }

    #[test]
    fn entries_move_to_the_file_and_are_found_in_both_places() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("00000000000000000000.index");
        let mut index = ActiveIndex::new(u32::MAX);
        for n in 0..2000 {
            index.push(entry(n), || path.clone()).expect("push");
        }
        assert_eq!(index.len(), 2000);
        let (in_file, tail) = index.parts();
        assert!(tail.len() < 512);
        assert_eq!(file::path_len(&path).expect("size"), u64::from(in_file) * 8);
        for target in [0, 8, 9, 10, 500, 9999, 15_000, 19_988, 19_989, 19_999, 50_000] {
            let expected = if target < 9 { None } else { Some(entry(((target - 9) / 10).min(1999))) };
            assert_eq!(find(&index, &path, target), expected, "target {target}");
        }
        index.write_out(&path).expect("write");
        assert_eq!(find(&index, &path, 25_000), Some(entry(1999)));
        assert_eq!(find(&index, &path, 19_988), Some(entry(1997)));
        assert_eq!(file::path_len(&path).expect("size"), 16_000);
        let again = ActiveIndex::<OffsetEntry>::open(&path, 10).expect("open");
        assert_eq!((again.len(), again.last()), (2000, Some(entry(1999))));
        assert!(again.is_full(0));
    }

    #[test]
    fn truncation_cuts_memory_and_file() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("i");
        for cut_at in [0, 1, 5, 200, 255, 256, 257, 300, 599, 600, 700] {
            file::write_once_at(&path, &[], 0).expect("create");
            file::truncate(&file::open_write(&path).expect("open"), 0).expect("empty");
            let mut index = ActiveIndex::new(u32::MAX);
            for n in 0..600 {
                index.push(entry(n), || path.clone()).expect("push");
            }
            index.truncate(&path, |e| e.relative_offset >= cut_at * 10).expect("truncate");
            assert_eq!(index.len(), cut_at.min(600), "cut at {cut_at}");
            assert_eq!(index.last(), cut_at.min(600).checked_sub(1).map(entry), "cut at {cut_at}");
            index.write_out(&path).expect("write");
            assert_eq!(file::path_len(&path).expect("size"), u64::from(cut_at.min(600)) * 8);
        }
    }

    #[test]
    fn partition_points_of_files() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("i");
        let entries: Vec<_> = (0..1000).map(entry).collect();
        crate::storage::index::write_file(&path, &entries).expect("write");
        let fd = file::open_read(&path).expect("open");
        for n in [0, 1, 63, 64, 65, 128, 129, 500, 999, 1000] {
            let found = partition_point(&fd, 1000, |e: &OffsetEntry| e.position < n * 100).expect("search");
            assert_eq!(found, n);
        }
    }
}
