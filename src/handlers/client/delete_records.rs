//! DeleteRecords, versions 0-2 (KIP-107).
//!
//! Offset -1 is the high watermark. The answer waits until the logs of all replicas on live brokers begin there, or
//! until the time is over: REQUEST_TIMED_OUT, although the leader has deleted. Source: Kafka 2.8.2,
//! `DelayedDeleteRecords.scala`.

use crate::common::topic_name::is_internal;
use crate::common::{ErrorCode, Offset, clock};
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::{not_hosted_code, partition_error_code};
use crate::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use crate::replication::{Partition, PartitionError};
use std::sync::Arc;

const TO_HIGH_WATERMARK: i64 = -1;
const FAILED: i64 = -1;

/// A partition whose leader has deleted.
struct Deleted {
    /// Its place in the response.
    place: (usize, usize),
    partition: Arc<Partition>,
    /// Where all logs have to begin, at least.
    required: Offset,
}

/// Moves the log starts.
pub async fn handle(broker: Arc<Broker>, _: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(i64::from(request.timeout_ms)));
    let deleting = Arc::clone(&broker);
    let done = tokio::task::spawn_blocking(move || delete(&deleting, request)).await;
    let (mut response, deleted) = done.unwrap_or_default();
    for Deleted { place: (topic, at), partition, required } in deleted {
        let result = &mut response.topics[topic].partitions[at];
        let waited = wait_for_followers(&broker, &partition, required);
        let code = match tokio::time::timeout_at(deadline, waited).await {
            Ok(Ok(low_watermark)) => {
                result.low_watermark = low_watermark;
                ErrorCode::None
            }
            Ok(Err(error)) => {
                result.low_watermark = FAILED;
                partition_error_code(&error)
            }
            Err(_) => ErrorCode::RequestTimedOut,
        };
        result.error_code = code.code();
    }
    response
}

async fn wait_for_followers(
    broker: &Broker,
    partition: &Partition,
    required: Offset,
) -> Result<Offset, PartitionError> {
    let moves = partition.low_watermark_moves();
    let mut cluster = broker.metadata.subscribe();
    loop {
        let mut moved = std::pin::pin!(moves.notified());
        // Before the look, so that nothing is missed.
        moved.as_mut().enable();
        let live = broker.metadata.current();
        let low_watermark = partition.low_watermark(|id| live.brokers.contains_key(&id))?;
        if low_watermark >= required {
            return Ok(low_watermark);
        }
        tokio::select! {
            () = moved => {}
            // A broker that is gone does not count.
            Ok(()) = cluster.changed() => {}
        }
    }
}

fn delete(broker: &Broker, request: DeleteRecordsRequest) -> (DeleteRecordsResponse, Vec<Deleted>) {
    let (mut response, mut deleted) = (DeleteRecordsResponse::default(), Vec::new());
    for topic in request.topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in &topic.partitions {
            let mut result = DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark: FAILED,
                ..Default::default()
            };
            match delete_one(broker, &topic.name, asked) {
                Ok((partition, required)) => {
                    let live = broker.metadata.current();
                    let known = partition.low_watermark(|id| live.brokers.contains_key(&id));
                    result.low_watermark = known.unwrap_or(FAILED);
                    let place = (response.topics.len(), partitions.len());
                    deleted.push(Deleted { place, partition, required });
                }
                Err(code) => result.error_code = code.code(),
            }
            partitions.push(result);
        }
        response.topics.push(DeleteRecordsTopicResult { name: topic.name, partitions, ..Default::default() });
    }
    (response, deleted)
}

/// Gives where the log has to begin.
fn delete_one(
    broker: &Broker,
    topic: &str,
    asked: &DeleteRecordsPartition,
) -> Result<(Arc<Partition>, Offset), ErrorCode> {
    if is_internal(topic) {
        return Err(ErrorCode::InvalidTopicException);
    }
    let partition = broker
        .replicas
        .find(topic, asked.partition_index)
        .ok_or_else(|| not_hosted_code(&broker.metadata.current(), topic, asked.partition_index))?;
    let moved = partition.with_state(|state| {
        state.check_leader(-1)?;
        let high_watermark = state.machine.high_watermark().offset;
        let log = state.log.as_mut().ok_or(PartitionError::StorageFailed)?;
        if !log.config().delete {
            return Ok(Err(ErrorCode::PolicyViolation));
        }
        if asked.offset < TO_HIGH_WATERMARK {
            return Ok(Err(ErrorCode::OffsetOutOfRange));
        }
        let offset = if asked.offset == TO_HIGH_WATERMARK { high_watermark } else { asked.offset };
        log.advance_log_start_offset(offset, high_watermark).map_err(PartitionError::Read)?;
        Ok(Ok(offset))
    });
    partition.wake_watches();
    let required = moved.map_err(|error| partition_error_code(&error))??;
    Ok((partition, required))
}
