//! A partition's second log, in another directory, that copies the first one and takes its place when it has all of it
//! (KIP-113).
//!
//! Both logs stand under the partition's mutex. Reads happen off it, so what was read is appended only if the first log
//! was not cut since. After any doubt (a cut, a start of the broker) the copy is cut first to what both have in common,
//! by leader epochs, as a follower's log is.

use super::{Partition, PartitionState};
use crate::common::{Offset, clock};
use crate::replication::fetcher::truncation::{EpochEnd, truncation};
use crate::storage::{
    AppendFailure, FlushScope, FollowerRecords, Log, LogManager, ReadError, ReadPlan, StorageError,
    read_slice,
};
use log::{error, info};
use std::path::Path;
use std::sync::Arc;

const TARGET: &str = "kafka.server.ReplicaAlterLogDirsThread";

/// A log that copies.
#[derive(Debug)]
pub struct Moving {
    pub(super) log: Log,
    /// How often the first log had been cut when the copy was last compared with it; none before the first time.
    compared: Option<u32>,
    /// What it has is on disk, or was once it had caught up.
    flushed: bool,
}

/// What a step came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CopyStep {
    /// There is no copy any more, or nothing to copy from.
    Gone,
    /// So many bytes were copied.
    Copied(usize),
    /// The copy was cut: recovery points have to be written before it grows.
    Cut,
    /// Nothing could be read this time.
    Nothing,
    /// The copy is the partition's log now.
    Done,
    /// The copy cannot go on.
    Failed,
}

enum Plan {
    Gone,
    Cut,
    Flush,
    CaughtUp,
    Read { plan: ReadPlan, truncations: u32, from: Offset },
}

impl Partition {
    /// Begins to copy into `future`. Gives it back if there is nothing to copy, or a copy already.
    pub(in crate::replication) fn start_move(&self, mut future: Log) -> Option<Log> {
        self.with_state(|state| {
            let Some(current) = state.log.as_ref().filter(|_| state.future.is_none()) else {
                return Some(future);
            };
            if let Err(failure) = future.assign_topic_id(current.topic_id()) {
                self.context.storage_failed(&failure);
                return Some(future);
            }
            state.future = Some(Box::new(Moving { log: future, compared: None, flushed: false }));
            None
        })
    }

    /// The directory to which the partition moves.
    pub fn moves_to(&self) -> Option<Arc<Path>> {
        self.with_state(|state| state.future.as_ref().map(|future| Arc::clone(future.log.log_dir())))
    }

    /// Ends the move, without the log having moved.
    pub(in crate::replication) fn take_future(&self) -> Option<Log> {
        self.with_state(|state| state.future.take()).map(|moving| moving.log)
    }

    /// Copies a piece; or, if nothing is missing, puts the copy in the place of the log. Blocks on the disk.
    pub(in crate::replication) fn copy_step(&self, logs: &LogManager, bytes_max: usize) -> CopyStep {
        let planned = self.with_state(PartitionState::plan_copy);
        let step = match planned {
            Ok(Plan::Gone) => return CopyStep::Gone,
            Ok(Plan::Cut) => return CopyStep::Cut,
            Ok(Plan::Flush) => self.flush_future(),
            Ok(Plan::CaughtUp) => self.finish_move(logs),
            Ok(Plan::Read { plan, truncations, from }) => self.copy(plan, (truncations, from), bytes_max),
            Err(failure) => Err(failure),
        };
        step.unwrap_or_else(|failure| {
            self.context.storage_failed(&failure);
            CopyStep::Failed
        })
    }

    fn copy(
        &self,
        plan: ReadPlan,
        (truncations, from): (u32, Offset),
        bytes_max: usize,
    ) -> Result<CopyStep, StorageError> {
        let Some(slice) = plan.execute(bytes_max, true)?.records else { return Ok(CopyStep::Nothing) };
        // Its segment may have gone meanwhile; if the disk is at fault, the next read of the log finds out, too.
        let Ok(bytes) = read_slice(&slice) else { return Ok(CopyStep::Nothing) };
        let records = match FollowerRecords::check(bytes) {
            Ok(records) => records,
            Err(damaged) => {
                error!(target: TARGET, "Error while copying partition {} at offset {from}: {damaged}", self.name);
                return Ok(CopyStep::Nothing);
            }
        };
        let appended = self.with_state(|state| {
            let (Some(current), Some(future)) = (state.log.as_ref(), state.future.as_mut()) else {
                return Ok(CopyStep::Gone);
            };
            if current.state().truncated.0 != truncations || future.log.log_end_offset() != from {
                return Ok(CopyStep::Nothing);
            }
            future.flushed = false;
            future.log.append_as_follower(&records, clock::now_ms()).map(|_| CopyStep::Copied(slice.len))
        });
        appended.or_else(|failure| match failure {
            AppendFailure::Storage(failure) => Err(failure),
            AppendFailure::Rejected(refused) => {
                error!(target: TARGET, "Error while copying partition {} at offset {from}: {refused}", self.name);
                Ok(CopyStep::Nothing)
            }
        })
    }

    /// Before the copy takes over, what the log had on disk is on disk in the copy.
    fn flush_future(&self) -> Result<CopyStep, StorageError> {
        let job = self.with_state(|state| match state.future.as_mut() {
            Some(future) => future.log.begin_flush_of(FlushScope::All, clock::now_ms()),
            None => Ok(None),
        })?;
        let done = job.map(crate::storage::FlushJob::run).transpose()?;
        self.with_state(|state| {
            if let Some(future) = state.future.as_mut() {
                if let Some(done) = done {
                    future.log.complete_flush(done);
                }
                future.flushed = true;
            }
        });
        Ok(CopyStep::Copied(0))
    }

    fn finish_move(&self, logs: &LogManager) -> Result<CopyStep, StorageError> {
        let mut due = super::Due::default();
        let mut state = self.lock();
        let done = state.finish_move(logs, &mut due);
        drop(state);
        due.serve();
        if let Ok(CopyStep::Done) = done {
            info!(target: TARGET, "Current replica of {} is replaced by the one that was copied", self.name);
        }
        done
    }
}

impl PartitionState {
    /// Both logs, as far as they are there.
    pub fn logs(&self) -> impl Iterator<Item = &Log> {
        self.log.iter().chain(self.future.iter().map(|future| &future.log))
    }

    /// The copy that moves to another directory, if there is one.
    pub fn future_log(&self) -> Option<&Log> {
        self.future.as_ref().map(|future| &future.log)
    }

    /// The copy that moves to another directory, if there is one.
    pub fn future_log_mut(&mut self) -> Option<&mut Log> {
        self.future.as_mut().map(|future| &mut future.log)
    }

    fn plan_copy(&mut self) -> Result<Plan, StorageError> {
        let high_watermark = self.machine.high_watermark().offset;
        let (Some(current), Some(moving)) = (self.log.as_mut(), self.future.as_mut()) else {
            return Ok(Plan::Gone);
        };
        let (truncations, now_ms) = (current.state().truncated.0, clock::now_ms());
        if moving.compared != Some(truncations) {
            moving.compared = Some(truncations);
            if cut_to_common(current, &mut moving.log, high_watermark)? {
                return Ok(Plan::Cut);
            }
        }
        let start = current.log_start_offset();
        if moving.log.log_end_offset() < start {
            moving.log.truncate_fully_and_start_at(start, now_ms)?;
            return Ok(Plan::Cut);
        }
        moving.log.move_log_start(start, "segment deletion or client delete records request")?;
        let from = moving.log.log_end_offset();
        if from == current.log_end_offset() {
            return Ok(if moving.flushed { Plan::CaughtUp } else { Plan::Flush });
        }
        match current.plan_read(from, current.log_end()) {
            Ok(plan) => Ok(Plan::Read { plan, truncations, from }),
            Err(ReadError::Storage(failure)) => Err(failure),
            // It was cut in between; the next step compares.
            Err(_) => Ok(Plan::Cut),
        }
    }

    fn finish_move(&mut self, logs: &LogManager, due: &mut super::Due) -> Result<CopyStep, StorageError> {
        let (Some(current), Some(moving)) = (self.log.as_mut(), self.future.as_mut()) else {
            return Ok(CopyStep::Gone);
        };
        let future = &mut moving.log;
        let has_all = moving.compared == Some(current.state().truncated.0)
            && future.log_end_offset() == current.log_end_offset();
        // A flush under way would tell of the other log.
        if !has_all || self.flush_running {
            return Ok(CopyStep::Nothing);
        }
        future.move_log_start(current.log_start_offset(), "the end of its move")?;
        if super::state::is_flush_required(future) {
            future.flush(clock::now_ms())?;
        }
        let promoted = logs.promote_future(current, future);
        if future.is_future() {
            return promoted.map(|()| CopyStep::Nothing);
        }
        self.local_end = future.log_end();
        self.log = self.future.take().map(|moving| moving.log);
        self.machine.forget_places();
        self.mark_all(due);
        promoted.map(|()| CopyStep::Done)
    }
}

/// Cuts the copy to what both logs have in common. True if something was cut off.
fn cut_to_common(current: &Log, future: &mut Log, high_watermark: Offset) -> Result<bool, StorageError> {
    let before = future.log_end_offset();
    loop {
        let end = future.log_end_offset();
        let Some(epoch) = future.latest_epoch() else {
            // Empty, or of a message format without epochs.
            let offset = high_watermark.min(current.log_end_offset()).max(future.log_start_offset());
            if offset < end {
                future.truncate_to(offset, clock::now_ms())?;
            }
            break;
        };
        let (leader_epoch, end_offset) = current.end_offset_for_epoch(epoch).unwrap_or((-1, -1));
        let own = future.end_offset_for_epoch(leader_epoch);
        let cut = truncation(EpochEnd { leader_epoch, end_offset }, high_watermark, end, own);
        if cut.offset < end {
            info!(target: TARGET, "Truncating the copy of {} to offset {}", future.topic_partition(), cut.offset);
            future.truncate_to(cut.offset, clock::now_ms())?;
        } else if !cut.complete {
            break;
        }
        if cut.complete {
            break;
        }
    }
    let bound = current.log_end_offset();
    if future.log_end_offset() > bound {
        future.truncate_to(bound, clock::now_ms())?;
    }
    Ok(future.log_end_offset() < before)
}

#[cfg(test)]
mod tests;
