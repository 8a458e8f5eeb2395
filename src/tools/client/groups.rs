//! The calls of Kafka's `AdminClient` that concern groups and offsets, with its retries and exceptions.
//!
//! Source: Kafka 2.8.2, `KafkaAdminClient.java`.

use super::admin::{Admin, Attempts, check, unsupported};
use super::offsets::list_offsets;
use super::{Address, CallError, ClientKind};
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition, clock};
use crate::protocol::ApiRequest;
use crate::protocol::messages::delete_groups::DeleteGroupsRequest;
use crate::protocol::messages::describe_groups::{DescribeGroupsRequest, DescribedGroup};
use crate::protocol::messages::find_coordinator::FindCoordinatorRequest;
use crate::protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::protocol::messages::offset_fetch::OffsetFetchRequest;
use crate::tools::consumer::partitions_of;
use crate::tools::exception::{Exception, needs_new_metadata};
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::time::Duration;

/// Protocol type of consumer groups; a group that only stores offsets has none.
const CONSUMER: &str = "consumer";

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its name.
    pub id: ByteString,
    /// `Stable`, `Empty`, …; empty if the broker does not say.
    pub state: ByteString,
}

/// A group as its coordinator sees it.
#[derive(Clone, Debug)]
pub struct GroupDescription {
    /// Its name.
    pub id: ByteString,
    /// The coordinator.
    pub coordinator: (BrokerId, Address),
    /// `Stable`, `Empty`, `Dead` if it does not exist, …
    pub state: ByteString,
    /// The protocol that its members agreed on.
    pub assignor: ByteString,
    /// Members, by id.
    pub members: Vec<MemberDescription>,
}

/// A member of a group.
#[derive(Clone, Debug)]
pub struct MemberDescription {
    /// Its id.
    pub id: ByteString,
    /// Its own id, if it is a static member.
    pub instance_id: Option<ByteString>,
    /// `client.id`
    pub client_id: ByteString,
    /// Where it connects from: `/127.0.0.1`.
    pub host: ByteString,
    /// Its share, by topic and partition.
    pub partitions: Vec<TopicPartition>,
}

/// Offsets by partition.
pub type Offsets = BTreeMap<TopicPartition, Offset>;

/// What to ask each leader: topic, partition, timestamp.
type AskedByLeader = BTreeMap<BrokerId, Vec<(ByteString, i32, i64)>>;

/// What became of each partition.
pub type Outcomes = Vec<(TopicPartition, Result<(), Exception>)>;

impl Admin {
    /// Groups of consumers, by name; with `states`, those in one of them.
    pub fn list_groups(&mut self, states: &[String]) -> Result<Vec<GroupListing>, Exception> {
        let mut attempts = self.begin("listConsumerGroups");
        let found = self.network().metadata(Some(&[]), false, attempts.deadline_ms);
        let nodes: Vec<BrokerId> = self.network().nodes().keys().copied().collect();
        if found.is_none() || nodes.is_empty() {
            let settings = self.network().settings();
            if settings.kind == ClientKind::OldAdmin {
                return Err(no_answer(&settings.bootstrap));
            }
            let message = "Failed to find brokers to send ListGroups";
            let cause = self.no_node(&attempts);
            return Err(Exception::new("org.apache.kafka.common.KafkaException", message).caused_by(cause));
        }
        let mut groups = BTreeMap::new();
        for node in nodes {
            let response = self.list_groups_of(node, states, &mut attempts)?;
            for group in response.groups {
                if group.protocol_type.is_empty() || &*group.protocol_type == CONSUMER {
                    let listing = GroupListing { id: group.group_id.clone(), state: group.group_state };
                    groups.insert(group.group_id, listing);
                }
            }
        }
        Ok(groups.into_values().collect())
    }

    fn list_groups_of(
        &mut self,
        node: BrokerId,
        states: &[String],
        attempts: &mut Attempts,
    ) -> Result<ListGroupsResponse, Exception> {
        let filter = states.iter().map(|state| state.as_str().into()).collect();
        let request = ListGroupsRequest { states_filter: filter, ..Default::default() };
        loop {
            attempts.made += 1;
            let cause = match self.network().call(node, &request, attempts.deadline_ms) {
                Ok(response) => match ErrorCode::from_code(response.error_code) {
                    ErrorCode::None => return Ok(response),
                    code if is_passing(code) => code.message().to_string(),
                    code => {
                        let node = self.node_text(node);
                        let message = format!("Error listing groups on {node}");
                        return Err(Exception::of_error(code, Some(&message)));
                    }
                },
                Err(CallError::Unsupported(key)) => return Err(unsupported(key.name())),
                Err(error) => error.to_string(),
            };
            self.pause(attempts, &cause)?;
        }
    }

    fn node_text(&mut self, id: BrokerId) -> String {
        match self.network().nodes().get(&id) {
            Some(address) => format!("{address} (id: {id} rack: null)"),
            None => format!("(id: {id})"),
        }
    }

    /// Waits before the next attempt; fails at the deadline.
    fn pause(&mut self, attempts: &Attempts, cause: &str) -> Result<(), Exception> {
        if clock::monotonic_ms() >= attempts.deadline_ms {
            return Err(self.timed_out(attempts, cause));
        }
        let backoff_ms = self.network().settings().retry_backoff_ms.max(1);
        std::thread::sleep(Duration::from_millis(backoff_ms as u64));
        Ok(())
    }

    /// The coordinator of a group.
    fn find_coordinator(
        &mut self,
        group: &ByteString,
        deadline_ms: i64,
    ) -> Result<(BrokerId, Address), Exception> {
        let request = FindCoordinatorRequest { key: group.clone(), key_type: 0, ..Default::default() };
        let mut attempts = self.begin("findCoordinator");
        attempts.deadline_ms = deadline_ms;
        let timeout_ms = self.network().settings().request_timeout_ms;
        loop {
            attempts.made += 1;
            let Some((id, connection)) = self.network().any(deadline_ms) else {
                return Err(self.no_node(&attempts));
            };
            let cause = match connection.call(&request, timeout_ms) {
                Ok(response) => match ErrorCode::from_code(response.error_code) {
                    ErrorCode::None => {
                        let port = u16::try_from(response.port).unwrap_or(0);
                        let address = Address { host: response.host.to_string(), port };
                        return Ok((response.node_id, address));
                    }
                    code if is_passing(code) => code.message().to_string(),
                    code => return Err(Exception::of_error(code, None)),
                },
                Err(CallError::Unsupported(key)) => return Err(unsupported(key.name())),
                Err(error) => {
                    self.network().disconnect(id);
                    error.to_string()
                }
            };
            self.pause(&attempts, &cause)?;
        }
    }

    /// Asks a group's coordinator until its answer has no error that may pass. `error_of` picks the error that
    /// says so.
    fn call_coordinator<R: ApiRequest>(
        &mut self,
        name: &'static str,
        group: &ByteString,
        request: &R,
        error_of: impl Fn(&R::Response) -> i16,
    ) -> Result<((BrokerId, Address), R::Response), Exception> {
        let mut attempts = self.begin(name);
        loop {
            let (id, address) = self.find_coordinator(group, attempts.deadline_ms)?;
            if !self.network().nodes().contains_key(&id) {
                self.network().metadata(Some(&[]), false, attempts.deadline_ms);
            }
            attempts.made += 1;
            let cause = match self.network().call(id, request, attempts.deadline_ms) {
                Ok(response) => match ErrorCode::from_code(error_of(&response)) {
                    code if is_passing(code) => code.message().to_string(),
                    _ => return Ok(((id, address), response)),
                },
                Err(CallError::Unsupported(key)) => return Err(unsupported(key.name())),
                Err(error) => error.to_string(),
            };
            self.pause(&attempts, &cause)?;
        }
    }

    /// A group, its members and what they read.
    pub fn describe_group(&mut self, group: &ByteString) -> Result<GroupDescription, Exception> {
        let request = DescribeGroupsRequest { groups: vec![group.clone()], ..Default::default() };
        let first = |groups: &[DescribedGroup]| groups.first().map_or(0, |group| group.error_code);
        let (coordinator, response) =
            self.call_coordinator("describeConsumerGroups", group, &request, |response| {
                first(&response.groups)
            })?;
        let Some(described) = response.groups.into_iter().find(|described| described.group_id == *group)
        else {
            let message = format!("No consumer group found for GroupId: {group}");
            return Err(Exception::of_error(ErrorCode::InvalidGroupId, Some(&message)));
        };
        check(described.error_code, None)?;
        if !described.protocol_type.is_empty() && &*described.protocol_type != CONSUMER {
            let kind = described.protocol_type;
            let message = format!("GroupId {group} is not a consumer group ({kind}).");
            return Err(Exception::illegal_argument(message));
        }
        let mut members = Vec::new();
        for member in described.members {
            let mut partitions = partitions_of(member.member_assignment)?;
            partitions.sort();
            members.push(MemberDescription {
                id: member.member_id,
                instance_id: member.group_instance_id,
                client_id: member.client_id,
                host: member.client_host,
                partitions,
            });
        }
        members.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(GroupDescription {
            id: described.group_id,
            coordinator,
            state: described.group_state,
            assignor: described.protocol_data,
            members,
        })
    }

    /// What a group committed.
    pub fn committed_offsets(&mut self, group: &ByteString) -> Result<Offsets, Exception> {
        let request = OffsetFetchRequest { group_id: group.clone(), topics: None, ..Default::default() };
        let (_, response) =
            self.call_coordinator("listConsumerGroupOffsets", group, &request, |response| {
                response.error_code
            })?;
        check(response.error_code, None)?;
        let mut offsets = Offsets::new();
        for topic in response.topics {
            for partition in topic.partitions {
                if partition.error_code == 0 && partition.committed_offset >= 0 {
                    let key =
                        TopicPartition { topic: topic.name.clone(), partition: partition.partition_index };
                    offsets.insert(key, partition.committed_offset);
                }
            }
        }
        Ok(offsets)
    }

    /// Commits in the name of a group without members.
    pub fn commit_offsets(
        &mut self,
        group: &ByteString,
        offsets: &[(TopicPartition, Offset)],
    ) -> Result<(), Exception> {
        let mut topics: BTreeMap<ByteString, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
        for (key, offset) in offsets {
            topics.entry(key.topic.clone()).or_default().push(OffsetCommitRequestPartition {
                partition_index: key.partition,
                committed_offset: *offset,
                committed_metadata: Some(ByteString::new()),
                ..Default::default()
            });
        }
        let topic = |(name, partitions)| OffsetCommitRequestTopic { name, partitions, ..Default::default() };
        let request = OffsetCommitRequest {
            group_id: group.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        let (_, response) = self.call_coordinator("commitOffsets", group, &request, |response| {
            let mut codes = response
                .topics
                .iter()
                .flat_map(|topic| topic.partitions.iter().map(|partition| partition.error_code));
            codes.find(|code| is_passing(ErrorCode::from_code(*code))).unwrap_or(0)
        })?;
        for topic in response.topics {
            for partition in topic.partitions {
                check(partition.error_code, None)?;
            }
        }
        Ok(())
    }

    /// Deletes a group without members.
    pub fn delete_group(&mut self, group: &ByteString) -> Result<(), Exception> {
        let request = DeleteGroupsRequest { groups_names: vec![group.clone()], ..Default::default() };
        let (_, response) = self.call_coordinator("deleteConsumerGroups", group, &request, |response| {
            response.results.first().map_or(0, |result| result.error_code)
        })?;
        response.results.iter().try_for_each(|result| check(result.error_code, None))
    }

    /// Deletes committed offsets. Fails as a whole, or tells of each partition.
    pub fn delete_offsets(
        &mut self,
        group: &ByteString,
        partitions: &[TopicPartition],
    ) -> Result<Outcomes, Exception> {
        let mut topics: BTreeMap<ByteString, Vec<OffsetDeleteRequestPartition>> = BTreeMap::new();
        for key in partitions {
            let partition =
                OffsetDeleteRequestPartition { partition_index: key.partition, ..Default::default() };
            topics.entry(key.topic.clone()).or_default().push(partition);
        }
        let topic = |(name, partitions)| OffsetDeleteRequestTopic { name, partitions, ..Default::default() };
        let request = OffsetDeleteRequest {
            group_id: group.clone(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        let (_, response) =
            self.call_coordinator("offsetDelete", group, &request, |response| response.error_code)?;
        check(response.error_code, None)?;
        let mut outcomes = Outcomes::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let key = TopicPartition { topic: topic.name.clone(), partition: partition.partition_index };
                outcomes.push((key, check(partition.error_code, None)));
            }
        }
        Ok(outcomes)
    }

    /// Where partitions stand at a timestamp (or [`super::offsets::LATEST`], `EARLIEST`); -1: nothing is as young.
    pub fn offsets_at(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
    ) -> Result<Offsets, Exception> {
        let mut attempts = self.begin("listOffsets");
        let mut offsets = Offsets::new();
        let mut open = partitions.to_vec();
        loop {
            let mut cause = String::new();
            let by_leader = self.by_leader(&open, timestamp, &attempts)?;
            attempts.made += 1;
            for (leader, asked) in by_leader {
                let deadline_ms = attempts.deadline_ms;
                let found = match list_offsets(self.network(), leader, &asked, false, deadline_ms) {
                    Ok(found) => found,
                    Err(error) => {
                        cause = error.to_string();
                        continue;
                    }
                };
                for (topic, partition, outcome) in found {
                    let key = TopicPartition { topic, partition };
                    match outcome {
                        Ok(offset) => drop(offsets.insert(key, offset)),
                        Err(code) if crate::tools::exception::is_retriable(code) => {
                            cause = code.message().to_string();
                        }
                        Err(code) => return Err(Exception::of_error(code, None)),
                    }
                }
            }
            open.retain(|key| !offsets.contains_key(key));
            if open.is_empty() {
                return Ok(offsets);
            }
            self.pause(&attempts, &cause)?;
        }
    }

    /// The partitions by leader, asked for until all topics are known.
    fn by_leader(
        &mut self,
        partitions: &[TopicPartition],
        timestamp: i64,
        attempts: &Attempts,
    ) -> Result<AskedByLeader, Exception> {
        let mut names: Vec<ByteString> = partitions.iter().map(|key| key.topic.clone()).collect();
        names.sort();
        names.dedup();
        if names.is_empty() {
            return Ok(AskedByLeader::new());
        }
        let deadline_ms = attempts.deadline_ms;
        let mut attempts = self.begin("metadata");
        attempts.deadline_ms = deadline_ms;
        let response = loop {
            attempts.made += 1;
            let Some(response) = self.network().metadata(Some(&names), false, attempts.deadline_ms) else {
                return Err(self.no_node(&attempts));
            };
            let codes = response.topics.iter().flat_map(|topic| {
                let of_partitions = topic.partitions.iter().map(|partition| partition.error_code);
                std::iter::once(topic.error_code).chain(of_partitions)
            });
            let mut codes = codes.map(ErrorCode::from_code);
            let Some(code) = codes.find(|code| needs_new_metadata(*code)) else { break response };
            self.pause(&attempts, code.message())?;
        };
        let mut by_leader = AskedByLeader::new();
        for key in partitions {
            let topic = response.topics.iter().find(|topic| topic.name == key.topic);
            check(topic.map_or(0, |topic| topic.error_code), None)?;
            let leader = topic
                .and_then(|topic| topic.partitions.iter().find(|row| row.partition_index == key.partition))
                .map(|row| row.leader_id)
                .filter(|leader| *leader >= 0)
                .ok_or_else(|| Exception::of_error(ErrorCode::LeaderNotAvailable, None))?;
            by_leader.entry(leader).or_default().push((key.topic.clone(), key.partition, timestamp));
        }
        Ok(by_leader)
    }
}

/// What 1.1.1 says when no broker answers.
fn no_answer(bootstrap: &[Address]) -> Exception {
    let node = |(i, address): (usize, &Address)| format!("{address} (id: -{} rack: null)", i + 1);
    let nodes = bootstrap.iter().enumerate().map(node).collect::<Vec<_>>().join(", ");
    let message = format!("Request METADATA failed on brokers List({nodes})");
    Exception::new("java.lang.RuntimeException", message)
}

/// Errors of a coordinator that is not ready or moved.
fn is_passing(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::CoordinatorLoadInProgress | ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator
    )
}
