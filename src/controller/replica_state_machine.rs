//! Moves replicas between states: start, stop, take out of the ISR, delete.
//!
//! Like elections, removals from the ISR start from the state as last known; "it is not in the ISR" is
//! final only by a state that was read or written in the event in hand.
//!
//! Source: `ReplicaStateMachine.scala`.

use super::context::LeaderAndIsr;
use super::effect::{ZkRead, ZkWrite};
use super::event::WriteOutcome;
use super::leader_election::without_replica;
use super::logging::state_change_log;
use super::machine::{Machine, step};
use super::states::ReplicaState;
use crate::common::{BrokerId, TopicPartition};
use std::collections::BTreeMap;

impl Machine {
    /// Moves replicas and sends what follows from it.
    pub(super) fn move_replicas(&mut self, replicas: Vec<(TopicPartition, BrokerId)>, target: ReplicaState) {
        let mut by_broker: BTreeMap<BrokerId, Vec<TopicPartition>> = BTreeMap::new();
        for (tp, broker) in replicas {
            let from = self.context.replica_state(&tp, broker);
            if from.may_become(target) {
                by_broker.entry(broker).or_default().push(tp);
            } else {
                state_change_log!(
                    error,
                    self.id_and_epoch(),
                    "Replica {broker} of {tp} cannot move from {from} to {target}"
                );
            }
        }
        if target == ReplicaState::Offline {
            self.plan_next(step(Machine::flush_batch));
            for (broker, partitions) in by_broker.into_iter().rev() {
                self.plan_next(step(move |m| m.take_offline(broker, partitions)));
            }
            return;
        }
        for (broker, partitions) in by_broker {
            for tp in partitions {
                self.move_replica(&tp, broker, target);
            }
        }
        self.flush_batch();
    }

    fn move_replica(&mut self, tp: &TopicPartition, broker: BrokerId, target: ReplicaState) {
        let leader = self.context.leader_and_isr(tp).map(|s| s.leader);
        match target {
            ReplicaState::New => match leader {
                Some(leader) if leader == broker => {
                    state_change_log!(
                        error,
                        self.id_and_epoch(),
                        "Replica {broker} of {tp} leads, it cannot become new"
                    );
                    return;
                }
                Some(_) => self.batch.add_leader_and_isr(&[broker], tp, true),
                None => {}
            },
            ReplicaState::Online => {
                let was_new = self.context.replica_state(tp, broker) == ReplicaState::New;
                if !was_new && leader.is_some() {
                    self.batch.add_leader_and_isr(&[broker], tp, false);
                }
            }
            ReplicaState::DeletionStarted => self.batch.add_stop_replica(broker, tp, true),
            ReplicaState::DeletionSuccessful | ReplicaState::DeletionIneligible => {}
            ReplicaState::NonExistent => return self.context.forget_replica(tp, broker),
            ReplicaState::Offline => unreachable!("move_replicas plans these"),
        }
        self.context.set_replica_state(tp, broker, target);
    }
}

/// Going offline.
impl Machine {
    fn take_offline(&mut self, broker: BrokerId, partitions: Vec<TopicPartition>) {
        let mut led = Vec::with_capacity(partitions.len());
        for tp in partitions {
            self.batch.add_stop_replica(broker, &tp, false);
            if self.context.leader_and_isr(&tp).is_some() {
                led.push(tp);
            } else {
                self.batch.add_update_metadata_everywhere(&tp);
                self.context.set_replica_state(&tp, broker, ReplicaState::Offline);
            }
        }
        self.remove_from_isr(broker, led);
    }

    fn remove_from_isr(&mut self, broker: BrokerId, partitions: Vec<TopicPartition>) {
        let mut writes = Vec::new();
        let mut pending = Vec::new();
        let mut ask = Vec::new();
        for tp in partitions {
            let Some(partition) = self.context.partition(&tp) else { continue };
            let Some(current) = &partition.leader_and_isr else { continue };
            match without_replica(current, broker) {
                Some((leader, isr)) => {
                    let next = current.succeed(leader, isr, self.epoch());
                    writes.push(ZkWrite::SetState(tp.clone(), next.clone()));
                    pending.push((tp, next));
                }
                None if partition.confirmed_in == self.event_number => self.is_offline(&tp, broker),
                None => ask.push(tp),
            }
        }
        self.write(writes, move |m, outcomes| {
            ask.extend(m.removals_written(broker, pending, outcomes));
            m.reread_and_remove(broker, ask);
        });
    }

    /// Returns the partitions whose state had changed behind our back.
    fn removals_written(
        &mut self,
        broker: BrokerId,
        pending: Vec<(TopicPartition, LeaderAndIsr)>,
        outcomes: Vec<WriteOutcome>,
    ) -> Vec<TopicPartition> {
        let event = self.event_number;
        let mut changed = Vec::new();
        for ((tp, mut next), outcome) in pending.into_iter().zip(outcomes) {
            match outcome {
                WriteOutcome::Done(version) => {
                    next.zk_version = version;
                    state_change_log!(
                        info,
                        self.id_and_epoch(),
                        "Partition {tp} state changed to {next} after removing replica {broker} from the ISR as part of \
                         transition to OfflineReplica"
                    );
                    self.context.put_leader_and_isr(&tp, next, event);
                    self.is_offline(&tp, broker);
                }
                WriteOutcome::BadVersion => changed.push(tp),
                WriteOutcome::Refused => self.has_no_state(&tp, broker, "ZooKeeper refused the write"),
                WriteOutcome::Absent | WriteOutcome::Exists => {
                    self.has_no_state(&tp, broker, "the state znode does not exist")
                }
            }
        }
        changed
    }

    fn reread_and_remove(&mut self, broker: BrokerId, partitions: Vec<TopicPartition>) {
        let reads = partitions.iter().map(|tp| ZkRead::PartitionState(tp.clone())).collect();
        if partitions.is_empty() {
            return;
        }
        self.read(reads, move |m, values| {
            let mut known = Vec::with_capacity(partitions.len());
            for (tp, value) in partitions.into_iter().zip(values) {
                match m.take_state(&tp, value) {
                    Ok(()) => known.push(tp),
                    Err(reason) => m.has_no_state(&tp, broker, reason),
                }
            }
            m.remove_from_isr(broker, known);
        });
    }

    fn is_offline(&mut self, tp: &TopicPartition, broker: BrokerId) {
        if !self.context.is_queued_for_deletion(&tp.topic) {
            let others: Vec<_> = match self.context.partition(tp) {
                Some(p) => p.assignment.replicas.iter().copied().filter(|r| *r != broker).collect(),
                None => Vec::new(),
            };
            self.batch.add_leader_and_isr(&others, tp, false);
        }
        self.context.set_replica_state(tp, broker, ReplicaState::Offline);
    }

    fn has_no_state(&mut self, tp: &TopicPartition, broker: BrokerId, reason: &str) {
        if self.context.is_queued_for_deletion(&tp.topic) {
            // Nothing left to take it out of; the deletion may go on.
            self.context.set_replica_state(tp, broker, ReplicaState::Offline);
        } else {
            state_change_log!(
                error,
                self.id_and_epoch(),
                "Replica {broker} of {tp} was not taken offline: {reason}"
            );
        }
    }
}
