use super::*;
use crate::common::clock;
use crate::zk::data::PartitionState;
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{ANY_VERSION, CreateMode, paths};
use std::collections::HashSet;

const DAY_MS: i64 = 86_400_000;
/// Who writes, unless a test says otherwise.
const FENCE: Fence = Fence { partition: 0, leader_epoch: 3 };

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

/// A store of a broker of its own.
async fn store(zookeeper: &MemoryZooKeeper) -> ZooKeeperOffsets {
    let zk = zookeeper.connect();
    if zk.exists(&state_path(0)).await.unwrap().is_none() {
        lead(&zk, FENCE, &[1]).await;
    }
    ZooKeeperOffsets::start(&zk, Duration::from_secs(60))
}

fn state_path(partition: i32) -> String {
    paths::partition_state("__consumer_offsets", partition)
}

/// What the controller, or a leader that changes its ISR, writes.
async fn lead(zk: &ZkClient, fence: Fence, isr: &[i32]) {
    let state = PartitionState {
        controller_epoch: 1,
        leader: 1,
        leader_epoch: fence.leader_epoch,
        isr: isr.to_vec(),
    };
    let path = state_path(fence.partition);
    match zk.exists(&path).await.unwrap() {
        Some(_) => drop(zk.set(&path, state.encode(), ANY_VERSION).await.unwrap()),
        None => drop(zk.create_with_parents(&path, state.encode(), CreateMode::Persistent).await.unwrap()),
    }
}

fn multis(zookeeper: &MemoryZooKeeper) -> usize {
    zookeeper.take_log().iter().filter(|line| *line == "multi").count()
}

#[tokio::test]
async fn commits_of_all_groups_that_wait_go_out_together() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper).await;
    let groups: Vec<String> = (0..20).map(|g| format!("g{g:02}")).collect();
    for round in 0..2 {
        zookeeper.take_log();
        let commits = groups.iter().map(|group| {
            store.commit(
                group.as_str().into(),
                vec![(key(0), committed(round, "")), (key(1), committed(round, "m"))],
                Some(FENCE),
            )
        });
        for results in futures_util::future::join_all(commits).await {
            assert_eq!(results.unwrap(), [Ok(()), Ok(())]);
        }
        if round == 1 {
            let multis = multis(&zookeeper);
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
    let store = store(&zookeeper).await;
    let commits =
        (0..50).map(|offset| store.commit("g".into(), vec![(key(0), committed(offset, ""))], Some(FENCE)));
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
    let results = store.commit("g".into(), vec![(key(0), committed(1, ""))], None).await.unwrap();
    assert_eq!(results, [Err(OffsetStoreError::Unavailable)]);
    assert_eq!(store.fetch("g".into(), vec![key(0)]).await, Err(OffsetStoreError::Unavailable));
    zookeeper.reconnect(client.session_id());
}

#[tokio::test]
async fn offsets_expire_as_in_kafka_but_not_those_of_old_consumers() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper).await;
    let now_ms = clock::now_ms();
    let rule = |after_ms: i64, since_ms: Option<i64>, topics: &[&'static str]| ExpiryRule {
        now_ms: now_ms + after_ms,
        retention_ms: DAY_MS,
        since_ms,
        subscribed_topics: topics.iter().map(|topic| ByteString::from(*topic)).collect::<HashSet<_>>(),
    };
    let commit =
        || store.commit("g".into(), vec![(key(0), committed(1, "")), (key(1), committed(1, "m"))], None);
    let expire = |rule| store.remove_expired("g".into(), rule, FENCE);
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
    let store = store(&zookeeper).await;
    let consumer = zookeeper.connect();
    store.commit("g".into(), vec![(key(0), committed(1, ""))], None).await.unwrap();
    consumer.ensure_path("/consumers/g/ids").await.unwrap();
    consumer.create("/consumers/g/ids/c", "", crate::zk::CreateMode::Ephemeral).await.unwrap();
    assert_eq!(store.delete_group("g".into(), FENCE).await, Err(OffsetStoreError::InUse));
    consumer.close().await;
    assert_eq!(store.delete_group("g".into(), FENCE).await, Ok(1));
    assert_eq!(store.delete("g".into(), vec![key(0)], FENCE).await, Ok(0));
}

#[tokio::test]
async fn a_coordinator_that_was_replaced_writes_nothing_more() {
    for old in [false, true] {
        let zookeeper = MemoryZooKeeper::new();
        if old {
            zookeeper.pretend_3_4();
        }
        let (zombie, next) = (store(&zookeeper).await, store(&zookeeper).await);
        let controller = zookeeper.connect();
        let elsewhere = Fence { partition: 7, leader_epoch: 0 };
        lead(&controller, elsewhere, &[1]).await;
        let offset = |offset| vec![(key(0), committed(offset, "words"))];
        let refused = Ok(vec![Err(OffsetStoreError::NotCoordinator)]);
        assert_eq!(zombie.commit("g".into(), offset(1), Some(FENCE)).await, Ok(vec![Ok(())]));
        // Nor does anybody write who thinks that he leads, and will soon.
        let successor = Fence { leader_epoch: 4, ..FENCE };
        assert_eq!(next.commit("g".into(), offset(2), Some(successor)).await, refused);
        lead(&controller, successor, &[2]).await;
        assert_eq!(next.commit("g".into(), offset(20), Some(successor)).await, Ok(vec![Ok(())]));
        // What waits with it goes out, whoever leads: other groups, and clients that know no coordinators.
        let late = [
            zombie.commit("g".into(), offset(2), Some(FENCE)),
            zombie.commit("new".into(), offset(2), Some(FENCE)),
            zombie.commit("other".into(), offset(3), Some(elsewhere)),
            zombie.hand_over("g".into(), offset(2), FENCE),
            zombie.commit("plain".into(), offset(4), None),
        ];
        let late = futures_util::future::join_all(late).await;
        let stored = Ok(vec![Ok(())]);
        assert_eq!(late, [refused.clone(), refused.clone(), stored.clone(), refused, stored]);
        let found = async |group: &str| {
            let found = next.fetch(group.to_string().into(), vec![key(0)]).await.unwrap().remove(0).unwrap();
            found.map(|committed| committed.offset)
        };
        assert_eq!(
            (found("g").await, found("other").await, found("plain").await),
            (Some(20), Some(3), Some(4))
        );
        assert_eq!(found("new").await, None);
        // It removes nothing either.
        let not_coordinator = Err(OffsetStoreError::NotCoordinator);
        let rule = ExpiryRule {
            now_ms: clock::now_ms() + 2 * DAY_MS,
            retention_ms: DAY_MS,
            since_ms: Some(0),
            subscribed_topics: HashSet::new(),
        };
        assert_eq!(zombie.remove_expired("g".into(), rule.clone(), FENCE).await, not_coordinator);
        assert_eq!(zombie.delete("g".into(), vec![key(0)], FENCE).await, not_coordinator);
        assert_eq!(zombie.delete_group("g".into(), FENCE).await, not_coordinator);
        assert_eq!(found("g").await, Some(20));
        assert_eq!(next.remove_expired("g".into(), rule, successor).await, Ok(0));
        assert_eq!(found("g").await, None);
        // A topic that is gone has no leader.
        controller.delete(&state_path(0), ANY_VERSION).await.unwrap();
        let gone = next.commit("g".into(), offset(5), Some(successor)).await;
        assert_eq!(gone, Ok(vec![Err(OffsetStoreError::NotCoordinator)]));
    }
}

#[tokio::test]
async fn a_fence_costs_one_operation_and_a_changed_isr_one_more_look() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper).await;
    let controller = zookeeper.connect();
    let commit = async |offset| {
        let results = store.commit("g".into(), vec![(key(0), committed(offset, ""))], Some(FENCE)).await;
        assert_eq!(results, Ok(vec![Ok(())]));
    };
    commit(1).await;
    zookeeper.take_log();
    for offset in 2..5 {
        commit(offset).await;
        assert_eq!(multis(&zookeeper), 1);
    }
    for isr in [&[1, 2][..], &[1]] {
        lead(&controller, FENCE, isr).await;
        zookeeper.take_log();
        commit(7).await;
        assert_eq!(multis(&zookeeper), 1, "what is refused leaves no trace");
        assert_eq!(store.delete("g".into(), vec![key(0)], FENCE).await, Ok(1));
        commit(8).await;
    }
    lead(&controller, FENCE, &[2]).await;
    assert_eq!(store.delete("g".into(), vec![key(0)], FENCE).await, Ok(1));
}

#[tokio::test]
async fn commits_of_one_partition_under_two_fences_have_a_result_each() {
    let zookeeper = MemoryZooKeeper::new();
    let store = store(&zookeeper).await;
    let before = Fence { leader_epoch: 2, ..FENCE };
    let commit = |offset, fence| store.commit("g".into(), vec![(key(0), committed(offset, ""))], fence);
    let commits = [commit(1, Some(FENCE)), commit(2, None), commit(3, Some(FENCE)), commit(4, Some(before))];
    let results = futures_util::future::join_all(commits).await;
    let results: Vec<_> = results.into_iter().map(|results| results.unwrap().remove(0)).collect();
    assert_eq!(results, [Ok(()), Ok(()), Ok(()), Err(OffsetStoreError::NotCoordinator)]);
    let found = store.fetch("g".into(), vec![key(0)]).await.unwrap().remove(0).unwrap().unwrap();
    assert_eq!(found.offset, 3);
}
