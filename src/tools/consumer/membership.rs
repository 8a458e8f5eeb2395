//! The member of a group: finds the coordinator, joins, shares out partitions if it leads, and commits offsets.
//!
//! Joining is a matter of several polls: a step sends what is due or takes an answer, and never waits longer
//! than it is told to. Heartbeats are another thread's (`link.rs`).
//!
//! Source: Kafka 2.8.2, `AbstractCoordinator.java`, `ConsumerCoordinator.java`.

use super::assignor::{Assignment, Assignor, Member};
use super::link::{LOGGER, Link, NO_GENERATION, Shared};
use super::sticky::Had;
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use crate::protocol::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};
use crate::protocol::stored::consumer_protocol::{
    ConsumerProtocolAssignment, ConsumerProtocolSubscription, TopicPartition as Partitions,
};
use crate::protocol::{DecodeError, decode_forward_compatible, encode_versioned};
use crate::tools::client::connection::Pending;
use crate::tools::client::{Address, CallError, Network};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Version of the consumer protocol that is written.
const PROTOCOL_VERSION: i16 = 1;
/// A coordinator may answer a join so much later than the rebalance timeout.
const JOIN_SLACK_MS: i64 = 5_000;

/// Where a join stands.
enum Stage {
    /// Nothing is under way.
    Idle,
    /// Waiting for the other members.
    Joining { pending: Pending, deadline_ms: i64 },
    /// Waiting for the leader's assignment.
    Syncing { pending: Pending, deadline_ms: i64 },
}

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// A join is under way, or the coordinator is not found yet.
    Waiting,
    /// This member leads and has to share out: what the members want.
    Lead(Vec<Member>),
    /// The member is in, with these partitions.
    Joined(Vec<TopicPartition>),
}

/// A member of a group.
pub struct Membership {
    /// What the heartbeat thread shares.
    pub shared: Arc<Shared>,
    heartbeats: Option<JoinHandle<()>>,
    stage: Stage,
    assignor: Assignor,
    /// What this member was assigned last.
    had: Option<Had>,
    /// Nothing is tried before this moment of the monotonic clock.
    not_before_ms: i64,
}

impl Membership {
    /// Connects to nobody yet.
    pub fn new(shared: Shared) -> Membership {
        let assignor = shared.group.assignors.first().copied().unwrap_or(Assignor::Range);
        Membership {
            shared: Arc::new(shared),
            heartbeats: None,
            stage: Stage::Idle,
            assignor,
            had: None,
            not_before_ms: 0,
        }
    }

    /// True if a join is under way.
    pub fn is_joining(&self) -> bool {
        !matches!(self.stage, Stage::Idle)
    }

    /// Tells the heartbeat thread that somebody polls, and takes what it found fatal.
    pub fn polled(&self) -> Result<(), Exception> {
        let mut link = self.shared.lock();
        link.polled_ms = clock::monotonic_ms();
        link.failure.take().map_or(Ok(()), Err)
    }

    /// Finds the coordinator if it is not known. False if nobody knows it now.
    pub fn ensure_coordinator(&mut self, network: &mut Network, deadline_ms: i64) -> Result<bool, Exception> {
        let shared = self.shared.clone();
        let mut link = shared.lock();
        if link.connection.is_some() || link.address.is_some() {
            return Ok(true);
        }
        if self.is_too_early(deadline_ms) {
            return Ok(false);
        }
        let found = find_coordinator(network, &self.shared, deadline_ms)?;
        if found.is_none() {
            self.back_off();
        }
        link.address = found;
        Ok(link.address.is_some())
    }

    fn back_off(&mut self) {
        self.not_before_ms = clock::monotonic_ms() + self.shared.client.retry_backoff_ms.max(1);
    }

    /// Waits for the next attempt; true if it is due only after `deadline_ms`.
    fn is_too_early(&self, deadline_ms: i64) -> bool {
        let wait_ms = self.not_before_ms.min(deadline_ms) - clock::monotonic_ms();
        if wait_ms > 0 {
            std::thread::sleep(Duration::from_millis(wait_ms as u64));
        }
        self.not_before_ms > clock::monotonic_ms()
    }

    /// Joins with a subscription and what is not given up, or goes on with it; waits up to `wait_ms`.
    pub fn join(
        &mut self,
        topics: &BTreeSet<ByteString>,
        owned: &[TopicPartition],
        wait_ms: i64,
    ) -> Result<Step, Exception> {
        match self.stage {
            Stage::Idle if self.is_too_early(clock::monotonic_ms() + wait_ms) => Ok(Step::Waiting),
            Stage::Idle => self.send_join(topics, owned),
            Stage::Joining { pending, deadline_ms } => self.await_join(pending, deadline_ms, wait_ms),
            Stage::Syncing { pending, deadline_ms } => self.await_sync(pending, deadline_ms, wait_ms),
        }
    }

    fn send_join(
        &mut self,
        topics: &BTreeSet<ByteString>,
        owned: &[TopicPartition],
    ) -> Result<Step, Exception> {
        let had = self.had.as_ref();
        let subscription = |assignor: &Assignor| {
            let subscription = ConsumerProtocolSubscription {
                topics: topics.iter().cloned().collect(),
                user_data: assignor.user_data(had),
                owned_partitions: by_topic(owned),
                ..Default::default()
            };
            encode_versioned(&subscription, PROTOCOL_VERSION)
        };
        let shared = self.shared.clone();
        let group = &shared.group;
        if self.heartbeats.is_none() {
            let for_heartbeats = shared.clone();
            self.heartbeats = Some(std::thread::spawn(move || for_heartbeats.send_heartbeats()));
        }
        let mut link = shared.lock();
        link.is_in = false;
        let protocol = |assignor: &Assignor| JoinGroupRequestProtocol {
            name: assignor.name().into(),
            metadata: subscription(assignor),
            ..Default::default()
        };
        let request = JoinGroupRequest {
            group_id: group.id.clone(),
            session_timeout_ms: group.session_timeout_ms,
            rebalance_timeout_ms: group.max_poll_interval_ms,
            member_id: link.member_id.clone(),
            group_instance_id: group.instance_id.clone(),
            protocol_type: "consumer".into(),
            protocols: group.assignors.iter().map(protocol).collect(),
            ..Default::default()
        };
        let sent = shared.connection(&mut link).and_then(|connection| connection.send(&request));
        match sent {
            Ok(pending) => {
                let most_ms = i64::from(group.max_poll_interval_ms) + JOIN_SLACK_MS;
                let wait_ms = most_ms.max(shared.client.request_timeout_ms);
                let deadline_ms = clock::monotonic_ms() + wait_ms;
                self.stage = Stage::Joining { pending, deadline_ms };
            }
            Err(_) => {
                link.connection = None;
                self.back_off();
            }
        }
        Ok(Step::Waiting)
    }

    fn await_join(&mut self, pending: Pending, deadline_ms: i64, wait_ms: i64) -> Result<Step, Exception> {
        let shared = self.shared.clone();
        let mut link = shared.lock();
        let Some(response) = self.receive::<JoinGroupRequest>(&mut link, pending, deadline_ms, wait_ms)
        else {
            return Ok(Step::Waiting);
        };
        self.stage = Stage::Idle;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => self.take_generation(&mut link, response),
            ErrorCode::MemberIdRequired => {
                link.member_id = response.member_id;
                Ok(Step::Waiting)
            }
            ErrorCode::CoordinatorLoadInProgress | ErrorCode::RebalanceInProgress => {
                self.back_off();
                Ok(Step::Waiting)
            }
            code => self.join_failed(&mut link, code, "JoinGroup", "join group response"),
        }
    }

    /// The generation that a join led to: as a leader share out, else wait for what the leader says.
    fn take_generation(&mut self, link: &mut Link, response: JoinGroupResponse) -> Result<Step, Exception> {
        link.generation = response.generation_id;
        link.member_id = response.member_id;
        let name = response.protocol_name.unwrap_or_default();
        let Some(assignor) = Assignor::of_name(&name) else {
            let message = format!("Coordinator selected invalid assignment protocol: {name}");
            return Err(Exception::new("java.lang.IllegalStateException", message));
        };
        self.assignor = assignor;
        if response.leader != link.member_id {
            self.send_sync(link, Vec::new());
            return Ok(Step::Waiting);
        }
        let mut members = Vec::new();
        for member in response.members {
            let (_, subscription) =
                decode_forward_compatible::<ConsumerProtocolSubscription>(member.metadata)
                    .map_err(|error| unreadable("subscription", &error))?;
            members.push(Member {
                id: member.member_id,
                instance_id: member.group_instance_id,
                topics: subscription.topics.into_iter().collect(),
                owned: flat(subscription.owned_partitions),
                user_data: subscription.user_data,
            });
        }
        Ok(Step::Lead(members))
    }

    /// Shares out as the leader of this generation.
    pub fn lead(&mut self, members: &[Member], topics: &BTreeMap<ByteString, usize>) {
        let assignments = self.assignor.assign(members, topics);
        let shared = self.shared.clone();
        self.send_sync(&mut shared.lock(), encode_assignments(&assignments));
    }

    fn send_sync(&mut self, link: &mut Link, assignments: Vec<SyncGroupRequestAssignment>) {
        let shared = self.shared.clone();
        let request = SyncGroupRequest {
            group_id: shared.group.id.clone(),
            generation_id: link.generation,
            member_id: link.member_id.clone(),
            group_instance_id: shared.group.instance_id.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some(self.assignor.name().into()),
            assignments,
            ..Default::default()
        };
        match shared.connection(link).and_then(|connection| connection.send(&request)) {
            Ok(pending) => {
                let deadline_ms = clock::monotonic_ms() + shared.client.request_timeout_ms;
                self.stage = Stage::Syncing { pending, deadline_ms };
            }
            Err(_) => {
                link.connection = None;
                self.stage = Stage::Idle;
                self.back_off();
            }
        }
    }

    fn await_sync(&mut self, pending: Pending, deadline_ms: i64, wait_ms: i64) -> Result<Step, Exception> {
        let shared = self.shared.clone();
        let mut link = shared.lock();
        let Some(response) = self.receive::<SyncGroupRequest>(&mut link, pending, deadline_ms, wait_ms)
        else {
            return Ok(Step::Waiting);
        };
        self.stage = Stage::Idle;
        match ErrorCode::from_code(response.error_code) {
            ErrorCode::None => {
                let partitions = read_assignment(response)?;
                shared.enter(&mut link);
                self.had = Some(Had { partitions: partitions.clone(), generation: Some(link.generation) });
                Ok(Step::Joined(partitions))
            }
            ErrorCode::RebalanceInProgress => Ok(Step::Waiting),
            code => self.join_failed(&mut link, code, "SyncGroup", "SyncGroup"),
        }
    }

    fn join_failed(
        &mut self,
        link: &mut Link,
        code: ErrorCode,
        call: &str,
        where_from: &str,
    ) -> Result<Step, Exception> {
        match code {
            ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration => link.forget_generation(),
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => {
                link.forget_coordinator();
                self.back_off();
            }
            ErrorCode::FencedInstanceId
            | ErrorCode::InconsistentGroupProtocol
            | ErrorCode::InvalidSessionTimeout
            | ErrorCode::InvalidGroupId
            | ErrorCode::GroupAuthorizationFailed
            | ErrorCode::GroupMaxSizeReached
            | ErrorCode::UnsupportedVersion => {
                let text = format!(
                    "[{}] {call} failed due to fatal error: {}",
                    self.shared.client.name,
                    code.message()
                );
                log(Level::Error, &text, LOGGER);
                return Err(self.shared.exception(code));
            }
            code => {
                let text = format!("Unexpected error in {where_from}: {}", code.message());
                return Err(Exception::new("org.apache.kafka.common.KafkaException", text));
            }
        }
        Ok(Step::Waiting)
    }

    /// The answer, if it is there within `wait_ms`. After the deadline, or without a connection, all begins anew.
    fn receive<R: crate::protocol::ApiRequest>(
        &mut self,
        link: &mut Link,
        pending: Pending,
        deadline_ms: i64,
        wait_ms: i64,
    ) -> Option<R::Response> {
        let timeout_ms = self.shared.client.request_timeout_ms;
        let answer = match &mut link.connection {
            Some(connection) => match connection.wait(pending, wait_ms) {
                true => connection.receive::<R>(pending, timeout_ms).ok(),
                false if clock::monotonic_ms() < deadline_ms => return None,
                false => None,
            },
            None => None,
        };
        if answer.is_none() {
            link.connection = None;
            self.stage = Stage::Idle;
            self.back_off();
        }
        answer
    }

    /// Says goodbye, unless the member is static, and ends the heartbeats. What was under way is given up.
    pub fn close(&mut self) {
        self.shared.close();
        if let Some(thread) = self.heartbeats.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
        let shared = self.shared.clone();
        let mut link = shared.lock();
        let is_member = link.generation != NO_GENERATION || self.is_joining();
        if self.is_joining() {
            // Answers come in order: goodbye would wait behind the join.
            link.connection = None;
        }
        self.stage = Stage::Idle;
        if is_member && !link.member_id.is_empty() && shared.group.instance_id.is_none() {
            // The coordinator finds out by itself if this does not reach it.
            let _ = shared.leave(&mut link);
        }
        link.connection = None;
    }
}

/// Asks some broker. `None`: not now.
fn find_coordinator(
    network: &mut Network,
    shared: &Shared,
    deadline_ms: i64,
) -> Result<Option<Address>, Exception> {
    let request = FindCoordinatorRequest { key: shared.group.id.clone(), key_type: 0, ..Default::default() };
    let timeout_ms = shared.client.request_timeout_ms;
    let Some((id, connection)) = network.any(deadline_ms) else { return Ok(None) };
    let response = match connection.call(&request, timeout_ms) {
        Ok(response) => response,
        Err(CallError::Unsupported(_)) => {
            let message = "The broker has no groups";
            return Err(Exception::of_error(ErrorCode::UnsupportedVersion, Some(message)));
        }
        Err(_) => {
            network.disconnect(id);
            return Ok(None);
        }
    };
    match ErrorCode::from_code(response.error_code) {
        ErrorCode::None => Ok(u16::try_from(response.port)
            .ok()
            .map(|port| Address { host: response.host.to_string(), port })),
        code @ ErrorCode::GroupAuthorizationFailed => Err(shared.exception(code)),
        code @ ErrorCode::InvalidGroupId => Err(shared.exception(code)),
        _ => Ok(None),
    }
}

fn encode_assignments(assignments: &Assignment) -> Vec<SyncGroupRequestAssignment> {
    let encode = |(member_id, partitions): (&ByteString, &Vec<TopicPartition>)| {
        let assignment =
            ConsumerProtocolAssignment { assigned_partitions: by_topic(partitions), ..Default::default() };
        SyncGroupRequestAssignment {
            member_id: member_id.clone(),
            assignment: encode_versioned(&assignment, PROTOCOL_VERSION),
            ..Default::default()
        }
    };
    assignments.iter().map(encode).collect()
}

fn by_topic(partitions: &[TopicPartition]) -> Vec<Partitions> {
    let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(partition.topic.clone()).or_default().push(partition.partition);
    }
    let topic = |(topic, partitions)| Partitions { topic, partitions, ..Default::default() };
    topics.into_iter().map(topic).collect()
}

fn flat(topics: Vec<Partitions>) -> Vec<TopicPartition> {
    let of_topic = |Partitions { topic, partitions, .. }: Partitions| {
        partitions.into_iter().map(move |partition| TopicPartition { topic: topic.clone(), partition })
    };
    topics.into_iter().flat_map(of_topic).collect()
}

fn read_assignment(response: SyncGroupResponse) -> Result<Vec<TopicPartition>, Exception> {
    let mut partitions = partitions_of(response.assignment)?;
    partitions.sort();
    Ok(partitions)
}

/// The partitions of an assignment as members get it; none if it is empty.
pub fn partitions_of(assignment: Bytes) -> Result<Vec<TopicPartition>, Exception> {
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    let (_, assignment) = decode_forward_compatible::<ConsumerProtocolAssignment>(assignment)
        .map_err(|error| unreadable("assignment", &error))?;
    Ok(flat(assignment.assigned_partitions))
}

fn unreadable(what: &str, error: &DecodeError) -> Exception {
    Exception::new(
        "org.apache.kafka.common.protocol.types.SchemaException",
        format!("Unreadable {what} of the consumer protocol: {error:?}"),
    )
}
