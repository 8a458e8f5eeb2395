//! Elections that somebody asks for: a tool by znode, a caller by API, the balance of leaders.
//!
//! Source: `KafkaController.processReplicaLeaderElection`, `checkAndTriggerAutoLeaderRebalance`.

use super::effect::{Effect, Reply, ZkRead};
use super::event::{ElectionKind, Timer, ZkValue};
use super::leader_election::{self, Election};
use super::logging::{Listed, controller_log};
use super::machine::{Machine, one, step};
use super::states::PartitionState;
use crate::common::ids::NO_LEADER;
use crate::common::{BrokerId, ErrorCode, TopicPartition};
use std::collections::BTreeMap;

impl Machine {
    /// `/admin/preferred_replica_election` came or went.
    pub(super) fn preferred_election_changed(&mut self) {
        self.read(vec![ZkRead::PreferredElection], |m, values| {
            let ZkValue::PreferredElection(found) = one(values) else { unreachable!("asked for elections") };
            if let Some(partitions) = found {
                m.log_election("PREFERRED", &partitions, "ZkTriggered");
                m.finish_preferred_election(partitions);
            }
        });
    }

    /// Elects and replies per partition, in their order.
    pub(super) fn elect_for_caller(&mut self, mut partitions: Vec<TopicPartition>, kind: ElectionKind) {
        partitions.sort();
        partitions.dedup();
        let mut refused = BTreeMap::new();
        let mut electable = Vec::new();
        for tp in partitions {
            match self.refuse_election(&tp, kind) {
                Some(code) => {
                    refused.insert(tp, Err(code));
                }
                None => electable.push(tp),
            }
        }
        let election = match kind {
            ElectionKind::Preferred => Election::Preferred,
            ElectionKind::Unclean => Election::Offline { allow_unclean: true },
        };
        let name = match kind {
            ElectionKind::Preferred => "PREFERRED",
            ElectionKind::Unclean => "UNCLEAN",
        };
        self.log_election(name, &electable, "AdminClientTriggered");
        self.plan([
            step(move |m| m.move_partitions(electable, PartitionState::Online, Some(election))),
            step(move |m| {
                let mut results = std::mem::take(&mut m.elections);
                results.extend(refused);
                m.reply(Reply::ElectLeaders(Ok(results.into_iter().collect())));
            }),
        ]);
    }

    fn log_election(&self, kind: &str, partitions: &[TopicPartition], trigger: &str) {
        let partitions = Listed(partitions);
        controller_log!(
            info,
            self,
            "Starting replica leader election ({kind}) for partitions {partitions} triggered by {trigger}"
        );
    }

    fn refuse_election(&self, tp: &TopicPartition, kind: ElectionKind) -> Option<ErrorCode> {
        let Some(partition) = self.context.partition(tp) else {
            return Some(ErrorCode::UnknownTopicOrPartition);
        };
        if self.context.is_queued_for_deletion(&tp.topic) {
            return Some(ErrorCode::InvalidTopicException);
        }
        let leader = partition.leader_and_isr.as_ref().map(|s| s.leader);
        match (kind, leader) {
            (ElectionKind::Preferred, None) => Some(ErrorCode::PreferredLeaderNotAvailable),
            (ElectionKind::Unclean, None) => Some(ErrorCode::EligibleLeadersNotAvailable),
            (ElectionKind::Preferred, Some(leader)) => (partition.assignment.replicas.first()
                == Some(&leader))
            .then_some(ErrorCode::ElectionNotNeeded),
            (ElectionKind::Unclean, Some(leader)) => {
                (leader != NO_LEADER && self.context.is_live(leader)).then_some(ErrorCode::ElectionNotNeeded)
            }
        }
    }

    /// Elects preferred leaders of brokers that lead too few of the partitions meant for them.
    pub(super) fn auto_rebalance(&mut self) {
        self.effect(Effect::SetTimer {
            timer: Timer::AutoRebalance,
            after_ms: self.config.leader_imbalance_check_interval_ms,
        });
        if self.context.reassigning().next().is_some() {
            return;
        }
        let partitions = self.partitions_off_balance();
        if !partitions.is_empty() {
            self.log_election("PREFERRED", &partitions, "AutoTriggered");
            self.move_partitions(partitions, PartitionState::Online, Some(Election::Preferred));
        }
    }

    fn partitions_off_balance(&self) -> Vec<TopicPartition> {
        // Per preferred leader: how many partitions, and which of them it does not lead.
        let mut by_broker: BTreeMap<BrokerId, (usize, Vec<TopicPartition>)> = BTreeMap::new();
        for (name, topic) in self.context.topics().filter(|(_, t)| !t.queued_for_deletion) {
            for (number, partition) in &topic.partitions {
                let Some(preferred) = partition.assignment.replicas.first() else { continue };
                let (count, elsewhere) = by_broker.entry(*preferred).or_default();
                *count += 1;
                if partition.leader_and_isr.as_ref().is_some_and(|s| s.leader != *preferred) {
                    elsewhere.push(TopicPartition { topic: name.clone(), partition: *number });
                }
            }
        }
        let limit = f64::from(self.config.leader_imbalance_per_broker_percentage) / 100.0;
        let mut partitions = Vec::new();
        for (broker, (count, elsewhere)) in by_broker {
            let ratio = elsewhere.len() as f64 / count as f64;
            controller_log!(debug, self, "Leader imbalance ratio for broker {broker} is {ratio}");
            if ratio > limit {
                partitions.extend(elsewhere.into_iter().filter(|tp| self.preferred_could_lead(tp)));
            }
        }
        partitions
    }

    fn preferred_could_lead(&self, tp: &TopicPartition) -> bool {
        self.context.leader_and_isr(tp).is_some_and(|s| {
            leader_election::elect(&self.context, tp, s, Election::Preferred, false).is_some()
        })
    }
}
