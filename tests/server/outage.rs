//! ZooKeeper goes away and comes back, with the session and without.

use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::session::{NONE, Producer, Session, try_create};
use crate::support::client::{create_topic, leaders, topic_name};
use crate::support::{Broker, Proxy, ZooKeeper, wait_for};

const REQUEST_TIMED_OUT: i16 = 7;
const TOPIC_RESOURCE: i8 = 2;
/// How long the broker lets an administrator wait for ZooKeeper.
const PATIENCE: (&str, &str) = ("zookeeper.connection.timeout.ms", "5000");

fn set_retention(broker: &Broker, topic: &str, value: &'static str) -> i16 {
    let config = AlterableConfig::default()
        .with_name(StrBytes::from_static_str("retention.ms"))
        .with_value(Some(StrBytes::from_static_str(value)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(TOPIC_RESOURCE)
        .with_resource_name(StrBytes::from_string(topic.to_string()))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    broker.connect().call(1, &request).responses[0].error_code
}

fn grow(broker: &Broker, topic: &str, count: i32) -> i16 {
    let topic = CreatePartitionsTopic::default()
        .with_name(topic_name(topic))
        .with_count(count)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    broker.connect().call(1, &request).results[0].error_code
}

#[test]
fn while_zookeeper_is_away_data_flows_and_administrators_get_answers() {
    let mut zookeeper = ZooKeeper::start();
    // As in production: several servers, of which one is dead, and a chroot.
    let dead = crate::support::free_port();
    let connect = format!("127.0.0.1:{dead},{}/kafka/one", zookeeper.address());
    let mut broker = Broker::start(&connect, &[PATIENCE, ("zookeeper.session.timeout.ms", "8000")]);
    let mut wire = broker.connect();
    create_topic(&mut wire, "t", 1);
    let mut producer = Producer::new(&mut wire, "t");
    producer.produce(&mut wire, 20);
    let session = Session::open(&format!("{}/kafka/one", zookeeper.address()));
    let before = (session.broker_epoch(), session.controller_epoch());

    zookeeper.kill();
    producer.produce(&mut wire, 20);
    producer.check(&mut wire);
    assert_eq!(try_create(&broker, "u"), REQUEST_TIMED_OUT);
    assert_eq!(grow(&broker, "t", 2), REQUEST_TIMED_OUT);
    assert_eq!(set_retention(&broker, "t", "100000"), REQUEST_TIMED_OUT);
    producer.produce(&mut wire, 20);

    zookeeper.start_again();
    wait_for("administration", || (set_retention(&broker, "t", "200000") == NONE).then_some(()));
    assert_eq!(
        session.get("/config/topics/t").expect("settings").0,
        r#"{"version":1,"config":{"retention.ms":"200000"}}"#
    );
    create_topic(&mut broker.connect(), "v", 3);
    assert_eq!(grow(&broker, "t", 2), NONE);
    wait_for("leaders", || (leaders(&mut wire, "t") == 2).then_some(()));
    // The same process in the same session: nothing was elected anew.
    assert_eq!((session.broker_epoch(), session.controller_epoch()), before);
    producer.produce(&mut wire, 20);
    producer.check(&mut wire);
    assert!(broker.is_running());
}

#[test]
fn a_broker_cut_off_until_its_session_expired_registers_and_governs_again() {
    let zookeeper = ZooKeeper::start();
    let proxy = Proxy::start(zookeeper.address());
    let mut broker = Broker::start(&proxy.address(), &[PATIENCE, ("zookeeper.session.timeout.ms", "3000")]);
    let mut wire = broker.connect();
    create_topic(&mut wire, "t", 1);
    let mut producer = Producer::new(&mut wire, "t");
    let session = Session::open(&zookeeper.address());
    for round in 1..3 {
        producer.produce(&mut wire, 10);
        let (epoch, controller_epoch) = (session.broker_epoch(), session.controller_epoch());
        proxy.cut();
        zookeeper.wait_until_expired("/brokers/ids/0");
        // A topic that is made while the only broker is away.
        session.create(&format!("/brokers/topics/away-{round}"), r#"{"version":1,"partitions":{"0":[0]}}"#);
        producer.produce(&mut wire, 10);
        proxy.mend();
        session.wait_for_office();
        assert!(session.broker_epoch() > epoch, "a new registration");
        // On ZooKeeper 3.4 the epoch follows the office.
        wait_for("election", || (session.controller_epoch() > controller_epoch).then_some(()));
        wait_for("leader of the new topic", || {
            (leaders(&mut wire, &format!("away-{round}")) == 1).then_some(())
        });
        create_topic(&mut broker.connect(), &format!("u-{round}"), 2);
        producer.produce(&mut wire, 10);
        assert_eq!(session.controller_epoch(), controller_epoch + 1, "one election");
    }
    producer.check(&mut wire);
    assert!(broker.is_running());
    broker.terminate();
    assert_eq!(session.broker_epoch(), None, "a clean stop ends the session");
    assert_eq!(session.get("/controller"), None);
}

#[test]
fn a_broker_stops_though_zookeeper_is_gone() {
    let mut zookeeper = ZooKeeper::start();
    let settings = [("controller.socket.timeout.ms", "500"), ("controlled.shutdown.retry.backoff.ms", "100")];
    let mut broker = Broker::start(&zookeeper.address(), &settings);
    create_topic(&mut broker.connect(), "t", 1);
    zookeeper.kill();
    broker.terminate();
}
