//! What a leader does for its followers: notes how far they are, and keeps the ISR.

use super::{Due, Partition, PartitionState};
use crate::common::{BrokerId, Offset};
use crate::replication::PartitionError;
use crate::replication::partition_machine::{IsrChange, IsrState, LeaderEnds};
use crate::storage::{Log, LogPosition};
use log::{info, warn};
use std::sync::Arc;
use tokio::sync::Notify;

/// A follower's fetch of this partition.
#[derive(Clone, Copy, Debug)]
pub struct FollowerFetch {
    /// Who asks.
    pub replica_id: BrokerId,
    /// What it asks for: it has everything before.
    pub log_end: LogPosition,
    /// Where its log begins.
    pub log_start: Offset,
}

impl Partition {
    /// Runs `action` with the state locked and serves what became due. `action` must be short and must not block
    /// on a peer.
    pub(in crate::replication) fn with_due<R>(
        &self,
        action: impl FnOnce(&mut PartitionState, &mut Due) -> R,
    ) -> R {
        let mut due = Due::default();
        let result = action(&mut self.lock(), &mut due);
        due.serve();
        result
    }

    /// Hands over a wanted change of the ISR to whoever writes it.
    pub(in crate::replication) fn want(&self, change: IsrChange, in_sync_replicas: &str) {
        info!(target: "kafka.cluster.Partition", "[Partition {} broker={}] {in_sync_replicas}",
            self.name, self.context.broker_id);
        self.context.isr_wanted(&self.name, change);
    }

    /// First offset that this leader and all `alive` followers keep: -1 while one of them has not fetched.
    pub fn low_watermark(&self, is_alive: impl Fn(BrokerId) -> bool) -> Result<Offset, PartitionError> {
        self.with_state(|state| {
            state.check_leader(-1)?;
            let log_start = state.log.as_ref().map_or(-1, Log::log_start_offset);
            Ok(state.machine.low_watermark(log_start, is_alive))
        })
    }

    /// Notified when [`Partition::low_watermark`] may have changed.
    pub fn low_watermark_moves(&self) -> Arc<Notify> {
        self.with_state(|state| Arc::clone(state.deleters.get_or_insert_default()))
    }

    /// Takes followers out of the ISR that have lagged for too long, and no longer waits for those that were about to
    /// join it.
    pub fn shrink_isr(&self) {
        let change = self.with_due(|state, due| {
            if state.log.is_some() {
                state.moved(due);
            }
            let (ends, before) = (state.leader_ends()?, state.machine.in_sync_replicas().to_vec());
            let change = state.machine.shrinkage(ends.log_end, ends.now_ms)?;
            let high_watermark = state.machine.high_watermark().offset;
            let words = format!(
                "Shrinking ISR from {} to {}. Leader: (highWatermark: {high_watermark}, endOffset: {}).",
                list(&before),
                list(&change.in_sync_replicas),
                ends.log_end
            );
            Some((change, words))
        });
        if let Some((change, words)) = change {
            self.want(change, &words);
        }
    }

    /// The change has led to this state.
    pub fn isr_is(&self, change: &IsrChange, isr: IsrState) {
        info!(target: "kafka.cluster.Partition", "[Partition {} broker={}] ISR updated to {} and version updated to [{}]",
            self.name, self.context.broker_id, list(&isr.in_sync_replicas), isr.zk_version);
        self.with_due(|state, due| {
            let Some(ends) = state.leader_ends() else { return };
            if state.machine.isr_is(change, isr, &ends) {
                state.committed(due);
            }
            state.look_for_followers(due);
            state.answer_committed(due);
        });
    }

    /// The change was refused: the controller has decided something else, and is about to say what.
    pub fn isr_refused(&self, change: &IsrChange, reason: &str) {
        warn!(target: "kafka.cluster.Partition", "[Partition {} broker={}] ISR {} was not written: {reason}",
            self.name, self.context.broker_id, list(&change.in_sync_replicas));
    }
}

impl PartitionState {
    /// One change of the ISR is under way at a time: whoever caught up meanwhile, and has nothing more to fetch, is
    /// looked at again.
    fn look_for_followers(&mut self, due: &mut Due) {
        self.follower_watches.mark_all(&mut due.wake);
    }

    /// Notes a follower's position, commits what it allows. Gives the ISR that is wanted now.
    pub(in crate::replication) fn follower_fetched(
        &mut self,
        fetch: &FollowerFetch,
        due: &mut Due,
    ) -> Result<Option<(IsrChange, String)>, PartitionError> {
        let ends: LeaderEnds = self.leader_ends().ok_or(PartitionError::StorageFailed)?;
        let before = self.machine.in_sync_replicas().len();
        let fetched = self
            .machine
            .follower_fetched(fetch.replica_id, fetch.log_end, fetch.log_start, &ends)
            .ok_or(PartitionError::NotAReplica)?;
        if fetched.start_moved {
            self.tell_deleters(due);
        }
        if fetched.committed {
            self.committed(due);
            self.answer_committed(due);
        }
        Ok(fetched.isr_change.map(|change| {
            let (old, new) = (list(&change.in_sync_replicas[..before]), list(&change.in_sync_replicas));
            (change, format!("Expanding ISR from {old} to {new}"))
        }))
    }
}

fn list(ids: &[BrokerId]) -> String {
    ids.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(",")
}
