//! The client's rules, over the ZooKeeper in memory with its faults. What a real server does as well is tested for
//! both in `tests/zookeeper`.

use super::*;
use crate::zk::{ANY_VERSION, SessionEvent};
use std::time::Duration;

async fn start() -> (MemoryZooKeeper, ZkClient) {
    let zookeeper = MemoryZooKeeper::new();
    let client = zookeeper.connect();
    client.create("/a", "1", CreateMode::Persistent).await.unwrap();
    zookeeper.take_log();
    (zookeeper, client)
}

#[tokio::test]
async fn a_write_whose_answer_was_lost_is_done_once_and_succeeds() {
    let (zookeeper, client) = start().await;
    let lose = || zookeeper.lose_replies(client.session_id(), 1);
    lose();
    let created = client.create("/b", "x", CreateMode::Ephemeral).await.unwrap();
    assert_eq!(created.stat.ephemeral_owner, client.session_id());
    lose();
    assert_eq!(client.set("/b", "y", 0).await.unwrap().version, 1);
    lose();
    client.delete("/b", 1).await.unwrap();
    lose();
    let results = client
        .multi(vec![
            Op::check("/a", 0),
            Op::create("/c", "1", CreateMode::Persistent),
            Op::set("/c", "2", 0),
            Op::set("/a", "2", 0),
        ])
        .await;
    // The first check fails now because the multi itself has written /a: a check speaks for itself.
    assert_eq!(results.unwrap_err().failed_index(), Some(0));
    lose();
    let ops = vec![Op::check("/c", 1), Op::create("/d", "", CreateMode::Persistent), Op::set("/a", "3", 1)];
    let results = client.multi(ops).await.unwrap();
    assert_eq!(results[2].stat().unwrap().version, 2);
    lose();
    client.multi(vec![Op::check("/c", 1), Op::delete("/d", 0)]).await.unwrap();
    let writes = zookeeper.take_log().iter().filter(|line| !line.starts_with("multi")).count();
    assert_eq!(writes, 3 + 4 + 3 + 2, "nothing is done twice");
}

#[tokio::test]
async fn a_repeated_write_does_not_take_another_s_work_for_its_own() {
    let (zookeeper, client) = start().await;
    let other = zookeeper.connect();
    let lose = || zookeeper.lose_requests(client.session_id(), 1);
    other.create("/b", "theirs", CreateMode::Ephemeral).await.unwrap();
    lose();
    assert!(client.create("/b", "ours", CreateMode::Persistent).await.unwrap_err().is_node_exists());
    lose();
    // Same data, but not our session.
    assert!(client.create("/b", "theirs", CreateMode::Ephemeral).await.unwrap_err().is_node_exists());
    other.set("/a", "theirs", 0).await.unwrap();
    lose();
    assert!(client.set("/a", "ours", 0).await.unwrap_err().is_bad_version());
    lose();
    let ops = vec![Op::create("/c", "", CreateMode::Persistent), Op::set("/a", "ours", 0)];
    let error = client.multi(ops).await.unwrap_err();
    assert_eq!((error.failed_index(), error.is_bad_version()), (Some(1), true));
    assert_eq!(client.exists("/c").await.unwrap(), None);
    lose();
    // What a registration of the same broker, before it crashed, has left.
    let registration = vec![Op::create("/d", "", CreateMode::Ephemeral), Op::set("/d", "same", 0)];
    other.multi(registration.clone()).await.unwrap();
    assert!(client.multi(registration).await.unwrap_err().is_node_exists());
}

#[tokio::test]
async fn requests_wait_while_disconnected() {
    let (zookeeper, client) = start().await;
    let session = client.session_id();
    let mut events = client.session_events();
    zookeeper.disconnect(session);
    assert_eq!(events.next().await, SessionEvent::Disconnected);
    let set = client.set("/a", "2", ANY_VERSION);
    tokio::pin!(set);
    tokio::select! {
        biased;
        done = &mut set => panic!("did not wait: {done:?}"),
        () = tokio::task::yield_now() => zookeeper.reconnect(session),
    }
    assert_eq!(set.await.unwrap().version, 1);
    assert_eq!(events.next().await, SessionEvent::Connected);
}

#[tokio::test]
async fn a_lost_session_fails_its_writes_and_goes_on_with_its_reads() {
    let (zookeeper, client) = start().await;
    let session = client.session_id();
    client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    let mut events = client.session_events();
    let (_, watch) = client.get_and_watch("/a").await.unwrap();
    zookeeper.disconnect(session);
    let (set, get) = (client.set("/a", "2", ANY_VERSION), client.get("/a"));
    tokio::pin!(set);
    tokio::select! {
        biased;
        done = &mut set => panic!("did not wait: {done:?}"),
        () = tokio::task::yield_now() => zookeeper.expire(session),
    }
    zookeeper.reconnect(session);
    assert_eq!(set.await, Err(ZkError::SessionExpired));
    assert_eq!(get.await.unwrap().unwrap().0, "1");
    assert_eq!(watch.changed().await.kind, WatchKind::Reset);
    assert_eq!(client.exists("/e").await.unwrap(), None);
    let new = SessionEvent::NewSession { previous: session, session_id: client.session_id() };
    assert_eq!(events.next().await, new);
    // Asked for in the new session.
    assert_eq!(client.set("/a", "2", ANY_VERSION).await.unwrap().version, 1);
}

#[tokio::test]
async fn too_large_requests_are_not_sent() {
    let (zookeeper, client) = start().await;
    let large = vec![b'x'; 0xf_ffff - 100];
    for outcome in [
        client.create("/b", large.clone(), CreateMode::Persistent).await.map(|_| ()),
        client.set("/a", large.clone(), ANY_VERSION).await.map(|_| ()),
        client.multi(vec![Op::check("/a", 0), Op::set("/a", large.clone(), 0)]).await.map(|_| ()),
    ] {
        assert!(matches!(outcome, Err(ZkError::TooLarge { size_bytes, .. }) if size_bytes > 0xf_ffff));
    }
    assert!(zookeeper.take_log().is_empty());
    client.set("/a", vec![b'x'; 0xf_ffff - 200], ANY_VERSION).await.unwrap();
}

#[tokio::test]
async fn closing_and_dropping_end_the_session() {
    let (zookeeper, client) = start().await;
    let other = zookeeper.connect();
    other.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    let mut events = other.session_events();
    other.close().await;
    assert_eq!(events.next().await, SessionEvent::Closed);
    assert_eq!(other.get("/a").await, Err(ZkError::Closed));
    assert_eq!(client.exists("/e").await.unwrap(), None);
    let third = zookeeper.connect();
    third.create("/e", "", CreateMode::Ephemeral).await.unwrap();
    let clone = third.clone();
    drop(third);
    assert!(client.exists("/e").await.unwrap().is_some());
    drop(clone);
    assert_eq!(client.exists("/e").await.unwrap(), None);
}

#[tokio::test]
async fn on_3_4_creates_tell_their_stat_all_the_same() {
    let (zookeeper, client) = start().await;
    zookeeper.pretend_3_4();
    let created = client.create("/b", "x", CreateMode::Persistent).await.unwrap();
    assert_eq!(Some(created.stat), client.exists("/b").await.unwrap());
    let results = client
        .multi(vec![Op::check("/a", 0), Op::create("/c", "1", CreateMode::Persistent), Op::delete("/b", 0)])
        .await
        .unwrap();
    assert_eq!((results[1].stat(), &results[2]), (None, &OpResult::Deleted));
    assert_eq!(
        zookeeper.take_log(),
        [
            "create P /b x",
            "multi",
            "    check /a v0",
            "create P /c 1",
            "multi",
            "    check /a v0",
            "    delete /b"
        ]
    );
    // A later step fails: what was created goes again, and the failing position is that of the whole.
    let ops =
        vec![Op::create("/d", "", CreateMode::Persistent), Op::check("/a", 0), Op::delete("/nothing", 0)];
    let error = client.multi(ops).await.unwrap_err();
    assert_eq!((error.failed_index(), error.is_no_node()), (Some(2), true));
    assert_eq!(client.exists("/d").await.unwrap(), None);
    let ops = vec![Op::check("/a", 5), Op::create("/d", "", CreateMode::Persistent)];
    assert_eq!(client.multi(ops).await.unwrap_err().failed_index(), Some(0));
    assert_eq!(client.exists("/d").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn patience_ends() {
    let zookeeper = MemoryZooKeeper::new();
    let client = zookeeper.connect();
    let patient = client.with_patience(Duration::from_secs(7));
    patient.create("/a", "", CreateMode::Persistent).await.unwrap();
    zookeeper.disconnect(client.session_id());
    for waited_s in [7, 0] {
        let started = tokio::time::Instant::now();
        assert_eq!(patient.get("/a").await, Err(ZkError::RequestTimeout));
        assert_eq!(started.elapsed().as_secs(), waited_s, "once is enough");
    }
    zookeeper.reconnect(client.session_id());
    assert!(patient.get("/a").await.unwrap().is_some());
    zookeeper.disconnect(client.session_id());
    let (waiting, asking) = (patient.clone(), tokio::spawn(async move { patient.get("/a").await }));
    tokio::task::yield_now().await;
    zookeeper.reconnect(client.session_id());
    assert!(asking.await.unwrap().unwrap().is_some(), "an outage that ends in time is not noticed");
    assert!(waiting.get("/a").await.unwrap().is_some());
}
