//! A ZooKeeper server as a child process.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use ottla::zk::{ZkClient, ZkConfig};

use super::{TestDir, free_port, last_lines, wait_for};

const ATTEMPTS: usize = 3;

/// A server on its own port and directory, alone or as a member of an [`super::Ensemble`]; killed with its value.
pub struct ZooKeeper {
    dir: TestDir,
    host: String,
    port: u16,
    tick_time_ms: u32,
    /// What an ensemble adds to the configuration.
    members: String,
    child: Option<Child>,
}

impl ZooKeeper {
    /// Starts a server and waits until it serves. Panics with its log if it does not.
    pub fn start() -> ZooKeeper {
        ZooKeeper::start_with_tick_time(500)
    }

    /// Session timeouts lie between 2 and 20 ticks; expiry is noticed at ticks.
    pub fn start_with_tick_time(tick_time_ms: u32) -> ZooKeeper {
        for attempt in 1.. {
            let mut zookeeper = ZooKeeper::prepare("127.0.0.1", tick_time_ms);
            zookeeper.launch();
            match zookeeper.wait_until_serving() {
                Ok(()) => return zookeeper,
                Err(log) if attempt < ATTEMPTS && log.contains("Address already in use") => {}
                Err(log) => panic!("ZooKeeper does not start:\n{log}"),
            }
        }
        unreachable!("the loop returns or panics")
    }

    /// A server that does not run yet.
    pub(super) fn prepare(host: &str, tick_time_ms: u32) -> ZooKeeper {
        ZooKeeper {
            dir: TestDir::new("zookeeper"),
            host: host.to_string(),
            port: free_port(),
            tick_time_ms,
            members: String::new(),
            child: None,
        }
    }

    /// Makes it the member `id` of the ensemble that the lines `members` describe.
    pub(super) fn join(&mut self, id: usize, members: &str) {
        let data = self.dir.join("data");
        fs::create_dir(&data)
            .and_then(|()| fs::write(data.join("myid"), id.to_string()))
            .expect("own directory");
        self.members = members.to_string();
    }

    /// `HOST:PORT`
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// Ends the server at once; its data stays for [`ZooKeeper::start_again`].
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("own child");
            child.wait().expect("own child");
        }
    }

    /// Starts a killed server on the same port and data.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "start_again follows kill");
        self.launch();
        if let Err(log) = self.wait_until_serving() {
            panic!("ZooKeeper does not start again:\n{log}");
        }
    }

    /// The answer to a four-letter word such as `srvr` or `cons`; `None` if nobody listens.
    pub fn ask(&self, word: &str) -> Option<String> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        stream.write_all(word.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Waits until no live session owns the ephemeral node, for instance that of a killed broker.
    pub fn wait_until_expired(&self, path: &str) {
        wait_for(&format!("expiry of {path}"), || {
            let sessions = self.ask("dump")?;
            (!sessions.lines().any(|line| line.trim() == path)).then_some(())
        });
    }

    /// Deletes what a killed broker's session would leave until it expires: its registration and its office of
    /// controller. So nobody waits, and sessions can be long enough for a busy machine.
    pub fn forget_broker(&self, chroot: &str, id: i32) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = ZkConfig::new(format!("{}{chroot}", self.address()));
            let client = ZkClient::connect(config).await.expect("a session");
            for path in [format!("/brokers/ids/{id}"), "/controller".to_string()] {
                match client.delete(&path, -1).await {
                    Err(error) if !error.is_no_node() => panic!("cannot delete {path}: {error}"),
                    _ => {}
                }
            }
            client.close().await;
        });
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    pub(super) fn launch(&mut self) {
        assert!(self.child.is_none(), "the server already runs");
        let config = self.dir.join("zoo.cfg");
        let text = format!(
            "dataDir={}\nclientPort={}\nclientPortAddress={}\ntickTime={}\nmaxClientCnxns=0\n\
             admin.enableServer=false\n4lw.commands.whitelist=*\n{}",
            self.dir.join("data").display(),
            self.port,
            self.host,
            self.tick_time_ms,
            self.members
        );
        fs::write(&config, text).expect("own directory");
        let log =
            File::options().create(true).append(true).open(self.dir.join("log")).expect("own directory");
        let (java, classpath) = java_and_classpath();
        let child = Command::new(java)
            .args(["-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"])
            // What a test leaves behind is worthless: no need to wait for the disk.
            .args(["-Dzookeeper.jmx.log4j.disable=true", "-Dzookeeper.forceSync=no", "-cp", classpath])
            .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("descriptor"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|e| panic!("cannot run {java}: {e}"));
        self.child = Some(child);
    }

    pub(super) fn wait_until_serving(&mut self) -> Result<(), String> {
        wait_for("serving ZooKeeper", || {
            if self.child.as_mut().is_some_and(|c| c.try_wait().expect("own child").is_some()) {
                self.child = None;
                return Some(Err(last_lines(&self.log(), 30)));
            }
            self.ask("srvr")?.contains("Mode: ").then_some(Ok(()))
        })
    }
}

impl Drop for ZooKeeper {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where `zk-scripts/` finds Java and ZooKeeper; it installs them if it can and says what is missing if not.
fn java_and_classpath() -> &'static (String, String) {
    static FOUND: OnceLock<(String, String)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("zk-scripts/classpath.sh");
        let output = Command::new(&script).stdin(Stdio::null()).output().expect("bash runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no ZooKeeper for the tests:\n{said}");
        let text = String::from_utf8(output.stdout).expect("paths are UTF-8");
        let (java, classpath) = text.trim_end().split_once('\n').expect("two lines");
        (java.to_string(), classpath.to_string())
    })
}
