//! Groups of console consumers, seen from outside: every record is read, by whoever is there.

use super::stage::Stage;
use super::support::wait_for;
use std::collections::BTreeSet;
use std::process::Child;

const PRODUCE: &str = "kafka-console-producer.sh --bootstrap-server {BROKER1} --topic";

fn ok(stage: &Stage, command: &str, version: &str) -> String {
    let ran = stage.help(command, version);
    assert_eq!(ran.exit, "0", "{command}: {ran:?}");
    ran.stdout
}

fn create(stage: &Stage, topic: &str, partitions: i32) {
    let create = "kafka-topics.sh --bootstrap-server {BROKER1} --create --replication-factor 1 --topic";
    ok(stage, &format!("{create} {topic} --partitions {partitions}"), "2.8.2");
}

/// Produces the numbers of a range, one at a time in turns over the partitions.
fn produce(stage: &Stage, topic: &str, numbers: std::ops::Range<i32>) {
    let text: String = numbers.map(|number| format!("{number}\\n")).collect();
    let turns =
        "--producer-property partitioner.class=org.apache.kafka.clients.producer.RoundRobinPartitioner";
    ok(stage, &format!("{PRODUCE} {topic} {turns} <<< '{text}'"), "2.8.2");
}

fn numbers(text: &str) -> Vec<i32> {
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

fn terminate(mut child: Child) {
    let pid = i32::try_from(child.id()).expect("a pid");
    // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
    unsafe { libc::kill(pid, libc::SIGTERM) };
    assert_eq!(child.wait().expect("own child").code(), Some(143));
}

fn wait_for_members(stage: &Stage, group: &str, count: usize) {
    let describe = "kafka-consumer-groups.sh --bootstrap-server {BROKER1} --describe --members --group";
    wait_for("the members of the group", || {
        let ran = stage.help(&format!("{describe} {group}"), "2.8.2");
        let members = ran.stdout.lines().filter(|line| line.starts_with(group)).count();
        (members == count && !ran.stderr.contains("rebalancing")).then_some(())
    });
}

/// Old and new consumers of one group go on where the other kind stopped, and where a reset puts them.
#[test]
fn old_and_new_consumers_hand_a_group_over() {
    let stage = Stage::cluster(1);
    create(&stage, "h", 1);
    produce(&stage, "h", 0..10);
    let new = |count: i32| {
        let consume =
            "kafka-console-consumer.sh --bootstrap-server {BROKER1} --topic h --group g --from-beginning";
        numbers(&ok(&stage, &format!("{consume} --max-messages {count}"), "2.8.2"))
    };
    let old = |count: i32| {
        let consume = "kafka-console-consumer.sh --zookeeper {ZK} --topic h --group g";
        numbers(&ok(&stage, &format!("{consume} --max-messages {count}"), "1.1.1"))
    };
    assert_eq!(new(3), [0, 1, 2]);
    assert_eq!(old(3), [3, 4, 5]);
    assert_eq!(new(2), [6, 7]);
    for (server, version) in [("--zookeeper {ZK}", "1.1.1"), ("--bootstrap-server {BROKER1}", "2.8.2")] {
        let table = ok(&stage, &format!("kafka-consumer-groups.sh {server} --describe --group g"), version);
        let row = table.lines().find(|line| line.contains(" 10 ")).unwrap_or_default();
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert!(cells.windows(3).any(|cells| cells == ["8", "10", "2"]), "{table}");
    }
    let reset = "kafka-consumer-groups.sh --bootstrap-server {BROKER1} --reset-offsets --group g --topic h";
    ok(&stage, &format!("{reset} --shift-by -5 --execute"), "2.8.2");
    assert_eq!(old(1), [3]);
    // An option that has no effect is not passed over in silence.
    let measured = "kafka-console-consumer.sh --zookeeper {ZK} --topic h --group g --max-messages 1 --csv-reporter-enabled";
    let measured = stage.help(measured, "1.1.1");
    assert_eq!(measured.stdout, "4\n");
    assert!(
        measured.stderr.contains("--csv-reporter-enabled and --metrics-dir write no files"),
        "{}",
        measured.stderr
    );
    ok(&stage, "kafka-consumer-groups.sh --bootstrap-server {BROKER1} --delete --group g", "2.8.2");
    assert_eq!(new(1), [0], "a deleted group begins anew");
}

#[test]
fn members_come_and_go() {
    come_and_go("RangeAssignor");
}

#[test]
fn members_that_keep_what_they_have_come_and_go() {
    come_and_go("CooperativeStickyAssignor");
}

#[test]
fn members_that_say_what_they_had_come_and_go() {
    come_and_go("StickyAssignor");
}

/// Members that come and go in order read every record once; one that is killed leaves its share to the others.
fn come_and_go(assignor: &str) {
    let stage = Stage::cluster(1);
    create(&stage, "m", 3);
    let consume = "kafka-console-consumer.sh --bootstrap-server {BROKER1} --topic m --group g --from-beginning \
                   --consumer-property session.timeout.ms=6000 --consumer-property heartbeat.interval.ms=500 \
                   --consumer-property partition.assignment.strategy=org.apache.kafka.clients.consumer.";
    let consume = &format!("{consume}{assignor}");
    let seen = |names: &[&str]| -> Vec<i32> {
        let mut all: Vec<i32> = names.iter().flat_map(|name| numbers(&stage.read(name))).collect();
        all.sort_unstable();
        all
    };
    let first = stage.spawn(consume, "first");
    produce(&stage, "m", 0..30);
    wait_for("the first records", || (seen(&["first"]).len() == 30).then_some(()));
    let mut second = stage.spawn(consume, "second");
    wait_for_members(&stage, "g", 2);
    let mut end = 30;
    // In a cooperative group the first member gives its share up before the second one gets it.
    wait_for("a share of the second member", || {
        produce(&stage, "m", end..end + 10);
        end += 10;
        (!stage.read("second").is_empty()).then_some(())
    });
    wait_for("records of both members", || (seen(&["first", "second"]).len() >= end as usize).then_some(()));
    terminate(first);
    produce(&stage, "m", end..end + 30);
    end += 30;
    wait_for("records of the second member", || {
        (seen(&["first", "second"]).len() >= end as usize).then_some(())
    });
    assert_eq!(seen(&["first", "second"]), (0..end).collect::<Vec<i32>>(), "each once");

    let third = stage.spawn(consume, "third");
    wait_for_members(&stage, "g", 2);
    second.kill().expect("own child");
    second.wait().expect("own child");
    produce(&stage, "m", end..end + 30);
    let everything: BTreeSet<i32> = (0..end + 30).collect();
    wait_for("the share of the killed member", || {
        let all: BTreeSet<i32> = seen(&["first", "second", "third"]).into_iter().collect();
        (all == everything).then_some(())
    });
    terminate(third);
}
