//! What the cases of a scenario run against: a cluster, or addresses where nobody listens.

use super::case::Case;
use super::pattern::{Bindings, bind};
use super::run::{Call, Ran, Terminate, bin_dir};
use super::support::client::topic_name;
use super::support::{Broker, TestDir, Wire, ZooKeeper, free_port, wait_for};
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_protocol::messages::{DeleteRecordsRequest, MetadataRequest};
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const CREATE_PCT: &str =
    "$ kafka-topics.sh --zookeeper {ZK} --create --topic pct --partitions 1 --replication-factor 1";
const THROTTLE: &str = "$ kafka-configs.sh --zookeeper {ZK} --alter --entity-type brokers --entity-name 1 \
    --add-config leader.replication.throttled.rate=1000000";

/// A broker of the stage.
enum AnyBroker {
    /// Of this package, by the harness.
    Own(Box<Broker>),
    /// Any other process.
    Process { child: Option<Child>, start: Box<dyn Fn() -> Child>, address: String, log_dir: PathBuf },
}

/// Where cases run.
pub struct Stage {
    dir: TestDir,
    bindings: Bindings,
    zookeeper: Option<ZooKeeper>,
    brokers: Vec<AnyBroker>,
    is_whole: bool,
    /// The scenario that runs, and how many lines of its setup were done.
    scenario: String,
    setup_done: usize,
    /// Commands of the setup that run beside the cases.
    background: Vec<(String, Child)>,
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in &mut self.background {
            let _ = child.kill();
            let _ = child.wait();
        }
        for broker in &mut self.brokers {
            if let AnyBroker::Process { child: Some(child), .. } = broker {
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
            is_whole: false,
            scenario: String::new(),
            setup_done: 0,
            background: Vec::new(),
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

    /// ZooKeeper and brokers 1 to `count`; three if `CLI_CLUSTER=three` asks for them, or of Apache Kafka if
    /// `APACHE_KAFKA_JARS` names a folder with its jars (that proves the tools alone). What a scenario sets up is put
    /// on broker 1 alone if there is no other.
    pub fn cluster(count: usize) -> Stage {
        Stage::cluster_with(count, &[])
    }

    /// The same with settings of our own brokers.
    pub fn cluster_with(count: usize, settings: &[(&str, &str)]) -> Stage {
        let mut stage = Stage::empty();
        let zookeeper = ZooKeeper::start();
        stage.set("ZK", zookeeper.address());
        let jars = std::env::var("APACHE_KAFKA_JARS").ok();
        let wants_three = std::env::var("CLI_CLUSTER").is_ok_and(|value| value == "three");
        stage.is_whole = count == 3 || jars.is_some() || wants_three;
        let count = if stage.is_whole { 3 } else { count };
        for id in 1..=count {
            let broker = match &jars {
                Some(jars) => apache(jars, id, &zookeeper.address(), &stage.dir),
                None => own(id, &zookeeper.address(), stage.is_whole, settings),
            };
            stage.set(&format!("BROKER{id}"), broker.address());
            stage.set(&format!("LOGDIR{id}"), broker.log_dir());
            stage.brokers.push(broker);
        }
        let all: Vec<String> = stage.brokers.iter().map(AnyBroker::address).collect();
        stage.set("BOOTSTRAP", all.join(","));
        stage.zookeeper = Some(zookeeper);
        for address in &all {
            wait_for("every broker", || {
                let metadata =
                    Wire::try_connect(address).ok()?.try_call(1, &MetadataRequest::default()).ok()?;
                (metadata.brokers.len() == count).then_some(())
            });
        }
        stage
    }

    /// ZooKeeper and free ports, for brokers that cases start.
    pub fn for_servers() -> Stage {
        let mut stage = Stage::empty();
        let zookeeper = ZooKeeper::start();
        stage.set("ZK", zookeeper.address());
        stage.set("HOST", "127.0.0.1".to_string());
        for id in 1..=2 {
            let port = free_port();
            stage.set(&format!("PORT{id}"), port.to_string());
            stage.set(&format!("BROKER{id}"), format!("127.0.0.1:{port}"));
            stage.set(&format!("LOGDIR{id}"), stage.dir.join(&format!("log{id}")).display().to_string());
        }
        let stored = stage.dir.join("log2z");
        fs::create_dir(&stored).expect("own directory");
        let properties = "version=0\nbroker.id=2\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n";
        fs::write(stored.join("meta.properties"), properties).expect("own directory");
        fs::write(stage.dir.join("afile"), "").expect("own directory");
        stage.zookeeper = Some(zookeeper);
        stage
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

    /// Does what the case's setup lists beyond what was done already, then runs the case; `as_preallocated` on an
    /// index file as large as Apache's broker keeps it while it runs.
    pub fn run(&mut self, case: &Case, as_preallocated: bool) -> Ran {
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
        if self.zookeeper.is_some() {
            // What other scenarios left behind.
            match case.name.as_str() {
                "2.8.2/get-offsets/01-latest" => self.set_up_offsets(),
                "2.8.2/console-producer-terminal/01-prompt" => self.set_up(CREATE_PCT, "2.8.2"),
                "1.1.1/reassign/03-verify" => self.set_up(THROTTLE, "1.1.1"),
                _ => {}
            }
        }
        for (name, text) in &case.files {
            fs::write(self.dir.join(name), self.bind(text)).expect("own directory");
        }
        if case.name == "2.8.2/dump-log/18-log-zeros" {
            fs::write(self.dir.join("00000000000000000000.log"), [0; 40]).expect("own directory");
        }
        let command = self.bind(&case.command);
        let is_terminated = case.sigterm_after_s.is_some() || scenario.contains("terminal");
        let terminate = is_terminated.then(|| match scenario.contains("server-start") {
            true => Terminate::Text("started (kafka.server.KafkaServer)"),
            false => Terminate::Bytes(self.bind(&case.stdout).len()),
        });
        let call = Call {
            command: &command,
            dir: self.dir.path(),
            version: &case.version,
            stdin: case.stdin.as_deref(),
            terminate,
            terminal: scenario.contains("terminal"),
        };
        if as_preallocated { preallocated(&command, || call.run()) } else { call.run() }
    }

    /// Runs a helper command.
    pub fn help(&self, command: &str, version: &str) -> Ran {
        let (command, stdin) = match command.split_once(" <<< ") {
            Some((command, text)) => (command, Some(text.trim_matches('\'').replace("\\n", "\n"))),
            None => (command, None),
        };
        let command = self.bind(command);
        let dir = self.dir.path();
        Call { command: &command, dir, version, stdin: stdin.as_deref(), terminate: None, terminal: false }
            .run()
    }

    /// Starts a command that writes to `output` in the stage's folder; its errors go beside it.
    pub fn spawn(&self, command: &str, output: &str) -> Child {
        // Not a shell of its own: signals go to the command.
        let command = format!("exec {}", self.bind(command));
        let dir = self.dir.path();
        let call =
            Call { command: &command, dir, version: "2.8.2", stdin: None, terminate: None, terminal: false };
        let file = |name: &str| File::create(dir.join(name)).expect("own directory");
        let mut process = call.command();
        process.stdin(Stdio::null()).stdout(file(output)).stderr(file(&format!("{output}.err")));
        process.spawn().expect("bash runs")
    }

    /// A file of the stage's folder.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    fn set_up(&mut self, step: &str, version: &str) {
        if let Some(command) = step.strip_prefix("$ ") {
            let command = &self.fitted(command);
            let ran = self.help(command, version);
            if let Some(topic) = command.split(" --create --topic ").nth(1) {
                assert_eq!(ran.exit, "0", "setup {command}: {ran:?}");
                self.wait_for_leaders(topic.split(' ').next().unwrap_or_default());
            } else if ran.exit != "0" {
                // Some helpers failed when the goldens were captured, too.
                eprintln!("setup {command}: {ran:?}");
            }
        } else if let Some(command) = step.strip_prefix("& ") {
            self.start_background(command, version);
        } else if let Some(name) = step.strip_prefix("# SIGTERM sent to the background command ") {
            self.end_background(name);
        } else if step.starts_with("# it was killed (SIGKILL)") {
            wait_for("the first record of the transaction", || {
                let offset = self.help(
                    "kafka-run-class.sh kafka.tools.GetOffsetShell --broker-list {BROKER1} --topic ta",
                    "2.8.2",
                );
                (!offset.stdout.starts_with("ta:0:0") && offset.exit == "0").then_some(())
            });
            let (_, mut child) = self.background.pop().expect("a background command");
            child.kill().expect("own child");
            child.wait().expect("own child");
        } else if step.starts_with("# broker 3 stopped") {
            if let Some(broker) = self.brokers.get_mut(2) {
                broker.stop();
            }
        } else if step.starts_with("# broker 3 started") {
            if let Some(broker) = self.brokers.get_mut(2) {
                broker.start_again();
                self.wait_for_full_isr();
            }
        } else if let Some(id) = restarted(step) {
            // Some clusters have one broker only.
            if let Some(broker) = self.brokers.get_mut(id - 1) {
                broker.stop();
                broker.start_again();
                self.wait_for_full_isr();
            }
        } else if step.starts_with("# broker 1 running") {
            self.start_from_properties();
        } else {
            panic!("setup step not understood: {step}");
        }
    }

    fn start_background(&mut self, command: &str, version: &str) {
        // Not a shell of its own: signals go to the command.
        let alone = format!("exec {}", self.bind(command));
        let dir = self.dir.path();
        let call = Call { command: &alone, dir, version, stdin: None, terminate: None, terminal: false };
        let mut process = call.command();
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = process.spawn();
        self.background.push((command.to_string(), child.expect("bash runs")));
    }

    /// Ends the background command that has `name` for its group or client id.
    fn end_background(&mut self, name: &str) {
        let is_meant = |command: &str| {
            command.contains(&format!("client.id={name}"))
                || command.ends_with(&format!("--group {name}"))
                || command.contains(&format!("--group {name} "))
        };
        let at = self.background.iter().position(|(command, _)| is_meant(command));
        let (_, mut child) = self.background.remove(at.expect("a command of that name"));
        if let Some(status) = child.try_wait().expect("own child") {
            return eprintln!("background command {name} ended before: {status}");
        }
        let pid = i32::try_from(child.id()).expect("a pid");
        // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let status = child.wait().expect("own child");
        assert_eq!(status.code(), Some(143), "background command {name}");
    }

    /// A broker from the file that an earlier case left.
    fn start_from_properties(&mut self) {
        let child = Command::new(env!("CARGO_BIN_EXE_kafka-server"))
            .arg("server.properties")
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("kafka-server runs");
        let address = self.bind("{BROKER1}");
        self.brokers.push(AnyBroker::Process {
            child: Some(child),
            start: Box::new(|| unreachable!("started once")),
            address: address.clone(),
            log_dir: self.dir.join("log1"),
        });
        wait_for("broker 1", || TcpStream::connect(&address).ok());
    }

    /// What scenario delete-records leaves behind: dr1 from 4 to 5, dr with two empty partitions.
    fn set_up_offsets(&mut self) {
        for (topic, partitions) in [("dr1", 1), ("dr", 2)] {
            let ran = self.help(
                &format!("kafka-topics.sh --zookeeper {{ZK}} --create --topic {topic} --partitions {partitions} --replication-factor 1"),
                "2.8.2",
            );
            assert_eq!(ran.exit, "0", "{ran:?}");
            self.wait_for_leaders(topic);
        }
        let produce =
            "kafka-console-producer.sh --bootstrap-server {BOOTSTRAP} --topic dr1 <<< 'a\\nb\\nc\\nd\\ne\\n'";
        assert_eq!(self.help(produce, "2.8.2").exit, "0");
        let request = DeleteRecordsRequest::default().with_timeout_ms(10_000).with_topics(vec![
            DeleteRecordsTopic::default().with_name(topic_name("dr1")).with_partitions(vec![
                DeleteRecordsPartition::default().with_partition_index(0).with_offset(4),
            ]),
        ]);
        wait_for("deleted records", || {
            self.brokers.iter().find_map(|broker| {
                let response = Wire::try_connect(&broker.address()).ok()?.try_call(1, &request).ok()?;
                (response.topics[0].partitions[0].error_code == 0).then_some(())
            })
        });
    }

    /// The step with all replicas on broker 1, if there is no other. What moves slowly is to move until the last case has
    /// looked at it, on a slow machine, too: a throttle lets a megabyte pass whenever its windows have been empty.
    fn fitted(&self, command: &str) -> String {
        if self.is_whole {
            let (few, many) = ("--num-records 3000 ", "--num-records 30000 ");
            return if self.scenario.contains("/reassign") {
                command.replace(few, many)
            } else {
                command.to_string()
            };
        }
        let option = "--replica-assignment ";
        let mut parts = command.split(option);
        let mut text = parts.next().unwrap_or_default().to_string();
        for part in parts {
            let end = part.find(|c: char| !c.is_ascii_digit() && !":,".contains(c)).unwrap_or(part.len());
            let (assignment, rest) = part.split_at(end);
            text = format!("{text}{option}{}{rest}", vec!["1"; assignment.split(',').count()].join(","));
        }
        text
    }

    /// True if there are three brokers that replicate.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Waits until the first broker knows a leader of every partition.
    fn wait_for_leaders(&self, topic: &str) {
        let describe = format!("kafka-topics.sh --bootstrap-server {{BROKER1}} --describe --topic {topic}");
        wait_for("leaders", || {
            let ran = self.help(&describe, "2.8.2");
            (ran.exit == "0" && !ran.stdout.contains("Leader: none")).then_some(())
        });
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

/// Runs with the file that the command ends with extended to `segment.index.bytes` by a hole, and cuts it again.
fn preallocated(command: &str, run: impl FnOnce() -> Ran) -> Ran {
    let path = command.rsplit(' ').next().expect("a file");
    let file = File::options().write(true).open(path).expect("an index file");
    let bytes = file.metadata().expect("an open file").len();
    file.set_len(10 << 20).expect("a hole");
    let ran = run();
    file.set_len(bytes).expect("the former length");
    ran
}

/// `# broker N restarted`, `# broker N stopped by SIGTERM and started again`
fn restarted(step: &str) -> Option<usize> {
    let (id, what) = step.strip_prefix("# broker ")?.split_once(' ')?;
    (what.starts_with("restarted") || what.contains("started again")).then(|| id.parse().ok())?
}

fn own(id: usize, zookeeper: &str, is_whole: bool, more: &[(&str, &str)]) -> AnyBroker {
    let replicas = if is_whole { "3" } else { "1" };
    let own = [
        ("broker.id", ["1", "2", "3"][id - 1]),
        ("offsets.topic.replication.factor", replicas),
        ("transaction.state.log.replication.factor", replicas),
        ("transaction.state.log.min.isr", if is_whole { "2" } else { "1" }),
    ];
    let settings: Vec<(&str, &str)> =
        SETTINGS.iter().copied().chain(own).chain(more.iter().copied()).collect();
    AnyBroker::Own(Box::new(Broker::start(zookeeper, &settings)))
}

const SETTINGS: &[(&str, &str)] = &[
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "2"),
    ("group.initial.rebalance.delay.ms", "0"),
    ("zookeeper.session.timeout.ms", "6000"),
    ("auto.leader.rebalance.enable", "false"),
    ("password.encoder.secret", "encoder-secret"),
];

fn apache(jars: &str, id: usize, zookeeper: &str, dir: &TestDir) -> AnyBroker {
    let address = format!("127.0.0.1:{}", free_port());
    let log_dir = dir.join(&format!("apache-{id}"));
    let own = [
        ("broker.id", id.to_string()),
        ("listeners", format!("PLAINTEXT://{address}")),
        ("log.dirs", log_dir.display().to_string()),
        ("zookeeper.connect", zookeeper.to_string()),
        ("offsets.topic.replication.factor", "3".to_string()),
        ("transaction.state.log.replication.factor", "3".to_string()),
        ("transaction.state.log.min.isr", "2".to_string()),
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
    let mut broker = AnyBroker::Process { child: None, start, address, log_dir };
    broker.start_again();
    broker
}

impl AnyBroker {
    fn address(&self) -> String {
        match self {
            AnyBroker::Own(broker) => broker.address(),
            AnyBroker::Process { address, .. } => address.clone(),
        }
    }

    fn log_dir(&self) -> String {
        match self {
            AnyBroker::Own(broker) => broker.log_dir().display().to_string(),
            AnyBroker::Process { log_dir, .. } => log_dir.display().to_string(),
        }
    }

    fn stop(&mut self) {
        match self {
            AnyBroker::Own(broker) => drop(broker.terminate()),
            AnyBroker::Process { child, .. } => {
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
            AnyBroker::Process { child, start, address, .. } => {
                *child = Some(start());
                let address = address.clone();
                wait_for("Apache broker", || TcpStream::connect(&address).ok());
            }
        }
    }
}
