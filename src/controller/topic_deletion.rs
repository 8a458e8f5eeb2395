//! Deletes topics: partitions go offline and non-existent, replicas stop and delete their logs, and when
//! all are gone the znodes go. A dead replica holds its topic back until its broker returns.
//!
//! Unlike Kafka's, a pass looks only at the topics that the event in hand touched: nothing else changes
//! whether a topic may go on.
//!
//! Source: `TopicDeletionManager.scala`.

use super::context::{Partition, Topic};
use super::effect::{ZkRead, ZkWrite};
use super::event::{WriteOutcome, ZkValue};
use super::logging::{Listed, controller_log, deletion_log};
use super::machine::{Machine, one, step};
use super::states::{PartitionState, ReplicaState};
use crate::common::{BrokerId, TopicPartition};
use bytestring::ByteString;
use std::collections::BTreeSet;

fn replica_states(topic: &Topic) -> impl Iterator<Item = ReplicaState> {
    let state = |p: &Partition, broker: BrokerId| {
        let known = p.replica_states.iter().find(|(b, _)| *b == broker);
        known.map_or(ReplicaState::NonExistent, |(_, state)| *state)
    };
    topic.partitions.values().flat_map(move |p| p.assignment.replicas.iter().map(move |b| state(p, *b)))
}

impl Machine {
    /// Topics under `/admin/delete_topics` when the controller takes office.
    pub(super) fn load_deletions(&mut self, names: Vec<ByteString>) {
        let mut unfinished = Vec::new();
        for name in names {
            let Some(topic) = self.context.topic(&name) else {
                // A deletion that the last controller had all but finished.
                unfinished.push(ZkWrite::DeleteTopicConfig(name.clone()));
                unfinished.push(ZkWrite::DeleteTopicDeletion(name));
                continue;
            };
            if !self.config.delete_topic_enable {
                deletion_log!(info, self, "Removing {name} since delete topic is disabled");
                unfinished.push(ZkWrite::DeleteTopicDeletion(name));
                continue;
            }
            let reassigned = topic.partitions.values().any(|p| p.assignment.is_being_reassigned());
            let replicas = self.context.replicas_of(&name);
            let dead = replicas.iter().any(|(tp, broker)| !self.context.is_replica_online(tp, *broker));
            self.context.queue_deletion(&name);
            self.context.set_deletion_ineligible(&name, reassigned || dead);
        }
        if !self.config.delete_topic_enable {
            unfinished.retain(|w| matches!(w, ZkWrite::DeleteTopicDeletion(_)));
        }
        self.write(unfinished, |_, _| {});
    }

    /// Goes on with every topic queued for deletion.
    pub(super) fn resume_all_deletions(&mut self) {
        let topics = self.context.topics_to_delete().cloned().collect();
        self.advance_deletions(topics);
    }

    /// The children of `/admin/delete_topics` changed.
    pub(super) fn topic_deletions_changed(&mut self) {
        self.read(vec![ZkRead::TopicDeletions], |m, values| {
            let ZkValue::Topics(names) = one(values) else { unreachable!("asked for deletions") };
            let (known, unknown): (Vec<_>, Vec<_>) =
                names.into_iter().partition(|name| m.context.topic(name).is_some());
            if !unknown.is_empty() {
                controller_log!(
                    warn,
                    m,
                    "Ignoring request to delete non-existing topics {}",
                    unknown.join(",")
                );
            }
            let enabled = m.config.delete_topic_enable;
            let mut refused: Vec<_> = unknown.into_iter().map(ZkWrite::DeleteTopicDeletion).collect();
            if !enabled && !known.is_empty() {
                controller_log!(info, m, "Removing {} since delete topic is disabled", known.join(","));
                refused.extend(known.iter().cloned().map(ZkWrite::DeleteTopicDeletion));
            }
            m.write(refused, move |m, _| {
                if enabled && !known.is_empty() {
                    controller_log!(info, m, "Starting topic deletion for topics {}", Listed(&known));
                    m.enqueue_deletions(known);
                }
            });
        });
    }

    fn enqueue_deletions(&mut self, names: Vec<ByteString>) {
        for name in &names {
            if self.context.is_queued_for_deletion(name) {
                continue;
            }
            self.context.queue_deletion(name);
            let topic = self.context.topic(name);
            let reassigned =
                topic.is_some_and(|t| t.partitions.values().any(|p| p.assignment.is_being_reassigned()));
            self.context.set_deletion_ineligible(name, reassigned);
        }
        self.advance_deletions(names.into_iter().collect());
    }

    /// Something that stood in the way is gone.
    pub(super) fn resume_deletions(&mut self, mut topics: BTreeSet<ByteString>) {
        topics.retain(|name| self.context.is_queued_for_deletion(name));
        for name in &topics {
            // Kafka forgets here that a reassignment may still be under way.
            let reassigned =
                self.context.partitions_of(name).iter().any(|tp| self.context.is_reassigning(tp));
            self.context.set_deletion_ineligible(name, reassigned);
        }
        self.advance_deletions(topics);
    }

    /// Logs of these replicas cannot be deleted now.
    pub(super) fn fail_replica_deletion(&mut self, mut replicas: Vec<(TopicPartition, BrokerId)>) {
        replicas.retain(|(tp, _)| self.context.is_queued_for_deletion(&tp.topic));
        if replicas.is_empty() {
            return;
        }
        let topics: BTreeSet<_> = replicas.iter().map(|(tp, _)| tp.topic.clone()).collect();
        deletion_log!(
            info,
            self,
            "Halted deletion of topics {} due to replica deletion failure",
            Listed(&topics)
        );
        self.move_replicas(replicas, ReplicaState::DeletionIneligible);
        for name in &topics {
            self.context.set_deletion_ineligible(name, true);
        }
        self.advance_deletions(topics);
    }

    /// Logs of these replicas are gone.
    pub(super) fn complete_replica_deletion(&mut self, mut replicas: Vec<(TopicPartition, BrokerId)>) {
        replicas.retain(|(tp, _)| self.context.is_queued_for_deletion(&tp.topic));
        let topics: BTreeSet<_> = replicas.iter().map(|(tp, _)| tp.topic.clone()).collect();
        self.move_replicas(replicas, ReplicaState::DeletionSuccessful);
        self.advance_deletions(topics);
    }

    fn advance_deletions(&mut self, topics: BTreeSet<ByteString>) {
        let (mut done, mut retry, mut start) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for name in topics {
            let Some(topic) = self.context.topic(&name).filter(|t| t.queued_for_deletion) else { continue };
            let mut all_gone = true;
            let (mut any_started, mut any_ineligible) = (false, false);
            for state in replica_states(topic) {
                all_gone &= state == ReplicaState::DeletionSuccessful;
                any_started |= state == ReplicaState::DeletionStarted;
                any_ineligible |= state == ReplicaState::DeletionIneligible;
            }
            if all_gone {
                done.insert(name);
                continue;
            }
            if any_ineligible && !any_started {
                retry.insert(name.clone());
            }
            if !any_started && !topic.deletion_ineligible {
                start.insert(name);
            }
        }
        self.plan([
            step(|m| m.finish_deletions(done)),
            step(|m| m.reset_failed_replicas(retry)),
            step(|m| m.start_deletions(start)),
        ]);
    }

    /// All replicas are gone: now the znodes.
    fn finish_deletions(&mut self, topics: BTreeSet<ByteString>) {
        let mut writes = Vec::with_capacity(topics.len() * 3);
        for name in &topics {
            writes.push(ZkWrite::DeleteTopic(name.clone()));
            writes.push(ZkWrite::DeleteTopicConfig(name.clone()));
            writes.push(ZkWrite::DeleteTopicDeletion(name.clone()));
        }
        self.write(writes, move |m, outcomes| {
            for (name, outcome) in topics.into_iter().zip(outcomes.chunks(3)) {
                if outcome.contains(&WriteOutcome::BadVersion) {
                    deletion_log!(warn, m, "Deletion of topic {name} left nodes behind");
                }
                m.context.remove_topic(&name);
                deletion_log!(info, m, "Deletion of topic {name} successfully completed");
            }
        });
    }

    fn reset_failed_replicas(&mut self, topics: BTreeSet<ByteString>) {
        let replicas: Vec<_> = topics.iter().flat_map(|name| self.context.replicas_of(name)).collect();
        let failed = replicas
            .into_iter()
            .filter(|(tp, b)| self.context.replica_state(tp, *b) == ReplicaState::DeletionIneligible)
            .collect();
        self.move_replicas(failed, ReplicaState::Offline);
    }

    fn start_deletions(&mut self, topics: BTreeSet<ByteString>) {
        if topics.is_empty() {
            return;
        }
        for name in &topics {
            deletion_log!(info, self, "Deletion of topic {name} (re)started");
        }
        let unseen: Vec<_> = topics
            .iter()
            .filter(|name| self.context.topic(name).is_some_and(|t| !t.deletion_started))
            .flat_map(|name| self.context.partitions_of(name))
            .collect();
        self.move_partitions(unseen.clone(), PartitionState::Offline, None);
        self.move_partitions(unseen, PartitionState::NonExistent, None);
        for name in &topics {
            self.context.begin_deletion(name);
        }
        // Brokers stop serving the topic when they hear of leader -2.
        let partitions: Vec<_> = topics.iter().flat_map(|name| self.context.partitions_of(name)).collect();
        let everybody = self.context.broker_ids();
        self.send_update_metadata(&everybody, &partitions);
        self.delete_replicas(topics);
    }

    fn delete_replicas(&mut self, topics: BTreeSet<ByteString>) {
        let replicas: Vec<_> = topics.iter().flat_map(|name| self.context.replicas_of(name)).collect();
        let (alive, dead): (Vec<_>, Vec<_>) =
            replicas.into_iter().partition(|(tp, b)| self.context.is_replica_online(tp, *b));
        let remaining: Vec<_> = alive
            .into_iter()
            .filter(|(tp, b)| self.context.replica_state(tp, *b) != ReplicaState::DeletionSuccessful)
            .collect();
        let held_back: BTreeSet<_> = dead.iter().map(|(tp, _)| tp.topic.clone()).collect();
        let stopped = remaining.clone();
        self.plan([
            step(|m| m.move_replicas(dead, ReplicaState::DeletionIneligible)),
            step(|m| m.move_replicas(stopped, ReplicaState::Offline)),
            step(|m| m.move_replicas(remaining, ReplicaState::DeletionStarted)),
            step(move |m| {
                if !held_back.is_empty() {
                    deletion_log!(
                        info,
                        m,
                        "Halted deletion of topics {} due to offline replicas",
                        Listed(&held_back)
                    );
                }
                for name in &held_back {
                    m.context.set_deletion_ineligible(name, true);
                }
            }),
        ]);
    }
}
