//! TxnOffsetCommit, versions 0-3: offsets that become visible when their transaction commits. Version 3 says which member
//! commits (KIP-447). Producer id and epoch are judged by the log alone.

use super::{answer_commit, is_known};
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::config::IbpVersion;
use crate::coordinator::group::coordinator::Committing;
use crate::coordinator::group::membership::MemberRef;
use crate::coordinator::group::offsets::CommittedOffset;
use crate::coordinator::group::shard::CommitRequest;
use crate::handlers::dispatch::{Broker, Call};
use crate::network::Dispatch;
use crate::protocol::messages::txn_offset_commit::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestTopic, TxnOffsetCommitResponse,
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use std::sync::Arc;

/// Producers that speak older versions fall over COORDINATOR_LOAD_IN_PROGRESS (KAFKA-7296).
const LOADING_VERSION_MIN: i16 = 2;

/// Judges, then waits until the offsets are in the log.
pub fn handle(broker: &Arc<Broker>, call: Call, request: TxnOffsetCommitRequest) -> Dispatch {
    let now_ms = clock::now_ms();
    let (mut known, mut offsets) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        for asked in &topic.partitions {
            let partition = TopicPartition::new(topic.name.clone(), asked.partition_index);
            known.push(is_known(broker, &partition));
            if known.last() == Some(&true) {
                let committed = CommittedOffset {
                    offset: asked.committed_offset,
                    leader_epoch: Some(asked.committed_leader_epoch).filter(|epoch| *epoch != -1),
                    metadata: asked.committed_metadata.clone().unwrap_or_default(),
                    commit_timestamp_ms: now_ms,
                    expire_timestamp_ms: None,
                };
                offsets.push((partition, committed));
            }
        }
    }
    let committing = if broker.config.inter_broker_protocol_version < IbpVersion::V0_11_0_IV0 {
        known = vec![true; known.len()];
        Committing::Done(vec![ErrorCode::UnsupportedVersion; known.len()])
    } else if offsets.is_empty() {
        Committing::Done(Vec::new())
    } else {
        let commit = CommitRequest {
            member: MemberRef { member_id: request.member_id, instance_id: request.group_instance_id },
            generation: request.generation_id,
            producer: Some((request.producer_id, request.producer_epoch)),
            offsets,
        };
        broker.groups.commit(&request.group_id, commit)
    };
    let (topics, version) = (request.topics, call.version);
    answer_commit(call, known, committing, move |codes| respond(topics, codes, version))
}

fn respond(
    topics: Vec<TxnOffsetCommitRequestTopic>,
    codes: Vec<ErrorCode>,
    version: i16,
) -> TxnOffsetCommitResponse {
    let told = |code: ErrorCode| match code {
        ErrorCode::CoordinatorLoadInProgress if version < LOADING_VERSION_MIN => {
            ErrorCode::CoordinatorNotAvailable
        }
        code => code,
    };
    let mut codes = codes.into_iter().map(told);
    let topic = |topic: TxnOffsetCommitRequestTopic| TxnOffsetCommitResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| TxnOffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: codes.next().unwrap_or_default().code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    TxnOffsetCommitResponse { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
}
