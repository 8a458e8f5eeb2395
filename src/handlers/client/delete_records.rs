//! DeleteRecords, versions 0-2 (KIP-107).
//!
//! Offset -1 is the high watermark. The answer waits for the leader alone: with several replicas Kafka also
//! waits until the followers' log starts have moved, which comes with replication.

use crate::common::ErrorCode;
use crate::common::topic_name::is_internal;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::{not_hosted_code, partition_error_code};
use crate::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use crate::replication::PartitionError;
use std::sync::Arc;

const TO_HIGH_WATERMARK: i64 = -1;
const FAILED: i64 = -1;

/// Moves the log starts.
pub async fn handle(broker: Arc<Broker>, _: Call, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let work = move || delete(&broker, request);
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn delete(broker: &Broker, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut response = DeleteRecordsResponse::default();
    for topic in request.topics.into_iter().filter(|topic| !topic.partitions.is_empty()) {
        let partitions = topic.partitions.iter().map(|asked| {
            let (low_watermark, code) = match delete_one(broker, &topic.name, asked) {
                Ok(low_watermark) => (low_watermark, ErrorCode::None),
                Err(code) => (FAILED, code),
            };
            DeleteRecordsPartitionResult {
                partition_index: asked.partition_index,
                low_watermark,
                error_code: code.code(),
                ..Default::default()
            }
        });
        let partitions = partitions.collect();
        response.topics.push(DeleteRecordsTopicResult { name: topic.name, partitions, ..Default::default() });
    }
    response
}

fn delete_one(broker: &Broker, topic: &str, asked: &DeleteRecordsPartition) -> Result<i64, ErrorCode> {
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
        Ok(Ok(log.log_start_offset()))
    });
    partition.wake_watches();
    moved.map_err(|error| partition_error_code(&error))?
}
