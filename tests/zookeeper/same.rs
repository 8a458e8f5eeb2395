//! The ZooKeeper in memory does what the real one does: random requests to both, compared.

use super::connect;
use super::support::ZooKeeper;
use ottla::zk::memory::MemoryZooKeeper;
use ottla::zk::{ANY_VERSION, CreateMode, Op, OpResult, Stat, ZkClient, ZkError};

/// A small generator, so that a seed gives the same requests everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    fn path(&mut self) -> String {
        let name = |n: u64| ["a", "b", "c"][n as usize];
        let first = name(self.below(3));
        match self.below(3) {
            0 => format!("/{first}"),
            1 => format!("/{first}/{}", name(self.below(3))),
            _ => format!("/{first}/{}/{}", name(self.below(3)), name(self.below(3))),
        }
    }

    fn version(&mut self) -> i32 {
        [ANY_VERSION, ANY_VERSION, 0, 1, 2][self.below(5) as usize]
    }

    fn op(&mut self) -> Op {
        let (path, version) = (self.path(), self.version());
        let data = "x".repeat(self.below(5) as usize);
        match self.below(10) {
            0 => Op::check(path, version),
            1..=4 => {
                use CreateMode::{Ephemeral, Persistent, PersistentSequential};
                let mode = [Persistent, Persistent, Persistent, Ephemeral, PersistentSequential];
                Op::create(path, data, mode[self.below(5) as usize])
            }
            5 | 6 => Op::set(path, data, version),
            _ => Op::delete(path, version),
        }
    }
}

fn stat(stat: &Stat) -> String {
    let Stat { version, cversion, ephemeral_owner, data_length, num_children, .. } = stat;
    let rewritten = stat.czxid != stat.mzxid;
    format!("v{version} c{cversion} e{} l{data_length} n{num_children} {rewritten}", *ephemeral_owner != 0)
}

fn result(outcome: &OpResult) -> String {
    match outcome {
        // Inside a multi the real server does not tell the stat.
        OpResult::Created(created) => format!("created {}", created.path),
        OpResult::Set(written) => format!("set {}", stat(written)),
        other => format!("{other:?}"),
    }
}

fn failure(error: ZkError) -> String {
    format!("{:?} {:?}", error.failed_index(), error.cause())
}

async fn write(client: &ZkClient, ops: &[Op]) -> String {
    let single = match ops {
        [Op::Create { path, data, mode }] => {
            let created = client.create(path, data.clone(), *mode).await;
            if let Ok(created) = &created {
                return format!("created {} {}", created.path, stat(&created.stat));
            }
            Some(created.map(OpResult::Created))
        }
        [Op::Set { path, data, version }] => {
            Some(client.set(path, data.clone(), *version).await.map(OpResult::Set))
        }
        [Op::Delete { path, version }] => {
            Some(client.delete(path, *version).await.map(|()| OpResult::Deleted))
        }
        _ => None,
    };
    match single {
        Some(outcome) => outcome.map_or_else(failure, |done| result(&done)),
        None => client
            .multi(ops.to_vec())
            .await
            .map_or_else(failure, |done| done.iter().map(result).collect::<Vec<_>>().join("; ")),
    }
}

async fn read(client: &ZkClient, path: &str) -> String {
    let data = client.get(path).await.unwrap().map(|(data, found)| format!("{data:?} {}", stat(&found)));
    let exists = client.exists(path).await.unwrap().map(|found| stat(&found));
    let mut children = client.children(path).await.unwrap();
    children.sort();
    format!("{data:?} {exists:?} {children:?}")
}

#[tokio::test]
async fn memory_and_reality_answer_alike() {
    let zookeeper = ZooKeeper::start();
    // There a multi that creates is taken apart, and looks different in between.
    let is_3_4 = zookeeper.ask("srvr").is_some_and(|answer| answer.contains("version: 3.4"));
    for seed in 1..=20 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let real = connect(format!("{}/same{seed}", zookeeper.address())).await;
        let memory = MemoryZooKeeper::new().connect();
        for step in 0..150 {
            let count = [1, 1, 2, 4][random.below(4) as usize];
            let mut ops: Vec<Op> = (0..count).map(|_| random.op()).collect();
            if is_3_4 {
                ops.truncate(1);
            }
            let (ours, theirs) = (write(&memory, &ops).await, write(&real, &ops).await);
            assert_eq!(ours, theirs, "seed {seed} step {step}: {ops:?}");
            let path = random.path();
            let (ours, theirs) = (read(&memory, &path).await, read(&real, &path).await);
            assert_eq!(ours, theirs, "seed {seed} step {step}: {path} after {ops:?}");
        }
    }
}
