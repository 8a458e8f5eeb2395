//! What ZooKeeper says about the cluster, read again and again while it fails, and whether that is legal: the leader is in
//! the ISR, the ISR among the replicas; a leader comes out of the ISR before it; epochs do not go back; no epoch has two
//! leaders.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ottla::zk::data::{PartitionState, controller};
use ottla::zk::{Stat, ZkClient, ZkConfig, ZkError, paths};

use super::TOPIC;

const PERIOD: Duration = Duration::from_millis(10);
/// While no server answers, what was seen last stands.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone)]
struct Seen {
    state: PartitionState,
    stat: Stat,
}

#[derive(Default)]
struct Inner {
    partitions: Vec<Option<Seen>>,
    controller: Option<i32>,
    /// Version of the node, and the epoch.
    controller_epoch: (i32, i32),
    /// Leaders that were seen, by partition and epoch.
    leaders: Vec<Vec<(i32, i32)>>,
    violations: Vec<String>,
}

/// Shared by who reads ZooKeeper and who asks what it said.
#[derive(Default)]
pub struct History {
    inner: Mutex<Inner>,
    is_over: AtomicBool,
}

impl History {
    /// Of as many partitions as there are lists of replicas.
    pub fn new(partitions: usize) -> History {
        let inner = Inner {
            partitions: vec![None; partitions],
            leaders: vec![Vec::new(); partitions],
            ..Inner::default()
        };
        History { inner: Mutex::new(inner), is_over: AtomicBool::new(false) }
    }

    /// The leader, if there is one.
    pub fn leader(&self, partition: usize) -> Option<usize> {
        self.state(partition).and_then(|state| usize::try_from(state.leader).ok())
    }

    pub fn isr(&self, partition: usize) -> Vec<usize> {
        let isr = self.state(partition).map(|state| state.isr).unwrap_or_default();
        isr.into_iter().filter_map(|id| usize::try_from(id).ok()).collect()
    }

    /// Whether nobody but this broker may lead: the others were too slow, which they can be on a busy machine.
    pub fn only_in_sync(&self, partition: usize, id: usize) -> bool {
        self.isr(partition) == [id]
    }

    /// Whether somebody else leads, or nobody else may.
    pub fn goes_on_without(&self, partition: usize, victim: usize) -> bool {
        self.leader(partition).is_some_and(|leader| leader != victim) || self.only_in_sync(partition, victim)
    }

    pub fn leader_epoch(&self, partition: usize) -> i32 {
        self.state(partition).map_or(-1, |state| state.leader_epoch)
    }

    pub fn controller(&self) -> Option<usize> {
        self.lock().controller.and_then(|id| usize::try_from(id).ok())
    }

    /// What ZooKeeper said last.
    pub fn describe(&self) -> String {
        let inner = self.lock();
        let states =
            inner.partitions.iter().map(|seen| seen.as_ref().map(|seen| (&seen.state, seen.stat.version)));
        format!("controller {:?}, states {:?}", inner.controller, states.collect::<Vec<_>>())
    }

    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }

    fn state(&self, partition: usize) -> Option<PartitionState> {
        self.lock().partitions[partition].as_ref().map(|seen| seen.state.clone())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while held")
    }

    /// Reads until [`History::end`]. `connect` names ZooKeeper with the cluster's chroot.
    pub fn follow(&self, connect: &str, replicas: &[Vec<i32>]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let client = ZkClient::connect(ZkConfig::new(connect)).await.expect("a session");
            while !self.is_over.load(Ordering::SeqCst) {
                // An error is an outage, which the test may have made.
                let _ = self.read(&client.with_patience(PATIENCE), replicas).await;
                tokio::time::sleep(PERIOD).await;
            }
            client.close().await;
        });
    }

    async fn read(&self, client: &ZkClient, replicas: &[Vec<i32>]) -> Result<(), ZkError> {
        let states = (0..).zip(replicas).map(|(partition, _)| paths::partition_state(TOPIC, partition));
        for (partition, found) in client.get_many(states.collect()).await?.into_iter().enumerate() {
            let Some((data, stat)) = found else { continue };
            let mut inner = self.lock();
            match PartitionState::decode(&data) {
                Ok(state) => inner.see(partition, Seen { state, stat }, &replicas[partition]),
                Err(error) => inner.violations.push(format!("state of {partition}: {error}")),
            }
        }
        let registered = client.get(paths::CONTROLLER).await?;
        let epoch = client.get(paths::CONTROLLER_EPOCH).await?;
        let mut inner = self.lock();
        inner.controller = registered.and_then(|(data, _)| controller::decode(&data).ok());
        if let Some((data, stat)) = epoch {
            let now = (stat.version, controller::decode_epoch(&data).unwrap_or(-1));
            let before = inner.controller_epoch;
            if now.0 > before.0 && now.1 <= before.1 {
                inner.violations.push(format!("controller epoch {now:?} after {before:?} (version, epoch)"));
            }
            inner.controller_epoch = before.max(now);
        }
        Ok(())
    }
}

impl Inner {
    fn see(&mut self, partition: usize, now: Seen, replicas: &[i32]) {
        let before = self.partitions[partition].clone();
        let state = &now.state;
        if let Some(before) = &before {
            // A new session may begin on a server that lags: what it says was true once.
            if now.stat.version <= before.stat.version {
                return;
            }
            self.judge_change(partition, before, &now);
        }
        let mut wrong = Vec::new();
        if state.leader != -1 && !state.isr.contains(&state.leader) {
            wrong.push("leader outside the ISR");
        }
        if state.isr.is_empty() {
            wrong.push("empty ISR");
        }
        if state.isr.iter().any(|id| !replicas.contains(id)) {
            wrong.push("ISR outside the replicas");
        }
        if self.leaders[partition]
            .iter()
            .any(|(epoch, leader)| *epoch == state.leader_epoch && *leader != state.leader)
        {
            wrong.push("two leaders in one epoch");
        }
        self.leaders[partition].push((state.leader_epoch, state.leader));
        self.violations
            .extend(wrong.into_iter().map(|what| format!("partition {partition}: {what}: {state:?}")));
        self.partitions[partition] = Some(now);
    }

    fn judge_change(&mut self, partition: usize, before: &Seen, now: &Seen) {
        let (old, new) = (&before.state, &now.state);
        let mut wrong = Vec::new();
        if new.leader_epoch < old.leader_epoch {
            wrong.push("leader epoch goes back");
        }
        if new.controller_epoch < old.controller_epoch {
            wrong.push("controller epoch goes back");
        }
        let is_next = now.stat.version == before.stat.version + 1;
        if is_next && new.leader != old.leader && new.leader != -1 && !old.isr.contains(&new.leader) {
            wrong.push("leader from outside the ISR");
        }
        self.violations.extend(
            wrong.into_iter().map(|what| format!("partition {partition}: {what}: {old:?} to {new:?}")),
        );
    }
}
