//! A partition that copies from its leader: every change asks first, under the mutex, whether the replica still
//! follows in the epoch that the caller believes in. So an answer of a leader that was replaced changes nothing,
//! however late it comes.

use super::{Due, Locked, Partition, PartitionState};
use crate::common::{LeaderEpoch, Offset, clock};
use crate::replication::fetcher::messages::{Fetched, LogFailure, LogView};
use crate::replication::partition_machine::Role;
use crate::storage::{AppendFailure, FollowerRecords, Log, LogPosition, StorageError};
use bytes::Bytes;
use log::warn;

const TARGET: &str = "kafka.server.ReplicaFetcherThread";

/// What a change under the mutex came to.
type Changed<T> = Result<T, Failed>;

enum Failed {
    NotFollowing,
    Rejected(String),
    Storage(StorageError),
}

impl From<StorageError> for Failed {
    fn from(error: StorageError) -> Failed {
        Failed::Storage(error)
    }
}

impl Partition {
    /// How the follower's log stands.
    pub fn look_as_follower(&self, leader_epoch: LeaderEpoch) -> Result<LogView, LogFailure> {
        self.change_as_follower(leader_epoch, |state, _| Ok(state.follower_view()))
    }

    /// The largest epoch in the follower's log that is not above `epoch`, and where it ends.
    pub fn epoch_end_as_follower(
        &self,
        leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, LogFailure> {
        self.change_as_follower(leader_epoch, |state, _| {
            Ok(state.log.as_ref().and_then(|log| log.end_offset_for_epoch(epoch)))
        })
    }

    /// Appends what the leader sent, takes its high watermark and its log start over. `restarted` is called, off the
    /// mutex, if the log had to begin anew for it, before the append: recovery points have to be written.
    pub fn append_as_follower(
        &self,
        leader_epoch: LeaderEpoch,
        fetched: &Fetched,
        restarted: impl Fn(),
    ) -> Result<LogView, LogFailure> {
        let records = FollowerRecords::check(fetched.records.clone());
        let records = records.map_err(|error| LogFailure::Rejected(error.to_string()))?;
        let mut expected_end = fetched.fetch_offset;
        if let Some(first_offset) = self.begins_inside(leader_epoch, fetched, &records)? {
            // The leader's log starts inside a batch (DeleteRecords), and this one is empty.
            self.restart_as_follower(leader_epoch, first_offset)?;
            restarted();
            expected_end = first_offset;
        }
        let fetched = Fetched { fetch_offset: expected_end, records: Bytes::new(), ..*fetched };
        self.change_as_follower(leader_epoch, |state, due| state.follow(&fetched, &records, due))?;
        self.flush_if_required();
        self.look_as_follower(leader_epoch)
    }

    fn begins_inside(
        &self,
        leader_epoch: LeaderEpoch,
        fetched: &Fetched,
        records: &FollowerRecords,
    ) -> Result<Option<Offset>, LogFailure> {
        let (Some(first), Some(last)) = (records.first_offset(), records.last_offset()) else {
            return Ok(None);
        };
        let view = self.look_as_follower(leader_epoch)?;
        let is_empty = view.log_start_offset == view.log_end_offset;
        let fits = first < view.log_end_offset && last >= view.log_end_offset;
        Ok((is_empty && fits && fetched.fetch_offset == view.log_end_offset).then_some(first))
    }

    /// Cuts off what is at and above `offset`. Recovery points have to be written before the next append.
    pub fn truncate_as_follower(
        &self,
        leader_epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<LogView, LogFailure> {
        let name = &self.name;
        self.change_as_follower(leader_epoch, |state, due| {
            let high_watermark = state.machine.high_watermark().offset;
            if offset < high_watermark {
                warn!(target: TARGET, "Truncating {name} to offset {offset} below high watermark {high_watermark}");
            }
            state.follower_log()?.truncate_to(offset, clock::now_ms())?;
            state.bound_as_follower(due);
            Ok(state.follower_view())
        })
    }

    /// Drops everything and goes on at `offset`. Recovery points have to be written before the next append.
    pub fn restart_as_follower(
        &self,
        leader_epoch: LeaderEpoch,
        offset: Offset,
    ) -> Result<LogView, LogFailure> {
        self.change_as_follower(leader_epoch, |state, due| {
            state.follower_log()?.truncate_fully_and_start_at(offset, clock::now_ms())?;
            state.bound_as_follower(due);
            Ok(state.follower_view())
        })
    }

    /// `flush.messages`: the leader may count on records once they are fetched, so the flush comes before the next
    /// fetch. Blocks on the disk, off the mutex.
    fn flush_if_required(&self) {
        let job = self.with_state(|state| {
            let log = state.log.as_mut()?;
            super::state::is_flush_required(log).then(|| log.begin_flush(clock::now_ms()))
        });
        let flushed = match job {
            None => return,
            Some(job) => job.and_then(|job| job.map(crate::storage::FlushJob::run).transpose()),
        };
        match flushed {
            Ok(done) => self.with_state(|state| {
                if let (Some(log), Some(done)) = (state.log.as_mut(), done) {
                    log.complete_flush(done);
                }
            }),
            Err(error) => {
                let mut due = Due::default();
                self.lock().fail(&mut due);
                due.serve();
                self.storage_failed(&error);
            }
        }
    }

    fn change_as_follower<T>(
        &self,
        leader_epoch: LeaderEpoch,
        change: impl FnOnce(&mut PartitionState, &mut Due) -> Changed<T>,
    ) -> Result<T, LogFailure> {
        let mut due = Due::default();
        let mut state: Locked<'_> = self.lock();
        let follows = state.machine.role() == Role::Follower && state.machine.leader_epoch() == leader_epoch;
        let changed = match follows && state.log.is_some() {
            true => change(&mut state, &mut due),
            false => Err(Failed::NotFollowing),
        };
        if let Err(Failed::Storage(_)) = changed {
            state.fail(&mut due);
        }
        drop(state);
        due.serve();
        changed.map_err(|failed| match failed {
            Failed::NotFollowing => LogFailure::NotFollowing,
            Failed::Rejected(why) => LogFailure::Rejected(why),
            Failed::Storage(error) => {
                self.storage_failed(&error);
                LogFailure::Storage
            }
        })
    }
}

impl PartitionState {
    fn follower_log(&mut self) -> Changed<&mut Log> {
        self.log.as_mut().ok_or(Failed::NotFollowing)
    }

    fn follower_view(&self) -> LogView {
        let log = self.log.as_ref().expect("the caller looked");
        LogView {
            log_start_offset: log.log_start_offset(),
            log_end_offset: log.log_end_offset(),
            high_watermark: self.machine.high_watermark().offset,
            latest_epoch: log.latest_epoch(),
        }
    }

    fn follow(&mut self, fetched: &Fetched, records: &FollowerRecords, due: &mut Due) -> Changed<()> {
        let log = self.log.as_mut().ok_or(Failed::NotFollowing)?;
        if fetched.fetch_offset != log.log_end_offset() {
            return Err(Failed::Rejected(format!(
                "Offset mismatch for partition {}: fetched offset = {}, log end offset = {}.",
                log.topic_partition(),
                fetched.fetch_offset,
                log.log_end_offset()
            )));
        }
        log.append_as_follower(records, clock::now_ms()).map_err(|failure| match failure {
            AppendFailure::Rejected(error) => Failed::Rejected(error.to_string()),
            AppendFailure::Storage(error) => Failed::Storage(error),
        })?;
        let end = log.log_end();
        let committed = match fetched.high_watermark < end.offset {
            true => LogPosition::of_offset(fetched.high_watermark),
            false => end,
        };
        if self.machine.follow_high_watermark(committed) {
            self.watches.mark_all(&mut due.wake);
        }
        // Never beyond what is known to be committed here, whatever the leader says.
        let start = fetched.log_start_offset.min(self.machine.high_watermark().offset);
        log.move_log_start(start, "leader offset increment")?;
        Ok(())
    }

    /// After a cut: the high watermark stays inside the log, and whoever waits looks again.
    fn bound_as_follower(&mut self, due: &mut Due) {
        if let Some(log) = self.log.as_ref() {
            let start = LogPosition::of_offset(log.log_start_offset());
            self.machine.bound_high_watermark(start, log.log_end());
        }
        self.watches.mark_all(&mut due.wake);
    }
}

#[cfg(test)]
mod tests;
