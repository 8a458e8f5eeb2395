//! CreatePartitions, versions 0-3, on the controller.
//!
//! The answer waits until all partitions of the topics have leaders, the old ones included, as in Kafka. A topic that
//! stands twice in the request gets one answer.

use super::{AdminContext, has_leaders, outcome, wait_until};
use crate::common::{ErrorCode, clock};
use crate::protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use bytestring::ByteString;
use std::collections::HashMap;

/// From this version on clients know THROTTLING_QUOTA_EXCEEDED.
const QUOTA_ERROR_VERSION_MIN: i16 = 3;

/// Adds the partitions.
pub async fn handle(context: AdminContext<'_>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let mut counts: HashMap<ByteString, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name.clone()).or_default() += 1;
    }
    let mut results: Vec<CreatePartitionsTopicResult> = Vec::with_capacity(counts.len());
    let mut grown = Vec::new();
    let quota = context.mutations(QUOTA_ERROR_VERSION_MIN);
    for topic in &request.topics {
        let count = counts.get(&topic.name).copied().unwrap_or_default();
        if count > 1 && results.iter().any(|result| result.name == topic.name) {
            continue;
        }
        let mut result = CreatePartitionsTopicResult { name: topic.name.clone(), ..Default::default() };
        if !context.is_controller {
            result.error_code = ErrorCode::NotController.code();
        } else if count > 1 {
            result.error_code = ErrorCode::InvalidRequest.code();
            result.error_message = Some(ByteString::from_static("Duplicate topic in request."));
        } else {
            let cluster = context.metadata.current();
            let total = context.admin.create_partitions(topic, &cluster, request.validate_only, &quota).await;
            (result.error_code, result.error_message) = outcome(&total);
            grown.extend(total.ok().map(|total| (results.len(), total)));
        }
        results.push(result);
    }
    if !request.validate_only {
        wait_for_leaders(context, request.timeout_ms, &grown, &mut results).await;
    }
    let throttle_time_ms = quota.throttle_ms(clock::monotonic_ms());
    CreatePartitionsResponse { throttle_time_ms, results, ..Default::default() }
}

/// `grown` has the place of a topic among the results, and how many partitions it has.
async fn wait_for_leaders(
    context: AdminContext<'_>,
    timeout_ms: i32,
    grown: &[(usize, i32)],
    results: &mut [CreatePartitionsTopicResult],
) {
    if timeout_ms > 0 {
        let names: Vec<(ByteString, i32)> =
            grown.iter().map(|(at, n)| (results[*at].name.clone(), *n)).collect();
        wait_until(context.metadata, timeout_ms, |cluster| {
            names.iter().all(|(name, partitions)| has_leaders(cluster, name, *partitions))
        })
        .await;
    }
    let cluster = context.metadata.current();
    for (at, partitions) in grown {
        let result = &mut results[*at];
        if timeout_ms <= 0 || !has_leaders(&cluster, &result.name, *partitions) {
            result.error_code = ErrorCode::RequestTimedOut.code();
        }
    }
}
