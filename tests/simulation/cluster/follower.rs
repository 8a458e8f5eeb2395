//! A broker's fetchers: one for each leader, driven as `replication::fetcher::driver` does it.

use super::bug::Bug;
use super::network::Body;
use super::world::{Inner, World};
use ottla::common::{BrokerId, ErrorCode, LeaderEpoch, Offset, TopicPartition};
use ottla::replication::fetcher::Follow;
use ottla::replication::fetcher::machine::{FetcherMachine, MachineSettings};
use ottla::replication::fetcher::messages::{
    Ask, EpochQuestion, FetchAnswer, Fetched, FollowerLog, LogFailure, LogView, OffsetQuestion,
};
use ottla::replication::fetcher::truncation::EpochEnd;
use ottla::replication::{Partition, ReplicaManager};
use ottla::storage::LogPosition;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

/// Partitions that come interrupt a fetch after so long.
const GRACE_MS: i64 = 5;
/// For how long an answer is awaited, beyond what the leader may wait.
const EXCHANGE_MS: i64 = 250;
const FETCH_WAIT_MS: i64 = 200;

/// A replica as the machine sees it, with what a bug makes of it.
pub struct Followed {
    partition: Arc<Partition>,
    replicas: Arc<ReplicaManager>,
    cut: Rc<Cell<bool>>,
    bug: Option<Bug>,
}

impl FollowerLog for Followed {
    fn look(&self, leader_epoch: LeaderEpoch) -> Result<LogView, LogFailure> {
        self.partition.look_as_follower(leader_epoch)
    }

    fn end_offset_for_epoch(
        &self,
        leader_epoch: LeaderEpoch,
        epoch: LeaderEpoch,
    ) -> Result<Option<(LeaderEpoch, Offset)>, LogFailure> {
        self.partition.epoch_end_as_follower(leader_epoch, epoch)
    }

    fn append(&self, leader_epoch: LeaderEpoch, fetched: &Fetched) -> Result<LogView, LogFailure> {
        self.partition.append_as_follower(leader_epoch, fetched, || self.replicas.write_recovery_points())
    }

    fn truncate_to(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        if self.bug == Some(Bug::TruncationDropped) {
            return self.look(leader_epoch);
        }
        self.cut.set(true);
        self.partition.truncate_as_follower(leader_epoch, offset)
    }

    fn restart_at(&self, leader_epoch: LeaderEpoch, offset: Offset) -> Result<LogView, LogFailure> {
        self.cut.set(true);
        self.partition.restart_as_follower(leader_epoch, offset)
    }
}

pub struct Fetcher {
    machine: FetcherMachine<Followed>,
    /// What is under way; 0: nothing.
    exchange: u64,
    is_fetch: bool,
    interrupted: bool,
    /// The leader was not among the live brokers.
    unknown: bool,
    cut: Rc<Cell<bool>>,
    /// The next look that is planned.
    due_ms: i64,
}

impl World {
    /// Gives followers to fetchers and takes leaders from them, as `Fetchers::change` does.
    pub fn follow(&mut self, at: usize, names: &[TopicPartition]) {
        for name in names {
            let broker = self.broker(at);
            let Some(partition) = broker.replicas.find(&name.topic, name.partition) else { continue };
            match Follow::of(partition) {
                None => self.stop_following(at, name),
                Some(follow) => {
                    if broker.places.get(name).is_some_and(|place| *place != follow.leader) {
                        self.stop_following(at, name);
                    }
                    self.give(at, name, follow);
                }
            }
        }
        self.broker(at).fetchers.retain(|_, fetcher| !fetcher.machine.is_empty() || fetcher.exchange != 0);
    }

    pub fn stop_following(&mut self, at: usize, name: &TopicPartition) {
        let broker = self.broker(at);
        let Some(leader) = broker.places.remove(name) else { return };
        if let Some(fetcher) = broker.fetchers.get_mut(&leader) {
            fetcher.machine.remove(name);
        }
    }

    fn give(&mut self, at: usize, name: &TopicPartition, follow: Follow) {
        let Follow { partition, leader, leader_epoch } = follow;
        let bug = self.setup.bug;
        let broker = self.broker(at);
        let protocol = broker.config.inter_broker_protocol_version;
        let (replicas, backoff_ms) =
            (Arc::clone(&broker.replicas), i64::from(broker.config.replica_fetch_backoff_ms));
        let to_high_watermark = bug == Some(Bug::TruncationToHighWatermark);
        let compares = !to_high_watermark && bug != Some(Bug::TruncationDropped);
        let new = || {
            let settings = MachineSettings {
                ident: String::new(),
                truncates_on_fetch: protocol.truncates_on_fetch() && compares,
                asks_epochs: !to_high_watermark,
                backoff_ms,
                wait_ms_max: FETCH_WAIT_MS,
            };
            Fetcher {
                machine: FetcherMachine::new(settings),
                exchange: 0,
                is_fetch: false,
                interrupted: false,
                unknown: false,
                cut: Rc::default(),
                due_ms: i64::MAX,
            }
        };
        let fetcher = broker.fetchers.entry(leader).or_insert_with(new);
        let log = Followed { partition, replicas, cut: Rc::clone(&fetcher.cut), bug };
        fetcher.machine.add(name.clone(), leader_epoch, log);
        broker.places.insert(name.clone(), leader);
        if fetcher.exchange != 0 && fetcher.is_fetch && !fetcher.interrupted {
            fetcher.interrupted = true;
            let exchange = fetcher.exchange;
            self.later(at, GRACE_MS, Inner::Grace(leader, exchange));
        }
    }

    pub fn interrupt(&mut self, at: usize, leader: BrokerId, exchange: u64) {
        let Some(fetcher) = self.broker(at).fetchers.get_mut(&leader) else { return };
        if fetcher.exchange == exchange {
            fetcher.exchange = 0;
            fetcher.machine.on_interrupted();
        }
    }

    pub fn fetcher_is_due(&mut self, at: usize, leader: BrokerId) {
        if let Some(fetcher) = self.broker(at).fetchers.get_mut(&leader) {
            fetcher.due_ms = i64::MAX;
        }
    }

    pub fn exchange_failed(&mut self, at: usize, leader: BrokerId, exchange: u64) {
        let now_ms = self.now_ms;
        let Some(fetcher) = self.broker(at).fetchers.get_mut(&leader) else { return };
        if fetcher.exchange == exchange {
            fetcher.exchange = 0;
            fetcher.machine.on_failed(now_ms);
        }
    }

    /// Brokers that are alive by the controller's word have become known.
    pub fn leaders_are_known(&mut self, at: usize) {
        let broker = self.broker(at);
        let cluster = broker.metadata.current();
        for (leader, fetcher) in &mut broker.fetchers {
            if fetcher.unknown && cluster.brokers.contains_key(leader) {
                fetcher.unknown = false;
                fetcher.machine.on_reachable();
            }
        }
    }

    /// The fetcher that waits for this answer. What comes too late comes over a connection that is closed.
    fn asking(&mut self, at: usize, leader: BrokerId, exchange: u64) -> Option<&mut Fetcher> {
        let fetcher = self.broker(at).fetchers.get_mut(&leader)?;
        if fetcher.exchange != exchange {
            return None;
        }
        fetcher.exchange = 0;
        Some(fetcher)
    }

    pub fn fetched(
        &mut self,
        at: usize,
        leader: BrokerId,
        exchange: u64,
        answer: FetchAnswer,
    ) -> Result<(), String> {
        let (now_ms, bug) = (self.now_ms, self.setup.bug);
        if bug == Some(Bug::HighWatermarkBeforeTruncation) {
            self.believe_high_watermarks(at, &answer);
            self.check_broker(at)?;
        }
        let Some(fetcher) = self.asking(at, leader, exchange) else {
            if bug == Some(Bug::OldAnswersAccepted) {
                self.take_late(at, &answer);
            }
            return Ok(());
        };
        fetcher.machine.on_fetched(answer, now_ms);
        self.after_cuts(at, leader);
        Ok(())
    }

    fn believe_high_watermarks(&mut self, at: usize, answer: &FetchAnswer) {
        for partition in answer.partitions.iter().filter(|partition| partition.diverging.is_some()) {
            let Some(hosted) = self.broker(at).partition(partition.name.partition) else { continue };
            hosted.with_state(|state| {
                let end = state.log.as_ref().map_or(0, |log| log.log_end_offset());
                let committed = LogPosition::of_offset(partition.high_watermark.min(end));
                state.machine.follow_high_watermark(committed)
            });
        }
    }

    fn take_late(&mut self, at: usize, answer: &FetchAnswer) {
        for answered in &answer.partitions {
            let Some(hosted) = self.broker(at).partition(answered.name.partition) else { continue };
            let epoch = hosted.with_state(|state| state.machine.leader_epoch());
            let Ok(view) = hosted.look_as_follower(epoch) else { continue };
            let fetched = Fetched {
                fetch_offset: view.log_end_offset,
                records: answered.records.clone(),
                high_watermark: answered.high_watermark,
                log_start_offset: answered.log_start_offset,
            };
            // What does not begin at the log's end is refused.
            let _ = hosted.append_as_follower(epoch, &fetched, || ());
        }
    }

    pub fn epochs_answered(
        &mut self,
        at: usize,
        leader: BrokerId,
        exchange: u64,
        ends: Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)>,
    ) {
        let now_ms = self.now_ms;
        let Some(fetcher) = self.asking(at, leader, exchange) else { return };
        fetcher.machine.on_epochs(ends, now_ms);
        self.after_cuts(at, leader);
    }

    pub fn offsets_answered(
        &mut self,
        at: usize,
        leader: BrokerId,
        exchange: u64,
        offsets: Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)>,
    ) {
        let now_ms = self.now_ms;
        let Some(fetcher) = self.asking(at, leader, exchange) else { return };
        fetcher.machine.on_offsets(offsets, now_ms);
        self.after_cuts(at, leader);
    }

    fn after_cuts(&mut self, at: usize, leader: BrokerId) {
        let broker = self.broker(at);
        if broker.fetchers.get(&leader).is_some_and(|fetcher| fetcher.cut.replace(false)) {
            broker.replicas.write_recovery_points();
        }
    }
}

/// Every fetcher of a broker that waits for nothing asks what it has to ask.
pub fn ask_all(world: &mut World, at: usize) {
    let leaders: Vec<BrokerId> = world.broker(at).fetchers.keys().copied().collect();
    for leader in leaders {
        ask(world, at, leader);
    }
}

fn ask(world: &mut World, at: usize, leader: BrokerId) {
    let now_ms = world.now_ms;
    let broker = world.broker(at);
    let is_known = broker.metadata.current().brokers.contains_key(&leader);
    let Some(fetcher) = broker.fetchers.get_mut(&leader) else { return };
    if fetcher.exchange != 0 {
        return;
    }
    let asked = fetcher.machine.next(now_ms, &());
    world.after_cuts(at, leader);
    let exchange = world.token();
    let (body, wait_ms) = match asked {
        Ask::Wait(until) => return wait(world, at, leader, until),
        Ask::Fetch(question) => {
            let wait_ms = question.wait_ms_max;
            (Body::Fetch { exchange, question }, wait_ms)
        }
        Ask::Epochs(questions) => (Body::Epochs { exchange, questions }, 0),
        Ask::Offsets(questions) => (Body::Offsets { exchange, questions }, 0),
    };
    let Some(fetcher) = world.broker(at).fetchers.get_mut(&leader) else { return };
    if !is_known {
        fetcher.unknown = true;
        fetcher.machine.on_failed(now_ms);
        let until = match fetcher.machine.next(now_ms, &()) {
            Ask::Wait(until) => until,
            _ => None,
        };
        return wait(world, at, leader, until);
    }
    fetcher.exchange = exchange;
    fetcher.interrupted = false;
    fetcher.is_fetch = matches!(body, Body::Fetch { .. });
    world.send(at as BrokerId, leader, body);
    world.later(at, wait_ms + EXCHANGE_MS, Inner::ExchangeOver(leader, exchange));
}

/// Plans the next look, unless an earlier one is planned.
fn wait(world: &mut World, at: usize, leader: BrokerId, until_ms: Option<i64>) {
    let now_ms = world.now_ms;
    let Some(until_ms) = until_ms else { return };
    let Some(fetcher) = world.broker(at).fetchers.get_mut(&leader) else { return };
    if until_ms < fetcher.due_ms {
        fetcher.due_ms = until_ms;
        world.later(at, (until_ms - now_ms).max(1), Inner::Fetcher(leader));
    }
}
