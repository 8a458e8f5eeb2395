//! Removing committed offsets, and the nodes that are empty without them.

use super::super::client::ZkClient;
use super::super::error::ZkError;
use super::super::paths;
use super::super::types::{ANY_VERSION, Op};
use super::fence::{Fence, Fences, LOOKS_MAX, WriteError};
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
pub async fn delete(
    zk: &ZkClient,
    fences: &Fences,
    fence: Option<Fence>,
    group: &str,
    which: &[TopicPartition],
) -> Result<usize, WriteError> {
    let which: Vec<(&TopicPartition, i32)> = which.iter().map(|key| (key, ANY_VERSION)).collect();
    delete_versions(zk, (fences, fence), &group_node(group), &which).await
}

/// Deletes the numbers that have their version still, each with its details.
pub(super) async fn delete_versions(
    zk: &ZkClient,
    (fences, fence): (&Fences, Option<Fence>),
    node: &str,
    which: &[(&TopicPartition, i32)],
) -> Result<usize, WriteError> {
    let mut left: Vec<Removal<'_>> =
        which.iter().map(|(key, version)| Removal { key, version: *version, has_details: true }).collect();
    let mut gone: Vec<&TopicPartition> = Vec::new();
    let mut looks = 0;
    while !left.is_empty() {
        let checks = fences.checks(zk, fence).await?;
        let multis = left.iter().map(|removal| [checks.as_slice(), &removal.ops(node)].concat());
        let results = zk.multi_many(multis.collect()).await;
        let mut again = Vec::new();
        looks += 1;
        for (result, mut removal) in results.into_iter().zip(left) {
            let Err(error) = result else {
                gone.push(removal.key);
                continue;
            };
            match error.failed_index().and_then(|at| at.checked_sub(checks.len())) {
                // The number: gone, or written again, or somebody has put something below it: no commit of ours
                // looks so.
                Some(0) if error.is_no_node() || error.is_bad_version() || is_not_empty(&error) => {}
                // The details: a plain number, or something that is no commit of ours.
                Some(1) if error.is_no_node() || is_not_empty(&error) => {
                    removal.has_details = false;
                    again.push(removal);
                }
                _ if looks < LOOKS_MAX && fences.is_stale(&checks, &error) => again.push(removal),
                _ => return Err(error.into()),
            }
        }
        left = again;
    }
    let topics: BTreeSet<&str> = gone.iter().map(|key| &*key.topic).collect();
    prune(zk, node, topics).await;
    Ok(gone.len())
}

/// A number that is to go, and its details in the same transaction: those of a commit that comes meanwhile stay.
struct Removal<'a> {
    key: &'a TopicPartition,
    version: i32,
    has_details: bool,
}

impl Removal<'_> {
    fn ops(&self, node: &str) -> Vec<Op> {
        let TopicPartition { topic, partition } = self.key;
        let mut ops = vec![Op::delete(paths::consumer_offset(node, topic, *partition), self.version)];
        if self.has_details {
            ops.push(Op::delete(paths::consumer_offset_details(node, topic, *partition), ANY_VERSION));
        }
        ops
    }
}

fn is_not_empty(error: &ZkError) -> bool {
    matches!(error.cause(), ZkError::NotEmpty { .. })
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
pub async fn delete_group(
    zk: &ZkClient,
    fences: &Fences,
    fence: Option<Fence>,
    group: &str,
) -> Result<usize, WriteError> {
    let count = partitions(zk, group).await?.len();
    let mut looks = 0;
    loop {
        let checks = fences.checks(zk, fence).await?;
        looks += 1;
        match delete_nodes(zk, group, &checks).await {
            Ok(()) => return Ok(count),
            Err(error) if looks < LOOKS_MAX && fences.is_stale(&checks, &error) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

async fn delete_nodes(zk: &ZkClient, group: &str, checks: &[Op]) -> Result<(), ZkError> {
    let node = group_node(group);
    zk.delete_recursive(&paths::consumer_offsets(&node), checks).await?;
    let root = paths::consumer_group(&node);
    zk.delete_recursive(&format!("{root}/offset_details"), checks).await?;
    if !has_live_consumers(zk, group).await? {
        // What old consumers leave behind goes with the group, as their own tool does it.
        zk.delete_recursive(&format!("{root}/owners"), checks).await?;
        match zk.delete(&format!("{root}/ids"), ANY_VERSION).await {
            Err(ZkError::NoNode { .. } | ZkError::NotEmpty { .. }) => {}
            deleted => deleted?,
        }
    }
    prune(zk, &node, BTreeSet::new()).await;
    Ok(())
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
    fences: &Fences,
    fence: Option<Fence>,
    group: &str,
    is_expired: impl Fn(&TopicPartition, &Found) -> bool,
) -> Result<Expired, WriteError> {
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
        false => delete_versions(zk, (fences, fence), &group_node(group), &expired).await?,
    };
    Ok(Expired { removed, left: all.len() - removed })
}
