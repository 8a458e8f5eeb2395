//! What a partition's replica is, and how far its records are committed. Pure: no I/O, no clock, no lock.
//!
//! Invariants:
//! - `leader_epoch` never goes back, and a role is entered only with a larger one (KIP-101, KIP-320);
//! - `high_watermark <= ` log end of every in-sync replica, and never goes back while the role lasts;
//! - a leader is a member of its own ISR;
//! - the high watermark is at least the log start and at most the local log end.

use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch};
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

#[derive(Clone, PartialEq, Eq, Debug)]
struct RemoteReplica {
    id: BrokerId,
    /// Its log end as of its last fetch; none before the first.
    log_end: Option<LogPosition>,
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
    remote: Vec<RemoteReplica>,
    high_watermark: LogPosition,
}

impl PartitionMachine {
    /// A replica without a role whose committed records end at `high_watermark` (from its checkpoint,
    /// bounded by the log).
    pub fn new(local_id: BrokerId, high_watermark: LogPosition) -> PartitionMachine {
        PartitionMachine {
            local_id,
            role: Role::Unassigned,
            controller_epoch: 0,
            leader: crate::common::ids::NO_LEADER,
            leader_epoch: -1,
            zk_version: -1,
            replicas: Vec::new(),
            in_sync_replicas: Vec::new(),
            remote: Vec::new(),
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

    /// Enters the leader's role. `local_end` is the end of what may be acknowledged here. True if the high
    /// watermark moved.
    pub fn become_leader(&mut self, state: &LeadershipState, local_end: LogPosition) -> bool {
        assert_eq!(self.judge(state), Decision::Accepted);
        let was_leader = self.role == Role::Leader;
        self.note(state);
        self.role = Role::Leader;
        let known = std::mem::take(&mut self.remote);
        self.remote = state
            .replicas
            .iter()
            .filter(|id| **id != self.local_id)
            .map(|id| {
                let before = known.iter().find(|r| was_leader && r.id == *id);
                RemoteReplica { id: *id, log_end: before.and_then(|r| r.log_end) }
            })
            .collect();
        self.advance(local_end)
    }

    /// Enters the follower's role.
    pub fn become_follower(&mut self, state: &LeadershipState) {
        assert_eq!(self.judge(state), Decision::Accepted);
        self.note(state);
        self.role = Role::Follower;
        self.remote.clear();
    }

    fn note(&mut self, state: &LeadershipState) {
        self.controller_epoch = state.controller_epoch;
        self.leader = state.leader;
        self.leader_epoch = state.leader_epoch;
        self.zk_version = state.zk_version;
        self.replicas.clone_from(&state.replicas);
        self.in_sync_replicas.clone_from(&state.in_sync_replicas);
    }

    /// The local log reaches to `local_end` now. True if the high watermark moved.
    pub fn advance(&mut self, local_end: LogPosition) -> bool {
        if self.role != Role::Leader {
            return false;
        }
        let mut committed = local_end;
        for remote in &self.remote {
            if !self.in_sync_replicas.contains(&remote.id) {
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
mod tests {
    use super::*;

    fn at(offset: i64) -> LogPosition {
        LogPosition { offset, segment_base_offset: 0, position: offset as u32 * 10 }
    }

    fn state(epoch: i32, isr: &[i32]) -> LeadershipState {
        LeadershipState {
            controller_epoch: 1,
            leader: 1,
            leader_epoch: epoch,
            in_sync_replicas: isr.to_vec(),
            zk_version: 0,
            replicas: vec![1, 2],
        }
    }

    #[test]
    fn alone_in_the_isr_everything_local_is_committed() {
        let mut machine = PartitionMachine::new(1, at(0));
        assert!(machine.become_leader(&state(0, &[1]), at(5)));
        assert_eq!(machine.high_watermark(), at(5));
        assert!(machine.advance(at(7)));
        assert!(!machine.advance(at(7)));
        assert_eq!(machine.high_watermark(), at(7));
    }

    #[test]
    fn a_silent_in_sync_follower_holds_the_high_watermark() {
        let mut machine = PartitionMachine::new(1, at(3));
        assert!(!machine.become_leader(&state(0, &[1, 2]), at(5)));
        assert!(!machine.advance(at(9)));
        assert_eq!(machine.high_watermark(), at(3));
        assert!(machine.become_leader(&state(1, &[1]), at(9)));
        assert_eq!(machine.high_watermark(), at(9));
    }

    #[test]
    fn an_epoch_is_accepted_once() {
        let mut machine = PartitionMachine::new(1, at(0));
        machine.become_leader(&state(4, &[1]), at(0));
        assert_eq!(machine.judge(&state(4, &[1])), Decision::Stale);
        assert_eq!(machine.judge(&state(3, &[1])), Decision::Stale);
        assert_eq!(machine.judge(&state(5, &[1])), Decision::Accepted);
        let mut foreign = state(5, &[2]);
        foreign.replicas = vec![2, 3];
        assert_eq!(machine.judge(&foreign), Decision::NotAReplica);
        machine.become_follower(&state(6, &[2]));
        assert!(!machine.is_leader());
        assert!(!machine.advance(at(10)));
    }

    #[test]
    fn the_high_watermark_stays_inside_the_log() {
        let mut machine = PartitionMachine::new(1, at(50));
        machine.bound_high_watermark(at(0), at(20));
        assert_eq!(machine.high_watermark(), at(20));
        machine.bound_high_watermark(at(30), at(40));
        assert_eq!(machine.high_watermark(), at(30));
    }
}
