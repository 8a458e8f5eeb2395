//! Znodes: those of one broker are Kafka's, and what tools write there counts.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};

use crate::session::{NONE, Producer, Session};
use crate::support::client::{create_topic, leaders, topic_name};
use crate::support::{Broker, Wire, ZooKeeper, wait_for};

const MESSAGE_TOO_LARGE: i16 = 10;
const EARLIEST: i64 = -2;

/// A node: kind, version, number of changes of its children, data.
type Node = (char, i32, i32, String);

fn dump(session: &Session, path: &str, nodes: &mut BTreeMap<String, Node>) {
    // Gone meanwhile, or ZooKeeper's own.
    let Some((data, stat)) = session.get(path).filter(|_| path != "/zookeeper") else { return };
    let kind = if stat.ephemeral_owner == 0 { 'P' } else { 'E' };
    nodes.insert(path.to_string(), (kind, stat.version, stat.cversion, data));
    for name in session.children(path) {
        dump(session, &format!("{}/{name}", path.trim_end_matches('/')), nodes);
    }
}

fn dumped(session: &Session, path: &str) -> BTreeMap<String, Node> {
    let mut nodes = BTreeMap::new();
    dump(session, path, &mut nodes);
    nodes
}

/// A captured tree.
fn golden(name: &str) -> BTreeMap<String, Node> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/znodes").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let node = |line: &str| {
        let fields: Vec<_> = line.splitn(5, " | ").collect();
        let (version, cversion) = fields[2].split_once(' ').expect("two versions");
        let number = |text: &str| text[1..].parse::<i32>().expect("a number");
        // What has no data has empty data here: the client library cannot tell nor write the difference.
        let data = Some(fields[3]).filter(|data| !["null", "empty"].contains(data)).unwrap_or_default();
        let kind = fields[1].chars().next().expect("a kind");
        (fields[0].to_string(), (kind, number(version), number(cversion), data.to_string()))
    };
    text.lines().filter(|line| !line.starts_with('#')).map(node).collect()
}

/// The value of a string in flat JSON.
fn field<'a>(data: &'a str, name: &str) -> &'a str {
    let (_, rest) = data.split_once(&format!("\"{name}\":\"")).unwrap_or_else(|| panic!("{name} in {data}"));
    rest.split_once('"').expect("a string").0
}

#[test]
fn the_first_broker_leaves_the_znodes_that_apache_kafka_leaves() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&format!("{}/chroot", zookeeper.address()), &[("broker.id", "1")]);
    let session = Session::open(&format!("{}/chroot", zookeeper.address()));
    wait_for("controller", || session.get("/feature"));
    let mut found = dumped(&session, "/");
    let mut expected = golden("2.8.2/tree/01-one-broker.txt");
    // The root of all starts to count at -1, that of a chroot is a node like any.
    expected.get_mut("/").expect("captured").2 += 1;
    for (path, name, placeholder) in [
        ("/brokers/ids/1", "timestamp", "{MS}"),
        ("/controller", "timestamp", "{MS}"),
        ("/cluster/id", "id", "{CLUSTER_ID}"),
    ] {
        let node = found.get_mut(path).unwrap_or_else(|| panic!("{path} is missing"));
        let value = field(&node.3, name).to_string();
        node.3 = node.3.replace(&format!("\"{name}\":\"{value}\""), &format!("\"{name}\":\"{placeholder}\""));
    }
    let registration = found.get_mut("/brokers/ids/1").expect("checked");
    registration.3 =
        registration.3.replace(&broker.port().to_string(), "{PORT1}").replace("127.0.0.1", "{HOST}");
    // On ZooKeeper 3.4 it is created with its data.
    registration.1 = registration.1.max(1);
    // Known differences: Kafka makes this node without data first, so its version is one more;
    expected.get_mut("/latest_producer_id_block").expect("captured").1 = 0;
    // where offsets are kept, and which brokers are ours, are nodes of our own.
    expected.get_mut("/").expect("captured").2 += 1;
    let storage = r#"{"version":1,"storage":"zookeeper"}"#;
    for (path, kind, children, data) in [
        ("/ottla", 'P', 2, ""),
        ("/ottla/offsets_storage", 'P', 0, storage),
        ("/ottla/brokers", 'P', 1, ""),
        ("/ottla/brokers/1", 'E', 0, ""),
    ] {
        expected.insert(path.into(), (kind, 0, children, data.to_string()));
    }
    assert_eq!(found, expected);
}

/// `kafka-topics.sh --zookeeper`.
fn topics(connect: &str, arguments: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_kafka-tools"))
        .args(["kafka.admin.TopicCommand", "--zookeeper", connect])
        .args(arguments)
        .output()
        .expect("the tools run");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
}

/// The tree of a topic with the topic's name and id taken out. The version of the topic's own node depends on who
/// gave the id.
fn anonymous(session: &Session, topic: &str) -> Vec<(String, char, String)> {
    let mut nodes = dumped(session, &format!("/brokers/topics/{topic}"));
    nodes.extend(dumped(session, &format!("/config/topics/{topic}")));
    let shown = nodes.into_iter().map(|(path, (kind, _, _, mut data))| {
        if path == format!("/brokers/topics/{topic}") {
            let id = field(&data, "topic_id").to_string();
            assert_eq!(id.len(), 22, "an id in {data}");
            data = data.replace(&id, "{TOPIC_ID}");
        }
        (path.replace(topic, "{TOPIC}"), kind, data)
    });
    shown.collect()
}

#[test]
fn topics_made_by_znodes_and_by_requests_are_the_same() {
    let zookeeper = ZooKeeper::start();
    let connect = format!("{}/k", zookeeper.address());
    let broker = Broker::start(&connect, &[]);
    let mut wire = broker.connect();
    let session = Session::open(&connect);
    create_topic(&mut wire, "request", 2);
    topics(&connect, &["--create", "--topic", "tool", "--partitions", "2", "--replication-factor", "1"]);
    // What an old tool or a script writes: no id, no reassignment.
    session.create("/config/topics/script", r#"{"version":1,"config":{}}"#);
    session.create("/brokers/topics/script", r#"{"version":1,"partitions":{"1":[0],"0":[0]}}"#);
    let all = ["request", "tool", "script"];
    let await_leaders = |wire: &mut Wire, count: i32| {
        for topic in all {
            wait_for(&format!("leaders of {topic}"), || (leaders(wire, topic) == count).then_some(()));
        }
    };
    await_leaders(&mut wire, 2);
    let expect_same = |session: &Session| {
        let first = anonymous(session, all[0]);
        for topic in &all[1..] {
            assert_eq!(anonymous(session, topic), first, "{topic}");
        }
    };
    expect_same(&session);

    let grown = CreatePartitionsTopic::default()
        .with_name(topic_name("request"))
        .with_count(3)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default().with_topics(vec![grown]).with_timeout_ms(10_000);
    assert_eq!(wire.call(1, &request).results[0].error_code, NONE);
    topics(&connect, &["--alter", "--topic", "tool", "--partitions", "3"]);
    let (data, _) = session.get("/brokers/topics/script").expect("a topic");
    session.set("/brokers/topics/script", data.replace(r#""1":[0]"#, r#""1":[0],"2":[0]"#));
    await_leaders(&mut wire, 3);
    expect_same(&session);
    for topic in all {
        Producer::new(&mut wire, topic).produce(&mut wire, 2);
    }

    let request =
        DeleteTopicsRequest::default().with_topic_names(vec![topic_name("request")]).with_timeout_ms(10_000);
    assert_eq!(wire.call(4, &request).responses[0].error_code, NONE);
    topics(&connect, &["--delete", "--topic", "tool"]);
    session.create("/admin/delete_topics/script", "");
    for parent in ["/brokers/topics", "/config/topics", "/admin/delete_topics"] {
        wait_for("deletion", || session.children(parent).is_empty().then_some(()));
    }
    wait_for("deletion of the logs", || {
        let left = fs::read_dir(broker.log_dir()).expect("a directory").filter_map(Result::ok);
        let is_live = |name: &str| all.iter().any(|t| name.starts_with(t) && !name.ends_with("-delete"));
        (!left.into_iter().any(|e| is_live(&e.file_name().to_string_lossy()))).then_some(())
    });
    // The names are free again.
    create_topic(&mut wire, "tool", 1);
}

fn earliest_offset(wire: &mut Wire, topic: &str) -> i64 {
    let partition = ListOffsetsPartition::default().with_timestamp(EARLIEST);
    let topic = ListOffsetsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_replica_id((-1).into()).with_topics(vec![topic]);
    wire.call(2, &request).topics[0].partitions[0].offset
}

#[test]
fn settings_written_to_znodes_govern_the_running_broker() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[("log.retention.check.interval.ms", "100")]);
    let mut wire = broker.connect();
    let session = Session::open(&zookeeper.address());
    for topic in ["t", "other"] {
        create_topic(&mut wire, topic, 1);
    }
    let set = |config: &str| {
        session.set("/config/topics/t", format!(r#"{{"version":1,"config":{{{config}}}}}"#));
        session.announce("topics/t");
    };
    let mut producer = Producer::new(&mut wire, "t");
    let mut other = Producer::new(&mut wire, "other");
    producer.produce(&mut wire, 5);
    other.produce(&mut wire, 5);

    set(r#""max.message.bytes":"300""#);
    wait_for("refusal of large records", || {
        (producer.try_produce(&mut wire, 400).0 == MESSAGE_TOO_LARGE).then_some(())
    });
    assert_eq!(producer.try_produce(&mut wire, 10).0, NONE);
    assert_eq!(other.try_produce(&mut wire, 400).0, NONE, "another topic has its own settings");

    set(r#""retention.ms":"1""#);
    wait_for("expiry of everything", || (earliest_offset(&mut wire, "t") >= 6).then_some(()));
    assert_eq!(producer.try_produce(&mut wire, 400).0, NONE, "the limit is gone with its setting");
    assert_eq!(earliest_offset(&mut wire, "other"), 0);
}
