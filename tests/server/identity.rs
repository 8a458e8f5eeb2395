//! Who may be broker 0.

use crate::session::{Producer, Session};
use crate::support::client::{create_topic, leaders};
use crate::support::{Broker, Wire, ZooKeeper, wait_for};
use kafka_protocol::messages::MetadataRequest;

#[test]
fn a_second_broker_with_the_same_id_is_refused_in_kafkas_words() {
    let zookeeper = ZooKeeper::start();
    let mut first = Broker::start(&zookeeper.address(), &[]);
    create_topic(&mut first.connect(), "t", 1);
    let session = Session::open(&zookeeper.address());
    let epoch = session.broker_epoch();

    // The first might be a ghost: the second waits for as long as its own session would last.
    let mut second = Broker::prepare(&zookeeper.address(), &[("zookeeper.session.timeout.ms", "3000")]);
    second.launch();
    assert_eq!(second.wait_for_exit().code(), Some(1));
    let log = second.log();
    for line in [
        "ERROR Error while creating ephemeral at /brokers/ids/0, node already exists and owner '",
        "' does not match current session '",
        "' (kafka.zk.KafkaZkClient$CheckedEphemeral)\n",
        "ERROR [KafkaServer id=0] Fatal error during KafkaServer startup. Prepare to shutdown (kafka.server.KafkaServer)\n\
         org.apache.zookeeper.KeeperException$NodeExistsException: KeeperErrorCode = NodeExists\n",
        "ERROR Exiting Kafka. (kafka.Kafka$)\n",
    ] {
        assert!(log.contains(line), "{line:?} is not in\n{log}");
    }
    assert!(first.is_running());
    assert_eq!(session.broker_epoch(), epoch);
    Producer::new(&mut first.connect(), "t").produce(&mut first.connect(), 3);
}

#[test]
fn the_ghost_of_a_killed_broker_is_waited_out() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[("zookeeper.session.timeout.ms", "2000")]);
    create_topic(&mut broker.connect(), "t", 1);
    let mut producer = Producer::new(&mut broker.connect(), "t");
    let session = Session::open(&zookeeper.address());
    for _ in 0..2 {
        producer.produce(&mut broker.connect(), 10);
        let epoch = session.broker_epoch();
        broker.kill();
        broker.start_again();
        // It listens already, but is not registered yet.
        wait_for("new registration", || (session.broker_epoch() > epoch).then_some(()));
        session.wait_for_office();
        wait_for("leader", || (leaders(&mut broker.connect(), "t") == 1).then_some(()));
    }
    producer.produce(&mut broker.connect(), 10);
    producer.check(&mut broker.connect());
    assert!(broker.log().contains("/brokers/ids/0 exists, owned by session"), "it met its ghost");
}

/// As the shipped `server.properties`, which names no listener's host: the machine's name is registered, and the port
/// that the system chose.
#[test]
fn a_listener_without_host_and_port_is_registered_under_real_ones() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[("listeners", "PLAINTEXT://:0")]);
    let log = broker.log();
    let at = log.find("addresses: PLAINTEXT://").expect("the line of the registration");
    let address = log[at + 23..].split(',').next().expect("an address").to_string();
    let (host, port) = address.rsplit_once(':').expect("host and port");
    assert!(!host.is_empty() && port.parse::<u16>().expect("a port") > 0, "{address}");
    let mut wire = Wire::connect(&address);
    let known = wire.call(1, &MetadataRequest::default().with_topics(Some(Vec::new())));
    assert_eq!(known.brokers.len(), 1);
    assert_eq!(format!("{}:{}", known.brokers[0].host.as_str(), known.brokers[0].port), address);
}
