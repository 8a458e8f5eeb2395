//! CreateTopics, versions 0-7, on the controller.
//!
//! A topic is there when it is written; the answer waits until all its partitions have leaders, or until the time is
//! over: REQUEST_TIMED_OUT, although the topic is there. From version 5 the answer has the topic's settings, from
//! version 7 its id. The order of the answers is that of the request.

use super::{AdminContext, TOPICS_AT_ONCE, has_leaders, outcome, wait_until};
use crate::admin::CreatedTopic;
use crate::common::{ErrorCode, clock, topic_name};
use crate::protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicResult, CreateTopicsRequest, CreateTopicsResponse,
};
use bytestring::ByteString;
use futures_util::{StreamExt, stream};
use std::collections::HashMap;

/// From this version on clients know THROTTLING_QUOTA_EXCEEDED.
const QUOTA_ERROR_VERSION_MIN: i16 = 6;

/// Creates the topics.
pub async fn handle(context: AdminContext<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut counts: HashMap<ByteString, usize> = HashMap::new();
    for topic in &request.topics {
        *counts.entry(topic.name.clone()).or_default() += 1;
    }
    let quota = context.mutations(QUOTA_ERROR_VERSION_MIN);
    let judge = async |topic: &CreatableTopic| {
        let mut result = CreatableTopicResult { name: topic.name.clone(), ..Default::default() };
        if !context.is_controller {
            result.error_code = ErrorCode::NotController.code();
        } else if counts.get(&topic.name).is_some_and(|count| *count > 1) {
            result.error_code = ErrorCode::InvalidRequest.code();
            result.error_message = Some(ByteString::from_static("Found multiple entries for this topic."));
        } else {
            let cluster = context.metadata.current();
            let created = context.admin.create_topic(topic, &cluster, request.validate_only, &quota).await;
            (result.error_code, result.error_message) = outcome(&created);
            if let Ok(created) = created {
                show(context, &mut result, &created);
                return (result, Some(created.partitions));
            }
        }
        (result, None)
    };
    let at_once = if may_collide(&request.topics) { 1 } else { TOPICS_AT_ONCE };
    let judged: Vec<_> = stream::iter(&request.topics).map(judge).buffered(at_once).collect().await;
    let made = judged.iter().enumerate().filter_map(|(at, (_, made))| Some((at, (*made)?)));
    let made: Vec<(usize, i32)> = made.collect();
    let mut topics: Vec<CreatableTopicResult> = judged.into_iter().map(|(result, _)| result).collect();
    if !request.validate_only {
        wait_for_leaders(context, request.timeout_ms, &made, &mut topics).await;
    }
    let throttle_time_ms = quota.throttle_ms(clock::monotonic_ms());
    CreateTopicsResponse { throttle_time_ms, topics, ..Default::default() }
}

/// True if topics of the request might collide with each other ("a.b" and "a_b"): then each must see those before it.
fn may_collide(topics: &[CreatableTopic]) -> bool {
    topics.iter().filter(|topic| topic_name::has_collision_chars(&topic.name)).nth(1).is_some()
}

fn show(context: AdminContext<'_>, result: &mut CreatableTopicResult, created: &CreatedTopic) {
    result.topic_id = created.topic_id;
    result.num_partitions = created.partitions;
    result.replication_factor = created.replication_factor;
    result.configs = Some(context.admin.describe_created(&created.settings));
}

/// `made` has the place of a topic among the results, and how many partitions it has.
async fn wait_for_leaders(
    context: AdminContext<'_>,
    timeout_ms: i32,
    made: &[(usize, i32)],
    results: &mut [CreatableTopicResult],
) {
    if timeout_ms > 0 {
        let names: Vec<(ByteString, i32)> =
            made.iter().map(|(at, n)| (results[*at].name.clone(), *n)).collect();
        wait_until(context.metadata, timeout_ms, |cluster| {
            names.iter().all(|(name, partitions)| has_leaders(cluster, name, *partitions))
        })
        .await;
    }
    let cluster = context.metadata.current();
    for (at, partitions) in made {
        let result = &mut results[*at];
        if timeout_ms <= 0 || !has_leaders(&cluster, &result.name, *partitions) {
            *result = CreatableTopicResult {
                name: result.name.clone(),
                topic_id: result.topic_id,
                error_code: ErrorCode::RequestTimedOut.code(),
                error_message: None,
                ..Default::default()
            };
        }
    }
}
