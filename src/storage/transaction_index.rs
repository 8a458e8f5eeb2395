//! Aborted transactions of one segment; the file exists only if there was one.
//!
//! ```text
//! file  = entry*
//! entry = version i16 (0), producer_id i64, first_offset i64, last_offset i64 (the marker's),
//!         last_stable_offset i64 (when the marker was appended)              (34 bytes, big-endian)
//! ```
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/TransactionIndex.scala`.

use super::file;
use crate::common::{Offset, ProducerId};
use std::io;
use std::path::Path;

const ENTRY_SIZE: usize = 34;
const VERSION: i16 = 0;

/// One aborted transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AbortedTxn {
    pub(crate) producer_id: ProducerId,
    pub(crate) first_offset: Offset,
    pub(crate) last_offset: Offset,
    pub(crate) last_stable_offset: Offset,
}

impl AbortedTxn {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&VERSION.to_be_bytes());
        for field in [self.producer_id, self.first_offset, self.last_offset, self.last_stable_offset] {
            out.extend_from_slice(&field.to_be_bytes());
        }
    }

    fn read(bytes: &[u8]) -> Option<AbortedTxn> {
        let version = i16::from_be_bytes([bytes[0], bytes[1]]);
        let field = |n: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[2 + n * 8..10 + n * 8]);
            i64::from_be_bytes(word)
        };
        (version <= VERSION).then(|| AbortedTxn {
            producer_id: field(0),
            first_offset: field(1),
            last_offset: field(2),
            last_stable_offset: field(3),
        })
    }
}

/// All entries of a file; an absent file has none. `None` if the content cannot be one (a newer version).
/// Bytes after the last whole entry are passed over.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<AbortedTxn>>> {
    let Some(bytes) = file::read(path)? else { return Ok(Some(Vec::new())) };
    Ok(bytes.chunks_exact(ENTRY_SIZE).map(AbortedTxn::read).collect())
}

/// True if the file can be the index of a segment that begins at `base_offset`.
pub(crate) fn is_sane(path: &Path, base_offset: Offset) -> io::Result<bool> {
    Ok(read(path)?.is_some_and(|entries| entries.iter().all(|entry| entry.last_offset >= base_offset)))
}

/// Adds entries after the last whole one.
pub(crate) fn append(path: &Path, entries: &[AbortedTxn]) -> io::Result<()> {
    let fd = file::create(path)?;
    let size = file::len(&fd)?;
    let mut bytes = Vec::with_capacity(entries.len() * ENTRY_SIZE);
    entries.iter().for_each(|entry| entry.write(&mut bytes));
    file::write_at(&fd, &bytes, size - size % ENTRY_SIZE as u64)
}

/// Drops entries from the first whose marker is at or above `offset`.
pub(crate) fn truncate(path: &Path, offset: Offset) -> io::Result<()> {
    let Some(entries) = read(path)? else { return file::remove_if_exists(path).map(drop) };
    if let Some(keep) = entries.iter().position(|entry| entry.last_offset >= offset) {
        file::truncate(&file::open_write(path)?, (keep * ENTRY_SIZE) as u64)?;
    }
    Ok(())
}

/// Collects the transactions that overlap `from..to`; true if no later segment can hold more of them.
pub(crate) fn collect(path: &Path, from: Offset, to: Offset, out: &mut Vec<AbortedTxn>) -> io::Result<bool> {
    Ok(select(&read(path)?.unwrap_or_default(), from, to, out))
}

/// As [`collect`], from entries that were read.
pub(crate) fn select(entries: &[AbortedTxn], from: Offset, to: Offset, out: &mut Vec<AbortedTxn>) -> bool {
    for entry in entries {
        if entry.last_offset >= from && entry.first_offset < to {
            out.push(*entry);
        }
        if entry.last_stable_offset >= to {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_appended_collected_and_cut() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("00000000000000000000.txnindex");
        let txn = |producer_id, first_offset, last_offset, last_stable_offset| AbortedTxn {
            producer_id,
            first_offset,
            last_offset,
            last_stable_offset,
        };
        let all = [txn(1, 0, 10, 5), txn(2, 5, 20, 21), txn(1, 30, 40, 41)];
        assert_eq!(read(&path).expect("absent"), Some(Vec::new()));
        append(&path, &all[..1]).expect("append");
        append(&path, &all[1..]).expect("append");
        assert_eq!(file::path_len(&path).expect("size"), 102);
        assert_eq!(read(&path).expect("read"), Some(all.to_vec()));
        assert!(is_sane(&path, 10).expect("read"));
        assert!(!is_sane(&path, 11).expect("read"));
        let mut out = Vec::new();
        assert!(collect(&path, 0, 15, &mut out).expect("collect"), "LSO 21 covers 15");
        assert_eq!(out, all[..2]);
        out.clear();
        assert!(!collect(&path, 12, 100, &mut out).expect("collect"));
        assert_eq!(out, all[1..]);
        truncate(&path, 41).expect("cut nothing");
        truncate(&path, 20).expect("cut");
        assert_eq!(read(&path).expect("read"), Some(all[..1].to_vec()));
        file::write_once_at(&path, &[0, 9], 34).expect("torn entry");
        append(&path, &all[2..]).expect("over the torn entry");
        assert_eq!(read(&path).expect("read"), Some(vec![all[0], all[2]]));
        file::write_once_at(&path, &[0, 9], 0).expect("newer version");
        assert_eq!(read(&path).expect("read"), None);
    }
}
