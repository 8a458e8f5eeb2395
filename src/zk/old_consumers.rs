//! What old consumers (0.8 to 1.1) share in ZooKeeper: who is in a group, and who owns which partition.
//!
//! Nobody coordinates them: each computes the same assignment from the same nodes, and the ephemeral owners' nodes
//! keep two from reading one partition. Source: Kafka 1.1.1 `ZookeeperConsumerConnector`.

use super::client::ZkClient;
use super::data::DataError;
use super::data::consumer_registration::ConsumerRegistration;
use super::error::ZkError;
use super::offsets::group_node;
use super::paths;
use super::types::{CreateMode, Op, Watch};
use crate::common::TopicPartition;
use std::collections::BTreeSet;

/// A member's id and what it wants, if that can be read.
pub type Member = (String, Result<ConsumerRegistration, DataError>);

/// Makes a consumer a member of its group until the session ends.
///
/// # Errors
/// [`ZkError::NodeExists`] if another has that id.
pub async fn register(
    zk: &ZkClient,
    group: &str,
    consumer: &str,
    registration: &ConsumerRegistration,
) -> Result<(), ZkError> {
    let path = paths::consumer_id(&group_node(group), consumer);
    zk.create_with_parents(&path, registration.encode(), CreateMode::Ephemeral).await.map(drop)
}

/// The members of a group by id, and a watch on who they are.
pub async fn members_and_watch(zk: &ZkClient, group: &str) -> Result<(Vec<Member>, Watch), ZkError> {
    let group = group_node(group);
    let (mut ids, watch) = zk.children_and_watch(&paths::consumer_ids(&group)).await?;
    ids.sort();
    let nodes = zk.get_many(ids.iter().map(|id| paths::consumer_id(&group, id)).collect()).await?;
    let members = ids.into_iter().zip(nodes);
    // One that has gone meanwhile fires the watch.
    let members = members.filter_map(|(id, node)| Some((id, ConsumerRegistration::decode(&node?.0))));
    Ok((members.collect(), watch))
}

/// Takes partitions, each for a thread, until the session ends or [`release`]: all of them, or none. Gives the owner's
/// node that stands in the way.
pub async fn claim(
    zk: &ZkClient,
    group: &str,
    wanted: &[(TopicPartition, String)],
) -> Result<Option<String>, ZkError> {
    let group = group_node(group);
    let topics: BTreeSet<&str> = wanted.iter().map(|(key, _)| &*key.topic).collect();
    for topic in topics {
        zk.ensure_path(&paths::consumer_owners(&group, topic)).await?;
    }
    let ops = wanted.iter().map(|(TopicPartition { topic, partition }, thread)| {
        Op::create(paths::consumer_owner(&group, topic, *partition), thread.clone(), CreateMode::Ephemeral)
    });
    match zk.multi(ops.collect()).await {
        Ok(_) => Ok(None),
        Err(ZkError::Multi { error, .. }) => match *error {
            ZkError::NodeExists { path } => Ok(Some(path)),
            other => Err(other),
        },
        Err(error) => Err(error),
    }
}

/// Gives partitions back.
pub async fn release(zk: &ZkClient, group: &str, owned: &[TopicPartition]) -> Result<(), ZkError> {
    let group = group_node(group);
    let owner = |tp: &TopicPartition| paths::consumer_owner(&group, &tp.topic, tp.partition);
    zk.delete_many(owned.iter().map(owner)).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::data::consumer_registration::Subscription;
    use crate::zk::memory::MemoryZooKeeper;

    #[tokio::test]
    async fn members_come_and_go_and_a_partition_has_one_owner() {
        for old in [false, true] {
            let zookeeper = MemoryZooKeeper::new();
            if old {
                zookeeper.pretend_3_4();
            }
            let (a, b) = (zookeeper.connect(), zookeeper.connect());
            let wish = ConsumerRegistration {
                subscription: Subscription::WhiteList("t".into(), 1),
                timestamp_ms: 1,
            };
            register(&a, "g", "a", &wish).await.unwrap();
            assert!(register(&b, "g", "a", &wish).await.unwrap_err().is_node_exists());
            let (members, watch) = members_and_watch(&a, "g").await.unwrap();
            assert_eq!(members, [("a".to_string(), Ok(wish.clone()))]);
            register(&b, "g", "b", &wish).await.unwrap();
            watch.changed().await;
            let (members, watch) = members_and_watch(&a, "g").await.unwrap();
            assert_eq!(members.len(), 2);

            let all: Vec<_> = (0..3).map(|p| (TopicPartition::new("t", p), "b-0".to_string())).collect();
            assert_eq!(claim(&b, "g", &all[1..]).await, Ok(None));
            assert_eq!(claim(&a, "g", &all).await, Ok(Some("/consumers/g/owners/t/1".into())));
            let owners = a.children("/consumers/g/owners/t").await.unwrap();
            assert_eq!(owners.len(), 2, "a claim that fails takes nothing: {owners:?}");
            release(&b, "g", &[TopicPartition::new("t", 1), TopicPartition::new("t", 9)]).await.unwrap();
            assert_eq!(claim(&a, "g", &all[..2]).await, Ok(None));
            b.close().await;
            watch.changed().await;
            assert_eq!(claim(&a, "g", &all[2..]).await, Ok(None));
        }
    }
}
