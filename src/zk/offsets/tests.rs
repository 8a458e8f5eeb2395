use super::*;
use crate::common::clock;
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{ANY_VERSION, CreateMode};

fn plain(offset: Offset) -> StoredOffset {
    StoredOffset {
        offset,
        leader_epoch: None,
        metadata: String::new(),
        commit_timestamp_ms: clock::now_ms(),
        expire_timestamp_ms: None,
    }
}

fn full(offset: Offset) -> StoredOffset {
    StoredOffset {
        leader_epoch: Some(4),
        metadata: "words".into(),
        commit_timestamp_ms: 1_000,
        expire_timestamp_ms: Some(99),
        ..plain(offset)
    }
}

fn key(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn commit(group: &str, topic: &str, partition: i32, offset: StoredOffset) -> Commit {
    Commit { group: group.into(), partition: key(topic, partition), offset, keeps_time: false, fence: None }
}

async fn write_one(zk: &ZkClient, group: &str, offset: StoredOffset) {
    assert_eq!(write(zk, &Fences::default(), &[commit(group, "t", 0, offset)]).await, [Ok(())]);
}

async fn read_one(zk: &ZkClient, group: &str) -> Option<StoredOffset> {
    read(zk, group, &[key("t", 0)]).await.unwrap().remove(0).unwrap().map(|found| found.stored)
}

#[tokio::test]
async fn a_plain_commit_is_what_old_consumers_read_and_write() {
    let zookeeper = MemoryZooKeeper::with_clock(std::sync::Arc::new(|| 7));
    let zk = zookeeper.connect();
    assert_eq!(read_one(&zk, "g").await, None);
    write_one(&zk, "g", plain(17)).await;
    assert_eq!(
        zookeeper.dump("/consumers"),
        [
            "/consumers | P | null",
            "/consumers/g | P | null",
            "/consumers/g/offsets | P | null",
            "/consumers/g/offsets/t | P | null",
            "/consumers/g/offsets/t/0 | P | 17",
        ]
    );
    zookeeper.take_log();
    write_one(&zk, "g", plain(18)).await;
    assert_eq!(zookeeper.take_log(), ["multi", "    set /consumers/g/offsets/t/0 v1 18"]);
    zk.set("/consumers/g/offsets/t/0", "5\n", ANY_VERSION).await.unwrap();
    assert_eq!(read_one(&zk, "g").await, Some(StoredOffset { commit_timestamp_ms: 7, ..plain(5) }));
}

#[tokio::test]
async fn details_survive_until_somebody_else_writes_the_number() {
    for old in [false, true] {
        let zookeeper = MemoryZooKeeper::new();
        if old {
            zookeeper.pretend_3_4();
        }
        let zk = zookeeper.connect();
        write_one(&zk, "g", full(17)).await;
        assert_eq!(read_one(&zk, "g").await, Some(full(17)), "first, old {old}");
        let again = full(18);
        write_one(&zk, "g", again.clone()).await;
        assert_eq!(read_one(&zk, "g").await, Some(again), "second, old {old}");
        assert_eq!(zk.get("/consumers/g/offsets/t/0").await.unwrap().unwrap().0, "18");
        // A reset by hand, even to the same number.
        zk.set("/consumers/g/offsets/t/0", "18", ANY_VERSION).await.unwrap();
        let read = read_one(&zk, "g").await.unwrap();
        assert_eq!(
            (read.offset, read.leader_epoch, read.metadata.as_str(), read.expire_timestamp_ms),
            (18, None, "", None)
        );
        // A commit without details forgets those before it.
        write_one(&zk, "g", full(19)).await;
        write_one(&zk, "g", plain(19)).await;
        assert_eq!(read_one(&zk, "g").await.unwrap().leader_epoch, None);
        // An old tool deletes the offsets only.
        zk.delete_recursive("/consumers/g/offsets", &[]).await.unwrap();
        assert_eq!(read_one(&zk, "g").await, None);
        write_one(&zk, "g", full(20)).await;
        assert_eq!(read_one(&zk, "g").await, Some(full(20)), "recreated, old {old}");
    }
}

#[tokio::test]
async fn a_commit_of_another_time_keeps_its_time() {
    let zk = MemoryZooKeeper::new().connect();
    let stored = StoredOffset { commit_timestamp_ms: 1_000, ..plain(3) };
    write_one(&zk, "g", stored.clone()).await;
    assert_eq!(read_one(&zk, "g").await, Some(stored));
}

#[tokio::test]
async fn many_commits_make_few_transactions_and_the_last_counts() {
    let zookeeper = MemoryZooKeeper::new();
    let zk = zookeeper.connect();
    let mut commits: Vec<Commit> = (0..300).map(|p| commit("g", "t", p, plain(i64::from(p)))).collect();
    commits.push(commit("g", "t", 7, plain(1_000)));
    commits.push(commit("h/x", "u", 0, full(5)));
    for round in 0..2 {
        zookeeper.take_log();
        let results = write(&zk, &Fences::default(), &commits).await;
        assert!(results.len() == 302 && results.iter().all(Result::is_ok), "{results:?}");
        let log = zookeeper.take_log();
        assert_eq!(log.iter().filter(|line| *line == "multi").count(), 3, "round {round}");
    }
    let found = read_all(&zk, "g").await.unwrap();
    assert_eq!(found.len(), 300);
    assert_eq!(found.iter().find(|(p, _)| p.partition == 7).unwrap().1.stored.offset, 1_000);
    assert_eq!(groups(&zk).await.unwrap(), ["g", "h/x"]);
    assert_eq!(read(&zk, "h/x", &[key("u", 0)]).await.unwrap().remove(0).unwrap().unwrap().stored, full(5));
}

#[tokio::test]
async fn one_commit_that_cannot_be_does_not_stop_the_others() {
    let zk = MemoryZooKeeper::new().connect();
    // An ephemeral where the topic's node should be.
    zk.ensure_path("/consumers/g/offsets").await.unwrap();
    zk.create("/consumers/g/offsets/bad", "", CreateMode::Ephemeral).await.unwrap();
    let commits = [
        commit("g", "t", 0, plain(1)),
        commit("g", "a/../b", 0, plain(1)),
        commit("g", "u", -1, plain(1)),
        commit("h", "t", 0, plain(2)),
    ];
    let results = write(&zk, &Fences::default(), &commits).await;
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_err() && results[3].is_ok());
    let results =
        write(&zk, &Fences::default(), &[commit("g", "t", 0, plain(3)), commit("g", "bad", 0, plain(1))])
            .await;
    assert!(results[1].is_err(), "{results:?}");
    assert_eq!(read_one(&zk, "g").await.unwrap().offset, 3);
}

#[tokio::test]
async fn a_lost_answer_or_session_does_no_harm() {
    let zookeeper = MemoryZooKeeper::new();
    let zk = zookeeper.connect();
    for offset in 1..4 {
        zookeeper.lose_replies(zk.session_id(), 1);
        write_one(&zk, "g", full(offset)).await;
        assert_eq!(read_one(&zk, "g").await, Some(full(offset)));
    }
    zookeeper.disconnect(zk.session_id());
    let session = zk.session_id();
    let write = write_one(&zk, "g", full(9));
    let expire = async {
        zookeeper.expire(session);
        zookeeper.reconnect(session);
    };
    futures_util::join!(write, expire);
    assert_eq!(read_one(&zk, "g").await, Some(full(9)));
}

#[tokio::test]
async fn garbage_is_an_error_where_it_stands_and_nowhere_else() {
    let zk = MemoryZooKeeper::new().connect();
    for offset in 0..4 {
        write(&zk, &Fences::default(), &[commit("g", "t", offset, full(1))]).await;
    }
    for (path, data) in [("0", "many"), ("1", ""), ("2", "99999999999999999999")] {
        zk.set(&format!("/consumers/g/offsets/t/{path}"), data, ANY_VERSION).await.unwrap();
    }
    for junk in [
        "/consumers/g/offsets/t/x",
        "/consumers/g/offsets/t/00",
        "/consumers/g/offsets/bad name/0",
        "/consumers/%zz/offsets/t/0",
        "/consumers/only-ids/ids",
    ] {
        zk.ensure_path(junk).await.unwrap();
    }
    let all: Vec<TopicPartition> = (0..4).map(|p| key("t", p)).collect();
    let found = read(&zk, "g", &all).await.unwrap();
    assert!(found[..3].iter().all(|found| matches!(found, Err(NodeError::Data(_)))), "{found:?}");
    assert_eq!(partitions(&zk, "g").await.unwrap(), all);
    assert_eq!(read_all(&zk, "g").await.unwrap().len(), 1);
    assert_eq!(groups(&zk).await.unwrap(), ["g"]);
    // Details that are garbage in the same transaction as the number.
    let (number, details) = ("/consumers/g/offsets/t/3", "/consumers/g/offset_details/t/3");
    let ops =
        vec![crate::zk::Op::set(number, "8", ANY_VERSION), crate::zk::Op::set(details, "{", ANY_VERSION)];
    zk.multi(ops).await.unwrap();
    let found = read(&zk, "g", &[key("t", 3), key("../x", 0), key("t", -1)]).await.unwrap();
    let offsets: Vec<_> =
        found.into_iter().map(|f| f.unwrap().map(|f| (f.stored.offset, f.has_details))).collect();
    assert_eq!(offsets, [Some((8, false)), None, None]);
    // A commit mends it.
    assert_eq!(write(&zk, &Fences::default(), &[commit("g", "t", 0, plain(6))]).await, [Ok(())]);
    assert_eq!(read_one(&zk, "g").await.unwrap().offset, 6);
}

#[tokio::test]
async fn deletions_leave_no_empty_nodes_and_nothing_of_others() {
    let zookeeper = MemoryZooKeeper::new();
    let zk = zookeeper.connect();
    write(
        &zk,
        &Fences::default(),
        &[commit("g", "t", 0, full(1)), commit("g", "t", 1, plain(1)), commit("g", "u", 0, plain(1))],
    )
    .await;
    assert_eq!(
        delete(&zk, &Fences::default(), None, "g", &[key("t", 0), key("t", 1), key("t", 2)]).await.unwrap(),
        2
    );
    assert_eq!(partitions(&zk, "g").await.unwrap(), [key("u", 0)]);
    assert!(zk.exists("/consumers/g/offset_details").await.unwrap().is_none());
    assert_eq!(delete(&zk, &Fences::default(), None, "g", &[key("u", 0)]).await.unwrap(), 1);
    assert_eq!(zookeeper.dump("/consumers"), ["/consumers | P | null"]);
    // An old consumer was there, and is gone.
    write(&zk, &Fences::default(), &[commit("g", "t", 0, full(1))]).await;
    for path in ["/consumers/g/ids", "/consumers/g/owners/t"] {
        zk.ensure_path(path).await.unwrap();
    }
    zk.create("/consumers/g/ids/c", "", CreateMode::Ephemeral).await.unwrap();
    assert_eq!(delete_group(&zk, &Fences::default(), None, "g").await.unwrap(), 1);
    assert!(zk.exists("/consumers/g/owners/t").await.unwrap().is_some(), "its owner lives");
    zk.delete("/consumers/g/ids/c", ANY_VERSION).await.unwrap();
    assert_eq!(delete_group(&zk, &Fences::default(), None, "g").await.unwrap(), 0);
    assert_eq!(zookeeper.dump("/consumers"), ["/consumers | P | null"]);
}

#[tokio::test]
async fn what_expires_goes_unless_it_is_written_meanwhile_or_old_consumers_live() {
    let zk = MemoryZooKeeper::new().connect();
    write(&zk, &Fences::default(), &[commit("g", "t", 0, full(1)), commit("g", "t", 1, full(2))]).await;
    let first = |key: &TopicPartition, _: &Found| key.partition == 0;
    zk.ensure_path("/consumers/g/ids").await.unwrap();
    zk.create("/consumers/g/ids/c", "", CreateMode::Ephemeral).await.unwrap();
    assert_eq!(
        remove_expired(&zk, &Fences::default(), None, "g", first).await.unwrap(),
        Expired { removed: 0, left: 2 }
    );
    zk.delete("/consumers/g/ids/c", ANY_VERSION).await.unwrap();
    let all = read_all(&zk, "g").await.unwrap();
    assert_eq!(
        remove_expired(&zk, &Fences::default(), None, "g", first).await.unwrap(),
        Expired { removed: 1, left: 1 }
    );
    assert_eq!(partitions(&zk, "g").await.unwrap(), [key("t", 1)]);
    // The version seen is the condition, of the details too: they belong to a commit that came meanwhile.
    write(&zk, &Fences::default(), &[commit("g", "t", 1, full(3))]).await;
    let seen = &all[1];
    assert_eq!(
        remove::delete_versions(&zk, (&Fences::default(), None), "g", &[(&seen.0, seen.1.version)])
            .await
            .unwrap(),
        0
    );
    assert_eq!(partitions(&zk, "g").await.unwrap(), [key("t", 1)]);
    assert_eq!(read(&zk, "g", &[key("t", 1)]).await.unwrap().remove(0).unwrap().unwrap().stored, full(3));
}
