//! Produce, versions 0-9.
//!
//! Dispatch: every partition's batches are validated here, off any lock, and put in line; completion: the
//! answer forms when all partitions have answered. Versions 0-2 take any message format, from 3 on exactly
//! one v2 batch per partition (KIP-98); 7 brings zstd (KIP-110), 8 errors per record (KIP-467).

use crate::common::topic_name::is_internal;
use crate::common::{ErrorCode, Offset};
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::{not_hosted_code, partition_error_code};
use crate::network::{Dispatch, Outcome};
use crate::protocol::messages::produce::{
    BatchIndexAndErrorMessage, PartitionProduceData, PartitionProduceResponse, ProduceRequest,
    ProduceResponse, TopicProduceResponse,
};
use crate::record::batch::{BatchError, is_transactional, size_and_magic};
use crate::record::validator::{PreparedBatches, RecordError, RequestFormat, prepare_client_records};
use crate::replication::partition::{Append, Appender, RequiredAcks};
use crate::replication::ticket::{AppendResult, Ticket, TicketWait};
use crate::replication::{Partition, PartitionError};
use crate::storage::Log;
use bytestring::ByteString;
use log::debug;
use smallvec::SmallVec;
use std::sync::Arc;

/// Only coordinators write internal topics; an admin client may, too (KAFKA-6569).
const ADMIN_CLIENT_ID: &str = "__admin_client";
/// From this version on clients know KAFKA_STORAGE_ERROR.
const STORAGE_ERROR_VERSION_MIN: i16 = 4;

/// Place of a partition in the response.
type Place = (usize, usize);

/// Of every slot of the ticket: where its answer goes, and its partition.
type Places = SmallVec<[Option<(Place, Arc<Partition>)>; 1]>;

/// A partition that accepted its batches for now.
struct Accepted {
    place: Place,
    partition: Arc<Partition>,
    append: Append,
}

/// Dispatches a produce.
pub fn handle(broker: &Arc<Broker>, call: Call, request: ProduceRequest) -> Dispatch {
    let partitions = request.topic_data.iter().map(|topic| topic.partition_data.len()).sum();
    let timeout_ms = i64::from(request.timeout_ms);
    let acks = match request.acks {
        -1 => Ok(RequiredAcks::All),
        0 => Ok(RequiredAcks::None),
        1 => Ok(RequiredAcks::Leader),
        _ => Err(ErrorCode::InvalidRequiredAcks),
    };
    let silent = request.acks == 0;
    if let Err(refusal) = check_heads(&request) {
        return Dispatch::Done(finish(&call, silent, refuse_all(request, &refusal)));
    }
    let ticket = Ticket::new(partitions);
    let (mut response, accepted) = prepare(broker, &call, request, acks, &ticket);
    let mut places: Places = SmallVec::from_elem(None, partitions);
    let mut refused = partitions;
    for Accepted { place, partition, append } in accepted {
        let slot = append.slot;
        refused -= 1;
        partition.enqueue(append);
        places[slot] = Some((place, partition));
    }
    if refused == partitions {
        return Dispatch::Done(finish(&call, silent, response));
    }
    for (slot, place) in places.iter().enumerate() {
        if place.is_none() {
            // Its answer stands in the response already.
            ticket.complete(slot, Err(PartitionError::TimedOut));
        }
    }
    let timeout_ms = (acks == Ok(RequiredAcks::All)).then_some(timeout_ms);
    let wait = TicketWait::new(ticket, timeout_ms);
    Dispatch::Pending(Box::pin(async move {
        let results = wait.await;
        for (place, result) in places.into_iter().zip(results) {
            if let (Some(((topic, at), partition)), Some(result)) = (place, result) {
                fill(
                    &mut response.responses[topic].partition_responses[at],
                    result,
                    &partition,
                    call.version,
                );
            }
        }
        finish(&call, silent, response)
    }))
}

/// What Kafka sees of the first batches before it looks at any partition (`RequestUtils.hasTransactionalRecords`): an
/// error concerns the whole request.
fn check_heads(request: &ProduceRequest) -> Result<(), Refusal> {
    for data in request.topic_data.iter().flat_map(|topic| &topic.partition_data) {
        let Some(records) = &data.records else { continue };
        match size_and_magic(records) {
            Err(error @ (BatchError::SizeTooSmall(_) | BatchError::InvalidMagic(_))) => {
                let message = Some(error.to_string());
                return Err(Refusal { message, ..Refusal::from(ErrorCode::CorruptMessage) });
            }
            // Kafka adds to the size field in 32 bits.
            Ok((size_bytes, _)) if i32::try_from(size_bytes).is_err() => {
                return Err(ErrorCode::UnknownServerError.into());
            }
            Ok((size_bytes, 2))
                if size_bytes <= records.len()
                    && request.transactional_id.is_none()
                    && is_transactional(records) =>
            {
                return Err(ErrorCode::TransactionalIdAuthorizationFailed.into());
            }
            _ => {}
        }
    }
    Ok(())
}

fn refuse_all(request: ProduceRequest, refusal: &Refusal) -> ProduceResponse {
    let refuse = |data: PartitionProduceData| {
        let mut answer =
            PartitionProduceResponse { index: data.index, base_offset: -1, ..Default::default() };
        refusal.clone().write(&mut answer);
        answer
    };
    let topics = request.topic_data.into_iter().filter(|topic| !topic.partition_data.is_empty());
    let responses = topics.map(|topic| TopicProduceResponse {
        name: topic.name,
        partition_responses: topic.partition_data.into_iter().map(refuse).collect(),
        ..Default::default()
    });
    ProduceResponse { responses: responses.collect(), ..Default::default() }
}

fn finish(call: &Call, silent: bool, response: ProduceResponse) -> Outcome {
    if !silent {
        return Outcome::Reply(call.respond(&response));
    }
    let mut partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    match partitions.find(|partition| partition.error_code != 0) {
        // The only way to tell a client that does not listen.
        Some(failed) => ErrorCode::from_code(failed.error_code).into(),
        None => Outcome::Nothing,
    }
}

fn prepare(
    broker: &Arc<Broker>,
    call: &Call,
    request: ProduceRequest,
    acks: Result<RequiredAcks, ErrorCode>,
    ticket: &Arc<Ticket>,
) -> (ProduceResponse, SmallVec<[Accepted; 1]>) {
    let responses = Vec::with_capacity(request.topic_data.len());
    let mut response = ProduceResponse { responses, ..Default::default() };
    let mut accepted = SmallVec::new();
    let mut slot = 0;
    for topic in request.topic_data {
        if topic.partition_data.is_empty() {
            continue;
        }
        let mut answers = Vec::with_capacity(topic.partition_data.len());
        for data in topic.partition_data {
            let mut answer =
                PartitionProduceResponse { index: data.index, base_offset: -1, ..Default::default() };
            let place = (response.responses.len(), answers.len());
            let attempt = acks.map_err(Refusal::from).and_then(|acks| {
                let (partition, batches) = accept(broker, call, &topic.name, data)?;
                let (appender, ticket) = (Appender::Client, Arc::clone(ticket));
                let append = Append { batches, appender, acks, ticket, slot };
                Ok(Accepted { place, partition, append })
            });
            match attempt {
                Ok(one) => accepted.push(one),
                Err(refusal) => refusal.write(&mut answer),
            }
            answers.push(answer);
            slot += 1;
        }
        response.responses.push(TopicProduceResponse {
            name: topic.name,
            partition_responses: answers,
            ..Default::default()
        });
    }
    (response, accepted)
}

fn accept(
    broker: &Broker,
    call: &Call,
    topic: &ByteString,
    data: PartitionProduceData,
) -> Result<(Arc<Partition>, PreparedBatches), Refusal> {
    if is_internal(topic) && call.client_id.as_deref() != Some(ADMIN_CLIENT_ID) {
        return Err(ErrorCode::InvalidTopicException.into());
    }
    let partition = broker
        .replicas
        .find(topic, data.index)
        .ok_or_else(|| Refusal::from(not_hosted_code(&broker.metadata.current(), topic, data.index)))?;
    let records = data.records.ok_or_else(|| Refusal {
        log_start_offset: log_start_offset(&partition),
        ..Refusal::from(ErrorCode::UnknownServerError)
    })?;
    let settings = partition.settings();
    let rules = settings.rules(request_format(call.version));
    let prepared = prepare_client_records(&records, rules, crate::common::clock::now_ms());
    let batches = prepared.map_err(|error| Refusal::of_records(error, &partition))?;
    Ok((partition, batches))
}

fn request_format(version: i16) -> RequestFormat {
    match version {
        0..=2 => RequestFormat::AnyBatches,
        3..=6 => RequestFormat::OneBatchWithoutZstd,
        _ => RequestFormat::OneBatch,
    }
}

/// A partition's answer that is known at dispatch.
#[derive(Clone)]
struct Refusal {
    code: ErrorCode,
    message: Option<String>,
    record_errors: Vec<(i32, String)>,
    log_start_offset: i64,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Refusal {
        Refusal { code, message: None, record_errors: Vec::new(), log_start_offset: -1 }
    }
}

impl Refusal {
    fn of_records(error: RecordError, partition: &Partition) -> Refusal {
        debug!(target: "kafka.server.ReplicaManager", "Records for {} refused: {}", partition.name, error.reason);
        let log_start_offset = if error.tells_log_start_offset { log_start_offset(partition) } else { -1 };
        let RecordError { code, message, record_errors, .. } = error;
        Refusal { code, message, record_errors, log_start_offset }
    }

    fn write(self, answer: &mut PartitionProduceResponse) {
        answer.error_code = self.code.code();
        answer.log_start_offset = self.log_start_offset;
        answer.error_message = self.message.map(ByteString::from);
        answer.record_errors = self
            .record_errors
            .into_iter()
            .map(|(batch_index, message)| BatchIndexAndErrorMessage {
                batch_index,
                batch_index_error_message: Some(ByteString::from(message)),
                ..Default::default()
            })
            .collect();
    }
}

fn log_start_offset(partition: &Partition) -> Offset {
    partition.with_state(|state| state.log.as_ref().map_or(-1, Log::log_start_offset))
}

fn fill(answer: &mut PartitionProduceResponse, result: AppendResult, partition: &Partition, version: i16) {
    match result {
        Ok(appended) => {
            answer.base_offset = appended.base_offset;
            answer.log_append_time_ms = appended.log_append_time_ms;
            answer.log_start_offset = appended.log_start_offset;
        }
        Err(error) => {
            let mut code = partition_error_code(&error);
            if code == ErrorCode::KafkaStorageError && version < STORAGE_ERROR_VERSION_MIN {
                code = ErrorCode::NotLeaderOrFollower;
            }
            answer.error_code = code.code();
            if tells_log_start_offset(code) {
                answer.log_start_offset = log_start_offset(partition);
            }
        }
    }
}

/// Source: the cases of Kafka 2.8.2 `ReplicaManager.appendToLocalLog`.
fn tells_log_start_offset(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::NotLeaderOrFollower
            | ErrorCode::KafkaStorageError
            | ErrorCode::MessageTooLarge
            | ErrorCode::RecordListTooLarge
            | ErrorCode::CorruptMessage
            | ErrorCode::RequestTimedOut
            | ErrorCode::NotEnoughReplicasAfterAppend
    )
}
