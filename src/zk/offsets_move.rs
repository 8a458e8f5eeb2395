//! Moving the committed offsets of a cluster from one place to the other while its brokers run.
//!
//! The record of the storage says where to; then every coordinator takes its partitions of `__consumer_offsets` out of
//! service for as long as a load takes, copies the offsets of their groups, marks the partition as moved, and serves it
//! from the new place. Who loads a partition, then or after a failover, looks at the mark: with it, the new place holds
//! the truth, without it, the old one, and copying begins anew. So no commit is ever accepted in both places, and each
//! step may be repeated. When all partitions are marked, the record names the new storage alone.

use super::client::ZkClient;
use super::data::NodeError;
use super::data::offsets_moved::OffsetsMoved;
use super::data::offsets_storage::{OffsetsStorage, OffsetsStorageNode};
use super::error::ZkError;
use super::offsets::fence::{Fence, WriteError, current_check};
use super::paths;
use super::types::{ANY_VERSION, CreateMode, Op};
use std::collections::BTreeMap;

/// Where the offsets of one partition's groups are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Here.
    pub storage: OffsetsStorage,
    /// And they are to be moved there before anything else.
    pub move_to: Option<OffsetsStorage>,
    /// Version of the record that says so.
    version: i32,
}

/// How a move begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begun {
    /// Nothing is to be done.
    AlreadyThere,
    /// Now, or earlier by somebody else.
    UnderWay,
    /// Another move has to end first.
    OtherWay(OffsetsStorage),
}

async fn record(zk: &ZkClient) -> Result<Option<(OffsetsStorageNode, i32)>, NodeError> {
    match zk.get(paths::OFFSETS_STORAGE).await? {
        Some((data, stat)) => Ok(Some((OffsetsStorageNode::decode(&data)?, stat.version))),
        None => Ok(None),
    }
}

/// Where the groups of `partition` of `__consumer_offsets` have their offsets now; none if the cluster has not decided.
pub async fn place_of(zk: &ZkClient, partition: i32) -> Result<Option<Place>, NodeError> {
    zk.sync().await?;
    let Some((node, version)) = record(zk).await? else { return Ok(None) };
    let rest = Place { storage: node.storage, move_to: None, version };
    let Some(to) = node.migrating_to else { return Ok(Some(rest)) };
    let mark = zk.get(&paths::offsets_moved(partition)).await?;
    match mark.map(|(data, _)| OffsetsMoved::decode(&data)).transpose()? {
        Some(moved) if moved.storage == to => Ok(Some(Place { storage: to, ..rest })),
        _ => Ok(Some(Place { move_to: Some(to), ..rest })),
    }
}

/// Marks a partition as moved, if the record is still that of `place`, and `fence` stands: a leader that was replaced
/// has not copied what its successor has accepted. False: look again.
pub async fn mark_moved(
    zk: &ZkClient,
    fence: Fence,
    place: Place,
    moved: &OffsetsMoved,
) -> Result<bool, WriteError> {
    let path = paths::offsets_moved(fence.partition);
    let checks = vec![current_check(zk, fence).await?, Op::check(paths::OFFSETS_STORAGE, place.version)];
    let create = Op::create(path.as_str(), moved.encode(), CreateMode::Persistent);
    let marked = match zk.multi([checks.as_slice(), &[create]].concat()).await {
        // A mark of an earlier move that nobody has taken away.
        Err(error) if error.is_node_exists() => {
            let set = Op::set(path, moved.encode(), ANY_VERSION);
            zk.multi([checks.as_slice(), &[set]].concat()).await
        }
        other => other,
    };
    match marked {
        Ok(_) => Ok(true),
        Err(error) if error.is_bad_version() || error.is_no_node() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Tells the brokers to move the offsets.
///
/// # Errors
/// [`ZkError::NoNode`] if the cluster has not decided yet where they are.
pub async fn begin(zk: &ZkClient, to: OffsetsStorage) -> Result<Begun, NodeError> {
    loop {
        zk.sync().await?;
        let Some((node, version)) = record(zk).await? else {
            return Err(ZkError::NoNode { path: paths::OFFSETS_STORAGE.into() }.into());
        };
        match node.migrating_to {
            Some(other) if other != to => return Ok(Begun::OtherWay(other)),
            Some(_) => return Ok(Begun::UnderWay),
            None if node.storage == to => return Ok(Begun::AlreadyThere),
            None => {}
        }
        // Marks that the end of an earlier move has left.
        if !remove_marks(zk, version).await? {
            continue;
        }
        let moving = OffsetsStorageNode { migrating_to: Some(to), ..node };
        match zk.set(paths::OFFSETS_STORAGE, moving.encode(), version).await {
            Ok(_) => return Ok(Begun::UnderWay),
            Err(error) if error.is_bad_version() || error.is_no_node() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The partitions that have been moved to `to`.
pub async fn moved(zk: &ZkClient, to: OffsetsStorage) -> Result<BTreeMap<i32, OffsetsMoved>, ZkError> {
    zk.sync().await?;
    let names = zk.children(paths::OFFSETS_STORAGE).await?;
    let partitions: Vec<i32> = names.iter().filter_map(|name| name.parse().ok()).collect();
    let nodes = zk.get_many(partitions.iter().map(|p| paths::offsets_moved(*p)).collect()).await?;
    let marks = partitions.into_iter().zip(nodes);
    let marks = marks.filter_map(|(p, node)| Some((p, OffsetsMoved::decode(&node?.0).ok()?)));
    Ok(marks.filter(|(_, moved)| moved.storage == to).collect())
}

/// True as long as the record says that offsets are to be moved to `to`.
pub async fn is_under_way(zk: &ZkClient, to: OffsetsStorage) -> Result<bool, NodeError> {
    zk.sync().await?;
    Ok(record(zk).await?.is_some_and(|(node, _)| node.migrating_to == Some(to)))
}

/// Ends a move: all partitions are marked, the new storage counts for all. True if it has ended, now or before.
pub async fn finish(zk: &ZkClient, to: OffsetsStorage) -> Result<bool, NodeError> {
    loop {
        zk.sync().await?;
        let version = match record(zk).await? {
            Some((node, version)) if node.migrating_to == Some(to) => {
                match zk.set(paths::OFFSETS_STORAGE, OffsetsStorageNode::of(to).encode(), version).await {
                    Ok(stat) => stat.version,
                    // Somebody else has ended it: look again.
                    Err(error) if error.is_bad_version() || error.is_no_node() => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            Some((node, version)) if node == OffsetsStorageNode::of(to) => version,
            _ => return Ok(false),
        };
        remove_marks(zk, version).await?;
        return Ok(true);
    }
}

/// As long as the record has this version: the marks of a move that somebody has begun meanwhile hold the truth. False
/// if it has another one.
async fn remove_marks(zk: &ZkClient, version: i32) -> Result<bool, ZkError> {
    let names = zk.children(paths::OFFSETS_STORAGE).await?;
    let remove = |name: &String| {
        let path = format!("{}/{name}", paths::OFFSETS_STORAGE);
        vec![Op::check(paths::OFFSETS_STORAGE, version), Op::delete(path, ANY_VERSION)]
    };
    let mut is_current = true;
    for removed in zk.multi_many(names.iter().map(remove).collect()).await {
        match removed {
            Err(error) if error.is_bad_version() => is_current = false,
            Err(error) if !error.is_no_node() => return Err(error),
            _ => {}
        }
    }
    Ok(is_current)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::data::PartitionState;
    use crate::zk::memory::MemoryZooKeeper;
    use crate::zk::offsets_storage;
    use OffsetsStorage::{Kafka, ZooKeeper};

    fn mark(storage: OffsetsStorage) -> OffsetsMoved {
        OffsetsMoved { storage, broker: 1, groups: 2, offsets: 3 }
    }

    async fn storage(zk: &ZkClient, partition: i32) -> (OffsetsStorage, Option<OffsetsStorage>) {
        let place = place_of(zk, partition).await.unwrap().unwrap();
        (place.storage, place.move_to)
    }

    #[tokio::test]
    async fn partition_by_partition_and_back() {
        let zk = MemoryZooKeeper::new().connect();
        assert!(matches!(begin(&zk, Kafka).await, Err(NodeError::Zk(ZkError::NoNode { .. }))));
        assert_eq!(place_of(&zk, 0).await.unwrap(), None);
        offsets_storage::record(&zk, OffsetsStorageNode::of(ZooKeeper)).await.unwrap();
        let fence = Fence { partition: 0, leader_epoch: 7 };
        let state = PartitionState { controller_epoch: 1, leader: 1, leader_epoch: 7, isr: vec![1] };
        let path = paths::partition_state("__consumer_offsets", 0);
        zk.create_with_parents(&path, state.encode(), CreateMode::Persistent).await.unwrap();
        assert_eq!(begin(&zk, ZooKeeper).await.unwrap(), Begun::AlreadyThere);
        for (from, to) in [(ZooKeeper, Kafka), (Kafka, ZooKeeper)] {
            let before = place_of(&zk, 0).await.unwrap().unwrap();
            assert_eq!(storage(&zk, 0).await, (from, None));
            assert_eq!(begin(&zk, to).await.unwrap(), Begun::UnderWay);
            assert_eq!(begin(&zk, to).await.unwrap(), Begun::UnderWay);
            assert_eq!(begin(&zk, from).await.unwrap(), Begun::OtherWay(to));
            assert_eq!(storage(&zk, 0).await, (from, Some(to)));
            // Who has read the record before the move began must look again.
            assert!(!mark_moved(&zk, fence, before, &mark(to)).await.unwrap());
            let place = place_of(&zk, 0).await.unwrap().unwrap();
            for _ in 0..2 {
                assert!(mark_moved(&zk, fence, place, &mark(to)).await.unwrap());
            }
            // Nor does one mark it who was replaced.
            let replaced = Fence { leader_epoch: 6, ..fence };
            assert_eq!(mark_moved(&zk, replaced, place, &mark(to)).await, Err(WriteError::Fenced));
            assert_eq!(storage(&zk, 0).await, (to, None));
            assert_eq!(storage(&zk, 1).await, (from, Some(to)));
            assert_eq!(moved(&zk, to).await.unwrap(), BTreeMap::from([(0, mark(to))]));
            for _ in 0..2 {
                assert!(finish(&zk, to).await.unwrap());
            }
            assert_eq!((storage(&zk, 0).await, storage(&zk, 1).await), ((to, None), (to, None)));
            assert!(moved(&zk, to).await.unwrap().is_empty());
            assert!(!finish(&zk, from).await.unwrap());
        }
    }

    #[tokio::test]
    async fn marks_of_an_earlier_move_do_not_count() {
        let zk = MemoryZooKeeper::new().connect();
        offsets_storage::record(&zk, OffsetsStorageNode::of(ZooKeeper)).await.unwrap();
        // The end of an earlier move was cut short.
        zk.create(&paths::offsets_moved(3), mark(ZooKeeper).encode(), CreateMode::Persistent).await.unwrap();
        begin(&zk, Kafka).await.unwrap();
        assert_eq!(storage(&zk, 3).await, (ZooKeeper, Some(Kafka)));
        assert!(moved(&zk, Kafka).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn marks_of_a_move_that_has_begun_meanwhile_stay() {
        let zk = MemoryZooKeeper::new().connect();
        offsets_storage::record(&zk, OffsetsStorageNode::of(ZooKeeper)).await.unwrap();
        let (_, before) = record(&zk).await.unwrap().unwrap();
        begin(&zk, Kafka).await.unwrap();
        assert!(is_under_way(&zk, Kafka).await.unwrap() && !is_under_way(&zk, ZooKeeper).await.unwrap());
        zk.create(&paths::offsets_moved(3), mark(Kafka).encode(), CreateMode::Persistent).await.unwrap();
        assert!(!remove_marks(&zk, before).await.unwrap());
        assert_eq!(storage(&zk, 3).await, (Kafka, None));
    }
}
