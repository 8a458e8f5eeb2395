//! One hosted partition: machine and log behind one short mutex, and an inbox of appends before it.
//!
//! Nothing awaits, calls back or talks to a peer under the mutex. Who is to be woken or answered is collected
//! and served after it is released. A flush that acknowledgements depend on runs on a blocking thread;
//! what is appended meanwhile waits for the next one (group commit).

mod follower;
pub mod future;
pub mod leader;
mod state;

use super::error::PartitionError;
use super::partition_machine::{Decision, LeadershipState, PartitionMachine};
use super::ticket::{AppendResult, Appended, Ticket};
use super::watch::{WatchId, Watches};
use super::{drain, replica_manager::ReplicaContext};
use crate::common::halt::HaltOnPanic;
use crate::common::{BrokerId, LeaderEpoch, Offset, TopicPartition, Uuid, clock};
use crate::record::Compression;
use crate::record::batch::PreparedBatch;
use crate::record::validator::{Origin, RequestFormat, ValidationRules};
use crate::storage::{AppendOrigin, FlushJob, LeaderAppend, Log, LogPosition, StorageError};
use arc_swap::ArcSwap;
use future::Moving;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Waker;
use tokio::sync::Notify;

/// What a produce request wants to be true before it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequiredAcks {
    /// `acks=0`: nobody reads the answer.
    None,
    /// `acks=1`: in the leader's log.
    Leader,
    /// `acks=all`: in the log of every in-sync replica.
    All,
}

/// Who appends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Appender {
    /// A produce request.
    Client,
    /// A coordinator on this broker, whose state is of this leader epoch: under another it must not append.
    Coordinator {
        /// The epoch.
        leader_epoch: LeaderEpoch,
    },
}

/// One request's batches for this partition, with its place on the request's ticket.
#[derive(Debug)]
pub struct Append {
    /// Validated batches.
    pub batches: SmallVec<[PreparedBatch; 1]>,
    /// Who appends them.
    pub appender: Appender,
    /// What the request waits for.
    pub acks: RequiredAcks,
    /// The request.
    pub ticket: Arc<Ticket>,
    /// This partition's slot on the ticket.
    pub slot: usize,
}

/// Settings of the partition's topic that requests need without the mutex.
#[derive(Clone, Debug)]
pub struct AppendSettings {
    rules: [ValidationRules; REQUEST_FORMATS.len()],
    coordinator_rules: ValidationRules,
    min_in_sync_replicas: usize,
    /// `message.downconversion.enable`: batches may be converted for clients that are too old for them.
    pub converts_down: bool,
}

const REQUEST_FORMATS: [RequestFormat; 3] =
    [RequestFormat::AnyBatches, RequestFormat::OneBatchWithoutZstd, RequestFormat::OneBatch];

impl AppendSettings {
    /// `rules` of any request format, `min.insync.replicas`, `message.downconversion.enable`.
    pub fn new(rules: &ValidationRules, min_in_sync_replicas: usize, converts_down: bool) -> AppendSettings {
        let of = |request_format| ValidationRules { request_format, ..rules.clone() };
        let coordinator_rules =
            ValidationRules { origin: Origin::Coordinator, ..of(RequestFormat::AnyBatches) };
        AppendSettings {
            rules: REQUEST_FORMATS.map(of),
            coordinator_rules,
            min_in_sync_replicas,
            converts_down,
        }
    }

    /// True if `compression.type` makes all batches zstd.
    pub fn compresses_with_zstd(&self) -> bool {
        self.rules[0].target_compression == Some(Compression::Zstd)
    }

    /// The rules for what coordinators append.
    pub fn coordinator_rules(&self) -> &ValidationRules {
        &self.coordinator_rules
    }

    /// The rules for a request.
    pub fn rules(&self, format: RequestFormat) -> &ValidationRules {
        self.rules.iter().find(|rules| rules.request_format == format).expect("all formats are there")
    }
}

struct Waiting {
    /// The offset that must be committed, exclusive.
    required: Offset,
    acks: RequiredAcks,
    appended: Appended,
    ticket: Arc<Ticket>,
    slot: usize,
}

/// Who reads a partition: it decides how far, and what wakes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reader {
    /// A consumer, up to the high watermark.
    #[default]
    Consumer,
    /// A follower, up to the end of the log. Its fetch offset tells how far it has come.
    Follower(BrokerId),
}

/// State under the mutex.
pub struct PartitionState {
    /// Role and high watermark.
    pub machine: PartitionMachine,
    /// The log; none once its directory failed.
    pub log: Option<Log>,
    /// The copy that moves to another directory.
    future: Option<Box<Moving>>,
    /// The topic's id, zero if unknown.
    pub topic_id: Uuid,
    /// End of what may be acknowledged: the log end, or the flushed end while a required flush runs.
    local_end: LogPosition,
    flush_running: bool,
    waiting: VecDeque<Waiting>,
    min_in_sync_replicas: usize,
    /// Of those who read what is committed.
    watches: Watches,
    /// Of followers, who read all there is.
    follower_watches: Watches,
    /// Followers hear of what is committed as soon as it is.
    tells_followers: bool,
    /// Wakes those who wait for followers to delete records; none before the first.
    deleters: Option<Arc<Notify>>,
}

/// Answers and wake-ups that are due once the mutex is released.
#[derive(Default)]
pub(super) struct Due {
    answers: Vec<(Arc<Ticket>, usize, AppendResult)>,
    wake: Vec<Waker>,
    deleters: Option<Arc<Notify>>,
}

impl Due {
    fn serve(self) {
        for (ticket, slot, result) in self.answers {
            ticket.complete(slot, result);
        }
        for waker in self.wake {
            waker.wake();
        }
        if let Some(deleters) = self.deleters {
            deleters.notify_waiters();
        }
    }
}

/// The state under its mutex; a panic meanwhile halts the process.
struct Locked<'a> {
    state: MutexGuard<'a, PartitionState>,
    _halt: HaltOnPanic,
}

impl Deref for Locked<'_> {
    type Target = PartitionState;

    fn deref(&self) -> &PartitionState {
        &self.state
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut PartitionState {
        &mut self.state
    }
}

/// Appends in line. An idle partition keeps no memory for them: the room for a turn's appends is made at once, as
/// much as the turn before needed.
#[derive(Default)]
struct Inbox {
    appends: Vec<Append>,
    last_turn: usize,
}

/// Room that is made in advance at most.
const INBOX_ROOM_MAX: usize = 1024;

impl Inbox {
    fn push(&mut self, append: Append) {
        if self.appends.is_empty() {
            self.appends.reserve_exact(self.last_turn);
        }
        self.appends.push(append);
    }

    fn take(&mut self) -> Vec<Append> {
        self.last_turn = self.appends.len().min(INBOX_ROOM_MAX);
        std::mem::take(&mut self.appends)
    }
}

/// A partition that this broker hosts.
pub struct Partition {
    /// Its name.
    pub name: TopicPartition,
    settings: ArcSwap<AppendSettings>,
    inbox: Mutex<Inbox>,
    state: Mutex<PartitionState>,
    context: Arc<ReplicaContext>,
}

impl Partition {
    /// A partition without a role. `high_watermark` comes from the checkpoint.
    pub fn new(
        name: TopicPartition,
        log: Log,
        high_watermark: Offset,
        settings: AppendSettings,
        context: Arc<ReplicaContext>,
    ) -> Arc<Partition> {
        let (start, end) = (log.log_start_offset(), log.log_end());
        let bounded = high_watermark.clamp(start, end.offset);
        let position = if bounded == end.offset { end } else { LogPosition::of_offset(bounded) };
        let machine = PartitionMachine::new(context.broker_id, position, context.replica_lag_ms_max);
        let state = PartitionState {
            machine,
            log: Some(log),
            future: None,
            topic_id: Uuid::ZERO,
            local_end: end,
            flush_running: false,
            waiting: VecDeque::new(),
            min_in_sync_replicas: settings.min_in_sync_replicas,
            watches: Watches::default(),
            follower_watches: Watches::default(),
            tells_followers: context.reads_near,
            deleters: None,
        };
        let (settings, state) = (ArcSwap::from_pointee(settings), Mutex::new(state));
        Arc::new(Partition { name, settings, inbox: Mutex::default(), state, context })
    }

    /// The settings for the validation of batches.
    pub fn settings(&self) -> Arc<AppendSettings> {
        self.settings.load_full()
    }

    /// Replaces the settings after a change of the topic's configuration.
    pub fn set_settings(&self, settings: AppendSettings) {
        self.lock().min_in_sync_replicas = settings.min_in_sync_replicas;
        self.settings.store(Arc::new(settings));
    }

    /// Puts batches in line; they are written at the end of this turn of the event loop ([`drain`]).
    pub fn enqueue(self: &Arc<Self>, append: Append) {
        let mut inbox = self.inbox.lock().expect("no panic while an inbox is locked");
        inbox.push(append);
        let first = inbox.appends.len() == 1;
        drop(inbox);
        if first {
            drain::schedule(self);
        }
    }

    /// Writes everything in line.
    pub fn drain(self: &Arc<Self>) {
        let appends = self.inbox.lock().expect("no panic while an inbox is locked").take();
        if appends.is_empty() {
            return;
        }
        let mut due = Due::default();
        let mut state = self.lock();
        let failure = state.append(appends, &mut due);
        let flush = state.settle(&mut due);
        drop(state);
        due.serve();
        if let Some(error) = failure {
            self.context.storage_failed(&error);
        }
        if flush {
            self.start_flush();
        }
    }

    /// Applies a decision of the controller that makes this broker the leader.
    pub fn become_leader(&self, decision: &LeadershipState) -> Result<Decision, PartitionError> {
        let mut due = Due::default();
        let mut guard = self.lock();
        let state = &mut *guard;
        let judged = state.machine.judge(decision);
        if judged != Decision::Accepted {
            return Ok(judged);
        }
        let log = state.log.as_mut().ok_or(PartitionError::StorageFailed)?;
        let local_end = log.log_end();
        let assigned = log.assign_epoch_start(decision.leader_epoch, local_end.offset);
        state.local_end = local_end;
        state.machine.become_leader(decision, local_end, clock::monotonic_ms());
        // Whoever waits must look again: the epoch has changed.
        state.mark_all(&mut due);
        state.answer_committed(&mut due);
        drop(guard);
        due.serve();
        if let Err(error) = assigned {
            self.context.storage_failed(&error);
            return Err(PartitionError::StorageFailed);
        }
        Ok(judged)
    }

    /// Applies a decision that makes another broker the leader.
    pub fn become_follower(&self, decision: &LeadershipState) -> Result<Decision, PartitionError> {
        let mut due = Due::default();
        let mut state = self.lock();
        let judged = state.machine.judge(decision);
        if judged == Decision::Accepted {
            if state.log.is_none() {
                return Err(PartitionError::StorageFailed);
            }
            state.machine.become_follower(decision);
            state.refuse_waiting(&PartitionError::NotLeader, &mut due);
        }
        drop(state);
        due.serve();
        Ok(judged)
    }

    /// Ends the partition: takes the log out, refuses whoever waits.
    pub fn take_log(&self, reason: &PartitionError) -> Option<Log> {
        let mut due = Due::default();
        let mut state = self.lock();
        let log = state.log.take();
        state.refuse_waiting(reason, &mut due);
        drop(state);
        due.serve();
        log
    }

    /// Runs `action` with the state locked; it must be short and must not block on a peer.
    pub fn with_state<R>(&self, action: impl FnOnce(&mut PartitionState) -> R) -> R {
        action(&mut self.lock())
    }

    /// Wakes waiting fetches, after a change that they should see.
    pub fn wake_watches(&self) {
        let mut due = Due::default();
        self.lock().mark_all(&mut due);
        due.serve();
    }

    /// Flushes a log that wants it (a segment was rolled, `flush.ms` went by). Blocks on the disk, off the mutex, but for
    /// the epochs of a new leader.
    pub fn flush_if_wanted(&self, now_ms: i64) -> Result<(), StorageError> {
        let job = self.with_state(|state| {
            let Some(log) = state.log.as_mut() else { return Ok(None) };
            log.write_stale_epochs()?;
            if log.flush_wanted(now_ms) { log.begin_flush(now_ms) } else { Ok(None) }
        })?;
        let Some(job) = job else { return Ok(()) };
        let done = job.run()?;
        self.with_state(|state| {
            if let Some(log) = state.log.as_mut() {
                log.complete_flush(done);
            }
        });
        Ok(())
    }

    /// Reports that the directory of this partition failed.
    pub(super) fn storage_failed(&self, failure: &StorageError) -> PartitionError {
        self.context.storage_failed(failure);
        PartitionError::StorageFailed
    }

    /// Ends a watch of [`PartitionState::watch`].
    pub fn unwatch(&self, id: WatchId, reader: Reader) {
        self.lock().watches_of(reader).remove(id);
    }

    fn lock(&self) -> Locked<'_> {
        let state = self.state.lock().expect("a panic under this lock halts the process");
        Locked { state, _halt: HaltOnPanic::new("a partition changes") }
    }

    /// Flushes on a blocking thread, then acknowledges what the flush covers, until nothing is missing.
    fn start_flush(self: &Arc<Self>) {
        let partition = Arc::clone(self);
        self.context.spawn_blocking(move || {
            let _halt = HaltOnPanic::new("a log is flushed");
            while partition.flush_round() {}
        });
    }

    fn flush_round(self: &Arc<Self>) -> bool {
        let begun = self.with_state(|state| {
            let log = state.log.as_mut()?;
            let end = log.log_end();
            Some((log.begin_flush(clock::now_ms()), end))
        });
        let Some((job, end)) = begun else { return false };
        let flushed = job.and_then(|job| job.map(FlushJob::run).transpose());
        let mut due = Due::default();
        let mut state = self.lock();
        let (again, failure) = match flushed {
            Ok(done) => (state.flushed(done, end, &mut due), None),
            Err(error) => {
                state.fail(&mut due);
                (false, Some(error))
            }
        };
        drop(state);
        due.serve();
        if let Some(error) = failure {
            self.context.storage_failed(&error);
        }
        again
    }
}
