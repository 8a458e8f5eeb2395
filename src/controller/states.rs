//! The states of partitions and replicas, and which moves are legal.
//!
//! ```text
//! partition:  NonExistent -> New -> Online <-> Offline -> NonExistent       (New -> Offline too)
//! replica:    NonExistent -> New -> Online <-> Offline -> DeletionStarted -> DeletionSuccessful -> NonExistent
//!                                       Offline, DeletionStarted -> DeletionIneligible -> Online, Offline
//! ```
//! Source: `PartitionStateMachine.scala` and `ReplicaStateMachine.scala` (`validPreviousStates`).

/// State of a partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum PartitionState {
    /// Not known yet, or deleted.
    NonExistent,
    /// Assigned; its leader was never chosen.
    New,
    /// Led.
    Online,
    /// Its leader died and none could be elected.
    Offline,
}

impl PartitionState {
    /// True if a partition may move from `self` to `target`.
    pub fn may_become(self, target: PartitionState) -> bool {
        use PartitionState::*;
        match target {
            New => self == NonExistent,
            Online | Offline => matches!(self, New | Online | Offline),
            NonExistent => self == Offline,
        }
    }
}

/// State of a replica.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum ReplicaState {
    /// Not known yet, or deleted.
    NonExistent,
    /// Just assigned.
    New,
    /// On a live broker, part of the assignment.
    Online,
    /// Its broker or log directory died, or it was stopped.
    Offline,
    /// Told to delete its log.
    DeletionStarted,
    /// Its log is gone.
    DeletionSuccessful,
    /// Its log cannot be deleted now.
    DeletionIneligible,
}

impl ReplicaState {
    /// True if a replica may move from `self` to `target`.
    pub fn may_become(self, target: ReplicaState) -> bool {
        use ReplicaState::*;
        match target {
            New => self == NonExistent,
            Online | Offline => matches!(self, New | Online | Offline | DeletionIneligible),
            DeletionStarted => self == Offline,
            DeletionSuccessful => self == DeletionStarted,
            DeletionIneligible => matches!(self, Offline | DeletionStarted),
            NonExistent => self == DeletionSuccessful,
        }
    }
}
