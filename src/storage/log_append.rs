//! Appends: as leader (offsets are given here) and as follower (bytes are taken verbatim).

use super::append_types::{AppendOrigin, FollowerAppended, FollowerRecords, LeaderAppend, LeaderAppended};
use super::append_write::{Staging, with_staging};
use super::end_marker;
use super::error::{AppendError, AppendFailure, StorageError};
use super::log::Log;
use super::loggers;
use super::producer_state::{BatchMetadata, Check, CompletedTxn, ProducerUpdate};
use super::read_plan::LogPosition;
use super::segment::SetInfo;
use super::transaction_index::{self, AbortedTxn};
use crate::common::ids::NO_LEADER_EPOCH;
use crate::common::{LeaderEpoch, Offset, TopicPartition};
use crate::record::batch::{BatchInfo, PreparedBatch, TimestampType};
use smallvec::SmallVec;
use std::io;

/// The offsets inside a compressed entry of format 0 are absolute: it is compressed anew for its place. (Newer
/// formats count from their base.)
fn place_v0_wrappers(append: &mut LeaderAppend, next_offset: Offset) {
    for batch in append.batches.iter_mut().filter(|b| b.info.magic == 0 && b.info.is_compressed()) {
        let first_offset = batch.info.base_offset;
        let placed = batch.place(next_offset + first_offset, NO_LEADER_EPOCH);
        batch.bytes = [&placed.head[..], &placed.rest[..]].concat().into();
        batch.info = BatchInfo { base_offset: first_offset, ..placed.info };
    }
}

/// What became of a set's producers.
enum Producers {
    /// They are checked; to be taken in.
    Checked(SmallVec<[ProducerUpdate; 1]>, SmallVec<[CompletedTxn; 1]>),
    /// The set is in the log already.
    Duplicate(BatchMetadata),
}

impl Log {
    /// Appends what waits, in order, with one vectored write per run of bytes. Every request gets its outcome;
    /// an error concerns all of them, and the log directory goes offline.
    ///
    /// A client's duplicate is answered with the offsets that it got the first time. Nothing is synced: the
    /// caller compares [`Log::unflushed_messages`] with `flush.messages` and flushes before it acknowledges.
    pub fn append_as_leader(
        &mut self,
        appends: &mut [LeaderAppend],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Result<(), StorageError> {
        self.check_not_failed()?;
        let written = with_staging(|staging| self.append_group(staging, appends, leader_epoch, now_ms));
        if let Err(error) = written {
            let error = self.fail_append(error);
            return Err(error);
        }
        Ok(())
    }

    fn append_group(
        &mut self,
        staging: &mut Staging,
        appends: &mut [LeaderAppend],
        leader_epoch: LeaderEpoch,
        now_ms: i64,
    ) -> io::Result<()> {
        for at in 0..appends.len() {
            let next_offset = staging.next_offset(self.end_offset);
            place_v0_wrappers(&mut appends[at], next_offset);
            let set = match self.check_set(&appends[at], next_offset) {
                Ok(set) if set.size_bytes == 0 => {
                    appends[at].outcome = Ok(self.appended_nothing());
                    continue;
                }
                Ok(set) => set,
                Err(error) => {
                    appends[at].outcome = Err(error);
                    continue;
                }
            };
            if self.active.should_roll(&set, staging.size_bytes(), &self.config, now_ms)? {
                self.write_staged(staging, appends)?;
                self.roll(set.first_offset, now_ms)?;
            }
            let position = self.active.size + staging.size_bytes();
            let append = &mut appends[at];
            match self.check_producers(append, next_offset, position) {
                Err(error) => append.outcome = Err(error),
                Ok(Producers::Duplicate(duplicate)) => {
                    append.outcome = Ok(self.appended_before(&duplicate));
                }
                Ok(Producers::Checked(updates, completed)) => {
                    append.outcome = Ok(self.appended(append, &set, position));
                    updates.into_iter().for_each(|update| self.producers.commit(update));
                    staging.stage_set(&set, at, &append.batches, leader_epoch);
                    self.stage_completed(staging, &completed);
                }
            }
        }
        self.write_staged(staging, appends)
    }

    /// Size, offsets and timestamps of a set that would begin at `next_offset`.
    fn check_set(&self, append: &LeaderAppend, next_offset: Offset) -> Result<SetInfo, AppendError> {
        let mut set = SetInfo::empty();
        for batch in &append.batches {
            let info = &batch.info;
            let first = next_offset + info.base_offset;
            let last = first + i64::from(info.last_offset_delta);
            set.add(first, last, batch.bytes.len(), info.max_timestamp);
        }
        if set.size_bytes > u64::from(self.config.segment_bytes) {
            return Err(AppendError::RecordListTooLarge(format!(
                "Message batch size is {} bytes in append to partition {}, which exceeds the maximum configured \
                 segment size of {}.",
                set.size_bytes,
                self.topic_partition(),
                self.config.segment_bytes
            )));
        }
        Ok(set)
    }

    fn check_producers(
        &self,
        append: &LeaderAppend,
        next_offset: Offset,
        position: u32,
    ) -> Result<Producers, AppendError> {
        let mut updates: SmallVec<[ProducerUpdate; 1]> = SmallVec::new();
        let mut completed = SmallVec::new();
        let mut at = position;
        for PreparedBatch { info, bytes } in &append.batches {
            if info.has_producer_id() {
                if append.origin == AppendOrigin::Client
                    && let Some(duplicate) = self.producers.find_duplicate(info)
                {
                    return Ok(Producers::Duplicate(duplicate));
                }
                let placed = BatchInfo { base_offset: next_offset + info.base_offset, ..*info };
                let first = LogPosition {
                    offset: placed.base_offset,
                    segment_base_offset: self.active.base_offset(),
                    position: at,
                };
                let check = Check { origin: append.origin, topic_partition: self.topic_partition() };
                let ended = self.learn(&mut updates, &placed, bytes, first, &check)?;
                completed.extend(ended);
            }
            at += bytes.len() as u32;
        }
        Ok(Producers::Checked(updates, completed))
    }

    fn learn(
        &self,
        updates: &mut SmallVec<[ProducerUpdate; 1]>,
        info: &BatchInfo,
        bytes: &[u8],
        first: LogPosition,
        check: &Check<'_>,
    ) -> Result<Option<CompletedTxn>, AppendError> {
        let marker = end_marker::parse(info, bytes);
        let at = match updates.iter().position(|update| update.producer_id() == info.producer_id) {
            Some(at) => at,
            None => {
                updates.push(self.producers.prepare(info.producer_id));
                updates.len() - 1
            }
        };
        updates[at].append(info, first, marker, check)
    }

    /// Takes completed transactions in; aborted ones go to the index after the bytes are written.
    fn stage_completed(&mut self, staging: &mut Staging, completed: &[CompletedTxn]) {
        for txn in completed {
            if txn.aborted {
                staging.aborted.push(AbortedTxn {
                    producer_id: txn.producer_id,
                    first_offset: txn.first_offset,
                    last_offset: txn.last_offset,
                    last_stable_offset: self.producers.last_stable_offset_at(txn),
                });
            }
            self.producers.complete(txn);
        }
    }

    fn appended(&self, append: &LeaderAppend, set: &SetInfo, position: u32) -> LeaderAppended {
        let stamped = append.batches.last().map(|batch| &batch.info);
        let stamped = stamped.filter(|info| info.timestamp_type() == TimestampType::LogAppendTime);
        LeaderAppended {
            first_offset: set.first_offset,
            last_offset: set.last_offset,
            log_append_time_ms: stamped.map_or(-1, |info| info.max_timestamp),
            log_start_offset: self.log_start_offset,
            duplicate: false,
            end: LogPosition {
                offset: set.last_offset + 1,
                segment_base_offset: self.active.base_offset(),
                position: position + set.size_bytes as u32,
            },
        }
    }

    fn appended_before(&self, duplicate: &BatchMetadata) -> LeaderAppended {
        LeaderAppended {
            first_offset: duplicate.first_offset(),
            last_offset: duplicate.last_offset,
            log_append_time_ms: duplicate.timestamp,
            log_start_offset: self.log_start_offset,
            duplicate: true,
            end: self.log_end(),
        }
    }

    fn appended_nothing(&self) -> LeaderAppended {
        LeaderAppended {
            first_offset: -1,
            last_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: self.log_start_offset,
            duplicate: false,
            end: self.log_end(),
        }
    }

    /// Writes what is staged to the active segment; only then the log's end moves.
    fn write_staged(&mut self, staging: &mut Staging, appends: &[LeaderAppend]) -> io::Result<()> {
        if staging.sets.is_empty() {
            return Ok(());
        }
        staging.write(&*self.active.file.log()?, u64::from(self.active.size), |at| &appends[at].batches)?;
        self.note_written(staging)
    }

    /// What was staged stands in the segment: its index, the epochs and the end of the log follow.
    fn note_written(&mut self, staging: &mut Staging) -> io::Result<()> {
        let mut epochs_changed = false;
        for set in &staging.sets {
            self.active.note_appended(&set.info, self.config.index_interval_bytes)?;
            epochs_changed |= self.note_epoch(set.magic, set.leader_epoch, set.info.first_offset);
            self.end_offset = set.info.last_offset + 1;
        }
        self.finish_write(&staging.aborted, epochs_changed || self.stale_epochs.is_some())?;
        staging.clear();
        Ok(())
    }

    fn note_epoch(&mut self, magic: i8, leader_epoch: LeaderEpoch, first_offset: Offset) -> bool {
        let Some(epochs) = &mut self.epochs else { return false };
        if magic >= 2 {
            return epochs.assign(leader_epoch, first_offset);
        }
        // A leader that appends an older format knows no epochs: followers must truncate by the high watermark.
        if !epochs.is_empty() {
            log::warn!(
                target: loggers::LOG,
                "{}Clearing leader epoch cache after unexpected append with message format v{magic}",
                self.dir.ident()
            );
        }
        epochs.clear()
    }

    fn finish_write(&mut self, aborted: &[AbortedTxn], epochs_changed: bool) -> io::Result<()> {
        if !aborted.is_empty() {
            transaction_index::append(&self.active.file.path(super::filename::TXN_INDEX), aborted)?;
            self.unsynced.directory |= !self.active.has_txn_index;
            self.active.has_txn_index = true;
        }
        self.producers.set_end_offset(self.end_offset);
        if epochs_changed {
            self.write_epochs().map_err(|error| io::Error::new(error.source.kind(), error.to_string()))?;
        }
        Ok(())
    }

    /// After a failed write: what may be half there is cut off, and the log is unusable.
    fn fail_append(&mut self, error: io::Error) -> StorageError {
        if let Ok(fd) = self.active.file.log() {
            // The directory is going offline in any case; recovery cuts the tail if this fails.
            if let Err(error) = super::file::truncate(&fd, u64::from(self.active.size)) {
                log::warn!(
                    target: loggers::LOG,
                    "{}Cannot cut a failed append: {error}",
                    self.dir.ident()
                );
            }
        }
        let doing = format!("appending records to {}", self.topic_partition());
        let context = format!("Error while {doing} in dir {}", self.log_dir().display());
        let error = StorageError::new(self.log_dir(), context, error);
        self.dir.health.fail(&error);
        self.failed.get_or_insert(error.clone());
        error
    }

    /// Appends a leader's bytes verbatim, over several segments if they do not fit into one. An empty log
    /// restarts at the set's first offset if that is below the log end and the set reaches beyond it.
    pub fn append_as_follower(
        &mut self,
        records: &FollowerRecords,
        now_ms: i64,
    ) -> Result<FollowerAppended, AppendFailure> {
        self.check_not_failed()?;
        let (Some(first_offset), Some(last_offset)) = (records.first_offset(), records.last_offset()) else {
            return Ok(FollowerAppended { first_offset: -1, last_offset: -1, end: self.log_end() });
        };
        if first_offset < self.end_offset {
            let empty = self.end_offset == self.log_start_offset;
            if !(empty && last_offset >= self.end_offset) {
                return Err(AppendError::UnexpectedOffset {
                    message: format!(
                        "Unexpected offset in append to {}. First offset {first_offset} is less than the next \
                         offset {}. Last offset in append: {last_offset}. Log start offset = {}",
                        self.topic_partition(),
                        self.end_offset,
                        self.log_start_offset
                    ),
                    first_offset,
                    last_offset,
                }
                .into());
            }
            log::warn!(
                target: loggers::LOG,
                "{}Restarting the empty log at offset {first_offset}",
                self.dir.ident()
            );
            self.truncate_fully_and_start_at(first_offset, now_ms)?;
        }
        if let Err(error) = with_staging(|staging| self.append_verbatim(staging, records, now_ms)) {
            return Err(self.fail_append(error).into());
        }
        Ok(FollowerAppended { first_offset, last_offset, end: self.log_end() })
    }

    fn append_verbatim(
        &mut self,
        staging: &mut Staging,
        records: &FollowerRecords,
        now_ms: i64,
    ) -> io::Result<()> {
        let (mut from, mut at) = (0, 0);
        for info in &records.batches {
            let mut set = SetInfo::empty();
            set.add(info.base_offset, info.last_offset(), info.size_bytes, info.max_timestamp);
            let staged = (at - from) as u32;
            if self.active.should_roll(&set, staged, &self.config, now_ms)? {
                self.write_verbatim(staging, &records.bytes[from..at])?;
                from = at;
                let base =
                    if info.magic >= 2 { info.base_offset } else { info.last_offset() - i64::from(i32::MAX) };
                self.roll(base, now_ms)?;
            }
            let position = self.active.size + (at - from) as u32;
            let bytes = &records.bytes[at..at + info.size_bytes];
            self.learn_verbatim(staging, info, bytes, position);
            staging.note_set(set, info.magic, info.partition_leader_epoch);
            at += info.size_bytes;
        }
        self.write_verbatim(staging, &records.bytes[from..at])
    }

    fn learn_verbatim(&mut self, staging: &mut Staging, info: &BatchInfo, bytes: &[u8], position: u32) {
        if !info.has_producer_id() {
            return;
        }
        let first = LogPosition {
            offset: info.base_offset,
            segment_base_offset: self.active.base_offset(),
            position,
        };
        let topic_partition: TopicPartition = self.topic_partition().clone();
        let check = Check { origin: AppendOrigin::Replication, topic_partition: &topic_partition };
        let mut updates = SmallVec::new();
        // Replicated batches are never refused.
        if let Ok(completed) = self.learn(&mut updates, info, bytes, first, &check) {
            updates.into_iter().for_each(|update| self.producers.commit(update));
            self.stage_completed(staging, completed.as_slice());
        }
    }

    fn write_verbatim(&mut self, staging: &mut Staging, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        super::file::write_at(&*self.active.file.log()?, bytes, u64::from(self.active.size))?;
        self.note_written(staging)
    }
}
