//! The rules one by one, on small logs.

use super::world::{World, cleaner_config, config, name};
use crate::record::batch::Compression;
use crate::record::builder::BatchOptions;
use crate::storage::LogConfig;
use crate::storage::cleaner::CleanerConfig;
use crate::storage::partition_dir::lock;
use std::path::Path;

fn world(root: &Path) -> World {
    World::new(root, config())
}

fn offsets(world: &World) -> Vec<i64> {
    world.committed().iter().map(|seen| seen.offset).collect()
}

fn files(root: &Path, suffix: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root.join("data/t-0")).expect("listed");
    let names = entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(suffix)).collect();
    names.sort();
    names
}

#[test]
fn the_last_record_of_a_key_stays_and_the_active_segment_is_left_alone() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = world(root.path());
    for n in 0..6 {
        world.put(["a", "b", "c"][n % 3], Some("value"));
        world.roll();
    }
    world.put("a", Some("in the active segment"));
    world.append(BatchOptions::default(), &[(None, Some("no key")), (Some("b"), None)]);
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [3, 4, 5, 6, 7, 8]);
    assert_eq!(world.bases(), [0, 6], "neighbours became one");
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 6\n");
    assert_eq!(files(root.path(), ".log.deleted").len(), 6);
    assert!(files(root.path(), ".cleaned").is_empty() && files(root.path(), ".swap").is_empty());
    assert_eq!(files(root.path(), ".snapshot"), ["00000000000000000006.snapshot"]);
    assert_eq!(world.clean(), 0, "nothing is dirty");
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [5, 6, 8], "a record without a key goes, a young tombstone stays");
    world.restart(root.path());
    assert_eq!(offsets(&world), [5, 6, 8]);
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 9\n");
    assert_eq!(world.clean(), 0);
}

#[test]
fn tombstones_stay_for_their_time_after_the_first_pass() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = World::new(root.path(), LogConfig { delete_retention_ms: 0, ..config() });
    world.put("a", Some("value"));
    world.put("a", None);
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [1], "nothing was clean before");
    world.put("b", Some("value"));
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [2]);
}

#[test]
fn transactions_go_before_their_markers() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = World::new(root.path(), LogConfig { delete_retention_ms: 0, ..config() });
    for (producer, commit) in [(1, true), (2, false)] {
        let options = world.options(producer, true, Compression::None);
        world.append(options, &[(Some("a"), Some("first")), (Some("b"), Some("first"))]);
        world.end_transaction(producer, commit);
    }
    world.roll();
    let headers = |world: &World| -> Vec<(i64, i64, i32)> {
        world.with_log(|log| {
            let batches = crate::storage::tests::world::batches_of(log);
            batches.iter().map(|b| (b.info.base_offset, b.info.producer_id, b.info.records_count)).collect()
        })
    };
    assert_eq!(headers(&world), [(0, 1, 2), (2, 1, 1), (3, 2, 2), (5, 2, 1)]);
    assert_eq!(world.clean(), 1);
    assert_eq!(headers(&world), [(0, 1, 2), (2, 1, 1), (3, 2, 0), (5, 2, 1)], "the sequence of 2 stays");
    let aborted = |world: &World| world.with_log(|log| log.aborted_transactions(0, 6).expect("read").len());
    assert_eq!(aborted(&world), 1);
    for key in ["a", "b"] {
        world.put(key, Some("second"));
    }
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(headers(&world), [(0, 1, 0), (2, 1, 1), (3, 2, 0), (5, 2, 1), (6, -1, 1), (7, -1, 1)]);
    for producer in [1, 2] {
        let options = world.options(producer, true, Compression::None);
        world.append(options, &[(Some("c"), Some("third"))]);
        world.end_transaction(producer, true);
    }
    world.roll();
    assert_eq!(world.clean(), 1);
    let after = headers(&world);
    assert_eq!(
        after[..3],
        [(2, 1, 1), (5, 2, 1), (6, -1, 1)],
        "markers stay while this pass saw their batches"
    );
    world.put("d", Some("fourth"));
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(headers(&world)[0], (6, -1, 1), "now they go");
    assert_eq!(aborted(&world), 0);
    world.restart(root.path());
    let options = world.options(1, false, Compression::None);
    world.append(options, &[(Some("e"), Some("the sequence is known"))]);
}

#[test]
fn undecided_and_young_records_are_left_alone() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = world(root.path());
    world.put("a", Some("value"));
    world.put("a", Some("value"));
    world.roll();
    let options = world.options(5, true, Compression::None);
    world.append(options, &[(Some("a"), Some("undecided"))]);
    world.roll();
    world.put("a", Some("later"));
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(world.bases(), [0, 2, 3, 4]);
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 2\n");
    world.end_transaction(5, false);
    world.roll();
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [3]);
    let lag = LogConfig { min_compaction_lag_ms: i64::MAX / 4, ..config() };
    world.put("a", Some("young"));
    world.roll();
    world.with_log(|log| log.update_config(std::sync::Arc::new(lag)).expect("works"));
    assert_eq!(world.clean(), 0);
}

#[test]
fn a_clean_log_waits_until_it_is_dirty_enough_or_a_record_waits_too_long() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = World::new(root.path(), LogConfig { min_cleanable_dirty_ratio: 0.5, ..config() });
    for key in ["a", "b", "c"] {
        world.put(key, Some("value"));
    }
    world.roll();
    assert_eq!(world.clean(), 1);
    world.put("a", Some("value"));
    world.roll();
    assert_eq!(world.clean(), 0, "a quarter is dirty");
    let lag = LogConfig { min_cleanable_dirty_ratio: 0.5, max_compaction_lag_ms: 1000, ..config() };
    world.with_log(|log| log.update_config(std::sync::Arc::new(lag)).expect("works"));
    assert_eq!(world.clean(), 1, "the record is years old");
    assert_eq!(offsets(&world), [1, 2, 3]);
}

#[test]
fn a_small_map_takes_several_passes() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = world(root.path());
    for n in 0..40 {
        world.put(&format!("key-{}", n % 20), Some("value"));
    }
    world.roll();
    let cleaner = world.cleaner(CleanerConfig { dedupe_buffer_bytes: 24 * 8, ..cleaner_config() });
    let mut passes = 0;
    while cleaner.clean_next(0) {
        passes += 1;
    }
    assert!(passes > 3, "{passes} passes");
    assert_eq!(offsets(&world), (20..40).collect::<Vec<_>>());
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 40\n");
}

#[test]
fn a_damaged_log_is_not_copied_and_tried_again_later() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = world(root.path());
    world.put("a", Some("value"));
    world.put("a", Some("value"));
    world.roll();
    world.flush();
    let path = root.path().join("data/t-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).expect("log");
    let middle = bytes.len() - 3;
    bytes[middle] ^= 1;
    std::fs::write(&path, &bytes).expect("damaged");
    let cleaner = world.cleaner(cleaner_config());
    assert!(cleaner.clean_next(0));
    assert_eq!(cleaner.failing(), [name()]);
    assert!(!cleaner.clean_next(0), "not at once");
    assert!(lock(&world.served.errors).is_empty(), "the directory is not at fault");
    assert_eq!(std::fs::read(&path).expect("log"), bytes);
    assert!(files(root.path(), ".cleaned").is_empty());
}

#[test]
fn what_is_cut_off_is_dirty_again_when_it_is_written_again() {
    let root = tempfile::tempdir().expect("temporary directory");
    let mut world = world(root.path());
    for n in 0..6 {
        world.put(&format!("key-{n}"), Some("value"));
        world.roll();
    }
    assert_eq!(world.clean(), 1);
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 6\n");
    let state = world.with_log(|log| {
        log.truncate_to(2, 0).expect("cut");
        log.state()
    });
    world.manager.write_recovery_points(&[state]).expect("written");
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 2\n");
    for _ in 0..6 {
        world.put("again", Some("value"));
        world.roll();
    }
    assert_eq!(world.clean(), 1);
    assert_eq!(offsets(&world), [0, 1, 7]);
    let state = world.with_log(|log| log.state());
    world.manager.write_recovery_points(&[state]).expect("written");
    assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 8\n", "one cut counts once");
    let log = lock(&world.served.log).take().expect("a log");
    world.manager.delete(log).expect("deleted");
    assert_eq!(world.checkpoint(root.path()), "0\n0\n");
}

#[test]
fn a_checkpoint_that_cannot_be_right_is_not_believed() {
    for text in ["garbage\n", "0\n1\nt 0 1000\n", "0\n1\nt 0 -5\n"] {
        let root = tempfile::tempdir().expect("temporary directory");
        let mut world = world(root.path());
        world.put("a", Some("value"));
        world.put("a", Some("value"));
        world.roll();
        std::fs::write(root.path().join("data/cleaner-offset-checkpoint"), text).expect("written");
        assert_eq!(world.clean(), 1, "{text}");
        assert_eq!(offsets(&world), [1]);
        assert_eq!(world.checkpoint(root.path()), "0\n1\nt 0 2\n");
    }
}
