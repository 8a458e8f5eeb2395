//! Scripts: commands, and below `----` all that they cause. In the manner of etcd-io/raft's interaction tests.
//!
//! `SCENARIO_REWRITE=1 cargo test --test scenario` writes the outputs anew; the change then shows as a diff.

use crate::cluster::{Cluster, config};
use crate::world::{name, partition};
use ottla::common::{BrokerId, TopicPartition, Uuid};
use ottla::controller::context::ReplicaAssignment;
use ottla::controller::event::{Call, ElectionKind, Event, IsrChange, Timer, TopicNode};
use std::collections::BTreeMap;
use std::path::Path;

/// Runs one script and compares.
pub fn run(path: &Path) {
    let text = std::fs::read_to_string(path).expect("a script");
    let mut cluster = Cluster::default();
    let mut actual = String::new();
    for block in text.split("\n\n") {
        let (input, _) = block.split_once("\n----").unwrap_or((block, ""));
        let commands: Vec<_> =
            input.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).collect();
        actual.push_str(input.trim_end());
        actual.push('\n');
        if !commands.is_empty() {
            for command in commands {
                execute(&mut cluster, command);
            }
            cluster.settle();
            actual.push_str("----\n");
            for line in std::mem::take(&mut cluster.out) {
                actual.push_str(&line);
                actual.push('\n');
            }
        }
        actual.push('\n');
    }
    let actual = format!("{}\n", actual.trim_end());
    if std::env::var_os("SCENARIO_REWRITE").is_some() {
        std::fs::write(path, actual).expect("the script is writable");
    } else if actual != text {
        let differs = actual.lines().zip(text.lines()).position(|(a, b)| a != b);
        let line = differs.unwrap_or_else(|| actual.lines().count().min(text.lines().count()));
        panic!(
            "{}:{}\nexpected: {:?}\nactual:   {:?}\n(SCENARIO_REWRITE=1 rewrites the script)",
            path.display(),
            line + 1,
            text.lines().nth(line),
            actual.lines().nth(line)
        );
    }
}

fn ids(text: &str) -> Vec<BrokerId> {
    text.split(',').filter(|t| !t.is_empty()).map(|t| t.parse().expect("a broker id")).collect()
}

fn assignments(words: &[&str]) -> BTreeMap<i32, ReplicaAssignment> {
    let mut partitions = BTreeMap::new();
    for (number, replicas) in words.iter().filter_map(|w| w.split_once('=')) {
        if let Ok(number) = number.parse() {
            partitions.insert(number, ReplicaAssignment::new(ids(replicas)));
        }
    }
    partitions
}

/// `t-0=1,2`; `t-0=cancel` without replicas.
fn reassignments(words: &[&str]) -> Vec<(TopicPartition, Option<Vec<BrokerId>>)> {
    let entries = words.iter().filter_map(|w| w.split_once('=')).filter(|(key, _)| *key != "at");
    let entry = |(tp, target): (&str, &str)| (partition(tp), (target != "cancel").then(|| ids(target)));
    entries.map(entry).collect()
}

/// The value of `key=value` among the words.
fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|w| w.strip_prefix(key)?.strip_prefix('='))
}

fn execute(cluster: &mut Cluster, command: &str) {
    let words: Vec<_> = command.split_whitespace().collect();
    let (verb, words) = words.split_first().expect("a command");
    let id = || words[0].parse::<BrokerId>().expect("a broker id");
    let topic = || words[0];
    match *verb {
        // Brokers.
        "start" => {
            let mut config = config(id(), value(words, "ibp").unwrap_or("2.8"));
            config.delete_topic_enable = value(words, "delete.topic.enable") != Some("false");
            cluster.start_machine(config);
        }
        "broker" => cluster.start_broker(id()),
        "kill" => cluster.kill(id()),
        "bounce" => {
            cluster.kill(id());
            cluster.start_broker(id());
        }
        "hold" => drop(cluster.held.insert(id())),
        "release" => drop(cluster.held.remove(&id())),
        "expire" => {
            cluster.world.disarm(id());
            cluster.world.end_session(id());
            cluster.step(id(), Event::SessionExpired);
        }
        "establish" => {
            cluster.start_broker(id());
            cluster.step(id(), Event::SessionEstablished);
        }
        "usurp" => {
            let (epoch, version) = cluster.world.controller_epoch.expect("a controller");
            cluster.world.controller_epoch = Some((epoch + 1, version + 1));
            cluster.world.controller = Some(id());
        }
        "fail-dir" => {
            cluster.brokers.entry(id()).or_default().offline.extend(words[1..].iter().map(|w| partition(w)));
            cluster.world.lose_log_dir(id());
        }
        "fail-next-zk" => {
            let count = words.get(1).map_or(1, |w| w.parse().expect("a number"));
            cluster.failing.insert(id(), count);
        }
        "settle" => cluster.settle(),
        // Topics.
        "topic" => {
            let id = words.contains(&"id").then_some(Uuid([7; 16]));
            cluster.world.create_topic(topic(), TopicNode { id, partitions: assignments(words) });
        }
        "grow" => cluster.world.add_partitions(topic(), assignments(words)),
        "delete" => cluster.world.delete_topic(topic()),
        "unclean" => {
            cluster.world.topic_configs.insert(topic().to_string(), Some(true));
            let active = cluster.active().expect("a controller");
            cluster.step(active, Event::UncleanElectionEnabled(name(topic())));
        }
        "isr" => {
            let isr = ids(words[1]).into_iter().collect();
            cluster.world.change_isr(&partition(words[0]), isr, words.contains(&"notify"));
        }
        _ => ask(cluster, verb, words),
    }
}

fn ask(cluster: &mut Cluster, verb: &str, words: &[&str]) {
    let to = match value(words, "at") {
        Some(id) => id.parse().expect("a broker id"),
        None => cluster.active().expect("a controller"),
    };
    let partitions = || words.iter().filter(|w| !w.contains('=')).map(|w| partition(w)).collect();
    let number = |key: &str| value(words, key).and_then(|v| v.parse::<i64>().ok());
    match verb {
        "shutdown" => {
            let broker = words[0].parse().expect("a broker id");
            let known = cluster.world.brokers.get(&broker).map_or(-1, |b| b.epoch);
            let broker_epoch = number("epoch").unwrap_or(known);
            cluster.call(to, Call::ControlledShutdown { broker, broker_epoch });
        }
        "elect-preferred" => {
            let call = Call::ElectLeaders { partitions: partitions(), kind: ElectionKind::Preferred };
            cluster.call(to, call);
        }
        "elect-unclean" => {
            let call = Call::ElectLeaders { partitions: partitions(), kind: ElectionKind::Unclean };
            cluster.call(to, call);
        }
        "alter-isr" => {
            let broker = words[0].parse().expect("a broker id");
            let change = IsrChange {
                partition: partition(words[1]),
                leader_epoch: number("leader-epoch").unwrap_or(0) as i32,
                isr: ids(value(words, "isr").expect("isr=")),
                zk_version: number("version").unwrap_or(0) as i32,
            };
            let broker_epoch = cluster.world.brokers[&broker].epoch;
            cluster.call(to, Call::AlterIsr { broker, broker_epoch, changes: vec![change] });
        }
        "reassign" => cluster.call(to, Call::AlterReassignments(reassignments(words))),
        "reassign-znode" => {
            let wanted = reassignments(words).into_iter().map(|(tp, ids)| (tp, ids.unwrap_or_default()));
            cluster.world.reassign(wanted.collect());
        }
        "reassigning" => cluster.call(to, Call::ListReassignments(None)),
        "prefer" => cluster.world.prefer(partitions()),
        "late-answer" => {
            let broker = words[0].parse().expect("a broker id");
            let broker_epoch = number("epoch").expect("epoch=");
            cluster.answer_late(to, broker, broker_epoch, &partition(words[1]));
        }
        "rebalance" => cluster.step(to, Event::Timer(Timer::AutoRebalance)),
        "reelect" => cluster.step(to, Event::Timer(Timer::Reelect)),
        other => panic!("no such command: {other}"),
    }
}
