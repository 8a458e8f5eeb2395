//! Whole directories that Apache Kafka 2.8.2 refuses, or starts on in spite of something: so do we, in its words.

use crate::support::{data_dirs, golden, options, try_open, unpack};
use ottla::common::TRACE_MARK;
use ottla::storage::{StartError, meta_properties};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::Mutex;

/// What was done to the directory of `broker-282-clean`; cases are named as in the golden file.
fn damage(dir: &Path, case: &str) {
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("written");
    let meta = |id: i32, version: i32, cluster: &str| {
        let text = format!(
            "#\n#Sat Nov 21 09:29:35 UTC 2026\nbroker.id={id}\nversion={version}\ncluster.id={cluster}\n"
        );
        write("meta.properties", &text);
    };
    match case {
        "C-strangedir" => fs::create_dir(dir.join("foo")).expect("created"),
        "C-stray" => fs::create_dir(dir.join("x-0.0123456789abcdef0123456789abcdef-stray")).expect("created"),
        "C-strangefile" => write("foo.txt", "?"),
        "C-brokerid" => meta(7, 0, CLUSTER),
        "C-clusterid" => meta(1, 0, &format!("X{CLUSTER}")),
        "C-version1" => meta(1, 1, CLUSTER),
        "C-nometa" => fs::remove_file(dir.join("meta.properties")).expect("removed"),
        "C-rpgarbage" => write("recovery-point-offset-checkpoint", "garbage\n"),
        "C-hwgarbage" => write("replication-offset-checkpoint", "garbage\n"),
        "C-epochgarbage" => write("x-0/leader-epoch-checkpoint", "hello\n"),
        "C-pmeta" => write("x-0/partition.metadata", "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAA"),
        other => panic!("unknown case {other}"),
    }
}

const CLUSTER: &str = "8uzDCSIMS_65UyQUvmAsuw";

/// What was logged, as Kafka's pattern shows it.
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Capture;

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {} ({})", record.level(), record.args(), record.target());
        // The logger's name stands at the end of the first line.
        let line = match line.split_once(TRACE_MARK) {
            Some((first, trace)) => format!("{first} ({})\n{trace}", record.target()),
            None => line,
        };
        LINES.lock().expect("lines").push(line);
    }

    fn flush(&self) {}
}

/// As far as a start depends on directories.
fn start(dir: &Path) -> Result<Vec<String>, StartError> {
    let dirs = vec![dir.to_path_buf()];
    let (stored, failed) = meta_properties::read(&dirs)?;
    assert!(failed.is_empty());
    stored.check_cluster_id(CLUSTER)?;
    assert_eq!(stored.check_broker_id(1)?, Some(1));
    let manager = try_open(&dirs)?;
    let (_, errors) = manager.read_high_watermarks();
    Ok(errors.iter().map(|error| error.log_text()).collect())
}

#[test]
fn what_kafka_refuses_is_refused_in_its_words() {
    log::set_boxed_logger(Box::new(Capture)).expect("the only logger");
    log::set_max_level(log::LevelFilter::Warn);
    let text = fs::read_to_string(golden("start-failures.json")).expect("golden");
    let cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    for case in &cases {
        let name = case["case"].as_str().expect("name");
        let root = unpack("broker-282-clean");
        let dir = data_dirs(root.path()).remove(0);
        fs::create_dir_all(dir.join("x-0")).expect("created");
        let text = format!("#\n#?\nbroker.id=1\nversion=0\ncluster.id={CLUSTER}\n");
        fs::write(dir.join("meta.properties"), text).expect("written");
        damage(&dir, name);
        LINES.lock().expect("lines").clear();
        let started = start(&dir);
        assert_eq!(Some(started.is_ok()), case["started"].as_bool(), "{name}: {started:?}");
        let said = match &started {
            Ok(errors) => errors.join("\n"),
            Err(error) => format!("{}: {}", error.exception, error.message),
        };
        let lines = LINES.lock().expect("lines").join("\n");
        let said =
            format!("{said}\n{lines}").replace(TRACE_MARK, "\n").replace(&dir.display().to_string(), "<dir>");
        let log: Vec<&str> = case["log"].as_array().expect("log").iter().filter_map(Value::as_str).collect();
        // The line of the exception; under the name of its class.
        let exception = log.iter().find(|line| line.contains("Exception: ") && !line.starts_with('['));
        if let Some(exception) = exception {
            assert!(said.contains(exception), "{name}:\n  ours  {said}\n  Kafka {exception}");
        }
        let failures = log.iter().filter(|line| line.ends_with("(kafka.server.LogDirFailureChannel)"));
        // What is found when the broker runs, the broker logs.
        for line in failures.filter(|_| started.is_err()) {
            let line = line.split_once("] ").expect("a time").1;
            assert!(said.contains(line), "{name}:\n  ours  {said}\n  Kafka {line}");
        }
        let marker = dir.join(".kafka_cleanshutdown").exists();
        let refused_by_name = ["C-strangedir", "C-stray"].contains(&name);
        assert!(started.is_ok() || !refused_by_name || marker, "{name}: nothing was touched");
    }
    assert_eq!(cases.len(), 11);
}

#[test]
fn directories_of_two_brokers_are_refused() {
    let root = unpack("broker-282-clean");
    let dirs = data_dirs(root.path());
    fs::write(dirs[1].join("meta.properties"), "version=0\nbroker.id=2\n").expect("written");
    let error = meta_properties::read(&dirs).expect_err("they differ");
    assert_eq!(error.exception, "kafka.common.InconsistentBrokerMetadataException");
}

#[test]
fn a_directory_in_use_is_refused() {
    let root = unpack("broker-282-clean");
    let dirs = data_dirs(root.path());
    let first = try_open(&dirs).expect("opens");
    let error = try_open(&dirs).expect_err("locked");
    assert!(error.message.starts_with("Failed to acquire lock on file .lock in "), "{error}");
    drop(first);
    let mut twice = options(&dirs);
    twice.log_dirs.push(dirs[0].clone());
    let config = crate::support::fixture_config;
    let error = ottla::storage::LogManager::open(&twice, &config).expect_err("twice");
    assert!(error.message.starts_with("Duplicate log directory found: "), "{error}");
}
