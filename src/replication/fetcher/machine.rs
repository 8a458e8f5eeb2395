//! What one fetcher does for the partitions that it copies from one leader: what to ask next, and what an answer
//! means. Pure but for the logs, which it changes through [`FollowerLog`]: no connection, no clock, no lock.
//!
//! Invariants:
//! - a partition that is fetched has `fetch_offset` = its log end; what an answer holds for another offset, or for
//!   another leader epoch than the partition's, is ignored;
//! - nothing is appended before the log was cut to what it has in common with the leader's (KIP-101): by a phase of
//!   its own, or by the leader's word in the answer to a fetch (KIP-595);
//! - an answer that orders a cut never raises the high watermark (KAFKA-14704);
//! - what a leader says in a session it does not say again: if it was not taken in, the next request is full;
//! - one request is under way at a time; it names only partitions that are neither delayed nor being cut.
//!
//! Source: Kafka 2.8.2, `AbstractFetcherThread.scala`, `ReplicaFetcherThread.scala`. Different here: a partition that
//! its new leader does not know yet is asked for again sooner than after `replica.fetch.backoff.ms`, which is only
//! reached by doubling; records that cannot be appended are fetched again after that pause instead of never; offsets
//! that reset many partitions are asked for together.

mod answers;
#[cfg(test)]
mod tests;

use super::messages::{
    Ask, EpochQuestion, FetchQuestion, FollowerLog, LogFailure, LogView, OffsetQuestion, Throttle,
};
use super::session::{FetchPosition, FetcherSession};
use crate::common::{LeaderEpoch, Offset, TopicPartition};
use log::{info, warn};
use std::collections::{BTreeSet, HashMap};

const TARGET: &str = "kafka.server.ReplicaFetcherThread";
/// First pause where the leader has probably not heard of its office yet; it doubles.
const RETRY_MS: i64 = 20;

/// What the protocol and the configuration decide.
#[derive(Clone, Debug)]
pub struct MachineSettings {
    /// Begins every line of the log.
    pub ident: String,
    /// Fetch answers tell where logs part (KIP-595).
    pub truncates_on_fetch: bool,
    /// OffsetForLeaderEpoch may be asked (KIP-101); else logs are cut to the high watermark.
    pub asks_epochs: bool,
    /// `replica.fetch.backoff.ms`.
    pub backoff_ms: i64,
    /// `replica.fetch.wait.max.ms`.
    pub wait_ms_max: i64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// To be cut before anything is fetched.
    Truncating,
    Fetching,
    /// Out of range: where does the leader's log end?
    AskingEnd,
    /// Not below the own end: where does it start?
    AskingStart {
        leader_end: Offset,
    },
}

#[derive(Debug)]
struct Entry<L> {
    log: L,
    leader_epoch: LeaderEpoch,
    phase: Phase,
    fetch_offset: Offset,
    log_start_offset: Offset,
    last_fetched_epoch: Option<LeaderEpoch>,
    /// Behind the leader's high watermark as of the last answer.
    lag: Option<i64>,
    delayed_until_ms: Option<i64>,
    /// Quick retries since the last success.
    retries: u32,
    /// Place in full requests: who got data goes to the end.
    turn: u64,
}

/// See the module.
#[derive(Debug)]
pub struct FetcherMachine<L> {
    settings: MachineSettings,
    entries: HashMap<TopicPartition, Entry<L>>,
    session: FetcherSession,
    /// Partitions whose place in the session may have changed.
    touched: Vec<TopicPartition>,
    /// Those in another phase than fetching, not delayed.
    unsettled: BTreeSet<TopicPartition>,
    delayed: BTreeSet<(i64, TopicPartition)>,
    /// Held back by the throttle.
    held_back: BTreeSet<TopicPartition>,
    /// Their leader's high watermark came with an answer that was not taken in.
    unheard: Vec<TopicPartition>,
    /// The leader does not answer: until then nothing is asked.
    paused_until_ms: Option<i64>,
    refused: bool,
    turns: u64,
}

impl<L: FollowerLog> FetcherMachine<L> {
    /// Without partitions.
    pub fn new(settings: MachineSettings) -> FetcherMachine<L> {
        FetcherMachine {
            settings,
            entries: HashMap::new(),
            session: FetcherSession::default(),
            touched: Vec::new(),
            unsettled: BTreeSet::new(),
            delayed: BTreeSet::new(),
            held_back: BTreeSet::new(),
            unheard: Vec::new(),
            paused_until_ms: None,
            refused: false,
            turns: 0,
        }
    }

    /// Begins to follow, or follows in another leader epoch. In the one that is known nothing changes.
    pub fn add(&mut self, name: TopicPartition, leader_epoch: LeaderEpoch, log: L) {
        self.paused_until_ms = None;
        if self.entries.get(&name).is_some_and(|entry| entry.leader_epoch == leader_epoch) {
            return;
        }
        self.remove(&name);
        let view = match log.look(leader_epoch) {
            Ok(view) => view,
            Err(failure) => return self.give_up(&name, &failure),
        };
        // Without epochs (an empty log, an old message format) there is nothing to compare on a fetch.
        let fetches = self.settings.truncates_on_fetch && view.latest_epoch.is_some();
        self.turns += 1;
        let entry = Entry {
            log,
            leader_epoch,
            phase: if fetches { Phase::Fetching } else { Phase::Truncating },
            fetch_offset: view.log_end_offset,
            log_start_offset: view.log_start_offset,
            last_fetched_epoch: view.latest_epoch,
            lag: None,
            delayed_until_ms: None,
            retries: 0,
            turn: self.turns,
        };
        self.entries.insert(name.clone(), entry);
        self.sort_in(&name);
    }

    /// Stops following.
    pub fn remove(&mut self, name: &TopicPartition) {
        let Some(entry) = self.entries.remove(name) else { return };
        if let Some(until) = entry.delayed_until_ms {
            self.delayed.remove(&(until, name.clone()));
        }
        self.unsettled.remove(name);
        self.held_back.remove(name);
        self.touched.push(name.clone());
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True without partitions.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What to ask next. Cuts logs that need no question for it.
    pub fn next(&mut self, now_ms: i64, throttle: &impl Throttle) -> Ask {
        if let Some(until) = self.paused_until_ms {
            if now_ms < until {
                return Ask::Wait(Some(until));
            }
            self.paused_until_ms = None;
        }
        self.end_delays(now_ms);
        let questions = self.epoch_questions(now_ms);
        if !questions.is_empty() {
            return Ask::Epochs(questions);
        }
        let questions = self.offset_questions();
        if !questions.is_empty() {
            return Ask::Offsets(questions);
        }
        self.fetch(now_ms, throttle)
    }

    fn epoch_questions(&mut self, now_ms: i64) -> Vec<EpochQuestion> {
        let mut questions = Vec::new();
        for name in self.names_in(|phase| phase == Phase::Truncating) {
            let Some(entry) = self.entries.get(&name) else { continue };
            match entry.log.look(entry.leader_epoch) {
                Err(failure) => self.give_up(&name, &failure),
                Ok(LogView { latest_epoch: Some(leader_epoch), .. }) if self.settings.asks_epochs => {
                    let current_leader_epoch = entry.leader_epoch;
                    questions.push(EpochQuestion { name, current_leader_epoch, leader_epoch });
                }
                Ok(LogView { high_watermark: offset, .. }) => {
                    info!(target: TARGET, "{}Truncating partition {name} to local high watermark {offset}", self.settings.ident);
                    self.cut(&name, offset, true, now_ms);
                }
            }
        }
        questions
    }

    fn offset_questions(&self) -> Vec<OffsetQuestion> {
        let names = self.names_in(|phase| matches!(phase, Phase::AskingEnd | Phase::AskingStart { .. }));
        let question = |name: TopicPartition| {
            let entry = self.entries.get(&name)?;
            let earliest = matches!(entry.phase, Phase::AskingStart { .. });
            Some(OffsetQuestion { name, current_leader_epoch: entry.leader_epoch, earliest })
        };
        names.into_iter().filter_map(question).collect()
    }

    fn names_in(&self, phase: impl Fn(Phase) -> bool) -> Vec<TopicPartition> {
        let is_in = |name: &&TopicPartition| self.entries.get(*name).is_some_and(|e| phase(e.phase));
        self.unsettled.iter().filter(is_in).cloned().collect()
    }

    fn fetch(&mut self, now_ms: i64, throttle: &impl Throttle) -> Ask {
        let again = std::mem::take(&mut self.held_back);
        self.touched.extend(again);
        let unheard = std::mem::take(&mut self.unheard);
        // Whoever is not asked for now is new to the session when it is again.
        if unheard.iter().any(|name| self.entries.get(name).is_some_and(Entry::is_ready)) {
            self.session.failed();
        }
        let touched = std::mem::take(&mut self.touched);
        let session = if self.session.is_full() {
            let mut ready: Vec<_> = self.entries.iter().filter(|(_, entry)| entry.is_ready()).collect();
            ready.sort_unstable_by_key(|(_, entry)| entry.turn);
            let names: Vec<_> = ready.into_iter().map(|(name, _)| name.clone()).collect();
            let position = |name: TopicPartition| Some((name.clone(), self.wanted(&name, throttle)?));
            let wanted: Vec<_> = names.into_iter().filter_map(position).collect();
            self.session.full(wanted)
        } else {
            let wanted: Vec<_> =
                touched.into_iter().map(|name| (name.clone(), self.wanted(&name, throttle))).collect();
            self.session.incremental(wanted)
        };
        let due = self.delayed.first().map(|(until, _)| *until);
        // Whoever is held back is looked at again soon.
        let again = (!self.held_back.is_empty()).then(|| now_ms + self.settings.backoff_ms.max(1));
        let due = [due, again].into_iter().flatten().min();
        let Some(session) = session else { return Ask::Wait(due) };
        let until_due = due.map_or(i64::MAX, |due| (due - now_ms).max(0));
        Ask::Fetch(FetchQuestion { session, wait_ms_max: self.settings.wait_ms_max.min(until_due) })
    }

    /// What is wanted of a partition now; none if it is not there, not ready, or held back.
    fn wanted(&mut self, name: &TopicPartition, throttle: &impl Throttle) -> Option<FetchPosition> {
        let entry = self.entries.get(name).filter(|entry| entry.is_ready())?;
        // Replicas in sync are never held back: they would leave the ISR.
        if entry.lag != Some(0) && throttle.holds_back(name) {
            self.held_back.insert(name.clone());
            return None;
        }
        let last_fetched_epoch = entry.last_fetched_epoch.filter(|_| self.settings.truncates_on_fetch);
        Some(FetchPosition {
            current_leader_epoch: entry.leader_epoch,
            fetch_offset: entry.fetch_offset,
            log_start_offset: entry.log_start_offset,
            last_fetched_epoch,
        })
    }

    /// There was no answer: whatever was asked is asked again, after a pause.
    pub fn on_failed(&mut self, now_ms: i64) {
        self.session.failed();
        self.paused_until_ms = Some(now_ms + self.settings.backoff_ms.max(1));
    }

    /// The leader has just become known: asks at once.
    pub fn on_reachable(&mut self) {
        self.paused_until_ms = None;
    }

    /// A fetch was given up because partitions came that it does not name.
    pub fn on_interrupted(&mut self) {
        self.session.failed();
    }

    fn enter(&mut self, name: &TopicPartition, phase: Phase) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        entry.phase = phase;
        self.sort_in(name);
    }

    /// Puts a partition where its phase and delay belong.
    fn sort_in(&mut self, name: &TopicPartition) {
        let Some(entry) = self.entries.get(name) else { return };
        if entry.phase == Phase::Fetching || entry.delayed_until_ms.is_some() {
            self.unsettled.remove(name);
        } else {
            self.unsettled.insert(name.clone());
        }
        self.touched.push(name.clone());
    }

    fn delay_briefly(&mut self, name: &TopicPartition, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        let doubled = RETRY_MS << entry.retries.min(16);
        entry.retries += 1;
        self.delay(name, doubled.min(self.settings.backoff_ms), now_ms);
    }

    fn delay(&mut self, name: &TopicPartition, ms: i64, now_ms: i64) {
        let Some(entry) = self.entries.get_mut(name) else { return };
        if entry.delayed_until_ms.is_some() {
            return;
        }
        let until = now_ms + ms.max(1);
        entry.delayed_until_ms = Some(until);
        self.delayed.insert((until, name.clone()));
        self.sort_in(name);
    }

    fn end_delays(&mut self, now_ms: i64) {
        while self.delayed.first().is_some_and(|(until, _)| *until <= now_ms) {
            let Some((_, name)) = self.delayed.pop_first() else { return };
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.delayed_until_ms = None;
                self.sort_in(&name);
            }
        }
    }

    /// The log cannot be changed any more: whoever decided so gives the partition back, or not.
    fn give_up(&mut self, name: &TopicPartition, failure: &LogFailure) {
        self.remove(name);
        if *failure != LogFailure::NotFollowing {
            warn!(target: TARGET, "{}Partition {name} marked as failed: {failure:?}", self.settings.ident);
        }
    }
}

impl<L> Entry<L> {
    fn is_ready(&self) -> bool {
        self.phase == Phase::Fetching && self.delayed_until_ms.is_none()
    }

    /// Notes how the log stands. True if a fetch would say something else now.
    fn take(&mut self, view: &LogView) -> bool {
        let before = (self.fetch_offset, self.log_start_offset, self.last_fetched_epoch);
        self.fetch_offset = view.log_end_offset;
        self.log_start_offset = view.log_start_offset;
        self.last_fetched_epoch = view.latest_epoch;
        before != (self.fetch_offset, self.log_start_offset, self.last_fetched_epoch)
    }
}
