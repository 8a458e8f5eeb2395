//! Topics that appear or vanish, and partitions that are added.
//!
//! Source: `KafkaController.processTopicChange`, `processTopicIds`, `processPartitionModifications`,
//! `onNewPartitionCreation`.

use super::effect::{ZkRead, ZkWrite};
use super::event::{TopicNode, ZkValue};
use super::leader_election::Election;
use super::logging::{Listed, controller_log};
use super::machine::{Machine, one, step};
use super::states::{PartitionState, ReplicaState};
use crate::common::TopicPartition;
use bytestring::ByteString;
use std::collections::BTreeSet;

impl Machine {
    /// The children of `/brokers/topics` changed: compare all names with what is known.
    pub(super) fn topics_changed(&mut self) {
        self.read(vec![ZkRead::Topics], |m, values| {
            let ZkValue::Topics(names) = one(values) else { unreachable!("asked for topics") };
            let current: BTreeSet<_> = names.into_iter().collect();
            let gone: Vec<_> =
                m.context.topics().map(|(n, _)| n).filter(|n| !current.contains(*n)).cloned().collect();
            let new: Vec<_> = current.into_iter().filter(|n| m.context.topic(n).is_none()).collect();
            if new.is_empty() && gone.is_empty() {
                return;
            }
            controller_log!(
                info,
                m,
                "New topics: [Set({})], deleted topics: [Set({})]",
                Listed(&new),
                Listed(&gone)
            );
            for name in &gone {
                m.context.remove_topic(name);
            }
            let reads = new.iter().cloned().map(ZkRead::Topic).collect();
            m.read(reads, move |m, values| m.topics_appeared(new, values));
        });
    }

    fn topics_appeared(&mut self, names: Vec<ByteString>, values: Vec<ZkValue>) {
        let writes = self.take_topics(names.clone(), values);
        self.write(writes, move |m, _| {
            let partitions = names.iter().flat_map(|name| m.context.partitions_of(name)).collect();
            m.create_partitions(partitions);
        });
    }

    /// Takes topics that were read into the context; returns the writes that give ids to those without.
    pub(super) fn take_topics(&mut self, names: Vec<ByteString>, values: Vec<ZkValue>) -> Vec<ZkWrite> {
        let mut writes = Vec::new();
        for (topic, value) in names.into_iter().zip(values) {
            let ZkValue::Topic(node) = value else { unreachable!("asked for a topic") };
            // Deleted again, or not to be understood: as if it were not there.
            let Some(mut node) = node else { continue };
            if node.id.is_none() && self.config.uses_topic_ids {
                node.id = Some(self.topic_id());
                writes.push(ZkWrite::SetTopic { topic: topic.clone(), node: node.clone() });
            }
            self.context.put_topic(&topic, node.id);
            for (partition, assignment) in node.partitions {
                let tp = TopicPartition { topic: topic.clone(), partition };
                self.context.put_assignment(&tp, assignment);
            }
        }
        writes
    }

    fn create_partitions(&mut self, partitions: Vec<TopicPartition>) {
        if partitions.is_empty() {
            return;
        }
        controller_log!(info, self, "New partition creation callback for {}", Listed(&partitions));
        self.move_partitions(partitions.clone(), PartitionState::New, None);
        let replicas = self.context.replicas_of_partitions(&partitions);
        self.move_replicas(replicas.clone(), ReplicaState::New);
        let election = Some(Election::Offline { allow_unclean: false });
        self.plan([
            step(move |m| m.move_partitions(partitions, PartitionState::Online, election)),
            step(move |m| m.move_replicas(replicas, ReplicaState::Online)),
        ]);
    }

    /// The data of `/brokers/topics/<name>` changed. Only added partitions matter: assignments change
    /// through the controller itself.
    pub(super) fn topic_changed(&mut self, name: ByteString) {
        if self.context.topic(&name).is_none() {
            return;
        }
        self.read(vec![ZkRead::Topic(name.clone())], move |m, values| {
            let ZkValue::Topic(node) = one(values) else { unreachable!("asked for a topic") };
            let Some(node) = node else { return };
            let known = m.context.topic(&name).map(|t| &t.partitions);
            let added: Vec<_> = node
                .partitions
                .into_iter()
                .filter(|(n, _)| known.is_some_and(|k| !k.contains_key(n)))
                .map(|(partition, a)| (TopicPartition { topic: name.clone(), partition }, a))
                .collect();
            if added.is_empty() {
                return;
            }
            if m.context.is_queued_for_deletion(&name) {
                let numbers: Vec<_> = added.iter().map(|(tp, _)| tp.partition).collect();
                controller_log!(
                    warn,
                    m,
                    "Skipping adding partitions {} for topic {name} since it is currently being deleted",
                    Listed(numbers)
                );
                return m.restore_assignment(&name);
            }
            controller_log!(info, m, "New partitions to be added {}", Listed(added.iter().map(|(tp, _)| tp)));
            for (tp, assignment) in &added {
                m.context.put_assignment(tp, assignment.clone());
            }
            m.create_partitions(added.into_iter().map(|(tp, _)| tp).collect());
        });
    }

    /// Writes a topic's znode as the controller knows it.
    fn restore_assignment(&mut self, name: &ByteString) {
        let Some(topic) = self.context.topic(name) else { return };
        let partitions = topic.partitions.iter().map(|(n, p)| (*n, p.assignment.clone())).collect();
        let node = TopicNode { id: topic.id, partitions };
        self.write(vec![ZkWrite::SetTopic { topic: name.clone(), node }], |_, _| {});
    }
}
