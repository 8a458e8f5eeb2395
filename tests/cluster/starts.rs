//! Starts, refusals to start, and stops: exit codes, and the lines that Apache Kafka 2.8.2 prints.

use std::fs;

use crate::support::client::create_topic;
use crate::support::{Broker, TestDir, ZooKeeper, free_port};

const QUICK: [(&str, &str); 2] =
    [("zookeeper.session.timeout.ms", "3000"), ("zookeeper.connection.timeout.ms", "2000")];

/// Starts a broker that must end with exit code 1, its last words among its output.
fn refuses(broker: &mut Broker, words: &[&str]) {
    broker.launch();
    let status = broker.wait_for_exit();
    let log = broker.log();
    assert_eq!(status.code(), Some(1), "{log}");
    for words in words {
        assert!(log.contains(words), "no '{words}' in\n{log}");
    }
}

fn prepare(zookeeper: &ZooKeeper, chroot: &str, overrides: &[(&str, &str)]) -> Broker {
    let all: Vec<_> = QUICK.iter().chain(overrides).copied().collect();
    Broker::prepare(&format!("{}{chroot}", zookeeper.address()), &all)
}

#[test]
fn a_stop_drains_marks_the_logs_clean_and_ends_like_a_jvm() {
    let zookeeper = ZooKeeper::start_with_tick_time(100);
    let mut broker = prepare(&zookeeper, "", &[]);
    broker.start_again();
    create_topic(&mut broker.connect(), "t", 1);
    assert_eq!(broker.terminate().code(), Some(143));
    assert!(broker.log_dir().join(".kafka_cleanshutdown").exists());
    let log = broker.log();
    let in_order = [
        "INFO Registered signal handlers for TERM, INT, HUP (org.apache.kafka.common.utils.LoggingSignalHandler)",
        "INFO starting (kafka.server.KafkaServer)",
        "INFO Connecting to zookeeper on",
        "INFO Cluster ID = ",
        "INFO [KafkaServer id=0] started (kafka.server.KafkaServer)",
        "INFO Terminating process due to signal SIGTERM (org.apache.kafka.common.utils.LoggingSignalHandler)",
        "INFO [KafkaServer id=0] shutting down (kafka.server.KafkaServer)",
        // Before the logs, which may take long: others need not wait for that.
        "INFO [ZooKeeperClient Kafka server] Closed. (kafka.zookeeper.ZooKeeperClient)",
        "INFO Shutdown complete. (kafka.log.LogManager)",
        "INFO [KafkaServer id=0] shut down completed (kafka.server.KafkaServer)",
    ];
    let mut rest = log.as_str();
    for line in in_order {
        let at = rest.find(line).unwrap_or_else(|| panic!("no '{line}' in its place in\n{log}"));
        rest = &rest[at + line.len()..];
    }
    assert!(!log.contains("(ottla"), "a line without Kafka's logger name:\n{log}");
    assert_eq!(broker.server_log("server.log"), log, "standard output and server.log");
    assert!(broker.server_log("controller.log").contains("elected as the controller"));
    assert!(broker.server_log("state-change.log").contains("t-0"));
    // Clean: the next start has nothing to recover.
    broker.start_again();
    assert!(!broker.log()[log.len()..].contains("Attempting recovery"), "{}", broker.log());
}

#[test]
fn what_another_broker_holds_is_refused() {
    let zookeeper = ZooKeeper::start_with_tick_time(100);
    let mut first = prepare(&zookeeper, "", &[]);
    first.start_again();
    let directory = first.log_dir().display().to_string();
    let locked = format!(
        "org.apache.kafka.common.KafkaException: Failed to acquire lock on file .lock in {directory}. A Kafka \
         instance in another process or thread is using this directory."
    );
    let fatal = "ERROR [KafkaServer id=0] Fatal error during KafkaServer startup. Prepare to shutdown";
    let mut second = prepare(&zookeeper, "", &[("log.dirs", &directory)]);
    refuses(&mut second, &[fatal, &locked, "ERROR Exiting Kafka. (kafka.Kafka$)"]);
    // The same id elsewhere: after the time in which a session of its own could have expired.
    let mut second = prepare(&zookeeper, "", &[]);
    let exists = "org.apache.zookeeper.KeeperException$NodeExistsException: KeeperErrorCode = NodeExists";
    refuses(&mut second, &[fatal, exists]);
    let address = first.address();
    let listeners = format!("PLAINTEXT://{address}");
    let mut second = prepare(&zookeeper, "", &[("broker.id", "1"), ("listeners", &listeners)]);
    let bind = format!("Socket server failed to bind to {address}: Address already in use.");
    refuses(&mut second, &["ERROR [KafkaServer id=1] Fatal error", &bind]);
    let mut second = prepare(&zookeeper, "", &[("broker.id", "1"), ("advertised.listeners", &listeners)]);
    let taken = format!(
        "java.lang.IllegalArgumentException: requirement failed: Configured end points {address} in advertised \
         listeners are already registered by broker 0"
    );
    refuses(&mut second, &[&taken]);
    assert!(first.is_running(), "the first broker goes on");
}

#[test]
fn a_directory_of_another_cluster_or_broker_is_refused() {
    let zookeeper = ZooKeeper::start_with_tick_time(100);
    let mut broker = prepare(&zookeeper, "/first", &[]);
    broker.start_again();
    assert_eq!(broker.terminate().code(), Some(143));
    broker.set("broker.id", "7");
    let other_id = "kafka.common.InconsistentBrokerIdException: Configured broker.id 7 doesn't match stored broker.id \
                    Some(0) in meta.properties. If you moved your data, make sure your configured broker.id matches.";
    refuses(&mut broker, &[other_id]);
    broker.set("broker.id", "0");
    broker.set("zookeeper.connect", &format!("{}/second", zookeeper.address()));
    refuses(
        &mut broker,
        &[
            "kafka.common.InconsistentClusterIdException: The Cluster ID ",
            "in meta.properties. The broker is trying to join the wrong cluster. Configured zookeeper.connect may be wrong.",
        ],
    );
    broker.set("zookeeper.connect", &format!("{}/first", zookeeper.address()));
    broker.start_again();
}

#[test]
fn what_is_wrong_at_a_start_is_named() {
    let dir = TestDir::new("file");
    let file = dir.join("file");
    fs::write(&file, "not a directory").expect("own directory");
    let file = file.display().to_string();
    let zookeeper = ZooKeeper::start_with_tick_time(100);
    let none_left = format!(
        "ERROR Shutdown broker because none of the specified log dirs from {file} can be created or validated \
         (kafka.log.LogManager)"
    );
    refuses(&mut prepare(&zookeeper, "", &[("log.dirs", &file)]), &[&none_left]);
    refuses(
        &mut prepare(&zookeeper, "", &[("num.partitions", "many")]),
        &[
            "ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)\norg.apache.kafka.common.config.ConfigException: \
         Invalid value many for configuration num.partitions: Not a number of type INT",
        ],
    );
    let nobody = format!("127.0.0.1:{}", free_port());
    refuses(
        &mut prepare(&zookeeper, "", &[("zookeeper.connect", &nobody)]),
        &["ERROR Fatal error during KafkaServer startup. Prepare to shutdown (kafka.server.KafkaServer)\n\
         kafka.zookeeper.ZooKeeperClientTimeoutException: Timed out waiting for connection while in state: CONNECTING"],
    );
}
