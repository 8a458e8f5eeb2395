//! Every node that Kafka 2.8.2 and 1.1.1 wrote in the captured runs (`tests/golden/znodes`), read and written again.

use super::super::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Placeholders of the captures.
const PLACEHOLDERS: [(&str, &str); 10] = [
    ("{HOST}", "host.example"),
    ("{MS}", "1700000000123"),
    ("{CLUSTER_ID}", "0123456789abcdefABCDEw"),
    ("{TOPIC_ID}", "kZ4o3M1bQm2yqjv0b1Yb0A"),
    ("{PORT1}", "9091"),
    ("{PORT2}", "9092"),
    ("{PORT3}", "9093"),
    ("{B64}", "YWJj"),
    ("{ENCODED_PASSWORD}", "x"),
    ("{TOKENID}", "token"),
];

fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.file_name().is_some_and(|name| name != "README.md") {
            found.push(path);
        }
    }
}

/// Path and data of every node that a capture shows.
fn nodes(text: &str) -> Vec<(String, String)> {
    let mut nodes = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.splitn(2, " | ").collect();
        if let [path, rest] = words[..] {
            let data = rest.splitn(3, " | ").nth(2).unwrap_or("");
            nodes.push((path.to_string(), data.split(" | ").next().unwrap_or("").to_string()));
            continue;
        }
        let Some(at) = line.find(" create ").or(line.find(" set ")) else { continue };
        let mut words = line[at..].trim_start().split_once(' ').map_or("", |(_, rest)| rest).splitn(3, ' ');
        let (a, b, c) = (words.next(), words.next(), words.next());
        // `create KIND path data`, `set path vN data`
        let (path, data) = if a.is_some_and(|a| a.starts_with('/')) { (a, c) } else { (b, c) };
        nodes.push((path.unwrap_or("").to_string(), data.unwrap_or("").to_string()));
    }
    nodes
}

/// Reads the node and writes it again. `None`: not a node of [`crate::zk::data`].
fn again(path: &str, data: &[u8]) -> Option<Result<Bytes, DataError>> {
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    Some(match parts[..] {
        ["brokers", "ids", _] => BrokerRegistration::decode(data).map(|b| b.encode()),
        ["brokers", "topics", _] => TopicAssignment::decode(data).map(|t| t.encode()),
        ["brokers", "topics", _, "partitions", _, "state"] => {
            PartitionState::decode(data).map(|s| s.encode())
        }
        ["controller"] => controller::decode(data).map(|id| controller::encode(id, 1_700_000_000_123)),
        ["controller_epoch"] => controller::decode_epoch(data).map(controller::encode_epoch),
        ["cluster", "id"] => cluster_id::decode(data).map(|id| cluster_id::encode(&id)),
        ["latest_producer_id_block"] => ProducerIdBlock::decode(data).map(|b| b.encode()),
        ["feature"] => FeatureZNode::decode(data).map(|f| f.encode()),
        ["isr_change_notification", _] => isr_change::decode(data).map(|p| isr_change::encode(&p)),
        ["log_dir_event_notification", _] => log_dir_event::decode(data).map(log_dir_event::encode),
        ["admin", "reassign_partitions"] => reassign::decode(data).map(|r| reassign::encode(&r)),
        ["admin", "preferred_replica_election"] => {
            preferred_election::decode(data).map(|p| preferred_election::encode(&p))
        }
        ["config", "changes", _] => config_change::decode(data)
            .map(|c| config_change::encode(&format!("{}/{}", c.entity_type, c.entity_name))),
        ["config", _, _, ..] => config_entity::decode(data).map(|c| config_entity::encode(&c)),
        ["consumers", _, "offsets", _, _] => consumer_offset::decode(data).map(consumer_offset::encode),
        _ => return None,
    })
}

/// What the version of the writer explains: topics and registrations of older brokers have fewer keys.
fn comparable(path: &str, data: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(data).unwrap();
    if path.starts_with("/brokers/topics/")
        && !path.contains("/partitions")
        && let Some(map) = value.as_object_mut()
    {
        map.remove("version");
        map.entry("adding_replicas").or_insert_with(|| serde_json::json!({}));
        map.entry("removing_replicas").or_insert_with(|| serde_json::json!({}));
    }
    value
}

#[test]
fn everything_kafka_wrote_is_read_and_written_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/znodes");
    let mut found = Vec::new();
    files(&root, &mut found);
    found.sort();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut other_bytes = Vec::new();
    for file in found {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        for (path, data) in nodes(&std::fs::read_to_string(&file).unwrap()) {
            let data = PLACEHOLDERS.iter().fold(data, |data, (mark, value)| data.replace(mark, value));
            if data.is_empty() || data == "null" || data == "empty" {
                continue;
            }
            let Some(written) = again(&path, data.as_bytes()) else { continue };
            let written = written.unwrap_or_else(|e| panic!("{name} {path} {data}: {e}"));
            let (theirs, ours) = (comparable(&path, data.as_bytes()), comparable(&path, &written));
            assert_eq!(theirs, ours, "{name} {path}");
            if data.as_bytes() != written && name.starts_with("2.8.2") {
                other_bytes.push(format!("{path} {data}"));
            }
            *seen.entry(path.split('/').take(3).collect::<Vec<_>>().join("/")).or_default() += 1;
        }
    }
    // Otherwise the captures were not there, or not understood.
    for (path, at_least) in [
        ("/brokers/ids", 30),
        ("/brokers/topics", 290),
        ("/controller", 5),
        ("/controller_epoch", 5),
        ("/cluster/id", 5),
        ("/config/changes", 20),
        ("/config/topics", 20),
        ("/config/users", 5),
        ("/isr_change_notification/isr_change_0000000000", 2),
        ("/log_dir_event_notification/log_dir_event_0000000000", 1),
        ("/latest_producer_id_block", 10),
        ("/admin/reassign_partitions", 3),
        ("/admin/preferred_replica_election", 2),
        ("/feature", 3),
        ("/consumers/og", 1),
    ] {
        let count = seen.get(path).copied().unwrap_or(0);
        assert!(count >= at_least, "{path}: {count} of at least {at_least} ({seen:?})");
    }
    // Kafka's hash order, which ours is not: configurations of several keys, registrations below version 5, and
    // topics whose partitions do not come in numerical order.
    let odd = |line: &&String| {
        !line.starts_with("/config/")
            && !line.contains("\"version\":4")
            && !line.starts_with("/brokers/topics")
    };
    assert_eq!(other_bytes.iter().find(odd), None);
}
