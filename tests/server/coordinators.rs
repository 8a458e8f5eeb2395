//! Several brokers that coordinate groups: one that was replaced in its sleep, offsets that move while brokers die and
//! come, and what a write waits for.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::commits::{commit, commit_request, coordinator_port, fetch, fetch_if_alive, wait_for_coordinator};
use crate::session::Session;
use crate::support::client::{create_topic, wait_until_ready};
use crate::support::{Broker, Wire, ZooKeeper, wait_for};
use kafka_protocol::messages::metadata_request::MetadataRequest;
use kafka_protocol::messages::offset_commit_request::OffsetCommitRequest;

const NOT_COORDINATOR: i16 = 16;

/// A new cluster keeps offsets in ZooKeeper. The configuration does not say so: offsets move.
fn broker(zookeeper: &ZooKeeper, id: usize, more: &[(&str, &str)]) -> Broker {
    let id = id.to_string();
    let own = [
        ("broker.id", id.as_str()),
        ("zookeeper.session.timeout.ms", "2000"),
        ("replica.lag.time.max.ms", "3000"),
    ];
    let mut broker = Broker::prepare(&zookeeper.address(), &[&own[..], more].concat());
    broker.start_again();
    broker
}

/// Until every broker is in the metadata: internal topics want as many replicas.
fn wait_for_brokers(wire: &mut Wire, count: usize) {
    wait_until_ready(wire);
    wait_for("all brokers", || {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        (wire.call(8, &request).brokers.len() == count).then_some(())
    });
}

/// Connected to the group's coordinator, which has loaded the group.
fn coordinator(ports: &[u16], group: &str) -> (u16, Wire) {
    wait_for("coordinator", || {
        let port = coordinator_port(ports, group)?;
        let mut wire = Wire::try_connect(&format!("127.0.0.1:{port}")).ok()?;
        fetch_if_alive(&mut wire, 2, group, 0).ok()?.ok()?;
        Some((port, wire))
    })
}

#[test]
fn a_coordinator_that_was_replaced_in_its_sleep_does_not_write_over_its_successor() {
    let zookeeper = ZooKeeper::start();
    let settings = [("offsets.topic.replication.factor", "2"), ("offsets.topic.num.partitions", "1")];
    let brokers = [broker(&zookeeper, 0, &settings), broker(&zookeeper, 1, &settings)];
    let ports = [brokers[0].port(), brokers[1].port()];
    wait_for_brokers(&mut brokers[0].connect(), 2);
    create_topic(&mut brokers[0].connect(), "t", 1);
    let (port, mut wire) = coordinator(&ports, "g");
    assert_eq!(commit(&mut wire, 2, "g", 0, 1, "words"), 0);
    let sleeper = brokers.iter().position(|broker| broker.port() == port).expect("one of them");
    let other = &brokers[1 - sleeper];
    brokers[sleeper].signal(libc::SIGSTOP);
    let mut successor = other.connect();
    wait_for("commit at the other broker", || {
        (commit(&mut successor, 2, "g", 0, 100, "new") == 0).then_some(())
    });
    // What has waited in the sleeper's socket is served at once, before it can hear of anything.
    wire.try_send(2, &commit_request("g", 0, 5, "old")).expect("room in the socket");
    brokers[sleeper].signal(libc::SIGCONT);
    let (_, answer) = wire.try_receive::<OffsetCommitRequest>(2).expect("an answer");
    assert_eq!(answer.topics[0].partitions[0].error_code, NOT_COORDINATOR);
    assert_eq!(fetch(&mut successor, 2, "g", 0), (100, "new".to_string()));
    let session = Session::open(&zookeeper.address());
    assert_eq!(session.get("/consumers/g/offsets/t/0").map(|(data, _)| data).as_deref(), Some("100"));
}

/// Commits to a group without a pause, wherever it is coordinated; the last offset that was acknowledged.
struct Committing {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<i64>,
}

impl Committing {
    fn start(ports: Vec<u16>, group: String, first: i64) -> Committing {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut next = first;
            let mut link: Option<Wire> = None;
            while !stopped.load(Ordering::Relaxed) {
                wait_for("acknowledged commit", || {
                    if link.is_none() {
                        let port = coordinator_port(&ports, &group)?;
                        link = Wire::try_connect(&format!("127.0.0.1:{port}")).ok();
                    }
                    match link.as_mut()?.try_call(2, &commit_request(&group, 0, next, "live")) {
                        Ok(answer) if answer.topics[0].partitions[0].error_code == 0 => Some(()),
                        _ => {
                            link = None;
                            None
                        }
                    }
                });
                next += 1;
            }
            next - 1
        });
        Committing { stop, thread }
    }

    fn stop(self) -> i64 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("commits")
    }
}

fn migrate(zookeeper: &ZooKeeper, to: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_kafka-tools"))
        .args(["ottla.tools.OffsetsMigrate", "--zookeeper", &zookeeper.address(), "--to", to])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tools run")
}

fn said(tool: Child) -> (Option<i32>, String) {
    let output = tool.wait_with_output().expect("own child");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
fn offsets_move_while_groups_commit_and_brokers_die_and_come() {
    let zookeeper = ZooKeeper::start();
    let settings = [("offsets.topic.replication.factor", "3"), ("offsets.topic.num.partitions", "6")];
    let start = |id: usize| broker(&zookeeper, id, &settings);
    let mut brokers = vec![start(0), start(1), start(2)];
    wait_for_brokers(&mut brokers[0].connect(), 3);
    create_topic(&mut brokers[0].connect(), "t", 2);
    let mut ports: Vec<u16> = brokers.iter().map(Broker::port).collect();
    let session = Session::open(&zookeeper.address());
    let groups: Vec<String> = (0..12).map(|n| format!("g{n}")).collect();
    for (n, group) in (1..).zip(&groups) {
        let (_, mut wire) = coordinator(&ports, group);
        assert_eq!(commit(&mut wire, 2, group, 0, n, "words"), 0);
        assert_eq!(commit(&mut wire, 2, group, 1, 10 * n, ""), 0);
    }
    // A group that no coordinator has heard of.
    session.create("/consumers/old", "");
    for path in ["offsets", "offsets/t"] {
        session.create(&format!("/consumers/old/{path}"), "");
    }
    session.create("/consumers/old/offsets/t/1", "78");
    let live: Vec<String> = (0..4).map(|n| format!("live{n}")).collect();
    let mut last = vec![0; live.len()];
    for (to, victim) in [("kafka", 1), ("zookeeper", 2)] {
        let start_at =
            |(group, last): (&String, &i64)| Committing::start(ports.clone(), group.clone(), last + 1);
        let committing: Vec<Committing> = live.iter().zip(&last).map(start_at).collect();
        // As long as it sleeps, its partitions stay where they are: what comes now is in the middle.
        brokers[victim].signal(libc::SIGSTOP);
        let tool = migrate(&zookeeper, to);
        wait_for("brokers that are told", || {
            let (record, _) = session.get("/ottla/offsets_storage")?;
            record.contains(&format!(r#""migrating_to":"{to}""#)).then_some(())
        });
        let second = migrate(&zookeeper, to);
        brokers[victim].kill();
        if to == "kafka" {
            let fourth = start(3);
            ports.push(fourth.port());
            brokers.push(fourth);
        } else {
            zookeeper.wait_until_expired(&format!("/brokers/ids/{victim}"));
            brokers[victim].start_again();
        }
        for tool in [tool, second] {
            let (code, said) = said(tool);
            assert_eq!(code, Some(0), "{said}");
            assert!(said.contains(&format!("Committed offsets are kept in {to}")), "{said}");
        }
        last = committing.into_iter().map(Committing::stop).collect();
        if to == "kafka" {
            brokers[victim].start_again();
        }
        let expect = |group: &str, partition: i32, offset: i64, metadata: &str| {
            let found = wait_for("fetched offset", || {
                fetch_if_alive(&mut coordinator(&ports, group).1, 2, group, partition).ok()?.ok()
            });
            assert_eq!(found, (offset, metadata.to_string()), "{group} {partition} in {to}");
        };
        for (n, group) in (1..).zip(&groups) {
            expect(group, 0, n, "words");
            expect(group, 1, 10 * n, "");
        }
        for (group, last) in live.iter().zip(&last) {
            expect(group, 0, *last, "live");
        }
        expect("old", 1, 78, "");
        let number = session.get("/consumers/live0/offsets/t/0").map(|(data, _)| data);
        assert_eq!(number == Some(last[0].to_string()), to == "zookeeper", "{number:?} in ZooKeeper");
        let (code, said) = said(migrate(&zookeeper, to));
        assert_eq!((code, said), (Some(0), format!("Committed offsets are kept in {to} already.\n")));
    }
}

#[test]
fn a_commit_waits_for_as_many_acks_as_configured() {
    let zookeeper = ZooKeeper::start();
    let settings = [
        ("offsets.storage", "kafka"),
        ("offsets.topic.num.partitions", "1"),
        ("offsets.commit.required.acks", "1"),
        ("min.insync.replicas", "2"),
    ];
    let mut broker = Broker::start(&zookeeper.address(), &settings);
    create_topic(&mut broker.connect(), "t", 1);
    wait_for_coordinator(&mut broker.connect(), "g");
    assert_eq!(commit(&mut broker.connect(), 2, "g", 0, 1, ""), 0, "acks=1 minds no minimum");
    let mut with = |acks: &str, factor: &str| {
        broker.terminate();
        zookeeper.wait_until_expired("/brokers/ids/0");
        broker.set("offsets.commit.required.acks", acks);
        broker.set("offsets.topic.replication.factor", factor);
        broker.start_again();
        wait_for_coordinator(&mut broker.connect(), "g");
        let mut wire = broker.connect();
        (commit(&mut wire, 2, "g", 0, 2, ""), fetch(&mut wire, 2, "g", 0).0)
    };
    // COORDINATOR_NOT_AVAILABLE for too few replicas; INVALID_REQUIRED_ACKS.
    assert_eq!(with("-1", "1"), (15, 1));
    assert_eq!(with("2", "2"), (21, 1));
    assert_eq!(with("0", "1"), (0, 2));
}
