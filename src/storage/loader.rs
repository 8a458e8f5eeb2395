//! Opens the log of one directory, whatever state it was left in.
//!
//! 1. Leftovers of deletion and compaction are removed or completed (`leftovers`).
//! 2. Segments in order; an index without a log goes; a segment without its index is recovered.
//! 3. After an unclean stop the segments from the recovery point on are recovered; the first one that had to
//!    be cut ends the log.
//! 4. A log that ends below its start begins anew there.
//! 5. Leader epochs and producer state are brought in line with what is there.
//!
//! After a clean stop nothing is read but names, sizes and small files, and the tail of the last segment. If
//! that tail is torn although the stop was clean, the last segment is recovered: Kafka 2.8.2 would go on after
//! the torn bytes. Source: Kafka 2.8.2, `Log.scala`, `loadSegments` and `recoverLog`.

use super::checkpoint;
use super::error::StorageError;
use super::file;
use super::filename;
use super::header_scan::HeaderScan;
use super::leader_epoch_cache::LeaderEpochCache;
use super::leftovers::{self, Names};
use super::log::{Log, Unsynced};
use super::log_config::LogConfig;
use super::loggers;
use super::partition_dir::{PartitionDir, SegmentFile};
use super::partition_metadata;
use super::producer_replay;
use super::producer_snapshot::Snapshots;
use super::producer_state::ProducerState;
use super::recovery::{self, Recovered};
use super::segment::{ActiveSegment, Segment};
use super::segment_scan;
use super::transaction_index;
use crate::common::{Offset, Uuid};
use std::io;
use std::sync::Arc;

/// How a log is to be opened.
#[derive(Clone, Debug)]
pub(crate) struct LoadOptions {
    pub(crate) config: Arc<LogConfig>,
    pub(crate) is_future: bool,
    /// The last stop was clean: nothing needs recovery.
    pub(crate) clean: bool,
    /// From the checkpoint, 0 if it has none.
    pub(crate) recovery_point: Offset,
    /// From the checkpoint, 0 if it has none.
    pub(crate) log_start_offset: Offset,
    pub(crate) now_ms: i64,
}

/// A segment while it is loaded.
struct Loading {
    file: Arc<SegmentFile>,
    size: u32,
    has_index: bool,
    has_txn_index: bool,
}

impl Loading {
    fn describe(&self) -> String {
        format!("LogSegment(baseOffset={}, size={})", self.file.base_offset, self.size)
    }
}

struct Loader<'a> {
    dir: &'a Arc<PartitionDir>,
    options: &'a LoadOptions,
    segments: Vec<Loading>,
    epochs: Option<LeaderEpochCache>,
    snapshots: Snapshots,
    unsynced: Unsynced,
    log_start_offset: Offset,
}

/// Opens a log whose directory exists.
pub(crate) fn load(dir: &Arc<PartitionDir>, options: &LoadOptions) -> Result<Log, StorageError> {
    let context = |context: String, error| StorageError::new(&dir.log_dir, context, error);
    let epochs = load_epochs(dir, &options.config).map_err(|error| {
        let path = dir.file(filename::LEADER_EPOCHS);
        context(format!("Error while reading checkpoint file {}", path.display()), error)
    })?;
    let topic_id = partition_metadata::load(dir, options.clean).map_err(|error| {
        let path = dir.file(filename::PARTITION_METADATA);
        context(format!("Error while reading partition metadata file {}", path.display()), error)
    })?;
    let loaded = Loader::begin(dir, options, epochs).and_then(|loader| loader.load(topic_id));
    loaded.map_err(|error| context(format!("Error while loading log dir {}", dir.log_dir.display()), error))
}

/// Creates the log of a new, empty directory.
pub(crate) fn create(
    dir: &Arc<PartitionDir>,
    config: &Arc<LogConfig>,
    is_future: bool,
    now_ms: i64,
) -> io::Result<Log> {
    let active = ActiveSegment::create(dir, 0, config, now_ms)?;
    Ok(Log {
        dir: dir.clone(),
        is_future,
        config: config.clone(),
        sealed: Arc::default(),
        active,
        log_start_offset: 0,
        end_offset: 0,
        recovery_point: 0,
        indexes_synced_below: 0,
        indexes_complete_at: 0,
        epochs: (config.message_format_magic >= 2).then(LeaderEpochCache::default),
        stale_epochs: None,
        producers: ProducerState::default(),
        snapshots: Snapshots::default(),
        topic_id: Uuid::ZERO,
        unsynced: Unsynced { directory: true, log_dir: true, ..Unsynced::default() },
        last_flush_ms: now_ms,
        rolled: false,
        truncations: 0,
        lowest_truncation: Offset::MAX,
        failed: None,
    })
}

fn load_epochs(dir: &PartitionDir, config: &LogConfig) -> io::Result<Option<LeaderEpochCache>> {
    let path = dir.file(filename::LEADER_EPOCHS);
    if config.message_format_magic < 2 {
        file::remove_if_exists(&path)?;
        return Ok(None);
    }
    Ok(Some(LeaderEpochCache::from_entries(&checkpoint::read_epochs(&path)?)))
}

impl<'a> Loader<'a> {
    fn begin(
        dir: &'a Arc<PartitionDir>,
        options: &'a LoadOptions,
        epochs: Option<LeaderEpochCache>,
    ) -> io::Result<Loader<'a>> {
        let names = leftovers::clean(dir)?;
        let mut loader = Loader {
            dir,
            options,
            segments: Vec::with_capacity(names.logs.len()),
            epochs,
            snapshots: Snapshots::new(names.snapshots.clone()),
            unsynced: Unsynced::default(),
            log_start_offset: options.log_start_offset,
        };
        loader.collect_segments(&names)?;
        Ok(loader)
    }

    fn collect_segments(&mut self, names: &Names) -> io::Result<()> {
        for &base_offset in &names.logs {
            let file = SegmentFile::new(self.dir, base_offset);
            let size = file::path_len(&file.path(filename::LOG))?;
            let size = u32::try_from(size).map_err(|_| {
                let path = file.path(filename::LOG);
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is too large", path.display()))
            })?;
            let has_txn_index = names.txn_indexes.contains(&base_offset);
            let mut has_index = names.indexes.contains(&base_offset);
            if has_txn_index && !transaction_index::is_sane(&file.path(filename::TXN_INDEX), base_offset)? {
                has_index = false;
            }
            self.segments.push(Loading { file, size, has_index, has_txn_index });
        }
        Ok(())
    }

    fn load(mut self, topic_id: Uuid) -> io::Result<Log> {
        let on_disk = self.epochs.clone();
        self.recover_unindexed()?;
        if !self.options.clean {
            self.recover_unflushed()?;
        }
        let end_offset = self.find_end()?;
        let (end_offset, found) = self.check_not_below_start(end_offset)?;
        let first_base = self.segments.first().map_or(self.log_start_offset, |s| s.file.base_offset);
        let log_start_offset = self.log_start_offset.max(first_base);
        if let Some(epochs) = &mut self.epochs {
            epochs.truncate_from_end(end_offset);
            epochs.truncate_from_start(log_start_offset);
        }
        let trusted = self.options.clean && found;
        let recovery_point = if trusted { end_offset } else { self.options.recovery_point.min(end_offset) };
        let (sealed, mut active) = self.open_segments()?;
        let producers = self.load_producers(&sealed, &active, log_start_offset, end_offset)?;
        active.update_config(&self.options.config);
        active.file.rest();
        let active_base = active.base_offset();
        segment_scan::release_buffer();
        Ok(Log {
            dir: self.dir.clone(),
            is_future: self.options.is_future,
            config: self.options.config.clone(),
            sealed: Arc::new(sealed),
            active,
            log_start_offset,
            end_offset,
            recovery_point: recovery_point.max(first_base),
            indexes_synced_below: recovery_point.min(active_base),
            indexes_complete_at: if trusted && self.unsynced.sealed.is_empty() { end_offset } else { -1 },
            // Until the next flush the file may say what it said: recovery finds the same again.
            stale_epochs: on_disk.filter(|on_disk| self.epochs.as_ref() != Some(on_disk)),
            epochs: self.epochs,
            producers,
            snapshots: self.snapshots,
            topic_id,
            unsynced: self.unsynced,
            last_flush_ms: self.options.now_ms,
            rolled: false,
            truncations: 0,
            lowest_truncation: Offset::MAX,
            failed: None,
        })
    }

    /// Segments whose index is gone are recovered at any rate.
    fn recover_unindexed(&mut self) -> io::Result<()> {
        let unflushed = if self.options.clean { usize::MAX } else { self.first_unflushed() };
        for at in 0..self.segments.len().min(unflushed) {
            if !self.segments[at].has_index {
                log::error!(
                    target: loggers::LOG,
                    "{}Could not find offset index file corresponding to log file {}, \
                     recovering segment and rebuilding index files...",
                    self.dir.ident(),
                    self.segments[at].file.path(filename::LOG).display()
                );
                self.recover_segment(at, false)?;
            }
        }
        Ok(())
    }

    fn first_unflushed(&self) -> usize {
        let recovery_point = self.options.recovery_point;
        self.segments.partition_point(|s| s.file.base_offset <= recovery_point).saturating_sub(1)
    }

    /// Recovers from the recovery point on; the first segment that had to be cut ends the log.
    fn recover_unflushed(&mut self) -> io::Result<()> {
        let first = self.first_unflushed();
        // A removal that was not synced is undone by a power failure: what stands here again may be of a history
        // that was truncated.
        if let Some(segment) = self.segments.get(first) {
            let base_offset = segment.file.base_offset;
            self.snapshots.remove_if(self.dir, |offset| offset > base_offset)?;
        }
        if let (Some(epochs), Some(segment)) = (&mut self.epochs, self.segments.get(first)) {
            // What the scan will find again; a stale entry would hide what is in the batches.
            epochs.truncate_from_end(segment.file.base_offset);
        }
        self.rebuild_lost_epochs(first)?;
        let mut at = first;
        while at < self.segments.len() {
            let base_offset = self.segments[at].file.base_offset;
            log::info!(target: loggers::LOG, "{}Recovering unflushed segment {base_offset}", self.dir.ident());
            let recovered = self.recover_segment(at, true)?;
            if recovered.truncated_bytes > 0 || self.overlaps_next(at, recovered.next_offset) {
                let dropped = self.segments.split_off(at + 1);
                log::warn!(
                    target: loggers::LOG,
                    "{}Corruption found in segment {base_offset}, truncating to offset {}",
                    self.dir.ident(),
                    recovered.next_offset
                );
                if !dropped.is_empty() {
                    let names: Vec<_> = dropped.iter().map(Loading::describe).collect();
                    log::info!(
                        target: loggers::LOG,
                        "{}Deleting segments as part of log recovery: {}",
                        self.dir.ident(),
                        names.join(",")
                    );
                }
                for segment in &dropped {
                    segment.file.delete(self.options.config.file_delete_delay_ms)?;
                }
            }
            at += 1;
        }
        Ok(())
    }

    /// A power failure may leave an empty file in the place of leader epochs that were just written: those of
    /// segments that are not recovered anyway are read from the headers of their batches.
    fn rebuild_lost_epochs(&mut self, unflushed: usize) -> io::Result<()> {
        let Some(epochs) = self.epochs.as_mut().filter(|epochs| epochs.is_empty()) else { return Ok(()) };
        for segment in &self.segments[..unflushed] {
            let fd = segment.file.log()?;
            let mut scan = HeaderScan::new(&fd, 0, segment.size);
            while let Some((_, info)) = scan.next_batch()? {
                if info.magic < 2 {
                    break;
                }
                if epochs.latest().is_none_or(|latest| info.partition_leader_epoch > latest) {
                    epochs.assign(info.partition_leader_epoch, info.base_offset);
                }
            }
            segment.file.rest();
        }
        Ok(())
    }

    /// True if a segment's records reach into the next segment: a truncation was undone by a power failure, and
    /// what was written after it was not. One of the two histories must go; neither was flushed.
    fn overlaps_next(&self, at: usize, next_offset: Offset) -> bool {
        let next = self.segments.get(at + 1).map(|next| next.file.base_offset);
        let Some(base_offset) = next.filter(|base_offset| *base_offset < next_offset) else { return false };
        log::warn!(
            target: loggers::LOG,
            "{}Segment {base_offset} begins below {next_offset}, the end of the one before; deleting it and what follows",
            self.dir.ident()
        );
        true
    }

    fn recover_segment(&mut self, at: usize, with_epochs: bool) -> io::Result<Recovered> {
        let base_offset = self.segments[at].file.base_offset;
        let mut producers = match with_epochs {
            true => self.producers_at(&self.sealed_until(self.segments.len()), base_offset, false)?,
            false => self.producers_below(at)?,
        };
        let file = self.segments[at].file.clone();
        let epochs = if with_epochs { self.epochs.as_mut() } else { None };
        let recovered = recovery::recover(&file, &self.options.config, &mut producers, epochs)?;
        file.rest();
        producers.set_end_offset(producers.end_offset().max(recovered.next_offset));
        if with_epochs {
            let taken = self.snapshots.take(self.dir, &producers, self.log_start_offset)?;
            self.unsynced.snapshots.extend(taken);
        }
        self.unsynced.sealed.push(file);
        self.unsynced.directory = true;
        let segment = &mut self.segments[at];
        segment.size = recovered.size;
        segment.has_index = true;
        segment.has_txn_index = recovered.has_txn_index;
        Ok(recovered)
    }

    fn sealed_until(&self, end: usize) -> Vec<Arc<Segment>> {
        let segments = self.segments[..end].iter();
        segments.map(|s| Segment::new(s.file.clone(), s.size, s.has_txn_index)).collect()
    }

    /// Producer state at the base of a segment in the middle of the log, for its transaction index. The snapshots stay
    /// as they are: of what was compacted since, those above know more than can be read now.
    fn producers_below(&self, at: usize) -> io::Result<ProducerState> {
        let (start, base_offset) = (self.log_start_offset, self.segments[at].file.base_offset);
        if self.options.config.message_format_magic < 2 {
            return Ok(ProducerState::at(base_offset));
        }
        let mut producers = self.snapshots.up_to(base_offset).load(self.dir, start, self.options.now_ms)?;
        let segments = self.sealed_until(at);
        let replayed = producer_replay::Start { segments: &segments, log_start_offset: start };
        let mut none = Snapshots::none_to_take();
        producer_replay::replay(self.dir, &replayed, &mut producers, &mut none, base_offset)?;
        Ok(producers)
    }

    /// Producer state at `offset`, from the newest snapshot that is good for it and the batches after it.
    fn producers_at(
        &mut self,
        segments: &[Arc<Segment>],
        offset: Offset,
        clean: bool,
    ) -> io::Result<ProducerState> {
        let (start, magic) = (self.log_start_offset, self.options.config.message_format_magic);
        log::info!(
            target: loggers::LOG,
            "{}Loading producer state till offset {offset} with message format version {magic}",
            self.dir.ident()
        );
        if magic < 2 || (clean && self.snapshots.is_empty()) {
            // No producers, or a first start after an upgrade: nothing is to be found by reading everything.
            let mut producers = ProducerState::at(start);
            let last_two = segments[segments.len().saturating_sub(2)..].iter().map(|s| s.base_offset());
            for offset in last_two.chain([offset]) {
                producers.set_end_offset(offset);
                self.unsynced.snapshots.extend(self.snapshots.take(self.dir, &producers, start)?);
            }
            return Ok(producers);
        }
        self.snapshots.remove_if(self.dir, |snapshot| snapshot > offset || snapshot <= start)?;
        let mut producers = self.snapshots.load(self.dir, start, self.options.now_ms)?;
        let replayed = producer_replay::Start { segments, log_start_offset: start };
        let taken =
            producer_replay::replay(self.dir, &replayed, &mut producers, &mut self.snapshots, offset)?;
        self.unsynced.snapshots.extend(taken);
        Ok(producers)
    }

    fn load_producers(
        &mut self,
        sealed: &[Arc<Segment>],
        active: &ActiveSegment,
        log_start_offset: Offset,
        end_offset: Offset,
    ) -> io::Result<ProducerState> {
        self.log_start_offset = log_start_offset;
        let mut segments = sealed.to_vec();
        segments.push(Segment::new(active.file.clone(), active.size, active.has_txn_index));
        let bases: Vec<_> = segments.iter().map(|segment| segment.base_offset()).collect();
        self.snapshots.remove_strays(self.dir, &bases)?;
        let mut producers = self.producers_at(&segments, end_offset, self.options.clean)?;
        producer_replay::recall_batches(&segments, &mut producers, self.options.now_ms)?;
        Ok(producers)
    }

    /// Offset after the last record, from the last index entry on. A torn tail is recovered.
    fn find_end(&mut self) -> io::Result<Option<Offset>> {
        let Some(last) = self.segments.last() else { return Ok(None) };
        let (file, size) = (last.file.clone(), last.size);
        if size == 0 {
            return Ok(Some(file.base_offset));
        }
        let active =
            ActiveSegment::open(file.clone(), size, false, &self.options.config, self.options.now_ms)?;
        file.pin(false);
        let indexed = active.offset_index.last();
        let from = indexed.map_or(0, |entry| entry.position);
        let fd = file.log()?;
        let mut scan = HeaderScan::new(&fd, from, size);
        let mut next_offset = None;
        while let Some((_, info)) = scan.next_batch()? {
            next_offset = Some(info.next_offset());
        }
        let believable = indexed.is_none_or(|entry| entry.position > 0 && entry.position < size);
        match next_offset {
            Some(next_offset) if believable && scan.position() == size => Ok(Some(next_offset)),
            _ => {
                log::warn!(
                    target: loggers::LOG,
                    "{}The last segment is damaged although the last stop was clean; \
                     recovering it",
                    self.dir.ident()
                );
                self.recover_segment(self.segments.len() - 1, false)?;
                let (position, mut scan) = (self.segments.last().map_or(0, |s| s.size), None);
                let mut headers = HeaderScan::new(&fd, 0, position);
                while let Some((_, info)) = headers.next_batch()? {
                    scan = Some(info.next_offset());
                }
                Ok(Some(scan.unwrap_or(file.base_offset)))
            }
        }
    }

    /// A log that ends below its start (files were lost) begins anew at its start. True if what was found
    /// stays.
    fn check_not_below_start(&mut self, end_offset: Option<Offset>) -> io::Result<(Offset, bool)> {
        match end_offset {
            Some(end_offset) if end_offset >= self.log_start_offset => Ok((end_offset, true)),
            Some(end_offset) => {
                log::warn!(
                    target: loggers::LOG,
                    "{}Deleting all segments because logEndOffset ({end_offset}) is smaller \
                     than logStartOffset ({}). This could happen if segment files were deleted from the file \
                     system.",
                    self.dir.ident(),
                    self.log_start_offset
                );
                for segment in std::mem::take(&mut self.segments) {
                    segment.file.delete(self.options.config.file_delete_delay_ms)?;
                }
                if let Some(epochs) = &mut self.epochs {
                    epochs.clear();
                }
                self.snapshots.remove_if(self.dir, |_| true)?;
                Ok((self.log_start_offset, false))
            }
            None => Ok((self.log_start_offset, false)),
        }
    }

    fn open_segments(&mut self) -> io::Result<(Vec<Arc<Segment>>, ActiveSegment)> {
        let (config, now_ms) = (&self.options.config, self.options.now_ms);
        let Some(last) = self.segments.pop() else {
            self.unsynced.directory = true;
            let active = ActiveSegment::create(self.dir, self.log_start_offset, config, now_ms)?;
            return Ok((Vec::new(), active));
        };
        let active = ActiveSegment::open(last.file, last.size, last.has_txn_index, config, now_ms)?;
        Ok((self.sealed_until(self.segments.len()), active))
    }
}
