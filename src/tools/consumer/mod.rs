//! A consumer: a member of a group that reads the partitions it is given, or a reader of partitions from
//! places on. It follows their leaders, and commits where its caller stands.
//!
//! Everything happens inside of [`Consumer::poll`], in steps that never wait longer than a slice; only
//! heartbeats are sent by a thread of their own.

mod assignor;
mod decode;
mod fetcher;
mod group;
mod link;
mod membership;
mod meter;
mod offsets;
mod positions;
pub mod settings;
mod sticky;

pub use decode::ConsumerRecord;
pub use membership::partitions_of;
pub use offsets::{Place, Places};
pub use settings::ConsumerSettings;

use super::client::Network;
use super::client::topic_errors::warn_of_topic_errors;
use super::exception::Exception;
use super::include_list::IncludeList;
use super::metrics::Metrics;
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition, clock, topic_name};
use crate::protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use bytestring::ByteString;
use fetcher::InFlight;
use group::Group;
use meter::Meter;
use positions::{Position, Positions};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Steps of a poll are bounded by this, so that everything gets its turn.
const SLICE_MS: i64 = 100;
const WAKEUP: &str = "org.apache.kafka.common.errors.WakeupException";

/// What to read.
pub enum Subscription {
    /// These partitions, each from a place, as member of no group.
    Assigned(Vec<(TopicPartition, Start)>),
    /// A member's share of a topic.
    Topic(ByteString),
    /// A member's share of the topics that match.
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

/// What a rebalance changed.
pub enum Rebalance<'a> {
    /// These partitions are no longer the member's.
    Revoked(&'a [TopicPartition]),
    /// These are, from now on.
    Assigned(&'a [TopicPartition]),
}

/// Told of rebalances while they happen.
pub type Listener = Box<dyn FnMut(Rebalance<'_>) + Send>;

/// Leaders by partition of a topic; `None`: no leader.
type Leaders = BTreeMap<ByteString, Vec<Option<BrokerId>>>;

/// Ends a poll from another thread.
#[derive(Clone, Default)]
pub struct Waker(Arc<AtomicBool>);

impl Waker {
    /// The running poll, and every later one, fails with [`is_wakeup`].
    pub fn wake(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// True after [`Waker::wake`].
    pub fn is_awake(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// True if a poll was ended by its [`Waker`].
pub fn is_wakeup(exception: &Exception) -> bool {
    exception.class == WAKEUP
}

/// A running consumer.
pub struct Consumer {
    settings: ConsumerSettings,
    subscription: Subscription,
    network: Network,
    group: Option<Group>,
    leaders: Leaders,
    positions: Positions,
    /// Records that were fetched and not given out.
    ready: VecDeque<ConsumerRecord>,
    /// What the next poll fails with: it came after records.
    failure: Option<Exception>,
    in_flight: HashMap<BrokerId, InFlight>,
    metadata_due_ms: i64,
    metadata_requests: u64,
    lookup_not_before_ms: i64,
    meter: Meter,
    waker: Waker,
}

impl Consumer {
    /// Connects to nobody yet. Fails if a group is needed and not given.
    pub fn new(settings: ConsumerSettings, subscription: Subscription) -> Result<Consumer, Exception> {
        let network = Network::new(settings.client.clone());
        let is_managed = !matches!(subscription, Subscription::Assigned(_));
        if is_managed && settings.group.is_none() {
            return Err(Exception::of_error(
                ErrorCode::InvalidGroupId,
                Some(
                    "To use the group management or offset commit APIs, you must provide a valid group.id in the \
                     consumer configuration.",
                ),
            ));
        }
        let group = settings.group.as_ref().map(|group| Group::new(&settings.client, group, is_managed));
        let mut positions = Positions::new();
        if let Subscription::Assigned(partitions) = &subscription {
            for (key, start) in partitions {
                positions.insert(key.clone(), Position::new(None, false, *start));
            }
        }
        Ok(Consumer {
            settings,
            subscription,
            network,
            group,
            leaders: Leaders::new(),
            positions,
            ready: VecDeque::new(),
            failure: None,
            in_flight: HashMap::new(),
            metadata_due_ms: 0,
            metadata_requests: 0,
            lookup_not_before_ms: 0,
            meter: Meter::new(),
            waker: Waker::default(),
        })
    }

    /// Whom to tell of rebalances.
    pub fn on_rebalance(&mut self, listener: Listener) {
        if let Some(group) = &mut self.group {
            group.listener = Some(listener);
        }
    }

    /// Ends polls from another thread.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Waits up to `timeout_ms` for records, `max.poll.records` of them at most; gives none if there were none.
    pub fn poll(&mut self, timeout_ms: i64) -> Result<Vec<ConsumerRecord>, Exception> {
        let deadline_ms = clock::monotonic_ms().saturating_add(timeout_ms);
        loop {
            if self.waker.is_awake() {
                return Err(Exception::bare(WAKEUP));
            }
            let now = clock::monotonic_ms();
            let slice_end_ms = deadline_ms.min(now + SLICE_MS);
            if now >= self.metadata_due_ms {
                self.update_metadata(slice_end_ms)?;
            }
            let is_settled = self.take_part(slice_end_ms)?;
            if let (true, Some(failure)) = (self.ready.is_empty(), self.failure.take()) {
                return Err(failure);
            }
            if self.ready.is_empty() {
                self.look_up_positions(slice_end_ms)?;
            }
            self.send_fetches(slice_end_ms);
            if self.ready.is_empty() && is_settled {
                self.receive_fetches(slice_end_ms);
            }
            if !self.ready.is_empty() || clock::monotonic_ms() >= deadline_ms {
                return Ok(self.take_ready());
            }
        }
    }

    /// Gives out what is ready.
    fn take_ready(&mut self) -> Vec<ConsumerRecord> {
        let count = self.ready.len().min(self.settings.max_poll_records);
        let records: Vec<ConsumerRecord> = self.ready.drain(..count).collect();
        let mut last: Option<(TopicPartition, &mut Position)> = None;
        for record in &records {
            let is_same = last
                .as_ref()
                .is_some_and(|(key, _)| key.partition == record.partition && key.topic == record.topic);
            if !is_same {
                let key = TopicPartition { topic: record.topic.clone(), partition: record.partition };
                last = self.positions.get_mut(&key).map(|position| (key, position));
            }
            if let Some((_, position)) = &mut last {
                position.consume(record.offset, record.leader_epoch);
            }
        }
        records
    }

    /// What the consumer measured.
    pub fn metrics(&self) -> Metrics {
        self.meter.table(&self.settings.client.client_id, self.positions.len())
    }

    /// Where the caller stands in a partition, if it is known.
    pub fn position(&self, key: &TopicPartition) -> Option<Offset> {
        self.positions.get(key)?.consumed.map(|place| place.offset)
    }

    /// Goes on at `offset`; what was fetched of the partition is dropped.
    pub fn seek(&mut self, key: &TopicPartition, offset: Offset) {
        if let Some(position) = self.positions.get_mut(key) {
            position.go_to(Place { offset, leader_epoch: None });
            self.ready.retain(|record| record.partition != key.partition || record.topic != key.topic);
        }
    }

    fn update_metadata(&mut self, deadline_ms: i64) -> Result<(), Exception> {
        let mut names = match &self.subscription {
            Subscription::Assigned(partitions) => {
                Some(partitions.iter().map(|(key, _)| key.topic.clone()).collect::<BTreeSet<ByteString>>())
            }
            Subscription::Topic(topic) => Some(BTreeSet::from([topic.clone()])),
            Subscription::Matching(_) => None,
        };
        if let (Some(names), Some(group)) = (&mut names, &self.group) {
            names.extend(group.led_topics().cloned());
        }
        let names: Option<Vec<ByteString>> = names.map(|names| names.into_iter().collect());
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

    /// True if the topic is one of those that the caller wants.
    fn wants(&self, topic: &str) -> bool {
        match &self.subscription {
            Subscription::Matching(list) => {
                list.allows(topic, false)
                    && !(self.settings.exclude_internal && topic_name::is_internal(topic))
            }
            Subscription::Topic(name) => **name == *topic,
            Subscription::Assigned(partitions) => partitions.iter().any(|(key, _)| *key.topic == *topic),
        }
    }

    fn take_over(&mut self, response: &MetadataResponse) -> Result<(), Exception> {
        for topic in response.topics.iter().filter(|topic| self.wants(&topic.name)) {
            check_topic(topic)?;
        }
        let mut lacks_leader = false;
        for topic in &response.topics {
            match ErrorCode::from_code(topic.error_code) {
                ErrorCode::None | ErrorCode::LeaderNotAvailable if !topic.partitions.is_empty() => {
                    let leaders = leaders_of(topic);
                    lacks_leader |= leaders.contains(&None) && self.wants(&topic.name);
                    self.leaders.insert(topic.name.clone(), leaders);
                }
                ErrorCode::UnknownTopicOrPartition => drop(self.leaders.remove(&topic.name)),
                _ => {}
            }
        }
        if lacks_leader {
            self.ask_for_metadata_soon();
        }
        for (key, position) in &mut self.positions {
            position.leader = leader_of(&self.leaders, key);
        }
        let subscribed = match &self.subscription {
            Subscription::Matching(_) => {
                self.leaders.keys().filter(|name| self.wants(name)).cloned().collect()
            }
            Subscription::Topic(topic) => BTreeSet::from([topic.clone()]),
            Subscription::Assigned(_) => BTreeSet::new(),
        };
        if let Some(group) = &mut self.group {
            group.subscribed = Some(subscribed);
        }
        Ok(())
    }

    fn ask_for_metadata_soon(&mut self) {
        let soon = clock::monotonic_ms() + self.settings.client.retry_backoff_ms;
        self.metadata_due_ms = self.metadata_due_ms.min(soon);
    }

    /// The bytes of keys and values are the caller's; this ends what is the consumer's: commits if it is told to
    /// commit by itself, leaves the group, and closes the connections.
    pub fn close(mut self) {
        self.leave_group();
    }
}

fn check_topic(topic: &MetadataResponseTopic) -> Result<(), Exception> {
    match ErrorCode::from_code(topic.error_code) {
        code @ ErrorCode::InvalidTopicException => {
            Err(Exception::of_error(code, Some(&format!("Invalid topics: [{}]", topic.name))))
        }
        ErrorCode::TopicAuthorizationFailed => Err(offsets::unauthorized_topics(&[topic.name.to_string()])),
        _ => Ok(()),
    }
}

fn leaders_of(topic: &MetadataResponseTopic) -> Vec<Option<BrokerId>> {
    let mut leaders = vec![None; topic.partitions.len()];
    for partition in &topic.partitions {
        let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
        if let Some(leader) = leaders.get_mut(index) {
            *leader = Some(partition.leader_id).filter(|leader| *leader >= 0);
        }
    }
    leaders
}

fn leader_of(leaders: &Leaders, key: &TopicPartition) -> Option<BrokerId> {
    let index = usize::try_from(key.partition).ok()?;
    leaders.get(&key.topic)?.get(index).copied().flatten()
}
