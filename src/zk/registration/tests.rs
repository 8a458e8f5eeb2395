use super::*;
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{SessionEvent, ZkClient};
use std::collections::BTreeMap;

fn broker(port: i32) -> BrokerRegistration {
    let map = crate::config::endpoint::default_protocol_map();
    let text = format!("PLAINTEXT://h:{port}");
    BrokerRegistration {
        version: 5,
        endpoints: crate::config::endpoint::parse_endpoints(&text, &map, true).unwrap(),
        rack: None,
        jmx_port: -1,
        timestamp_ms: 1_700_000_000_000,
        features: BTreeMap::new(),
    }
}

async fn start() -> (MemoryZooKeeper, ZkClient) {
    let zookeeper = MemoryZooKeeper::new();
    let client = zookeeper.connect();
    client.ensure_path(paths::BROKER_IDS).await.unwrap();
    zookeeper.take_log();
    (zookeeper, client)
}

#[test]
fn owners() {
    assert_eq!(judge(1, 1, &[1]), Owner::Ours);
    assert_eq!(judge(1, 2, &[1, 2]), Owner::OursBefore);
    assert_eq!(judge(3, 2, &[1, 2]), Owner::Foreign);
    // A persistent node of that name has no owner.
    assert_eq!(judge(0, 2, &[1, 2]), Owner::Foreign);
}

#[tokio::test]
async fn registering_writes_what_kafka_writes() {
    let (zookeeper, client) = start().await;
    let epoch = Registrar::new(client.clone(), 1).register(&broker(9091)).await.unwrap();
    let text = include_str!("../../../tests/golden/znodes/2.8.2/ops/01-first-broker-start.txt");
    let golden: Vec<&str> = text.lines().skip_while(|line| !line.contains("multi")).skip(1).take(2).collect();
    let golden: Vec<String> = golden
        .iter()
        .map(|l| l.replace("{PORT1}", "9091").replace("{HOST}", "h").replace("{MS}", "1700000000000"))
        .collect();
    assert_eq!(zookeeper.take_log()[1..], golden);
    let brokers = brokers(&client).await.unwrap();
    assert_eq!(brokers, [RegisteredBroker { id: 1, epoch, registration: broker(9091) }]);
}

#[tokio::test]
async fn on_3_4_the_node_never_shows_empty() {
    let (zookeeper, client) = start().await;
    zookeeper.pretend_3_4();
    let epoch = Registrar::new(client.clone(), 1).register(&broker(9091)).await.unwrap();
    let log = zookeeper.take_log();
    assert!(log.len() == 1 && log[0].starts_with("create E /brokers/ids/1 {"), "{log:?}");
    assert_eq!(client.exists("/brokers/ids/1").await.unwrap().unwrap().czxid, epoch);
}

#[tokio::test]
async fn a_lost_answer_keeps_the_registration() {
    let (zookeeper, client) = start().await;
    zookeeper.lose_replies(client.session_id(), 1);
    let epoch = Registrar::new(client.clone(), 1).register(&broker(9091)).await.unwrap();
    let (_, stat) = client.get("/brokers/ids/1").await.unwrap().unwrap();
    assert_eq!((stat.czxid, stat.version), (epoch, 1));
}

#[tokio::test]
async fn a_new_session_registers_again_with_a_new_epoch() {
    let (zookeeper, client) = start().await;
    let mut registrar = Registrar::new(client.clone(), 1);
    let first = registrar.register(&broker(9091)).await.unwrap();
    let mut events = client.session_events();
    let session = client.session_id();
    zookeeper.expire(session);
    let event = events.next().await;
    assert_eq!(event, SessionEvent::NewSession { previous: session, session_id: client.session_id() });
    assert!(registrar.register(&broker(9091)).await.unwrap() > first);
}

#[tokio::test]
async fn a_node_of_our_earlier_session_is_replaced() {
    // ZOOKEEPER-2985: the session is gone, its node is not.
    let (_zookeeper, client) = start().await;
    let other = _zookeeper.connect();
    let stale = other.create("/brokers/ids/1", "old", CreateMode::Ephemeral).await.unwrap();
    let mut registrar = Registrar::new(client.clone(), 1);
    registrar.sessions.push(stale.stat.ephemeral_owner);
    let epoch = registrar.register(&broker(9091)).await.unwrap();
    assert!(epoch > stale.stat.czxid);
}

#[tokio::test]
async fn a_ghost_is_waited_for() {
    let (zookeeper, client) = start().await;
    let crashed = zookeeper.connect();
    let ghost = Registrar::new(crashed.clone(), 1).register(&broker(9091)).await.unwrap();
    let mut registrar = Registrar::new(client.clone(), 1);
    let registration = broker(9091);
    let registering = registrar.register(&registration);
    tokio::pin!(registering);
    tokio::select! {
        biased;
        done = &mut registering => panic!("did not wait: {done:?}"),
        () = tokio::task::yield_now() => zookeeper.expire(crashed.session_id()),
    }
    assert!(registering.await.unwrap() > ghost);
}

#[tokio::test]
async fn a_living_broker_with_the_same_id_is_an_error() {
    let (zookeeper, client) = start().await;
    let living = zookeeper.connect();
    Registrar::new(living.clone(), 1).register(&broker(9091)).await.unwrap();
    let error = Registrar::new(client, 1).register(&broker(9092)).await.unwrap_err();
    assert_eq!(error.to_string(), "KeeperErrorCode = NodeExists");
}

#[tokio::test]
async fn a_node_that_changes_hands_is_no_ghost() {
    let (zookeeper, client) = start().await;
    let (first, second) = (zookeeper.connect(), zookeeper.connect());
    first.create("/brokers/ids/1", "a", CreateMode::Ephemeral).await.unwrap();
    let mut registrar = Registrar::new(client, 1);
    let registration = broker(9091);
    let registering = registrar.register(&registration);
    tokio::pin!(registering);
    tokio::select! {
        biased;
        done = &mut registering => panic!("did not wait: {done:?}"),
        () = tokio::task::yield_now() => {}
    }
    zookeeper.expire(first.session_id());
    second.create("/brokers/ids/1", "b", CreateMode::Ephemeral).await.unwrap();
    assert!(registering.await.unwrap_err().is_node_exists());
}

#[tokio::test]
async fn an_address_belongs_to_one_broker() {
    let (zookeeper, client) = start().await;
    Registrar::new(client.clone(), 1).register(&broker(9091)).await.unwrap();
    client.create("/brokers/ids/7", "garbage", CreateMode::Ephemeral).await.unwrap();
    let brokers = brokers(&zookeeper.connect()).await.unwrap();
    assert_eq!(
        check_addresses(2, &broker(9091).endpoints, &brokers).unwrap_err(),
        "requirement failed: Configured end points h:9091 in advertised listeners are already registered by broker 1"
    );
    assert_eq!(check_addresses(1, &broker(9091).endpoints, &brokers), Ok(()));
    assert_eq!(check_addresses(2, &broker(9092).endpoints, &brokers), Ok(()));
}
