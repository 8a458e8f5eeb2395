//! A consumer without a group: it reads partitions from a position on, and follows their leaders.

mod decode;
pub mod settings;

pub use decode::ConsumerRecord;
pub use settings::ConsumerSettings;

use super::client::Network;
use super::client::connection::Pending;
use super::client::offsets::{EARLIEST, LATEST, list_offsets};
use super::client::topic_errors::warn_of_topic_errors;
use super::exception::Exception;
use super::include_list::IncludeList;
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition, clock, topic_name};
use crate::protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchablePartitionResponse,
};
use crate::protocol::messages::metadata::MetadataResponse;
use bytestring::ByteString;
use settings::Reset;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Steps of a poll are bounded by this, so that everything gets its turn.
const SLICE_MS: i64 = 100;

/// What to read.
pub enum Subscription {
    /// These partitions, each from a place.
    Assigned(Vec<(TopicPartition, Start)>),
    /// All partitions of a topic.
    Topic(ByteString),
    /// All partitions of the topics that match.
    Matching(IncludeList),
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the log's beginning.
    Earliest,
    /// At its end.
    Latest,
    /// At an offset.
    At(Offset),
}

/// What is known of a partition that is read.
struct Position {
    leader: Option<BrokerId>,
    /// The next offset; `None` until it is looked up.
    next: Option<Offset>,
    /// Where to look it up.
    start: Start,
    /// True while an answer about it is under way.
    is_fetching: bool,
}

/// A fetch under way.
struct InFlight {
    pending: Pending,
    partitions: Vec<TopicPartition>,
    deadline_ms: i64,
}

/// A running consumer.
pub struct Consumer {
    settings: ConsumerSettings,
    subscription: Subscription,
    network: Network,
    positions: BTreeMap<TopicPartition, Position>,
    in_flight: HashMap<BrokerId, InFlight>,
    metadata_due_ms: i64,
    metadata_requests: u64,
}

impl Consumer {
    /// Connects to nobody yet.
    pub fn new(settings: ConsumerSettings, subscription: Subscription) -> Consumer {
        let network = Network::new(settings.client.clone());
        Consumer {
            settings,
            subscription,
            network,
            positions: BTreeMap::new(),
            in_flight: HashMap::new(),
            metadata_due_ms: 0,
            metadata_requests: 0,
        }
    }

    /// Waits up to `timeout_ms` for records; gives none if there were none.
    pub fn poll(&mut self, timeout_ms: i64) -> Result<Vec<ConsumerRecord>, Exception> {
        let deadline_ms = clock::monotonic_ms().saturating_add(timeout_ms);
        loop {
            let now = clock::monotonic_ms();
            let slice_end_ms = deadline_ms.min(now + SLICE_MS);
            if now >= self.metadata_due_ms {
                self.update_metadata(slice_end_ms)?;
            }
            self.look_up_positions(slice_end_ms)?;
            self.send_fetches(slice_end_ms);
            let records = self.receive_fetches(slice_end_ms)?;
            if !records.is_empty() || clock::monotonic_ms() >= deadline_ms {
                return Ok(records);
            }
        }
    }

    /// The next offset of a partition, if it is known.
    pub fn position(&self, key: &TopicPartition) -> Option<Offset> {
        self.positions.get(key)?.next
    }

    fn update_metadata(&mut self, deadline_ms: i64) -> Result<(), Exception> {
        let names = match &self.subscription {
            Subscription::Assigned(partitions) => {
                let topics: BTreeSet<&ByteString> = partitions.iter().map(|(key, _)| &key.topic).collect();
                Some(topics.into_iter().cloned().collect())
            }
            Subscription::Topic(topic) => Some(vec![topic.clone()]),
            Subscription::Matching(_) => None,
        };
        let may_create = self.settings.allow_auto_create;
        let Some(response) = self.network.metadata(names.as_deref(), may_create, deadline_ms) else {
            return Ok(());
        };
        self.metadata_requests += 1;
        let is_whole = response.topics.iter().all(|topic| topic.error_code == 0);
        let now = clock::monotonic_ms();
        self.metadata_due_ms = now
            + if is_whole {
                self.settings.metadata_max_age_ms
            } else {
                self.settings.client.retry_backoff_ms
            };
        if names.is_some() {
            warn_of_topic_errors(&self.settings.client.name, self.metadata_requests, &response);
        }
        self.take_over(&response)
    }

    fn take_over(&mut self, response: &MetadataResponse) -> Result<(), Exception> {
        for topic in &response.topics {
            let is_meant = match &self.subscription {
                Subscription::Matching(list) => {
                    list.allows(&topic.name, false)
                        && !(self.settings.exclude_internal && topic_name::is_internal(&topic.name))
                }
                _ => true,
            };
            if !is_meant {
                continue;
            }
            let name = &topic.name;
            match ErrorCode::from_code(topic.error_code) {
                code @ ErrorCode::InvalidTopicException => {
                    return Err(Exception::of_error(code, Some(&format!("Invalid topics: [{name}]"))));
                }
                code @ ErrorCode::TopicAuthorizationFailed => {
                    let message = format!("Not authorized to access topics: [{name}]");
                    return Err(Exception::of_error(code, Some(&message)));
                }
                _ => {}
            }
            for partition in &topic.partitions {
                let key = TopicPartition { topic: name.clone(), partition: partition.partition_index };
                let start = match &self.subscription {
                    Subscription::Assigned(partitions) => {
                        match partitions.iter().find(|(name, _)| *name == key) {
                            Some((_, start)) => *start,
                            None => continue,
                        }
                    }
                    _ if self.settings.reset == Reset::None => return Err(no_offset(&key)),
                    _ => self.settings.reset_start(),
                };
                let leader = Some(partition.leader_id).filter(|leader| *leader >= 0);
                if leader.is_none() {
                    self.ask_for_metadata_soon();
                }
                let next = match start {
                    Start::At(offset) => Some(offset),
                    _ => None,
                };
                let fresh = Position { leader, next, start, is_fetching: false };
                self.positions.entry(key).or_insert(fresh).leader = leader;
            }
        }
        Ok(())
    }

    fn ask_for_metadata_soon(&mut self) {
        let soon = clock::monotonic_ms() + self.settings.client.retry_backoff_ms;
        self.metadata_due_ms = self.metadata_due_ms.min(soon);
    }

    fn look_up_positions(&mut self, deadline_ms: i64) -> Result<(), Exception> {
        let mut by_leader: BTreeMap<BrokerId, Vec<(ByteString, i32, i64)>> = BTreeMap::new();
        for (key, position) in &self.positions {
            if let (Some(leader), None, false) = (position.leader, position.next, position.is_fetching)
                && !self.in_flight.contains_key(&leader)
            {
                let timestamp = if position.start == Start::Latest { LATEST } else { EARLIEST };
                by_leader.entry(leader).or_default().push((key.topic.clone(), key.partition, timestamp));
            }
        }
        for (leader, asked) in by_leader {
            let committed = self.settings.read_committed;
            let Ok(found) = list_offsets(&mut self.network, leader, &asked, committed, deadline_ms) else {
                self.ask_for_metadata_soon();
                continue;
            };
            for (topic, partition, outcome) in found {
                match outcome {
                    Ok(offset) => {
                        if let Some(position) = self.positions.get_mut(&TopicPartition { topic, partition }) {
                            position.next = Some(offset.max(0));
                        }
                    }
                    Err(code @ ErrorCode::TopicAuthorizationFailed) => {
                        let message = format!("Not authorized to access topics: [{topic}]");
                        return Err(Exception::of_error(code, Some(&message)));
                    }
                    Err(_) => self.ask_for_metadata_soon(),
                }
            }
        }
        Ok(())
    }

    /// Asks every leader that is not asked already for what comes next in its partitions.
    fn send_fetches(&mut self, deadline_ms: i64) {
        let mut by_leader: BTreeMap<BrokerId, Vec<(TopicPartition, Offset)>> = BTreeMap::new();
        for (key, position) in &self.positions {
            if let (Some(leader), Some(next), false) = (position.leader, position.next, position.is_fetching)
                && !self.in_flight.contains_key(&leader)
            {
                by_leader.entry(leader).or_default().push((key.clone(), next));
            }
        }
        for (leader, wanted) in by_leader {
            let request = self.fetch_request(&wanted);
            let sent = match self.network.node(leader, deadline_ms) {
                Some(connection) => connection.send(&request).ok(),
                None => None,
            };
            let Some(pending) = sent else {
                self.network.disconnect(leader);
                self.ask_for_metadata_soon();
                continue;
            };
            let partitions: Vec<TopicPartition> = wanted.into_iter().map(|(key, _)| key).collect();
            for key in &partitions {
                if let Some(position) = self.positions.get_mut(key) {
                    position.is_fetching = true;
                }
            }
            let deadline_ms = clock::monotonic_ms() + self.settings.client.request_timeout_ms;
            self.in_flight.insert(leader, InFlight { pending, partitions, deadline_ms });
        }
    }

    fn fetch_request(&self, wanted: &[(TopicPartition, Offset)]) -> FetchRequest {
        let mut topics: BTreeMap<ByteString, Vec<FetchPartition>> = BTreeMap::new();
        for (key, offset) in wanted {
            topics.entry(key.topic.clone()).or_default().push(FetchPartition {
                partition: key.partition,
                fetch_offset: *offset,
                partition_max_bytes: self.settings.max_partition_fetch_bytes,
                ..Default::default()
            });
        }
        let topic = |(topic, partitions)| FetchTopic { topic, partitions, ..Default::default() };
        FetchRequest {
            replica_id: -1,
            max_wait_ms: self.settings.fetch_max_wait_ms,
            min_bytes: self.settings.fetch_min_bytes,
            max_bytes: self.settings.fetch_max_bytes,
            isolation_level: self.settings.read_committed.into(),
            topics: topics.into_iter().map(topic).collect(),
            rack_id: self.settings.rack.clone(),
            ..Default::default()
        }
    }

    /// Waits until a broker answers, at most until the deadline, and takes every answer that is there.
    fn receive_fetches(&mut self, deadline_ms: i64) -> Result<Vec<ConsumerRecord>, Exception> {
        let leaders: Vec<BrokerId> = self.in_flight.keys().copied().collect();
        let mut waiting: Vec<(BrokerId, libc::pollfd)> = Vec::new();
        for leader in leaders {
            match self.network.connected(leader) {
                Some(connection) => {
                    let fd = connection.fd();
                    waiting.push((leader, libc::pollfd { fd, events: libc::POLLIN, revents: 0 }));
                }
                None => self.give_up(leader),
            }
        }
        let left = (deadline_ms - clock::monotonic_ms()).clamp(0, SLICE_MS) as i32;
        let mut fds: Vec<libc::pollfd> = waiting.iter().map(|(_, fd)| *fd).collect();
        // SAFETY: `fds` is a valid array of its length; the call writes `revents` only.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, left) };
        let mut records = Vec::new();
        for ((leader, _), fd) in waiting.into_iter().zip(fds) {
            let Some(in_flight) = self.in_flight.get(&leader) else { continue };
            if fd.revents == 0 {
                if clock::monotonic_ms() > in_flight.deadline_ms {
                    self.give_up(leader);
                }
                continue;
            }
            let (pending, timeout_ms) = (in_flight.pending, self.settings.client.request_timeout_ms);
            let answer = match self.network.connected(leader) {
                Some(connection) => connection.receive::<FetchRequest>(pending, timeout_ms).ok(),
                None => None,
            };
            match answer {
                Some(response) => {
                    self.end_fetch(leader);
                    self.take_fetched(response, &mut records)?;
                }
                None => self.give_up(leader),
            }
        }
        Ok(records)
    }

    fn end_fetch(&mut self, leader: BrokerId) {
        for key in self.in_flight.remove(&leader).map(|fetch| fetch.partitions).unwrap_or_default() {
            if let Some(position) = self.positions.get_mut(&key) {
                position.is_fetching = false;
            }
        }
    }

    fn give_up(&mut self, leader: BrokerId) {
        self.end_fetch(leader);
        self.network.disconnect(leader);
        self.ask_for_metadata_soon();
    }

    fn take_fetched(
        &mut self,
        response: FetchResponse,
        records: &mut Vec<ConsumerRecord>,
    ) -> Result<(), Exception> {
        for topic in response.responses {
            for partition in topic.partition_responses {
                let key = TopicPartition { topic: topic.topic.clone(), partition: partition.partition };
                self.take_partition(key, partition, records)?;
            }
        }
        Ok(())
    }

    fn take_partition(
        &mut self,
        key: TopicPartition,
        partition: FetchablePartitionResponse,
        records: &mut Vec<ConsumerRecord>,
    ) -> Result<(), Exception> {
        let Some(position) = self.positions.get_mut(&key) else { return Ok(()) };
        let Some(next) = position.next else { return Ok(()) };
        match ErrorCode::from_code(partition.error_code) {
            ErrorCode::None => {
                position.next = Some(decode::records(&self.settings, &key, next, partition, records)?);
            }
            ErrorCode::OffsetOutOfRange => match self.settings.reset {
                Reset::None => {
                    return Err(Exception::new(
                        "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
                        format!(
                            "Fetch position {next} is out of range for partition {key}, and no reset policy is configured"
                        ),
                    ));
                }
                _ => {
                    position.start = self.settings.reset_start();
                    position.next = None;
                }
            },
            code @ ErrorCode::TopicAuthorizationFailed => {
                let message = format!("Not authorized to access topics: [{}]", key.topic);
                return Err(Exception::of_error(code, Some(&message)));
            }
            code @ ErrorCode::CorruptMessage => {
                return Err(Exception::new(
                    "org.apache.kafka.common.KafkaException",
                    format!(
                        "Encountered corrupt message when fetching offset {next} for topic-partition {key}"
                    ),
                )
                .caused_by(Exception::of_error(code, None)));
            }
            _ => self.ask_for_metadata_soon(),
        }
        Ok(())
    }
}

fn no_offset(key: &TopicPartition) -> Exception {
    Exception::new(
        "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
        format!("Undefined offset with no reset policy for partitions: [{key}]"),
    )
}
