//! What happens to the controller: the inputs of [`Machine::step`](super::machine::Machine::step).

use super::context::{Broker, LeaderAndIsr, ReplicaAssignment};
use super::effect::{ControlRequest, ControlResponse};
use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch, TopicPartition, Uuid};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One input. Events that arrive while the machine waits for ZooKeeper queue up inside it.
#[derive(Clone, Debug)]
pub enum Event {
    /// The broker is registered; run for controller.
    Start,
    /// The ZooKeeper session is over: whatever this controller was doing, it stops now.
    SessionExpired,
    /// A new session exists and the broker is registered in it; run for controller again.
    SessionEstablished,
    /// A watch fired. The machine reads what changed, which arms the watch again.
    Changed(Watch),
    /// The answer to [`Effect::Zk`](super::effect::Effect::Zk) with the same id.
    Zk {
        /// Of the request.
        id: u64,
        /// The answer.
        reply: ZkReply,
    },
    /// A broker answered a request.
    Response(Box<BrokerResponse>),
    /// A timer that an effect set went off.
    Timer(Timer),
    /// `unclean.leader.election.enable` of a topic was switched on.
    UncleanElectionEnabled(ByteString),
    /// The default of `unclean.leader.election.enable` is now this.
    UncleanElectionDefault(bool),
    /// Somebody asks for something and waits for a reply.
    Call {
        /// Comes back in the reply.
        id: CallId,
        /// What is asked.
        call: Call,
    },
}

/// Names a call whose answer somebody awaits.
pub type CallId = u64;

/// What callers ask for.
#[derive(Clone, Debug)]
pub enum Call {
    /// A broker wants to leave: move its leaderships, stop its followers.
    ControlledShutdown {
        /// The broker that leaves.
        broker: BrokerId,
        /// Its epoch; -1: not sent (ControlledShutdown before version 2).
        broker_epoch: i64,
    },
    /// Elect leaders of these partitions.
    ElectLeaders {
        /// Which.
        partitions: Vec<TopicPartition>,
        /// How.
        kind: ElectionKind,
    },
    /// A leader wants to change ISRs (KIP-497).
    AlterIsr {
        /// The leader.
        broker: BrokerId,
        /// Its epoch.
        broker_epoch: i64,
        /// What it wants.
        changes: Vec<IsrChange>,
    },
    /// Move replicas (KIP-455).
    AlterReassignments(Vec<(TopicPartition, Option<Vec<BrokerId>>)>),
    /// Name the reassignments under way, of these partitions or of all.
    ListReassignments(Option<Vec<TopicPartition>>),
}

/// How an administrator wants leaders elected (KIP-460).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ElectionKind {
    /// The first replica of the assignment.
    Preferred,
    /// Any live replica, in sync or not.
    Unclean,
}

/// One ISR that a leader wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// Of which partition.
    pub partition: TopicPartition,
    /// The leader's epoch.
    pub leader_epoch: LeaderEpoch,
    /// The wanted ISR.
    pub isr: Vec<BrokerId>,
    /// Version of the state znode as the leader knows it.
    pub zk_version: i32,
}

/// An answer with the request that it answers.
#[derive(Clone, Debug)]
pub struct BrokerResponse {
    /// Who answered.
    pub broker: BrokerId,
    /// Epoch of the broker when the request was made.
    pub broker_epoch: i64,
    /// Epoch of the controller that made the request.
    pub controller_epoch: ControllerEpoch,
    /// The request.
    pub request: Arc<ControlRequest>,
    /// The answer.
    pub response: ControlResponse,
}

/// Timers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timer {
    /// Look for brokers that lead too little (`leader.imbalance.check.interval.seconds`).
    AutoRebalance,
    /// ZooKeeper refused something it should not have; look again whether there is a controller.
    Reelect,
}

/// What is watched. Each is armed by reading it.
#[derive(Clone, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Watch {
    /// `/controller`.
    Controller,
    /// Children of `/brokers/ids`, and the data of each.
    Brokers,
    /// Children of `/brokers/topics`.
    Topics,
    /// Data of `/brokers/topics/<topic>`.
    Topic(ByteString),
    /// Children of `/admin/delete_topics`.
    TopicDeletions,
    /// Children of `/isr_change_notification`.
    IsrChanges,
    /// Children of `/log_dir_event_notification`.
    LogDirEvents,
    /// `/admin/preferred_replica_election`.
    PreferredElection,
    /// `/admin/reassign_partitions`.
    Reassignments,
    /// A partition's state.
    PartitionState(TopicPartition),
}

/// ZooKeeper's answer to one [`ZkRequest`](super::effect::ZkRequest).
#[derive(Clone, Debug)]
pub enum ZkReply {
    /// To reads, in their order.
    Read(Vec<ZkValue>),
    /// To writes, in their order.
    Written(Vec<WriteOutcome>),
    /// This broker is controller now.
    Elected {
        /// Its epoch.
        epoch: ControllerEpoch,
        /// Version of `/controller_epoch` that carries it: the fence of all writes.
        epoch_zk_version: i32,
    },
    /// Somebody else is.
    NotElected,
    /// The check of `/controller_epoch` failed: another controller took over.
    Moved,
    /// No answer, or one that makes no sense. The text is for the log.
    Failed(String),
}

/// What a read found. Nodes whose content cannot be understood are reported as absent, and logged.
#[derive(Clone, Debug)]
pub enum ZkValue {
    /// `/controller`.
    Controller {
        /// The id in it.
        holder: Option<BrokerId>,
        /// It was made in this session.
        is_of_session: bool,
    },
    /// `/feature`.
    Feature(Option<FeatureNode>),
    /// The registered brokers.
    Brokers(Vec<Broker>),
    /// Names of topics or of topics to delete.
    Topics(Vec<ByteString>),
    /// A topic.
    Topic(Option<TopicNode>),
    /// A partition's state.
    PartitionState(Option<LeaderAndIsr>),
    /// The same, with the id of the transaction that wrote it (mzxid).
    DatedPartitionState(Option<(LeaderAndIsr, i64)>),
    /// The topic's own `unclean.leader.election.enable`, if it has one.
    UncleanElection(Option<bool>),
    /// ISR change notifications: node name and partitions.
    IsrChanges(Vec<(ByteString, Vec<TopicPartition>)>),
    /// Log directory events: node name and broker.
    LogDirEvents(Vec<(ByteString, Option<BrokerId>)>),
    /// `/admin/preferred_replica_election`.
    PreferredElection(Option<Vec<TopicPartition>>),
    /// `/admin/reassign_partitions`, each partition once.
    Reassignments(Option<Vec<(TopicPartition, Vec<BrokerId>)>>),
}

/// `/feature` (KIP-584).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FeatureNode {
    /// Status 1.
    pub enabled: bool,
    /// Some feature is finalized.
    pub has_features: bool,
}

/// `/brokers/topics/<topic>`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TopicNode {
    /// Its id, if it has one.
    pub id: Option<Uuid>,
    /// Its partitions.
    pub partitions: BTreeMap<i32, ReplicaAssignment>,
}

/// What became of one write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WriteOutcome {
    /// Done; the node's new version, 0 after a create or a delete.
    Done(i32),
    /// A create found the node there.
    Exists,
    /// A set, delete or the parent of a create was not there.
    Absent,
    /// A conditional set found another version.
    BadVersion,
    /// ZooKeeper refuses this very write: too large, or no rights to the node.
    Refused,
}
