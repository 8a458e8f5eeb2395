//! Unpacking fixtures, opening them.

use flate2::read::GzDecoder;
use ottla::common::{TopicPartition, clock};
use ottla::storage::{Log, LogConfig, LogManager, LogManagerOptions, StartError};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use tempfile::TempDir;

/// Between the timestamps of old records in the fixtures (2023), whose producers had expired when the fixtures
/// were made (2026), and those that had not.
const PRODUCERS_EXPIRED_BEFORE_MS: i64 = 1_790_000_000_000;

/// The directory of the fixtures.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/logdirs").join(name)
}

/// Unpacks `name.tar.gz`.
pub fn unpack(name: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    let status = Command::new("tar")
        .arg("xzf")
        .arg(golden(&format!("{name}.tar.gz")))
        .arg("-C")
        .arg(dir.path())
        .status()
        .expect("tar");
    assert!(status.success(), "tar of {name}");
    dir
}

/// Reads `name.expected.json.gz`.
pub fn expected(name: &str) -> Value {
    let file = fs::File::open(golden(&format!("{name}.expected.json.gz"))).expect("expectation");
    let mut text = String::new();
    GzDecoder::new(file).read_to_string(&mut text).expect("gzip");
    serde_json::from_str(&text).expect("JSON")
}

/// The settings with which the fixtures were made, by the names of their topics.
pub fn fixture_config(topic: &str) -> Arc<LogConfig> {
    let message_format_magic = match topic {
        _ if topic.starts_with("v0-") => 0,
        _ if topic.starts_with("v1-") || topic.contains("-v1") => 1,
        _ => 2,
    };
    Arc::new(LogConfig {
        index_interval_bytes: 256,
        segment_index_bytes: 1 << 20,
        message_format_magic,
        compact: topic.starts_with("compact-") || topic.starts_with("__"),
        ..LogConfig::default()
    })
}

/// Options for these directories.
pub fn options(dirs: &[PathBuf]) -> LogManagerOptions {
    LogManagerOptions {
        log_dirs: dirs.to_vec(),
        failed_dirs: Vec::new(),
        recovery_threads_per_data_dir: 1,
        producer_expiration_ms: clock::now_ms() - PRODUCERS_EXPIRED_BEFORE_MS,
        keep_partition_metadata: true,
    }
}

/// Opens directories with the fixtures' settings.
pub fn try_open(dirs: &[PathBuf]) -> Result<LogManager, StartError> {
    LogManager::open(&options(dirs), &fixture_config)
}

/// As [`try_open`].
pub fn open(dirs: &[PathBuf]) -> LogManager {
    try_open(dirs).expect("opens")
}

/// All directories of a fixture.
pub fn data_dirs(root: &Path) -> Vec<PathBuf> {
    let mut dirs: Vec<_> = fs::read_dir(root).expect("fixture").map(|e| e.expect("entry").path()).collect();
    dirs.sort();
    dirs
}

/// Claims the log of `topic-partition`.
pub fn claim(manager: &LogManager, name: &str) -> Log {
    let (topic, partition) = name.rsplit_once('-').expect("topic-partition");
    let name = TopicPartition::new(topic, partition.parse().expect("number"));
    manager.claim(&name).unwrap_or_else(|| panic!("no log of {name}"))
}

/// Closes everything cleanly.
pub fn shut_down(manager: &LogManager, logs: Vec<Log>) {
    manager.shut_down(logs, HashMap::new()).expect("clean stop");
}

/// Names of all partition directories.
pub fn partition_dirs(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .expect("log directory")
        .map(|entry| entry.expect("entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
