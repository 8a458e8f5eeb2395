//! DeleteTopics, versions 0-6, on the controller.
//!
//! The answer waits until this broker no longer knows the topics. Version 6 takes ids in place of names. Where
//! deletion is switched off, versions 0-2 say INVALID_REQUEST, since they do not know TOPIC_DELETION_DISABLED.

use super::{AdminContext, TOPICS_AT_ONCE, wait_until};
use crate::common::{ErrorCode, Uuid, clock};
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicsRequest, DeleteTopicsResponse,
};
use crate::quota::client::MutationQuota;
use bytestring::ByteString;
use futures_util::{StreamExt, stream};

const TOPIC_DELETION_DISABLED_VERSION_MIN: i16 = 3;
const TOPIC_ID_VERSION_MIN: i16 = 6;
/// From this version on clients know THROTTLING_QUOTA_EXCEEDED.
const QUOTA_ERROR_VERSION_MIN: i16 = 5;

/// Deletes the topics.
pub async fn handle(context: AdminContext<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let timeout_ms = request.timeout_ms;
    let mut responses = named(context.version, request);
    let both = |result: &DeletableTopicResult| result.name.is_some() && !result.topic_id.is_zero();
    let whole = if !context.is_controller {
        Some(ErrorCode::NotController)
    } else if !context.admin.config().delete_topic_enable {
        Some(match context.version {
            TOPIC_DELETION_DISABLED_VERSION_MIN.. => ErrorCode::TopicDeletionDisabled,
            _ => ErrorCode::InvalidRequest,
        })
    } else {
        responses.iter().any(both).then_some(ErrorCode::InvalidRequest)
    };
    if let Some(code) = whole {
        responses.iter_mut().for_each(|result| result.error_code = code.code());
        return DeleteTopicsResponse { responses, ..Default::default() };
    }
    let cluster = context.metadata.current();
    let quota = context.mutations(QUOTA_ERROR_VERSION_MIN);
    let mark = async |mut result: DeletableTopicResult| {
        result.error_code = delete(context, &cluster, &mut result, &quota).await.code();
        result
    };
    let mut responses: Vec<_> = stream::iter(responses).map(mark).buffered(TOPICS_AT_ONCE).collect().await;
    wait_for_deletion(context, timeout_ms, &mut responses).await;
    let throttle_time_ms = quota.throttle_ms(clock::monotonic_ms());
    DeleteTopicsResponse { throttle_time_ms, responses, ..Default::default() }
}

/// An answer for every topic of the request, in its order.
fn named(version: i16, request: DeleteTopicsRequest) -> Vec<DeletableTopicResult> {
    let result = |name: Option<ByteString>, topic_id: Uuid| DeletableTopicResult {
        name,
        topic_id,
        error_message: None,
        ..Default::default()
    };
    if version >= TOPIC_ID_VERSION_MIN {
        request.topics.into_iter().map(|topic| result(topic.name, topic.topic_id)).collect()
    } else {
        request.topic_names.into_iter().map(|name| result(Some(name), Uuid::ZERO)).collect()
    }
}

/// Marks one topic for deletion; gives its name to an answer that has only an id.
async fn delete(
    context: AdminContext<'_>,
    cluster: &ClusterSnapshot,
    result: &mut DeletableTopicResult,
    quota: &MutationQuota<'_>,
) -> ErrorCode {
    if !result.topic_id.is_zero() {
        match cluster.topic_by_id(result.topic_id) {
            Some((name, _)) => result.name = Some(name.clone()),
            None => return ErrorCode::UnknownTopicId,
        }
    }
    // Neither name nor id: Kafka finds that nobody may delete it.
    let Some(name) = &result.name else { return ErrorCode::TopicAuthorizationFailed };
    let Some(topic) = cluster.topic(name) else { return ErrorCode::UnknownTopicOrPartition };
    if quota.record(topic.partitions.len(), clock::monotonic_ms()).is_err() {
        return ErrorCode::ThrottlingQuotaExceeded;
    }
    match context.admin.delete_topic(name).await {
        Ok(()) => ErrorCode::None,
        Err(error) => error.code,
    }
}

async fn wait_for_deletion(context: AdminContext<'_>, timeout_ms: i32, results: &mut [DeletableTopicResult]) {
    let none = ErrorCode::None.code();
    let marked: Vec<ByteString> =
        results.iter().filter(|result| result.error_code == none).filter_map(|r| r.name.clone()).collect();
    if timeout_ms > 0 {
        wait_until(context.metadata, timeout_ms, |cluster| {
            marked.iter().all(|name| cluster.topic(name).is_none())
        })
        .await;
    }
    let cluster = context.metadata.current();
    for result in results.iter_mut().filter(|result| result.error_code == none) {
        let is_there = result.name.as_ref().is_some_and(|name| cluster.topic(name).is_some());
        if timeout_ms <= 0 || is_there {
            result.error_code = ErrorCode::RequestTimedOut.code();
        }
    }
}
