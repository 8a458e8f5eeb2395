//! The controller as it runs (driver and all) over a ZooKeeper in memory, next to captures of Kafka 2.8.2's own
//! transactions: the same events have to cause the same writes.
//!
//! Grouping is not compared (Kafka puts one write into a multi, we put many), failed writes are not (they change
//! nothing), and masked values are left out. Every write of the controller has to carry the epoch check.

use crate::cluster::{FakeBroker, config};
use bytes::Bytes;
use ottla::common::{BrokerId, TopicPartition, Uuid};
use ottla::controller::{
    BrokerAddress, BrokerTransport, ControlRequest, Controller, ControllerDeps, ControllerHandle,
    ElectionKind, IsrChange, SendFuture,
};
use ottla::zk::data::TopicAssignment;
use ottla::zk::memory::MemoryZooKeeper;
use ottla::zk::{ANY_VERSION, CreateMode, ZkClient};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The state of the topic that waits for a dead broker while others are deleted.
const PARKED: &str = "/brokers/topics/tauto/partitions/0/state";

/// Brokers that answer at once.
#[derive(Default)]
struct Brokers(Mutex<BTreeMap<BrokerId, FakeBroker>>);

impl BrokerTransport for Brokers {
    fn send(&self, to: BrokerAddress, request: Arc<ControlRequest>) -> SendFuture {
        let mut brokers = self.0.lock().expect("not poisoned");
        let response = brokers.entry(to.id).or_default().answer(to.id, &request);
        Box::pin(async move { Ok(response) })
    }

    fn disconnect(&self, broker: BrokerId) {
        self.0.lock().expect("not poisoned").remove(&broker);
    }
}

/// A write: operation and path, and the data where there is JSON.
type Write = (String, Option<Value>);

/// One entry of a capture.
struct Entry {
    who: String,
    by_controller: bool,
    ops: Vec<String>,
}

fn golden(kind: &str, name: &str) -> String {
    let path = format!("tests/golden/znodes/2.8.2/{kind}/{name}.txt");
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a capture")
}

fn entries(name: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in golden("ops", name).lines().filter(|l| !l.starts_with('#')) {
        if let Some(part) = line.strip_prefix("    ") {
            let entry = entries.last_mut().expect("parts follow their multi");
            entry.by_controller |= part.starts_with("check /controller_epoch");
            entry.ops.push(part.to_string());
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let who = words.nth(1).expect("who").to_string();
        let op = words.next().expect("what").to_string();
        let ops = if op == "multi" { Vec::new() } else { vec![op] };
        entries.push(Entry { who, by_controller: false, ops });
    }
    entries
}

/// Drops what is not compared; masks what differs from run to run.
fn write(line: &str) -> Option<Write> {
    let op = line.trim();
    let skipped = ["multi", "check", "error", "createSession", "closeSession"];
    if skipped.iter().any(|word| op.starts_with(word)) {
        return None;
    }
    let (head, data) = match op.find(" {") {
        Some(at) => op.split_at(at),
        None => (op, ""),
    };
    let mut value: Option<Value> = serde_json::from_str(data.trim()).ok();
    if let Some(fields) = value.as_mut().and_then(Value::as_object_mut) {
        for masked in ["topic_id", "timestamp"] {
            if let Some(field) = fields.get_mut(masked) {
                *field = Value::Null;
            }
        }
    }
    Some((head.to_string(), value))
}

/// The writes of the controller, in their order.
fn expected(name: &str, broker: &str) -> Vec<Write> {
    let of_controller = |e: &Entry| e.by_controller && e.who.starts_with(broker);
    entries(name)
        .iter()
        .filter(|e| of_controller(e))
        .flat_map(|e| &e.ops)
        .filter_map(|op| write(op))
        .collect()
}

/// A ZooKeeper in memory, registered brokers, and a tool.
pub struct Run {
    pub zk: MemoryZooKeeper,
    pub tool: ZkClient,
    pub sessions: BTreeMap<BrokerId, ZkClient>,
    brokers: Arc<Brokers>,
}

impl Run {
    pub fn new() -> Run {
        let zk = MemoryZooKeeper::new();
        let tool = zk.connect();
        Run { zk, tool, sessions: BTreeMap::new(), brokers: Arc::default() }
    }

    /// The nodes that every broker makes at its start.
    pub async fn skeleton(&self) {
        for path in [
            "/brokers/ids",
            "/brokers/topics",
            "/config/topics",
            "/admin/delete_topics",
            "/isr_change_notification",
            "/log_dir_event_notification",
        ] {
            self.tool.ensure_path(path).await.expect("created");
        }
    }

    pub async fn register(&mut self, id: BrokerId) {
        self.sessions.insert(id, self.zk.connect());
        self.register_again(id).await;
    }

    /// In the session that the broker has.
    pub async fn register_again(&self, id: BrokerId) {
        let data = format!(
            r#"{{"features":{{}},"listener_security_protocol_map":{{"PLAINTEXT":"PLAINTEXT"}},"endpoints":["PLAINTEXT://h{id}:9092"],"jmx_port":-1,"port":9092,"host":"h{id}","version":5,"timestamp":"1"}}"#
        );
        let path = format!("/brokers/ids/{id}");
        self.sessions[&id].create(&path, data, CreateMode::Ephemeral).await.expect("registered");
    }

    pub fn start(&self, id: BrokerId) -> ControllerHandle {
        self.start_with(id, self.brokers.clone())
    }

    pub fn start_with(&self, id: BrokerId, transport: Arc<dyn BrokerTransport>) -> ControllerHandle {
        let zk = self.sessions[&id].in_this_session();
        Controller::start(ControllerDeps { config: config(id, "2.8"), zk, transport })
    }

    pub async fn apply(&self, op: &str) {
        let mut words = op.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("create"), Some("P"), Some(path), Some(data)) => {
                let data = self.data(path, data).await;
                self.tool.create(path, data, CreateMode::Persistent).await.expect("created");
            }
            (Some("set"), Some(path), Some(_version), Some(data)) => {
                let data = self.data(path, data).await;
                self.tool.set(path, data, ANY_VERSION).await.expect("set");
            }
            _ => panic!("not applied: {op}"),
        }
    }

    /// Fills a topic's id in: the one that it has, or a new one.
    async fn data(&self, path: &str, data: &str) -> Bytes {
        if data == "null" {
            return Bytes::new();
        }
        let known = self.tool.get(path).await.expect("read").map(|(data, _)| data);
        let id = known.and_then(|data| TopicAssignment::decode(&data).ok()?.topic_id);
        data.replace("{TOPIC_ID}", &id.unwrap_or_else(Uuid::random).to_string()).into()
    }

    /// Does what others than the controller did in a capture.
    async fn apply_others(&self, name: &str) {
        for entry in entries(name).iter().filter(|e| !e.by_controller) {
            for op in entry.ops.iter().filter(|op| write(op).is_some()) {
                self.apply(op).await;
            }
        }
    }

    /// Waits until nothing moves: the clock stands still while something does.
    pub async fn quiet(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    /// Waits until nothing moves, then gives the writes since the last time.
    pub async fn settle(&self) -> Vec<String> {
        self.quiet().await;
        let log = self.zk.take_log();
        for (at, line) in log.iter().enumerate().filter(|(_, l)| *l == "multi") {
            let first = log.get(at + 1).map(|l| l.trim()).unwrap_or_default();
            let fenced = first.starts_with("check /controller_epoch") || first.starts_with("create E");
            assert!(fenced, "{line} without the check of the epoch: {first}");
        }
        log
    }

    /// Nodes of a captured tree, with their versions.
    async fn load_tree(&self, name: &str) {
        for line in golden("tree", name).lines().filter(|l| !l.starts_with('#')) {
            let fields: Vec<_> = line.split(" | ").collect();
            let (path, kind, versions, data) = (fields[0], fields[1], fields[2], fields[3]);
            let version: i32 =
                versions[1..].split(' ').next().and_then(|v| v.parse().ok()).expect("a version");
            let wanted = ["/brokers/topics", "/controller_epoch", "/feature"];
            if kind != "P" || !wanted.iter().any(|w| path.starts_with(w)) {
                continue;
            }
            if let Some(("", topic)) = path.split_once("/brokers/topics/").filter(|(_, t)| !t.contains('/')) {
                self.tool.ensure_path(&format!("/config/topics/{topic}")).await.expect("created");
            }
            self.tool.ensure_path(path).await.expect("created");
            let there = self.tool.exists(path).await.expect("read").expect("created").version;
            for _ in there..version {
                let data = self.data(path, data).await;
                self.tool.set(path, data, ANY_VERSION).await.expect("set");
            }
            if version == 0 && data != "null" {
                self.tool.delete(path, ANY_VERSION).await.expect("deleted");
                let data = self.data(path, data).await;
                self.tool.create(path, data, CreateMode::Persistent).await.expect("created");
            }
        }
    }
}

impl Run {
    /// The broker's session ends.
    pub async fn leave(&mut self, id: BrokerId) {
        self.sessions.remove(&id).expect("registered").close().await;
    }

    async fn leave_in_peace(&mut self, id: BrokerId, controller: &ControllerHandle) {
        let epoch = self.broker_epoch(id).await;
        let left = controller.controlled_shutdown(id, epoch).await.expect("accepted");
        assert_eq!(left, Vec::new(), "broker {id} still leads");
        self.leave(id).await;
    }

    async fn broker_epoch(&self, id: BrokerId) -> i64 {
        self.tool.exists(&format!("/brokers/ids/{id}")).await.expect("read").expect("registered").czxid
    }

    /// Compares what happened with a capture. Changes of ISRs that the leaders asked for then are asked for now.
    async fn finish(&self, name: &str, broker: &str, controller: &ControllerHandle) {
        let mut ours = fenced_writes(&self.settle().await);
        let expected = expected(name, broker);
        let led = |w: &Write| w.0.contains("/state v") && w.1.as_ref().is_some_and(|d| d["leader"] != -1);
        for missing in expected.iter().filter(|w| led(w)) {
            if !ours.contains(missing) {
                self.alter_isr(missing, controller).await;
                ours.extend(fenced_writes(&self.settle().await));
            }
        }
        let (mut ours, mut expected) = (by_node(ours), by_node(expected));
        // Each pass of Kafka's over its deletions moves replicas of all parked topics to Offline, which raises the
        // leader epochs of topics that nobody looks at any more. Ours looks at the topics concerned only.
        if name.starts_with("27") || name.starts_with("28") {
            ours.remove(PARKED);
            expected.remove(PARKED);
        }
        assert_eq!(ours, expected, "{name}");
    }

    async fn alter_isr(&self, (head, data): &Write, controller: &ControllerHandle) {
        let path: Vec<_> = head.split([' ', '/']).collect();
        let partition = TopicPartition::new(path[4].to_string(), path[6].parse().expect("a number"));
        let data = data.as_ref().expect("a state");
        let number = |key: &str| data[key].as_i64().expect("a number") as i32;
        let isr = data["isr"].as_array().expect("a list").iter().filter_map(|b| Some(b.as_i64()? as i32));
        let version: i32 = path.last().and_then(|v| v[1..].parse().ok()).expect("a version");
        let change = IsrChange {
            partition,
            leader_epoch: number("leader_epoch"),
            isr: isr.collect(),
            zk_version: version - 1,
        };
        let leader = number("leader");
        let epoch = self.broker_epoch(leader).await;
        let results = controller.alter_isr(leader, epoch, vec![change]).await.expect("accepted");
        assert!(results.iter().all(|(_, r)| r.is_ok()), "{head}: {results:?}");
    }
}

fn fenced_writes(log: &[String]) -> Vec<Write> {
    let mut writes = Vec::new();
    let mut fenced = false;
    for line in log {
        if !line.starts_with("    ") {
            fenced = false;
        } else if line.trim().starts_with("check /controller_epoch") {
            fenced = true;
        } else if fenced {
            writes.extend(write(line));
        }
    }
    writes
}

/// Writes by node: independent partitions have no order among themselves (Kafka's is that of its hash maps).
fn by_node(writes: Vec<Write>) -> BTreeMap<String, Vec<Write>> {
    let mut nodes: BTreeMap<String, Vec<Write>> = BTreeMap::new();
    for (head, data) in writes {
        let path = head.split(' ').find(|w| w.starts_with('/')).expect("a path").to_string();
        nodes.entry(path).or_default().push((head, data));
    }
    nodes
}

#[tokio::test(start_paused = true)]
async fn first_start_creates_and_deletions_write_what_kafka_writes() {
    let mut run = Run::new();
    run.skeleton().await;
    run.register(1).await;
    run.settle().await;
    let controller = run.start(1);
    controller.until_active().await;
    let ours: Vec<_> = run.settle().await.iter().filter_map(|l| write(l)).collect();
    let of_controller = |op: &&String| ["/controller", "/feature"].iter().any(|p| op.contains(p));
    let theirs = entries("01-first-broker-start");
    let theirs: Vec<_> =
        theirs.iter().flat_map(|e| &e.ops).filter(of_controller).filter_map(|l| write(l)).collect();
    assert_eq!(ours, theirs, "01-first-broker-start");

    run.register(2).await;
    run.register(3).await;
    run.settle().await;
    for name in [
        "04-topic-create-zookeeper",
        "05-topic-create-bootstrap",
        "06-topic-auto-create",
        "07-partitions-added-zookeeper",
        "18-offsets-topic-create",
    ] {
        run.apply_others(name).await;
        assert_eq!(fenced_writes(&run.settle().await), expected(name, "broker1"), "{name}");
    }

    run.apply("create P /config/topics/tdel {\"version\":1,\"config\":{}}").await;
    let topic = r#"create P /brokers/topics/tdel {"partitions":{"0":[1,2,3]},"topic_id":"{TOPIC_ID}","adding_replicas":{},"removing_replicas":{},"version":3}"#;
    run.apply(topic).await;
    run.settle().await;
    run.apply_others("30-topic-delete-all-up").await;
    let name = "30-topic-delete-all-up";
    assert_eq!(fenced_writes(&run.settle().await), expected(name, "broker1"), "{name}");
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn reassignments_write_what_kafka_writes() {
    let mut run = Run::new();
    run.skeleton().await;
    // The brokers first: a leader that registers after its state was written is elected anew.
    for id in [1, 2, 3] {
        run.register(id).await;
    }
    run.load_tree("08-partitions-added").await;
    let controller = run.start(1);
    controller.until_active().await;
    run.settle().await;
    let moved = TopicPartition::new("tbs", 0);
    let asked = vec![(moved.clone(), Some(vec![1, 3]))];
    let answer = controller.alter_reassignments(asked).await.expect("accepted");
    assert_eq!(answer, [(moved.clone(), Ok(()))]);
    let ongoing = controller.list_reassignments(None).await.expect("listed");
    assert_eq!(ongoing.len(), 1);
    run.finish("19-reassign-api", "broker1", &controller).await;
    assert_eq!(controller.list_reassignments(None).await.expect("listed"), []);

    // By znode; a partition that is where it shall be costs no write of the topic here, so versions differ.
    run.apply_others("20-reassign-zookeeper").await;
    run.settle().await;
    let last = "set /brokers/topics/tbs/partitions/0/state v6";
    let name = "20-reassign-zookeeper";
    let grown = expected(name, "broker1").into_iter().find(|w| w.0 == last).expect("the ISR grows");
    run.alter_isr(&grown, &controller).await;
    run.settle().await;
    let get = async |path: &str| run.tool.get(path).await.expect("read").map(|(data, _)| data);
    assert_eq!(get("/admin/reassign_partitions").await, None);
    for (path, at) in [
        ("/brokers/topics/tbs", "v6"),
        ("/brokers/topics/tbs/partitions/0/state", "v8"),
        ("/brokers/topics/tbs/partitions/1/state", "v1"),
    ] {
        let data = get(path).await.expect("there");
        let ours = write(&format!("set {path} {at} {}", String::from_utf8_lossy(&data)));
        let theirs = expected(name, "broker1").into_iter().find(|w| w.0 == format!("set {path} {at}"));
        assert_eq!(ours, theirs, "{path}");
    }
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn failover_writes_what_kafka_writes() {
    let mut run = Run::new();
    run.skeleton().await;
    // Broker 1 was away and is back; then broker 2, the controller, is killed.
    run.register(1).await;
    run.register(3).await;
    run.load_tree("34-controller-down").await;
    for entry in entries("35-restart-old-controller").iter().filter(|e| e.by_controller) {
        for op in entry.ops.iter().filter(|op| write(op).is_some()) {
            run.apply(op).await;
        }
    }
    run.settle().await;
    let controller = run.start(3);
    controller.until_active().await;
    let ours = fenced_writes(&run.settle().await);
    assert_eq!(by_node(ours), by_node(expected("36-kill-controller", "broker3")));
    assert_eq!(controller.controller_epoch(), Some(3));

    // Broker 2 returns; the leaders take it back into their ISRs.
    run.register(2).await;
    run.finish("37-restart-killed-controller", "broker3", &controller).await;
    controller.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_day_of_a_cluster_writes_what_kafka_writes() {
    let mut run = Run::new();
    run.skeleton().await;
    for id in [1, 2, 3] {
        run.register(id).await;
    }
    run.load_tree("08-partitions-added").await;
    run.load_tree("22-reassigned").await;
    for entry in entries("18-offsets-topic-create") {
        for op in entry.ops.iter().filter(|op| write(op).is_some()) {
            run.apply(op).await;
        }
    }
    let controller = run.start(1);
    controller.until_active().await;
    assert_eq!(fenced_writes(&run.settle().await), Vec::new(), "everybody is there, nothing to write");

    run.leave(3).await;
    run.quiet().await;
    run.register(3).await;
    run.finish("23-isr-shrink-expand-alterisr", "broker1", &controller).await;
    run.leave(3).await;
    run.finish("24-session-expired-broker3", "broker1", &controller).await;
    run.register(3).await;
    run.finish("25-session-expired-broker3-back", "broker1", &controller).await;

    run.leave_in_peace(3, &controller).await;
    run.finish("26-clean-shutdown-broker3", "broker1", &controller).await;
    run.apply_others("27-topic-delete-broker-down").await;
    run.finish("27-topic-delete-broker-down", "broker1", &controller).await;
    run.register(3).await;
    run.finish("28-restart-broker3", "broker1", &controller).await;

    let all = |topic: &str, count| {
        (0..count).map(|n| TopicPartition::new(topic.to_string(), n)).collect::<Vec<_>>()
    };
    let partitions = [all("tbs", 3), all("__consumer_offsets", 2)].concat();
    controller.elect_leaders(partitions, ElectionKind::Preferred).await.expect("accepted");
    run.finish("31-preferred-election-api", "broker1", &controller).await;
    run.leave_in_peace(2, &controller).await;
    run.quiet().await;
    run.register(2).await;
    run.finish("32-restart-broker2", "broker1", &controller).await;
    run.apply_others("33-preferred-election-zookeeper").await;
    run.finish("33-preferred-election-zookeeper", "broker1", &controller).await;
    let epoch = run.broker_epoch(1).await;
    controller.controlled_shutdown(1, epoch).await.expect("accepted");
    run.finish("34-clean-shutdown-controller", "broker1", &controller).await;
    controller.stop().await;
}
