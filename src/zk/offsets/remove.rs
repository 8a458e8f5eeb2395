//! Removing committed offsets, and the nodes that are empty without them.

use super::super::client::ZkClient;
use super::super::error::ZkError;
use super::super::paths;
use super::super::types::{ANY_VERSION, Op};
use super::{Found, group_node, partitions, read_all};
use crate::common::TopicPartition;
use std::collections::BTreeSet;

/// True while an old consumer of the group is registered.
pub async fn has_live_consumers(zk: &ZkClient, group: &str) -> Result<bool, ZkError> {
    zk.sync().await?;
    let ids = zk.exists(&paths::consumer_ids(&group_node(group))).await?;
    Ok(ids.is_some_and(|stat| stat.num_children > 0))
}

/// Deletes commits. Gives how many there were.
pub async fn delete(zk: &ZkClient, group: &str, which: &[TopicPartition]) -> Result<usize, ZkError> {
    let which: Vec<(&TopicPartition, i32)> = which.iter().map(|key| (key, ANY_VERSION)).collect();
    delete_versions(zk, &group_node(group), &which).await
}

/// Deletes the numbers that have their version still, and all details.
pub(super) async fn delete_versions(
    zk: &ZkClient,
    node: &str,
    which: &[(&TopicPartition, i32)],
) -> Result<usize, ZkError> {
    let numbers = which.iter().map(|(TopicPartition { topic, partition }, version)| {
        vec![Op::delete(paths::consumer_offset(node, topic, *partition), *version)]
    });
    let mut gone = Vec::new();
    for (result, (key, _)) in zk.multi_many(numbers.collect()).await.into_iter().zip(which) {
        match result {
            Ok(_) => gone.push(*key),
            Err(error) if error.is_no_node() || error.is_bad_version() => {}
            // Somebody has put something below it: no commit of ours looks so.
            Err(error) if matches!(error.cause(), ZkError::NotEmpty { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let details = gone.iter().map(|TopicPartition { topic, partition }| {
        vec![Op::delete(paths::consumer_offset_details(node, topic, *partition), ANY_VERSION)]
    });
    // Details without their number are ignored, so it does no harm if they stay.
    zk.multi_many(details.collect()).await;
    let topics: BTreeSet<&str> = gone.iter().map(|key| &*key.topic).collect();
    prune(zk, node, topics).await;
    Ok(gone.len())
}

/// Deletes what is empty now: the topics', then the group's. A node that is in use stays by itself.
async fn prune(zk: &ZkClient, node: &str, topics: BTreeSet<&str>) {
    let (offsets, group) = (paths::consumer_offsets(node), paths::consumer_group(node));
    let details = format!("{group}/offset_details");
    let mut paths: Vec<String> = topics
        .iter()
        .flat_map(|topic| [format!("{details}/{topic}"), format!("{offsets}/{topic}")])
        .collect();
    paths.extend([details, offsets, group]);
    // In this order, one by one: ZooKeeper keeps the order of what is pipelined.
    let deletes = paths.into_iter().map(|path| vec![Op::delete(path, ANY_VERSION)]);
    zk.multi_many(deletes.collect()).await;
}

/// Deletes everything that a group has committed, and its node if nothing else is in it. Gives how many commits there
/// were.
pub async fn delete_group(zk: &ZkClient, group: &str) -> Result<usize, ZkError> {
    let count = partitions(zk, group).await?.len();
    let node = group_node(group);
    zk.delete_recursive(&paths::consumer_offsets(&node), &[]).await?;
    let root = paths::consumer_group(&node);
    zk.delete_recursive(&format!("{root}/offset_details"), &[]).await?;
    if !has_live_consumers(zk, group).await? {
        // What old consumers leave behind goes with the group, as their own tool does it.
        for name in ["owners", "ids"] {
            let path = format!("{root}/{name}");
            if name == "owners" {
                zk.delete_recursive(&path, &[]).await?;
            } else if let Err(error) = zk.delete(&path, ANY_VERSION).await
                && !matches!(error, ZkError::NoNode { .. } | ZkError::NotEmpty { .. })
            {
                return Err(error);
            }
        }
    }
    prune(zk, &node, BTreeSet::new()).await;
    Ok(count)
}

/// What a search for expired commits came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Commits deleted.
    pub removed: usize,
    /// Commits that are left.
    pub left: usize,
}

/// Deletes the commits of a group that `is_expired` names, unless they are written again meanwhile. A group with live
/// old consumers is left alone.
pub async fn remove_expired(
    zk: &ZkClient,
    group: &str,
    is_expired: impl Fn(&TopicPartition, &Found) -> bool,
) -> Result<Expired, ZkError> {
    let all = read_all(zk, group).await?;
    if all.is_empty() || has_live_consumers(zk, group).await? {
        return Ok(Expired { removed: 0, left: all.len() });
    }
    let expired: Vec<(&TopicPartition, i32)> = all
        .iter()
        .filter(|(key, found)| is_expired(key, found))
        .map(|(key, found)| (key, found.version))
        .collect();
    let removed = match expired.is_empty() {
        true => 0,
        false => delete_versions(zk, &group_node(group), &expired).await?,
    };
    Ok(Expired { removed, left: all.len() - removed })
}
