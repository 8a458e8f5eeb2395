//! The broker that a script speaks to: ours, or Apache's where `APACHE_KAFKA_JARS` names a folder with its jars.

use super::support::{Broker, TestDir, Wire, ZooKeeper, free_port, wait_for};
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use ottla::protocol::{client, encode_request};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Same lines for both. One partition of `__consumer_offsets` keeps lists of log directories short.
const SETTINGS: &[(&str, &str)] = &[
    ("broker.id", "0"),
    ("offsets.topic.num.partitions", "1"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.num.partitions", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("zookeeper.session.timeout.ms", "10000"),
];

/// The folder with the jars of Apache Kafka 2.8.2, if the scripts are to run against that.
pub fn apache_jars() -> Option<String> {
    std::env::var("APACHE_KAFKA_JARS").ok()
}

/// One broker with its own ZooKeeper.
pub struct Target {
    running: Running,
    zookeeper: ZooKeeper,
}

enum Running {
    Own(Box<Broker>),
    Apache { child: Child, dir: TestDir, port: u16 },
}

impl Target {
    /// Starts both and waits until the broker is its own controller. `overrides` are lines of `server.properties`.
    pub fn start(overrides: &[(&str, &str)]) -> Target {
        let zookeeper = ZooKeeper::start();
        let settings: Vec<(&str, &str)> = SETTINGS.iter().chain(overrides).copied().collect();
        let running = match apache_jars() {
            None => Running::Own(Box::new(Broker::start(&zookeeper.address(), &settings))),
            Some(jars) => start_apache(&jars, &zookeeper.address(), &settings),
        };
        let target = Target { running, zookeeper };
        wait_for("broker that knows itself", || {
            let metadata = metadata(&target.address())?;
            (metadata.controller_id >= 0 && !metadata.brokers.is_empty()).then_some(())
        });
        target
    }

    pub fn port(&self) -> u16 {
        match &self.running {
            Running::Own(broker) => broker.port(),
            Running::Apache { port, .. } => *port,
        }
    }

    /// `127.0.0.1:PORT`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub fn zookeeper_address(&self) -> String {
        self.zookeeper.address()
    }

    /// `log.dirs`
    pub fn log_dir(&self) -> PathBuf {
        match &self.running {
            Running::Own(broker) => broker.log_dir(),
            Running::Apache { dir, .. } => dir.join("logs"),
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Running::Apache { child, dir, .. } = &mut self.running {
            if std::thread::panicking() {
                let log = fs::read_to_string(dir.join("broker.log")).unwrap_or_default();
                let lines: Vec<&str> = log.lines().collect();
                eprintln!(
                    "--- end of the broker's log\n{}",
                    lines[lines.len().saturating_sub(30)..].join("\n")
                );
            }
            child.kill().expect("own child");
            child.wait().expect("own child");
        }
    }
}

fn start_apache(jars: &str, zookeeper: &str, settings: &[(&str, &str)]) -> Running {
    let dir = TestDir::new("apache");
    let port = free_port();
    let mut properties = format!(
        "listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\nzookeeper.connect={zookeeper}\n",
        dir.join("logs").display()
    );
    for (key, value) in settings {
        properties.push_str(&format!("{key}={value}\n"));
    }
    let file = dir.join("server.properties");
    fs::write(&file, properties).expect("own directory");
    let output = File::create(dir.join("broker.log")).expect("own directory");
    // Apache's own log configuration, cut to what a failed test shows: errors of requests.
    fs::write(
        dir.join("log4j.properties"),
        "log4j.rootLogger=INFO,A\nlog4j.appender.A=org.apache.log4j.ConsoleAppender\n\
         log4j.appender.A.layout=org.apache.log4j.PatternLayout\nlog4j.appender.A.layout.ConversionPattern=%m%n\n",
    )
    .expect("own directory");
    let child = Command::new("java")
        .args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
        .arg(format!("-Dlog4j.configuration=file:{}", dir.join("log4j.properties").display()))
        .args(["-cp", &format!("{jars}/*"), "kafka.Kafka"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("descriptor"))
        .stderr(output)
        .spawn()
        .expect("java runs");
    Running::Apache { child, dir, port }
}

fn metadata(address: &str) -> Option<MetadataResponse> {
    let mut wire = Wire::try_connect(address).ok()?;
    let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
    wire.send_raw(&encode_request(1, None, 1, &request)).ok()?;
    let frame = wire.read_frame().ok()?;
    Some(client::decode_response::<MetadataRequest>(frame, 1).expect("a readable answer").1)
}
