//! Producer state in a file, named by the offset up to which it is valid.
//!
//! ```text
//! file  = version i16 (1), crc u32 (CRC-32C of all that follows), count i32, entry{count}
//! entry = producer_id i64, producer_epoch i16, last_sequence i32, last_offset i64, offset_delta i32,
//!         timestamp i64, coordinator_epoch i32, current_txn_first_offset i64 (-1: none)
//! ```
//!
//! Only the last batch of a producer is kept. A file that does not check is deleted and the next older one
//! taken. Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/ProducerStateManager.scala`.

use super::file;
use super::filename;
use super::loggers;
use super::partition_dir::PartitionDir;
use super::producer_state::{self, BatchMetadata, ProducerEntry, ProducerState};
use crate::common::{Offset, ProducerId};
use smallvec::SmallVec;
use std::io;

const VERSION: i16 = 1;
const HEADER_SIZE: usize = 10;
const ENTRY_SIZE: usize = 46;

/// The bytes of a snapshot.
pub(crate) fn encode(state: &ProducerState) -> Vec<u8> {
    let producers = state.sorted();
    let mut out = Vec::with_capacity(HEADER_SIZE + producers.len() * ENTRY_SIZE);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(producers.len() as i32).to_be_bytes());
    for (producer_id, entry) in producers {
        let last = entry.batches.last();
        out.extend_from_slice(&producer_id.to_be_bytes());
        out.extend_from_slice(&entry.producer_epoch.to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |batch| batch.last_sequence).to_be_bytes());
        out.extend_from_slice(&last.map_or(-1, |batch| batch.last_offset).to_be_bytes());
        out.extend_from_slice(&last.map_or(0, |batch| batch.offset_delta).to_be_bytes());
        out.extend_from_slice(&entry.last_timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&entry.current_txn_first_offset.unwrap_or(-1).to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[6..]);
    out[2..6].copy_from_slice(&crc.to_be_bytes());
    out
}

struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; the caller saw to it that they are there.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.0[..N]);
        self.0 = &self.0[N..];
        array
    }
}

/// Reads a snapshot, or says why it is none.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<(ProducerId, ProducerEntry)>, String> {
    if bytes.len() < HEADER_SIZE {
        return Err("Snapshot failed schema validation: it is too short".into());
    }
    let mut header = Fields(bytes);
    let version = i16::from_be_bytes(header.take());
    if version != VERSION {
        return Err(format!("Snapshot contained an unknown file version {version}"));
    }
    let (stored, computed) = (u32::from_be_bytes(header.take()), crc32c::crc32c(&bytes[6..]));
    if stored != computed {
        return Err(format!(
            "Snapshot is corrupt (CRC is no longer valid). Stored crc: {stored}. Computed crc: {computed}"
        ));
    }
    let count = i32::from_be_bytes(header.take());
    let entries = bytes[HEADER_SIZE..].chunks_exact(ENTRY_SIZE);
    if usize::try_from(count) != Ok(entries.len()) {
        return Err(format!("Snapshot failed schema validation: {count} entries do not fit its size"));
    }
    Ok(entries.map(decode_entry).collect())
}

fn decode_entry(bytes: &[u8]) -> (ProducerId, ProducerEntry) {
    let mut fields = Fields(bytes);
    let producer_id = i64::from_be_bytes(fields.take());
    let producer_epoch = i16::from_be_bytes(fields.take());
    let last_sequence = i32::from_be_bytes(fields.take());
    let last_offset = i64::from_be_bytes(fields.take());
    let offset_delta = i32::from_be_bytes(fields.take());
    let timestamp = i64::from_be_bytes(fields.take());
    let coordinator_epoch = i32::from_be_bytes(fields.take());
    let txn = i64::from_be_bytes(fields.take());
    let mut batches = SmallVec::new();
    if last_offset >= 0 {
        batches.push(BatchMetadata { last_sequence, last_offset, offset_delta, timestamp });
    }
    let entry = ProducerEntry {
        producer_epoch,
        coordinator_epoch,
        last_timestamp: timestamp,
        current_txn_first_offset: (txn >= 0).then_some(txn),
        batches,
    };
    (producer_id, entry)
}

/// The snapshots of one log on disk, by their offsets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshots {
    /// Rising.
    offsets: Vec<Offset>,
}

impl Snapshots {
    pub(crate) fn new(mut offsets: Vec<Offset>) -> Snapshots {
        offsets.sort_unstable();
        Snapshots { offsets }
    }

    /// Those up to `offset`.
    pub(crate) fn up_to(&self, offset: Offset) -> Snapshots {
        Snapshots { offsets: self.offsets.iter().copied().filter(|at| *at <= offset).collect() }
    }

    /// Stands in where no snapshot is to be taken: it has one above every offset.
    pub(crate) fn none_to_take() -> Snapshots {
        Snapshots { offsets: vec![Offset::MAX] }
    }

    pub(crate) fn latest(&self) -> Option<Offset> {
        self.offsets.last().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Writes `state` unless there is a snapshot at or above its end; gives the new one's offset. It is synced
    /// when the segments below it are: a torn one is found out by its checksum.
    pub(crate) fn take(
        &mut self,
        dir: &PartitionDir,
        state: &ProducerState,
        log_start_offset: Offset,
    ) -> io::Result<Option<Offset>> {
        let offset = state.end_offset();
        if offset <= self.latest().unwrap_or(log_start_offset) {
            return Ok(None);
        }
        log::info!(
            target: loggers::PRODUCER_STATE,
            "[ProducerStateManager partition={}] Writing producer snapshot at offset {offset}",
            dir.topic_partition
        );
        let fd = file::create_empty(&dir.of_offset(offset, filename::SNAPSHOT))?;
        file::write_at(&fd, &encode(state), 0)?;
        self.offsets.push(offset);
        Ok(Some(offset))
    }

    /// Removes those for which `gone` holds.
    pub(crate) fn remove_if(&mut self, dir: &PartitionDir, gone: impl Fn(Offset) -> bool) -> io::Result<()> {
        let mut result = Ok(());
        self.offsets.retain(|&offset| {
            let keep = !gone(offset);
            if !keep && let Err(error) = file::remove_if_exists(&dir.of_offset(offset, filename::SNAPSHOT)) {
                result = Err(error);
            }
            keep
        });
        result
    }

    /// Gives the snapshot of a deleted segment its `.deleted` name.
    pub(crate) fn delete_later(
        &mut self,
        dir: &PartitionDir,
        offset: Offset,
        delay_ms: i64,
    ) -> io::Result<()> {
        if let Ok(at) = self.offsets.binary_search(&offset) {
            self.offsets.remove(at);
            dir.delete_later(&filename::of_offset(offset, filename::SNAPSHOT), delay_ms)?;
        }
        Ok(())
    }

    /// Keeps those at segment bases, and the newest one above the last base.
    pub(crate) fn remove_strays(&mut self, dir: &PartitionDir, bases: &[Offset]) -> io::Result<()> {
        let last_base = bases.last().copied().unwrap_or(-1);
        let newest = self.latest().filter(|offset| *offset >= last_base);
        self.remove_if(dir, |offset| bases.binary_search(&offset).is_err() && Some(offset) != newest)
    }

    /// The state of the newest snapshot that checks; those that do not are removed. Without one: nobody is
    /// known, from `log_start_offset` on.
    pub(crate) fn load(
        &mut self,
        dir: &PartitionDir,
        log_start_offset: Offset,
        now_ms: i64,
    ) -> io::Result<ProducerState> {
        while let Some(offset) = self.latest() {
            let path = dir.of_offset(offset, filename::SNAPSHOT);
            let bytes = file::read(&path)?.unwrap_or_default();
            match decode(&bytes) {
                Ok(mut entries) => {
                    log::info!(
                        target: loggers::PRODUCER_STATE,
                        "[ProducerStateManager partition={}] Loading producer state from snapshot file \
                         'SnapshotFile({},{offset})'",
                        dir.topic_partition,
                        path.display()
                    );
                    let expiration_ms = dir.shared.producer_expiration_ms;
                    entries.retain(|(_, entry)| !producer_state::is_expired(entry, now_ms, expiration_ms));
                    return Ok(ProducerState::from_entries(offset, entries));
                }
                Err(why) => {
                    log::warn!(
                        target: loggers::PRODUCER_STATE,
                        "[ProducerStateManager partition={}] Failed to load producer snapshot from '{}': {why}",
                        dir.topic_partition,
                        path.display()
                    );
                    file::remove_if_exists(&path)?;
                    self.offsets.pop();
                }
            }
        }
        Ok(ProducerState::at(log_start_offset))
    }
}
