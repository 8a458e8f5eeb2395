//! Committed offsets in ZooKeeper: old and new consumers of one group go on where the other stopped, people reset
//! offsets by hand, and a cluster sticks to what it has decided.

use std::process::{Command, Output};

use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;

use crate::commits::{commit, fetch, wait_for_coordinator};
use crate::session::Session;
use crate::support::client::create_topic;
use crate::support::{Broker, ZooKeeper, wait_for};

fn tool(class: &str, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_kafka-tools")).arg(class).args(arguments).output();
    output.expect("the tools run")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Lines of a console consumer that has ended by itself.
fn consume(arguments: &[&str]) -> Vec<String> {
    let output = tool("kafka.tools.ConsoleConsumer", arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{arguments:?}\nstdout: {out}\nstderr: {err}");
    out.lines().map(str::to_string).collect()
}

fn old(zookeeper: &ZooKeeper, rest: &[&str]) -> Vec<String> {
    let address = zookeeper.address();
    consume(&[&["--zookeeper", &address, "--topic", "t", "--group", "g"], rest].concat())
}

fn committed(session: &Session, group: &str, partition: i32) -> Option<String> {
    session.get(&format!("/consumers/{group}/offsets/t/{partition}")).map(|(data, _)| data)
}

fn values(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| format!("v{n}")).collect()
}

fn produce(broker: &Broker, range: std::ops::Range<u32>) {
    let lines = values(range).join("\n") + "\n";
    let mut child = Command::new(env!("CARGO_BIN_EXE_kafka-tools"))
        .args(["kafka.tools.ConsoleProducer", "--broker-list", &broker.address(), "--topic", "t"])
        .args(["--request-required-acks", "all"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("the tools run");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), lines.as_bytes()).expect("it reads");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn an_old_console_consumer_goes_on_where_it_stopped_and_obeys_a_reset_by_hand() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[]);
    create_topic(&mut broker.connect(), "t", 1);
    let session = Session::open(&zookeeper.address());
    produce(&broker, 0..10);
    assert_eq!(old(&zookeeper, &["--from-beginning", "--max-messages", "4"]), values(0..4));
    assert_eq!(committed(&session, "g", 0).as_deref(), Some("4"));
    assert_eq!(old(&zookeeper, &["--max-messages", "3"]), values(4..7));
    session.set("/consumers/g/offsets/t/0", "2");
    assert_eq!(old(&zookeeper, &["--timeout-ms", "2000"]), values(2..10));
    assert_eq!(committed(&session, "g", 0).as_deref(), Some("10"));
    // Nothing of it stays but the group's persistent nodes.
    assert!(session.children("/consumers/g/ids").is_empty());
    assert!(session.children("/consumers/g/owners/t").is_empty());
    // A group of its own leaves nothing at all.
    let address = zookeeper.address();
    let all =
        consume(&["--zookeeper", &address, "--whitelist", "t", "--from-beginning", "--max-messages", "10"]);
    assert_eq!(all, values(0..10));
    assert_eq!(session.children("/consumers"), ["g"]);
}

#[test]
fn old_and_new_console_consumers_hand_one_group_over() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[("offsets.topic.num.partitions", "1")]);
    create_topic(&mut broker.connect(), "t", 1);
    let session = Session::open(&zookeeper.address());
    let address = broker.address();
    let new = |rest: &[&str]| {
        consume(&[&["--bootstrap-server", &address, "--topic", "t", "--group", "g"], rest].concat())
    };
    let is_committed = |number: &str| assert_eq!(committed(&session, "g", 0).as_deref(), Some(number));
    produce(&broker, 0..30);
    assert_eq!(new(&["--from-beginning", "--max-messages", "5"]), values(0..5));
    is_committed("5");
    assert_eq!(old(&zookeeper, &["--max-messages", "4"]), values(5..9));
    is_committed("9");
    assert_eq!(new(&["--max-messages", "3"]), values(9..12));
    is_committed("12");
    session.set("/consumers/g/offsets/t/0", "2");
    assert_eq!(new(&["--max-messages", "2"]), values(2..4));
    is_committed("4");
    session.set("/consumers/g/offsets/t/0", "20");
    assert_eq!(old(&zookeeper, &["--max-messages", "6"]), values(20..26));
    assert_eq!(new(&["--max-messages", "4"]), values(26..30));
    is_committed("30");
}

#[test]
fn a_broker_that_is_told_otherwise_than_the_cluster_does_not_start() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[]);
    let session = Session::open(&zookeeper.address());
    let record = || session.get("/ottla/offsets_storage").map(|(data, _)| data);
    assert_eq!(record().as_deref(), Some(r#"{"version":1,"storage":"zookeeper"}"#));
    // Deleted by accident, it is back before the next broker could decide anew.
    session.delete("/ottla/offsets_storage");
    wait_for("record of the storage", record);
    broker.terminate();
    zookeeper.wait_until_expired("/brokers/ids/0");
    broker.set("offsets.storage", "kafka");
    broker.launch();
    assert_eq!(broker.wait_for_exit().code(), Some(1));
    let log = broker.log();
    assert!(
        log.contains("ConfigException: Invalid value kafka for configuration offsets.storage")
            && log.contains("bin/kafka-offsets-migrate.sh --zookeeper HOST:PORT --to kafka"),
        "{log}"
    );
    broker.set("offsets.storage", "zookeeper");
    broker.start_again();
}

fn delete_topic(wire: &mut crate::support::Wire, name: &str) {
    let names = vec![crate::support::client::topic_name(name)];
    let request = DeleteTopicsRequest::default().with_topic_names(names).with_timeout_ms(10_000);
    assert_eq!(wire.call(4, &request).responses[0].error_code, 0);
}

/// A console consumer that runs until it is terminated.
struct Running(std::process::Child);

impl Running {
    fn start(arguments: &[&str]) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_kafka-tools"))
            .arg("kafka.tools.ConsoleConsumer")
            .args(arguments)
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn();
        Running(child.expect("the tools run"))
    }

    /// SIGTERM; its lines.
    fn terminate(self) -> Vec<String> {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0, "own child");
        let output = self.0.wait_with_output().expect("own child");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(143), "{err}");
        let lines: Vec<String> = text(&output.stdout).lines().map(str::to_string).collect();
        assert!(err.ends_with(&format!("Processed a total of {} messages\n", lines.len())), "{err}");
        lines
    }
}

fn owners(session: &Session) -> Vec<String> {
    let path = |name: String| session.get(&format!("/consumers/g/owners/t/{name}"));
    let all = session.children("/consumers/g/owners/t").into_iter();
    let mut owners: Vec<String> = all.filter_map(|name| Some(path(name)?.0)).collect();
    owners.sort();
    owners
}

#[test]
fn two_old_console_consumers_share_a_topic_and_one_takes_over_when_the_other_leaves() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[]);
    create_topic(&mut broker.connect(), "t", 4);
    let session = Session::open(&zookeeper.address());
    let address = zookeeper.address();
    let arguments = ["--zookeeper", address.as_str(), "--topic", "t", "--group", "g"];
    let quick = [
        "--consumer-property",
        "auto.commit.interval.ms=100",
        "--consumer-property",
        "rebalance.backoff.ms=200",
    ];
    let arguments = [&arguments[..], &quick[..]].concat();
    let total = |session: &Session| -> u64 {
        let number = |p: i32| committed(session, "g", p).map_or(0, |text| text.parse().expect("a number"));
        (0..4).map(number).sum()
    };
    let first = Running::start(&arguments);
    wait_for("one owner of all", || (owners(&session).len() == 4).then_some(()));
    let second = Running::start(&arguments);
    wait_for("two owners of two each", || {
        let owners = owners(&session);
        (owners.len() == 4 && owners[0] == owners[1] && owners[2] == owners[3] && owners[1] != owners[2])
            .then_some(())
    });
    produce(&broker, 0..40);
    wait_for("commits", || (total(&session) == 40).then_some(()));
    let mut lines = first.terminate();
    wait_for("one owner of all", || (owners(&session).len() == 4).then_some(()));
    produce(&broker, 40..60);
    wait_for("commits", || (total(&session) == 60).then_some(()));
    lines.extend(second.terminate());
    let mut expected = values(0..60);
    expected.sort();
    lines.sort();
    assert_eq!(lines, expected, "every record once");
    assert!(owners(&session).is_empty());
}

fn migrate(zookeeper: &ZooKeeper, rest: &[&str]) -> (Option<i32>, String) {
    let address = zookeeper.address();
    let output = tool("ottla.tools.OffsetsMigrate", &[&["--zookeeper", &address], rest].concat());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

/// Commits to a group without a pause, from another thread; the last offset that was acknowledged.
struct Committing {
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    thread: std::thread::JoinHandle<i64>,
}

impl Committing {
    fn start(broker: &Broker, group: &'static str, first: i64) -> Committing {
        let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (mut wire, stopped) = (broker.connect(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut next = first;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                wait_for("acknowledged commit", || match commit(&mut wire, 2, group, 0, next, "live") {
                    0 => Some(()),
                    // COORDINATOR_LOAD_IN_PROGRESS, _NOT_AVAILABLE, NOT_COORDINATOR: try again.
                    14..=16 => None,
                    code => panic!("commit of {next}: error {code}"),
                });
                next += 1;
            }
            next - 1
        });
        Committing { stop, thread }
    }

    fn stop(self) -> i64 {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        self.thread.join().expect("commits")
    }
}

#[test]
fn offsets_move_to_kafka_and_back_while_somebody_commits() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[("offsets.topic.num.partitions", "4")]);
    let mut wire = broker.connect();
    create_topic(&mut wire, "t", 3);
    wait_for_coordinator(&mut wire, "live");
    let session = Session::open(&zookeeper.address());
    let groups: Vec<String> = (0..12).map(|n| format!("g{n}")).collect();
    for (n, group) in (1..).zip(&groups) {
        assert_eq!(commit(&mut wire, 2, group, 0, n, "words"), 0);
        assert_eq!(commit(&mut wire, 2, group, 1, 10 * n, ""), 0);
    }
    // Version 0, and by hand: a group that the coordinator has never heard of.
    assert_eq!(commit(&mut wire, 0, "old", 2, 77, ""), 0);
    session.set("/consumers/old/offsets/t/2", "78");
    let expect = |wire: &mut crate::support::Wire| {
        for (n, group) in (1..).zip(&groups) {
            assert_eq!(fetch(wire, 2, group, 0), (n, "words".to_string()), "{group}");
            assert_eq!(fetch(wire, 2, group, 1), (10 * n, String::new()), "{group}");
            assert_eq!(fetch(wire, 2, group, 2).0, -1, "{group}");
        }
        assert_eq!(fetch(wire, 2, "old", 2).0, 78);
    };
    expect(&mut wire);
    let mut last = 0;
    for (to, from) in [("kafka", "zookeeper"), ("zookeeper", "kafka"), ("kafka", "zookeeper")] {
        let before = migrate(&zookeeper, &["--status"]);
        assert_eq!(before, (Some(0), format!("Committed offsets are kept in {from}.\n")));
        let committing = Committing::start(&broker, "live", last + 1);
        let (code, said) = migrate(&zookeeper, &["--to", to]);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains("4 of 4 partitions of __consumer_offsets are moved."), "{said}");
        last = committing.stop();
        expect(&mut wire);
        assert_eq!(fetch(&mut wire, 2, "live", 0), (last, "live".to_string()));
        let number =
            committed(&session, "live", 0).expect("was in ZooKeeper").parse::<i64>().expect("a number");
        assert_eq!(number == last, to == "zookeeper", "{number} in ZooKeeper, {last} committed");
        let (code, said) = migrate(&zookeeper, &["--to", to]);
        assert_eq!((code, said), (Some(0), format!("Committed offsets are kept in {to} already.\n")));
        // What the broker has in memory is what it finds again.
        broker.terminate();
        zookeeper.wait_until_expired("/brokers/ids/0");
        broker.start_again();
        wire = broker.connect();
        wait_for_coordinator(&mut wire, "live");
        expect(&mut wire);
        assert_eq!(fetch(&mut wire, 2, "live", 0).0, last);
    }
    // Where offsets are in Kafka, a reset by hand concerns old consumers only.
    session.set("/consumers/g0/offsets/t/0", "500");
    assert_eq!((fetch(&mut wire, 2, "g0", 0).0, fetch(&mut wire, 0, "g0", 0).0), (1, 500));
}

#[test]
fn new_and_old_clients_see_one_offset_and_a_reset_by_hand_counts() {
    let zookeeper = ZooKeeper::start();
    let broker = Broker::start(&zookeeper.address(), &[("offsets.topic.num.partitions", "1")]);
    let mut wire = broker.connect();
    create_topic(&mut wire, "t", 1);
    wait_for_coordinator(&mut wire, "g");
    let session = Session::open(&zookeeper.address());
    for version in [1, 2, 7] {
        let offset = i64::from(version);
        assert_eq!(commit(&mut wire, version, "g", 0, offset, "words"), 0);
        assert_eq!(committed(&session, "g", 0), Some(offset.to_string()));
        assert_eq!(fetch(&mut wire, 5, "g", 0), (offset, "words".to_string()));
        assert_eq!(fetch(&mut wire, 0, "g", 0).0, offset);
    }
    session.set("/consumers/g/offsets/t/0", "3");
    assert_eq!(fetch(&mut wire, 2, "g", 0), (3, String::new()));
    assert_eq!(commit(&mut wire, 0, "g", 0, 4, ""), 0);
    assert_eq!(fetch(&mut wire, 7, "g", 0), (4, String::new()));
    // Garbage is an error for whoever asks for it; a commit mends it.
    session.set("/consumers/g/offsets/t/0", "many");
    assert_eq!(crate::commits::try_fetch(&mut wire, 2, "g", 0), Err(-1));
    assert_eq!(commit(&mut wire, 2, "g", 0, 5, ""), 0);
    assert_eq!(fetch(&mut wire, 2, "g", 0).0, 5);
    // A topic that is deleted takes its offsets along: they mean nothing to one of the same name.
    delete_topic(&mut wire, "t");
    wait_for("offsets without their topic to go", || committed(&session, "g", 0).is_none().then_some(()));
    create_topic(&mut wire, "t", 1);
    assert_eq!(fetch(&mut wire, 2, "g", 0).0, -1);
    // A group that is no name for a node.
    assert_eq!(commit(&mut wire, 2, "a/b", 0, 9, ""), 0);
    assert_eq!(fetch(&mut wire, 2, "a/b", 0).0, 9);
    assert_eq!(committed(&session, "a%2Fb", 0).as_deref(), Some("9"));
}

#[test]
fn while_zookeeper_is_away_commits_are_refused_and_none_is_lost() {
    let mut zookeeper = ZooKeeper::start();
    let settings = [
        ("offsets.topic.num.partitions", "1"),
        ("offsets.commit.timeout.ms", "1000"),
        ("zookeeper.session.timeout.ms", "20000"),
    ];
    let broker = Broker::start(&zookeeper.address(), &settings);
    let mut wire = broker.connect();
    create_topic(&mut wire, "t", 1);
    wait_for_coordinator(&mut wire, "g");
    assert_eq!(commit(&mut wire, 2, "g", 0, 1, "words"), 0);
    zookeeper.kill();
    // REQUEST_TIMED_OUT, COORDINATOR_NOT_AVAILABLE; version 0 has no word for it.
    assert!([7, 15].contains(&commit(&mut wire, 2, "g", 0, 2, "")));
    assert_eq!(commit(&mut wire, 0, "g", 0, 2, ""), -1);
    assert_eq!(crate::commits::try_fetch(&mut wire, 2, "g", 0), Err(15));
    zookeeper.start_again();
    wait_for("acknowledged commit", || (commit(&mut wire, 2, "g", 0, 3, "more") == 0).then_some(()));
    assert_eq!(fetch(&mut wire, 2, "g", 0), (3, "more".to_string()));
}
