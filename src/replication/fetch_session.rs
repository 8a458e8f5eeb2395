//! Fetch sessions (KIP-227): the broker remembers what a client reads, requests carry only changes.
//!
//! Epochs: 0 opens a session with a full request, -1 is a full request without one (and closes the named
//! one), n continues session `id` whose last request had n-1. After `i32::MAX` comes 1. A client whose
//! session is gone is told so at the top level and opens a new one.

use super::fetch::{FetchLimits, FetchSet, PartitionAnswer, PartitionRequest, PartitionSource};
use super::partition::Reader;
use crate::common::{clock, random};
use bytestring::ByteString;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// "No session".
pub const NO_SESSION: i32 = 0;
const INITIAL_EPOCH: i32 = 0;
const FINAL_EPOCH: i32 = -1;
/// A session that was not used for so long may be evicted for a new one.
const EVICTABLE_IDLE_MS: i64 = 120_000;

/// What a session is asked.
#[derive(Debug, Default)]
pub struct SessionRequest {
    /// Session id of the request.
    pub session_id: i32,
    /// Session epoch of the request.
    pub session_epoch: i32,
    /// Partitions to add or to move.
    pub partitions: Vec<PartitionRequest>,
    /// Partitions to forget.
    pub forgotten: Vec<(ByteString, i32)>,
    /// Who asks; the same in all requests of a session.
    pub reader: Reader,
}

/// Why a session request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SessionError {
    /// FETCH_SESSION_ID_NOT_FOUND.
    NotFound,
    /// INVALID_FETCH_SESSION_EPOCH.
    WrongEpoch,
}

struct Session {
    set: FetchSet,
    next_epoch: i32,
}

struct Entry {
    session: Arc<Mutex<Session>>,
    partitions: usize,
    privileged: bool,
    last_used_ms: i64,
    created_ms: i64,
}

/// All sessions of a broker.
pub struct FetchSessions {
    source: Arc<dyn PartitionSource>,
    slots_max: usize,
    entries: Mutex<HashMap<i32, Entry>>,
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl FetchSessions {
    /// At most `slots_max` sessions (`max.incremental.fetch.session.cache.slots`).
    pub fn new(source: Arc<dyn PartitionSource>, slots_max: usize) -> FetchSessions {
        FetchSessions { source, slots_max, entries: Mutex::default() }
    }

    /// Starts a fetch. The answer comes from the future, which looks at nothing before it is polled.
    pub fn fetch(
        &self,
        request: SessionRequest,
        limits: FetchLimits,
        wait_ms_max: i64,
    ) -> Result<FetchWait, SessionError> {
        let epoch = request.session_epoch;
        if epoch == INITIAL_EPOCH || epoch == FINAL_EPOCH {
            if request.session_id != NO_SESSION {
                self.lock().remove(&request.session_id);
            }
            return Ok(self.full(request, limits, wait_ms_max));
        }
        match self.continue_session(&request)? {
            Some(session) => {
                let next_epoch = next_epoch(epoch);
                let target = Target::Session { session, full: false, next_epoch };
                Ok(FetchWait::new(target, request.session_id, limits, wait_ms_max))
            }
            None => {
                let set = FetchSet::new(Arc::clone(&self.source), request.reader);
                Ok(FetchWait::new(Target::Alone(set), NO_SESSION, limits, wait_ms_max))
            }
        }
    }

    fn full(&self, request: SessionRequest, limits: FetchLimits, wait_ms_max: i64) -> FetchWait {
        let mut set = FetchSet::new(Arc::clone(&self.source), request.reader);
        let slot = if request.session_epoch == INITIAL_EPOCH {
            self.free_slot(request.partitions.len(), request.reader != Reader::Consumer)
        } else {
            None
        };
        let Some(id) = slot else {
            request.partitions.into_iter().for_each(|partition| set.put(partition));
            return FetchWait::new(Target::Alone(set), NO_SESSION, limits, wait_ms_max);
        };
        request.partitions.into_iter().for_each(|partition| set.put(owned(partition)));
        let now_ms = clock::monotonic_ms();
        let partitions = set.len();
        let session = Arc::new(Mutex::new(Session { set, next_epoch: 1 }));
        let entry = Entry {
            session: Arc::clone(&session),
            partitions,
            privileged: request.reader != Reader::Consumer,
            last_used_ms: now_ms,
            created_ms: now_ms,
        };
        self.lock().insert(id, entry);
        FetchWait::new(Target::Session { session, full: true, next_epoch: 1 }, id, limits, wait_ms_max)
    }

    /// The session with its changes; `None` if they leave it without partitions, which ends it.
    fn continue_session(
        &self,
        request: &SessionRequest,
    ) -> Result<Option<Arc<Mutex<Session>>>, SessionError> {
        let entries = self.lock();
        let entry = entries.get(&request.session_id).ok_or(SessionError::NotFound)?;
        let session = Arc::clone(&entry.session);
        drop(entries);
        let mut guard = session.lock().expect("no panic while a session is locked");
        if guard.next_epoch != request.session_epoch || guard.set.reader() != request.reader {
            return Err(SessionError::WrongEpoch);
        }
        guard.next_epoch = next_epoch(guard.next_epoch);
        for partition in &request.partitions {
            guard.set.put(owned(partition.clone()));
        }
        // After the others: who is in both lists is forgotten.
        for (topic, partition) in &request.forgotten {
            guard.set.remove(topic, *partition);
        }
        let partitions = guard.set.len();
        drop(guard);
        let mut entries = self.lock();
        if partitions == 0 {
            entries.remove(&request.session_id);
            return Ok(None);
        }
        if let Some(entry) = entries.get_mut(&request.session_id) {
            entry.last_used_ms = clock::monotonic_ms();
            entry.partitions = partitions;
        }
        Ok(Some(session))
    }

    /// An answer was not sent: a session that began with it is gone (`is_new`), another one tells the same again.
    pub fn take_back<'a>(
        &self,
        session_id: i32,
        is_new: bool,
        told: impl Iterator<Item = (&'a ByteString, i32)>,
    ) {
        let mut entries = self.lock();
        if is_new {
            entries.remove(&session_id);
            return;
        }
        let Some(session) = entries.get(&session_id).map(|entry| Arc::clone(&entry.session)) else { return };
        drop(entries);
        let mut session = session.lock().expect("no panic while a session is locked");
        told.for_each(|(topic, partition)| session.set.untell(topic, partition));
    }

    /// An id for a new session, if there is room or can be made.
    fn free_slot(&self, partitions: usize, privileged: bool) -> Option<i32> {
        let mut entries = self.lock();
        if entries.len() >= self.slots_max {
            let victim = victim(&entries, partitions, privileged, clock::monotonic_ms())?;
            entries.remove(&victim);
        }
        loop {
            let id = (random::next_u64() & 0x7fff_ffff) as i32;
            if id != NO_SESSION && !entries.contains_key(&id) {
                return Some(id);
            }
        }
    }

    /// Sessions at the moment.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// True without sessions.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.entries.lock().expect("no panic while the sessions are locked")
    }
}

/// The session that yields to a new one: the longest unused if that is long enough, else the smallest that is
/// smaller than the newcomer and has lived for a while; a follower's only yields to a follower's.
fn victim(entries: &HashMap<i32, Entry>, partitions: usize, privileged: bool, now_ms: i64) -> Option<i32> {
    let (oldest, entry) = entries.iter().min_by_key(|(_, entry)| entry.last_used_ms)?;
    if now_ms - entry.last_used_ms > EVICTABLE_IDLE_MS {
        return Some(*oldest);
    }
    entries
        .iter()
        .filter(|(_, entry)| privileged || !entry.privileged)
        .filter(|(_, entry)| now_ms - entry.created_ms > EVICTABLE_IDLE_MS)
        .filter(|(_, entry)| (privileged && !entry.privileged) || entry.partitions < partitions)
        .min_by_key(|(_, entry)| (entry.privileged, entry.partitions))
        .map(|(id, _)| *id)
}

/// Without a tie to the frame that the name came in.
fn owned(request: PartitionRequest) -> PartitionRequest {
    PartitionRequest { topic: ByteString::from(&*request.topic), ..request }
}

enum Target {
    Alone(FetchSet),
    /// `next_epoch` is the session's, unless another request came in between.
    Session {
        session: Arc<Mutex<Session>>,
        full: bool,
        next_epoch: i32,
    },
}

/// What a fetch found.
#[derive(Debug)]
pub struct Fetched {
    /// Id for the response; 0: none.
    pub session_id: i32,
    /// Partitions that the response lists.
    pub answers: Vec<PartitionAnswer>,
    /// A later request of the same session came before the answer; there are no answers then.
    pub overtaken: bool,
}

/// A fetch that waits for data.
pub struct FetchWait {
    target: Target,
    session_id: i32,
    limits: FetchLimits,
    wait_ms_max: i64,
    timer: Option<Pin<Box<Sleep>>>,
}

impl FetchWait {
    fn new(target: Target, session_id: i32, limits: FetchLimits, wait_ms_max: i64) -> FetchWait {
        FetchWait { target, session_id, limits, wait_ms_max, timer: None }
    }

    fn with_set<R>(&mut self, action: impl FnOnce(&mut FetchSet) -> R) -> R {
        match &mut self.target {
            Target::Alone(set) => action(set),
            Target::Session { session, .. } => {
                action(&mut session.lock().expect("no panic while a session is locked").set)
            }
        }
    }

    fn finish(&mut self) -> Fetched {
        let limits = self.limits.clone();
        let answers = match &mut self.target {
            Target::Alone(set) => Some(set.answer(&limits, true)),
            Target::Session { session, full, next_epoch } => {
                let mut session = session.lock().expect("no panic while a session is locked");
                (session.next_epoch == *next_epoch).then(|| session.set.answer(&limits, *full))
            }
        };
        let overtaken = answers.is_none();
        Fetched { session_id: self.session_id, answers: answers.unwrap_or_default(), overtaken }
    }
}

impl Future for FetchWait {
    type Output = Fetched;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fetched> {
        let limits = self.limits.clone();
        if self.wait_ms_max <= 0 {
            self.with_set(|set| set.look_once(&limits));
            return Poll::Ready(self.finish());
        }
        if self.with_set(|set| set.poll_enough(&limits, cx)).is_ready() {
            return Poll::Ready(self.finish());
        }
        let wait = Duration::from_millis(self.wait_ms_max as u64);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait)));
        if timer.as_mut().poll(cx).is_ready() {
            // What is to be told though nobody was woken for it: high watermarks, to followers.
            self.with_set(|set| set.look_once(&limits));
            return Poll::Ready(self.finish());
        }
        Poll::Pending
    }
}
