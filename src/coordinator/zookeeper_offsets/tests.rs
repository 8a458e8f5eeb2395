use super::*;
use crate::common::clock;
use crate::zk::memory::MemoryZooKeeper;
use std::collections::HashSet;

const DAY_MS: i64 = 86_400_000;

fn key(partition: i32) -> TopicPartition {
    TopicPartition::new("t", partition)
}

fn committed(offset: i64, metadata: &'static str) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: None,
        metadata: metadata.into(),
        commit_timestamp_ms: clock::now_ms(),
        expire_timestamp_ms: None,
    }
}

fn store(zookeeper: &MemoryZooKeeper) -> ZooKeeperOffsets {
    ZooKeeperOffsets::start(&zookeeper.connect(), Duration::from_secs(60))
}

#[tokio::test]
async fn commits_of_all_groups_that_wait_go_out_together() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper);
    let groups: Vec<String> = (0..20).map(|g| format!("g{g:02}")).collect();
    for round in 0..2 {
        zookeeper.take_log();
        let commits = groups.iter().map(|group| {
            store.commit(
                group.as_str().into(),
                vec![(key(0), committed(round, "")), (key(1), committed(round, "m"))],
            )
        });
        for results in futures_util::future::join_all(commits).await {
            assert_eq!(results.unwrap(), [Ok(()), Ok(())]);
        }
        if round == 1 {
            let multis = zookeeper.take_log().iter().filter(|line| *line == "multi").count();
            assert!(multis <= 2, "{multis} transactions for what waited together");
        }
    }
    assert_eq!(store.groups().await.unwrap(), groups);
    let all = store.fetch_all("g07".into()).await.unwrap();
    assert_eq!(
        all.iter().map(|(key, c)| (key.partition, c.offset, &*c.metadata)).collect::<Vec<_>>(),
        [(0, 1, ""), (1, 1, "m")]
    );
}

#[tokio::test]
async fn commits_of_one_partition_take_effect_in_their_order() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper);
    let commits = (0..50).map(|offset| store.commit("g".into(), vec![(key(0), committed(offset, ""))]));
    futures_util::future::join_all(commits).await;
    let found = store.fetch("g".into(), vec![key(0), key(5)]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().as_ref().unwrap().offset, 49);
    assert_eq!(found[1], Ok(None));
}

#[tokio::test]
async fn while_zookeeper_is_away_a_commit_is_refused_and_nothing_hangs() {
    let zookeeper = MemoryZooKeeper::new();
    let client = zookeeper.connect();
    let store = ZooKeeperOffsets::start(&client, Duration::from_millis(1));
    zookeeper.disconnect(client.session_id());
    let results = store.commit("g".into(), vec![(key(0), committed(1, ""))]).await.unwrap();
    assert_eq!(results, [Err(OffsetStoreError::Unavailable)]);
    assert_eq!(store.fetch("g".into(), vec![key(0)]).await, Err(OffsetStoreError::Unavailable));
    zookeeper.reconnect(client.session_id());
}

#[tokio::test]
async fn offsets_expire_as_in_kafka_but_not_those_of_old_consumers() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper);
    let now_ms = clock::now_ms();
    let rule = |after_ms: i64, since_ms: Option<i64>, topics: &[&'static str]| ExpiryRule {
        now_ms: now_ms + after_ms,
        retention_ms: DAY_MS,
        since_ms,
        subscribed_topics: topics.iter().map(|topic| ByteString::from(*topic)).collect::<HashSet<_>>(),
    };
    let commit = || store.commit("g".into(), vec![(key(0), committed(1, "")), (key(1), committed(1, "m"))]);
    let expire = |rule| store.remove_expired("g".into(), rule);
    commit().await.unwrap();
    assert_eq!(expire(rule(DAY_MS / 2, None, &[])).await, Ok(2));
    assert_eq!(expire(rule(2 * DAY_MS, Some(now_ms), &["t"])).await, Ok(2), "still consumed");
    assert_eq!(
        expire(rule(2 * DAY_MS, None, &[])).await,
        Ok(1),
        "the plain number has no other owner than old consumers"
    );
    assert_eq!(
        expire(rule(2 * DAY_MS, Some(now_ms), &[])).await,
        Ok(0),
        "the group became empty a retention ago"
    );
    assert_eq!(zookeeper.dump("/consumers"), ["/consumers | P | null"]);
}

#[tokio::test]
async fn a_group_with_live_old_consumers_is_not_deleted() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper);
    let consumer = zookeeper.connect();
    store.commit("g".into(), vec![(key(0), committed(1, ""))]).await.unwrap();
    consumer.ensure_path("/consumers/g/ids").await.unwrap();
    consumer.create("/consumers/g/ids/c", "", crate::zk::CreateMode::Ephemeral).await.unwrap();
    assert_eq!(store.delete_group("g".into()).await, Err(OffsetStoreError::InUse));
    consumer.close().await;
    assert_eq!(store.delete_group("g".into()).await, Ok(1));
    assert_eq!(store.delete("g".into(), vec![key(0)]).await, Ok(0));
}
