//! Carries the machine's ZooKeeper requests out: typed reads and writes to paths and bytes.
//!
//! Writes go out pipelined, many to a multi, each multi with the check of `/controller_epoch`. A multi fails as a
//! whole; then its writes are repeated one to a multi, so that each has an outcome of its own. Kafka sends every
//! write alone from the start; what is in ZooKeeper afterwards is the same.

use super::config::ControllerConfig;
use super::context::{Broker, BrokerIds, Endpoint, LeaderAndIsr, ReplicaAssignment};
use super::effect::{ZkRead, ZkRequest, ZkWrite};
use super::event::{FeatureNode, TopicNode, Watch, WriteOutcome, ZkReply, ZkValue};
use crate::common::{BrokerId, TopicPartition, clock};
use crate::zk::data::{self, BrokerRegistration, DataError, FeatureZNode, PartitionState, TopicAssignment};
use crate::zk::election::{self, Elected, Election};
use crate::zk::{self, ANY_VERSION, CreateMode, Op, OpResult, ZkClient, ZkError, paths};
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::StreamExt;
use log::{error, warn};
use std::collections::BTreeMap;

/// Logger of what is wrong in znodes.
const LOG: &str = "kafka.controller.KafkaController";
/// Writes per multi. ZooKeeper works a multi off without a break, so it must stay short.
const WRITES_PER_MULTI_MAX: usize = 64;
/// Bytes of paths and data per multi, well below `jute.maxbuffer` (1 MiB).
const BYTES_PER_MULTI_MAX: usize = 256 * 1024;
/// Keys that the controller reads from a topic's configuration.
const UNCLEAN_ELECTION: &str = "unclean.leader.election.enable";

/// A watch that a read armed, and what it means to the machine.
pub struct ArmedWatch {
    /// Fires once.
    pub zk_watch: zk::Watch,
    /// What then changed.
    pub watch: Watch,
}

type Armed = Vec<ArmedWatch>;

/// The session and what is needed to speak to it.
pub struct ZkRequests {
    zk: ZkClient,
    broker_id: BrokerId,
}

impl ZkRequests {
    /// In the session of `zk`.
    pub fn new(zk: ZkClient, config: &ControllerConfig) -> Self {
        ZkRequests { zk, broker_id: config.broker_id }
    }

    /// Does what the machine asks; also gives the watches that reads armed.
    pub async fn perform(&self, request: ZkRequest) -> (ZkReply, Vec<ArmedWatch>) {
        let outcome = match request {
            ZkRequest::Read(reads) => return self.read_all(reads).await,
            ZkRequest::Write { epoch_zk_version, writes } => self.write_all(epoch_zk_version, writes).await,
            ZkRequest::Elect => self.elect().await,
            ZkRequest::WriteFeature { create, node } => self.write_feature(create, node).await,
        };
        (outcome.unwrap_or_else(|error| ZkReply::Failed(error.to_string())), Vec::new())
    }

    async fn elect(&self) -> Result<ZkReply, ZkError> {
        match election::elect(&self.zk, self.broker_id, clock::now_ms()).await {
            Ok(Election::Won(Elected { epoch, epoch_version })) => {
                Ok(ZkReply::Elected { epoch, epoch_zk_version: epoch_version })
            }
            Ok(Election::Lost(_)) => Ok(ZkReply::NotElected),
            Err(error) => Err(ZkError::Unexpected(error.to_string())),
        }
    }

    async fn write_feature(&self, create: bool, node: FeatureNode) -> Result<ZkReply, ZkError> {
        assert!(!node.has_features, "the machine writes empty features only");
        let data = FeatureZNode { enabled: node.enabled, features: Default::default() }.encode();
        if create {
            match self.zk.create(paths::FEATURE, data.clone(), CreateMode::Persistent).await {
                Ok(_) => return Ok(ZkReply::Written(vec![WriteOutcome::Done(0)])),
                // There, but not to be understood.
                Err(error) if error.is_node_exists() => {}
                Err(error) => return Err(error),
            }
        }
        let stat = self.zk.set(paths::FEATURE, data, ANY_VERSION).await?;
        Ok(ZkReply::Written(vec![WriteOutcome::Done(stat.version)]))
    }
}

/// Reads.
impl ZkRequests {
    async fn read_all(&self, reads: Vec<ZkRead>) -> (ZkReply, Armed) {
        let count = reads.len();
        let mut found = futures_util::stream::iter(reads)
            .map(|read| async move {
                let mut armed = Armed::new();
                let value = self.read(read, &mut armed).await;
                (value, armed)
            })
            .buffered(self.zk.reads_in_flight_max());
        let mut values = Vec::with_capacity(count);
        let mut all_armed = Armed::new();
        while let Some((value, armed)) = found.next().await {
            all_armed.extend(armed);
            match value {
                Ok(value) => values.push(value),
                Err(error) => return (ZkReply::Failed(error.to_string()), all_armed),
            }
        }
        (ZkReply::Read(values), all_armed)
    }

    async fn read(&self, read: ZkRead, armed: &mut Armed) -> Result<ZkValue, ZkError> {
        Ok(match read {
            ZkRead::Controller => self.controller(armed).await?,
            ZkRead::Feature => {
                let found = self.data(paths::FEATURE, None).await?;
                let node = decoded(found.map(|(d, _)| FeatureZNode::decode(&d)));
                let has_features = |n: &FeatureZNode| !n.features.is_empty();
                ZkValue::Feature(
                    node.map(|n| FeatureNode { enabled: n.enabled, has_features: has_features(&n) }),
                )
            }
            ZkRead::Brokers => ZkValue::Brokers(self.brokers(armed).await?),
            ZkRead::Topics => ZkValue::Topics(self.names(paths::TOPICS, Watch::Topics, armed).await?),
            ZkRead::Topic(topic) => {
                let watch = Watch::Topic(topic.clone());
                let found = self.data(&paths::topic(&topic), Some((watch, armed))).await?;
                let node = decoded(found.map(|(d, _)| TopicAssignment::decode(&d)));
                ZkValue::Topic(node.map(topic_node))
            }
            ZkRead::PartitionState(tp) => {
                let found = self.data(&paths::partition_state(&tp.topic, tp.partition), None).await?;
                let version = found.as_ref().map_or(0, |(_, version)| *version);
                let state = decoded(found.map(|(d, _)| PartitionState::decode(&d)));
                ZkValue::PartitionState(state.map(|s| leader_and_isr(s, version)))
            }
            ZkRead::DatedPartitionState(tp) => {
                let found = self.zk.get(&paths::partition_state(&tp.topic, tp.partition)).await?;
                let (version, mzxid) = found.as_ref().map_or((0, 0), |(_, stat)| (stat.version, stat.mzxid));
                let state = decoded(found.map(|(d, _)| PartitionState::decode(&d)));
                ZkValue::DatedPartitionState(state.map(|s| (leader_and_isr(s, version), mzxid)))
            }
            ZkRead::WatchedPartitionState(tp) => {
                let watch = Some((Watch::PartitionState(tp.clone()), armed));
                let found = self.data(&paths::partition_state(&tp.topic, tp.partition), watch).await?;
                let version = found.as_ref().map_or(0, |(_, version)| *version);
                let state = decoded(found.map(|(d, _)| PartitionState::decode(&d)));
                ZkValue::PartitionState(state.map(|s| leader_and_isr(s, version)))
            }
            ZkRead::Reassignments => {
                let watch = Some((Watch::Reassignments, armed));
                let found = self.data(paths::REASSIGN_PARTITIONS, watch).await?;
                // A request that cannot be understood is an empty one. The last entry of a partition counts.
                let entries =
                    found.map(|(d, _)| decoded(Some(data::reassign::decode(&d))).unwrap_or_default());
                let unique = entries.map(|all| all.into_iter().collect::<BTreeMap<_, _>>());
                ZkValue::Reassignments(unique.map(|all| all.into_iter().collect()))
            }
            ZkRead::UncleanElection(topic) => {
                let found = self.data(&paths::config_entity("topics", &topic), None).await?;
                let config = decoded(found.map(|(d, _)| data::config_entity::decode(&d)));
                let own = config.and_then(|c| c.get(UNCLEAN_ELECTION).and_then(|v| v.trim().parse().ok()));
                ZkValue::UncleanElection(own)
            }
            ZkRead::TopicDeletions => {
                ZkValue::Topics(self.names(paths::DELETE_TOPICS, Watch::TopicDeletions, armed).await?)
            }
            ZkRead::IsrChanges => ZkValue::IsrChanges(self.isr_changes(armed).await?),
            ZkRead::LogDirEvents => ZkValue::LogDirEvents(self.log_dir_events(armed).await?),
            ZkRead::PreferredElection => {
                let watch = Some((Watch::PreferredElection, armed));
                let found = self.data(paths::PREFERRED_REPLICA_ELECTION, watch).await?;
                // A request that cannot be understood is an empty one: it is removed.
                let partitions = found.map(|(d, _)| decoded(Some(data::preferred_election::decode(&d))));
                ZkValue::PreferredElection(partitions.map(Option::unwrap_or_default))
            }
        })
    }

    async fn controller(&self, armed: &mut Armed) -> Result<ZkValue, ZkError> {
        let (found, zk_watch) = self.zk.get_and_watch(paths::CONTROLLER).await?;
        armed.push(ArmedWatch { zk_watch, watch: Watch::Controller });
        let session_id = self.zk.session_id();
        let is_of_session = found.as_ref().is_some_and(|(_, stat)| stat.ephemeral_owner == session_id);
        let holder = decoded(found.map(|(d, _)| data::controller::decode(&d)));
        Ok(ZkValue::Controller { holder, is_of_session })
    }

    /// A node's data and version.
    async fn data(
        &self,
        path: &str,
        watch: Option<(Watch, &mut Armed)>,
    ) -> Result<Option<(Bytes, i32)>, ZkError> {
        let found = match watch {
            Some((watch, armed)) => {
                let (found, zk_watch) = self.zk.get_and_watch(path).await?;
                armed.push(ArmedWatch { zk_watch, watch });
                found
            }
            None => self.zk.get(path).await?,
        };
        Ok(found.map(|(data, stat)| (data, stat.version)))
    }

    async fn names(&self, path: &str, watch: Watch, armed: &mut Armed) -> Result<Vec<ByteString>, ZkError> {
        let (mut names, zk_watch) = self.zk.children_and_watch(path).await?;
        armed.push(ArmedWatch { zk_watch, watch });
        names.sort();
        Ok(names.into_iter().map(ByteString::from).collect())
    }

    async fn brokers(&self, armed: &mut Armed) -> Result<Vec<Broker>, ZkError> {
        let mut brokers = Vec::new();
        for name in self.names(paths::BROKER_IDS, Watch::Brokers, armed).await? {
            let Ok(id) = name.parse::<BrokerId>() else {
                warn!(target: LOG, "Ignoring {name} among the brokers: not a number");
                continue;
            };
            let (found, zk_watch) = self.zk.get_and_watch(&paths::broker(id)).await?;
            armed.push(ArmedWatch { zk_watch, watch: Watch::Brokers });
            let epoch = found.as_ref().map_or(0, |(_, stat)| stat.czxid);
            let registration = decoded(found.map(|(d, _)| BrokerRegistration::decode(&d)));
            brokers.extend(registration.map(|r| broker(id, epoch, r)));
        }
        brokers.sort_by_key(|b| b.id);
        Ok(brokers)
    }

    async fn isr_changes(
        &self,
        armed: &mut Armed,
    ) -> Result<Vec<(ByteString, Vec<TopicPartition>)>, ZkError> {
        let names = self.names(paths::ISR_CHANGES, Watch::IsrChanges, armed).await?;
        let found = self.children_data(paths::ISR_CHANGES, &names).await?;
        let partitions = found.into_iter().map(|d| decoded(d.map(|d| data::isr_change::decode(&d))));
        Ok(names.into_iter().zip(partitions.map(Option::unwrap_or_default)).collect())
    }

    async fn log_dir_events(
        &self,
        armed: &mut Armed,
    ) -> Result<Vec<(ByteString, Option<BrokerId>)>, ZkError> {
        let names = self.names(paths::LOG_DIR_EVENTS, Watch::LogDirEvents, armed).await?;
        let found = self.children_data(paths::LOG_DIR_EVENTS, &names).await?;
        let brokers = found.into_iter().map(|d| decoded(d.map(|d| data::log_dir_event::decode(&d))));
        Ok(names.into_iter().zip(brokers).collect())
    }

    async fn children_data(&self, parent: &str, names: &[ByteString]) -> Result<Vec<Option<Bytes>>, ZkError> {
        let found = self.zk.get_many(names.iter().map(|n| format!("{parent}/{n}")).collect()).await?;
        Ok(found.into_iter().map(|f| f.map(|(data, _)| data)).collect())
    }
}

/// What a node says; one that makes no sense counts as absent, and the log says so.
fn decoded<T>(content: Option<Result<T, DataError>>) -> Option<T> {
    content.and_then(|result| result.map_err(|error| error!(target: LOG, "{error}")).ok())
}

fn broker(id: BrokerId, epoch: i64, registration: BrokerRegistration) -> Broker {
    let endpoints = registration.endpoints.into_iter().map(|e| Endpoint {
        listener: e.listener_name.into(),
        security_protocol: e.security_protocol.id(),
        host: e.host.into(),
        port: e.port,
    });
    Broker { id, epoch, endpoints: endpoints.collect(), rack: registration.rack.map(ByteString::from) }
}

fn topic_node(assignment: TopicAssignment) -> TopicNode {
    let partitions = assignment.partitions.into_iter().map(|(number, a)| {
        let assignment = ReplicaAssignment {
            replicas: BrokerIds::from_vec(a.replicas),
            adding: BrokerIds::from_vec(a.adding_replicas),
            removing: BrokerIds::from_vec(a.removing_replicas),
        };
        (number, assignment)
    });
    TopicNode { id: assignment.topic_id, partitions: partitions.collect() }
}

fn topic_assignment(node: TopicNode) -> TopicAssignment {
    let partitions = node.partitions.into_iter().map(|(number, a)| {
        let assignment = data::ReplicaAssignment {
            replicas: a.replicas.into_vec(),
            adding_replicas: a.adding.into_vec(),
            removing_replicas: a.removing.into_vec(),
        };
        (number, assignment)
    });
    TopicAssignment { topic_id: node.id, partitions: partitions.collect() }
}

fn leader_and_isr(state: PartitionState, zk_version: i32) -> LeaderAndIsr {
    LeaderAndIsr {
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        isr: BrokerIds::from_vec(state.isr),
        controller_epoch: state.controller_epoch,
        zk_version,
    }
}

fn encoded(state: LeaderAndIsr) -> Bytes {
    PartitionState {
        controller_epoch: state.controller_epoch,
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        isr: state.isr.into_vec(),
    }
    .encode()
}

/// Writes.
impl ZkRequests {
    async fn write_all(&self, epoch_zk_version: i32, writes: Vec<ZkWrite>) -> Result<ZkReply, ZkError> {
        let fence = election::fence(epoch_zk_version);
        let mut outcomes = Vec::with_capacity(writes.len());
        let mut ops = Vec::new();
        let result = async {
            for write in writes {
                match op(write) {
                    Ok(op) => ops.push(op),
                    // A tree takes reads to delete; what was asked before it comes first.
                    Err(topic) => {
                        self.write_ops(&fence, std::mem::take(&mut ops), &mut outcomes).await?;
                        let fence = std::slice::from_ref(&fence);
                        self.zk.delete_recursive(&paths::topic(&topic), fence).await?;
                        outcomes.push(WriteOutcome::Done(0));
                    }
                }
            }
            self.write_ops(&fence, ops, &mut outcomes).await
        }
        .await;
        match result {
            Ok(()) => Ok(ZkReply::Written(outcomes)),
            Err(error) if election::is_fenced(&error) => Ok(ZkReply::Moved),
            Err(error) => Err(error),
        }
    }

    async fn write_ops(
        &self,
        fence: &Op,
        ops: Vec<Op>,
        outcomes: &mut Vec<WriteOutcome>,
    ) -> Result<(), ZkError> {
        let groups = grouped(ops);
        let fenced = |group: &[Op]| std::iter::once(fence.clone()).chain(group.iter().cloned()).collect();
        let multis = groups.iter().map(|group| fenced(group)).collect();
        for (group, result) in groups.iter().zip(self.zk.multi_many(multis).await) {
            match result {
                Ok(results) => outcomes.extend(results[1..].iter().map(done)),
                Err(error @ ZkError::Multi { index: 0, .. }) => return Err(error),
                Err(error @ ZkError::Multi { index: 1, .. }) if group.len() == 1 => {
                    outcomes.push(failed(error)?);
                }
                Err(ZkError::Multi { .. } | ZkError::TooLarge { .. }) => {
                    self.write_singly(&fenced, group, outcomes).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn write_singly(
        &self,
        fenced: &impl Fn(&[Op]) -> Vec<Op>,
        group: &[Op],
        outcomes: &mut Vec<WriteOutcome>,
    ) -> Result<(), ZkError> {
        let multis = group.chunks(1).map(fenced).collect();
        for result in self.zk.multi_many(multis).await {
            match result {
                Ok(results) => outcomes.extend(results[1..].iter().map(done)),
                Err(error @ ZkError::Multi { index: 0, .. }) => return Err(error),
                Err(error) => outcomes.push(failed(error)?),
            }
        }
        Ok(())
    }
}

fn grouped(ops: Vec<Op>) -> Vec<Vec<Op>> {
    let mut groups: Vec<Vec<Op>> = Vec::new();
    let mut bytes = 0;
    for op in ops {
        let size = op_bytes(&op);
        match groups.last_mut() {
            Some(group) if group.len() < WRITES_PER_MULTI_MAX && bytes + size <= BYTES_PER_MULTI_MAX => {
                bytes += size;
                group.push(op);
            }
            _ => {
                bytes = size;
                groups.push(vec![op]);
            }
        }
    }
    groups
}

fn op_bytes(op: &Op) -> usize {
    let data = match op {
        Op::Create { data, .. } | Op::Set { data, .. } => data.len(),
        Op::Check { .. } | Op::Delete { .. } => 0,
    };
    op.path().len() + data + 64
}

fn done(result: &OpResult) -> WriteOutcome {
    match result {
        OpResult::Set(stat) => WriteOutcome::Done(stat.version),
        OpResult::Created(_) | OpResult::Deleted | OpResult::Checked => WriteOutcome::Done(0),
    }
}

/// What a failure of one write means; errors that say nothing about the write itself are passed on.
fn failed(error: ZkError) -> Result<WriteOutcome, ZkError> {
    match error.cause() {
        ZkError::NodeExists { .. } => Ok(WriteOutcome::Exists),
        ZkError::NoNode { .. } => Ok(WriteOutcome::Absent),
        ZkError::BadVersion { .. } => Ok(WriteOutcome::BadVersion),
        ZkError::NoAuth { .. } | ZkError::TooLarge { .. } | ZkError::NotEmpty { .. } => {
            error!(target: LOG, "{error}");
            Ok(WriteOutcome::Refused)
        }
        _ => Err(error),
    }
}

/// The operation of a write, or the topic whose whole tree goes.
fn op(write: ZkWrite) -> Result<Op, ByteString> {
    let delete = |path: String| Op::delete(path, ANY_VERSION);
    let create = |path: String, data: Bytes| Op::create(path, data, CreateMode::Persistent);
    Ok(match write {
        ZkWrite::SetTopic { topic, node } => {
            Op::set(paths::topic(&topic), topic_assignment(node).encode(), ANY_VERSION)
        }
        ZkWrite::CreatePartitions(topic) => create(paths::partitions(&topic), Bytes::new()),
        ZkWrite::CreatePartition(tp) => create(paths::partition(&tp.topic, tp.partition), Bytes::new()),
        ZkWrite::CreateState(tp, state) => {
            create(paths::partition_state(&tp.topic, tp.partition), encoded(state))
        }
        ZkWrite::SetState(tp, state) => {
            let version = state.zk_version;
            Op::set(paths::partition_state(&tp.topic, tp.partition), encoded(state), version)
        }
        ZkWrite::DeleteTopic(topic) => return Err(topic),
        ZkWrite::DeleteTopicConfig(topic) => delete(paths::config_entity("topics", &topic)),
        ZkWrite::DeleteTopicDeletion(topic) => delete(paths::delete_topic(&topic)),
        ZkWrite::DeleteIsrChange(name) => delete(format!("{}/{name}", paths::ISR_CHANGES)),
        ZkWrite::DeleteLogDirEvent(name) => delete(format!("{}/{name}", paths::LOG_DIR_EVENTS)),
        ZkWrite::DeletePreferredElection => delete(paths::PREFERRED_REPLICA_ELECTION.to_string()),
        ZkWrite::SetReassignments(rest) => {
            Op::set(paths::REASSIGN_PARTITIONS, data::reassign::encode(&rest), ANY_VERSION)
        }
        ZkWrite::DeleteReassignments => delete(paths::REASSIGN_PARTITIONS.to_string()),
        ZkWrite::DeleteController => delete(paths::CONTROLLER.to_string()),
    })
}
