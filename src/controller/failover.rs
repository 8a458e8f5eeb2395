//! Taking office: from an empty context to a working controller.
//!
//! Order, as in Kafka: `/feature`; arm the watches; drop old notifications; load brokers, topics (giving ids
//! to those without), assignments, states; load deletions; tell every broker about all brokers; start the
//! replica machine, then the partition machine; go on with reassignments, deletions and pending preferred
//! elections; start the rebalance timer.
//!
//! Source: `KafkaController.onControllerFailover`.

use super::effect::{Effect, ZkRead, ZkWrite};
use super::event::{FeatureNode, Timer, ZkValue};
use super::leader_election::Election;
use super::logging::{Listed, controller_log};
use super::machine::{Machine, one, step};
use super::states::{PartitionState, ReplicaState};
use crate::common::{BrokerId, TopicPartition};
use bytestring::ByteString;

/// First look at the balance of leaders after taking office.
const FIRST_REBALANCE_MS: i64 = 5_000;

/// What the first read found and later steps need.
struct Found {
    deletions: Vec<ByteString>,
    preferred_election: Option<Vec<TopicPartition>>,
}

impl Machine {
    /// This broker won the election: load the cluster and start.
    pub(super) fn fail_over(&mut self) {
        self.plan([step(Machine::set_up_features), step(Machine::load_cluster)]);
    }

    /// `/feature` says whether finalized features count (KIP-584). Enabling keeps features that were
    /// finalized while enabled; disabling drops all.
    fn set_up_features(&mut self) {
        self.read(vec![ZkRead::Feature], |m, values| {
            let ZkValue::Feature(found) = one(values) else { unreachable!("asked for /feature") };
            let enabled = m.config.feature_versioning;
            let wanted = match found {
                Some(node) if enabled && node.enabled => node,
                _ => FeatureNode { enabled, has_features: false },
            };
            if let Some(node) = found.filter(|n| !n.enabled && n.has_features) {
                controller_log!(
                    warn,
                    m,
                    "FeatureZNode at path: /feature with disabled status contains non-empty features: {node:?}"
                );
            }
            if found != Some(wanted) {
                m.write_feature(found.is_none(), wanted, |_| {});
            }
        });
    }

    fn load_cluster(&mut self) {
        let reads = vec![
            ZkRead::Brokers,
            ZkRead::Topics,
            ZkRead::TopicDeletions,
            ZkRead::LogDirEvents,
            ZkRead::IsrChanges,
            ZkRead::PreferredElection,
        ];
        self.read(reads, |m, values| {
            let mut topics = None;
            let mut deletions = Vec::new();
            let mut preferred_election = None;
            let mut old_notifications = Vec::new();
            for value in values {
                match value {
                    ZkValue::Brokers(brokers) => {
                        for broker in brokers {
                            m.effect(Effect::AddBroker(broker.clone()));
                            m.context.put_broker(broker);
                        }
                    }
                    // In the order asked for: topics first, then topics to delete.
                    ZkValue::Topics(names) if topics.is_none() => topics = Some(names),
                    ZkValue::Topics(names) => deletions = names,
                    ZkValue::LogDirEvents(events) => old_notifications
                        .extend(events.into_iter().map(|(n, _)| ZkWrite::DeleteLogDirEvent(n))),
                    ZkValue::IsrChanges(changes) => old_notifications
                        .extend(changes.into_iter().map(|(n, _)| ZkWrite::DeleteIsrChange(n))),
                    ZkValue::PreferredElection(found) => preferred_election = found,
                    other => unreachable!("not asked for: {other:?}"),
                }
            }
            let topics = topics.unwrap_or_default();
            let found = Found { deletions, preferred_election };
            m.plan([
                step(move |m| m.write(old_notifications, |_, _| {})),
                step(move |m| m.load_topics(topics)),
                step(move |m| m.start_serving(found)),
            ]);
        });
    }

    fn load_topics(&mut self, names: Vec<ByteString>) {
        let reads = names.iter().cloned().map(ZkRead::Topic).collect();
        self.read(reads, move |m, values| {
            let writes = m.take_topics(names, values);
            m.write(writes, |m, _| m.load_states());
        });
    }

    fn load_states(&mut self) {
        let partitions = self.context.all_partitions();
        let reads = partitions.iter().cloned().map(ZkRead::DatedPartitionState).collect();
        self.read(reads, move |m, values| {
            let event = m.event_number;
            for (tp, value) in partitions.into_iter().zip(values) {
                let ZkValue::DatedPartitionState(state) = value else { unreachable!("asked for a state") };
                if let Some((state, mzxid)) = state {
                    m.note_restart(&tp, state.leader, mzxid);
                    m.context.put_leader_and_isr(&tp, state, event);
                }
            }
        });
    }

    /// A leader that registered after its state was written may be another process than the one that led: its log may
    /// have lost what followers have of it. Nobody saw it go, because the controller went, too. Under the old leader
    /// epoch it would write other records at the same places; so it is elected like any other.
    ///
    /// Apache Kafka 2.8.2 lets it go on.
    fn note_restart(&mut self, tp: &TopicPartition, leader: BrokerId, state_mzxid: i64) {
        let is_new = self.context.broker(leader).is_some_and(|broker| broker.epoch > state_mzxid);
        let is_copied = self.context.partition(tp).is_some_and(|p| p.assignment.replicas.len() > 1);
        if is_new && is_copied {
            self.restarted_leaders.insert(tp.clone());
        }
    }

    fn start_serving(&mut self, found: Found) {
        let Found { deletions, preferred_election } = found;
        let brokers = self.context.broker_ids();
        controller_log!(info, self, "Currently active brokers in the cluster: Set({})", Listed(&brokers));
        let count = self.context.topics().count();
        controller_log!(
            info,
            self,
            "Loaded {count} topics with {} partitions",
            self.context.all_partitions().len()
        );
        controller_log!(info, self, "List of topics to be deleted: {}", Listed(&deletions));
        self.plan([
            step(move |m| m.load_deletions(deletions)),
            // Brokers must know each other before they can follow one another.
            step(move |m| m.send_update_metadata(&brokers, &[])),
            step(Machine::elect_restarted_leaders),
            step(Machine::start_replicas),
            step(Machine::start_partitions),
            step(Machine::loaded),
            step(|m| m.reassignments_changed(true)),
            step(Machine::resume_all_deletions),
            step(move |m| {
                if let Some(partitions) = preferred_election {
                    m.finish_preferred_election(partitions);
                }
            }),
            step(|m| {
                if m.config.auto_leader_rebalance_enable {
                    m.effect(Effect::SetTimer { timer: Timer::AutoRebalance, after_ms: FIRST_REBALANCE_MS });
                }
            }),
        ]);
    }

    /// Before anybody is told who leads: nobody shall lead in the old epoch for a moment.
    fn elect_restarted_leaders(&mut self) {
        let restarted: Vec<_> = std::mem::take(&mut self.restarted_leaders)
            .into_iter()
            .filter(|tp| !self.context.is_queued_for_deletion(&tp.topic))
            .collect();
        for tp in &restarted {
            self.context.set_partition_state(tp, PartitionState::Offline);
        }
        let election = Election::Offline { allow_unclean: false };
        self.move_partitions(restarted, PartitionState::Online, Some(election));
    }

    fn start_replicas(&mut self) {
        let replicas = self.context.replicas_of_partitions(&self.context.all_partitions());
        let (online, offline): (Vec<_>, Vec<_>) =
            replicas.into_iter().partition(|(tp, broker)| self.context.is_replica_online(tp, *broker));
        for (tp, broker) in &online {
            self.context.set_replica_state(tp, *broker, ReplicaState::Online);
        }
        // If the topic is to be deleted this holds it back until the broker returns.
        for (tp, broker) in &offline {
            self.context.set_replica_state(tp, *broker, ReplicaState::DeletionIneligible);
        }
        self.plan([
            step(move |m| m.move_replicas(online, ReplicaState::Online)),
            step(move |m| m.move_replicas(offline, ReplicaState::Offline)),
        ]);
    }

    fn start_partitions(&mut self) {
        for tp in self.context.all_partitions() {
            let state = match self.context.leader_and_isr(&tp) {
                None => PartitionState::New,
                Some(s) if self.context.is_replica_online(&tp, s.leader) => PartitionState::Online,
                Some(_) => PartitionState::Offline,
            };
            self.context.set_partition_state(&tp, state);
        }
        self.trigger_online(None);
    }

    /// A tool asked for preferred leaders: elect those that are missing, then remove the request.
    pub(super) fn finish_preferred_election(&mut self, partitions: Vec<TopicPartition>) {
        let missing = partitions
            .into_iter()
            .filter(|tp| !self.context.is_queued_for_deletion(&tp.topic))
            .filter(|tp| {
                self.context.partition(tp).is_some_and(|p| {
                    let leader = p.leader_and_isr.as_ref().map(|s| s.leader);
                    leader.is_some() && leader != p.assignment.replicas.first().copied()
                })
            })
            .collect();
        self.plan([
            step(|m| m.move_partitions(missing, PartitionState::Online, Some(Election::Preferred))),
            step(|m| m.write(vec![ZkWrite::DeletePreferredElection], |_, _| {})),
            // Arms the watch for the next request.
            step(Machine::preferred_election_changed),
        ]);
    }
}
