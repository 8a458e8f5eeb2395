//! Three brokers that a fault may do anything to.

use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;

use super::{BROKERS, TOPIC};
use crate::several::create_topic;
use crate::support::net::Net;
use crate::support::{Broker, Rng, SmallDisk};

/// How a JVM ends that got SIGTERM, and so do we.
const AFTER_SIGTERM: i32 = 143;

const STARTS_MAX: usize = 5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Runs,
    Stopped,
    Paused,
}

pub struct Cluster {
    brokers: Vec<Broker>,
    conditions: Vec<Condition>,
    log_dirs: Vec<Vec<PathBuf>>,
    protocol: &'static str,
}

impl Cluster {
    /// Starts the brokers with settings that the seed picks: on hosts of their own if there is a network, the first
    /// with its last log directory on the disk if there is one. Creates the topic.
    pub fn start(
        zookeeper: &str,
        rng: &mut Rng,
        net: Option<&Net>,
        disk: Option<&SmallDisk>,
        assignments: &[Vec<i32>],
    ) -> Cluster {
        let settings = settings(rng);
        println!("  {settings:?}");
        let mut cluster = Cluster {
            brokers: Vec::new(),
            conditions: vec![Condition::Runs; BROKERS],
            log_dirs: Vec::new(),
            protocol: settings[0].1,
        };
        for id in 0..BROKERS {
            let mut broker = Broker::prepare(zookeeper, &settings);
            broker.set("broker.id", &id.to_string());
            if let Some(net) = net {
                broker.live_in(net.host(id), &Net::address(id).to_string());
            }
            let mut dirs = vec![broker.log_dir()];
            if let Some(disk) = disk.filter(|_| id == 0) {
                // Alone, or beside one that goes on.
                let count = rng.within(0..2) as usize;
                dirs.truncate(count);
                // Of the run before.
                let _ = fs::remove_dir_all(disk.path().join("logs"));
                dirs.push(disk.path().join("logs"));
            }
            broker.set(
                "log.dirs",
                &dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>().join(","),
            );
            broker.launch();
            cluster.brokers.push(broker);
            cluster.log_dirs.push(dirs);
        }
        cluster.brokers.iter_mut().for_each(wait_until_started);
        create_topic(&cluster.brokers, TOPIC, assignments);
        cluster
    }

    pub fn brokers(&self) -> &[Broker] {
        &self.brokers
    }

    /// The log directories of each broker.
    pub fn log_dirs(&self) -> &[Vec<PathBuf>] {
        &self.log_dirs
    }

    /// Whether leaders ask the controller to write their ISRs (KIP-497), rather than write them.
    pub fn controller_writes_isrs(&self) -> bool {
        ["2.7", "2.8-IV1"].contains(&self.protocol)
    }

    pub fn addresses(&self) -> Vec<String> {
        self.brokers.iter().map(Broker::address).collect()
    }

    pub fn runs(&self, id: usize) -> bool {
        self.conditions[id] == Condition::Runs
    }

    /// SIGKILL.
    pub fn kill(&mut self, id: usize) {
        self.brokers[id].kill();
        self.conditions[id] = Condition::Stopped;
    }

    /// SIGTERM to all of them at once; each must end as after an orderly stop.
    pub fn stop(&mut self, ids: &[usize]) {
        for id in ids {
            self.brokers[*id].signal(libc::SIGTERM);
        }
        for id in ids {
            assert_eq!(self.wait_for_exit(*id).code(), Some(AFTER_SIGTERM), "broker {id}");
        }
    }

    /// Waits until it has ended by itself.
    pub fn wait_for_exit(&mut self, id: usize) -> ExitStatus {
        let status = self.brokers[id].wait_for_exit();
        self.conditions[id] = Condition::Stopped;
        status
    }

    /// Launches them in this order and waits until all have started.
    pub fn start_again(&mut self, ids: &[usize]) {
        for id in ids {
            self.brokers[*id].launch();
            self.conditions[*id] = Condition::Runs;
        }
        for id in ids {
            wait_until_started(&mut self.brokers[*id]);
        }
    }

    /// SIGSTOP: it lives, holds its connections and says nothing.
    pub fn pause(&mut self, id: usize) {
        self.brokers[id].signal(libc::SIGSTOP);
        self.conditions[id] = Condition::Paused;
    }

    /// SIGCONT: it goes on as if nothing had happened.
    pub fn resume(&mut self, id: usize) {
        self.brokers[id].signal(libc::SIGCONT);
        self.conditions[id] = Condition::Runs;
    }

    /// Everything runs again, after which nothing may have ended that the fault has not ended.
    pub fn heal(&mut self) {
        for id in 0..BROKERS {
            match self.conditions[id] {
                Condition::Runs => {}
                Condition::Paused => self.resume(id),
                Condition::Stopped => self.start_again(&[id]),
            }
        }
        self.assert_alive();
    }

    pub fn assert_alive(&mut self) {
        for (id, broker) in self.brokers.iter_mut().enumerate() {
            assert!(
                self.conditions[id] == Condition::Stopped || broker.is_running(),
                "broker {id} has ended"
            );
            assert!(!broker.log().contains("panicked at"), "broker {id} has panicked");
        }
    }
}

/// Waits for a start, with the patience of a supervisor: a broker whose session ends before it has started gives up, as
/// Kafka's does, and on a busy machine ZooKeeper can be silent for longer than these short sessions live.
fn wait_until_started(broker: &mut Broker) {
    for _ in 1..STARTS_MAX {
        match broker.try_wait_until_started() {
            Ok(()) => return,
            Err((_, said)) if said.contains("KeeperException$SessionExpiredException") => broker.launch(),
            Err((status, said)) => panic!("a start ended with {status}:\n{said}"),
        }
    }
    broker.wait_until_started();
}

fn settings(rng: &mut Rng) -> Vec<(&'static str, &'static str)> {
    let protocol = rng.pick(&["2.8-IV1", "2.7", "2.6", "2.0"]);
    vec![
        ("inter.broker.protocol.version", protocol),
        ("log.message.format.version", protocol),
        ("log.segment.bytes", rng.pick(&["1073741824", "100000"])),
        ("num.replica.fetchers", rng.pick(&["1", "2"])),
        ("replica.high.watermark.checkpoint.interval.ms", rng.pick(&["5000", "300"])),
        ("auto.leader.rebalance.enable", rng.pick(&["true", "false"])),
        ("leader.imbalance.check.interval.seconds", "1"),
        ("min.insync.replicas", "2"),
        // Short, so that what they end is seen within seconds.
        ("zookeeper.session.timeout.ms", "3000"),
        ("zookeeper.connection.timeout.ms", "30000"),
        ("replica.lag.time.max.ms", "2000"),
        ("replica.socket.timeout.ms", "2000"),
        ("controller.socket.timeout.ms", "2000"),
        ("controlled.shutdown.retry.backoff.ms", "100"),
    ]
}
