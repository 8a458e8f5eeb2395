//! What the controller says, under Kafka's logger names and behind Kafka's prefixes: controller.log and
//! state-change.log.

use super::context::{LeaderAndIsr, ReplicaAssignment};
use super::states::{PartitionState, ReplicaState};
use std::fmt;

/// `[Controller id=N] …`
macro_rules! controller_log {
    ($level:ident, $machine:expr, $($message:tt)+) => {
        log::$level!(
            target: "kafka.controller.KafkaController",
            "[Controller id={}] {}", $machine.broker_id(), format_args!($($message)+)
        )
    };
}

/// `[Topic Deletion Manager N] …`
macro_rules! deletion_log {
    ($level:ident, $machine:expr, $($message:tt)+) => {
        log::$level!(
            target: "kafka.controller.TopicDeletionManager",
            "[Topic Deletion Manager {}] {}", $machine.broker_id(), format_args!($($message)+)
        )
    };
}

/// `[Controller id=N epoch=N] …` in state-change.log.
macro_rules! state_change_log {
    ($level:ident, $source:expr, $($message:tt)+) => {{
        let (id, epoch) = $source;
        log::$level!(
            target: "state.change.logger",
            "[Controller id={id} epoch={epoch}] {}", format_args!($($message)+)
        )
    }};
}

pub(super) use {controller_log, deletion_log, state_change_log};

/// Shows items between commas.
pub(super) struct Listed<I>(pub I);

impl<I> fmt::Display for Listed<I>
where
    I: IntoIterator + Clone,
    I::Item: fmt::Display,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.0.clone().into_iter().enumerate() {
            write!(f, "{}{item}", if at == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for LeaderAndIsr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaderAndIsr(leader=")?;
        write!(f, "{}, leaderEpoch={}, isr=List(", self.leader, self.leader_epoch)?;
        for (at, id) in self.isr.iter().enumerate() {
            write!(f, "{}{id}", if at == 0 { "" } else { ", " })?;
        }
        write!(f, "), zkVersion={})", self.zk_version)
    }
}

impl fmt::Display for PartitionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}Partition")
    }
}

impl fmt::Display for ReplicaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplicaState::DeletionStarted => f.write_str("ReplicaDeletionStarted"),
            ReplicaState::DeletionSuccessful => f.write_str("ReplicaDeletionSuccessful"),
            ReplicaState::DeletionIneligible => f.write_str("ReplicaDeletionIneligible"),
            other => write!(f, "{other:?}Replica"),
        }
    }
}

impl fmt::Display for ReplicaAssignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "ReplicaAssignment(replicas={}, addingReplicas={}, removingReplicas={})",
            Listed(&self.replicas),
            Listed(&self.adding),
            Listed(&self.removing)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::context::BrokerIds;

    #[test]
    fn kafkas_words() {
        let isr = BrokerIds::from_vec(vec![1, 2]);
        let state = LeaderAndIsr { leader: 1, leader_epoch: 3, isr, controller_epoch: 7, zk_version: 4 };
        assert_eq!(state.to_string(), "LeaderAndIsr(leader=1, leaderEpoch=3, isr=List(1, 2), zkVersion=4)");
        assert_eq!(PartitionState::NonExistent.to_string(), "NonExistentPartition");
        assert_eq!(ReplicaState::DeletionStarted.to_string(), "ReplicaDeletionStarted");
        assert_eq!(ReplicaState::Offline.to_string(), "OfflineReplica");
        assert_eq!(format!("<{}>", Listed(&[1, 2, 3])), "<1,2,3>");
    }
}
