//! The sending thread: metadata, requests to the leaders, retries, and the word about each record.
//!
//! One request per broker is under way at a time, so batches of a partition never overtake each other.

use super::accumulator::{Batch, PendingRecord, Sequenced};
use super::{Leaders, RecordPlace, Shared, State, TopicState};
use crate::common::{BrokerId, ErrorCode, ProducerEpoch, ProducerId, clock};
use crate::protocol::ApiKey;
use crate::protocol::messages::init_producer_id::InitProducerIdRequest;
use crate::protocol::messages::metadata::{MetadataResponse, MetadataResponseTopic};
use crate::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use crate::tools::client::connection::Pending;
use crate::tools::client::topic_errors::warn_of_topic_errors;
use crate::tools::client::{CallError, Network};
use crate::tools::exception::{Exception, is_retriable, needs_new_metadata};
use crate::tools::output::{Level, log};
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};
use std::sync::PoisonError;
use std::time::Duration;

const LOGGER: &str = "org.apache.kafka.clients.producer.internals.Sender";
/// Metadata is asked for in slices of this length, so that a close is noticed.
const METADATA_SLICE_MS: i64 = 100;
/// The thread looks for work at least this often.
const IDLE_MAX_MS: i64 = 100;

/// Runs until the producer is closed and nothing waits.
pub fn run(shared: &Shared) {
    let mut sender = Sender {
        shared,
        network: Network::new(shared.settings.client.clone()),
        identity: None,
        next_sequence: HashMap::new(),
        metadata_not_before_ms: 0,
        metadata_requests: 0,
    };
    while sender.step() {}
}

struct Sender<'a> {
    shared: &'a Shared,
    network: Network,
    identity: Option<(ProducerId, ProducerEpoch)>,
    next_sequence: HashMap<(ByteString, i32), i32>,
    metadata_not_before_ms: i64,
    metadata_requests: u64,
}

/// Why a request did not go out.
enum Refusal {
    /// The connection broke: the batches are tried again.
    ForNow,
    /// The transaction is spoiled.
    ForGood(Exception),
}

impl From<CallError> for Refusal {
    fn from(_: CallError) -> Refusal {
        Refusal::ForNow
    }
}

/// What the state asks of the thread.
struct Work {
    wanted: Vec<ByteString>,
    by_leader: BTreeMap<BrokerId, Vec<Batch>>,
    expired: Vec<Batch>,
}

impl Sender<'_> {
    /// One round; false at the end.
    fn step(&mut self) -> bool {
        let Some(work) = self.wait_for_work() else { return false };
        for batch in work.expired {
            let age = clock::monotonic_ms() - batch.created_ms;
            let text = format!(
                "Expiring {} record(s) for {}-{}:{age} ms has passed since batch creation",
                batch.records.len(),
                batch.topic,
                batch.partition
            );
            self.fail(batch, &Exception::timeout(text));
        }
        if !work.wanted.is_empty() {
            self.update_metadata(&work.wanted);
        }
        self.produce(work.by_leader);
        true
    }

    fn wait_for_work(&mut self) -> Option<Work> {
        let settings = &self.shared.settings;
        let mut state = self.shared.lock();
        if std::mem::take(&mut state.is_sending) {
            self.shared.changed.notify_all();
        }
        loop {
            let now = clock::monotonic_ms();
            if state.is_closing && state.accumulator.is_empty() {
                return None;
            }
            let expired = state.accumulator.expire(now, settings.delivery_timeout_ms);
            let wanted = self.wanted_topics(&state, now);
            let by_leader = take_ready(&mut state, now, settings.max_request_size);
            if !expired.is_empty() || !wanted.is_empty() || !by_leader.is_empty() {
                state.is_sending = !by_leader.is_empty() || !expired.is_empty();
                self.shared.changed.notify_all();
                return Some(Work { wanted, by_leader, expired });
            }
            let idle = state.accumulator.idle_ms(now).unwrap_or(IDLE_MAX_MS).clamp(1, IDLE_MAX_MS);
            let waited = self.shared.changed.wait_timeout(state, Duration::from_millis(idle as u64));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Topics to ask for: new ones, and those with batches whose partition has no known leader.
    fn wanted_topics(&self, state: &State, now_ms: i64) -> Vec<ByteString> {
        if now_ms < self.metadata_not_before_ms {
            return Vec::new();
        }
        let is_wanted = state
            .topics
            .iter()
            .filter(|(_, topic)| matches!(topic, TopicState::Wanted))
            .map(|(name, _)| name);
        let mut wanted: Vec<ByteString> = is_wanted.cloned().collect();
        let lacks_leader =
            state.accumulator.waits_for_leader(now_ms, state.is_closing || state.is_flushing, |batch| {
                leader_of(&state.topics, batch).is_some()
            });
        if lacks_leader {
            wanted.extend(state.topics.keys().cloned());
            wanted.sort();
            wanted.dedup();
        }
        wanted
    }

    fn update_metadata(&mut self, wanted: &[ByteString]) {
        let deadline_ms = clock::monotonic_ms() + METADATA_SLICE_MS;
        let Some(response) = self.network.metadata(Some(wanted), true, deadline_ms) else {
            // Waiting for the next attempt is not done in there: a close ends it here.
            self.metadata_not_before_ms = self.network.bootstrap_not_before_ms();
            return;
        };
        self.metadata_requests += 1;
        self.metadata_not_before_ms = clock::monotonic_ms() + self.shared.settings.client.retry_backoff_ms;
        self.warn_of_errors(&response);
        let mut state = self.shared.lock();
        for topic in response.topics {
            let known = known_state(&topic);
            state.topics.insert(topic.name, known);
        }
        self.shared.changed.notify_all();
    }

    fn warn_of_errors(&self, response: &MetadataResponse) {
        warn_of_topic_errors(&self.shared.settings.client.name, self.metadata_requests, response);
    }

    fn produce(&mut self, by_leader: BTreeMap<BrokerId, Vec<Batch>>) {
        let mut sent: Vec<(BrokerId, Vec<Batch>, Result<Pending, Refusal>)> = Vec::new();
        for (leader, mut batches) in by_leader {
            let pending = self.send(leader, &mut batches);
            sent.push((leader, batches, pending));
        }
        for (leader, batches, pending) in sent {
            if self.shared.settings.acks == 0 && pending.is_ok() {
                for batch in batches {
                    let partition = batch.partition;
                    finish(batch.records, |_| Ok(RecordPlace { partition, offset: -1 }));
                }
                continue;
            }
            let timeout_ms = self.shared.settings.client.request_timeout_ms;
            let sent_ms = clock::monotonic_ms();
            let answer = pending.and_then(|pending| match self.network.connected(leader) {
                Some(connection) => Ok(connection.receive::<ProduceRequest>(pending, timeout_ms)?),
                None => Err(Refusal::ForNow),
            });
            match answer {
                Err(Refusal::ForGood(exception)) => {
                    batches.into_iter().for_each(|batch| self.fail(batch, &exception));
                }
                Ok(response) => {
                    self.measure_request(&batches, clock::monotonic_ms() - sent_ms, &response);
                    let mut answers: HashMap<(ByteString, i32), PartitionProduceResponse> = HashMap::new();
                    for topic in response.responses {
                        for partition in topic.partition_responses {
                            answers.insert((topic.name.clone(), partition.index), partition);
                        }
                    }
                    for batch in batches {
                        let answer = answers.remove(&(batch.topic.clone(), batch.partition));
                        self.complete(batch, answer);
                    }
                }
                Err(Refusal::ForNow) => {
                    self.network.disconnect(leader);
                    self.forget_leader(leader);
                    for batch in batches {
                        self.complete(batch, None);
                    }
                }
            }
        }
    }

    fn measure_request(&self, batches: &[Batch], latency_ms: i64, response: &ProduceResponse) {
        let mut meter = self.shared.meter();
        meter.latency_ms.record(latency_ms as f64);
        meter.throttle_ms.record(f64::from(response.throttle_time_ms));
        meter
            .records_per_request
            .record(batches.iter().map(|batch| batch.records.len()).sum::<usize>() as f64);
        let now = clock::monotonic_ms();
        for batch in batches {
            meter.queue_ms.record((now - latency_ms - batch.created_ms).max(0) as f64);
            meter.batch_size.record(batch.size as f64);
            let largest = batch.records.iter().map(|record| record.size).max().unwrap_or(0);
            meter.record_size.record(largest as f64);
            let topic = meter.topic(&batch.topic);
            topic.sent += batch.records.len() as i64;
            topic.bytes += batch.size as i64;
        }
    }

    /// Encodes and sends the batches of one leader.
    fn send(&mut self, leader: BrokerId, batches: &mut [Batch]) -> Result<Pending, Refusal> {
        let settings = &self.shared.settings;
        if let Some(mut transactions) = self.shared.transactions() {
            let of_batch = |batch: &Batch| (batch.topic.clone(), batch.partition);
            self.identity = transactions.identity;
            transactions.add(batches.iter().map(of_batch).collect()).map_err(Refusal::ForGood)?;
        } else if settings.is_idempotent && self.identity.is_none() {
            self.identity = Some(self.request_identity()?);
        }
        let deadline_ms = clock::monotonic_ms() + settings.client.request_timeout_ms;
        let version = match self.network.node(leader, deadline_ms) {
            Some(connection) => connection.version_of(ApiKey::Produce)?,
            None => return Err(CallError::TimedOut.into()),
        };
        let magic = match version {
            0 | 1 => 0,
            2 => 1,
            _ => 2,
        };
        let mut topics: BTreeMap<ByteString, Vec<PartitionProduceData>> = BTreeMap::new();
        for batch in batches.iter_mut() {
            if let Some((producer_id, producer_epoch)) = self.identity {
                let next = self.next_sequence.entry((batch.topic.clone(), batch.partition)).or_insert(0);
                batch.sequenced.get_or_insert(Sequenced {
                    producer_id,
                    producer_epoch,
                    base_sequence: *next,
                });
            }
            let records = batch
                .encode(magic, settings.compression, settings.transactional_id.is_some())
                .map_err(|error| {
                    Refusal::ForGood(Exception::new(
                        "org.apache.kafka.common.KafkaException",
                        error.to_string(),
                    ))
                })?;
            let data =
                PartitionProduceData { index: batch.partition, records: Some(records), ..Default::default() };
            topics.entry(batch.topic.clone()).or_default().push(data);
        }
        let topic = |(name, partition_data)| TopicProduceData { name, partition_data, ..Default::default() };
        let request = ProduceRequest {
            transactional_id: settings.transactional_id.clone(),
            acks: settings.acks,
            timeout_ms: i32::try_from(settings.client.request_timeout_ms).unwrap_or(i32::MAX),
            topic_data: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        match self.network.node(leader, deadline_ms) {
            Some(connection) => Ok(connection.send(&request)?),
            None => Err(CallError::TimedOut.into()),
        }
    }

    fn request_identity(&mut self) -> Result<(ProducerId, ProducerEpoch), CallError> {
        let request = InitProducerIdRequest {
            transactional_id: None,
            transaction_timeout_ms: i32::MAX,
            ..Default::default()
        };
        let timeout_ms = self.shared.settings.client.request_timeout_ms;
        let deadline_ms = clock::monotonic_ms() + timeout_ms;
        let Some((id, connection)) = self.network.any(deadline_ms) else { return Err(CallError::TimedOut) };
        match connection.call(&request, timeout_ms) {
            Ok(response) if response.error_code == 0 => Ok((response.producer_id, response.producer_epoch)),
            // Kafka retries until the batches expire; so does the caller.
            Ok(_) => Err(CallError::TimedOut),
            Err(error) => {
                self.network.disconnect(id);
                Err(error)
            }
        }
    }

    /// Ends a batch or puts it back. No answer counts as a lost connection.
    fn complete(&mut self, batch: Batch, answer: Option<PartitionProduceResponse>) {
        let code = match &answer {
            Some(answer) => ErrorCode::from_code(answer.error_code),
            None => ErrorCode::NetworkException,
        };
        let (partition, count) = (batch.partition, batch.records.len() as i32);
        if matches!(code, ErrorCode::None | ErrorCode::DuplicateSequenceNumber) {
            if let Some(next) = self.next_sequence.get_mut(&(batch.topic.clone(), partition)) {
                *next = crate::record::batch::increment_sequence(*next, count);
            }
            let base = answer.map_or(-1, |answer| answer.base_offset);
            let offset = |i| if base < 0 { -1 } else { base + i as i64 };
            finish(batch.records, |i| Ok(RecordPlace { partition, offset: offset(i) }));
            return;
        }
        if code == ErrorCode::MessageTooLarge && batch.records.len() > 1 {
            self.shared.meter().splits += 1;
            let mut state = self.shared.lock();
            return state.accumulator.put_back(batch.split().into_iter());
        }
        if needs_new_metadata(code)
            && let Some(topic) = self.shared.lock().topics.get_mut(&batch.topic)
        {
            *topic = TopicState::Wanted;
        }
        if is_retriable(code) && batch.attempts < self.shared.settings.retries {
            return self.retry(batch, code);
        }
        let message = answer.as_ref().and_then(|answer| answer.error_message.as_deref());
        let exception = match code {
            ErrorCode::TopicAuthorizationFailed => Exception::of_error(
                code,
                Some(&format!("Not authorized to access topics: [{}]", batch.topic)),
            ),
            _ => Exception::of_error(code, message),
        };
        self.fail(batch, &exception);
    }

    /// Ends a batch, and with it the transaction that it belongs to.
    fn fail(&self, batch: Batch, exception: &Exception) {
        if let Some(mut transactions) = self.shared.transactions() {
            transactions.failure.get_or_insert_with(|| exception.clone());
        }
        self.shared.meter().topic(&batch.topic).failed += batch.records.len() as i64;
        finish(batch.records, |_| Err(exception.clone()));
    }

    fn retry(&mut self, mut batch: Batch, code: ErrorCode) {
        let settings = &self.shared.settings;
        let text = format!(
            "[{}] Got error produce response with correlation id {} on topic-partition {}-{}, retrying ({} \
             attempts left). Error: {}",
            settings.client.name,
            self.metadata_requests + batch.attempts as u64 + 1,
            batch.topic,
            batch.partition,
            settings.retries - batch.attempts - 1,
            code.name()
        );
        log(Level::Warn, &text, LOGGER);
        self.shared.meter().topic(&batch.topic).retried += batch.records.len() as i64;
        batch.attempts += 1;
        batch.not_before_ms = clock::monotonic_ms() + settings.client.retry_backoff_ms;
        self.shared.lock().accumulator.put_back([batch].into_iter());
    }

    /// A broker that went: its topics are asked for again.
    fn forget_leader(&mut self, leader: BrokerId) {
        for topic in self.shared.lock().topics.values_mut() {
            if matches!(topic, TopicState::Known(leaders) if leaders.contains(&Some(leader))) {
                *topic = TopicState::Wanted;
            }
        }
    }
}

fn known_state(topic: &MetadataResponseTopic) -> TopicState {
    match ErrorCode::from_code(topic.error_code) {
        ErrorCode::None => {
            let mut leaders: Leaders = vec![None; topic.partitions.len()];
            for partition in &topic.partitions {
                let index = usize::try_from(partition.partition_index).unwrap_or(usize::MAX);
                if index < leaders.len() {
                    leaders[index] = Some(partition.leader_id).filter(|leader| *leader >= 0);
                }
            }
            TopicState::Known(leaders)
        }
        code @ ErrorCode::InvalidTopicException => {
            TopicState::Invalid(Exception::of_error(code, Some(&format!("Invalid topics: [{}]", topic.name))))
        }
        code @ ErrorCode::TopicAuthorizationFailed => TopicState::Invalid(Exception::of_error(
            code,
            Some(&format!("Not authorized to access topics: [{}]", topic.name)),
        )),
        _ => TopicState::Wanted,
    }
}

fn leader_of(topics: &HashMap<ByteString, TopicState>, batch: &Batch) -> Option<BrokerId> {
    match topics.get(&batch.topic) {
        Some(TopicState::Known(leaders)) => {
            leaders.get(usize::try_from(batch.partition).ok()?).copied().flatten()
        }
        _ => None,
    }
}

/// Batches that are due, by leader, each request within `max_request_size`.
fn take_ready(state: &mut State, now_ms: i64, max_request_size: i64) -> BTreeMap<BrokerId, Vec<Batch>> {
    let is_urgent = state.is_closing || state.is_flushing;
    let State { topics, accumulator, .. } = state;
    let mut sizes: HashMap<BrokerId, i64> = HashMap::new();
    let batches = accumulator.drain(now_ms, is_urgent, |batch| {
        let Some(leader) = leader_of(topics, batch) else { return false };
        let size = sizes.entry(leader).or_insert(0);
        if *size > 0 && *size + batch.size as i64 > max_request_size {
            return false;
        }
        *size += batch.size as i64;
        true
    });
    let mut by_leader: BTreeMap<BrokerId, Vec<Batch>> = BTreeMap::new();
    for batch in batches {
        if let Some(leader) = leader_of(topics, &batch) {
            by_leader.entry(leader).or_default().push(batch);
        }
    }
    by_leader
}

fn finish(records: Vec<PendingRecord>, outcome: impl Fn(usize) -> Result<RecordPlace, Exception>) {
    for (i, record) in records.into_iter().enumerate() {
        (record.callback)(outcome(i));
    }
}
