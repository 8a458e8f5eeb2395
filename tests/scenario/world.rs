//! A ZooKeeper of typed nodes, and brokers that obey a controller: the surroundings of machines in tests.

use ottla::common::{BrokerId, TopicPartition};
use ottla::controller::context::{Broker, BrokerIds, Endpoint, LeaderAndIsr, ReplicaAssignment};
use ottla::controller::effect::{ZkRead, ZkRequest, ZkWrite};
use ottla::controller::event::{FeatureNode, TopicNode, Watch, WriteOutcome, ZkReply, ZkValue};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// Names a topic; the text is copied.
pub fn name(text: &str) -> bytestring::ByteString {
    bytestring::ByteString::from(text.to_string())
}

/// Names a partition written `topic-0`.
pub fn partition(text: &str) -> TopicPartition {
    let (topic, number) = text.rsplit_once('-').expect("topic-number");
    TopicPartition { topic: name(topic), partition: number.parse().expect("number") }
}

/// The znodes. Versions are kept where something depends on them.
#[derive(Default)]
pub struct World {
    pub zxid: i64,
    pub controller: Option<BrokerId>,
    /// `/controller_epoch`: value and version.
    pub controller_epoch: Option<(i32, i32)>,
    pub feature: Option<FeatureNode>,
    pub brokers: BTreeMap<BrokerId, Broker>,
    pub topics: BTreeMap<String, (TopicNode, i32)>,
    pub partition_roots: BTreeSet<String>,
    pub partitions: BTreeSet<TopicPartition>,
    pub states: BTreeMap<TopicPartition, LeaderAndIsr>,
    /// When each state was written last.
    written: BTreeMap<TopicPartition, i64>,
    /// `/config/topics`, with the topic's own `unclean.leader.election.enable`.
    pub topic_configs: BTreeMap<String, Option<bool>>,
    pub deletions: BTreeSet<String>,
    pub isr_changes: BTreeMap<String, Vec<TopicPartition>>,
    /// What leaders wrote to states and have yet to notify the controller of; a process that dies never does.
    pub untold_isr_changes: BTreeMap<BrokerId, BTreeSet<TopicPartition>>,
    pub log_dir_events: BTreeMap<String, BrokerId>,
    pub preferred_election: Option<Vec<TopicPartition>>,
    /// `/admin/reassign_partitions`
    pub reassignments: Option<Vec<(TopicPartition, Vec<BrokerId>)>>,
    /// Armed watches by machine.
    armed: BTreeSet<(BrokerId, Watch)>,
    /// Fired watches, in order, not yet taken.
    pub fired: Vec<(BrokerId, Watch)>,
    /// Writes that took effect, as lines of the captures, and those that failed as `error …`.
    pub log: Vec<String>,
}

/// Nodes.
impl World {
    fn fire(&mut self, watch: Watch) {
        let hit: Vec<_> = self.armed.iter().filter(|(_, w)| *w == watch).cloned().collect();
        for entry in hit {
            self.armed.remove(&entry);
            self.fired.push(entry);
        }
    }

    /// Forgets the watches of a machine whose session ended.
    pub fn disarm(&mut self, machine: BrokerId) {
        self.armed.retain(|(id, _)| *id != machine);
        self.fired.retain(|(id, _)| *id != machine);
    }

    /// Registers a broker (again).
    pub fn register(&mut self, id: BrokerId) {
        self.zxid += 1;
        let endpoint = Endpoint {
            listener: name("PLAINTEXT"),
            security_protocol: 0,
            host: name(&format!("h{id}")),
            port: 9090 + id,
        };
        let broker = Broker { id, epoch: self.zxid, endpoints: vec![endpoint], rack: None };
        self.brokers.insert(id, broker);
        self.fire(Watch::Brokers);
    }

    /// The session of a broker ends: its registration and its office go.
    pub fn end_session(&mut self, id: BrokerId) {
        if self.brokers.remove(&id).is_some() {
            self.fire(Watch::Brokers);
        }
        if self.controller == Some(id) {
            self.controller = None;
            self.fire(Watch::Controller);
        }
    }

    /// A tool creates a topic.
    pub fn create_topic(&mut self, topic: &str, node: TopicNode) {
        self.topic_configs.entry(topic.to_string()).or_default();
        self.topics.insert(topic.to_string(), (node, 0));
        self.fire(Watch::Topics);
    }

    /// A tool adds partitions.
    pub fn add_partitions(&mut self, topic: &str, added: BTreeMap<i32, ReplicaAssignment>) {
        if let Some((node, version)) = self.topics.get_mut(topic) {
            node.partitions.extend(added);
            *version += 1;
        }
        self.fire(Watch::Topic(name(topic)));
    }

    /// A tool asks for a topic to be deleted.
    pub fn delete_topic(&mut self, topic: &str) {
        self.deletions.insert(topic.to_string());
        self.fire(Watch::TopicDeletions);
    }

    /// A tool asks for preferred leaders.
    pub fn prefer(&mut self, partitions: Vec<TopicPartition>) {
        self.preferred_election = Some(partitions);
        self.fire(Watch::PreferredElection);
    }

    /// A tool asks for replicas to be moved.
    pub fn reassign(&mut self, wanted: Vec<(TopicPartition, Vec<BrokerId>)>) {
        self.reassignments = Some(wanted);
        self.fire(Watch::Reassignments);
    }

    /// A leader changes its ISR in ZooKeeper itself, and says so now or later.
    pub fn change_isr(&mut self, tp: &TopicPartition, isr: BrokerIds, notify: bool) {
        let Some(state) = self.states.get_mut(tp) else { return };
        state.isr = isr;
        state.zk_version += 1;
        let leader = state.leader;
        self.written.insert(tp.clone(), self.zxid);
        self.fire(Watch::PartitionState(tp.clone()));
        self.untold_isr_changes.entry(leader).or_default().insert(tp.clone());
        if notify {
            self.tell_isr_changes(leader);
        }
    }

    /// A leader notifies the controller of what it changed.
    pub fn tell_isr_changes(&mut self, leader: BrokerId) {
        let Some(changed) = self.untold_isr_changes.remove(&leader) else { return };
        self.zxid += 1;
        let node = format!("isr_change_{:010}", self.zxid);
        self.isr_changes.insert(node, changed.into_iter().collect());
        self.fire(Watch::IsrChanges);
    }

    /// A broker lost a log directory.
    pub fn lose_log_dir(&mut self, id: BrokerId) {
        self.zxid += 1;
        self.log_dir_events.insert(format!("log_dir_event_{:010}", self.zxid), id);
        self.fire(Watch::LogDirEvents);
    }
}

/// Requests of machines.
impl World {
    /// Answers a request of the machine `id`.
    pub fn perform(&mut self, id: BrokerId, request: ZkRequest) -> ZkReply {
        match request {
            ZkRequest::Read(reads) => ZkReply::Read(reads.into_iter().map(|r| self.read(id, r)).collect()),
            ZkRequest::Write { epoch_zk_version, writes } => {
                if self.controller_epoch.map(|(_, version)| version) != Some(epoch_zk_version) {
                    self.log.push(format!("error -103 fence v{epoch_zk_version}"));
                    return ZkReply::Moved;
                }
                ZkReply::Written(writes.into_iter().map(|w| self.write(w)).collect())
            }
            ZkRequest::Elect => self.elect(id),
            ZkRequest::WriteFeature { create, node } => {
                // Not fenced: an earlier controller may have been here in between.
                let create = create && self.feature.is_none();
                self.feature = Some(node);
                let op = if create { "create P" } else { "set" };
                let status = i32::from(node.enabled);
                self.log
                    .push(format!("{op} /feature {{\"features\":{{}},\"version\":1,\"status\":{status}}}"));
                ZkReply::Written(vec![WriteOutcome::Done(0)])
            }
        }
    }

    fn elect(&mut self, id: BrokerId) -> ZkReply {
        if self.controller.is_some() {
            self.log.push("error -110".to_string());
            return ZkReply::NotElected;
        }
        if self.controller_epoch.is_none() {
            self.log.push("create P /controller_epoch 0".to_string());
        }
        let (epoch, version) = self.controller_epoch.unwrap_or((0, 0));
        self.controller = Some(id);
        self.controller_epoch = Some((epoch + 1, version + 1));
        self.log.push(format!("create E /controller {id}"));
        self.log.push(format!("set /controller_epoch v{} {}", version + 1, epoch + 1));
        self.fire(Watch::Controller);
        ZkReply::Elected { epoch: epoch + 1, epoch_zk_version: version + 1 }
    }

    fn read(&mut self, id: BrokerId, read: ZkRead) -> ZkValue {
        let watch = match &read {
            ZkRead::Controller => Some(Watch::Controller),
            ZkRead::Brokers => Some(Watch::Brokers),
            ZkRead::Topics => Some(Watch::Topics),
            ZkRead::Topic(topic) => Some(Watch::Topic(topic.clone())),
            ZkRead::TopicDeletions => Some(Watch::TopicDeletions),
            ZkRead::IsrChanges => Some(Watch::IsrChanges),
            ZkRead::LogDirEvents => Some(Watch::LogDirEvents),
            ZkRead::PreferredElection => Some(Watch::PreferredElection),
            ZkRead::Reassignments => Some(Watch::Reassignments),
            ZkRead::WatchedPartitionState(tp) => Some(Watch::PartitionState(tp.clone())),
            ZkRead::Feature
            | ZkRead::PartitionState(_)
            | ZkRead::DatedPartitionState(_)
            | ZkRead::UncleanElection(_) => None,
        };
        self.armed.extend(watch.map(|w| (id, w)));
        let names = |set: &mut dyn Iterator<Item = &String>| set.map(|t| name(t)).collect();
        match read {
            ZkRead::Controller => ZkValue::Controller { holder: self.controller, is_of_session: false },
            ZkRead::Feature => ZkValue::Feature(self.feature),
            ZkRead::Brokers => ZkValue::Brokers(self.brokers.values().cloned().collect()),
            ZkRead::Topics => ZkValue::Topics(names(&mut self.topics.keys())),
            ZkRead::Topic(t) => ZkValue::Topic(self.topics.get(&*t).map(|(node, _)| node.clone())),
            ZkRead::Reassignments => ZkValue::Reassignments(self.reassignments.clone()),
            ZkRead::WatchedPartitionState(tp) | ZkRead::PartitionState(tp) => {
                ZkValue::PartitionState(self.states.get(&tp).cloned())
            }
            ZkRead::DatedPartitionState(tp) => {
                let written = self.written.get(&tp).copied().unwrap_or(self.zxid);
                ZkValue::DatedPartitionState(self.states.get(&tp).cloned().map(|state| (state, written)))
            }
            ZkRead::UncleanElection(t) => {
                ZkValue::UncleanElection(self.topic_configs.get(&*t).copied().flatten())
            }
            ZkRead::TopicDeletions => ZkValue::Topics(names(&mut self.deletions.iter())),
            ZkRead::IsrChanges => {
                ZkValue::IsrChanges(self.isr_changes.iter().map(|(n, p)| (name(n), p.clone())).collect())
            }
            ZkRead::LogDirEvents => {
                ZkValue::LogDirEvents(self.log_dir_events.iter().map(|(n, b)| (name(n), Some(*b))).collect())
            }
            ZkRead::PreferredElection => ZkValue::PreferredElection(self.preferred_election.clone()),
        }
    }

    fn write(&mut self, write: ZkWrite) -> WriteOutcome {
        let outcome = match write.clone() {
            ZkWrite::SetTopic { topic, node } => match self.topics.get_mut(&*topic) {
                Some((content, version)) => {
                    *content = node;
                    *version += 1;
                    let version = *version;
                    self.fire(Watch::Topic(topic));
                    WriteOutcome::Done(version)
                }
                None => WriteOutcome::Absent,
            },
            ZkWrite::CreatePartitions(t) => match self.topics.contains_key(&*t) {
                true => created(self.partition_roots.insert(t.to_string())),
                false => WriteOutcome::Absent,
            },
            ZkWrite::CreatePartition(tp) => match self.partition_roots.contains(&*tp.topic) {
                true => created(self.partitions.insert(tp)),
                false => WriteOutcome::Absent,
            },
            ZkWrite::CreateState(tp, state) => {
                if !self.partitions.contains(&tp) {
                    WriteOutcome::Absent
                } else if let Entry::Vacant(free) = self.states.entry(tp.clone()) {
                    self.written.insert(tp, self.zxid);
                    free.insert(LeaderAndIsr { zk_version: 0, ..state });
                    WriteOutcome::Done(0)
                } else {
                    WriteOutcome::Exists
                }
            }
            ZkWrite::SetState(tp, state) => match self.states.get_mut(&tp) {
                Some(known) if known.zk_version == state.zk_version => {
                    let zk_version = state.zk_version + 1;
                    *known = LeaderAndIsr { zk_version, ..state };
                    self.written.insert(tp.clone(), self.zxid);
                    self.fire(Watch::PartitionState(tp));
                    WriteOutcome::Done(zk_version)
                }
                Some(_) => WriteOutcome::BadVersion,
                None => WriteOutcome::Absent,
            },
            ZkWrite::DeleteTopic(t) => return self.delete_tree(&t),
            other => self.write_elsewhere(other),
        };
        self.log.push(super::render::write(&write, outcome));
        outcome
    }

    /// Nodes that are neither topics nor states.
    fn write_elsewhere(&mut self, write: ZkWrite) -> WriteOutcome {
        match write {
            ZkWrite::DeleteTopicConfig(t) => deleted(self.topic_configs.remove(&*t).is_some()),
            ZkWrite::DeleteTopicDeletion(t) => {
                let was_there = self.deletions.remove(&*t);
                self.fire(Watch::TopicDeletions);
                deleted(was_there)
            }
            ZkWrite::DeleteIsrChange(n) => {
                let was_there = self.isr_changes.remove(&*n).is_some();
                self.fire(Watch::IsrChanges);
                deleted(was_there)
            }
            ZkWrite::DeleteLogDirEvent(n) => {
                let was_there = self.log_dir_events.remove(&*n).is_some();
                self.fire(Watch::LogDirEvents);
                deleted(was_there)
            }
            ZkWrite::DeletePreferredElection => {
                let was_there = self.preferred_election.take().is_some();
                self.fire(Watch::PreferredElection);
                deleted(was_there)
            }
            ZkWrite::SetReassignments(rest) => match self.reassignments.is_some() {
                true => {
                    self.reassignments = Some(rest);
                    self.fire(Watch::Reassignments);
                    WriteOutcome::Done(0)
                }
                false => WriteOutcome::Absent,
            },
            ZkWrite::DeleteReassignments => {
                let was_there = self.reassignments.take().is_some();
                self.fire(Watch::Reassignments);
                deleted(was_there)
            }
            ZkWrite::DeleteController => {
                let was_there = self.controller.take().is_some();
                self.fire(Watch::Controller);
                deleted(was_there)
            }
            other => unreachable!("{other:?} is of a topic"),
        }
    }

    fn delete_tree(&mut self, topic: &str) -> WriteOutcome {
        let root = format!("/brokers/topics/{topic}");
        if self.topics.remove(topic).is_none() {
            self.log.push("error -101".to_string());
            return WriteOutcome::Absent;
        }
        let partitions: Vec<_> = self.partitions.iter().filter(|tp| tp.topic == topic).cloned().collect();
        for tp in partitions {
            self.partitions.remove(&tp);
            if self.states.remove(&tp).is_some() {
                self.log.push(format!("delete {root}/partitions/{}/state", tp.partition));
            }
            self.log.push(format!("delete {root}/partitions/{}", tp.partition));
        }
        if self.partition_roots.remove(topic) {
            self.log.push(format!("delete {root}/partitions"));
        }
        self.log.push(format!("delete {root}"));
        self.fire(Watch::Topic(name(topic)));
        self.fire(Watch::Topics);
        WriteOutcome::Done(0)
    }
}

fn created(new: bool) -> WriteOutcome {
    if new { WriteOutcome::Done(0) } else { WriteOutcome::Exists }
}

fn deleted(was_there: bool) -> WriteOutcome {
    if was_there { WriteOutcome::Done(0) } else { WriteOutcome::Absent }
}
