//! What the controller wants done: the outputs of [`Machine::step`](super::machine::Machine::step).

use super::context::{Broker, LeaderAndIsr, ReplicaAssignment};
use super::event::{CallId, FeatureNode, Timer, TopicNode};
use crate::common::{BrokerId, ControllerEpoch, ErrorCode, TopicPartition};
use crate::protocol::messages::leader_and_isr::{LeaderAndIsrRequest, LeaderAndIsrResponse};
use crate::protocol::messages::stop_replica::{StopReplicaRequest, StopReplicaResponse};
use crate::protocol::messages::update_metadata::{UpdateMetadataRequest, UpdateMetadataResponse};
use bytestring::ByteString;

/// One output. The driver carries effects out in their order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Ask ZooKeeper; the answer comes back as an event with this id. At most one is under way.
    Zk {
        /// Comes back with the answer.
        id: u64,
        /// What to ask.
        request: ZkRequest,
    },
    /// Open the queue to a broker. Requests to it go out one at a time, each repeated until answered.
    AddBroker(Broker),
    /// Close the queue to a broker and drop what waits in it.
    RemoveBroker(BrokerId),
    /// Queue a request.
    Send {
        /// For whom.
        broker: BrokerId,
        /// Its epoch.
        broker_epoch: i64,
        /// What.
        request: ControlRequest,
    },
    /// Set a timer, replacing an earlier one of its kind.
    SetTimer {
        /// Which.
        timer: Timer,
        /// When, from now.
        after_ms: i64,
    },
    /// This broker became the controller.
    Activated(ControllerEpoch),
    /// This broker is controller no more: close all queues, drop all timers.
    Resigned,
    /// Answer a call.
    Reply {
        /// Which.
        id: CallId,
        /// The answer.
        reply: Reply,
    },
}

/// Questions to ZooKeeper that go out together, pipelined, and are answered together.
#[derive(Clone, Debug, PartialEq)]
pub enum ZkRequest {
    /// Reads.
    Read(Vec<ZkRead>),
    /// Writes, applied in this order, each guarded by a check of `/controller_epoch`.
    Write {
        /// Expected version of `/controller_epoch`.
        epoch_zk_version: i32,
        /// What to write.
        writes: Vec<ZkWrite>,
    },
    /// Run for controller: create `/controller` and raise `/controller_epoch` in one transaction.
    Elect,
    /// Write `/feature`, which Kafka does without the check.
    WriteFeature {
        /// The node does not exist yet.
        create: bool,
        /// New content; features are always empty where the controller writes.
        node: FeatureNode,
    },
}

/// A read. "Watched": the read arms the watch of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZkRead {
    /// `/controller`, watched.
    Controller,
    /// `/feature`.
    Feature,
    /// All registrations, watched.
    Brokers,
    /// Names of topics, watched.
    Topics,
    /// A topic, watched.
    Topic(ByteString),
    /// A partition's state.
    PartitionState(TopicPartition),
    /// The same, with the transaction that wrote it.
    DatedPartitionState(TopicPartition),
    /// The topic's own `unclean.leader.election.enable`.
    UncleanElection(ByteString),
    /// Topics to delete, watched.
    TopicDeletions,
    /// ISR change notifications, watched.
    IsrChanges,
    /// Log directory events, watched.
    LogDirEvents,
    /// Partitions whose preferred leader a tool wants elected, watched.
    PreferredElection,
    /// Replicas that a tool wants moved, watched.
    Reassignments,
    /// A partition's state, watched: its leader writes the ISR itself.
    WatchedPartitionState(TopicPartition),
}

/// A write. All are guarded by the controller's epoch; those with a version by that as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZkWrite {
    /// Rewrite a topic's znode.
    SetTopic {
        /// Its name.
        topic: ByteString,
        /// Its whole content.
        node: TopicNode,
    },
    /// Create `/brokers/topics/<t>/partitions`.
    CreatePartitions(ByteString),
    /// Create `/brokers/topics/<t>/partitions/<p>`.
    CreatePartition(TopicPartition),
    /// Create a partition's state.
    CreateState(TopicPartition, LeaderAndIsr),
    /// Replace a partition's state at the version in it.
    SetState(TopicPartition, LeaderAndIsr),
    /// Delete `/brokers/topics/<t>` and all below, children first.
    DeleteTopic(ByteString),
    /// Delete `/config/topics/<t>`.
    DeleteTopicConfig(ByteString),
    /// Delete `/admin/delete_topics/<t>`.
    DeleteTopicDeletion(ByteString),
    /// Delete an ISR change notification.
    DeleteIsrChange(ByteString),
    /// Delete a log directory event.
    DeleteLogDirEvent(ByteString),
    /// Delete `/admin/preferred_replica_election`.
    DeletePreferredElection,
    /// Replace `/admin/reassign_partitions`.
    SetReassignments(Vec<(TopicPartition, Vec<BrokerId>)>),
    /// Delete `/admin/reassign_partitions`.
    DeleteReassignments,
    /// Delete `/controller`: somebody shall be elected.
    DeleteController,
}

/// A request to a broker and the version in which it goes out.
#[derive(Clone, Debug, PartialEq)]
pub struct ControlRequest {
    /// Decided by `inter.broker.protocol.version`, never negotiated.
    pub version: i16,
    /// The request.
    pub body: ControlBody,
}

/// What controllers ask of brokers.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlBody {
    /// Lead, follow.
    LeaderAndIsr(LeaderAndIsrRequest),
    /// Stop following, delete.
    StopReplica(StopReplicaRequest),
    /// Know the cluster.
    UpdateMetadata(UpdateMetadataRequest),
}

/// A broker's answer, of the same kind as the request.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlResponse {
    /// To LeaderAndIsr.
    LeaderAndIsr(LeaderAndIsrResponse),
    /// To StopReplica.
    StopReplica(StopReplicaResponse),
    /// To UpdateMetadata.
    UpdateMetadata(UpdateMetadataResponse),
}

/// Per partition an answer or why there is none; as a whole an error.
pub type PartitionResults<T> = Result<Vec<(TopicPartition, Result<T, ErrorCode>)>, ErrorCode>;

/// Why a reassignment was refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReassignmentError {
    /// The code of the answer.
    pub code: ErrorCode,
    /// Kafka's words; `None` for an internal error.
    pub message: Option<String>,
}

/// Per partition whether its reassignment is under way.
pub type ReassignmentResults = Vec<(TopicPartition, Result<(), ReassignmentError>)>;

/// An answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The partitions that the broker still leads.
    ControlledShutdown(Result<Vec<TopicPartition>, ErrorCode>),
    /// Per partition the new leader, or why there is none; as a whole NOT_CONTROLLER.
    ElectLeaders(PartitionResults<BrokerId>),
    /// Per partition the state as it is now, or why it is not as wanted; as a whole NOT_CONTROLLER,
    /// STALE_BROKER_EPOCH or UNKNOWN_SERVER_ERROR.
    AlterIsr(PartitionResults<LeaderAndIsr>),
    /// Per partition; as a whole NOT_CONTROLLER.
    AlterReassignments(Result<ReassignmentResults, ErrorCode>),
    /// The reassignments under way; as a whole NOT_CONTROLLER.
    ListReassignments(Result<Vec<(TopicPartition, ReplicaAssignment)>, ErrorCode>),
}
