//! Partitions of `__consumer_offsets` that Apache brokers wrote, from 0.9 to 2.8 and from 1.1.1, as the group
//! coordinator loads them; compared with a replay of what Kafka's own classes read in them.

use crate::support::{expected, unpack};
use bytes::Bytes;
use bytestring::ByteString;
use ottla::common::TopicPartition;
use ottla::coordinator::group::load::Loader;
use ottla::coordinator::group::offsets::OffsetsStorage;
use ottla::coordinator::group::shard::Shard;
use ottla::coordinator::group::step::{GroupSettings, Now, Step};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Group, topic and partition, and the offset with its metadata.
type Offsets = BTreeMap<(String, String, i64), (i64, String)>;
/// Group, its generation, leader and members.
type Groups = BTreeMap<String, (i64, Option<String>, Vec<String>)>;

fn text(value: &Value) -> String {
    value.as_str().expect("text").to_string()
}

/// What the decoded records of one partition amount to.
fn replay(partition: &Value) -> (Offsets, Groups) {
    let (mut offsets, mut groups) = (Offsets::new(), Groups::new());
    let mut pending: BTreeMap<i64, Vec<(_, Option<_>)>> = BTreeMap::new();
    let batches = partition["segments"].as_array().into_iter().flatten();
    for batch in batches.flat_map(|segment| segment["batches"].as_array().into_iter().flatten()) {
        let producer = batch["producerId"].as_i64().unwrap_or(-1);
        if batch["control"] == true {
            let ended = pending.remove(&producer).unwrap_or_default();
            if batch["records"][0]["controlType"] == 1 {
                ended.into_iter().for_each(|(key, value)| put(&mut offsets, key, value));
            }
            continue;
        }
        for record in batch["decoded"].as_array().into_iter().flatten() {
            let (key, value) = (&record["key"], &record["value"]);
            if record["keyVersion"] == 2 {
                match value.is_null() {
                    true => drop(groups.remove(&text(&key["group"]))),
                    false => drop(groups.insert(text(&key["group"]), group(value))),
                }
                continue;
            }
            let name =
                (text(&key["group"]), text(&key["topic"]), key["partition"].as_i64().expect("a number"));
            let committed = (!value.is_null())
                .then(|| (value["offset"].as_i64().expect("a number"), text(&value["metadata"])));
            match batch["transactional"] == true {
                true => pending.entry(producer).or_default().push((name, committed)),
                false => put(&mut offsets, name, committed),
            }
        }
    }
    (offsets, groups)
}

fn put(offsets: &mut Offsets, name: (String, String, i64), committed: Option<(i64, String)>) {
    match committed {
        Some(committed) => drop(offsets.insert(name, committed)),
        None => drop(offsets.remove(&name)),
    }
}

fn group(value: &Value) -> (i64, Option<String>, Vec<String>) {
    let members = value["members"].as_array().expect("members");
    let mut members: Vec<String> = members.iter().map(|member| text(&member["memberId"])).collect();
    members.sort_unstable();
    let leader = value["leader"].as_str().map(str::to_string);
    (value["generation"].as_i64().expect("a number"), leader, members)
}

fn load(partition: &Path) -> Shard {
    let mut files: Vec<PathBuf> =
        fs::read_dir(partition).expect("a partition").map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    files.sort_unstable();
    let mut loader = Loader::default();
    for file in files {
        loader.read(&Bytes::from(fs::read(file).expect("a segment")));
    }
    assert_eq!(loader.skipped(), 0, "{}", partition.display());
    let settings = GroupSettings {
        session_timeout_ms_min: 0,
        session_timeout_ms_max: i32::MAX,
        initial_rebalance_delay_ms: 0,
        group_size_max: 1_000,
        metadata_size_max: 4_096,
        offsets_retention_ms: i64::MAX,
    };
    let now = Now { monotonic_ms: 0, wall_ms: 0 };
    let shard = loader
        .finish(OffsetsStorage::Kafka, &mut Step { now, settings: &settings, effects: &mut Vec::new() });
    shard.check();
    shard
}

fn compare(shard: &Shard, partition: &Value, title: &str) -> usize {
    let (offsets, groups) = replay(partition);
    for ((group, topic, number), (offset, metadata)) in &offsets {
        let name = TopicPartition::new(ByteString::from(topic.as_str()), *number as i32);
        let found = shard.fetch(group, &[name], false).remove(0).expect("no error").expect("an offset");
        assert_eq!((found.offset, found.metadata.as_ref()), (*offset, metadata.as_str()), "{title}: {group}");
    }
    let listed: usize = shard.groups().map(|group| shard.fetch_all(group.id(), false).len()).sum();
    assert_eq!(listed, offsets.len(), "{title}: offsets that nobody committed");
    for (id, (generation, leader, members)) in &groups {
        let found = shard.group(id).unwrap_or_else(|| panic!("{title}: no group {id}"));
        assert_eq!(i64::from(found.generation()), *generation, "{title}: {id}");
        assert_eq!(found.leader().map(ByteString::to_string), *leader, "{title}: {id}");
        let ids: Vec<String> = found.members().keys().map(ByteString::to_string).collect();
        assert_eq!(ids, *members, "{title}: {id}");
    }
    offsets.len() + groups.len()
}

#[test]
fn groups_of_apache_brokers_are_loaded() {
    let versions = ["0.9.0", "0.10.0", "0.11.0", "1.1", "2.0", "2.1", "2.4", "2.8"];
    let mut cases: Vec<String> =
        versions.iter().map(|version| format!("failover-ibp-{version}-b1")).collect();
    let others =
        ["broker-282-clean", "failover-all-111-b1", "failover-ibp-2.1-IV0-b1", "failover-mixed-282-111-b1"];
    cases.extend(others.map(str::to_string));
    for case in cases {
        let (dir, expected) = (unpack(&case), expected(&case));
        let mut compared = 0;
        for (data, contents) in expected["dirs"].as_object().expect("directories") {
            for (name, partition) in contents["partitions"].as_object().expect("partitions") {
                if name.starts_with("__consumer_offsets-") {
                    let shard = load(&dir.path().join(data).join(name));
                    compared += compare(&shard, partition, &format!("{case}/{name}"));
                }
            }
        }
        assert!(compared > 0, "{case}: nothing compared");
    }
}
