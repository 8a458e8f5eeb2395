//! Coordinators whose offsets are in ZooKeeper, replaced again and again, each hearing of it late; with changed ISRs,
//! lost requests and answers. Judged by ZooKeeper's own journal: at each moment only the leader of the epoch that the
//! partition's state names writes a number; and an acknowledged number was written.

use super::harness::seeds;
use super::rng::Rng;
use ottla::common::{TopicPartition, clock};
use ottla::coordinator::group::offsets::{CommittedOffset, Fence, OffsetStore, OffsetStoreError};
use ottla::coordinator::zookeeper_offsets::ZooKeeperOffsets;
use ottla::zk::data::PartitionState;
use ottla::zk::memory::MemoryZooKeeper;
use ottla::zk::{ANY_VERSION, CreateMode, ZkClient, paths};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinHandle;

const BROKERS: usize = 3;
const PARTITIONS: usize = 2;
const STEPS: usize = 120;
/// Offsets are `epoch * EPOCH + n`.
const EPOCH: i64 = 1_000_000;

/// A mistake that a coordinator could make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bug {
    /// It writes as clients do that know no coordinators.
    NoFence,
    /// It takes the epoch that ZooKeeper names now for its own.
    EpochOfTheMoment,
}

type Committed = (i64, JoinHandle<Result<(), OffsetStoreError>>);

struct Broker {
    zk: ZkClient,
    store: ZooKeeperOffsets,
    /// As what it leads each partition, for all it knows.
    leads: [Option<i32>; PARTITIONS],
    disconnected: bool,
}

struct World {
    rng: Rng,
    bug: Option<Bug>,
    zookeeper: MemoryZooKeeper,
    controller: ZkClient,
    brokers: Vec<Broker>,
    /// Of each partition: leader, epoch.
    elected: [(usize, i32); PARTITIONS],
    under_way: Vec<Committed>,
    next: i64,
    acknowledged: Vec<i64>,
    journal: Vec<String>,
}

fn state_path(partition: usize) -> String {
    paths::partition_state("__consumer_offsets", partition as i32)
}

fn committed(offset: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: None,
        metadata: if offset % 3 == 0 { "words".into() } else { "".into() },
        commit_timestamp_ms: clock::now_ms(),
        expire_timestamp_ms: None,
    }
}

impl World {
    async fn new(seed: u64, bug: Option<Bug>) -> World {
        let zookeeper = MemoryZooKeeper::new();
        let broker = |_| {
            let zk = zookeeper.connect();
            let store = ZooKeeperOffsets::start(&zk, Duration::from_secs(3600));
            Broker { zk, store, leads: [None; PARTITIONS], disconnected: false }
        };
        let brokers = (0..BROKERS).map(broker).collect();
        let controller = zookeeper.connect();
        let mut world = World {
            rng: Rng::new(seed),
            bug,
            zookeeper,
            controller,
            brokers,
            elected: [(0, -1); PARTITIONS],
            under_way: Vec::new(),
            next: 0,
            acknowledged: Vec::new(),
            journal: Vec::new(),
        };
        for partition in 0..PARTITIONS {
            world.elect(partition).await;
        }
        world
    }

    async fn write_state(&mut self, partition: usize) {
        let (leader, leader_epoch) = self.elected[partition];
        let isr = (0..self.rng.within(1..4) as i32).collect();
        let state = PartitionState { controller_epoch: 1, leader: leader as i32, leader_epoch, isr };
        let path = state_path(partition);
        if leader_epoch == 0 && self.controller.exists(&path).await.expect("read").is_none() {
            self.controller
                .create_with_parents(&path, state.encode(), CreateMode::Persistent)
                .await
                .expect("created");
        } else {
            self.controller.set(&path, state.encode(), ANY_VERSION).await.expect("written");
        }
    }

    /// Another leader, or the same one in another epoch. The new one hears of it at once, mostly; others do later.
    async fn elect(&mut self, partition: usize) {
        let leader = self.rng.within(0..BROKERS as u64) as usize;
        self.elected[partition] = (leader, self.elected[partition].1 + 1);
        self.write_state(partition).await;
        if self.rng.within(0..4) > 0 {
            self.tell(leader, partition);
        }
    }

    fn tell(&mut self, broker: usize, partition: usize) {
        let (leader, epoch) = self.elected[partition];
        self.brokers[broker].leads[partition] = (leader == broker).then_some(epoch);
    }

    async fn commit(&mut self, broker: usize, partition: usize) {
        let Some(own) = self.brokers[broker].leads[partition] else { return };
        let leader_epoch = match self.bug {
            Some(Bug::EpochOfTheMoment) => self.elected[partition].1,
            _ => own,
        };
        let fence = Fence { partition: partition as i32, leader_epoch };
        let fence = (self.bug != Some(Bug::NoFence)).then_some(fence);
        self.next += 1;
        let offset = i64::from(own) * EPOCH + self.next;
        let of_topic = TopicPartition::new("t", self.rng.within(0..2) as i32);
        let group = format!("g{partition}");
        let written =
            self.brokers[broker].store.commit(group.into(), vec![(of_topic, committed(offset))], fence);
        let task = tokio::spawn(async move { written.await.and_then(|mut results| results.remove(0)) });
        self.under_way.push((offset, task));
    }

    async fn step(&mut self) {
        let partition = self.rng.within(0..PARTITIONS as u64) as usize;
        let broker = self.rng.within(0..BROKERS as u64) as usize;
        match self.rng.within(0..20) {
            0..=1 => self.elect(partition).await,
            2..=3 => self.write_state(partition).await,
            4..=6 => self.tell(broker, partition),
            7 => {
                let session = self.brokers[broker].zk.session_id();
                match self.rng.within(0..2) {
                    0 => self.zookeeper.lose_requests(session, 1),
                    _ => self.zookeeper.lose_replies(session, 1),
                }
            }
            8 => {
                let chosen = &mut self.brokers[broker];
                let session = chosen.zk.session_id();
                chosen.disconnected = !chosen.disconnected;
                match chosen.disconnected {
                    true => self.zookeeper.disconnect(session),
                    false => self.zookeeper.reconnect(session),
                }
            }
            9..=10 => tokio::task::yield_now().await,
            _ => self.commit(broker, partition).await,
        }
        self.collect(false).await;
        self.journal.extend(self.zookeeper.take_log());
    }

    async fn collect(&mut self, all: bool) {
        let mut left = Vec::new();
        for (offset, task) in std::mem::take(&mut self.under_way) {
            if !all && !task.is_finished() {
                left.push((offset, task));
            } else if task.await.expect("no panic").is_ok() {
                self.acknowledged.push(offset);
            }
        }
        self.under_way = left;
    }

    /// Faults end: whoever leads can write.
    async fn heal(&mut self) -> Result<(), String> {
        for broker in &self.brokers {
            if broker.disconnected {
                self.zookeeper.reconnect(broker.zk.session_id());
            }
        }
        self.collect(true).await;
        for partition in 0..PARTITIONS {
            let leader = self.elected[partition].0;
            self.tell(leader, partition);
            self.commit(leader, partition).await;
            self.collect(true).await;
            let offset = i64::from(self.elected[partition].1) * EPOCH + self.next;
            if self.acknowledged.last() != Some(&offset) {
                return Err(format!("the leader of partition {partition} cannot write"));
            }
        }
        self.journal.extend(self.zookeeper.take_log());
        Ok(())
    }

    /// The journal from its beginning.
    fn judge(&self) -> Result<(), String> {
        let mut epochs = [-1i64; PARTITIONS];
        let mut written = BTreeSet::new();
        for line in &self.journal {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (Some(kind @ ("set" | "create")), Some(path)) =
                (words.first().copied(), words.get(if words[0] == "set" { 1 } else { 2 }))
            else {
                continue;
            };
            let data = words.last().copied().unwrap_or_default();
            for (partition, epoch) in epochs.iter_mut().enumerate() {
                if **path == state_path(partition) {
                    *epoch = i64::from(
                        PartitionState::decode(data.as_bytes())
                            .map_err(|e| format!("{kind}: {e}"))?
                            .leader_epoch,
                    );
                } else if path.starts_with(&format!("/consumers/g{partition}/offsets/t/")) {
                    let offset: i64 = data.parse().map_err(|_| format!("no number: {line}"))?;
                    written.insert(offset);
                    if offset / EPOCH != *epoch {
                        return Err(format!(
                            "{line} by the leader of epoch {}, in epoch {epoch}",
                            offset / EPOCH
                        ));
                    }
                }
            }
        }
        // Of several commits that wait together for one partition, the last one is written.
        let is_covered = |offset: &&i64| written.range(**offset..).next().is_some();
        match self.acknowledged.iter().find(|offset| !is_covered(offset)) {
            Some(lost) => Err(format!("{lost} was acknowledged and never written")),
            None => Ok(()),
        }
    }
}

fn run(seed: u64, bug: Option<Bug>) -> Result<usize, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let mut world = World::new(seed, bug).await;
        for _ in 0..STEPS {
            world.step().await;
        }
        world.heal().await?;
        world.judge()?;
        Ok(world.acknowledged.len())
    })
}

#[test]
fn only_the_leader_of_the_moment_writes_numbers() {
    let mut acknowledged = 0;
    for seed in seeds(200) {
        match run(seed, None) {
            Ok(count) => acknowledged += count,
            Err(what) => panic!("OTTLA_SEED={seed}: {what}"),
        }
    }
    println!("{acknowledged} commits acknowledged");
}

/// Checkers that find nothing prove nothing.
#[test]
fn coordinators_without_a_fence_are_caught() {
    for bug in [Bug::NoFence, Bug::EpochOfTheMoment] {
        let caught = (0..100).find_map(|seed| run(seed, Some(bug)).err().map(|what| (seed, what)));
        match caught {
            Some((seed, what)) => println!("{bug:?}: seed {seed}: {what}"),
            None => panic!("{bug:?} was not caught"),
        }
    }
}
