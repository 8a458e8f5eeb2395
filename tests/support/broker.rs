//! A broker of this package as a child process.

use std::env;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};

use super::net::Namespace;
use super::{TestDir, Wire, free_port, last_lines, wait_for};

/// One `kafka-server` on its own port and directory; killed with its value. When the test fails, it prints the end
/// of its log. `OTTLA_TEST_BROKER` names a program to run instead, with the properties file as its argument: so a
/// test can be proved against Apache Kafka.
pub struct Broker {
    dir: TestDir,
    host: String,
    port: u16,
    namespace: Option<Namespace>,
    properties: Vec<(String, String)>,
    child: Option<Child>,
    ended: Option<ExitStatus>,
    /// The length of the log when the process was launched last.
    said_before: usize,
    file_size_max: Option<u64>,
}

impl Broker {
    /// Starts a broker on `zookeeper_connect` (`HOST:PORT[/CHROOT]`) and waits until it has started.
    /// `overrides` win over the harness's own lines; `broker.id` is 0 unless overridden.
    pub fn start(zookeeper_connect: &str, overrides: &[(&str, &str)]) -> Broker {
        let mut broker = Broker::prepare(zookeeper_connect, overrides);
        broker.start_again();
        broker
    }

    /// As [`Broker::start`], but nothing runs yet: for tests that look at a failing start or fill the log directory.
    pub fn prepare(zookeeper_connect: &str, overrides: &[(&str, &str)]) -> Broker {
        let dir = TestDir::new("broker");
        let port = free_port();
        let mut broker = Broker {
            dir,
            host: "127.0.0.1".to_string(),
            port,
            namespace: None,
            properties: Vec::new(),
            child: None,
            ended: None,
            said_before: 0,
            file_size_max: None,
        };
        let own = [
            ("broker.id", "0".to_string()),
            ("listeners", format!("PLAINTEXT://127.0.0.1:{port}")),
            ("log.dirs", broker.log_dir().display().to_string()),
            ("zookeeper.connect", zookeeper_connect.to_string()),
            ("offsets.topic.replication.factor", "1".to_string()),
            ("transaction.state.log.replication.factor", "1".to_string()),
            ("transaction.state.log.min.isr", "1".to_string()),
            ("group.initial.rebalance.delay.ms", "0".to_string()),
        ];
        for (key, value) in &own {
            broker.set(key, value);
        }
        for (key, value) in overrides {
            broker.set(key, value);
        }
        broker
    }

    /// Sets a property; it counts from the next start on.
    pub fn set(&mut self, key: &str, value: &str) {
        self.properties.retain(|(k, _)| k != key);
        self.properties.push((key.to_string(), value.to_string()));
    }

    /// From the next start on, the process lives in a network namespace, where `host` is its address.
    pub fn live_in(&mut self, namespace: &Namespace, host: &str) {
        self.namespace = Some(namespace.clone());
        self.host = host.to_string();
        self.set("listeners", &format!("PLAINTEXT://{}", self.address()));
    }

    /// From the next start on, a write that would make a file larger fails (EFBIG): a disk error that needs no disk.
    pub fn limit_file_size(&mut self, bytes: Option<u64>) {
        self.file_size_max = bytes;
    }

    /// Starts a broker that does not run, on the same port and logs, and waits until it says that it has started.
    pub fn start_again(&mut self) {
        self.launch();
        self.wait_until_started();
    }

    /// Waits until the process that was launched last says that it has started.
    pub fn wait_until_started(&mut self) {
        if let Err((status, said)) = self.try_wait_until_started() {
            panic!("the broker ended with {status} instead of starting:\n{}", last_lines(&said, 40));
        }
    }

    /// As [`Broker::wait_until_started`]; if the process ends instead: how, and what it has said.
    pub fn try_wait_until_started(&mut self) -> Result<(), (ExitStatus, String)> {
        wait_for("started broker", || {
            let exited = self.exited();
            let said = self.log().split_off(self.said_before);
            match exited {
                Some(status) => Some(Err((status, said))),
                None => said.contains("] started (kafka.server.KafkaServer)").then_some(Ok(())),
            }
        })
    }

    /// Starts the process and does not wait for anything.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the broker already runs");
        let properties: String = self.properties.iter().map(|(k, v)| format!("{k}={v}\n")).collect();
        fs::write(self.properties_path(), properties).expect("own directory");
        self.said_before = self.log().len();
        let log = File::options().create(true).append(true).open(self.log_path()).expect("own directory");
        let server = env::var("OTTLA_TEST_BROKER").unwrap_or(env!("CARGO_BIN_EXE_kafka-server").to_string());
        let mut command = Command::new(server);
        if let Some(bytes) = self.file_size_max {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            // SAFETY: both calls are async-signal-safe. Without the signal the write fails, as on a full disk.
            unsafe {
                command.pre_exec(move || {
                    libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
                    match libc::setrlimit(libc::RLIMIT_FSIZE, &limit) {
                        0 => Ok(()),
                        _ => Err(std::io::Error::last_os_error()),
                    }
                });
            }
        }
        if let Some(namespace) = self.namespace.clone() {
            // SAFETY: one system call, which is async-signal-safe.
            unsafe { command.pre_exec(move || namespace.enter()) };
        }
        let child = command
            .arg(self.properties_path())
            .env("LOG_DIR", self.dir.join("server-logs"))
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("descriptor"))
            .stderr(log)
            .spawn()
            .expect("the broker's binary runs");
        self.child = Some(child);
    }

    /// Kills the process at once (SIGKILL).
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the broker runs");
        child.kill().expect("own child");
        self.ended = Some(child.wait().expect("own child"));
    }

    /// Asks for a clean stop (SIGTERM) and waits for the end.
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(libc::SIGTERM);
        self.wait_for_exit()
    }

    /// Sends a signal, for instance SIGSTOP and SIGCONT.
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.pid()).expect("a pid");
        // SAFETY: kill only sends a signal; the pid is our own child, not yet waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "own child");
    }

    /// Waits until the process has ended by itself.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        wait_for("end of the broker", || self.exited())
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the broker runs").id()
    }

    pub fn is_running(&mut self) -> bool {
        self.exited().is_none() && self.child.is_some()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// `HOST:PORT`
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// A new connection.
    pub fn connect(&self) -> Wire {
        Wire::connect(&self.address())
    }

    /// The directory of the partitions (`log.dirs`).
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    pub fn properties_path(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    /// Everything the process printed, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// A file of `LOG_DIR`, such as `server.log`.
    pub fn server_log(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join("server-logs").join(name)).unwrap_or_default()
    }

    /// Waits until the process has printed a line that contains `text`.
    pub fn wait_for_log(&self, text: &str) {
        wait_for(&format!("line with {text:?} in the broker's log"), || {
            self.log().contains(text).then_some(())
        });
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("broker.log")
    }

    /// How the process that was launched last has ended, if it has.
    fn exited(&mut self) -> Option<ExitStatus> {
        if let Some(child) = self.child.as_mut() {
            self.ended = Some(child.try_wait().expect("own child")?);
            self.child = None;
        }
        self.ended
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("--- end of the broker's log\n{}\n---", last_lines(&self.log(), 60));
        }
    }
}
