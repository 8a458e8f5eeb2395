//! Logs that Apache Kafka 2.8.2 compacted, and what they were before (its `.deleted` files): compacted by us, the same.

use crate::support::{fixture_config, golden, options, partition_dirs, unpack};
use ottla::common::TopicPartition;
use ottla::record::batch::{BatchInfo, Batches, check_crc};
use ottla::record::compression::Limits;
use ottla::record::reader::{Record, Records};
use ottla::storage::cleaner::{Cleaner, CleanerConfig, ServedLogs};
use ottla::storage::{Log, LogConfig, LogManager, LogPosition, StorageError};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

struct Served(Mutex<Log>);

impl ServedLogs for Served {
    fn for_each(&self, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        let mut log = self.0.lock().expect("no panic");
        let end = log.log_end();
        visit(&mut log, end);
    }

    fn with_log(&self, _: &TopicPartition, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        self.for_each(visit);
    }

    fn failed(&self, error: &StorageError) {
        panic!("{error}");
    }
}

const SUFFIXES: [&str; 4] = ["log", "index", "timeindex", "txnindex"];

/// Puts the segments that were replaced back into their place.
fn undo_last_pass(dir: &Path, bases: &[i64]) {
    for base in bases {
        for suffix in SUFFIXES {
            let path = dir.join(format!("{base:020}.{suffix}"));
            let before = dir.join(format!("{base:020}.{suffix}.deleted"));
            if path.exists() {
                fs::remove_file(&path).expect("removed");
            }
            if before.exists() {
                fs::rename(before, path).expect("renamed");
            }
        }
    }
    for entry in fs::read_dir(dir).expect("listed") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|extension| extension == "deleted") {
            fs::remove_file(path).expect("removed");
        }
    }
}

/// Every segment: base, age, batches without what only the encoding of deltas decides, and records.
type Content = Vec<(String, std::time::SystemTime, Vec<(BatchInfo, Vec<Record>)>)>;

fn content(dir: &Path) -> Content {
    let mut names: Vec<_> = fs::read_dir(dir).expect("listed").map(|e| e.expect("entry").path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    names.sort();
    let segment = |path: &std::path::PathBuf| {
        let bytes = bytes::Bytes::from(fs::read(path).expect("log"));
        let batches = Batches::new(&bytes).map(|batch| {
            let (info, batch) = batch.expect("a batch");
            check_crc(&info, batch).expect("checksum");
            let records = Records::open(&info, &bytes.slice_ref(batch), &Limits::default()).expect("opens");
            // We keep the base timestamp; Kafka takes that of the first record that stays.
            let info = BatchInfo { base_timestamp: 0, crc: 0, size_bytes: 0, ..info };
            (info, records.map(|record| record.expect("a record")).collect())
        });
        let name = path.file_name().expect("name").to_string_lossy().into_owned();
        (name, fs::metadata(path).expect("there").modified().expect("age"), batches.collect())
    };
    names.iter().map(segment).collect()
}

fn clean(root: &Path, topic: &str, config: LogConfig) {
    let config = Arc::new(config);
    let options = options(&[root.to_path_buf()]);
    let manager = Arc::new(LogManager::open(&options, &|_| config.clone()).expect("opens"));
    let log = manager.claim(&TopicPartition::new(topic, 0)).expect("there");
    let served = Arc::new(Served(Mutex::new(log)));
    let cleaner_config = CleanerConfig {
        threads: 1,
        dedupe_buffer_bytes: 1 << 21,
        load_factor: 0.9,
        io_buffer_bytes: 1 << 19,
        max_io_bytes_per_second: f64::MAX,
        backoff_ms: 1,
    };
    let cleaner = Cleaner::new(served.clone(), manager.clone(), cleaner_config);
    assert!(cleaner.clean_next(0), "{topic} is dirty");
    assert!(!cleaner.clean_next(0), "{topic} is clean");
    assert!(cleaner.failing().is_empty());
    drop(cleaner);
    let log = Arc::into_inner(served).expect("nobody else").0.into_inner().expect("no panic");
    manager.shut_down(vec![log], HashMap::new()).expect("clean stop");
}

#[test]
fn what_stays_is_what_apache_leaves() {
    assert!(golden("broker-282-clean.tar.gz").exists());
    for (dir, topic, bases, first_dirty) in [
        ("data2", "compact-after", &[0, 16, 32][..], None),
        ("data", "compact-after-tomb0", &[0, 16, 32], None),
        ("data", "compact-v1", &[0, 8, 16, 24, 32, 40], None),
        ("data2", "compact-txn", &[0, 34, 49, 64], Some(49)),
    ] {
        let theirs = unpack("broker-282-clean");
        let partition = format!("{topic}-0");
        let theirs = theirs.path().join(dir).join(&partition);
        let expected = content(&theirs);
        let ours = unpack("broker-282-clean");
        let root = ours.path().join(dir);
        for other in partition_dirs(&root).iter().filter(|name| **name != partition) {
            fs::remove_dir_all(root.join(other)).expect("removed");
        }
        let checkpoint = match first_dirty {
            Some(offset) => format!("0\n1\n{topic} 0 {offset}\n"),
            None => "0\n0\n".into(),
        };
        fs::write(root.join("cleaner-offset-checkpoint"), checkpoint).expect("written");
        undo_last_pass(&root.join(&partition), bases);
        assert_ne!(content(&root.join(&partition)), expected, "{topic}: something is to be done");
        let config = LogConfig {
            segment_bytes: if topic == "compact-txn" { 600 } else { 500 },
            index_interval_bytes: 4096,
            min_cleanable_dirty_ratio: 0.0,
            delete: false,
            ..(*fixture_config(topic)).clone()
        };
        clean(&root, topic, config);
        let found = content(&root.join(&partition));
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found.0, expected.0, "{topic}");
            for (found, expected) in found.2.iter().zip(&expected.2) {
                assert_eq!(found, expected, "{topic}");
            }
            assert_eq!(found.2.len(), expected.2.len(), "{topic} {}", found.0);
            assert_eq!(found.1, expected.1, "{topic} {}: tombstones age by it", found.0);
        }
        assert_eq!(found.len(), expected.len(), "{topic}");
        for (name, ..) in &expected {
            for suffix in &SUFFIXES[2..] {
                let file = name.replace("log", suffix);
                let read = |dir: &Path| fs::read(dir.join(&file)).unwrap_or_default();
                assert_eq!(read(&root.join(&partition)), read(&theirs), "{topic} {file}");
            }
        }
    }
}
