//! Every fixture of one broker: opened, closed, compared with what a 2.8.2 broker leaves.

use crate::dump;
use crate::support::{claim, data_dirs, expected, open, partition_dirs, shut_down, unpack};
use ottla::storage::LogPosition;
use ottla::storage::checkpoint::read_offsets;
use serde_json::Value;
use std::path::Path;

/// Compares partitions with their expectations; `skip` names those that differ on purpose.
fn compare(dir: &Path, partitions: &Value, skip: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut seen = 0;
    for (name, expected) in partitions.as_object().expect("partitions") {
        let path = dir.join(name);
        if name.ends_with("-delete") || skip.contains(&name.as_str()) {
            continue;
        }
        seen += 1;
        let (mut ours, mut theirs) = (dump::partition(&path), dump::expected_partition(expected));
        for side in [&mut ours, &mut theirs] {
            let files = side.as_object_mut().expect("files");
            // Kafka creates it empty, and knows an absent one as empty.
            if files
                .get("leader-epoch-checkpoint")
                .is_some_and(|f| ["", "0\n0\n"].contains(&f["text"].as_str().unwrap_or("?")))
            {
                files.shift_remove("leader-epoch-checkpoint");
            }
            files.shift_remove("partition.metadata");
            // It deletes stray files after a delay.
            files.retain(|file, _| !file.ends_with(".deleted"));
        }
        dump::differences(name, &ours, &theirs, &mut found);
    }
    assert!(seen > 0, "nothing compared");
    found
}

/// What any start changes: epochs without a record (a leader that wrote nothing) and snapshots that belong to
/// no segment, or to the first one, go.
fn without_what_a_start_drops(mut partitions: Value) -> Value {
    for (_, partition) in partitions.as_object_mut().expect("partitions") {
        let segments = partition["segments"].as_array().cloned().unwrap_or_default();
        let Some(last) = segments.last() else { continue };
        let base_of = |name: &str| name[..20].parse::<i64>().expect("base offset");
        let base = base_of(last["file"].as_str().expect("file"));
        let end = last["batches"].as_array().and_then(|b| b.last()?["lastOffset"].as_i64());
        let end = end.map_or(base, |last| last + 1);
        if let Some(text) = partition["leader-epoch-checkpoint"].as_str() {
            let below =
                |line: &&str| line.split(' ').nth(1).is_some_and(|o| o.parse::<i64>().expect("offset") < end);
            let kept: Vec<_> = text.lines().skip(2).filter(below).collect();
            let text = format!(
                "0\n{}\n{}",
                kept.len(),
                kept.iter().map(|line| format!("{line}\n")).collect::<String>()
            );
            partition["leader-epoch-checkpoint"] = text.into();
        }
        let logs =
            segments.iter().map(|s| s["file"].as_str().expect("file")).filter(|name| name.ends_with(".log"));
        let bases: Vec<_> = logs.map(base_of).collect();
        let files = partition["files"].as_object_mut().expect("files");
        let stays = |offset| offset > bases[0] && (bases.contains(&offset) || offset == end);
        files.retain(|name, _| !name.ends_with(".snapshot") || stays(base_of(name)));
    }
    partitions
}

fn check(found: Vec<String>) {
    assert!(found.is_empty(), "{} differences:\n{}", found.len(), found.join("\n"));
}

fn compare_offsets(dir: &Path, file: &str, expected: &Value, skip: &[&str]) {
    let text = expected["rootFiles"][file].as_str().expect("checkpoint");
    let scratch = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(scratch.path(), text).expect("write");
    let (mut theirs, mut ours) =
        (read_offsets(scratch.path()).expect("theirs"), read_offsets(&dir.join(file)).expect("ours"));
    for side in [&mut theirs, &mut ours] {
        // Partitions that are not in the directory any more stand in Kafka's file for a while.
        side.retain(|name, _| {
            dir.join(name.to_string()).exists() && !skip.contains(&name.to_string().as_str())
        });
    }
    assert_eq!(ours, theirs, "{file}");
}

#[test]
fn what_a_clean_stop_left_is_left_as_it_was() {
    for name in ["broker-282-clean", "broker-0.8.2.2-clean"] {
        let root = unpack(name);
        let expectation = expected(name);
        shut_down(&open(&data_dirs(root.path())), Vec::new());
        let mut found = Vec::new();
        for dir in data_dirs(root.path()) {
            let key = dir.file_name().expect("name").to_string_lossy().into_owned();
            let partitions = expectation["dirs"][key.as_str()]["partitions"].clone();
            found.extend(compare(&dir, &without_what_a_start_drops(partitions), &[]));
            assert!(dir.join(".kafka_cleanshutdown").exists());
        }
        // 0.8 knows neither producers nor time indexes: like 2.8.2 we add them.
        found.retain(|difference| name != "broker-0.8.2.2-clean" || !difference.contains("ours only"));
        check(found);
    }
}

#[test]
fn failovers_of_many_releases_open_as_they_are() {
    let mut count = 0;
    for entry in std::fs::read_dir(crate::support::golden("")).expect("fixtures") {
        let file = entry.expect("entry").file_name().to_string_lossy().into_owned();
        let Some(name) = file.strip_suffix(".tar.gz").filter(|name| name.starts_with("failover-")) else {
            continue;
        };
        count += 1;
        let root = unpack(name);
        let expectation = expected(name);
        shut_down(&open(&data_dirs(root.path())), Vec::new());
        for dir in data_dirs(root.path()) {
            let key = dir.file_name().expect("name").to_string_lossy().into_owned();
            let partitions = expectation["dirs"][key.as_str()]["partitions"].clone();
            let mut found = compare(&dir, &without_what_a_start_drops(partitions), &[]);
            // Releases before 0.11 wrote no snapshots.
            found
                .retain(|difference| !(difference.contains(".snapshot") && difference.contains("ours only")));
            assert!(found.is_empty(), "{name}: {}", found.join("\n"));
        }
    }
    assert!(count > 15, "{count} fixtures");
}

#[test]
fn a_killed_broker_is_recovered_as_kafka_recovers_it() {
    for name in ["broker-282-killed", "future-replica-killed"] {
        let root = unpack(name);
        let expectation = expected(name);
        let manager = open(&data_dirs(root.path()));
        shut_down(&manager, Vec::new());
        for dir in data_dirs(root.path()) {
            let key = dir.file_name().expect("name").to_string_lossy().into_owned();
            let after = &expectation["afterBrokerStartAndCleanStop"][key.as_str()];
            let mut found = compare(&dir, &after["partitions"], &[]);
            // Kafka's broker went on: it appended to internal topics, finished the copy.
            found.retain(|d| !d.starts_with("__") && !d.contains("moving-0"));
            check(found);
        }
    }
}

#[test]
fn every_damage_is_repaired_as_kafka_repairs_it() {
    let root = unpack("damaged-unclean");
    let expectation = expected("damaged-unclean");
    let dir = data_dirs(root.path()).remove(0);
    let manager = open(std::slice::from_ref(&dir));
    shut_down(&manager, Vec::new());
    let after = &expectation["after"];
    let partitions = only(&after["partitions"], "u-");
    // Its records say that epoch 5 never wrote one: we believe them, 2.8.2 the file.
    check(compare(&dir, &partitions, &["u-epoch-beyond-0"]));
    let epochs =
        std::fs::read_to_string(dir.join("u-epoch-beyond-0/leader-epoch-checkpoint")).expect("epochs");
    assert_eq!(epochs, "0\n1\n0 0\n");
    compare_offsets(&dir, "recovery-point-offset-checkpoint", after, &[]);
    compare_offsets(&dir, "log-start-offset-checkpoint", after, &[]);
}

/// Damages under the marker of a clean stop that 2.8.2 believes and we repair.
const REPAIRED: &[&str] =
    &["c-torn-0", "c-garbage-0", "c-index-garbage-0", "c-index-zeros-0", "c-index-odd-size-0"];

#[test]
fn damages_under_a_clean_marker_are_found_or_believed() {
    let root = unpack("damaged-clean-marker");
    let expectation = expected("damaged-clean-marker");
    let dir = data_dirs(root.path()).remove(0);
    let manager = open(std::slice::from_ref(&dir));
    let torn = claim(&manager, "c-torn-0");
    let garbage = claim(&manager, "c-garbage-0");
    let zeros = claim(&manager, "c-index-zeros-0");
    assert_eq!(garbage.log_end_offset(), 40);
    assert_eq!(zeros.log_end_offset(), 40);
    let read = torn.plan_read(36, torn.log_end()).expect("in range").execute(1 << 20, true).expect("read");
    assert_eq!(read.size_bytes() as u64, u64::from(torn.log_end().position), "all whole batches are kept");
    assert!(torn.log_end_offset() > 36 && torn.log_end_offset() < 40);
    for log in [&garbage, &zeros] {
        for offset in 0..40 {
            let plan = log.plan_read(offset, LogPosition::of_offset(40)).expect("in range");
            let start = plan.execute(1, true).expect("read").start;
            assert!(start.is_exact(), "offset {offset} is found in spite of its index");
        }
    }
    shut_down(&manager, vec![torn, garbage, zeros]);
    let partitions = only(&expectation["after"]["partitions"], "c-");
    check(compare(&dir, &partitions, REPAIRED));
}

fn only(partitions: &Value, prefix: &str) -> Value {
    let all = partitions.as_object().expect("partitions").iter();
    all.filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn offsets_are_those_that_kafka_reported() {
    let root = unpack("broker-282-clean");
    let expectation = expected("broker-282-clean");
    let manager = open(&data_dirs(root.path()));
    for (name, reported) in expectation["offsetsReportedByBroker"].as_object().expect("offsets") {
        let mut log = claim(&manager, name);
        assert_eq!(Some(log.log_start_offset()), reported["logStartOffset"].as_i64(), "{name}");
        assert_eq!(Some(log.log_end_offset()), reported["highWatermark"].as_i64(), "{name}");
        let stable = log.last_stable_offset(log.log_end());
        assert_eq!(Some(stable.offset), reported["lastStableOffset"].as_i64(), "{name}");
    }
}

#[test]
fn a_running_brokers_copy_is_recovered() {
    let root = unpack("broker-282-live-before-stop");
    let dirs = data_dirs(root.path());
    let manager = open(&dirs);
    shut_down(&manager, Vec::new());
    for dir in &dirs {
        for name in partition_dirs(dir).iter().filter(|name| !name.ends_with("-delete")) {
            for entry in std::fs::read_dir(dir.join(name)).expect("partition") {
                let entry = entry.expect("entry");
                let size = entry.metadata().expect("metadata").len();
                assert!(size < 1 << 20, "{:?}: a preallocated index is trimmed", entry.path());
            }
        }
    }
}
