//! What the controller knows of the cluster: brokers, topics, partitions, replicas.
//!
//! Everything about one partition stands in one place ([`Partition`]), and four indexes keep every
//! question linear in what it touches: partitions by broker, partitions that wait for a leader, those whose
//! replicas are being moved, and topics queued for deletion. All maps are ordered, so a run of the machine repeats exactly.
//!
//! Invariants (checked by [`Context::assert_consistent`], which the tests call after every step):
//! - `by_broker[b]` holds exactly the partitions whose assignment names `b`;
//! - `leaderless` holds exactly the partitions in state New or Offline;
//! - `reassigning` holds exactly the partitions whose assignment has adding or removing replicas;
//! - a partition in state Online has a leader-and-ISR record;
//! - topics with deletion started, and topics that may not be deleted now, are queued for deletion.
//!
//! Source: `core/src/main/scala/kafka/controller/ControllerContext.scala`.

use super::states::{PartitionState, ReplicaState};
use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch, TopicPartition, Uuid};
use bytestring::ByteString;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};

/// A short list of broker ids.
pub type BrokerIds = SmallVec<[BrokerId; 4]>;

/// Where the replicas of a partition are and where a reassignment is taking them (KIP-455).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReplicaAssignment {
    /// All replicas, the preferred leader first.
    pub replicas: BrokerIds,
    /// Those of them that a reassignment adds.
    pub adding: BrokerIds,
    /// Those of them that a reassignment removes.
    pub removing: BrokerIds,
}

impl ReplicaAssignment {
    /// An assignment that nothing is changing.
    pub fn new(replicas: impl IntoIterator<Item = BrokerId>) -> Self {
        ReplicaAssignment { replicas: replicas.into_iter().collect(), ..Default::default() }
    }

    /// True while a reassignment runs.
    pub fn is_being_reassigned(&self) -> bool {
        !self.adding.is_empty() || !self.removing.is_empty()
    }

    /// The replicas when the reassignment is done.
    pub fn target(&self) -> BrokerIds {
        self.replicas.iter().copied().filter(|r| !self.removing.contains(r)).collect()
    }

    /// The replicas before the reassignment.
    pub fn origin(&self) -> BrokerIds {
        self.replicas.iter().copied().filter(|r| !self.adding.contains(r)).collect()
    }

    /// The assignment while the replicas move from the origin to `target`, which stands first.
    pub fn reassigned_to(&self, target: &[BrokerId]) -> Self {
        let origin = self.origin();
        let mut replicas = BrokerIds::new();
        for id in target.iter().chain(&origin) {
            if !replicas.contains(id) {
                replicas.push(*id);
            }
        }
        ReplicaAssignment {
            adding: replicas.iter().copied().filter(|id| !origin.contains(id)).collect(),
            removing: replicas.iter().copied().filter(|id| !target.contains(id)).collect(),
            replicas,
        }
    }

    fn without(&self, broker: BrokerId) -> Self {
        let rest = |ids: &BrokerIds| ids.iter().copied().filter(|r| *r != broker).collect();
        ReplicaAssignment {
            replicas: rest(&self.replicas),
            adding: rest(&self.adding),
            removing: rest(&self.removing),
        }
    }
}

/// Content and version of a partition's `state` znode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderAndIsr {
    /// The leading broker, -1: none.
    pub leader: BrokerId,
    /// Grows with every change that the controller makes.
    pub leader_epoch: LeaderEpoch,
    /// The in-sync replicas.
    pub isr: BrokerIds,
    /// Epoch of the controller that wrote it, or under which the leader wrote it.
    pub controller_epoch: ControllerEpoch,
    /// Version of the znode, the guard of the next write.
    pub zk_version: i32,
}

impl LeaderAndIsr {
    /// The successor with another leader and ISR: one leader epoch further.
    pub fn succeed(&self, leader: BrokerId, isr: BrokerIds, controller_epoch: ControllerEpoch) -> Self {
        LeaderAndIsr {
            leader,
            leader_epoch: self.leader_epoch + 1,
            isr,
            controller_epoch,
            zk_version: self.zk_version,
        }
    }
}

/// One address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Listener name, such as `PLAINTEXT`.
    pub listener: ByteString,
    /// Kafka's number of the security protocol: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
    /// Advertised host.
    pub host: ByteString,
    /// Advertised port.
    pub port: i32,
}

/// A registered broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// `broker.id`.
    pub id: BrokerId,
    /// Creation zxid of its registration: grows with every start.
    pub epoch: i64,
    /// Advertised addresses, in the order of the registration.
    pub endpoints: Vec<Endpoint>,
    /// `broker.rack`.
    pub rack: Option<ByteString>,
}

impl Broker {
    /// The address under `listener`.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| &*e.listener == listener)
    }
}

/// All about one partition.
#[derive(Clone, Debug)]
pub struct Partition {
    /// Its replicas.
    pub assignment: ReplicaAssignment,
    /// Where it stands in the partition state machine.
    pub state: PartitionState,
    /// Leader and ISR; absent until the state znode exists.
    pub leader_and_isr: Option<LeaderAndIsr>,
    /// Number of the event in which `leader_and_isr` was last read from or written to ZooKeeper.
    pub confirmed_in: u64,
    /// Where each replica stands; absent: NonExistent.
    pub replica_states: SmallVec<[(BrokerId, ReplicaState); 4]>,
    /// Replicas whose log directory is offline.
    pub offline_dirs: SmallVec<[BrokerId; 1]>,
}

/// A topic.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// Its id, if it has one.
    pub id: Option<Uuid>,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, Partition>,
    /// The topic waits to be deleted.
    pub queued_for_deletion: bool,
    /// Its partitions went to NonExistent already.
    pub deletion_started: bool,
    /// Something stands in the way: a dead replica, a failed delete, a reassignment.
    pub deletion_ineligible: bool,
}

/// The whole.
#[derive(Default, Debug)]
pub struct Context {
    brokers: BTreeMap<BrokerId, Broker>,
    shutting_down: BTreeSet<BrokerId>,
    topics: BTreeMap<ByteString, Topic>,
    by_broker: BTreeMap<BrokerId, BTreeSet<TopicPartition>>,
    leaderless: BTreeSet<TopicPartition>,
    reassigning: BTreeSet<TopicPartition>,
    to_delete: BTreeSet<ByteString>,
}

/// Brokers.
impl Context {
    /// Adds or replaces a registered broker.
    pub fn put_broker(&mut self, broker: Broker) {
        self.brokers.insert(broker.id, broker);
    }

    /// Forgets a broker, also that it was shutting down.
    pub fn remove_broker(&mut self, id: BrokerId) {
        self.brokers.remove(&id);
        self.shutting_down.remove(&id);
    }

    /// A registered broker.
    pub fn broker(&self, id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&id)
    }

    /// Registered brokers, those that are shutting down included, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values()
    }

    /// Ids of [`Context::brokers`].
    pub fn broker_ids(&self) -> Vec<BrokerId> {
        self.brokers.keys().copied().collect()
    }

    /// Notes that a broker asked to shut down: it leads nothing any more.
    pub fn mark_shutting_down(&mut self, id: BrokerId) {
        assert!(self.brokers.contains_key(&id), "broker {id} is not registered");
        self.shutting_down.insert(id);
    }

    /// True if the broker asked to shut down and is still registered.
    pub fn is_shutting_down(&self, id: BrokerId) -> bool {
        self.shutting_down.contains(&id)
    }

    /// True if the broker is registered and not shutting down.
    pub fn is_live(&self, id: BrokerId) -> bool {
        self.brokers.contains_key(&id) && !self.shutting_down.contains(&id)
    }

    /// Partitions with a replica on `broker`.
    pub fn partitions_on(&self, broker: BrokerId) -> impl Iterator<Item = &TopicPartition> {
        self.by_broker.get(&broker).into_iter().flatten()
    }

    /// Forgets which log directories of `broker` were offline.
    pub fn clear_offline_dirs(&mut self, broker: BrokerId) {
        let Some(on_broker) = self.by_broker.get(&broker) else { return };
        for tp in on_broker {
            if let Some(partition) =
                self.topics.get_mut(&tp.topic).and_then(|t| t.partitions.get_mut(&tp.partition))
            {
                partition.offline_dirs.retain(|b| *b != broker);
            }
        }
    }
}

/// Topics and partitions.
impl Context {
    /// A topic.
    pub fn topic(&self, name: &str) -> Option<&Topic> {
        self.topics.get(name)
    }

    /// Topics by name.
    pub fn topics(&self) -> impl Iterator<Item = (&ByteString, &Topic)> {
        self.topics.iter()
    }

    /// Adds a topic without partitions, or sets the id of a known one.
    pub fn put_topic(&mut self, name: &ByteString, id: Option<Uuid>) {
        let topic = self.topics.entry(name.clone()).or_default();
        if id.is_some() {
            topic.id = id;
        }
    }

    /// Forgets a topic and all its partitions.
    pub fn remove_topic(&mut self, name: &str) {
        let Some((name, topic)) = self.topics.remove_entry(name) else { return };
        for (number, partition) in topic.partitions {
            let tp = TopicPartition { topic: name.clone(), partition: number };
            for broker in &partition.assignment.replicas {
                self.unindex(*broker, &tp);
            }
            self.leaderless.remove(&tp);
            self.reassigning.remove(&tp);
        }
        self.to_delete.remove(&name);
    }

    /// A partition.
    pub fn partition(&self, tp: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&tp.topic)?.partitions.get(&tp.partition)
    }

    fn partition_mut(&mut self, tp: &TopicPartition) -> Option<&mut Partition> {
        self.topics.get_mut(&tp.topic)?.partitions.get_mut(&tp.partition)
    }

    /// Names of all partitions.
    pub fn all_partitions(&self) -> Vec<TopicPartition> {
        self.topics.keys().flat_map(|name| self.partitions_of(name)).collect()
    }

    /// Names of a topic's partitions.
    pub fn partitions_of(&self, name: &str) -> Vec<TopicPartition> {
        let Some((name, topic)) = self.topics.get_key_value(name) else { return Vec::new() };
        topic.partitions.keys().map(|p| TopicPartition { topic: name.clone(), partition: *p }).collect()
    }

    /// Names of a topic's replicas.
    pub fn replicas_of(&self, name: &str) -> Vec<(TopicPartition, BrokerId)> {
        self.replicas_of_partitions(&self.partitions_of(name))
    }

    /// All replicas of the partitions.
    pub fn replicas_of_partitions(&self, partitions: &[TopicPartition]) -> Vec<(TopicPartition, BrokerId)> {
        let mut replicas = Vec::with_capacity(partitions.len() * 3);
        for tp in partitions {
            for broker in self.partition(tp).iter().flat_map(|p| p.assignment.replicas.iter()) {
                replicas.push((tp.clone(), *broker));
            }
        }
        replicas
    }

    /// Adds a partition in state NonExistent, or changes the replicas of a known one.
    pub fn put_assignment(&mut self, tp: &TopicPartition, assignment: ReplicaAssignment) {
        if assignment.is_being_reassigned() {
            self.reassigning.insert(tp.clone());
        } else {
            self.reassigning.remove(tp);
        }
        let topic = self.topics.entry(tp.topic.clone()).or_default();
        let added = assignment.replicas.clone();
        let removed = match topic.partitions.get_mut(&tp.partition) {
            Some(partition) => std::mem::replace(&mut partition.assignment, assignment).replicas,
            None => {
                let partition = Partition {
                    assignment,
                    state: PartitionState::NonExistent,
                    leader_and_isr: None,
                    confirmed_in: 0,
                    replica_states: SmallVec::new(),
                    offline_dirs: SmallVec::new(),
                };
                topic.partitions.insert(tp.partition, partition);
                BrokerIds::new()
            }
        };
        for broker in removed.iter().filter(|b| !added.contains(b)) {
            self.unindex(*broker, tp);
        }
        for broker in added {
            self.by_broker.entry(broker).or_default().insert(tp.clone());
        }
    }

    fn unindex(&mut self, broker: BrokerId, tp: &TopicPartition) {
        if let Some(on_broker) = self.by_broker.get_mut(&broker) {
            on_broker.remove(tp);
            if on_broker.is_empty() {
                self.by_broker.remove(&broker);
            }
        }
    }

    /// Takes a replica out of the assignment and forgets its state.
    pub fn forget_replica(&mut self, tp: &TopicPartition, broker: BrokerId) {
        let Some(partition) = self.partition_mut(tp) else { return };
        partition.replica_states.retain(|(b, _)| *b != broker);
        let rest = partition.assignment.without(broker);
        self.put_assignment(tp, rest);
    }

    /// Leader and ISR of a partition, if known.
    pub fn leader_and_isr(&self, tp: &TopicPartition) -> Option<&LeaderAndIsr> {
        self.partition(tp)?.leader_and_isr.as_ref()
    }

    /// Records what ZooKeeper holds for a partition, as learned in event `event`.
    pub fn put_leader_and_isr(&mut self, tp: &TopicPartition, state: LeaderAndIsr, event: u64) {
        if let Some(partition) = self.partition_mut(tp) {
            partition.leader_and_isr = Some(state);
            partition.confirmed_in = event;
        }
    }

    /// Where the partition stands.
    pub fn partition_state(&self, tp: &TopicPartition) -> PartitionState {
        self.partition(tp).map_or(PartitionState::NonExistent, |p| p.state)
    }

    /// Moves the partition; the caller checked that the move is legal.
    pub fn set_partition_state(&mut self, tp: &TopicPartition, state: PartitionState) {
        let Some(partition) = self.partition_mut(tp) else { return };
        assert!(
            state != PartitionState::Online || partition.leader_and_isr.is_some(),
            "{tp} online without a leader-and-ISR record"
        );
        partition.state = state;
        if matches!(state, PartitionState::New | PartitionState::Offline) {
            self.leaderless.insert(tp.clone());
        } else {
            self.leaderless.remove(tp);
        }
    }

    /// Partitions in state New or Offline.
    pub fn leaderless(&self) -> impl Iterator<Item = &TopicPartition> {
        self.leaderless.iter()
    }

    /// Partitions whose replicas are being moved.
    pub fn reassigning(&self) -> impl Iterator<Item = &TopicPartition> {
        self.reassigning.iter()
    }

    /// True while the partition's replicas are being moved.
    pub fn is_reassigning(&self, tp: &TopicPartition) -> bool {
        self.reassigning.contains(tp)
    }

    /// Where the replica stands.
    pub fn replica_state(&self, tp: &TopicPartition, broker: BrokerId) -> ReplicaState {
        let states = self.partition(tp).map(|p| p.replica_states.as_slice()).unwrap_or_default();
        states.iter().find(|(b, _)| *b == broker).map_or(ReplicaState::NonExistent, |(_, state)| *state)
    }

    /// Moves the replica; the caller checked that the move is legal.
    pub fn set_replica_state(&mut self, tp: &TopicPartition, broker: BrokerId, state: ReplicaState) {
        let Some(partition) = self.partition_mut(tp) else { return };
        match partition.replica_states.iter_mut().find(|(b, _)| *b == broker) {
            Some(entry) => entry.1 = state,
            None => partition.replica_states.push((broker, state)),
        }
    }

    /// Notes whether the log directory of a replica is offline. False if that was known.
    pub fn set_dir_offline(&mut self, tp: &TopicPartition, broker: BrokerId, offline: bool) -> bool {
        let Some(partition) = self.partition_mut(tp) else { return false };
        let known = partition.offline_dirs.contains(&broker);
        match (offline, known) {
            (true, false) => partition.offline_dirs.push(broker),
            (false, true) => partition.offline_dirs.retain(|b| *b != broker),
            _ => return false,
        }
        true
    }

    /// True if the broker is live and the replica's log directory works.
    pub fn is_replica_online(&self, tp: &TopicPartition, broker: BrokerId) -> bool {
        self.is_live(broker) && !self.is_dir_offline(tp, broker)
    }

    /// As [`Context::is_replica_online`], brokers that are shutting down included.
    pub fn is_replica_reachable(&self, tp: &TopicPartition, broker: BrokerId) -> bool {
        self.brokers.contains_key(&broker) && !self.is_dir_offline(tp, broker)
    }

    fn is_dir_offline(&self, tp: &TopicPartition, broker: BrokerId) -> bool {
        self.partition(tp).is_some_and(|p| p.offline_dirs.contains(&broker))
    }
}

/// Deletion.
impl Context {
    /// Queues a known topic for deletion.
    pub fn queue_deletion(&mut self, name: &ByteString) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.queued_for_deletion = true;
            self.to_delete.insert(name.clone());
        }
    }

    /// Topics queued for deletion.
    pub fn topics_to_delete(&self) -> impl Iterator<Item = &ByteString> {
        self.to_delete.iter()
    }

    /// True if the topic is queued for deletion.
    pub fn is_queued_for_deletion(&self, name: &str) -> bool {
        !self.to_delete.is_empty() && self.to_delete.contains(name)
    }

    /// Notes that the topic's partitions are gone for its clients.
    pub fn begin_deletion(&mut self, name: &str) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.deletion_started = topic.queued_for_deletion;
        }
    }

    /// Holds the deletion of a queued topic back, or lets it go on.
    pub fn set_deletion_ineligible(&mut self, name: &str, ineligible: bool) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.deletion_ineligible = ineligible && topic.queued_for_deletion;
        }
    }

    /// Panics if an index and the partitions disagree. For tests: it walks everything.
    pub fn assert_consistent(&self) {
        let mut replicas = 0;
        let mut leaderless = 0;
        let mut reassigning = 0;
        for (name, topic) in &self.topics {
            assert_eq!(topic.queued_for_deletion, self.to_delete.contains(name), "{name}");
            assert!(topic.queued_for_deletion || !topic.deletion_started, "{name}");
            assert!(topic.queued_for_deletion || !topic.deletion_ineligible, "{name}");
            for (number, partition) in &topic.partitions {
                let tp = TopicPartition { topic: name.clone(), partition: *number };
                let unique: BTreeSet<_> = partition.assignment.replicas.iter().collect();
                replicas += unique.len();
                for broker in unique {
                    assert!(self.by_broker.get(broker).is_some_and(|s| s.contains(&tp)), "{tp} on {broker}");
                }
                let waits = matches!(partition.state, PartitionState::New | PartitionState::Offline);
                assert_eq!(waits, self.leaderless.contains(&tp), "{tp}");
                let moves = partition.assignment.is_being_reassigned();
                assert_eq!(moves, self.reassigning.contains(&tp), "{tp}");
                reassigning += usize::from(moves);
                leaderless += usize::from(waits);
                assert!(partition.state != PartitionState::Online || partition.leader_and_isr.is_some());
            }
        }
        assert_eq!(replicas, self.by_broker.values().map(BTreeSet::len).sum::<usize>());
        assert_eq!(leaderless, self.leaderless.len());
        assert_eq!(reassigning, self.reassigning.len());
        assert!(self.to_delete.iter().all(|name| self.topics.contains_key(name)));
        assert!(self.shutting_down.iter().all(|id| self.brokers.contains_key(id)));
    }
}
