//! Writing commits: many in few transactions, pipelined.

use super::super::client::ZkClient;
use super::super::data::{self, offset_details::OffsetDetails};
use super::super::error::ZkError;
use super::super::paths;
use super::super::types::{ANY_VERSION, CreateMode, Op};
use super::{StoredOffset, group_node, is_storable};
use crate::common::{TopicPartition, clock};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use std::collections::{BTreeSet, HashMap};

/// Commits of one transaction. A transaction occupies the ensemble as a whole.
const COMMITS_MAX: usize = 128;
/// Bytes of one transaction, about; ZooKeeper refuses a MiB.
const BYTES_MAX: usize = 256 * 1024;
/// Nodes come and go while we write: attempts before that is an error.
const ATTEMPTS_MAX: usize = 8;
/// A commit's time that is this close to the clock is the time of the write.
const NOW_MS: i64 = 5_000;

/// One commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Whose.
    pub group: String,
    /// For what.
    pub partition: TopicPartition,
    /// What.
    pub offset: StoredOffset,
    /// Its time is stored to the millisecond, instead of the time of the write if the two are close.
    pub keeps_time: bool,
}

/// A node to be written: path and data.
type Node = (String, Bytes);

/// The nodes of one commit.
struct Target {
    number: Node,
    details: Option<Node>,
}

impl Target {
    fn new(commit: &Commit) -> Target {
        let Commit { group, partition: TopicPartition { topic, partition }, offset: stored, .. } = commit;
        let group = group_node(group);
        let number = paths::consumer_offset(&group, topic, *partition);
        let is_plain = !commit.keeps_time
            && stored.leader_epoch.is_none()
            && stored.metadata.is_empty()
            && stored.expire_timestamp_ms.is_none()
            && (stored.commit_timestamp_ms - clock::now_ms()).abs() <= NOW_MS;
        let details = (!is_plain).then(|| {
            let details = OffsetDetails {
                offset: stored.offset,
                leader_epoch: stored.leader_epoch,
                metadata: stored.metadata.clone(),
                commit_timestamp_ms: stored.commit_timestamp_ms,
                expire_timestamp_ms: stored.expire_timestamp_ms,
            };
            (paths::consumer_offset_details(&group, topic, *partition), details.encode())
        });
        Target { number: (number, data::consumer_offset::encode(stored.offset)), details }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        // The details first: no reader meets a number whose details are still to come.
        self.details.iter().chain([&self.number])
    }

    fn size_bytes(&self) -> usize {
        self.nodes().map(|(path, data)| path.len() + data.len() + 100).sum()
    }
}

/// Writes commits; a result for each, in order. Of several for one partition the last one counts, and all share its
/// result. Parents that are missing are made.
pub async fn write(zk: &ZkClient, commits: &[Commit]) -> Vec<Result<(), ZkError>> {
    // By partition: which target.
    let mut places: HashMap<(&str, &TopicPartition), usize> = HashMap::with_capacity(commits.len());
    let mut last: Vec<&Commit> = Vec::with_capacity(commits.len());
    let mut place_of = Vec::with_capacity(commits.len());
    for commit in commits {
        if !is_storable(&commit.partition) {
            place_of.push(None);
            continue;
        }
        let place = *places.entry((&commit.group, &commit.partition)).or_insert(last.len());
        match last.get_mut(place) {
            Some(earlier) => *earlier = commit,
            None => last.push(commit),
        }
        place_of.push(Some(place));
    }
    let targets: Vec<Target> = last.into_iter().map(Target::new).collect();
    let mut batches: Vec<&[Target]> = Vec::new();
    let mut rest = targets.as_slice();
    while !rest.is_empty() {
        let mut size_bytes = 0;
        let fits = |target: &&Target| {
            size_bytes += target.size_bytes();
            size_bytes <= BYTES_MAX
        };
        let count = rest.iter().take(COMMITS_MAX).take_while(fits).count().max(1);
        let (batch, after) = rest.split_at(count);
        batches.push(batch);
        rest = after;
    }
    let written: Vec<_> = batches.into_iter().map(|batch| write_batch(zk, batch)).collect();
    let results: Vec<Result<(), ZkError>> = stream::iter(written).buffered(zk.in_flight_max()).concat().await;
    let result = |place: Option<usize>| match place {
        Some(place) => results[place].clone(),
        None => Err(ZkError::BadArgument("an illegal topic or partition".into())),
    };
    place_of.into_iter().map(result).collect()
}

/// One transaction, taken apart only where it cannot be done whole.
async fn write_batch(zk: &ZkClient, batch: &[Target]) -> Vec<Result<(), ZkError>> {
    let mut results: Vec<Result<(), ZkError>> = vec![Ok(()); batch.len()];
    let mut left: Vec<usize> = (0..batch.len()).collect();
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    let mut attempts = 0;
    while !left.is_empty() {
        let mut ops = Vec::new();
        let mut owners = Vec::new();
        for index in &left {
            for (path, data) in batch[*index].nodes() {
                let create = missing.contains(path.as_str());
                ops.push(match create {
                    true => Op::create(path.as_str(), data.clone(), CreateMode::Persistent),
                    false => Op::set(path.as_str(), data.clone(), ANY_VERSION),
                });
                owners.push(*index);
            }
        }
        attempts += 1;
        let Err(error) = zk.multi(ops).await else { break };
        let failed = error.failed_index().and_then(|at| owners.get(at).copied());
        let moved = matches!(error.cause(), ZkError::NoNode { .. } | ZkError::NodeExists { .. });
        let outcome = match failed {
            _ if attempts >= ATTEMPTS_MAX => Err(error),
            // A commit is as good in the next session.
            None if error == ZkError::SessionExpired => Ok(()),
            Some(_) if moved => match prepare(zk, left.iter().map(|index| &batch[*index])).await {
                Ok(now_missing) => {
                    missing = now_missing;
                    Ok(())
                }
                Err(error) => Err(error),
            },
            // Something about this one node: the others go without it.
            Some(index) => {
                results[index] = Err(error);
                left.retain(|other| *other != index);
                attempts -= 1;
                Ok(())
            }
            None => Err(error),
        };
        if let Err(error) = outcome {
            for index in left.drain(..) {
                results[index] = Err(error.clone());
            }
        }
    }
    results
}

/// Makes missing parents, and gives the nodes that are to be created. (On ZooKeeper 3.4, where a transaction cannot
/// create, they are created here, and none is left.)
async fn prepare<'a>(
    zk: &ZkClient,
    targets: impl Iterator<Item = &'a Target>,
) -> Result<BTreeSet<&'a str>, ZkError> {
    let nodes: Vec<&Node> = targets.flat_map(Target::nodes).collect();
    let stats = zk.exists_many(nodes.iter().map(|(path, _)| path.clone()).collect()).await?;
    let missing: Vec<&Node> =
        nodes.into_iter().zip(stats).filter(|(_, stat)| stat.is_none()).map(|(node, _)| node).collect();
    let parents: BTreeSet<&str> =
        missing.iter().filter_map(|(path, _)| path.rsplit_once('/').map(|(parent, _)| parent)).collect();
    for parent in parents {
        zk.ensure_path(parent).await?;
    }
    if !zk.multi_lacks_create() {
        return Ok(missing.into_iter().map(|(path, _)| path.as_str()).collect());
    }
    let create = |(path, data): &Node| {
        let (path, data) = (path.clone(), data.clone());
        async move { zk.create(&path, data, CreateMode::Persistent).await }
    };
    let creates: Vec<_> = missing.into_iter().map(create).collect();
    let mut creates = stream::iter(creates).buffered(zk.in_flight_max());
    while let Some(created) = creates.next().await {
        match created {
            Err(error) if !error.is_node_exists() => return Err(error),
            _ => {}
        }
    }
    Ok(BTreeSet::new())
}
