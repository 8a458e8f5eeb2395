//! What the cases of a scenario run against: a cluster, or addresses where nobody listens.

use super::case::Case;
use super::pattern::{Bindings, bind};
use super::run::{Call, Ran, bin_dir};
use super::support::{Broker, TestDir, Wire, ZooKeeper, free_port, wait_for};
use kafka_protocol::messages::MetadataRequest;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A broker of the stage, of this package or Apache's.
enum AnyBroker {
    Own(Box<Broker>),
    Apache { child: Option<Child>, start: Box<dyn Fn() -> Child>, address: String, log_dir: PathBuf },
}

/// Where cases run.
pub struct Stage {
    dir: TestDir,
    bindings: Bindings,
    zookeeper: Option<ZooKeeper>,
    brokers: Vec<AnyBroker>,
    /// The scenario that runs, and how many lines of its setup were done.
    scenario: String,
    setup_done: usize,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for broker in &mut self.brokers {
            if let AnyBroker::Apache { child: Some(child), .. } = broker {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

impl Stage {
    /// Every address is one where nobody listens.
    pub fn empty() -> Stage {
        let mut stage = Stage {
            dir: TestDir::new("cli"),
            bindings: Vec::new(),
            zookeeper: None,
            brokers: Vec::new(),
            scenario: String::new(),
            setup_done: 0,
        };
        let nobody = || format!("127.0.0.1:{}", free_port());
        let (dead, dead_zk, zk, broker_1) = (nobody(), nobody(), nobody(), nobody());
        let cwd = stage.dir.path().display().to_string();
        for (name, value) in [
            ("DEAD", dead),
            ("DEADZK", dead_zk),
            ("ZK", zk),
            ("BROKER1", broker_1),
            ("HOST", "127.0.0.1".to_string()),
            ("BIN", bin_dir()),
            ("CWD", cwd.clone()),
            ("DIR", cwd),
        ] {
            stage.bindings.push((name.to_string(), value));
        }
        stage
    }

    /// ZooKeeper and three brokers, ids 1 to 3. `APACHE_KAFKA_JARS` names a folder with the jars of Apache
    /// Kafka: then the brokers are Apache's, which proves the tools alone. `None` if no brokers are wanted.
    pub fn cluster() -> Option<Stage> {
        let wants_own = std::env::var("CLI_CLUSTER").is_ok_and(|value| value == "own");
        if !wants_own && std::env::var_os("APACHE_KAFKA_JARS").is_none() {
            eprintln!("skipped: set CLI_CLUSTER=own or APACHE_KAFKA_JARS=FOLDER");
            return None;
        }
        let mut stage = Stage::empty();
        let zookeeper = ZooKeeper::start();
        stage.set("ZK", zookeeper.address());
        for id in 1..=3 {
            let broker = match std::env::var("APACHE_KAFKA_JARS") {
                Ok(jars) => apache(&jars, id, &zookeeper.address(), &stage.dir),
                Err(_) => AnyBroker::Own(Box::new(Broker::start(
                    &zookeeper.address(),
                    &SETTINGS
                        .iter()
                        .copied()
                        .chain([("broker.id", ["1", "2", "3"][id - 1])])
                        .collect::<Vec<_>>(),
                ))),
            };
            stage.set(&format!("BROKER{id}"), broker.address());
            stage.set(&format!("LOGDIR{id}"), broker.log_dir());
            stage.brokers.push(broker);
        }
        let all: Vec<String> = stage.brokers.iter().map(AnyBroker::address).collect();
        stage.set("BOOTSTRAP", all.join(","));
        stage.zookeeper = Some(zookeeper);
        wait_for("three brokers", || {
            let metadata = Wire::try_connect(&all[0]).ok()?.try_call(1, &MetadataRequest::default()).ok()?;
            (metadata.brokers.len() == 3).then_some(())
        });
        Some(stage)
    }

    fn set(&mut self, name: &str, value: String) {
        self.bindings.retain(|(known, _)| known != name);
        self.bindings.push((name.to_string(), value));
    }

    /// Fills in what the stage knows.
    pub fn bind(&self, text: &str) -> String {
        bind(text, &self.bindings)
    }

    /// True if somebody is there.
    pub fn has_cluster(&self) -> bool {
        self.zookeeper.is_some()
    }

    /// Does what the case's setup lists beyond what was done already, then runs the case.
    pub fn run(&mut self, case: &Case) -> Ran {
        let scenario = case.name.rsplit_once('/').map_or("", |(scenario, _)| scenario);
        if scenario != self.scenario {
            self.scenario = scenario.to_string();
            self.setup_done = 0;
        }
        let steps: Vec<&String> =
            case.setup.iter().filter(|line| line.starts_with(['$', '#', '&'])).collect();
        if self.zookeeper.is_some() {
            for step in steps.iter().skip(self.setup_done) {
                self.set_up(step, &case.version);
            }
        }
        self.setup_done = steps.len();
        for (name, text) in &case.files {
            fs::write(self.dir.join(name), self.bind(text)).expect("own directory");
        }
        let command = self.bind(&case.command);
        let terminate_after_bytes = case.sigterm_after_s.map(|_| self.bind(&case.stdout).len());
        Call {
            command: &command,
            dir: self.dir.path(),
            version: &case.version,
            stdin: case.stdin.as_deref(),
            terminate_after_bytes,
        }
        .run()
    }

    /// Runs a helper command.
    pub fn help(&self, command: &str, version: &str) -> Ran {
        let (command, stdin) = match command.split_once(" <<< ") {
            Some((command, text)) => (command, Some(text.trim_matches('\'').replace("\\n", "\n"))),
            None => (command, None),
        };
        let command = self.bind(command);
        let dir = self.dir.path();
        Call { command: &command, dir, version, stdin: stdin.as_deref(), terminate_after_bytes: None }.run()
    }

    fn set_up(&mut self, step: &str, version: &str) {
        if let Some(command) = step.strip_prefix("$ ") {
            let ran = self.help(command, version);
            assert_eq!(ran.exit, "0", "setup {command}: {ran:?}");
        } else if step.starts_with("# broker 3 stopped") {
            self.brokers[2].stop();
        } else if step.starts_with("# broker 3 started") {
            self.brokers[2].start_again();
            self.wait_for_full_isr();
        } else {
            panic!("setup step not understood: {step}");
        }
    }

    /// Waits until no partition with three living replicas is under-replicated.
    fn wait_for_full_isr(&self) {
        wait_for("full ISR", || {
            let ran = self
                .help("kafka-topics.sh --zookeeper {ZK} --describe --under-replicated-partitions", "2.8.2");
            (!ran.stdout.lines().any(|line| !line.contains("Replicas: 1,9"))).then_some(())
        });
    }
}

const SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "4"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.num.partitions", "2"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("zookeeper.session.timeout.ms", "6000"),
    ("auto.leader.rebalance.enable", "false"),
];

fn apache(jars: &str, id: usize, zookeeper: &str, dir: &TestDir) -> AnyBroker {
    let address = format!("127.0.0.1:{}", free_port());
    let log_dir = dir.join(&format!("apache-{id}"));
    let own = [
        ("broker.id", id.to_string()),
        ("listeners", format!("PLAINTEXT://{address}")),
        ("log.dirs", log_dir.display().to_string()),
        ("zookeeper.connect", zookeeper.to_string()),
    ];
    let mut properties = String::new();
    for (key, value) in own.iter().map(|(k, v)| (*k, v.as_str())).chain(SETTINGS.iter().copied()) {
        properties.push_str(&format!("{key}={value}\n"));
    }
    let file = dir.join(&format!("apache-{id}.properties"));
    fs::write(&file, properties).expect("own directory");
    let output = dir.join(&format!("apache-{id}.out"));
    let classpath = format!("{jars}/*");
    let start = Box::new(move || {
        let output = File::options().create(true).append(true).open(&output).expect("own directory");
        Command::new("java")
            .args([
                "-Xmx256m",
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=1",
                "-cp",
                &classpath,
                "kafka.Kafka",
            ])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("descriptor"))
            .stderr(output)
            .spawn()
            .expect("java runs")
    });
    let mut broker = AnyBroker::Apache { child: None, start, address, log_dir };
    broker.start_again();
    broker
}

impl AnyBroker {
    fn address(&self) -> String {
        match self {
            AnyBroker::Own(broker) => broker.address(),
            AnyBroker::Apache { address, .. } => address.clone(),
        }
    }

    fn log_dir(&self) -> String {
        match self {
            AnyBroker::Own(broker) => broker.log_dir().display().to_string(),
            AnyBroker::Apache { log_dir, .. } => log_dir.display().to_string(),
        }
    }

    fn stop(&mut self) {
        match self {
            AnyBroker::Own(broker) => drop(broker.terminate()),
            AnyBroker::Apache { child, .. } => {
                let mut child = child.take().expect("runs");
                let pid = i32::try_from(child.id()).expect("a pid");
                // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
                unsafe { libc::kill(pid, libc::SIGTERM) };
                child.wait().expect("own child");
            }
        }
    }

    fn start_again(&mut self) {
        match self {
            AnyBroker::Own(broker) => broker.start_again(),
            AnyBroker::Apache { child, start, address, .. } => {
                *child = Some(start());
                let address = address.clone();
                wait_for("Apache broker", || TcpStream::connect(&address).ok());
            }
        }
    }
}
