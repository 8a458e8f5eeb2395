//! OffsetCommit, versions 0-8. Version 0 goes to ZooKeeper, whatever the group is; version 1 says when each offset was
//! committed, 2-4 for how long all are kept; version 7 knows static members.

use super::{answer_commit, static_members_allowed};
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::coordinator::group::coordinator::Committing;
use crate::coordinator::group::membership::MemberRef;
use crate::coordinator::group::offsets::CommittedOffset;
use crate::coordinator::group::shard::CommitRequest;
use crate::coordinator::zookeeper_offsets::v0_code;
use crate::handlers::dispatch::{Broker, Call};
use crate::network::Dispatch;
use crate::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use bytestring::ByteString;
use std::sync::Arc;

/// "Now", and "as long as the broker keeps offsets".
const DEFAULT: i64 = -1;

/// Judges, then waits until the offsets are stored.
pub fn handle(broker: &Arc<Broker>, call: Call, request: OffsetCommitRequest) -> Dispatch {
    let topics = request.topics;
    let (known, offsets) = offsets(broker, &topics, request.retention_time_ms);
    let count = offsets.len();
    let respond = move |codes: Vec<ErrorCode>| respond(topics, codes);
    if !static_members_allowed(broker, request.group_instance_id.as_ref()) {
        let refused = Committing::Done(vec![ErrorCode::UnsupportedVersion; known.len()]);
        return answer_commit(call, vec![true; known.len()], refused, respond);
    }
    if count == 0 {
        return answer_commit(call, known, Committing::Done(Vec::new()), respond);
    }
    if call.version == 0 {
        let stored = commit_to_zookeeper(broker, request.group_id, offsets);
        return Dispatch::Pending(Box::pin(async move {
            match answer_commit(call, known, Committing::Done(stored.await), respond) {
                Dispatch::Done(outcome) => outcome,
                Dispatch::Pending(reply) => reply.await,
            }
        }));
    }
    let commit = CommitRequest {
        member: MemberRef { member_id: request.member_id, instance_id: request.group_instance_id },
        generation: request.generation_id,
        producer: None,
        offsets,
    };
    answer_commit(call, known, broker.groups.commit(&request.group_id, commit), respond)
}

/// Which of all partitions there are, and what is committed for those.
fn offsets(
    broker: &Broker,
    topics: &[OffsetCommitRequestTopic],
    retention_ms: i64,
) -> (Vec<bool>, Vec<(TopicPartition, CommittedOffset)>) {
    let now_ms = clock::now_ms();
    let count = topics.iter().map(|topic| topic.partitions.len()).sum();
    let (mut known, mut offsets) = (Vec::with_capacity(count), Vec::with_capacity(count));
    let metadata = broker.metadata.current();
    for topic in topics {
        let described = metadata.topic(&topic.name);
        for asked in &topic.partitions {
            let partition = TopicPartition::new(topic.name.clone(), asked.partition_index);
            let is_known =
                described.is_some_and(|topic| topic.partitions.contains_key(&asked.partition_index));
            known.push(is_known);
            if is_known {
                offsets.push((partition, committed(asked, retention_ms, now_ms)));
            }
        }
    }
    (known, offsets)
}

fn committed(asked: &OffsetCommitRequestPartition, retention_ms: i64, now_ms: i64) -> CommittedOffset {
    CommittedOffset {
        offset: asked.committed_offset,
        leader_epoch: Some(asked.committed_leader_epoch).filter(|epoch| *epoch != -1),
        metadata: asked.committed_metadata.clone().unwrap_or_default(),
        commit_timestamp_ms: match asked.commit_timestamp {
            DEFAULT => now_ms,
            given => given,
        },
        expire_timestamp_ms: (retention_ms != DEFAULT).then(|| now_ms.saturating_add(retention_ms)),
    }
}

/// Codes of all offsets, in order.
fn commit_to_zookeeper(
    broker: &Arc<Broker>,
    group: ByteString,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
) -> impl Future<Output = Vec<ErrorCode>> + Send + 'static {
    let max = broker.config.offset_metadata_max_bytes.max(0) as usize;
    let fits = |offset: &CommittedOffset| offset.metadata.encode_utf16().count() <= max;
    let fitting: Vec<bool> = offsets.iter().map(|(_, offset)| fits(offset)).collect();
    let accepted = offsets.into_iter().zip(&fitting).filter(|(_, fits)| **fits);
    let accepted: Vec<_> = accepted.map(|(offset, _)| offset).collect();
    let count = accepted.len();
    // Under way from here on, whether the client waits or not.
    let stored = broker.groups.zookeeper_offsets().commit(group, accepted, None);
    let task = broker.background.spawn(stored);
    async move {
        let results = match task.await {
            Ok(Ok(results)) => results.iter().map(v0_code).collect(),
            Ok(Err(error)) => vec![v0_code(&Err(error)); count],
            Err(_) => vec![ErrorCode::UnknownServerError; count],
        };
        let mut results = results.into_iter();
        let code = |fits| if fits { results.next() } else { Some(ErrorCode::OffsetMetadataTooLarge) };
        fitting.into_iter().map(code).map(Option::unwrap_or_default).collect()
    }
}

fn respond(topics: Vec<OffsetCommitRequestTopic>, codes: Vec<ErrorCode>) -> OffsetCommitResponse {
    let mut codes = codes.into_iter();
    let topic = |topic: OffsetCommitRequestTopic| OffsetCommitResponseTopic {
        name: topic.name,
        partitions: topic
            .partitions
            .iter()
            .map(|partition| OffsetCommitResponsePartition {
                partition_index: partition.partition_index,
                error_code: codes.next().unwrap_or_default().code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    };
    OffsetCommitResponse { topics: topics.into_iter().map(topic).collect(), ..Default::default() }
}
