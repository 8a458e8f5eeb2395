//! `--zookeeper`: the groups of the old consumers, which live in `/consumers`.
//!
//! ```text
//! /consumers/G/ids/MEMBER          {"version":1,"subscription":{"TOPIC":STREAMS},…}
//! /consumers/G/owners/T/P          MEMBER-STREAM
//! /consumers/G/offsets/T/P         the offset, as text
//! ```
//! Source: Kafka 1.1.1, `ConsumerGroupCommand.scala` (`ZkConsumerGroupService`), `AdminUtils.scala`.

use super::Request;
use super::describe::{MISSING, OffsetRow, show_offsets};
use crate::common::{Offset, TopicPartition, topic_name};
use crate::config::Properties;
use crate::tools::client::Admin;
use crate::tools::client::groups::Offsets;
use crate::tools::client::offsets::LATEST;
use crate::tools::exception::Exception;
use crate::tools::{Outcome, Shape, Stop};
use crate::zk::data::BrokerRegistration;
use crate::zk::{ZkClient, ZkConfig, paths, topic_admin};
use bytestring::ByteString;
use std::collections::BTreeMap;

/// Session and connection timeout of Kafka's tools.
const TIMEOUT_MS: i32 = 30_000;
const CONSUMERS: &str = "/consumers";

/// Runs the action.
pub fn run(request: &Request, connect: &str) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exception::new("java.io.IOException", error.to_string()))?;
    let found = runtime.block_on(async {
        let config = ZkConfig {
            session_timeout_ms: TIMEOUT_MS,
            connection_timeout_ms: TIMEOUT_MS,
            ..ZkConfig::new(connect)
        };
        let zk = ZkClient::connect(config).await.map_err(Exception::from)?;
        let done = act(request, &zk).await;
        zk.close().await;
        done
    })?;
    if let Some(found) = found {
        let offsets = found.offsets(request)?;
        show_offsets(Shape::V1_1_1, None, &found.rows(&offsets), false);
    }
    Ok(())
}

async fn act(request: &Request, zk: &ZkClient) -> Result<Option<Described>, Stop> {
    if request.has("list") {
        for group in sorted(zk.children(CONSUMERS).await.map_err(Exception::from)?) {
            out_line!("{group}");
        }
    } else if request.has("describe") {
        let group = request.options.value("group")?.unwrap_or_default();
        return describe(request, zk, group).await;
    } else if request.has("delete") {
        delete(request, zk).await?;
    } else {
        return Err(Exception::bare("java.lang.UnsupportedOperationException").into());
    }
    Ok(None)
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort_unstable();
    names
}

fn ids(group: &str) -> String {
    format!("{CONSUMERS}/{group}/ids")
}

fn owners(group: &str) -> String {
    format!("{CONSUMERS}/{group}/owners")
}

/// What ZooKeeper says of a group.
struct Described {
    group: ByteString,
    /// By topic and partition: the member that owns it.
    partitions: BTreeMap<TopicPartition, Option<String>>,
    /// Offsets in ZooKeeper.
    stored: Offsets,
    /// Members without a partition, one entry for each of their topics.
    idle: Vec<String>,
    /// Addresses of brokers.
    brokers: Vec<String>,
}

/// Offsets of a group, and where its logs end.
struct Found {
    committed: Offsets,
    ends: Offsets,
}

async fn describe(request: &Request, zk: &ZkClient, group: &str) -> Result<Option<Described>, Stop> {
    let known = zk.children(CONSUMERS).await.map_err(Exception::from)?;
    if !known.iter().any(|name| name == group) {
        request.say_error(&format!("The consumer group '{group}' does not exist."));
        return Ok(None);
    }
    Ok(Some(read_group(zk, group).await?))
}

async fn read_group(zk: &ZkClient, group: &str) -> Result<Described, Exception> {
    let owners = owners(group);
    // 1.1.1 looks at owners only, and so misses what was committed without them.
    let mut topics = zk.children(&owners).await?;
    topics.extend(zk.children(&paths::consumer_offsets(group)).await?);
    topics.retain(|topic| topic_name::validate(topic).is_ok());
    let mut topics = sorted(topics);
    topics.dedup();
    let assignments = topic_admin::read_topics(zk, &topics).await?;
    let mut keys = Vec::new();
    for (topic, assignment) in topics.iter().zip(assignments) {
        let partitions = assignment.map(|(assignment, _)| assignment.partitions).unwrap_or_default();
        keys.extend(partitions.into_keys().map(|partition| TopicPartition::new(topic.as_str(), partition)));
    }
    let owner_paths = keys.iter().map(|key| format!("{owners}/{}/{}", key.topic, key.partition));
    let offset_paths = keys.iter().map(|key| paths::consumer_offset(group, &key.topic, key.partition));
    let members = sorted(zk.children(&ids(group)).await?);
    let member_paths = members.iter().map(|member| format!("{}/{member}", ids(group)));
    let owner_nodes = zk.get_many(owner_paths.collect()).await?;
    let offset_nodes = zk.get_many(offset_paths.collect()).await?;
    let member_nodes = zk.get_many(member_paths.collect()).await?;

    let text =
        |node: Option<(bytes::Bytes, _)>| node.map(|(data, _)| String::from_utf8_lossy(&data).into_owned());
    let mut partitions = BTreeMap::new();
    let mut stored = Offsets::new();
    for ((key, owner), offset) in keys.into_iter().zip(owner_nodes).zip(offset_nodes) {
        if let Some(offset) = text(offset).and_then(|text| text.trim().parse::<Offset>().ok()) {
            stored.insert(key.clone(), offset);
        }
        // The owner is the member's name and the number of its stream.
        let owner =
            text(owner).map(|text| text.rsplit_once('-').map_or(text.clone(), |(name, _)| name.to_string()));
        partitions.insert(key, owner);
    }
    let mut idle = Vec::new();
    for (member, node) in members.into_iter().zip(member_nodes) {
        let is_busy = partitions.values().any(|owner| owner.as_deref() == Some(&*member));
        let count = text(node).map_or(0, |text| subscribed_topics(&text));
        idle.extend(std::iter::repeat_n(member, if is_busy { 0 } else { count }));
    }
    let brokers = broker_addresses(zk).await?;
    Ok(Described { group: group.into(), partitions, stored, idle, brokers })
}

/// How many topics a member's registration names.
fn subscribed_topics(text: &str) -> usize {
    let json = serde_json::from_str::<serde_json::Value>(text).ok();
    json.as_ref().and_then(|json| json.get("subscription")?.as_object()).map_or(0, serde_json::Map::len)
}

async fn broker_addresses(zk: &ZkClient) -> Result<Vec<String>, Exception> {
    let names = sorted(zk.children(paths::BROKER_IDS).await?);
    let nodes = zk.get_many(names.iter().map(|id| format!("{}/{id}", paths::BROKER_IDS)).collect()).await?;
    let address = |(data, _): (bytes::Bytes, _)| {
        let registration = BrokerRegistration::decode(&data).ok()?;
        let endpoint = registration.endpoint("PLAINTEXT").or(registration.endpoints.first())?;
        Some(format!("{}:{}", endpoint.host, endpoint.port))
    };
    Ok(nodes.into_iter().flatten().filter_map(address).collect())
}

impl Described {
    /// What brokers say of offsets; those in ZooKeeper count where the group committed nothing to them.
    fn offsets(&self, request: &Request) -> Result<Found, Stop> {
        let mut committed = self.stored.clone();
        if self.partitions.is_empty() {
            return Ok(Found { committed, ends: Offsets::new() });
        }
        let mut properties: Properties = request.properties()?;
        properties.set("client.id", "ConsumerGroupCommand");
        let mut admin = Admin::of_1_1_1(&self.brokers.join(","), &properties)?;
        admin.set_timeout_ms(request.options.number("timeout")?.unwrap_or(super::TIMEOUT_MS));
        for (key, offset) in admin.committed_offsets(&self.group)? {
            committed.insert(key, offset);
        }
        for key in self.partitions.keys().filter(|key| !committed.contains_key(key)) {
            request.say_error(&format!(
                "Could not fetch offset from zookeeper for group '{}' partition '{key}' due to missing offset data \
                 in zookeeper.",
                self.group
            ));
        }
        let keys: Vec<TopicPartition> = self.partitions.keys().cloned().collect();
        let ends = admin.offsets_at(&keys, LATEST)?;
        Ok(Found { committed, ends })
    }

    fn rows(&self, found: &Found) -> Vec<OffsetRow> {
        let of_partition = |(key, owner): (&TopicPartition, &Option<String>)| OffsetRow {
            topic: Some(key.topic.to_string()),
            partition: Some(key.partition),
            offset: found.committed.get(key).copied(),
            log_end_offset: found.ends.get(key).copied(),
            consumer_id: Some(owner.clone().unwrap_or(MISSING.to_string())),
            ..Default::default()
        };
        let idle = |member: &String| OffsetRow { consumer_id: Some(member.clone()), ..Default::default() };
        self.partitions.iter().map(of_partition).chain(self.idle.iter().map(idle)).collect()
    }
}

/// What became of a deletion.
#[derive(PartialEq, Eq)]
enum Deletion {
    Done,
    Active,
    NoGroup,
}

async fn delete(request: &Request, zk: &ZkClient) -> Result<(), Stop> {
    let groups = request.options.values("group");
    let topic = request.options.value("topic")?;
    if let Some(topic) = topic {
        topic_name::validate(topic).map_err(|error| Exception::api("InvalidTopicException", error))?;
    }
    match (groups.as_slice(), topic) {
        ([], Some(topic)) => {
            delete_topic_of_all(zk, topic).await?;
            out_line!(
                "Deleted consumer group information for all inactive consumer groups for topic '{topic}' in zookeeper."
            );
        }
        (groups, topic) => {
            for group in groups {
                let of_topic = topic.map_or(String::new(), |topic| format!(" topic '{topic}'"));
                let deletion = match topic {
                    Some(topic) => delete_topic(zk, group, topic).await?,
                    None => delete_group(zk, group).await?,
                };
                let all = if topic.is_some() { "" } else { "all " };
                match deletion {
                    Deletion::Done => out_line!(
                        "Deleted {all}consumer group information for group '{group}'{of_topic} in zookeeper."
                    ),
                    Deletion::Active => request.say_error(&format!(
                        "Delete for group '{group}'{of_topic} failed because its consumers are still active."
                    )),
                    Deletion::NoGroup => request.say_error(&format!(
                        "Delete for group '{group}'{of_topic} failed because group does not exist."
                    )),
                }
            }
        }
    }
    Ok(())
}

/// Whether a group has members. A group without a place for them does not exist for this tool.
async fn activity(zk: &ZkClient, group: &str) -> Result<Deletion, Exception> {
    if zk.exists(&ids(group)).await?.is_none() {
        return Ok(Deletion::NoGroup);
    }
    Ok(if zk.children(&ids(group)).await?.is_empty() { Deletion::Done } else { Deletion::Active })
}

async fn delete_group(zk: &ZkClient, group: &str) -> Result<Deletion, Exception> {
    let activity = activity(zk, group).await?;
    if activity == Deletion::Done {
        zk.delete_recursive(&format!("{CONSUMERS}/{group}"), &[]).await?;
    }
    Ok(activity)
}

/// Deletes what a group has of a topic; with its only topic the group goes.
async fn delete_topic(zk: &ZkClient, group: &str, topic: &str) -> Result<Deletion, Exception> {
    if zk.children(&owners(group)).await? == [topic] {
        return delete_group(zk, group).await;
    }
    let activity = activity(zk, group).await?;
    if activity == Deletion::Done {
        zk.delete_recursive(&format!("{}/{topic}", owners(group)), &[]).await?;
        zk.delete_recursive(&format!("{}/{topic}", paths::consumer_offsets(group)), &[]).await?;
    }
    Ok(activity)
}

async fn delete_topic_of_all(zk: &ZkClient, topic: &str) -> Result<(), Exception> {
    for group in zk.children(CONSUMERS).await? {
        let topics = zk.children(&paths::consumer_offsets(&group)).await?;
        if topics.iter().any(|name| name == topic) {
            delete_topic(zk, &group, topic).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_of_members() {
        let text = r#"{"version":1,"subscription":{"a":1,"b":2},"pattern":"static","timestamp":"1"}"#;
        assert_eq!(subscribed_topics(text), 2);
        assert_eq!(subscribed_topics("{"), 0);
    }
}
