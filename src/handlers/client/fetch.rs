//! Fetch, versions 0-12.
//!
//! Versions 0-2 cut hard at the partition's limit; 3 brings the limit of the whole answer and at least one
//! batch (KIP-74), 4 read_committed (KIP-98), 7 sessions (KIP-227), 9 leader epochs (KIP-320), 11 racks
//! (KIP-392), 12 divergence. Batches in formats that a version cannot carry are converted down (0-1: magic 0,
//! 2-3: magic 1). A follower (`replica_id` of a broker) reads to the end of the log, and its fetch offset says how far it has
//! come. Consumers of version 11 are sent to a replica in their rack, if `replica.selector.class` says so (KIP-392).

use super::down_conversion;
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::partition_error_code;
use crate::handlers::throttle::client_of;
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::fetch::{
    AbortedTransaction, EpochEndOffset, FetchRequest, FetchResponse, FetchablePartitionResponse,
    FetchableTopicResponse,
};
use crate::protocol::{Frame, Records};
use crate::replication::fetch::{FetchError, FetchLimits, Location, PartitionAnswer, PartitionRequest};
use crate::replication::fetch_session::{Fetched, NO_SESSION, SessionError, SessionRequest};
use crate::replication::partition::Reader;
use crate::storage::LogRead;
use bytes::Bytes;
use std::sync::Arc;

/// From this version on clients know KAFKA_STORAGE_ERROR.
const STORAGE_ERROR_VERSION_MIN: i16 = 6;
/// From this version on the first batch is returned whole.
const ONE_BATCH_VERSION_MIN: i16 = 3;
/// From this version on clients know zstd (KIP-110).
const ZSTD_VERSION_MIN: i16 = 10;
/// From this version on consumers may read from any replica (KIP-392).
const ANY_REPLICA_VERSION_MIN: i16 = 11;
const READ_COMMITTED: i8 = 1;

/// Starts a fetch, or continues its session.
pub fn handle(broker: &Arc<Broker>, call: Call, request: FetchRequest) -> Dispatch {
    let hard_limit = call.version < ONE_BATCH_VERSION_MIN;
    let asked_max = if hard_limit { i32::MAX } else { request.max_bytes };
    let is_follower = request.replica_id >= 0;
    let is_bounded = !is_follower && broker.quotas.fetch.is_enabled();
    let mut bytes_max = size(asked_max.min(broker.config.fetch_max_bytes));
    if is_bounded {
        // More could never go out.
        bytes_max = bytes_max.min(broker.quotas.fetch.at_once_max(client_of(&call.client_id)) as usize);
    }
    let limits = FetchLimits {
        bytes_min: size(request.min_bytes).min(bytes_max),
        bytes_max,
        one_batch_at_least: !hard_limit,
        read_committed: request.isolation_level == READ_COMMITTED,
        from_any_replica: call.version >= ANY_REPLICA_VERSION_MIN && request.replica_id < 0,
        location: location(broker, &call, &request),
    };
    let wait_ms_max = i64::from(request.max_wait_ms);
    let is_new = request.session_epoch == 0;
    let session = session_request(request);
    let read_committed = limits.read_committed;
    match broker.sessions.fetch(session, limits, wait_ms_max) {
        Err(error) => {
            let code = match error {
                SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
                SessionError::WrongEpoch => ErrorCode::InvalidFetchSessionEpoch,
            };
            Dispatch::reply(call.respond(&FetchResponse { error_code: code.code(), ..Default::default() }))
        }
        Ok(wait) => {
            let broker = Arc::clone(broker);
            Dispatch::Pending(Box::pin(async move {
                let fetched = wait.await;
                if is_follower {
                    count_throttled(&broker, &fetched);
                }
                let response = respond(&broker, &call, read_committed, fetched).await;
                let frame = call.respond(&response);
                match is_bounded.then(|| held_back(&broker, &call, &frame, is_new, &response)).flatten() {
                    Some(throttled) => throttled,
                    None => Outcome::Reply(frame),
                }
            }))
        }
    }
}

/// Where the consumer is, if it matters.
fn location(broker: &Broker, call: &Call, request: &FetchRequest) -> Option<Arc<Location>> {
    let matters = request.replica_id < 0 && !request.rack_id.is_empty() && broker.config.reads_near();
    matters.then(|| {
        let listener = call.connection.listener.clone();
        Arc::new(Location { rack: request.rack_id.clone(), listener })
    })
}

fn size(value: i32) -> usize {
    value.max(0) as usize
}

fn session_request(request: FetchRequest) -> SessionRequest {
    let mut partitions = Vec::new();
    for topic in request.topics {
        for partition in topic.partitions {
            partitions.push(PartitionRequest {
                topic: topic.topic.clone(),
                partition: partition.partition,
                current_leader_epoch: partition.current_leader_epoch.max(-1),
                fetch_offset: partition.fetch_offset,
                last_fetched_epoch: partition.last_fetched_epoch,
                bytes_max: size(partition.partition_max_bytes),
                log_start_offset: partition.log_start_offset,
            });
        }
    }
    let forgotten = request
        .forgotten_topics_data
        .into_iter()
        .flat_map(|topic| topic.partitions.into_iter().map(move |partition| (topic.topic.clone(), partition)))
        .collect();
    SessionRequest {
        session_id: request.session_id,
        session_epoch: request.session_epoch,
        partitions,
        forgotten,
        reader: if request.replica_id >= 0 { Reader::Follower(request.replica_id) } else { Reader::Consumer },
    }
}

/// The client has had too much: nothing instead of the answer, and nothing has been told or counted.
fn held_back(
    broker: &Broker,
    call: &Call,
    frame: &Frame,
    is_new: bool,
    response: &FetchResponse,
) -> Option<Outcome> {
    let (client, now_ms) = (client_of(&call.client_id), clock::monotonic_ms());
    let bytes = frame.size_bytes as f64;
    let throttle_ms = broker.quotas.fetch.record(client, bytes, now_ms);
    if throttle_ms == 0 {
        return None;
    }
    broker.quotas.fetch.take_back(client, bytes, now_ms);
    let told = response.responses.iter().flat_map(|topic| {
        topic.partition_responses.iter().map(|partition| (&topic.topic, partition.partition))
    });
    broker.sessions.take_back(response.session_id, is_new, told);
    let nothing = FetchResponse {
        throttle_time_ms: i32::try_from(throttle_ms).unwrap_or(i32::MAX),
        error_code: response.error_code,
        session_id: if is_new { NO_SESSION } else { response.session_id },
        ..Default::default()
    };
    Some(Outcome::Throttled(Box::new((Some(call.respond(&nothing)), throttle_ms))))
}

/// Followers in sync count, too: it is the whole traffic that is bounded.
fn count_throttled(broker: &Broker, fetched: &Fetched) {
    let quota = &broker.replicas.quotas.leader;
    if !quota.is_in_use() {
        return;
    }
    let size = |answer: &PartitionAnswer| {
        let name = TopicPartition { topic: answer.topic.clone(), partition: answer.partition };
        answer.read.as_ref().filter(|_| quota.is_throttled(&name)).map_or(0, LogRead::size_bytes)
    };
    let bytes = fetched.answers.iter().map(size).sum();
    quota.record(bytes, clock::monotonic_ms());
}

async fn respond(broker: &Broker, call: &Call, read_committed: bool, fetched: Fetched) -> FetchResponse {
    let code = if fetched.overtaken { ErrorCode::InvalidFetchSessionEpoch } else { ErrorCode::None };
    let mut response =
        FetchResponse { session_id: fetched.session_id, error_code: code.code(), ..Default::default() };
    for answer in fetched.answers {
        // As in Kafka, the order of the partitions wins over one element for each topic.
        if response.responses.last().is_none_or(|topic| topic.topic != answer.topic) {
            let topic = FetchableTopicResponse { topic: answer.topic.clone(), ..Default::default() };
            response.responses.push(topic);
        }
        let partition = partition_response(broker, call, read_committed, answer).await;
        let topic = response.responses.last_mut().expect("pushed above");
        topic.partition_responses.push(partition);
    }
    response
}

async fn partition_response(
    broker: &Broker,
    call: &Call,
    read_committed: bool,
    answer: PartitionAnswer,
) -> FetchablePartitionResponse {
    let code = error_code(call, &answer);
    if code != ErrorCode::None {
        return failed(answer.partition, code);
    }
    let settings = (call.version < ZSTD_VERSION_MIN)
        .then(|| broker.replicas.find(&answer.topic, answer.partition))
        .flatten()
        .map(|partition| partition.settings());
    if settings.as_ref().is_some_and(|settings| settings.compresses_with_zstd()) {
        return failed(answer.partition, ErrorCode::UnsupportedCompressionType);
    }
    let mut partition = FetchablePartitionResponse {
        partition: answer.partition,
        high_watermark: answer.high_watermark,
        last_stable_offset: answer.last_stable_offset,
        log_start_offset: answer.log_start_offset,
        // With read_committed a list in any case, but for a client that must cut its log.
        aborted_transactions: (read_committed && answer.diverging.is_none()).then(Vec::new),
        record_set: Some(Records::Memory(Bytes::new())),
        ..Default::default()
    };
    if let Some(id) = answer.preferred_replica {
        partition.preferred_read_replica = id;
    }
    if let Some((epoch, end_offset)) = answer.diverging {
        partition.diverging_epoch = EpochEndOffset { epoch, end_offset, ..Default::default() };
    }
    let Some(read) = answer.read else { return partition };
    if let Some(aborted) = &read.aborted_transactions {
        let one = |t: &crate::storage::AbortedTransaction| AbortedTransaction {
            producer_id: t.producer_id,
            first_offset: t.first_offset,
            ..Default::default()
        };
        partition.aborted_transactions = Some(aborted.iter().map(one).collect());
    }
    let Some(slice) = read.records else { return partition };
    let Some(magic_max) = down_conversion::magic_max(call.version) else {
        partition.record_set = Some(Records::File(slice));
        return partition;
    };
    let allowed = settings.is_none_or(|settings| settings.converts_down);
    match down_conversion::convert(slice, magic_max, read.start.offset, allowed).await {
        Ok(records) => partition.record_set = Some(records),
        Err(code) => return failed(answer.partition, code),
    }
    partition
}

fn failed(partition: i32, code: ErrorCode) -> FetchablePartitionResponse {
    FetchablePartitionResponse {
        partition,
        error_code: code.code(),
        high_watermark: -1,
        last_stable_offset: -1,
        log_start_offset: -1,
        aborted_transactions: None,
        record_set: Some(Records::Memory(Bytes::new())),
        ..Default::default()
    }
}

fn error_code(call: &Call, answer: &PartitionAnswer) -> ErrorCode {
    let code = match &answer.error {
        None => ErrorCode::None,
        Some(FetchError::Refused(error)) => partition_error_code(error),
        Some(FetchError::NotHosted) => ErrorCode::NotLeaderOrFollower,
        Some(FetchError::Unknown) => ErrorCode::UnknownTopicOrPartition,
    };
    if code == ErrorCode::KafkaStorageError && call.version < STORAGE_ERROR_VERSION_MIN {
        return ErrorCode::NotLeaderOrFollower;
    }
    code
}
