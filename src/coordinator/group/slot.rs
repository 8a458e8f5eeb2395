//! The shard of one partition of `__consumer_offsets`, with what the driver keeps for it: who waits, what is to be
//! stored. One short mutex; nothing is awaited, answered or appended under it.

use super::offsets::{Fence, OffsetsStorage};
use super::shard::Shard;
use super::step::{Answer, Caller, Effect, GroupSettings, Now, OffsetsToStore, Step};
use crate::common::halt::HaltOnPanic;
use crate::common::{ErrorCode, LeaderEpoch, ProducerId, clock};
use crate::replication::Partition;
use bytestring::ByteString;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::oneshot;

/// A shard in use.
pub(super) struct Owned {
    pub(super) shard: Shard,
    pub(super) callers: Slab<oneshot::Sender<Answer>>,
    log: Arc<Partition>,
    outbox: VecDeque<Effect>,
    load: u64,
}

/// What this broker has of the partition.
enum Status {
    /// It does not lead it.
    Absent,
    /// It reads it. Transactions that end meanwhile wait.
    Loading { load: u64, ended: Vec<(ProducerId, bool)> },
    /// It coordinates its groups.
    Owned(Box<Owned>),
}

struct Inner {
    leader_epoch: LeaderEpoch,
    loads: u64,
    status: Status,
}

/// See the module.
pub(super) struct Slot {
    pub(super) partition: i32,
    inner: Mutex<Inner>,
    appending: AtomicBool,
    /// Held while offsets of transactions are compared with the store's and brought there.
    handing_over: tokio::sync::Mutex<()>,
}

/// Something to store, and under which epoch.
pub(super) struct Job {
    pub(super) effect: Effect,
    pub(super) log: Arc<Partition>,
    pub(super) leader_epoch: LeaderEpoch,
    /// Which life of the shard wants it.
    pub(super) load: u64,
    /// Where that life has its offsets.
    pub(super) storage: OffsetsStorage,
}

/// What is due once the mutex is released.
#[derive(Default)]
pub(super) struct Due {
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
    /// When groups want to be woken.
    pub(super) wakes: Vec<(ByteString, i64)>,
    /// Something was put into the outbox.
    pub(super) stores: bool,
}

impl Due {
    /// Answers those who wait; who does not any more is passed over.
    pub(super) fn answer(&mut self) {
        for (sender, answer) in self.answers.drain(..) {
            let _ = sender.send(answer);
        }
    }
}

/// The time.
pub(super) fn now() -> Now {
    Now { monotonic_ms: clock::monotonic_ms(), wall_ms: clock::now_ms() }
}

impl Slot {
    pub(super) fn new(partition: i32) -> Slot {
        let inner = Inner { leader_epoch: -1, loads: 0, status: Status::Absent };
        Slot {
            partition,
            inner: Mutex::new(inner),
            appending: AtomicBool::new(false),
            handing_over: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> (MutexGuard<'_, Inner>, HaltOnPanic) {
        let inner = self.inner.lock().expect("a panic under this lock halts the process");
        (inner, HaltOnPanic::new("a group changes"))
    }

    /// COORDINATOR_LOAD_IN_PROGRESS or NOT_COORDINATOR if there is no shard.
    pub(super) fn check(&self) -> Result<(), ErrorCode> {
        match self.lock().0.status {
            Status::Absent => Err(ErrorCode::NotCoordinator),
            Status::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Status::Owned(_) => Ok(()),
        }
    }

    /// One step of the shard.
    pub(super) fn step<R>(
        &self,
        settings: &GroupSettings,
        act: impl FnOnce(&mut Owned, &mut Step<'_>) -> R,
    ) -> Result<(R, Due), ErrorCode> {
        let (mut inner, _halt) = self.lock();
        match &mut inner.status {
            Status::Absent => Err(ErrorCode::NotCoordinator),
            Status::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Status::Owned(owned) => Ok(owned.step(settings, act)),
        }
    }

    /// The same for what was begun in life `load` of the shard; none if that is over.
    pub(super) fn step_of(
        &self,
        load: u64,
        settings: &GroupSettings,
        act: impl FnOnce(&mut Owned, &mut Step<'_>),
    ) -> Option<Due> {
        let (mut inner, _halt) = self.lock();
        match &mut inner.status {
            Status::Owned(owned) if owned.load == load => Some(owned.step(settings, act).1),
            _ => None,
        }
    }

    /// Looks at the shard.
    pub(super) fn read<R>(&self, look: impl FnOnce(&Shard) -> R) -> Result<R, ErrorCode> {
        let (inner, _halt) = self.lock();
        match &inner.status {
            Status::Absent => Err(ErrorCode::NotCoordinator),
            Status::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Status::Owned(owned) => Ok(look(&owned.shard)),
        }
    }

    /// A transaction has ended; a shard that is being loaded hears of it afterwards.
    pub(super) fn end_transaction(
        &self,
        producer: ProducerId,
        commits: bool,
        settings: &GroupSettings,
    ) -> Due {
        let (mut inner, _halt) = self.lock();
        match &mut inner.status {
            Status::Absent => Due::default(),
            Status::Loading { ended, .. } => {
                ended.push((producer, commits));
                Due::default()
            }
            Status::Owned(owned) => {
                let complete = |owned: &mut Owned, step: &mut Step<'_>| {
                    owned.shard.complete_transaction(producer, commits, step);
                };
                owned.step(settings, complete).1
            }
        }
    }

    /// This broker leads since `leader_epoch`. Gives the number of the load that must begin, if one must.
    pub(super) fn lead(&self, log: &Arc<Partition>, leader_epoch: LeaderEpoch) -> Option<u64> {
        let (mut inner, _halt) = self.lock();
        if leader_epoch < inner.leader_epoch {
            return None;
        }
        inner.leader_epoch = leader_epoch;
        match &mut inner.status {
            Status::Owned(owned) => {
                owned.log = Arc::clone(log);
                None
            }
            Status::Loading { .. } => None,
            Status::Absent => {
                inner.loads += 1;
                let load = inner.loads;
                inner.status = Status::Loading { load, ended: Vec::new() };
                Some(load)
            }
        }
    }

    /// Puts a loaded shard into use, unless this broker has ceased to lead meanwhile.
    pub(super) fn finish_load(
        &self,
        load: u64,
        log: Arc<Partition>,
        settings: &GroupSettings,
        (mut shard, mut effects): (Shard, Vec<Effect>),
    ) -> Option<Due> {
        let (mut inner, _halt) = self.lock();
        let ended = match &mut inner.status {
            Status::Loading { load: current, ended } if *current == load => std::mem::take(ended),
            _ => return None,
        };
        let mut step = Step { now: now(), settings, effects: &mut effects };
        for (producer, commits) in ended {
            shard.complete_transaction(producer, commits, &mut step);
        }
        let mut owned = Owned { shard, callers: Slab::new(), log, outbox: VecDeque::new(), load };
        let due = owned.take_in(effects);
        inner.status = Status::Owned(Box::new(owned));
        Some(due)
    }

    /// True if life `load` of the shard is over.
    pub(super) fn is_other_life(&self, load: u64) -> bool {
        self.fence_of(load).is_none()
    }

    /// As whom life `load` of the shard may write outside of `__consumer_offsets`; none if it is over.
    pub(super) fn fence_of(&self, load: u64) -> Option<Fence> {
        let (inner, _halt) = self.lock();
        let is_alive = match &inner.status {
            Status::Absent => false,
            Status::Loading { load: current, .. } => *current == load,
            Status::Owned(owned) => owned.load == load,
        };
        is_alive.then_some(Fence { partition: self.partition, leader_epoch: inner.leader_epoch })
    }

    /// The same for the shard that is in use.
    pub(super) fn fence(&self) -> Result<Fence, ErrorCode> {
        let (inner, _halt) = self.lock();
        match &inner.status {
            Status::Absent => Err(ErrorCode::NotCoordinator),
            Status::Loading { .. } => Err(ErrorCode::CoordinatorLoadInProgress),
            Status::Owned(_) => Ok(Fence { partition: self.partition, leader_epoch: inner.leader_epoch }),
        }
    }

    /// Gives up a load that failed.
    pub(super) fn abandon_load(&self, load: u64) {
        let (mut inner, _halt) = self.lock();
        if matches!(&inner.status, Status::Loading { load: current, .. } if *current == load) {
            inner.status = Status::Absent;
        }
    }

    /// Another broker leads since `leader_epoch`, or nobody (none). Whoever waits is sent there.
    pub(super) fn resign(&self, leader_epoch: Option<LeaderEpoch>, settings: &GroupSettings) -> Due {
        let (mut inner, _halt) = self.lock();
        if leader_epoch.is_some_and(|epoch| epoch < inner.leader_epoch) {
            return Due::default();
        }
        inner.leader_epoch = leader_epoch.unwrap_or(inner.leader_epoch);
        let Status::Owned(mut owned) = std::mem::replace(&mut inner.status, Status::Absent) else {
            return Due::default();
        };
        owned.end(settings)
    }

    /// Ends this life of the shard and begins to load it again; none if there is no shard. Gives the number of the load.
    pub(super) fn restart(&self, settings: &GroupSettings) -> Option<(u64, Arc<Partition>, Due)> {
        let (mut inner, _halt) = self.lock();
        if !matches!(inner.status, Status::Owned(_)) {
            return None;
        }
        inner.loads += 1;
        let load = inner.loads;
        match std::mem::replace(&mut inner.status, Status::Loading { load, ended: Vec::new() }) {
            Status::Owned(mut owned) => {
                let log = Arc::clone(&owned.log);
                Some((load, log, owned.end(settings)))
            }
            other => {
                inner.status = other;
                None
            }
        }
    }

    /// Waits for the turn to bring offsets of transactions to the store.
    pub(super) async fn hand_over_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.handing_over.lock().await
    }

    /// Carries out what is in the outbox, in order. One thread at a time does it; others leave their part to it.
    pub(super) fn drain_outbox(&self, perform: impl Fn(Job)) {
        while !self.appending.swap(true, Ordering::AcqRel) {
            while let Some(job) = self.next_job() {
                perform(job);
            }
            self.appending.store(false, Ordering::Release);
            // Whoever came after the last look and before the store has relied on this thread.
            if self.outbox_is_empty() {
                return;
            }
        }
    }

    fn next_job(&self) -> Option<Job> {
        let (mut inner, _halt) = self.lock();
        let leader_epoch = inner.leader_epoch;
        let Status::Owned(owned) = &mut inner.status else { return None };
        let effect = owned.outbox.pop_front()?;
        let (log, storage) = (Arc::clone(&owned.log), owned.shard.storage());
        Some(Job { effect, log, leader_epoch, load: owned.load, storage })
    }

    fn outbox_is_empty(&self) -> bool {
        match &self.lock().0.status {
            Status::Owned(owned) => owned.outbox.is_empty(),
            _ => true,
        }
    }
}

impl Owned {
    fn step<R>(
        &mut self,
        settings: &GroupSettings,
        act: impl FnOnce(&mut Owned, &mut Step<'_>) -> R,
    ) -> (R, Due) {
        let mut effects = Vec::new();
        let result = act(self, &mut Step { now: now(), settings, effects: &mut effects });
        let due = self.take_in(effects);
        (result, due)
    }

    /// The last step: whoever waits is sent to the next coordinator.
    fn end(&mut self, settings: &GroupSettings) -> Due {
        let (_, mut due) = self.step(settings, |owned, step| owned.shard.unload(step));
        due.stores = false;
        let waiting = self.callers.drain();
        due.answers.extend(waiting.map(|sender| (sender, Answer::Commit(ErrorCode::NotCoordinator))));
        due
    }

    /// Which life of the shard this is.
    pub(super) fn load(&self) -> u64 {
        self.load
    }

    /// A place for somebody who waits.
    pub(super) fn caller(&mut self) -> (Caller, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        (Caller(self.callers.insert(sender)), receiver)
    }

    fn take_in(&mut self, effects: Vec<Effect>) -> Due {
        let mut due = Due::default();
        for effect in effects {
            match effect {
                Effect::Answer(Caller(key), answer) => {
                    due.answers.extend(self.callers.try_remove(key).map(|sender| (sender, answer)));
                }
                Effect::Wake { group, at_ms } => due.wakes.push((group, at_ms)),
                Effect::StoreGroup { .. }
                | Effect::StoreOffsets(OffsetsToStore { .. })
                | Effect::Tombstones { .. }
                | Effect::HandOver { .. } => {
                    self.outbox.push_back(effect);
                    due.stores = true;
                }
            }
        }
        due
    }
}
