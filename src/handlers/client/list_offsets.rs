//! ListOffsets, versions 0-6.
//!
//! -1 is the latest offset (high watermark, or last stable offset under read_committed), -2 the earliest, else
//! the first record with at least that timestamp. Version 0 lists segment starts, newest first; 4 fences by
//! leader epoch (KIP-320). Replica id -2 (debugging) may ask a replica that does not lead.

use crate::common::{ErrorCode, clock};
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::{not_hosted_code, partition_error_code};
use crate::protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use crate::replication::PartitionError;
use crate::replication::partition::PartitionState;
use crate::storage::{Log, LogPosition};
use std::collections::HashSet;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const READ_COMMITTED: i8 = 1;
const DEBUGGING_REPLICA: i32 = -2;
const CONSUMER_REPLICA: i32 = -1;
const EPOCH_VERSION_MIN: i16 = 4;
/// Offsets that version 0 may ask for.
const OLD_STYLE_OFFSETS_MAX: usize = 1 << 16;

struct Question {
    version: i16,
    replica_id: i32,
    read_committed: bool,
}

/// Answers every partition.
pub fn handle(broker: &Broker, call: &Call, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let question = Question {
        version: call.version,
        replica_id: request.replica_id,
        read_committed: request.isolation_level == READ_COMMITTED,
    };
    let mut seen = HashSet::new();
    let mut duplicates = HashSet::new();
    for topic in &request.topics {
        for partition in &topic.partitions {
            let name = (topic.name.clone(), partition.partition_index);
            if !seen.insert(name.clone()) {
                duplicates.insert(name);
            }
        }
    }
    let mut response = ListOffsetsResponse::default();
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in &topic.partitions {
            let is_duplicate =
                call.version > 0 && duplicates.contains(&(topic.name.clone(), partition.partition_index));
            let answered = if is_duplicate {
                Err(ErrorCode::InvalidRequest)
            } else {
                answer(broker, &question, &topic.name, partition)
            };
            partitions.push(answered.unwrap_or_else(|code| failed(partition.partition_index, code)));
        }
        response.topics.push(ListOffsetsTopicResponse { name: topic.name, partitions, ..Default::default() });
    }
    response
}

fn failed(partition_index: i32, code: ErrorCode) -> ListOffsetsPartitionResponse {
    ListOffsetsPartitionResponse { partition_index, error_code: code.code(), ..Default::default() }
}

fn answer(
    broker: &Broker,
    question: &Question,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, ErrorCode> {
    let partition = broker
        .replicas
        .find(topic, asked.partition_index)
        .ok_or_else(|| not_hosted_code(&broker.metadata.current(), topic, asked.partition_index))?;
    let found = partition.with_state(|state| look_up(state, question, asked));
    found.map_err(|error| partition_error_code(&error))
}

fn look_up(
    state: &mut PartitionState,
    question: &Question,
    asked: &ListOffsetsPartition,
) -> Result<ListOffsetsPartitionResponse, PartitionError> {
    match state.check_leader(asked.current_leader_epoch) {
        Err(PartitionError::NotLeader) if question.replica_id == DEBUGGING_REPLICA => {}
        checked => checked?,
    }
    let high_watermark = state.machine.high_watermark();
    let leader_epoch = state.machine.leader_epoch();
    let log = state.log.as_mut().ok_or(PartitionError::StorageFailed)?;
    let upper = upper_bound(log, question, high_watermark);
    let mut response =
        ListOffsetsPartitionResponse { partition_index: asked.partition_index, ..Default::default() };
    if question.version == 0 {
        response.old_style_offsets = old_style(log, asked, question, upper)?;
        return Ok(response);
    }
    match asked.timestamp {
        LATEST => {
            response.offset = upper.offset;
            response.leader_epoch = leader_epoch;
        }
        EARLIEST => {
            response.offset = log.log_start_offset();
            let first = log.leader_epochs().first().filter(|(_, start)| *start <= response.offset);
            response.leader_epoch = first.map_or(-1, |(epoch, _)| *epoch);
        }
        timestamp => {
            let found = log.offset_for_timestamp(timestamp).map_err(PartitionError::Read)?;
            if let Some(found) = found.filter(|found| found.offset < upper.offset) {
                response.timestamp = found.timestamp;
                response.offset = found.offset;
                response.leader_epoch = found.leader_epoch;
            }
        }
    }
    if question.version < EPOCH_VERSION_MIN {
        response.leader_epoch = -1;
    }
    Ok(response)
}

/// How far this client may see.
fn upper_bound(log: &mut Log, question: &Question, high_watermark: LogPosition) -> LogPosition {
    if question.replica_id != CONSUMER_REPLICA {
        log.log_end()
    } else if question.read_committed {
        log.last_stable_offset(high_watermark)
    } else {
        high_watermark
    }
}

fn old_style(
    log: &Log,
    asked: &ListOffsetsPartition,
    question: &Question,
    upper: LogPosition,
) -> Result<Vec<i64>, PartitionError> {
    let wanted = (asked.max_num_offsets.max(0) as usize).min(OLD_STYLE_OFFSETS_MAX);
    let offsets = log
        .legacy_offsets_before(asked.timestamp, wanted, clock::now_ms())
        .map_err(|error| PartitionError::Read(error.into()))?;
    if question.replica_id != CONSUMER_REPLICA || !offsets.iter().any(|offset| *offset > upper.offset) {
        return Ok(offsets);
    }
    // A consumer sees the high watermark instead of what lies beyond it.
    let below = offsets.into_iter().filter(|offset| *offset < upper.offset);
    Ok(std::iter::once(upper.offset).chain(below).take(wanted).collect())
}
