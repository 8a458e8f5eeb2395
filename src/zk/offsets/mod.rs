//! Committed offsets in ZooKeeper: `/consumers/G/offsets/T/P` holds the plain number that the consumers of 0.8 to 1.1
//! read and write, and that people set by hand.
//!
//! What newer clients commit besides the number stands in `/consumers/G/offset_details/T/P`, where no old reader looks
//! ([`super::data::offset_details`]). It is written in the transaction that writes the number, so both nodes then
//! carry the same zxid: details of another transaction than the number's belong to an older commit and are ignored.
//! That way an old consumer's commit, a reset by hand, even one to the same number, and a deletion by an old tool leave
//! nothing that could mislead. A commit without details needs one write only; its time is the node's own.
//!
//! Nobody caches anything here: what is read is what ZooKeeper holds.

pub mod fence;
mod group_node;
mod remove;
mod write;

pub use fence::{Fence, Fences, WriteError};
pub use group_node::{group_name, group_node};
pub use remove::{Expired, delete, delete_group, has_live_consumers, remove_expired};
pub use write::{Commit, write};

use super::client::ZkClient;
use super::data::offset_details::OffsetDetails;
use super::data::{self, NodeError};
use super::error::ZkError;
use super::paths;
use super::types::Stat;
use crate::common::{LeaderEpoch, Offset, TopicPartition, topic_name};
use bytes::Bytes;

/// How often a read that met a write half-way looks again.
const READS_MAX: usize = 5;

/// A commit as it stands in ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredOffset {
    /// The next record to consume.
    pub offset: Offset,
    /// Epoch of the last consumed record's leader (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// The consumer's own words; empty for none.
    pub metadata: String,
    /// When it was committed, in milliseconds since 1970; of a plain number, by ZooKeeper's clock.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the commit said so.
    pub expire_timestamp_ms: Option<i64>,
}

/// A commit and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The commit.
    pub stored: StoredOffset,
    /// Version of the number's node.
    pub version: i32,
    /// False for a plain number, as old consumers and people write it.
    pub has_details: bool,
}

type Node = Option<(Bytes, Stat)>;

/// The offsets that a group has committed for some partitions, in their order: none where there is no node, an error
/// where the node is garbage.
///
/// # Errors
/// ZooKeeper's, for all of them.
pub async fn read(
    zk: &ZkClient,
    group: &str,
    partitions: &[TopicPartition],
) -> Result<Vec<Result<Option<Found>, NodeError>>, ZkError> {
    let group = group_node(group);
    zk.sync().await?;
    let mut found: Vec<Result<Option<Found>, NodeError>> = partitions.iter().map(|_| Ok(None)).collect();
    let mut waiting: Vec<usize> =
        (0..partitions.len()).filter(|index| is_storable(&partitions[*index])).collect();
    for attempt in 1..=READS_MAX {
        let two = |index: &usize| {
            let TopicPartition { topic, partition } = &partitions[*index];
            [
                paths::consumer_offset(&group, topic, *partition),
                paths::consumer_offset_details(&group, topic, *partition),
            ]
        };
        let nodes = zk.get_many(waiting.iter().flat_map(two).collect()).await?;
        let mut nodes = nodes.into_iter();
        let mut again = Vec::new();
        for index in waiting {
            let (number, details) = (nodes.next().flatten(), nodes.next().flatten());
            if attempt < READS_MAX && is_torn(&number, &details) {
                again.push(index);
            } else {
                found[index] = interpret(number, details);
            }
        }
        waiting = again;
        if waiting.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// True if the partition can have a node: a name with a `/` would lead elsewhere.
fn is_storable(TopicPartition { topic, partition }: &TopicPartition) -> bool {
    *partition >= 0 && topic_name::validate(topic).is_ok()
}

/// True if a commit came between the two reads: details are never younger than their number.
fn is_torn(number: &Node, details: &Node) -> bool {
    match (number, details) {
        (Some((_, number)), Some((_, details))) => details.mzxid > number.mzxid,
        _ => false,
    }
}

fn interpret(number: Node, details: Node) -> Result<Option<Found>, NodeError> {
    let Some((data, stat)) = number else { return Ok(None) };
    let offset = data::consumer_offset::decode(&data)?;
    let mut found = Found {
        stored: StoredOffset {
            offset,
            leader_epoch: None,
            metadata: String::new(),
            commit_timestamp_ms: stat.mtime_ms,
            expire_timestamp_ms: None,
        },
        version: stat.version,
        has_details: false,
    };
    let details = details.filter(|(_, of_details)| of_details.mzxid == stat.mzxid);
    // Details that cannot be read are as good as none: the number stands.
    if let Some(Ok(details)) = details.map(|(data, _)| OffsetDetails::decode(&data))
        && details.offset == offset
    {
        found.stored.leader_epoch = details.leader_epoch;
        found.stored.metadata = details.metadata;
        found.stored.commit_timestamp_ms = details.commit_timestamp_ms;
        found.stored.expire_timestamp_ms = details.expire_timestamp_ms;
        found.has_details = true;
    }
    Ok(Some(found))
}

/// The partitions for which a group has a node, sorted. What is no topic or no partition number is passed over.
pub async fn partitions(zk: &ZkClient, group: &str) -> Result<Vec<TopicPartition>, ZkError> {
    let root = paths::consumer_offsets(&group_node(group));
    zk.sync().await?;
    let mut topics = zk.children(&root).await?;
    topics.retain(|topic| topic_name::validate(topic).is_ok());
    let lists = zk.children_many(topics.iter().map(|topic| format!("{root}/{topic}")).collect()).await?;
    let mut found = Vec::new();
    for (topic, names) in topics.iter().zip(lists) {
        found.extend(names.iter().filter_map(|name| {
            let partition = name.parse::<i32>().ok().filter(|p| *p >= 0 && p.to_string() == *name)?;
            Some(TopicPartition::new(topic.as_str(), partition))
        }));
    }
    found.sort();
    Ok(found)
}

/// Everything that a group has committed and that can be read.
pub async fn read_all(zk: &ZkClient, group: &str) -> Result<Vec<(TopicPartition, Found)>, ZkError> {
    let partitions = partitions(zk, group).await?;
    let found = read(zk, group, &partitions).await?;
    Ok(partitions
        .into_iter()
        .zip(found)
        .filter_map(|(key, found)| Some((key, found.ok().flatten()?)))
        .collect())
}

/// Names of the groups that have a node of offsets, sorted.
pub async fn groups(zk: &ZkClient) -> Result<Vec<String>, ZkError> {
    zk.sync().await?;
    let nodes = zk.children(paths::CONSUMERS).await?;
    let stats = zk.exists_many(nodes.iter().map(|node| paths::consumer_offsets(node)).collect()).await?;
    let with_offsets =
        nodes.iter().zip(stats).filter(|(_, stat)| stat.is_some_and(|stat| stat.num_children > 0));
    let mut names: Vec<String> = with_offsets.filter_map(|(node, _)| group_name(node)).collect();
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
