//! Writing commits: many in few transactions, pipelined, each behind the [fences](super::fence) of its commits.

use super::super::client::ZkClient;
use super::super::data::{self, offset_details::OffsetDetails};
use super::super::error::ZkError;
use super::super::paths;
use super::super::types::{ANY_VERSION, CreateMode, Op};
use super::fence::{Fence, Fences, WriteError};
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
    /// Who writes it; none for clients that know no coordinators.
    pub fence: Option<Fence>,
}

/// A node to be written: path and data.
type Node = (String, Bytes);

/// The nodes of one commit.
struct Target {
    number: Node,
    details: Option<Node>,
    fence: Option<Fence>,
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
        Target {
            number: (number, data::consumer_offset::encode(stored.offset)),
            details,
            fence: commit.fence,
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        // The details first: no reader meets a number whose details are still to come.
        self.details.iter().chain([&self.number])
    }

    fn size_bytes(&self) -> usize {
        self.nodes().map(|(path, data)| path.len() + data.len() + 100).sum()
    }
}

/// Commits that go out together, and what becomes of each.
struct Round<'a> {
    /// Of several commits for one partition, the last one.
    last: Vec<&'a Commit>,
    /// Where each commit went; none for what has no node.
    place_of: Vec<Option<usize>>,
}

impl Round<'_> {
    /// Of the first commits, as many as have no fence that an earlier one for the same partition does not have.
    fn gather(commits: &[Commit]) -> Round<'_> {
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
                // One must not fail for the other's fence.
                Some(earlier) if earlier.fence != commit.fence => break,
                Some(earlier) => *earlier = commit,
                None => last.push(commit),
            }
            place_of.push(Some(place));
        }
        Round { last, place_of }
    }
}

/// Writes commits; a result for each, in order. Of several for one partition the last one counts, and all share its
/// result. Parents that are missing are made.
pub async fn write(zk: &ZkClient, fences: &Fences, commits: &[Commit]) -> Vec<Result<(), WriteError>> {
    let mut results = Vec::with_capacity(commits.len());
    while results.len() < commits.len() {
        let round = Round::gather(&commits[results.len()..]);
        results.extend(write_round(zk, fences, round).await);
    }
    results
}

async fn write_round(zk: &ZkClient, fences: &Fences, round: Round<'_>) -> Vec<Result<(), WriteError>> {
    let targets: Vec<Target> = round.last.into_iter().map(Target::new).collect();
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
    let written: Vec<_> = batches.into_iter().map(|batch| write_batch(zk, fences, batch)).collect();
    let results: Vec<Result<(), WriteError>> =
        stream::iter(written).buffered(zk.writes_in_flight_max()).concat().await;
    let result = |place: Option<usize>| match place {
        Some(place) => results[place].clone(),
        None => Err(ZkError::BadArgument("an illegal topic or partition".into()).into()),
    };
    round.place_of.into_iter().map(result).collect()
}

/// What one attempt sends: the checks, then nodes, and whose each of those is.
#[derive(Default)]
struct Attempt {
    checks: Vec<Op>,
    nodes: Vec<Op>,
    owners: Vec<usize>,
}

impl Attempt {
    fn add(&mut self, index: usize, target: &Target, missing: &BTreeSet<&str>) {
        for (path, data) in target.nodes() {
            let create = missing.contains(path.as_str());
            self.nodes.push(match create {
                true => Op::create(path.as_str(), data.clone(), CreateMode::Persistent),
                false => Op::set(path.as_str(), data.clone(), ANY_VERSION),
            });
            self.owners.push(index);
        }
    }
}

/// A transaction that is to be written, whole if that can be.
struct Batch<'a> {
    targets: &'a [Target],
    results: Vec<Result<(), WriteError>>,
    /// Which targets are still to be written.
    left: Vec<usize>,
}

impl Batch<'_> {
    fn fail(&mut self, which: impl Fn(usize) -> bool, error: &WriteError) {
        let results = &mut self.results;
        self.left.retain(|index| {
            let fails = which(*index);
            if fails {
                results[*index] = Err(error.clone());
            }
            !fails
        });
    }

    /// The checks of all that is left. What is behind a fence that is down fails here.
    async fn checks(&mut self, zk: &ZkClient, fences: &Fences) -> Vec<Op> {
        let all: BTreeSet<Fence> = self.left.iter().filter_map(|index| self.targets[*index].fence).collect();
        let mut checks = Vec::with_capacity(all.len());
        for fence in all {
            match fences.check(zk, fence).await {
                Ok(check) => checks.push(check),
                Err(error) => {
                    let targets = self.targets;
                    self.fail(|index| targets[index].fence == Some(fence), &error);
                }
            }
        }
        checks
    }
}

/// One transaction, taken apart only where it cannot be done whole.
async fn write_batch(zk: &ZkClient, fences: &Fences, targets: &[Target]) -> Vec<Result<(), WriteError>> {
    let mut batch =
        Batch { targets, results: vec![Ok(()); targets.len()], left: (0..targets.len()).collect() };
    let mut missing: BTreeSet<&str> = BTreeSet::new();
    let mut attempts = 0;
    loop {
        let mut attempt = Attempt { checks: batch.checks(zk, fences).await, ..Attempt::default() };
        for index in &batch.left {
            attempt.add(*index, &targets[*index], &missing);
        }
        if batch.left.is_empty() {
            return batch.results;
        }
        attempts += 1;
        let ops = [attempt.checks.as_slice(), &attempt.nodes].concat();
        let Err(error) = zk.multi(ops).await else { return batch.results };
        let failed = error.failed_index().and_then(|at| at.checked_sub(attempt.checks.len()));
        let failed = failed.and_then(|at| attempt.owners.get(at).copied());
        let moved = matches!(error.cause(), ZkError::NoNode { .. } | ZkError::NodeExists { .. });
        let outcome = match failed {
            _ if attempts >= ATTEMPTS_MAX => Err(error),
            _ if fences.is_stale(&attempt.checks, &error) => Ok(()),
            // A commit is as good in the next session.
            None if error == ZkError::SessionExpired => Ok(()),
            Some(_) if moved => {
                let targets = batch.left.iter().map(|index| &targets[*index]);
                prepare(zk, &attempt.checks, targets).await.map(|now_missing| missing = now_missing)
            }
            // Something about this one node: the others go without it.
            Some(index) => {
                batch.fail(|other| other == index, &error.into());
                attempts -= 1;
                Ok(())
            }
            None => Err(error),
        };
        match outcome {
            // Looked at again like a transaction: nothing is left behind.
            Err(error) if attempts < ATTEMPTS_MAX && fences.is_stale(&attempt.checks, &error) => {}
            Err(error) => batch.fail(|_| true, &error.into()),
            Ok(()) => {}
        }
    }
}

/// Makes missing parents, and gives the nodes that are to be created. (On ZooKeeper 3.4, where a transaction cannot
/// create, they are created here, and none is left.)
async fn prepare<'a>(
    zk: &ZkClient,
    checks: &[Op],
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
        let create = Op::create(path.as_str(), data.clone(), CreateMode::Persistent);
        [checks, &[create]].concat()
    };
    for created in zk.multi_many(missing.into_iter().map(create).collect()).await {
        match created {
            Err(error) if !error.is_node_exists() => return Err(error),
            _ => {}
        }
    }
    Ok(BTreeSet::new())
}
