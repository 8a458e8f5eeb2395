//! OffsetForLeaderEpoch, versions 0-4 (KIP-101, KIP-279, KIP-320).
//!
//! An epoch that the log does not know is -1 without an error.

use crate::common::ErrorCode;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::{not_hosted_code, partition_error_code};
use crate::protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse, OffsetForLeaderPartition,
    OffsetForLeaderTopicResult,
};
use crate::replication::PartitionError;

/// From this version on the answer names the epoch.
const EPOCH_VERSION_MIN: i16 = 1;

/// Answers every partition.
pub fn handle(
    broker: &Broker,
    call: &Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut response = OffsetForLeaderEpochResponse::default();
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|asked| {
            let mut answer = EpochEndOffset { partition: asked.partition, ..Default::default() };
            match look_up(broker, &topic.topic, asked) {
                Ok(Some((epoch, end_offset))) => {
                    answer.leader_epoch = if call.version >= EPOCH_VERSION_MIN { epoch } else { -1 };
                    answer.end_offset = end_offset;
                }
                Ok(None) => {}
                Err(code) => answer.error_code = code.code(),
            }
            answer
        });
        let partitions = partitions.collect();
        response.topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions,
            ..Default::default()
        });
    }
    response
}

fn look_up(
    broker: &Broker,
    topic: &str,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<(i32, i64)>, ErrorCode> {
    let partition = broker
        .replicas
        .find(topic, asked.partition)
        .ok_or_else(|| not_hosted_code(&broker.metadata.current(), topic, asked.partition))?;
    let found = partition.with_state(|state| {
        state.check_leader(asked.current_leader_epoch)?;
        let log = state.log.as_ref().ok_or(PartitionError::StorageFailed)?;
        if asked.leader_epoch == state.machine.leader_epoch() {
            return Ok(Some((asked.leader_epoch, log.log_end_offset())));
        }
        Ok(log.end_offset_for_epoch(asked.leader_epoch))
    });
    found.map_err(|error| partition_error_code(&error))
}
