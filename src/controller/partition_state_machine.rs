//! Moves partitions between states: first leaders, elections, deletion.
//!
//! An election starts from the state znode as last known and writes on condition of its version. Only if
//! that write finds another version, or nobody is eligible, is the znode read again: leaders may change
//! ISRs in ZooKeeper themselves (`inter.broker.protocol.version` below 2.7-IV2). So the usual election
//! costs one write and no read. "Nobody is eligible" is final only by a state that was read or written in
//! the event in hand.
//!
//! Source: `PartitionStateMachine.scala`.

use super::context::{BrokerIds, LeaderAndIsr};
use super::effect::{ZkRead, ZkWrite};
use super::event::{WriteOutcome, ZkValue};
use super::leader_election::{self, Elected, Election};
use super::logging::{Listed, state_change_log};
use super::machine::{Machine, step};
use super::states::PartitionState;
use crate::common::{ErrorCode, TopicPartition};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// `unclean.leader.election.enable` by topic, as far as asked for.
type UncleanByTopic = BTreeMap<ByteString, bool>;

/// An election that waits for its write.
struct Pending {
    partition: TopicPartition,
    next: LeaderAndIsr,
    recipients: BrokerIds,
}

enum Decision {
    Elected(Pending),
    Nobody,
    /// ZooKeeper or the topic's configuration has to be asked first.
    Ask,
}

impl Machine {
    /// Moves partitions and sends what follows from it. `election` is needed for moves to Online.
    pub(super) fn move_partitions(
        &mut self,
        partitions: Vec<TopicPartition>,
        target: PartitionState,
        election: Option<Election>,
    ) {
        let (valid, invalid): (Vec<_>, Vec<_>) =
            partitions.into_iter().partition(|tp| self.context.partition_state(tp).may_become(target));
        for tp in invalid {
            let from = self.context.partition_state(&tp);
            state_change_log!(
                error,
                self.id_and_epoch(),
                "Partition {tp} cannot move from {from} to {target}"
            );
            self.elections.insert(tp, Err(ErrorCode::UnknownServerError));
        }
        if target != PartitionState::Online {
            for tp in &valid {
                self.log_new(tp, target);
                self.context.set_partition_state(tp, target);
            }
            return;
        }
        let election = election.expect("moves to Online say how to elect");
        let (new, led): (Vec<_>, Vec<_>) =
            valid.into_iter().partition(|tp| self.context.partition_state(tp) == PartitionState::New);
        self.plan([
            step(move |m| m.choose_first_leaders(new)),
            step(move |m| m.elect(led, election, UncleanByTopic::new())),
            step(Machine::flush_batch),
        ]);
    }

    /// Tries to elect leaders for all partitions without one, or those of one topic.
    pub(super) fn trigger_online(&mut self, topic: Option<&str>) {
        let partitions = self
            .context
            .leaderless()
            .filter(|tp| topic.is_none_or(|name| tp.topic == name))
            .filter(|tp| !self.context.is_queued_for_deletion(&tp.topic))
            .cloned()
            .collect();
        let election = Election::Offline { allow_unclean: false };
        self.move_partitions(partitions, PartitionState::Online, Some(election));
    }

    /// Kafka tells of partitions that become new or online; the rest follows from them.
    fn log_new(&self, tp: &TopicPartition, target: PartitionState) {
        let Some(partition) = self.context.partition(tp).filter(|_| target == PartitionState::New) else {
            return;
        };
        state_change_log!(
            info,
            self.id_and_epoch(),
            "Changed partition {tp} state from {} to {target} with assigned replicas {}",
            self.context.partition_state(tp),
            Listed(&partition.assignment.replicas)
        );
    }

    fn becomes_online(&mut self, tp: &TopicPartition) {
        let from = self.context.partition_state(tp);
        self.context.set_partition_state(tp, PartitionState::Online);
        if let Some(state) = self.context.leader_and_isr(tp) {
            state_change_log!(
                info,
                self.id_and_epoch(),
                "Changed partition {tp} from {from} to OnlinePartition with state {state}"
            );
        }
    }
}

/// First leaders.
impl Machine {
    /// Partitions in state New: the first live replica leads, all live replicas are in sync.
    fn choose_first_leaders(&mut self, partitions: Vec<TopicPartition>) {
        let mut states = Vec::with_capacity(partitions.len());
        for tp in partitions {
            let live = self.live_replicas(&tp);
            let Some(leader) = live.first().copied() else {
                state_change_log!(
                    error,
                    self.id_and_epoch(),
                    "No assigned replica of {tp} is alive, it stays without leader"
                );
                continue;
            };
            let controller_epoch = self.epoch();
            let state = LeaderAndIsr { leader, leader_epoch: 0, isr: live, controller_epoch, zk_version: 0 };
            states.push((tp, state));
        }
        let mut writes: Vec<ZkWrite> = self.topics_without_partition_nodes(&states);
        writes.extend(states.iter().map(|(tp, _)| ZkWrite::CreatePartition(tp.clone())));
        let parents = writes.len();
        writes.extend(states.iter().map(|(tp, state)| ZkWrite::CreateState(tp.clone(), state.clone())));
        self.write(writes, move |m, outcomes| m.first_leaders_written(states, &outcomes[parents..]));
    }

    fn live_replicas(&self, tp: &TopicPartition) -> BrokerIds {
        let Some(partition) = self.context.partition(tp) else { return BrokerIds::new() };
        let replicas = partition.assignment.replicas.iter().copied();
        replicas.filter(|id| self.context.is_replica_online(tp, *id)).collect()
    }

    fn topics_without_partition_nodes(&self, states: &[(TopicPartition, LeaderAndIsr)]) -> Vec<ZkWrite> {
        let topics: BTreeSet<_> = states.iter().map(|(tp, _)| &tp.topic).collect();
        let fresh = |name: &str| {
            let topic = self.context.topic(name);
            topic.is_some_and(|t| t.partitions.values().all(|p| p.leader_and_isr.is_none()))
        };
        topics.into_iter().filter(|n| fresh(n)).map(|n| ZkWrite::CreatePartitions(n.clone())).collect()
    }

    fn first_leaders_written(
        &mut self,
        states: Vec<(TopicPartition, LeaderAndIsr)>,
        outcomes: &[WriteOutcome],
    ) {
        let event = self.event_number;
        let mut existing = Vec::new();
        for ((tp, state), outcome) in states.into_iter().zip(outcomes) {
            match outcome {
                WriteOutcome::Done(_) => {
                    self.batch.add_leader_and_isr(&state.isr, &tp, true);
                    self.context.put_leader_and_isr(&tp, state, event);
                    self.becomes_online(&tp);
                }
                // An earlier attempt of ours, or of the controller before us, went through.
                WriteOutcome::Exists => existing.push(tp),
                other => state_change_log!(
                    error,
                    self.id_and_epoch(),
                    "The state of {tp} was not created: {other:?}"
                ),
            }
        }
        self.reread_and_elect(existing, Election::Offline { allow_unclean: false });
    }
}

/// Elections.
impl Machine {
    fn elect(&mut self, partitions: Vec<TopicPartition>, election: Election, unclean: UncleanByTopic) {
        let mut writes = Vec::new();
        let mut pending = Vec::new();
        let mut ask = Vec::new();
        for tp in partitions {
            match self.decide(&tp, election, &unclean) {
                Decision::Elected(p) => {
                    writes.push(ZkWrite::SetState(p.partition.clone(), p.next.clone()));
                    pending.push(p);
                }
                Decision::Nobody => self.election_failed(tp, election, "nobody is eligible"),
                Decision::Ask => ask.push(tp),
            }
        }
        self.write(writes, move |m, outcomes| {
            ask.extend(m.elections_written(pending, outcomes, election));
            m.reread_and_elect(ask, election);
        });
    }

    fn decide(&self, tp: &TopicPartition, election: Election, unclean: &UncleanByTopic) -> Decision {
        let Some(partition) = self.context.partition(tp) else { return Decision::Nobody };
        let Some(current) = &partition.leader_and_isr else { return Decision::Ask };
        if !partition.assignment.replicas.iter().any(|id| self.context.is_replica_reachable(tp, *id)) {
            return Decision::Nobody;
        }
        let fresh = partition.confirmed_in == self.event_number;
        let configured = unclean.get(&tp.topic).copied();
        if let Election::Offline { allow_unclean } = election
            && !leader_election::has_live_in_sync_replica(&self.context, tp, current)
            && !(fresh && (allow_unclean || configured.is_some()))
        {
            return Decision::Ask;
        }
        let unclean = configured.unwrap_or(false);
        match leader_election::elect(&self.context, tp, current, election, unclean) {
            Some(Elected { leader, isr, recipients }) => {
                let next = current.succeed(leader, isr, self.epoch());
                Decision::Elected(Pending { partition: tp.clone(), next, recipients })
            }
            None if fresh => Decision::Nobody,
            None => Decision::Ask,
        }
    }

    /// Returns the partitions whose state had changed behind our back.
    fn elections_written(
        &mut self,
        pending: Vec<Pending>,
        outcomes: Vec<WriteOutcome>,
        election: Election,
    ) -> Vec<TopicPartition> {
        let event = self.event_number;
        let mut changed = Vec::new();
        for (Pending { partition: tp, mut next, recipients }, outcome) in pending.into_iter().zip(outcomes) {
            match outcome {
                WriteOutcome::Done(version) => {
                    next.zk_version = version;
                    self.elections.insert(tp.clone(), Ok(next.leader));
                    self.context.put_leader_and_isr(&tp, next, event);
                    self.isr_changed(&tp);
                    self.batch.add_leader_and_isr(&recipients, &tp, false);
                    self.becomes_online(&tp);
                }
                WriteOutcome::BadVersion => changed.push(tp),
                other => self.election_failed(tp, election, &format!("the write found {other:?}")),
            }
        }
        changed
    }

    /// Reads the states (and, where it matters, the topics' configurations) and elects by them.
    fn reread_and_elect(&mut self, partitions: Vec<TopicPartition>, election: Election) {
        if partitions.is_empty() {
            return;
        }
        let mut reads: Vec<_> = partitions.iter().map(|tp| ZkRead::PartitionState(tp.clone())).collect();
        let mut topics = BTreeSet::new();
        if election == (Election::Offline { allow_unclean: false }) {
            topics.extend(partitions.iter().map(|tp| tp.topic.clone()));
            reads.extend(topics.iter().cloned().map(ZkRead::UncleanElection));
        }
        self.read(reads, move |m, mut values| {
            let configs = values.split_off(partitions.len());
            let mut unclean = UncleanByTopic::new();
            for (topic, value) in topics.into_iter().zip(configs) {
                let ZkValue::UncleanElection(own) = value else { unreachable!("asked for a config") };
                unclean.insert(topic, own.unwrap_or(m.config.unclean_leader_election_enable));
            }
            let mut electable = Vec::with_capacity(partitions.len());
            for (tp, value) in partitions.into_iter().zip(values) {
                match m.take_state(&tp, value) {
                    Ok(()) => electable.push(tp),
                    Err(reason) => m.election_failed(tp, election, reason),
                }
            }
            m.elect(electable, election, unclean);
        });
    }

    /// Takes a state that was read into the context, unless it is absent or a later controller's.
    pub(super) fn take_state(&mut self, tp: &TopicPartition, value: ZkValue) -> Result<(), &'static str> {
        let ZkValue::PartitionState(state) = value else { unreachable!("asked for a state") };
        let Some(state) = state else { return Err("the state znode does not exist") };
        if state.controller_epoch > self.epoch() {
            return Err("a later controller wrote the state znode");
        }
        self.context.put_leader_and_isr(tp, state, self.event_number);
        Ok(())
    }

    fn election_failed(&mut self, tp: TopicPartition, election: Election, reason: &str) {
        let from = self.context.partition_state(&tp);
        state_change_log!(
            error,
            self.id_and_epoch(),
            "Controller {} epoch {} failed to change state for partition {tp} from {from} to OnlinePartition by \
             {election:?}: {reason}",
            self.broker_id(),
            self.epoch()
        );
        let code = match election {
            Election::Preferred => ErrorCode::PreferredLeaderNotAvailable,
            _ => ErrorCode::EligibleLeadersNotAvailable,
        };
        self.elections.insert(tp, Err(code));
    }
}
