//! What a partition's replica is, and how far its records are committed. Pure: no I/O, no clock, no lock.
//!
//! Invariants:
//! - `leader_epoch` never goes back, and a role is entered only with a larger one (KIP-101, KIP-320);
//! - `high_watermark <= ` log end of every in-sync replica, and never goes back while the role lasts;
//! - a leader is a member of its own ISR;
//! - the high watermark is at least the log start and at most the local log end;
//! - one change of the ISR is under way at most; until its outcome is known both the old and the new one count
//!   (KIP-497: the larger is the stricter).
//!
//! Times are those of one monotonic clock, in milliseconds. Source of the rules: Kafka 2.8.2 `Partition`, `Replica`.

use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch, Offset};
use crate::storage::LogPosition;

/// What the controller says about a partition (LeaderAndIsr).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LeadershipState {
    /// Epoch of the controller that decided.
    pub controller_epoch: ControllerEpoch,
    /// The leader, -1 for none.
    pub leader: BrokerId,
    /// Grows with every decision.
    pub leader_epoch: LeaderEpoch,
    /// In-sync replicas.
    pub in_sync_replicas: Vec<BrokerId>,
    /// Version of the state znode.
    pub zk_version: i32,
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
}

/// The ISR as it stands in ZooKeeper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IsrState {
    /// In-sync replicas.
    pub in_sync_replicas: Vec<BrokerId>,
    /// Version of the state znode.
    pub zk_version: i32,
}

/// What a replica does at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Nothing was decided yet.
    Unassigned,
    /// Takes appends.
    Leader,
    /// Copies from the leader.
    Follower,
}

/// Whether a decision of the controller applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It is newer than what is known.
    Accepted,
    /// Its epoch is not larger than the known one.
    Stale,
    /// This broker is not among the replicas.
    NotAReplica,
}

/// A follower as its leader knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct RemoteReplica {
    id: BrokerId,
    /// Its log end as of its last fetch; none before the first.
    log_end: Option<LogPosition>,
    /// Its log start, -1 before its first fetch.
    log_start: Offset,
    /// The latest moment at which it had everything that the leader had then.
    caught_up_ms: i64,
    /// When it fetched last, and the leader's log end at that moment.
    last_fetch: (i64, Offset),
}

impl RemoteReplica {
    fn new(id: BrokerId) -> RemoteReplica {
        RemoteReplica { id, log_end: None, log_start: -1, caught_up_ms: NEVER, last_fetch: (NEVER, -1) }
    }

    fn log_end_offset(&self) -> Offset {
        self.log_end.map_or(-1, |end| end.offset)
    }

    fn fetched(&mut self, log_end: LogPosition, log_start: Offset, leader_end: Offset, now_ms: i64) {
        let (last_fetch_ms, leader_end_then) = self.last_fetch;
        if log_end.offset >= leader_end {
            self.caught_up_ms = self.caught_up_ms.max(now_ms);
        } else if log_end.offset >= leader_end_then {
            // It has now what the leader had when it asked before: behind by one fetch at most.
            self.caught_up_ms = self.caught_up_ms.max(last_fetch_ms);
        }
        self.log_end = Some(log_end);
        self.log_start = log_start;
        self.last_fetch = (now_ms, leader_end);
    }
}

/// Long before any moment.
const NEVER: i64 = i64::MIN / 2;

/// A new ISR that the leader wants; in force once it is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IsrChange {
    /// The members.
    pub in_sync_replicas: Vec<BrokerId>,
    /// This broker.
    pub leader: BrokerId,
    /// Under which it was decided.
    pub leader_epoch: LeaderEpoch,
    /// Of the decision that the leadership comes from.
    pub controller_epoch: ControllerEpoch,
    /// The version of the state that it replaces.
    pub zk_version: i32,
}

/// What a follower's fetch led to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FollowerFetched {
    /// The high watermark moved.
    pub committed: bool,
    /// The follower belongs into the ISR now.
    pub isr_change: Option<IsrChange>,
    /// The follower's log begins elsewhere than at its last fetch.
    pub start_moved: bool,
}

/// Where a leader's log ends, at a moment.
#[derive(Clone, Copy, Debug)]
pub struct LeaderEnds {
    /// End of what may be acknowledged.
    pub local_end: LogPosition,
    /// End of the log.
    pub log_end: Offset,
    /// The moment.
    pub now_ms: i64,
}

/// The replica of this broker.
#[derive(Clone, Debug)]
pub struct PartitionMachine {
    local_id: BrokerId,
    role: Role,
    controller_epoch: ControllerEpoch,
    leader: BrokerId,
    leader_epoch: LeaderEpoch,
    zk_version: i32,
    replicas: Vec<BrokerId>,
    in_sync_replicas: Vec<BrokerId>,
    /// The ISR that was proposed and is neither written nor refused.
    proposed: Option<Vec<BrokerId>>,
    remote: Vec<RemoteReplica>,
    /// Where the log ended when this leadership began: who has not reached it may lack committed records.
    epoch_start_offset: Offset,
    replica_lag_ms_max: i64,
    high_watermark: LogPosition,
}

impl PartitionMachine {
    /// A replica without a role whose committed records end at `high_watermark` (from its checkpoint,
    /// bounded by the log).
    ///
    /// A follower that lacks something for longer than `replica_lag_ms_max` is not in sync (`replica.lag.time.max.ms`).
    pub fn new(local_id: BrokerId, high_watermark: LogPosition, replica_lag_ms_max: i64) -> PartitionMachine {
        PartitionMachine {
            local_id,
            role: Role::Unassigned,
            controller_epoch: 0,
            leader: crate::common::ids::NO_LEADER,
            leader_epoch: -1,
            zk_version: -1,
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            proposed: None,
            remote: Vec::new(),
            epoch_start_offset: 0,
            replica_lag_ms_max,
            high_watermark,
        }
    }

    /// Whether `state` may be applied.
    pub fn judge(&self, state: &LeadershipState) -> Decision {
        if state.leader_epoch <= self.leader_epoch {
            Decision::Stale
        } else if !state.replicas.contains(&self.local_id) {
            Decision::NotAReplica
        } else {
            Decision::Accepted
        }
    }

    /// Enters the leader's role, or takes a new decision in it. `local_end` is the end of what may be acknowledged
    /// here. True if the high watermark moved.
    pub fn become_leader(&mut self, state: &LeadershipState, local_end: LogPosition, now_ms: i64) -> bool {
        assert_eq!(self.judge(state), Decision::Accepted);
        let was_leader = self.role == Role::Leader;
        self.note(state);
        self.role = Role::Leader;
        self.epoch_start_offset = local_end.offset;
        let mut known = std::mem::take(&mut self.remote);
        if !was_leader {
            known.clear();
        }
        for id in state.replicas.iter().filter(|id| **id != self.local_id) {
            let before = known.iter().position(|replica| replica.id == *id);
            let mut replica = before.map_or_else(|| RemoteReplica::new(*id), |at| known.swap_remove(at));
            replica.caught_up_ms = if state.in_sync_replicas.contains(id) { now_ms } else { NEVER };
            replica.last_fetch = (now_ms, local_end.offset);
            self.remote.push(replica);
        }
        self.advance(local_end, now_ms)
    }

    /// Enters the follower's role.
    pub fn become_follower(&mut self, state: &LeadershipState) {
        assert_eq!(self.judge(state), Decision::Accepted);
        self.note(state);
        self.role = Role::Follower;
        self.remote = Vec::new();
    }

    fn note(&mut self, state: &LeadershipState) {
        self.controller_epoch = state.controller_epoch;
        self.leader = state.leader;
        self.leader_epoch = state.leader_epoch;
        self.zk_version = state.zk_version;
        self.replicas.clone_from(&state.replicas);
        self.in_sync_replicas.clone_from(&state.in_sync_replicas);
        self.proposed = None;
    }

    /// The local log reaches to `local_end` now. True if the high watermark moved.
    ///
    /// It waits for all in sync, and for those that are about to be: were it not so, a follower that catches up with
    /// a busy leader alone in its ISR would never reach it.
    pub fn advance(&mut self, local_end: LogPosition, now_ms: i64) -> bool {
        if self.role != Role::Leader {
            return false;
        }
        let mut committed = local_end;
        for remote in &self.remote {
            let counts = self.is_maximal_member(remote.id)
                || now_ms.saturating_sub(remote.caught_up_ms) <= self.replica_lag_ms_max;
            if !counts {
                continue;
            }
            match remote.log_end {
                None => return false,
                Some(end) if end.offset < committed.offset => committed = end,
                Some(_) => {}
            }
        }
        if committed.offset <= self.high_watermark.offset {
            return false;
        }
        self.high_watermark = committed;
        true
    }

    /// The leader is about to append behind `local_end`: who is in sync and has all of that has been caught up until
    /// now, though it had no reason to fetch since. Others are not: one that died lacks nothing, either, until the
    /// leader appends, and must not hold up what is committed.
    pub fn about_to_append(&mut self, local_end: Offset, now_ms: i64) {
        for at in 0..self.remote.len() {
            let is_member = self.is_maximal_member(self.remote[at].id);
            let remote = &mut self.remote[at];
            if is_member && remote.log_end_offset() >= local_end {
                remote.caught_up_ms = remote.caught_up_ms.max(now_ms);
            }
        }
    }

    /// A follower asks for what comes after `log_end`, so it has everything before; its log begins at `log_start`.
    /// `local_end` is the end of what may be acknowledged here, `leader_end` that of the log. None if it is no replica.
    pub fn follower_fetched(
        &mut self,
        id: BrokerId,
        log_end: LogPosition,
        log_start: Offset,
        ends: &LeaderEnds,
    ) -> Option<FollowerFetched> {
        let now_ms = ends.now_ms;
        let replica = self.remote.iter_mut().find(|replica| replica.id == id)?;
        let has_moved = replica.log_end_offset() != log_end.offset;
        let start_moved = replica.log_start != log_start;
        replica.fetched(log_end, log_start, ends.log_end, now_ms);
        let isr_change = self.expansion(id, log_end.offset);
        let committed = has_moved && self.advance(ends.local_end, now_ms);
        Some(FollowerFetched { committed, isr_change, start_moved })
    }

    /// The ISR with `id`, if that is due: it has all that is committed, and all that the leader began with.
    fn expansion(&mut self, id: BrokerId, log_end: Offset) -> Option<IsrChange> {
        let is_due = self.proposed.is_none()
            && !self.in_sync_replicas.contains(&id)
            && log_end >= self.high_watermark.offset
            && log_end >= self.epoch_start_offset;
        is_due.then(|| self.propose([&self.in_sync_replicas[..], &[id]].concat()))
    }

    /// The ISR without those that have lagged for too long behind a log that ends at `leader_end`, if there are any.
    pub fn shrinkage(&mut self, leader_end: Offset, now_ms: i64) -> Option<IsrChange> {
        if self.role != Role::Leader || self.proposed.is_some() {
            return None;
        }
        let lags = |id: &BrokerId| {
            self.remote.iter().any(|replica| {
                replica.id == *id
                    && replica.log_end_offset() != leader_end
                    && now_ms.saturating_sub(replica.caught_up_ms) > self.replica_lag_ms_max
            })
        };
        let kept: Vec<BrokerId> = self.in_sync_replicas.iter().copied().filter(|id| !lags(id)).collect();
        (kept.len() < self.in_sync_replicas.len()).then(|| self.propose(kept))
    }

    fn propose(&mut self, in_sync_replicas: Vec<BrokerId>) -> IsrChange {
        self.proposed = Some(in_sync_replicas.clone());
        IsrChange {
            in_sync_replicas,
            leader: self.local_id,
            leader_epoch: self.leader_epoch,
            controller_epoch: self.controller_epoch,
            zk_version: self.zk_version,
        }
    }

    /// The change has led to this state of the same leader epoch: the ISR that was asked for, or what stands in its
    /// place. True if the high watermark moved.
    ///
    /// There is no way back without such a word: a change that was refused may have been written by an attempt whose
    /// answer was lost, and the leader that came after it may be one of the new ISR only. So both count until the
    /// controller speaks.
    pub fn isr_is(&mut self, change: &IsrChange, state: IsrState, ends: &LeaderEnds) -> bool {
        if !self.is_under_way(change) || !state.in_sync_replicas.contains(&self.local_id) {
            return false;
        }
        self.proposed = None;
        self.in_sync_replicas = state.in_sync_replicas;
        self.zk_version = state.zk_version;
        self.advance(ends.local_end, ends.now_ms)
    }

    /// A later decision of the controller overtakes whatever was under way.
    fn is_under_way(&self, change: &IsrChange) -> bool {
        self.leader_epoch == change.leader_epoch
            && self.zk_version == change.zk_version
            && self.proposed.as_ref() == Some(&change.in_sync_replicas)
    }

    fn is_maximal_member(&self, id: BrokerId) -> bool {
        self.in_sync_replicas.contains(&id) || self.proposed.as_ref().is_some_and(|isr| isr.contains(&id))
    }

    /// Number of replicas that count as in sync for what is committed: see [`PartitionMachine::advance`].
    pub fn maximal_in_sync(&self) -> usize {
        self.replicas.iter().filter(|id| self.is_maximal_member(**id)).count()
    }

    /// First offset that this leader and all `alive` followers keep (DeleteRecords): -1 if one has not fetched yet.
    pub fn low_watermark(&self, log_start: Offset, is_alive: impl Fn(BrokerId) -> bool) -> Offset {
        let followers = self.remote.iter().filter(|replica| is_alive(replica.id));
        followers.map(|replica| replica.log_start).fold(log_start, Offset::min)
    }

    /// The replica that a consumer at `offset` had better read from (KIP-392, `RackAwareReplicaSelector`): of those that
    /// are near and have the offset, the one that is the most caught up. None if the leader is as near, or nobody is.
    pub fn preferred_replica(&self, offset: Offset, is_near: impl Fn(BrokerId) -> bool) -> Option<BrokerId> {
        if self.role != Role::Leader || is_near(self.local_id) {
            return None;
        }
        let has = |replica: &&RemoteReplica| {
            replica.log_end_offset() >= offset && (0..=offset).contains(&replica.log_start)
        };
        let candidates = self.remote.iter().filter(has).filter(|replica| is_near(replica.id));
        candidates.max_by_key(|r| (r.log_end_offset(), r.caught_up_ms, r.id)).map(|replica| replica.id)
    }

    /// The log was replaced by a copy of itself: offsets stay, segments and positions mean nothing any more.
    pub fn forget_places(&mut self) {
        self.high_watermark = LogPosition::of_offset(self.high_watermark.offset);
        for replica in &mut self.remote {
            replica.log_end = replica.log_end.map(|end| LogPosition::of_offset(end.offset));
        }
    }

    /// True if others replicate this partition.
    pub fn has_followers(&self) -> bool {
        !self.remote.is_empty()
    }

    /// The leader's high watermark, bounded by the local log end. It does not go back, though a new leader may know
    /// less than the old one: what was committed stays so. True if it moved.
    pub fn follow_high_watermark(&mut self, committed: LogPosition) -> bool {
        if self.role != Role::Follower || committed.offset <= self.high_watermark.offset {
            return false;
        }
        self.high_watermark = committed;
        true
    }

    /// The log was truncated or its start moved: keeps the high watermark inside the log.
    pub fn bound_high_watermark(&mut self, log_start: LogPosition, log_end: LogPosition) {
        if self.high_watermark.offset < log_start.offset {
            self.high_watermark = log_start;
        } else if self.high_watermark.offset > log_end.offset {
            self.high_watermark = log_end;
        }
    }

    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The leader, -1 if there is none.
    pub fn leader(&self) -> BrokerId {
        self.leader
    }

    /// True while this broker leads.
    pub fn is_leader(&self) -> bool {
        self.role == Role::Leader
    }

    /// End of the committed records.
    pub fn high_watermark(&self) -> LogPosition {
        self.high_watermark
    }

    /// The current leader epoch, -1 before the first role.
    pub fn leader_epoch(&self) -> LeaderEpoch {
        self.leader_epoch
    }

    /// The in-sync replicas; a follower knows none.
    pub fn in_sync_replicas(&self) -> &[BrokerId] {
        &self.in_sync_replicas
    }

    /// All replicas.
    pub fn replicas(&self) -> &[BrokerId] {
        &self.replicas
    }
}

#[cfg(test)]
mod tests;
