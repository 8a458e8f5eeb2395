//! The rules of one partition's state; whoever calls holds its mutex, and serves what is due afterwards.

use super::{
    Append, AppendOrigin, Appended, Appender, Due, LeaderAppend, PartitionState, Reader, RequiredAcks,
    Waiting,
};
use crate::common::{LeaderEpoch, clock};
use crate::replication::PartitionError;
use crate::replication::partition_machine::LeaderEnds;
use crate::replication::watch::{WatchId, Watcher, Watches};
use crate::storage::{FlushDone, Log, LogPosition, StorageError};
use log::error;
use std::collections::VecDeque;
use std::sync::Arc;

impl PartitionState {
    /// The epoch check of KIP-320: `current` is what the client believes, -1 if it does not say.
    pub fn check_leader(&self, current: LeaderEpoch) -> Result<(), PartitionError> {
        self.check_epoch(current)?;
        if !self.machine.is_leader() {
            return Err(PartitionError::NotLeader);
        }
        Ok(())
    }

    /// The same without the question who leads.
    pub fn check_epoch(&self, current: LeaderEpoch) -> Result<(), PartitionError> {
        if self.log.is_none() {
            return Err(PartitionError::StorageFailed);
        }
        if current != -1 && current < self.machine.leader_epoch() {
            return Err(PartitionError::FencedLeaderEpoch);
        }
        if current > self.machine.leader_epoch() {
            return Err(PartitionError::UnknownLeaderEpoch);
        }
        Ok(())
    }

    /// Watches for the next move of the partition that concerns `reader`.
    pub fn watch(
        &mut self,
        reader: Reader,
        known: Option<WatchId>,
        watcher: &Arc<Watcher>,
        key: u32,
    ) -> WatchId {
        let watches = self.watches_of(reader);
        match known {
            Some(id) => {
                watches.arm(id);
                id
            }
            None => watches.add(watcher, key),
        }
    }

    pub(super) fn watches_of(&mut self, reader: Reader) -> &mut Watches {
        match reader {
            Reader::Consumer => &mut self.watches,
            Reader::Follower(_) => &mut self.follower_watches,
        }
    }

    pub(super) fn mark_all(&mut self, due: &mut Due) {
        self.watches.mark_all(&mut due.wake);
        self.follower_watches.mark_all(&mut due.wake);
    }

    /// The ends of a leader's log now.
    pub(super) fn leader_ends(&self) -> Option<LeaderEnds> {
        let log_end = self.log.as_ref()?.log_end_offset();
        Some(LeaderEnds { local_end: self.local_end, log_end, now_ms: clock::monotonic_ms() })
    }

    pub(super) fn append(&mut self, appends: Vec<Append>, due: &mut Due) -> Option<StorageError> {
        let too_few = self.machine.in_sync_replicas().len() < self.min_in_sync_replicas;
        let leads = self.machine.is_leader();
        let Some(log) = self.log.as_mut() else {
            refuse(appends, &PartitionError::StorageFailed, due);
            return None;
        };
        if !leads {
            refuse(appends, &PartitionError::NotLeader, due);
            return None;
        }
        let mut group = Vec::with_capacity(appends.len());
        let mut requests = Vec::with_capacity(appends.len());
        let epoch = self.machine.leader_epoch();
        for append in appends {
            let origin = match append.appender {
                Appender::Client => AppendOrigin::Client,
                Appender::Coordinator { leader_epoch } if leader_epoch == epoch => AppendOrigin::Coordinator,
                Appender::Coordinator { .. } => {
                    due.answers.push((append.ticket, append.slot, Err(PartitionError::NotLeader)));
                    continue;
                }
            };
            if too_few && append.acks == RequiredAcks::All {
                due.answers.push((append.ticket, append.slot, Err(PartitionError::NotEnoughReplicas)));
                continue;
            }
            group.push(LeaderAppend::new(append.batches, origin));
            requests.push((append.acks, append.ticket, append.slot));
        }
        if self.machine.has_followers() {
            self.machine.about_to_append(log.log_end_offset(), clock::monotonic_ms());
        }
        if let Err(error) = log.append_as_leader(&mut group, epoch, clock::now_ms()) {
            let failed = PartitionError::StorageFailed;
            due.answers.extend(requests.into_iter().map(|(_, t, slot)| (t, slot, Err(failed.clone()))));
            self.fail(due);
            return Some(error);
        }
        self.waiting.reserve(group.len());
        for (append, (acks, ticket, slot)) in group.into_iter().zip(requests) {
            match append.outcome {
                Err(refused) => due.answers.push((ticket, slot, Err(PartitionError::Append(refused)))),
                Ok(done) => {
                    let appended = Appended {
                        base_offset: done.first_offset,
                        log_append_time_ms: done.log_append_time_ms,
                        log_start_offset: done.log_start_offset,
                    };
                    let required = done.last_offset + 1;
                    self.waiting.push_back(Waiting { required, acks, appended, ticket, slot });
                }
            }
        }
        None
    }

    /// After an append: acknowledges what can be. True if a flush must run first (`log.flush.interval.messages`).
    pub(super) fn settle(&mut self, due: &mut Due) -> bool {
        let Some(log) = self.log.as_ref() else { return false };
        // Followers copy at once what a flush here still holds up.
        self.follower_watches.mark_all(&mut due.wake);
        if self.flush_running {
            return false;
        }
        if is_flush_required(log) {
            self.flush_running = true;
            return true;
        }
        self.local_end = log.log_end();
        self.moved(due);
        false
    }

    /// A flush of everything up to `end` is over. True if another must follow at once.
    pub(super) fn flushed(&mut self, done: Option<FlushDone>, end: LogPosition, due: &mut Due) -> bool {
        let Some(log) = self.log.as_mut() else { return false };
        if let Some(done) = done {
            log.complete_flush(done);
        }
        let again = is_flush_required(log);
        self.local_end = if again { end } else { log.log_end() };
        self.flush_running = again;
        self.moved(due);
        again
    }

    /// The local end moved: commits, answers, wakes.
    pub(super) fn moved(&mut self, due: &mut Due) {
        let now_ms = if self.machine.has_followers() { clock::monotonic_ms() } else { 0 };
        if self.machine.advance(self.local_end, now_ms) {
            self.committed(due);
        }
        self.answer_committed(due);
    }

    /// The high watermark moved: whoever reads what is committed looks again, and followers hear of it with their next
    /// answer.
    pub(super) fn committed(&mut self, due: &mut Due) {
        self.watches.mark_all(&mut due.wake);
        if self.tells_followers {
            self.follower_watches.mark_all(&mut due.wake);
        } else {
            self.follower_watches.note_all();
        }
    }

    pub(super) fn answer_committed(&mut self, due: &mut Due) {
        if self.waiting.is_empty() {
            return;
        }
        let local = self.local_end.offset;
        let committed = self.machine.high_watermark().offset;
        let too_few = self.machine.maximal_in_sync() < self.min_in_sync_replicas;
        let mut kept = VecDeque::new();
        due.answers.reserve(self.waiting.len());
        for waiting in self.waiting.drain(..) {
            let reached = match waiting.acks {
                RequiredAcks::All => committed,
                RequiredAcks::None | RequiredAcks::Leader => local,
            };
            if waiting.required > reached {
                kept.push_back(waiting);
                continue;
            }
            // It was replicated, but the ISR has shrunk below what the topic asks for since it was accepted.
            let result = match waiting.acks == RequiredAcks::All && too_few {
                true => Err(PartitionError::NotEnoughReplicasAfterAppend),
                false => Ok(waiting.appended),
            };
            due.answers.push((waiting.ticket, waiting.slot, result));
        }
        self.waiting = kept;
    }

    pub(super) fn refuse_waiting(&mut self, reason: &PartitionError, due: &mut Due) {
        for waiting in self.waiting.drain(..) {
            due.answers.push((waiting.ticket, waiting.slot, Err(reason.clone())));
        }
        self.tell_deleters(due);
        self.mark_all(due);
    }

    /// Whoever waits for followers to delete records looks again.
    pub(super) fn tell_deleters(&mut self, due: &mut Due) {
        self.deleters.take_if(|deleters| Arc::strong_count(deleters) == 1);
        due.deleters.clone_from(&self.deleters);
    }

    /// The directory failed: the log is given up, nothing is acknowledged from now on.
    pub(super) fn fail(&mut self, due: &mut Due) {
        if let Some(log) = self.log.take() {
            error!(target: "kafka.server.ReplicaManager", "Partition {} is offline", log.topic_partition());
        }
        self.refuse_waiting(&PartitionError::StorageFailed, due);
    }
}

/// `flush.messages`: so many records are not acknowledged without a flush.
pub(super) fn is_flush_required(log: &Log) -> bool {
    log.unflushed_messages() >= log.config().flush_messages
}

fn refuse(appends: Vec<Append>, reason: &PartitionError, due: &mut Due) {
    due.answers.extend(appends.into_iter().map(|append| (append.ticket, append.slot, Err(reason.clone()))));
}
