//! Positions that are looked up, fetches that go out, and answers that come in.

use super::offsets::{Place, unauthorized_topics};
use super::settings::Reset;
use super::{Consumer, SLICE_MS, Start, decode};
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition, clock};
use crate::protocol::Records as RecordSet;
use crate::protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchablePartitionResponse,
};
use crate::tools::client::connection::Pending;
use crate::tools::client::offsets::{EARLIEST, LATEST, list_offsets};
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// A fetch under way: what was asked for, from which offset on.
pub struct InFlight {
    pending: Pending,
    partitions: BTreeMap<TopicPartition, Offset>,
    sent_ms: i64,
    deadline_ms: i64,
}

impl Consumer {
    pub(super) fn look_up_positions(&mut self, deadline_ms: i64) -> Result<(), Exception> {
        self.look_up_committed()?;
        let mut by_leader: BTreeMap<BrokerId, Vec<(ByteString, i32, i64)>> = BTreeMap::new();
        let mut lost = Vec::new();
        for (key, position) in &self.positions {
            if position.next.is_some() || position.wants_committed || position.is_fetching {
                continue;
            }
            if self.settings.reset == Reset::None && self.is_shared() {
                lost.push(key.to_string());
            }
            if let Some(leader) = position.leader.filter(|leader| !self.in_flight.contains_key(leader)) {
                let timestamp = if position.start == Start::Latest { LATEST } else { EARLIEST };
                by_leader.entry(leader).or_default().push((key.topic.clone(), key.partition, timestamp));
            }
        }
        if !lost.is_empty() {
            return Err(no_offset(&lost));
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
                            position.go_to(Place { offset: offset.max(0), leader_epoch: None });
                        }
                    }
                    Err(ErrorCode::TopicAuthorizationFailed) => {
                        return Err(unauthorized_topics(&[topic.to_string()]));
                    }
                    Err(_) => self.ask_for_metadata_soon(),
                }
            }
        }
        Ok(())
    }

    /// True if the partitions are a share that a group gave.
    fn is_shared(&self) -> bool {
        !matches!(self.subscription, super::Subscription::Assigned(_))
    }

    /// Asks every leader that is not asked already for what comes next in its partitions.
    pub(super) fn send_fetches(&mut self, deadline_ms: i64) {
        let mut by_leader: BTreeMap<BrokerId, BTreeMap<TopicPartition, Offset>> = BTreeMap::new();
        for (key, position) in &self.positions {
            if let (Some(leader), Some(next)) = (position.leader, position.to_fetch())
                && !self.in_flight.contains_key(&leader)
            {
                by_leader.entry(leader).or_default().insert(key.clone(), next);
            }
        }
        for (leader, partitions) in by_leader {
            let request = self.fetch_request(&partitions);
            let sent = match self.network.node(leader, deadline_ms) {
                Some(connection) => connection.send(&request).ok(),
                None => None,
            };
            let Some(pending) = sent else {
                self.network.disconnect(leader);
                self.ask_for_metadata_soon();
                continue;
            };
            for key in partitions.keys() {
                if let Some(position) = self.positions.get_mut(key) {
                    position.is_fetching = true;
                }
            }
            let sent_ms = clock::monotonic_ms();
            let deadline_ms = sent_ms + self.settings.client.request_timeout_ms;
            self.in_flight.insert(leader, InFlight { pending, partitions, sent_ms, deadline_ms });
        }
    }

    fn fetch_request(&self, wanted: &BTreeMap<TopicPartition, Offset>) -> FetchRequest {
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

    /// Waits until a broker answers, at most until the deadline, and takes every answer that is there. What goes
    /// wrong is kept until what came before it was given out.
    pub(super) fn receive_fetches(&mut self, deadline_ms: i64) {
        let leaders: Vec<BrokerId> = self.in_flight.keys().copied().collect();
        let mut waiting: Vec<(BrokerId, libc::pollfd)> = Vec::new();
        let mut is_any_here = false;
        for leader in leaders {
            let pending = self.in_flight.get(&leader).map(|fetch| fetch.pending);
            match (self.network.connected(leader), pending) {
                (Some(connection), Some(pending)) => {
                    is_any_here |= connection.has_received(pending);
                    let fd = connection.fd();
                    waiting.push((leader, libc::pollfd { fd, events: libc::POLLIN, revents: 0 }));
                }
                _ => self.give_up(leader),
            }
        }
        let left = (deadline_ms - clock::monotonic_ms()).clamp(0, SLICE_MS) as i32;
        let left = if is_any_here { 0 } else { left };
        let mut fds: Vec<libc::pollfd> = waiting.iter().map(|(_, fd)| *fd).collect();
        // SAFETY: `fds` is a valid array of its length; the call writes `revents` only.
        unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, left) };
        for ((leader, _), fd) in waiting.into_iter().zip(fds) {
            self.receive_fetch(leader, fd.revents != 0);
        }
    }

    fn receive_fetch(&mut self, leader: BrokerId, is_readable: bool) {
        let Some(in_flight) = self.in_flight.get(&leader) else { return };
        let (pending, is_late) = (in_flight.pending, clock::monotonic_ms() > in_flight.deadline_ms);
        let timeout_ms = self.settings.client.request_timeout_ms;
        let answer = match self.network.connected(leader) {
            Some(connection) if is_readable || connection.has_received(pending) => {
                connection.receive::<FetchRequest>(pending, timeout_ms).ok()
            }
            Some(_) if !is_late => return,
            _ => None,
        };
        match answer {
            Some(response) => {
                let now = clock::monotonic_ms();
                let sent_ms = self.in_flight.get(&leader).map_or(now, |fetch| fetch.sent_ms);
                self.meter.fetch_ms.record((now - sent_ms) as f64);
                self.meter.throttle_ms.record(f64::from(response.throttle_time_ms));
                let asked = self.end_fetch(leader);
                let taken = self.take_fetched(response, &asked);
                if let Err(failure) = taken {
                    self.failure.get_or_insert(failure);
                }
            }
            None => self.give_up(leader),
        }
    }

    fn end_fetch(&mut self, leader: BrokerId) -> BTreeMap<TopicPartition, Offset> {
        let asked = self.in_flight.remove(&leader).map(|fetch| fetch.partitions).unwrap_or_default();
        for key in asked.keys() {
            if let Some(position) = self.positions.get_mut(key) {
                position.is_fetching = false;
            }
        }
        asked
    }

    fn give_up(&mut self, leader: BrokerId) {
        self.end_fetch(leader);
        self.network.disconnect(leader);
        self.ask_for_metadata_soon();
    }

    fn take_fetched(
        &mut self,
        response: FetchResponse,
        asked: &BTreeMap<TopicPartition, Offset>,
    ) -> Result<(), Exception> {
        let before = self.ready.len();
        let mut bytes = 0;
        for topic in response.responses {
            let before = self.ready.len();
            let mut bytes_of_topic = 0;
            for partition in topic.partition_responses {
                let key = TopicPartition { topic: topic.topic.clone(), partition: partition.partition };
                bytes_of_topic += partition.record_set.as_ref().map_or(0, RecordSet::size_bytes);
                if let Some(offset) = asked.get(&key) {
                    self.take_partition(key, *offset, partition)?;
                }
            }
            bytes += bytes_of_topic;
            let sums = self.meter.topics.entry(topic.topic).or_default();
            sums.0 += (self.ready.len() - before) as i64;
            sums.1 += bytes_of_topic as i64;
        }
        self.meter.fetch_records.record((self.ready.len() - before) as f64);
        self.meter.fetch_bytes.record(bytes as f64);
        Ok(())
    }

    fn take_partition(
        &mut self,
        key: TopicPartition,
        offset: Offset,
        partition: FetchablePartitionResponse,
    ) -> Result<(), Exception> {
        // A partition that was given up, or whose position moved meanwhile, is none of this answer's business.
        let Some(position) = self.positions.get_mut(&key) else { return Ok(()) };
        if position.next != Some(offset) || position.buffered > 0 {
            return Ok(());
        }
        match ErrorCode::from_code(partition.error_code) {
            ErrorCode::None => {
                let before = self.ready.len();
                let taken = decode::records(&self.settings, &key, offset, partition, &mut self.ready);
                position.buffered = self.ready.len() - before;
                match taken {
                    Ok(next) => position.skip_to(next),
                    Err(failure) => {
                        if let Some(last) = self.ready.back().filter(|_| position.buffered > 0) {
                            position.next = Some(last.offset + 1);
                        }
                        return Err(failure);
                    }
                }
            }
            ErrorCode::OffsetOutOfRange => match self.settings.reset {
                Reset::None => {
                    return Err(Exception::new(
                        "org.apache.kafka.clients.consumer.OffsetOutOfRangeException",
                        format!(
                            "Fetch position {offset} is out of range for partition {key}, and no reset policy is \
                             configured"
                        ),
                    ));
                }
                _ => {
                    position.start = self.settings.reset_start();
                    position.next = None;
                    position.consumed = None;
                }
            },
            ErrorCode::TopicAuthorizationFailed => {
                return Err(unauthorized_topics(&[key.topic.to_string()]));
            }
            code @ ErrorCode::CorruptMessage => {
                return Err(Exception::new(
                    "org.apache.kafka.common.KafkaException",
                    format!(
                        "Encountered corrupt message when fetching offset {offset} for topic-partition {key}"
                    ),
                )
                .caused_by(Exception::of_error(code, None)));
            }
            _ => self.ask_for_metadata_soon(),
        }
        Ok(())
    }
}

fn no_offset(partitions: &[String]) -> Exception {
    Exception::new(
        "org.apache.kafka.clients.consumer.NoOffsetForPartitionException",
        format!("Undefined offset with no reset policy for partitions: [{}]", partitions.join(", ")),
    )
}
