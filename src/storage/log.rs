//! One partition's log. Owned by the partition's mutex: nothing in here waits for a peer, and what blocks on
//! the disk (syncs, cold reads, deletions) is handed out as a job to be run off the lock.
//!
//! Invariants:
//! - `sealed` rises by base offset, all below the active segment; there is always an active one.
//! - `log_start_offset <= end_offset`, `recovery_point <= end_offset`.
//! - What readers may see (`end_offset`, the active segment's size and index) changes only after the bytes are
//!   in the file.
//! - After an I/O error the log refuses everything: its log directory is offline.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/Log.scala`.

use super::append_types::ActiveProducer;
use super::checkpoint;
use super::error::StorageError;
use super::file;
use super::filename;
use super::leader_epoch_cache::LeaderEpochCache;
use super::log_config::LogConfig;
use super::loggers;
use super::partition_dir::{PartitionDir, SegmentFile};
use super::partition_metadata;
use super::producer_snapshot::Snapshots;
use super::producer_state::ProducerState;
use super::read_plan::LogPosition;
use super::segment::{ActiveSegment, Segment};
use crate::common::{LeaderEpoch, Offset, TopicPartition, Uuid};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// What a checkpoint needs to know of a log: collected under each partition's lock, written off it.
#[derive(Clone, Debug)]
pub struct LogState {
    /// The partition.
    pub topic_partition: TopicPartition,
    /// The log directory it lives in.
    pub log_dir: Arc<Path>,
    /// Everything below is on disk.
    pub recovery_point: Offset,
    /// Present if the log start is above the first segment's base offset.
    pub log_start_offset: Option<Offset>,
    /// How often the log was cut since it was opened, and the smallest offset it was cut to.
    pub truncated: (u32, Offset),
}

/// Metadata that was written and not yet synced; a flush syncs it before the recovery point moves.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Files were created or renamed in the partition's directory.
    pub(crate) directory: bool,
    /// The partition's directory itself is new.
    pub(crate) log_dir: bool,
    pub(crate) leader_epochs: bool,
    /// Offsets of producer snapshots.
    pub(crate) snapshots: Vec<Offset>,
    /// Segments whose indexes were completed.
    pub(crate) sealed: Vec<Arc<SegmentFile>>,
}

impl Unsynced {
    pub(crate) fn is_empty(&self) -> bool {
        !(self.directory || self.log_dir || self.leader_epochs)
            && self.snapshots.is_empty()
            && self.sealed.is_empty()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    pub(crate) dir: Arc<PartitionDir>,
    pub(crate) is_future: bool,
    pub(crate) config: Arc<LogConfig>,
    pub(crate) sealed: Arc<Vec<Arc<Segment>>>,
    pub(crate) active: ActiveSegment,
    pub(crate) log_start_offset: Offset,
    pub(crate) end_offset: Offset,
    pub(crate) recovery_point: Offset,
    /// Indexes of segments that begin below are on disk too.
    pub(crate) indexes_synced_below: Offset,
    /// The log end at which the indexes of the active segment were complete on disk; -1 if they never were.
    pub(crate) indexes_complete_at: Offset,
    /// `None` if the topic's message format has no leader epochs.
    pub(crate) epochs: Option<LeaderEpochCache>,
    /// What the file of leader epochs still says, if that is not what is known now.
    pub(crate) stale_epochs: Option<LeaderEpochCache>,
    pub(crate) producers: ProducerState,
    /// The producer snapshots on disk.
    pub(crate) snapshots: Snapshots,
    pub(crate) topic_id: Uuid,
    pub(crate) unsynced: Unsynced,
    pub(crate) last_flush_ms: i64,
    /// A segment was sealed and not yet synced.
    pub(crate) rolled: bool,
    /// Counts truncations: a flush that overlaps with one does not move the recovery point.
    pub(crate) truncations: u32,
    /// The smallest offset that the log was cut to since it was opened.
    pub(crate) lowest_truncation: Offset,
    pub(crate) failed: Option<StorageError>,
}

impl Log {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.dir.topic_partition
    }

    /// The entry of `log.dirs` it lives in.
    pub fn log_dir(&self) -> &Arc<Path> {
        &self.dir.log_dir
    }

    /// The directory of its files.
    pub fn path(&self) -> Arc<Path> {
        self.dir.path()
    }

    /// True for a copy that will replace the current log when it caught up (KIP-113).
    pub fn is_future(&self) -> bool {
        self.is_future
    }

    /// The settings in force.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Puts other settings in force. A message format without leader epochs drops those that are known.
    pub fn update_config(&mut self, config: Arc<LogConfig>) -> Result<(), StorageError> {
        self.active.update_config(&config);
        let had_epochs = self.config.message_format_magic >= 2;
        let has_epochs = config.message_format_magic >= 2;
        if had_epochs && !has_epochs {
            log::warn!(
                target: loggers::LOG,
                "{}Deleting non-empty leader epoch cache due to incompatible message format V{}",
                self.dir.ident(),
                config.message_format_magic
            );
            self.epochs = None;
            let removed = file::remove_if_exists(&self.dir.file(filename::LEADER_EPOCHS));
            removed.map_err(|error| self.fail("deleting leader epochs", error))?;
        } else if has_epochs && self.epochs.is_none() {
            self.epochs = Some(LeaderEpochCache::default());
        }
        self.config = config;
        Ok(())
    }

    /// First offset that readers may see.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The log end offset and where the next batch goes.
    pub fn log_end(&self) -> LogPosition {
        LogPosition {
            offset: self.end_offset,
            segment_base_offset: self.active.base_offset(),
            position: self.active.size,
        }
    }

    /// Offset after the last record.
    pub fn log_end_offset(&self) -> Offset {
        self.end_offset
    }

    /// Everything below is on disk.
    pub fn recovery_point(&self) -> Offset {
        self.recovery_point
    }

    /// Bytes of all segments.
    pub fn size_bytes(&self) -> u64 {
        self.sealed.iter().map(|segment| u64::from(segment.size)).sum::<u64>() + u64::from(self.active.size)
    }

    /// Number of segments, the active one included.
    pub fn segment_count(&self) -> usize {
        self.sealed.len() + 1
    }

    /// Base offset of the active segment.
    pub fn active_segment_base_offset(&self) -> Offset {
        self.active.base_offset()
    }

    /// Base offset of the first segment.
    pub(crate) fn first_base_offset(&self) -> Offset {
        self.sealed.first().map_or(self.active.base_offset(), |segment| segment.base_offset())
    }

    /// What checkpoints need. A segment whose indexes are not on disk yet is to be recovered after a crash, even
    /// if its records are: so the point stays below the log end, where the next segment may begin before the next
    /// checkpoint is written.
    pub fn state(&self) -> LogState {
        let above_first = self.log_start_offset > self.first_base_offset();
        let at = self.sealed.partition_point(|segment| segment.base_offset() < self.indexes_synced_below);
        let incomplete = match self.sealed.get(at) {
            Some(segment) => segment.base_offset(),
            None if self.active.size > 0 && self.indexes_complete_at != self.end_offset => {
                self.end_offset - 1
            }
            None => self.recovery_point,
        };
        LogState {
            topic_partition: self.topic_partition().clone(),
            log_dir: self.log_dir().clone(),
            recovery_point: self.recovery_point.min(incomplete),
            log_start_offset: above_first.then_some(self.log_start_offset),
            truncated: (self.truncations, self.lowest_truncation),
        }
    }

    /// The topic's id, [`Uuid::ZERO`] if none is known.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Gives the topic its id and writes `partition.metadata`, if such files are kept. A log that has an id
    /// keeps it: check [`Log::topic_id`] first.
    pub fn assign_topic_id(&mut self, topic_id: Uuid) -> Result<(), StorageError> {
        if !self.dir.shared.keep_partition_metadata || !self.topic_id.is_zero() || topic_id.is_zero() {
            return Ok(());
        }
        self.check_not_failed()?;
        let text = partition_metadata::format(topic_id);
        let written = file::replace(&self.dir.file(filename::PARTITION_METADATA), text.as_bytes(), false);
        written.map_err(|error| self.fail("writing partition metadata", error))?;
        self.topic_id = topic_id;
        self.unsynced.directory = true;
        Ok(())
    }

    /// Notes that `leader_epoch` begins at `start_offset`: a new leader does so before its first append. With that it
    /// gets into the file, or some time later: an epoch without records is nobody's loss, and thousands of partitions
    /// may change their leader at once.
    pub fn assign_epoch_start(
        &mut self,
        leader_epoch: LeaderEpoch,
        start_offset: Offset,
    ) -> Result<(), StorageError> {
        self.check_not_failed()?;
        let Some(epochs) = &mut self.epochs else { return Ok(()) };
        let before = epochs.clone();
        if epochs.assign(leader_epoch, start_offset) {
            self.stale_epochs.get_or_insert(before);
        }
        Ok(())
    }

    /// Writes the leader epochs if the file has others; to be called now and then.
    pub fn write_stale_epochs(&mut self) -> Result<(), StorageError> {
        match &self.stale_epochs {
            Some(_) if self.failed.is_none() => self.write_epochs(),
            _ => Ok(()),
        }
    }

    /// Epoch and end offset for OffsetsForLeaderEpoch: the largest epoch not above `leader_epoch`, and where
    /// the next one begins. `None` if undefined.
    pub fn end_offset_for_epoch(&self, leader_epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        self.epochs.as_ref()?.end_offset_for(leader_epoch, self.end_offset)
    }

    /// The latest leader epoch with an entry.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        self.epochs.as_ref()?.latest()
    }

    /// All leader epochs with their start offsets.
    pub fn leader_epochs(&self) -> &[(LeaderEpoch, Offset)] {
        self.epochs.as_ref().map_or(&[], |epochs| epochs.entries())
    }

    /// Writes the leader epochs; they are synced with the next flush.
    pub(crate) fn write_epochs(&mut self) -> Result<(), StorageError> {
        let Some(epochs) = &self.epochs else { return Ok(()) };
        // An empty log loses its epochs when it is loaded, and gets them back when its leader takes office.
        if self.stale_epochs.take().as_ref() == Some(epochs) {
            return Ok(());
        }
        let text = checkpoint::format_epochs(epochs.entries());
        let written = file::replace(&self.dir.file(filename::LEADER_EPOCHS), text.as_bytes(), false);
        written.map_err(|error| self.fail("writing leader epochs", error))?;
        self.unsynced.leader_epochs = true;
        Ok(())
    }

    /// Forgets producers that were idle too long; to be called every ten minutes or so.
    pub fn remove_expired_producers(&mut self, now_ms: i64) {
        self.producers.remove_expired(now_ms, self.dir.shared.producer_expiration_ms);
    }

    /// The producers that this log knows, by id.
    pub fn active_producers(&self) -> Vec<ActiveProducer> {
        let shown = self.producers.sorted().into_iter().map(|(producer_id, entry)| ActiveProducer {
            producer_id,
            producer_epoch: entry.producer_epoch,
            last_sequence: entry.last_sequence(),
            last_timestamp: entry.last_timestamp,
            coordinator_epoch: entry.coordinator_epoch,
            current_txn_first_offset: entry.current_txn_first_offset,
        });
        shown.collect()
    }

    /// The error of this log, if its directory went offline through it.
    pub fn failure(&self) -> Option<&StorageError> {
        self.failed.as_ref()
    }

    /// Refuses everything from now on: another log of the directory failed, or the directory is to be taken
    /// offline. Nothing is written any more.
    pub fn mark_offline(&mut self, error: StorageError) {
        self.failed.get_or_insert(error);
        self.release_files();
    }

    /// Readers in flight end quietly when their file cannot be opened any more.
    pub(crate) fn release_files(&self) {
        for file in self.sealed.iter().map(|segment| &segment.file).chain([&self.active.file]) {
            file.mark_deleted();
            file.pin(false);
            file.close();
        }
    }

    pub(crate) fn check_not_failed(&self) -> Result<(), StorageError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.dir.health.check(),
        }
    }

    /// Turns an I/O error into one of this log, which is unusable from now on.
    pub(crate) fn fail(&mut self, doing: &str, error: io::Error) -> StorageError {
        let error = self.dir.fail(doing, error);
        self.failed.get_or_insert(error.clone());
        error
    }
}
