//! The cluster lab: three brokers on an ensemble of three ZooKeepers, idempotent producers with acks=all and consumers at
//! work, and one fault. In the end everything is healed and must be as if nothing had happened (`check.rs`): every
//! acknowledged record is there once and in order, the replicas are the same to the byte, what ZooKeeper said was legal
//! all the time (`history.rs`), nothing has panicked.
//!
//! `RUNS` runs that many seeds of each fault (1), `OTTLA_SEED` is the first (1), `FAULTS` names those to run (all). A seed
//! fixes the settings of the brokers, the records, whom a fault hits and how much is acknowledged before; the operating
//! system decides the rest.
//!
//! ZooKeeper is down for `OUTAGE_SECONDS` (9) at most.
//!
//! `LAB_LOGS` names a directory for what the brokers of each run that passes have said; with `OTTLA_KEEP=1` everything of
//! one that fails stays.
//!
//! `ACKS_OF_LEADER_ONLY=1` has the producers ask for less than the checks hold them to: with `FAULTS=zombie-leader` the lab
//! must fail then, which proves that it can.

mod check;
mod cluster;
mod consumer;
mod faults;
mod history;
mod laps;
mod network;
mod producer;

use std::env;
use std::fs;
use std::thread;

use cluster::Cluster;
use consumer::Position;
use history::History;
use laps::Laps;
use producer::Producer;

use crate::progress::Progress;
use crate::support::client::init_producer_id;
use crate::support::net::Net;
use crate::support::{Ensemble, Rng, SmallDisk, number_from, wait_for};

const TOPIC: &str = "lab";
const BROKERS: usize = 3;
/// One less than there are brokers: one of them leads nothing.
const PARTITIONS: usize = 2;
/// The first broker's last log directory where a disk is to become full.
const DISK_BYTES: u64 = 64 << 20;

/// What a fault needs around it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Host,
    SmallDisk,
    Network,
}

struct Fault {
    name: &'static str,
    place: Place,
    strike: fn(&mut Lab),
}

const fn on_host(name: &'static str, strike: fn(&mut Lab)) -> Fault {
    Fault { name, place: Place::Host, strike }
}

const fn in_network(name: &'static str, strike: fn(&mut Lab)) -> Fault {
    Fault { name, place: Place::Network, strike }
}

/// All there is for a fault to use.
struct Lab<'a> {
    rng: Rng,
    cluster: Cluster,
    ensemble: &'a mut Ensemble,
    net: Option<&'a Net>,
    disk: Option<&'a SmallDisk>,
    history: &'a History,
    progress: &'a [Progress],
}

#[test]
fn brokers_that_die_or_restart() {
    try_faults(&[
        on_host("kill-leader", faults::kill_leader),
        on_host("kill-follower", faults::kill_follower),
        on_host("kill-controller", faults::kill_controller),
        on_host("kill-all", faults::kill_all),
        on_host("rolling-restart", faults::rolling_restart),
        on_host("restart-all", faults::restart_all),
    ]);
}

#[test]
fn brokers_that_hang_or_have_no_room() {
    try_faults(&[
        on_host("zombie-leader", faults::zombie_leader),
        on_host("zombie-controller", faults::zombie_controller),
        Fault { name: "full-disk", place: Place::SmallDisk, strike: faults::full_disk },
    ]);
}

#[test]
fn zookeeper_that_fails() {
    try_faults(&[
        on_host("zookeeper-leader", faults::zookeeper_leader),
        on_host("zookeeper-down", faults::zookeeper_down),
    ]);
}

#[test]
fn networks_that_part() {
    try_faults(&[
        in_network("cut-brokers", network::cut_brokers),
        in_network("cut-zookeeper", network::cut_zookeeper),
        in_network("cut-one-way", network::cut_one_way),
        in_network("cut-off", network::cut_off),
    ]);
}

/// Tries those of the faults that `FAULTS` names, each in as many runs as `RUNS` says.
fn try_faults(faults: &[Fault]) {
    let wanted = env::var("FAULTS").unwrap_or_default();
    let wanted: Vec<&str> = wanted.split([' ', ',']).filter(|name| !name.is_empty()).collect();
    let faults: Vec<&Fault> =
        faults.iter().filter(|fault| wanted.is_empty() || wanted.contains(&fault.name)).collect();
    let mut ensembles: [Option<Ensemble>; 2] = [None, None];
    for fault in faults {
        // A place is a matter of a thread: what it starts, lives there.
        thread::scope(|scope| {
            let ensembles = &mut ensembles;
            let running = scope.spawn(move || try_fault(fault, ensembles));
            running.join().unwrap_or_else(|_| panic!("{} failed, see above", fault.name));
        });
    }
}

fn try_fault(fault: &Fault, ensembles: &mut [Option<Ensemble>; 2]) {
    let mut net = None;
    let mut disk = None;
    let unavailable = match fault.place {
        Place::Host => None,
        Place::SmallDisk => SmallDisk::mount(DISK_BYTES).map(|mounted| disk = Some(mounted)).err(),
        Place::Network => {
            let built = Net::new(BROKERS).and_then(|built| built.hub().enter().map(|()| built));
            built.map(|built| net = Some(built)).err()
        }
    };
    if let Some(error) = unavailable {
        println!("SKIPPED {}: it needs Linux and root: {error}", fault.name);
        return;
    }
    let (first, runs, mut laps) = (number_from("OTTLA_SEED", 1), number_from("RUNS", 1), Laps::default());
    for seed in first..first + runs {
        println!("FAULTS={} OTTLA_SEED={seed} RUNS=1", fault.name);
        // A network of its own ends with the fault, and with it the ensemble on it.
        let ensemble = &mut ensembles[usize::from(net.is_some())];
        let host = net.as_ref().map_or("127.0.0.1".to_string(), |_| Net::ZOOKEEPER.to_string());
        let ensemble = ensemble.get_or_insert_with(|| Ensemble::start(&host));
        try_seed(fault, seed, ensemble, net.as_ref(), disk.as_ref());
    }
    laps.mark("together");
    println!("{}: {runs} runs passed; {laps}", fault.name);
    if net.is_some() {
        ensembles[1] = None;
    }
}

fn try_seed(fault: &Fault, seed: u64, ensemble: &mut Ensemble, net: Option<&Net>, disk: Option<&SmallDisk>) {
    let mut laps = Laps::default();
    let mut rng = Rng::new(seed);
    let connect = format!("{}/{}-{seed}", ensemble.address(), fault.name);
    let assignments = assignments(&mut rng);
    let cluster = Cluster::start(&connect, &mut rng, net, disk, &assignments);
    let addresses = cluster.addresses();
    let id = init_producer_id(&mut cluster.brokers()[0].connect());
    let history = History::new(PARTITIONS);
    let progress: [Progress; PARTITIONS] = Default::default();
    let positions: [Position; PARTITIONS] = Default::default();
    thread::scope(|scope| {
        let _over = OverOnDrop(&history, &positions);
        let following = scope.spawn(|| history.follow(&connect, &assignments));
        let mut producing = Vec::new();
        let mut consuming = Vec::new();
        for (partition, (progress, position)) in (0..).zip(progress.iter().zip(&positions)) {
            let producer = Producer::new(partition, &addresses, id, Rng::new(rng.next()));
            producing.push(scope.spawn(move || {
                let _working = progress.working();
                producer.run(progress)
            }));
            let (addresses, rng) = (&addresses, Rng::new(rng.next()));
            consuming.push(scope.spawn(move || consumer::consume(partition, addresses, rng, position)));
        }
        let _watching: Vec<_> = progress.iter().map(Progress::watching).collect();
        let mut lab = Lab { rng, cluster, ensemble, net, disk, history: &history, progress: &progress };
        lab.wait_until_in_sync();
        lab.wait_for_more(20);
        laps.mark("start");
        (fault.strike)(&mut lab);
        lab.heal();
        laps.mark("fault and healing");
        lab.wait_for_more(20);
        laps.mark("20 acks more");
        progress.iter().for_each(Progress::ask_to_end);
        let (sent, silences): (Vec<_>, Vec<_>) =
            producing.into_iter().map(|thread| thread.join().expect("its own message is above")).unzip();
        lab.wait_until_in_sync();
        check::consumers_reach_the_end(&positions, &sent);
        consuming.into_iter().for_each(|thread| thread.join().expect("its own message is above"));
        check::cluster_is_whole(&mut lab, &sent);
        history.end();
        following.join().expect("its own message is above");
        check::history_is_legal(&history);
        let records: usize = sent.iter().map(Vec::len).sum();
        laps.mark("checks");
        let epochs = [0, 1].map(|p| history.leader_epoch(p));
        println!(
            "  passed {} {seed}: {records} records, leader epochs {epochs:?}, longest silences {silences:.1?}; {laps}",
            fault.name
        );
        keep_logs(&lab.cluster, &format!("{}-{seed}", fault.name));
    });
}

/// The replicas of each partition: all brokers, the preferred leaders different ones.
fn assignments(rng: &mut Rng) -> Vec<Vec<i32>> {
    let first = rng.within(0..BROKERS as u64) as usize;
    let replicas = |partition: usize| {
        (0..BROKERS).map(|i| ((first + partition + i) % BROKERS) as i32).collect::<Vec<i32>>()
    };
    (0..PARTITIONS).map(replicas).collect()
}

/// What the brokers have said, into the directory that `LAB_LOGS` names.
fn keep_logs(cluster: &Cluster, run: &str) {
    let Ok(to) = env::var("LAB_LOGS") else { return };
    for (id, broker) in cluster.brokers().iter().enumerate() {
        for (name, text) in [("server", broker.log()), ("controller", broker.server_log("controller.log"))] {
            fs::write(format!("{to}/{run}-{id}-{name}.log"), text).expect("LAB_LOGS is a directory");
        }
    }
}

/// Lets the threads that only look on end, also when the test fails.
struct OverOnDrop<'a>(&'a History, &'a [Position]);

impl Drop for OverOnDrop<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("ZooKeeper said: {}", self.0.describe());
        }
        self.0.end();
        self.1.iter().for_each(Position::end);
    }
}

impl Lab<'_> {
    fn wait_until(&self, what: &str, mut holds: impl FnMut(&History) -> bool) {
        wait_for(what, || holds(self.history).then_some(()));
    }

    fn wait_until_in_sync(&self) {
        self.wait_until("full ISR of every partition", |history| {
            (0..PARTITIONS).all(|p| history.leader(p).is_some() && history.isr(p).len() == BROKERS)
        });
    }

    /// Each producer gets so many acknowledgements more.
    fn wait_for_more(&self, count: u64) {
        self.progress.iter().for_each(|progress| progress.wait_for_more(count));
    }

    /// Waits until the partition goes on without the victim.
    fn wait_for_successor(&self, partition: usize, victim: usize) {
        self.wait_until("another leader", |history| history.goes_on_without(partition, victim));
    }

    /// As [`Lab::wait_for_more`], but not where nobody may lead without the victim.
    fn wait_for_more_without(&self, count: u64, victim: usize) {
        for (partition, progress) in self.progress.iter().enumerate() {
            progress.wait_for_more_or(count, || self.history.only_in_sync(partition, victim));
        }
    }

    /// A moment of the run, in acknowledgements of one partition; not for when there may be none.
    fn wait_a_bit(&mut self, partition: usize) {
        let count = self.rng.within(1..60);
        self.progress[partition].wait_for_more(count);
    }

    /// As [`Lab::wait_a_bit`], but not while nobody may lead without the victim.
    fn wait_a_bit_without(&mut self, partition: usize, victim: usize) {
        let count = self.rng.within(1..60);
        self.progress[partition].wait_for_more_or(count, || self.history.only_in_sync(partition, victim));
    }

    fn pick_partition(&mut self) -> usize {
        self.rng.within(0..PARTITIONS as u64) as usize
    }

    fn flip(&mut self) -> bool {
        self.rng.within(0..2) == 0
    }

    /// The broker that leads the partition now.
    fn leader(&self, partition: usize) -> usize {
        wait_for("leader", || self.history.leader(partition))
    }

    /// The brokers in some order.
    fn shuffled(&mut self) -> Vec<usize> {
        let mut ids: Vec<usize> = (0..BROKERS).collect();
        for i in (1..ids.len()).rev() {
            ids.swap(i, self.rng.within(0..i as u64 + 1) as usize);
        }
        ids
    }

    /// Undoes whatever a fault has left.
    fn heal(&mut self) {
        if let Some(net) = self.net {
            net.heal();
        }
        self.ensemble.heal();
        self.cluster.heal();
    }
}
