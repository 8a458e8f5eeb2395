//! Brokers that come, go, return, change their addresses, lose a log directory, or want to leave.
//!
//! Source: `KafkaController.processBrokerChange`, `onBrokerStartup`, `onBrokerFailure`,
//! `onReplicasBecomeOffline`, `doControlledShutdown`.

use super::context::Broker;
use super::effect::{Effect, Reply, ZkRead};
use super::event::ZkValue;
use super::leader_election::Election;
use super::logging::{Listed, controller_log};
use super::machine::{Machine, one, step};
use super::states::{PartitionState, ReplicaState};
use crate::common::{BrokerId, ErrorCode, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

/// "Not sent" in a request's broker epoch.
const UNKNOWN_BROKER_EPOCH: i64 = -1;

impl Machine {
    /// The registrations changed: compare all of them with what is known, whatever the watch saw.
    pub(super) fn brokers_changed(&mut self) {
        self.read(vec![ZkRead::Brokers], |m, values| {
            let ZkValue::Brokers(brokers) = one(values) else { unreachable!("asked for brokers") };
            let current: BTreeMap<BrokerId, Broker> = brokers.into_iter().map(|b| (b.id, b)).collect();
            m.compare_brokers(current);
        });
    }

    fn compare_brokers(&mut self, current: BTreeMap<BrokerId, Broker>) {
        let dead: Vec<_> =
            self.context.broker_ids().into_iter().filter(|id| !current.contains_key(id)).collect();
        let live: Vec<_> = current.keys().copied().collect();
        let (mut new, mut bounced, mut updated) = (Vec::new(), Vec::new(), Vec::new());
        for (id, broker) in current {
            match self.context.broker(id) {
                None => new.push(broker),
                Some(known) if broker.epoch > known.epoch => bounced.push(broker),
                Some(known) if broker.endpoints != known.endpoints => updated.push(broker),
                Some(_) => {}
            }
        }
        if new.is_empty() && bounced.is_empty() && dead.is_empty() && updated.is_empty() {
            return;
        }
        if !(new.is_empty() && bounced.is_empty() && dead.is_empty()) {
            controller_log!(
                info,
                self,
                "Newly added brokers: {}, deleted brokers: {}, bounced brokers: {}, all live brokers: {}",
                Listed(ids(&new)),
                Listed(&dead),
                Listed(ids(&bounced)),
                Listed(live)
            );
        }
        // Failures first, unlike Kafka: nobody shall be elected who is known to be gone.
        let mut gone = dead;
        gone.extend(bounced.iter().map(|b| b.id));
        let mut started = new;
        started.append(&mut bounced);
        for id in &gone {
            self.effect(Effect::RemoveBroker(*id));
        }
        for broker in &started {
            self.effect(Effect::AddBroker(broker.clone()));
        }
        self.plan([
            step(move |m| m.brokers_failed(gone)),
            step(move |m| m.brokers_started(started)),
            step(move |m| m.brokers_updated(updated)),
        ]);
    }

    fn brokers_started(&mut self, brokers: Vec<Broker>) {
        if brokers.is_empty() {
            return;
        }
        let existing = self.context.broker_ids();
        let started = ids(&brokers);
        controller_log!(info, self, "New broker startup callback for {}", Listed(&started));
        for broker in brokers {
            self.context.clear_offline_dirs(broker.id);
            self.context.put_broker(broker);
        }
        self.send_update_metadata(&existing, &[]);
        self.send_update_metadata(&started, &self.partitions_with_leaders());
        let replicas = self.replicas_on(&started);
        let to_delete: BTreeSet<_> = replicas
            .iter()
            .filter(|(tp, _)| self.context.is_queued_for_deletion(&tp.topic))
            .map(|(tp, _)| tp.topic.clone())
            .collect();
        self.plan([
            // Everything that the broker hosts; it starts its high watermark checkpoints by this.
            step(move |m| m.move_replicas(replicas, ReplicaState::Online)),
            step(|m| m.trigger_online(None)),
            step(move |m| m.resume_reassignments_to(&started)),
            step(move |m| m.resume_deletions(to_delete)),
        ]);
    }

    fn partitions_with_leaders(&self) -> Vec<TopicPartition> {
        let mut partitions = Vec::new();
        for (name, topic) in self.context.topics().filter(|(_, t)| !t.queued_for_deletion) {
            let led = topic.partitions.iter().filter(|(_, p)| p.leader_and_isr.is_some());
            partitions.extend(led.map(|(n, _)| TopicPartition { topic: name.clone(), partition: *n }));
        }
        partitions
    }

    fn replicas_on(&self, brokers: &[BrokerId]) -> Vec<(TopicPartition, BrokerId)> {
        brokers
            .iter()
            .flat_map(|id| self.context.partitions_on(*id).map(move |tp| (tp.clone(), *id)))
            .collect()
    }

    fn brokers_failed(&mut self, brokers: Vec<BrokerId>) {
        if brokers.is_empty() {
            return;
        }
        controller_log!(info, self, "Broker failure callback for {}", Listed(&brokers));
        for id in &brokers {
            if self.context.is_shutting_down(*id) {
                controller_log!(info, self, "Removed {id} from list of shutting down brokers.");
            }
            self.context.clear_offline_dirs(*id);
            self.context.remove_broker(*id);
        }
        self.replicas_went_offline(self.replicas_on(&brokers));
    }

    /// New leaders where these replicas led, smaller ISRs where they followed.
    pub(super) fn replicas_went_offline(&mut self, replicas: Vec<(TopicPartition, BrokerId)>) {
        let (deleted, kept): (Vec<_>, Vec<_>) =
            replicas.into_iter().partition(|(tp, _)| self.context.is_queued_for_deletion(&tp.topic));
        let mut leaderless: BTreeSet<_> = kept.iter().map(|(tp, _)| tp.clone()).collect();
        leaderless.extend(self.context.leaderless().cloned());
        leaderless.retain(|tp| {
            !self.context.is_queued_for_deletion(&tp.topic)
                && self
                    .context
                    .leader_and_isr(tp)
                    .is_some_and(|s| !self.context.is_replica_online(tp, s.leader))
        });
        let leaders_lost = !leaderless.is_empty();
        self.move_partitions(leaderless.into_iter().collect(), PartitionState::Offline, None);
        self.plan([
            step(|m| m.trigger_online(None)),
            step(move |m| m.move_replicas(kept, ReplicaState::Offline)),
            step(move |m| m.fail_replica_deletion(deleted)),
            step(move |m| {
                // Elections tell everybody who is alive; without one it is done here.
                if !leaders_lost {
                    let everybody = m.context.broker_ids();
                    m.send_update_metadata(&everybody, &[]);
                }
            }),
        ]);
    }

    fn brokers_updated(&mut self, brokers: Vec<Broker>) {
        if brokers.is_empty() {
            return;
        }
        for broker in brokers {
            controller_log!(info, self, "Broker info update callback for {}", broker.id);
            self.effect(Effect::AddBroker(broker.clone()));
            self.context.put_broker(broker);
        }
        let everybody = self.context.broker_ids();
        self.send_update_metadata(&everybody, &[]);
    }
}

fn ids(brokers: &[Broker]) -> Vec<BrokerId> {
    brokers.iter().map(|b| b.id).collect()
}

/// Controlled shutdown.
impl Machine {
    /// Moves leaderships away from `id` and stops its followers. Partitions with one replica stay until its
    /// session ends. Replies with what the broker still leads.
    pub(super) fn controlled_shutdown(&mut self, id: BrokerId, broker_epoch: i64) {
        let refusal = match self.context.broker(id) {
            // With an epoch, Kafka 2.8.2 stumbles over an unknown broker.
            None if broker_epoch != UNKNOWN_BROKER_EPOCH => Some(ErrorCode::UnknownServerError),
            None => Some(ErrorCode::BrokerNotAvailable),
            Some(b) if broker_epoch != UNKNOWN_BROKER_EPOCH && broker_epoch < b.epoch => {
                Some(ErrorCode::StaleBrokerEpoch)
            }
            Some(_) => None,
        };
        if let Some(code) = refusal {
            controller_log!(
                info,
                self,
                "Refused controlled shutdown of broker {id} epoch {broker_epoch}: {code}"
            );
            return self.reply(Reply::ControlledShutdown(Err(code)));
        }
        controller_log!(info, self, "Shutting down broker {id}");
        self.context.mark_shutting_down(id);
        let movable: Vec<_> =
            self.context.partitions_on(id).filter(|tp| self.is_movable(tp)).cloned().collect();
        let (led, followed): (Vec<_>, Vec<_>) = movable
            .into_iter()
            .partition(|tp| self.context.leader_and_isr(tp).is_some_and(|s| s.leader == id));
        self.plan([
            step(|m| m.move_partitions(led, PartitionState::Online, Some(Election::ControlledShutdown))),
            step(move |m| {
                for tp in &followed {
                    m.batch.add_stop_replica(id, tp, false);
                }
                m.flush_batch();
                let replicas = followed.into_iter().map(|tp| (tp, id)).collect();
                m.move_replicas(replicas, ReplicaState::Offline);
            }),
            step(move |m| {
                let remaining = m.context.partitions_on(id).filter(|tp| m.is_movable(tp));
                let led = |tp: &&TopicPartition| m.context.leader_and_isr(tp).is_some_and(|s| s.leader == id);
                let remaining = remaining.filter(led).cloned().collect();
                m.reply(Reply::ControlledShutdown(Ok(remaining)));
            }),
        ]);
    }

    fn is_movable(&self, tp: &TopicPartition) -> bool {
        !self.context.is_queued_for_deletion(&tp.topic)
            && self
                .context
                .partition(tp)
                .is_some_and(|p| p.assignment.replicas.len() > 1 && p.leader_and_isr.is_some())
    }
}
