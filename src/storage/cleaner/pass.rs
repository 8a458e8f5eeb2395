//! One pass over a log: the keys of its dirty part into the map, then everything up to there, group by group of
//! segments, into new segments without what the map makes superfluous.
//!
//! A record stays if it stands above what the map knows; or if no later one with its key is known, and it has a value,
//! or is a tombstone that is still young. Records without a key go. Of aborted transactions nothing stays. Markers
//! stay while data of their transaction is there, and then as long as tombstones. Whatever happens, the last batch of a
//! producer that is still known stays, if need be empty. Checksums are checked: what is damaged is not copied under a
//! new one.
//!
//! Runs off the partition's lock. Source: Kafka 2.8.2, `LogCleaner.scala`, `Cleaner`.

use super::super::end_marker;
use super::super::error::StorageError;
use super::super::file;
use super::super::filename;
use super::super::log_clean::{CleanedFiles, CleaningView};
use super::super::loggers;
use super::super::producer_state::LastRecord;
use super::super::segment::Segment;
use super::super::segment_scan::{self, Scanned};
use super::super::transaction_index::AbortedTxn;
use super::machine::{self, Dirty, GroupFacts, GroupLimits, LogFacts};
use super::offset_map::OffsetMap;
use super::output::Output;
use super::report::Stats;
use super::transactions::Transactions;
use crate::common::{Offset, ProducerId, clock};
use crate::record::RecordsError;
use crate::record::batch::{BatchInfo, check_crc};
use crate::record::compression::Limits;
use crate::record::retain::{self, Keyed, Scratch};
use std::collections::HashMap;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

/// Why a pass ended early. What it had swapped in stays.
#[derive(Debug)]
pub(super) enum PassError {
    /// The log was cut, deleted or moved, or the cleaner stops.
    Aborted,
    /// The log cannot be compacted as it is: it is damaged, or the disk is full.
    Failed(String),
    /// The log directory failed.
    Storage(StorageError),
}

/// What interrupts a pass, and slows it down.
pub(super) trait Pace {
    /// So many bytes were read or are to be written. May wait.
    fn pass(&self, bytes: usize) -> Result<(), PassError>;
}

/// Memory that a thread uses for all its passes.
#[derive(Debug)]
pub(super) struct Memory {
    /// For the map.
    pub(super) map_bytes: usize,
    pub(super) load_factor: f64,
    /// Bytes of a read, and of a write.
    pub(super) io_bytes: usize,
    pub(super) read_buffer: Vec<u8>,
    pub(super) write_buffer: Vec<u8>,
    pub(super) scratch: Scratch,
}

/// A pass that is under way.
pub(super) struct Pass<'a> {
    pub(super) view: &'a CleaningView,
    pub(super) facts: &'a LogFacts,
    pub(super) dirty: Dirty,
    /// Of the producers that are known.
    pub(super) last_records: &'a HashMap<ProducerId, LastRecord>,
    pub(super) memory: &'a mut Memory,
    pub(super) pace: &'a dyn Pace,
    pub(super) stats: Stats,
}

/// Puts a finished segment in the place of others.
pub(super) type Swap<'a> = dyn FnMut(&[Arc<Segment>], CleanedFiles) -> Result<(), PassError> + 'a;

/// Whether a walk over a segment goes on, or came to its end.
type Walked = Result<ControlFlow<()>, PassError>;
/// Looks at a batch.
type Visit<'a> = dyn FnMut(&Scanned<'_>, &mut Scratch) -> Walked + 'a;

impl Pass<'_> {
    /// Compacts; the offset up to which the log is clean afterwards.
    pub(super) fn run(&mut self, swap: &mut Swap<'_>) -> Result<Offset, PassError> {
        let name = self.view.dir.topic_partition.to_string();
        log::info!(target: loggers::LOG_CLEANER, "Beginning cleaning of log {name}.");
        let map = self.build_map()?;
        self.stats.index_done(clock::monotonic_ms(), map.utilization());
        let end_offset = map.latest() + 1;
        let horizon_ms = self.delete_horizon_ms()?;
        log::info!(
            target: loggers::LOG_CLEANER,
            "Cleaning log {name} (up to offset {end_offset}, discarding tombstones prior to {horizon_ms})..."
        );
        let segments = self.facts.covering(0, end_offset);
        let mut transactions = Transactions::default();
        for group in self.groups(segments)? {
            let mut filter = Filter {
                map: &map,
                last_records: self.last_records,
                transactions: std::mem::take(&mut transactions),
                retain_deletes: true,
                limits: limits_of(self.view),
            };
            self.clean_group(group, horizon_ms, &mut filter, swap)?;
            transactions = filter.transactions;
        }
        self.stats.all_done(clock::monotonic_ms());
        Ok(end_offset)
    }

    /// Tombstones of segments that are older may go: the age of the last clean segment less `delete.retention.ms`.
    fn delete_horizon_ms(&self) -> Result<i64, PassError> {
        let clean = self.facts.covering(0, self.dirty.first_offset);
        match clean.last().map(|at| &self.view.sealed[at]) {
            None => Ok(0),
            Some(segment) => Ok(self.age_of(segment)?.saturating_sub(self.view.config.delete_retention_ms)),
        }
    }

    fn age_of(&self, segment: &Segment) -> Result<i64, PassError> {
        let modified = file::modified_ms(&segment.file.path(filename::LOG));
        modified.map_err(|error| self.error(segment, error))
    }

    /// An error of the disk, unless the segment went meanwhile or the content is at fault.
    fn error(&self, segment: &Segment, error: io::Error) -> PassError {
        match error.kind() {
            io::ErrorKind::NotFound if segment.file.is_deleted() => PassError::Aborted,
            io::ErrorKind::InvalidData | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                PassError::Failed(error.to_string())
            }
            _ => PassError::Storage(self.view.dir.fail("cleaning log", error)),
        }
    }

    /// Reads a segment from `from` to its end.
    fn scan(&mut self, segment: &Arc<Segment>, from: u32, visit: &mut Visit<'_>) -> Walked {
        let fd = segment.file.log().map_err(|error| self.error(segment, error))?;
        let mut stopped = Ok(ControlFlow::Continue(()));
        let Memory { read_buffer, io_bytes, scratch, .. } = &mut *self.memory;
        let pace = self.pace;
        let range = from..segment.size;
        let scanned = segment_scan::scan_with(read_buffer, *io_bytes, &fd, range, |batch| {
            let visited = if segment.file.is_deleted() {
                Err(PassError::Aborted)
            } else {
                pace.pass(batch.bytes.len())
            };
            let visited = visited.and_then(|()| {
                check_crc(&batch.info, batch.bytes)
                    .map_err(|damage| damaged(segment, batch.position, &damage))
            });
            stopped = visited.and_then(|()| visit(&batch, scratch));
            Ok(match stopped {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            })
        });
        let end = scanned.map_err(|error| self.error(segment, error))?;
        let stopped = stopped?;
        match end.invalid {
            Some(_) if segment.file.is_deleted() => Err(PassError::Aborted),
            Some(damage) => Err(damaged(segment, end.position, &damage)),
            None => Ok(stopped),
        }
    }

    /// The latest offset of each key of the dirty part, as far as there is room.
    fn build_map(&mut self) -> Result<OffsetMap, PassError> {
        let Dirty { first_offset, end_offset, .. } = self.dirty;
        let keys_max = (end_offset - first_offset).max(0) as u64;
        let mut map = OffsetMap::new(self.memory.map_bytes, self.memory.load_factor, keys_max);
        let segments = self.facts.covering(first_offset, end_offset);
        log::info!(
            target: loggers::LOG_CLEANER,
            "Building offset map for log {} for {} segments in offset range [{first_offset}, {end_offset}).",
            self.view.dir.topic_partition,
            segments.len()
        );
        let mut transactions = Transactions::default();
        transactions.add(self.aborted(segments.start, first_offset, end_offset)?);
        let limits = limits_of(self.view);
        for at in segments {
            let segment = self.view.sealed[at].clone();
            let from = segment.lookup(first_offset).map_err(|error| self.error(&segment, error))?;
            let (mut bytes, mut records) = (0, 0);
            let walked = self.scan(&segment, from, &mut |batch, scratch| {
                bytes += batch.info.size_bytes as u64;
                let mut indexing = Indexing { map: &mut map, first_offset, records: &mut records };
                let added = indexing.add(batch, &mut transactions, &limits, scratch);
                added.map_err(|damage| damaged(&segment, batch.position, &damage))
            });
            self.stats.indexed(bytes, records);
            if walked?.is_break() {
                return Ok(map);
            }
            // Offsets that nobody has.
            map.advance_to(self.view.next_base(at).min(end_offset) - 1);
        }
        map.advance_to(first_offset - 1);
        Ok(map)
    }

    fn aborted(&self, first: usize, from: Offset, to: Offset) -> Result<Vec<AbortedTxn>, PassError> {
        self.view.aborted(first, from, to).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => PassError::Aborted,
            _ => PassError::Storage(self.view.dir.fail("cleaning log", error)),
        })
    }

    fn groups(&self, segments: Range<usize>) -> Result<Vec<Range<usize>>, PassError> {
        let start = segments.start;
        let mut facts = Vec::with_capacity(segments.len());
        for segment in &self.view.sealed[segments] {
            let sizes = segment.index_bytes().map_err(|error| self.error(segment, error))?;
            facts.push(GroupFacts {
                base_offset: segment.base_offset(),
                size_bytes: u64::from(segment.size),
                offset_index_bytes: sizes.0,
                time_index_bytes: sizes.1,
            });
        }
        let limits = GroupLimits {
            size_bytes: u64::from(self.view.config.segment_bytes),
            index_bytes: u64::from(self.view.config.segment_index_bytes),
            end_offset: self.dirty.end_offset,
        };
        let groups = machine::group(&facts, &limits);
        Ok(groups.into_iter().map(|group| group.start + start..group.end + start).collect())
    }

    fn clean_group(
        &mut self,
        group: Range<usize>,
        horizon_ms: i64,
        filter: &mut Filter<'_>,
        swap: &mut Swap<'_>,
    ) -> Result<(), PassError> {
        let old = self.view.sealed[group.clone()].to_vec();
        let (first, last) = (&old[0], &old[old.len() - 1]);
        let buffer = std::mem::take(&mut self.memory.write_buffer);
        let io_bytes = self.memory.io_bytes;
        let (dir, config) = (&self.view.dir, &self.view.config);
        let output = Output::create(dir, first.base_offset(), config, io_bytes, buffer);
        let mut output = output.map_err(|error| self.error(first, error))?;
        let done = self.fill(group, horizon_ms, filter, &mut output).and_then(|changed| {
            if !changed && old.len() == 1 {
                return Ok(false);
            }
            let modified = file::modified(&last.file.path(filename::LOG));
            let files = modified.and_then(|modified| output.finish(modified));
            let files = files.map_err(|error| self.error(last, error))?;
            for segment in &old {
                segment.retire().map_err(|error| self.error(segment, error))?;
            }
            log::info!(
                target: loggers::LOG_CLEANER,
                "Swapping in cleaned segment {} of {} bytes for segments {:?} in log {}",
                files.base_offset,
                files.size,
                old.iter().map(|segment| segment.base_offset()).collect::<Vec<_>>(),
                self.view.dir.topic_partition
            );
            swap(&old, files).map(|()| true)
        });
        if !matches!(done, Ok(true)) {
            old.iter().for_each(|segment| segment.file.pin(false));
            // Its directory may be gone; what stays is removed at the next start.
            if let Err(error) = output.discard() {
                log::warn!(target: loggers::LOG_CLEANER, "Cannot remove a cleaned segment: {error}");
            }
        }
        self.memory.write_buffer = output.into_buffer();
        done.map(drop)
    }

    /// Writes what stays of a group; true if something went.
    fn fill(
        &mut self,
        group: Range<usize>,
        horizon_ms: i64,
        filter: &mut Filter<'_>,
        output: &mut Output,
    ) -> Result<bool, PassError> {
        let mut changed = false;
        for at in group {
            let segment = self.view.sealed[at].clone();
            let aborted = self.aborted(at, segment.base_offset(), self.view.next_base(at))?;
            filter.transactions.add(aborted);
            filter.retain_deletes = self.age_of(&segment)? > horizon_ms;
            log::info!(
                target: loggers::LOG_CLEANER,
                "Cleaning LogSegment(baseOffset={}, size={}) in log {} with deletion horizon {horizon_ms}, {} deletes.",
                segment.base_offset(),
                segment.size,
                self.view.dir.topic_partition,
                if filter.retain_deletes { "retaining" } else { "discarding" }
            );
            let mut stats = self.stats;
            let pace = self.pace;
            let walked = self.scan(&segment, 0, &mut |batch, scratch| {
                let before = output.size_bytes();
                let cleaned = filter.clean(batch, scratch, output);
                let cleaned = cleaned.map_err(|error| damaged(&segment, batch.position, &error))?;
                if let Some(info) = &cleaned.batch {
                    let noted = output.note(info);
                    noted.map_err(|error| PassError::of_write(&segment, error))?;
                }
                changed |= cleaned.changed;
                let written = (output.size_bytes() - before) as usize;
                stats.cleaned(&batch.info, &cleaned, written);
                pace.pass(written)?;
                Ok(ControlFlow::Continue(()))
            });
            self.stats = stats;
            walked.map(|_to_the_end| ())?;
        }
        Ok(changed)
    }
}

impl PassError {
    fn of_write(segment: &Segment, error: io::Error) -> PassError {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                PassError::Failed(error.to_string())
            }
            _ => PassError::Storage(segment.file.dir.fail("cleaning log", error)),
        }
    }
}

fn limits_of(view: &CleaningView) -> Limits {
    Limits::for_max_message_bytes(view.config.max_message_bytes as usize)
}

fn damaged(segment: &Segment, position: u32, damage: &dyn std::fmt::Display) -> PassError {
    let path = segment.file.path(filename::LOG);
    PassError::Failed(format!("{} is damaged at position {position}: {damage}", path.display()))
}

/// Puts batches into the map.
struct Indexing<'a> {
    map: &'a mut OffsetMap,
    first_offset: Offset,
    records: &'a mut u64,
}

impl Indexing<'_> {
    /// Breaks off if the map is full.
    fn add(
        &mut self,
        batch: &Scanned<'_>,
        transactions: &mut Transactions,
        limits: &Limits,
        scratch: &mut Scratch,
    ) -> Result<ControlFlow<()>, RecordsError> {
        let info = &batch.info;
        if info.is_control() {
            *self.records += 1;
            transactions.on_marker(info, end_marker::control_record(info, batch.bytes));
        } else if transactions.is_aborted(info) {
            *self.records += info.records_count.max(0) as u64;
        } else {
            let walked = retain::visit_keys(info, batch.bytes, limits, scratch, |record| {
                *self.records += 1;
                let Some(key) = record.key.filter(|_| record.offset >= self.first_offset) else {
                    return true;
                };
                let put = self.map.put(key, record.offset);
                if !put {
                    self.map.advance_to(record.offset - 1);
                }
                put
            });
            if !walked? {
                return Ok(ControlFlow::Break(()));
            }
        }
        if info.last_offset() >= self.first_offset {
            self.map.advance_to(info.last_offset());
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// Decides over batches and records.
struct Filter<'a> {
    map: &'a OffsetMap,
    last_records: &'a HashMap<ProducerId, LastRecord>,
    transactions: Transactions,
    retain_deletes: bool,
    limits: Limits,
}

/// What became of a batch.
pub(super) struct Cleaned {
    /// What was appended to the output, if something was.
    pub(super) batch: Option<BatchInfo>,
    pub(super) changed: bool,
    /// Records that were read, and that stay.
    pub(super) records: (u32, u32),
    /// Records without a key.
    pub(super) invalid: u32,
}

impl Filter<'_> {
    fn clean(
        &mut self,
        batch: &Scanned<'_>,
        scratch: &mut Scratch,
        output: &mut Output,
    ) -> Result<Cleaned, RecordsError> {
        let info = &batch.info;
        let count = info.records_count.max(0) as u32;
        let discard = if info.is_control() {
            let record = end_marker::control_record(info, batch.bytes);
            let marker = self.transactions.on_marker(info, record);
            if let Some(txn) = marker.indexed {
                output.note_aborted(txn);
            }
            marker.is_free && !self.retain_deletes
        } else {
            self.transactions.is_aborted(info)
        };
        let mut cleaned = Cleaned { batch: None, changed: true, records: (count, 0), invalid: 0 };
        let out = &mut output.buffer;
        if info.is_control() && !discard && count > 0 {
            // Keys of control records are no keys of the log.
            out.extend_from_slice(batch.bytes);
            cleaned = Cleaned { batch: Some(*info), changed: false, records: (count, count), invalid: 0 };
        } else if !discard {
            let (map, retain_deletes) = (self.map, self.retain_deletes);
            let invalid = &mut cleaned.invalid;
            let keep = |record: Keyed<'_>| stays(map, retain_deletes, &record, invalid);
            let retained = retain::retain(info, batch.bytes, &self.limits, scratch, out, keep)?;
            cleaned.changed = retained.kept != retained.read || retained.batch.is_none();
            cleaned.records = (retained.read, retained.kept);
            cleaned.batch = retained.batch;
        }
        if cleaned.batch.is_none() && self.is_last_of_producer(info) {
            cleaned.changed = count > 0;
            cleaned.batch = Some(retain::write_empty(info, batch.bytes, out));
        }
        Ok(cleaned)
    }

    /// True if the batch tells the sequence or, if its producer has no data left, the epoch of a known producer.
    fn is_last_of_producer(&self, info: &BatchInfo) -> bool {
        let Some(last) = self.last_records.get(&info.producer_id).filter(|_| info.has_producer_id()) else {
            return false;
        };
        match last.data_offset {
            Some(offset) => info.last_offset() == offset,
            None => info.is_control() && info.producer_epoch == last.producer_epoch,
        }
    }
}

fn stays(map: &OffsetMap, retain_deletes: bool, record: &Keyed<'_>, invalid: &mut u32) -> bool {
    if record.offset > map.latest() {
        return true;
    }
    let Some(key) = record.key else {
        *invalid += 1;
        return false;
    };
    let is_latest = map.get(key).is_none_or(|latest| record.offset >= latest);
    is_latest && (record.has_value || retain_deletes)
}
