//! What becomes of the session when servers and networks fail.

use super::support::{Proxy, ZooKeeper};
use super::{SESSION_TIMEOUT_MS, SESSION_TIMEOUT_MS_MIN, config, connect};
use ottla::zk::registration::Registrar;
use ottla::zk::{
    ANY_VERSION, CreateMode, SessionEvent, SessionEvents, SessionState, WatchKind, ZkClient, ZkConfig,
    ZkError,
};
use std::time::Duration;

/// Waits for an event, passing over the ups and downs before it.
async fn until(events: &mut SessionEvents, wanted: impl Fn(&SessionEvent) -> bool) -> SessionEvent {
    let waiting = async {
        loop {
            let event = events.next().await;
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(super::support::PATIENCE, waiting).await.expect("the event comes")
}

fn is_back(event: &SessionEvent) -> bool {
    matches!(event, SessionEvent::Connected | SessionEvent::Resumed | SessionEvent::NewSession { .. })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_outlives_an_outage_of_the_ensemble() {
    let mut zookeeper = ZooKeeper::start();
    let client = connect(format!("{}/chroot", zookeeper.address())).await;
    let session = client.session_id();
    let before = client.create("/e", "mine", CreateMode::Ephemeral).await.unwrap();
    let (_, watch) = client.get_and_watch("/e").await.unwrap();
    let mut events = client.session_events();
    zookeeper.kill();
    until(&mut events, |event| *event == SessionEvent::Disconnected).await;
    let waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.set("/e", "still mine", ANY_VERSION).await });
    // Longer than the session timeout, by any clock: that is the point.
    tokio::time::sleep(Duration::from_millis(SESSION_TIMEOUT_MS as u64 * 3 / 2)).await;
    assert_eq!(client.status().state, SessionState::Disconnected);
    assert!(!waiting.is_finished(), "requests wait");
    zookeeper.start_again();
    assert_eq!(until(&mut events, is_back).await, SessionEvent::Resumed);
    assert_eq!(watch.changed().await.kind, WatchKind::Reset);
    assert_eq!(waiting.await.unwrap().unwrap().version, 1);
    let (data, stat) = client.get("/e").await.unwrap().unwrap();
    assert_eq!((data.as_ref(), stat.czxid), (b"still mine".as_ref(), before.stat.czxid));
    assert_eq!((client.session_id(), stat.ephemeral_owner), (session, session));
    // Watches work again.
    let (_, watch) = client.get_and_watch("/e").await.unwrap();
    client.set("/e", "", ANY_VERSION).await.unwrap();
    assert_eq!(watch.changed().await.kind, WatchKind::DataChanged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watches_survive_a_broken_connection() {
    let zookeeper = ZooKeeper::start();
    let proxy = Proxy::start(zookeeper.address());
    let (client, other) = (connect(proxy.address()).await, connect(zookeeper.address()).await);
    other.create("/a", "1", CreateMode::Persistent).await.unwrap();
    for round in 0..5 {
        let (_, watch) = client.get_and_watch("/a").await.unwrap();
        let session = client.session_id();
        proxy.break_connections();
        other.set("/a", format!("{round}"), ANY_VERSION).await.unwrap();
        // Kept by the reconnect, or reset by a takeover: never silent.
        let event = tokio::time::timeout(super::support::PATIENCE, watch.changed()).await.unwrap();
        assert!(matches!(event.kind, WatchKind::DataChanged | WatchKind::Reset), "{event:?}");
        assert_eq!(client.get("/a").await.unwrap().unwrap().0, format!("{round}"));
        assert_eq!(client.session_id(), session);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_over_breaking_connections_happen_once() {
    let zookeeper = ZooKeeper::start();
    let proxy = Proxy::start(zookeeper.address());
    let client = connect(proxy.address()).await;
    client.create("/n", "", CreateMode::Persistent).await.unwrap();
    let writer = client.clone();
    let writing = tokio::spawn(async move {
        for version in 0..300 {
            // Conditional: a second effect, or a false failure, would show at once.
            let stat = writer.set("/n", format!("{version}"), version).await.unwrap();
            assert_eq!(stat.version, version + 1);
        }
    });
    while !writing.is_finished() {
        proxy.break_connections();
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    writing.await.unwrap();
    assert_eq!(client.exists("/n").await.unwrap().unwrap().version, 300);
}

/// Cuts `client` off until the server has ended its session.
async fn lose_session(proxy: &Proxy, client: &ZkClient, witness: &ZkClient) {
    let (found, watch) = witness.exists_and_watch("/brokers/ids/1").await.unwrap();
    assert_eq!(found.unwrap().ephemeral_owner, client.session_id());
    proxy.cut();
    assert_eq!(watch.changed().await.kind, WatchKind::Deleted);
    assert_eq!(client.status().state, SessionState::Disconnected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_session_is_replaced_and_the_broker_registers_again() {
    let zookeeper = ZooKeeper::start();
    let proxy = Proxy::start(zookeeper.address());
    let short = ZkConfig { session_timeout_ms: SESSION_TIMEOUT_MS_MIN, ..config(proxy.address()) };
    let (client, witness) = (ZkClient::connect(short).await.unwrap(), connect(zookeeper.address()).await);
    client.ensure_path("/brokers/ids").await.unwrap();
    let broker = br#"{"version":1,"host":"h","port":1,"jmx_port":-1}"#;
    let broker = ottla::zk::data::BrokerRegistration::decode(broker).unwrap();
    let mut registrar = Registrar::new(client.clone(), 1);
    let first = registrar.register(&broker).await.unwrap();
    let previous = client.session_id();
    let mut events = client.session_events();
    let (_, watch) = client.children_and_watch("/brokers/ids").await.unwrap();
    lose_session(&proxy, &client, &witness).await;
    let mut write = Box::pin(client.create("/x", "", CreateMode::Persistent));
    tokio::select! {
        biased;
        done = &mut write => panic!("did not wait: {done:?}"),
        () = tokio::task::yield_now() => {}
    }
    until(&mut events, |event| *event == SessionEvent::Disconnected).await;
    proxy.mend();
    let event = until(&mut events, is_back).await;
    assert_eq!(event, SessionEvent::NewSession { previous, session_id: client.session_id() });
    assert_ne!(previous, client.session_id());
    assert_eq!(watch.changed().await.kind, WatchKind::Reset);
    let write = write.await.map(|_| ());
    // It belongs to the old session if it was asked for before the loss was known.
    assert_eq!(write, Err(ZkError::SessionExpired));
    assert!(client.children("/brokers/ids").await.unwrap().is_empty());
    let second = registrar.register(&broker).await.unwrap();
    assert!(second > first);
    assert_eq!(witness.exists("/brokers/ids/1").await.unwrap().unwrap().ephemeral_owner, client.session_id());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_ends_the_session_at_the_server_and_drop_does_too() {
    let zookeeper = ZooKeeper::start();
    let witness = connect(zookeeper.address()).await;
    for by_drop in [false, true] {
        let client = connect(zookeeper.address()).await;
        client.create("/e", "", CreateMode::Ephemeral).await.unwrap();
        let (_, watch) = witness.exists_and_watch("/e").await.unwrap();
        if by_drop {
            drop(client);
            watch.changed().await;
        } else {
            client.close().await;
            // Not some time later, when the timeout has passed.
            assert_eq!(witness.exists("/e").await.unwrap(), None);
        }
    }
}
