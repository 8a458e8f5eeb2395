//! Copying from leaders: `num.replica.fetchers` fetchers for each leader that this broker follows.
//!
//! [`machine`] decides what one fetcher asks and what answers mean ([`session`], [`truncation`]); [`driver`] is the
//! thread around it; [`Fetchers`] gives partitions to fetchers.
//!
//! A fetcher has a thread of its own, with a runtime for its one connection: what it reads it checks and appends at
//! once, without handing it to anybody. It may block on the disk (truncation, `flush.messages`), and while nothing
//! comes it sleeps in one fetch, whatever the number of its partitions.

pub mod driver;
pub mod machine;
pub mod messages;
mod requests;
pub mod session;
pub mod truncation;

use super::partition::Partition;
use super::partition_machine::Role;
use crate::common::java_hash::string_hash;
use crate::common::{BrokerId, LeaderEpoch, TopicPartition};
use crate::config::BrokerConfig;
use crate::metadata::MetadataCache;
use crate::quota::replication::ReplicationQuota;
use driver::{Command, Driver, FetcherName};
use log::{error, info};
use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use tokio::sync::mpsc;

const TARGET: &str = "kafka.server.ReplicaFetcherManager";

/// A partition that this broker follows.
#[derive(Clone)]
pub struct Follow {
    /// The replica.
    pub partition: Arc<Partition>,
    /// Whom to ask.
    pub leader: BrokerId,
    /// In which epoch.
    pub leader_epoch: LeaderEpoch,
}

impl Follow {
    /// A partition as its machine stands; none if it does not follow anybody.
    pub fn of(partition: Arc<Partition>) -> Option<Follow> {
        let (role, leader, leader_epoch) = partition
            .with_state(|state| (state.machine.role(), state.machine.leader(), state.machine.leader_epoch()));
        (role == Role::Follower && leader >= 0).then_some(Follow { partition, leader, leader_epoch })
    }
}

/// What fetchers share.
pub struct FetcherContext {
    /// Sizes, times, protocol version.
    pub config: Arc<BrokerConfig>,
    /// Where leaders are found.
    pub metadata: Arc<MetadataCache>,
    /// For throttled replicas that are not in sync.
    pub quota: Arc<ReplicationQuota>,
    /// Writes the recovery points of all logs, after some were cut.
    pub write_recovery_points: Box<dyn Fn() + Send + Sync>,
}

struct Fetcher {
    commands: mpsc::UnboundedSender<Command>,
    partitions: usize,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    fetchers: HashMap<FetcherName, Fetcher>,
    places: HashMap<TopicPartition, FetcherName>,
    /// Nobody is followed anew.
    closed: bool,
}

/// See the module.
pub struct Fetchers {
    context: Arc<FetcherContext>,
    /// `num.replica.fetchers`
    count: AtomicI32,
    state: Mutex<State>,
}

impl Fetchers {
    /// Without partitions, without threads.
    pub fn new(context: FetcherContext) -> Fetchers {
        let count = AtomicI32::new(context.config.num_replica_fetchers);
        Fetchers { context: Arc::new(context), count, state: Mutex::default() }
    }

    /// So many fetchers for each leader from now on. True if that is another number: then every partition has to be
    /// given to its fetcher again.
    pub fn set_count(&self, count: i32) -> bool {
        let before = self.count.swap(count, Ordering::AcqRel);
        if before != count {
            info!(target: TARGET, "[ReplicaFetcherManager on broker {}] Resizing fetcher thread pool size from {before} to {count}",
                self.context.config.broker_id);
        }
        before != count
    }

    /// Stops following some partitions, begins to follow others (in the leader epoch that they say). Does not wait: the
    /// partition itself refuses what comes too late. Fetchers without partitions end.
    pub fn change(&self, removed: &[TopicPartition], added: Vec<Follow>) {
        let mut state = self.lock();
        if !removed.is_empty() {
            info!(target: TARGET, "[ReplicaFetcherManager on broker {}] Removed fetcher for partitions {}",
                self.context.config.broker_id, listed(removed.iter()));
        }
        for name in removed {
            state.remove(name);
        }
        if state.closed {
            return;
        }
        let mut by_fetcher: HashMap<FetcherName, Vec<Follow>> = HashMap::new();
        for follow in added {
            let name = &follow.partition.name;
            let place = FetcherName {
                leader: follow.leader,
                number: fetcher_number(name, self.count.load(Ordering::Acquire)),
            };
            if state.places.get(name) != Some(&place) {
                state.remove(name);
            }
            by_fetcher.entry(place).or_default().push(follow);
        }
        for (place, follows) in by_fetcher {
            self.give(&mut state, place, follows);
        }
        let State { fetchers, .. } = &mut *state;
        // The thread ends by itself; nothing waits for it.
        fetchers.retain(|_, fetcher| fetcher.partitions > 0);
    }

    fn give(&self, state: &mut State, place: FetcherName, follows: Vec<Follow>) {
        let State { fetchers, places, .. } = state;
        let fetcher = match fetchers.entry(place) {
            std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::hash_map::Entry::Vacant(entry) => match self.start(place) {
                Ok(fetcher) => entry.insert(fetcher),
                Err(failed) => {
                    // As without memory: the partitions stay behind until the controller speaks again.
                    error!(target: TARGET, "Cannot start a fetcher for broker {}: {failed}", place.leader);
                    return;
                }
            },
        };
        info!(target: TARGET, "[ReplicaFetcherManager on broker {}] Added fetcher to broker {} for partitions {}",
            self.context.config.broker_id, place.leader, listed(follows.iter().map(|f| &f.partition.name)));
        for follow in &follows {
            let known = places.insert(follow.partition.name.clone(), place);
            fetcher.partitions += usize::from(known.is_none());
        }
        // The thread lives as long as its sender is here.
        let _ = fetcher.commands.send(Command::Add(follows));
    }

    fn start(&self, name: FetcherName) -> std::io::Result<Fetcher> {
        let (commands, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(Arc::clone(&self.context), name, receiver);
        let thread = std::thread::Builder::new()
            .name(format!("ReplicaFetcherThread-{}-{}", name.number, name.leader))
            .spawn(move || driver.run())?;
        Ok(Fetcher { commands, partitions: 0, thread: Some(thread) })
    }

    /// From now on nobody is followed anew; what is followed goes on.
    pub fn close(&self) {
        self.lock().closed = true;
    }

    /// Ends all fetchers and waits until they have: nothing is appended any more.
    pub fn stop(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.places.clear();
        let fetchers = std::mem::take(&mut state.fetchers);
        drop(state);
        let threads: Vec<_> =
            fetchers.into_values().filter_map(|mut fetcher| fetcher.thread.take()).collect();
        for thread in threads {
            if thread.join().is_err() {
                error!(target: TARGET, "A fetcher ended with a panic");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the fetchers are locked")
    }
}

impl State {
    fn remove(&mut self, name: &TopicPartition) {
        let Some(place) = self.places.remove(name) else { return };
        let Some(fetcher) = self.fetchers.get_mut(&place) else { return };
        fetcher.partitions -= 1;
        // A thread that is gone follows nothing.
        let _ = fetcher.commands.send(Command::Remove(name.clone()));
    }
}

/// Which of its leader's fetchers a partition belongs to: as in Kafka, by the hash that Java gives its topic.
fn fetcher_number(name: &TopicPartition, fetchers: i32) -> u32 {
    let hash = string_hash(&name.topic).wrapping_mul(31).wrapping_add(name.partition);
    // As Kafka's `Utils.abs`: the smallest number counts as 0.
    (hash.checked_abs().unwrap_or(0) % fetchers.max(1)) as u32
}

fn listed<'a>(names: impl Iterator<Item = &'a TopicPartition>) -> String {
    const SHOWN_MAX: usize = 50;
    let mut names: Vec<_> = names.map(TopicPartition::to_string).collect();
    let more = names.len().saturating_sub(SHOWN_MAX);
    names.truncate(SHOWN_MAX);
    match more {
        0 => format!("Set({})", names.join(", ")),
        more => format!("Set({}, and {more} more)", names.join(", ")),
    }
}

#[cfg(test)]
mod tests;
