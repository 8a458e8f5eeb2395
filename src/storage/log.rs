//! One partition's log. Owned by the partition's mutex: nothing in here locks or waits for a peer.

use super::append_types::{FollowerAppended, FollowerRecords, LeaderAppend};
use super::error::{AppendFailure, ReadError, StorageError};
use super::log_config::LogConfig;
use super::read_plan::{LogPosition, ReadPlan};
use crate::common::{LeaderEpoch, Offset, TopicPartition, Uuid};
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
}

/// A record's offset and timestamp, found by time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimestampAndOffset {
    /// The record's timestamp; -1 for the special timestamps.
    pub timestamp: i64,
    /// Its offset.
    pub offset: Offset,
    /// Leader epoch of its batch, -1 if unknown.
    pub leader_epoch: LeaderEpoch,
}

/// Syncs files off the partition's lock: from `begin_flush`, then `run`, then `complete_flush`.
#[derive(Debug)]
pub struct FlushJob {
    pub(crate) up_to: Offset,
}

/// Proof that a [`FlushJob`] ran.
#[derive(Debug)]
pub struct FlushDone {
    pub(crate) up_to: Offset,
}

impl FlushJob {
    /// Syncs. Blocks on the disk: never under a partition's lock, never on an async worker.
    pub fn run(self) -> Result<FlushDone, StorageError> {
        Ok(FlushDone { up_to: self.up_to })
    }
}

/// See the module.
#[derive(Debug)]
pub struct Log {
    topic_partition: TopicPartition,
    log_dir: Arc<Path>,
    config: Arc<LogConfig>,
    log_start_offset: Offset,
    end: LogPosition,
    recovery_point: Offset,
    topic_id: Uuid,
}

impl Log {
    /// The partition.
    pub fn topic_partition(&self) -> &TopicPartition {
        &self.topic_partition
    }

    /// The entry of `log.dirs` it lives in.
    pub fn log_dir(&self) -> &Arc<Path> {
        &self.log_dir
    }

    /// The settings in force.
    pub fn config(&self) -> &Arc<LogConfig> {
        &self.config
    }

    /// Puts other settings in force.
    pub fn update_config(&mut self, config: Arc<LogConfig>) -> Result<(), StorageError> {
        self.config = config;
        Ok(())
    }

    /// First offset that readers may see.
    pub fn log_start_offset(&self) -> Offset {
        self.log_start_offset
    }

    /// The log end offset and where the next batch goes.
    pub fn log_end(&self) -> LogPosition {
        self.end
    }

    /// Offset after the last record.
    pub fn log_end_offset(&self) -> Offset {
        self.end.offset
    }

    /// What checkpoints need.
    pub fn state(&self) -> LogState {
        LogState {
            topic_partition: self.topic_partition.clone(),
            log_dir: self.log_dir.clone(),
            recovery_point: self.recovery_point,
            log_start_offset: None,
        }
    }

    /// The topic's id, [`Uuid::ZERO`] if none is known.
    pub fn topic_id(&self) -> Uuid {
        self.topic_id
    }

    /// Appends what waits, in order, with one vectored write per run of bytes. Every request gets its outcome;
    /// an error concerns all of them, and the log directory goes offline.
    pub fn append_as_leader(
        &mut self,
        appends: &mut [LeaderAppend],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        let _ = (appends, leader_epoch, now_ms);
        Ok(())
    }

    /// Appends a leader's bytes verbatim. An empty log may restart at the set's first offset.
    pub fn append_as_follower(
        &mut self,
        records: &FollowerRecords,
        now_ms: i64,
    ) -> Result<FollowerAppended, AppendFailure> {
        let _ = now_ms;
        let last_offset = records.last_offset().unwrap_or(-1);
        Ok(FollowerAppended {
            first_offset: records.first_offset().unwrap_or(-1),
            last_offset,
            end: self.end,
        })
    }

    /// Plans a read from `offset` up to `upper` (high watermark, last stable offset or log end). No I/O.
    pub fn plan_read(&self, offset: Offset, upper: LogPosition) -> Result<ReadPlan, ReadError> {
        Ok(ReadPlan { offset, upper, hint: None, aborted: false })
    }

    /// The place of the batch that holds `offset` (or of the next one). May read the disk.
    pub fn position_of(&self, offset: Offset) -> Result<LogPosition, ReadError> {
        Ok(LogPosition::of_offset(offset))
    }

    /// The last stable offset under this high watermark: below it no transaction is open (READ_COMMITTED).
    pub fn last_stable_offset(&mut self, high_watermark: LogPosition) -> LogPosition {
        high_watermark
    }

    /// The first record with a timestamp of at least `timestamp_ms`, at or above the log start. -1 and -2
    /// (latest, earliest) give log end and log start. Reads and decompresses: see also
    /// `plan_offset_for_timestamp`.
    pub fn offset_for_timestamp(&self, timestamp_ms: i64) -> Result<Option<TimestampAndOffset>, ReadError> {
        let _ = timestamp_ms;
        Ok(None)
    }

    /// ListOffsets version 0: offsets of segments by their file's age, newest first.
    pub fn legacy_offsets_before(
        &self,
        timestamp_ms: i64,
        offsets_max: usize,
        now_ms: i64,
    ) -> Result<Vec<Offset>, StorageError> {
        let _ = (timestamp_ms, offsets_max, now_ms);
        Ok(Vec::new())
    }

    /// Notes that `leader_epoch` begins at `start_offset`: a new leader does so before its first append.
    pub fn assign_epoch_start(
        &mut self,
        leader_epoch: LeaderEpoch,
        start_offset: Offset,
    ) -> Result<(), StorageError> {
        let _ = (leader_epoch, start_offset);
        Ok(())
    }

    /// Epoch and end offset for OffsetsForLeaderEpoch: the largest epoch not above `leader_epoch`, and where
    /// the next one begins. `None` if undefined.
    pub fn end_offset_for_epoch(&self, leader_epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let _ = leader_epoch;
        None
    }

    /// The latest leader epoch with an entry.
    pub fn latest_epoch(&self) -> Option<LeaderEpoch> {
        None
    }

    /// Cuts off everything at and above `offset`. False if there was nothing to cut.
    pub fn truncate_to(&mut self, offset: Offset, now_ms: i64) -> Result<bool, StorageError> {
        let _ = (offset, now_ms);
        Ok(false)
    }

    /// Drops everything; the log goes on, empty, at `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset, now_ms: i64) -> Result<(), StorageError> {
        let _ = (offset, now_ms);
        Ok(())
    }

    /// Moves the log start up (DeleteRecords, or the leader's log start). False if it was there already.
    pub fn advance_log_start_offset(
        &mut self,
        offset: Offset,
        high_watermark: Offset,
    ) -> Result<bool, ReadError> {
        let _ = (offset, high_watermark);
        Ok(false)
    }

    /// Deletes segments that retention allows to. Returns how many; their files go to the deletion queue.
    pub fn apply_retention(&mut self, now_ms: i64, high_watermark: Offset) -> Result<usize, StorageError> {
        let _ = (now_ms, high_watermark);
        Ok(0)
    }

    /// True if a segment was rolled or `flush.ms` went by since the last flush: time for a [`FlushJob`].
    pub fn flush_wanted(&self, now_ms: i64) -> bool {
        let _ = now_ms;
        false
    }

    /// First half of a flush: what is to be synced. `None` if everything is.
    pub fn begin_flush(&mut self, now_ms: i64) -> Result<Option<FlushJob>, StorageError> {
        let _ = now_ms;
        Ok(None)
    }

    /// Second half: the recovery point moves up.
    pub fn complete_flush(&mut self, done: FlushDone) {
        self.recovery_point = self.recovery_point.max(done.up_to);
    }

    /// Gives the topic its id and writes `partition.metadata`.
    pub fn assign_topic_id(&mut self, topic_id: Uuid) -> Result<(), StorageError> {
        self.topic_id = topic_id;
        Ok(())
    }
}
