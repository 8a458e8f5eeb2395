//! Committed offsets of a group: accepted, stored, transactional ones on their way, expired.
//!
//! What counts is the order of the records in the log, not that of the answers: an offset replaces another only if its
//! record stands behind it, so that memory is what a load of the log would give.

use super::machine::{Group, State};
use super::membership::MemberRef;
use super::offsets::{CommittedOffset, ExpiryRule};
use super::step::Step;
use crate::common::{ErrorCode, Offset, ProducerId, TopicPartition};
use bytestring::ByteString;
use foldhash::fast::RandomState;
use std::collections::{HashMap, HashSet};

/// Something for each partition. Only partitions that exist come in, so nobody can choose keys that collide.
pub(super) type ByPartition<V> = HashMap<TopicPartition, V, RandomState>;

/// A committed offset, and where its record stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Placed {
    pub(super) committed: CommittedOffset,
    /// Of the batch.
    pub(super) log_offset: Offset,
}

/// An offset in a transaction that has not ended, or whose record is not confirmed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PendingOffset {
    pub(super) committed: CommittedOffset,
    /// None until the record is in the log.
    pub(super) log_offset: Option<Offset>,
    /// The transaction has committed, and only the word that the record is stored is missing.
    pub(super) decided: bool,
}

/// Offsets of a group.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct GroupOffsets {
    pub(super) committed: ByPartition<Placed>,
    /// How many records are on their way.
    pub(super) in_flight: ByPartition<usize>,
    pub(super) transactional: HashMap<ProducerId, ByPartition<PendingOffset>>,
    /// Committed by transactions, on their way to a store outside of `__consumer_offsets`.
    pub(super) handing_over: ByPartition<usize>,
}

fn decrement(counts: &mut ByPartition<usize>, partition: &TopicPartition) -> bool {
    let Some(count) = counts.get_mut(partition) else { return false };
    *count -= 1;
    if *count == 0 {
        counts.remove(partition);
    }
    true
}

impl GroupOffsets {
    /// True if something is committed, or may be soon.
    pub(super) fn has_any(&self) -> bool {
        !self.committed.is_empty()
            || !self.in_flight.is_empty()
            || !self.transactional.is_empty()
            || !self.handing_over.is_empty()
    }

    /// True if the offset may change without anybody doing anything more.
    pub(super) fn is_unstable(&self, partition: &TopicPartition) -> bool {
        self.in_flight.contains_key(partition)
            || self.handing_over.contains_key(partition)
            || self.transactional.values().any(|offsets| offsets.contains_key(partition))
    }

    pub(super) fn place(
        &mut self,
        partition: &TopicPartition,
        committed: &CommittedOffset,
        log_offset: Offset,
    ) {
        match self.committed.get_mut(partition) {
            Some(known) if known.log_offset >= log_offset => {}
            Some(known) => *known = Placed { committed: committed.clone(), log_offset },
            None => {
                let placed = Placed { committed: committed.clone(), log_offset };
                self.committed.insert(partition.clone(), placed);
            }
        }
    }

    fn prepare(&mut self, offsets: &[(TopicPartition, CommittedOffset)], producer: Option<ProducerId>) {
        let Some(producer) = producer else {
            for (partition, _) in offsets {
                *self.in_flight.entry(partition.clone()).or_default() += 1;
            }
            return;
        };
        let pending = self.transactional.entry(producer).or_default();
        for (partition, committed) in offsets {
            let entry = PendingOffset { committed: committed.clone(), log_offset: None, decided: false };
            pending.insert(partition.clone(), entry);
        }
    }

    fn plain_stored(&mut self, offsets: &[(TopicPartition, CommittedOffset)], log_offset: Option<Offset>) {
        for (partition, committed) in offsets {
            // If it was deleted meanwhile, it stays so: its tombstone stands behind it.
            if decrement(&mut self.in_flight, partition)
                && let Some(log_offset) = log_offset
            {
                self.place(partition, committed, log_offset);
            }
        }
    }

    /// Gives the offsets whose transaction has committed already.
    fn transactional_stored(
        &mut self,
        producer: ProducerId,
        offsets: &[(TopicPartition, CommittedOffset)],
        log_offset: Option<Offset>,
    ) -> Vec<(TopicPartition, CommittedOffset, Offset)> {
        let mut decided = Vec::new();
        let Some(pending) = self.transactional.get_mut(&producer) else { return decided };
        for (partition, committed) in offsets {
            let Some(entry) = pending.get_mut(partition).filter(|e| e.committed == *committed) else {
                continue;
            };
            match log_offset {
                Some(log_offset) if !entry.decided => entry.log_offset = Some(log_offset),
                Some(log_offset) => {
                    decided.push((partition.clone(), committed.clone(), log_offset));
                    pending.remove(partition);
                }
                None => {
                    pending.remove(partition);
                }
            }
        }
        if pending.is_empty() {
            self.transactional.remove(&producer);
        }
        decided
    }

    /// Ends a transaction; gives what is committed by it.
    fn complete(
        &mut self,
        producer: ProducerId,
        commits: bool,
    ) -> Vec<(TopicPartition, CommittedOffset, Offset)> {
        let Some(pending) = self.transactional.remove(&producer) else { return Vec::new() };
        let (mut decided, mut left) = (Vec::new(), ByPartition::default());
        for (partition, mut entry) in pending {
            match entry.log_offset {
                Some(log_offset) if commits => decided.push((partition, entry.committed, log_offset)),
                None if commits => {
                    entry.decided = true;
                    left.insert(partition, entry);
                }
                _ => {}
            }
        }
        if !left.is_empty() {
            self.transactional.insert(producer, left);
        }
        decided.sort_unstable_by(|(a, ..), (b, ..)| a.cmp(b));
        decided
    }

    /// Forgets offsets; gives the partitions that had one.
    pub(super) fn remove<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) -> Vec<TopicPartition> {
        let mut removed = Vec::new();
        for partition in partitions {
            self.in_flight.remove(partition);
            self.transactional.values_mut().for_each(|offsets| drop(offsets.remove(partition)));
            if self.committed.remove(partition).is_some() {
                removed.push(partition.clone());
            }
        }
        self.transactional.retain(|_, offsets| !offsets.is_empty());
        removed
    }
}

impl Group {
    /// Judges a commit. What is accepted counts as a sign of life.
    pub(super) fn check_commit(
        &mut self,
        member: &MemberRef,
        generation: i32,
        step: &Step<'_>,
    ) -> Result<(), ErrorCode> {
        self.check_instance(&member.member_id, member.instance_id.as_ref())?;
        if generation < 0 && self.state == State::Empty {
            // The group uses this broker to store offsets only.
            return Ok(());
        }
        self.check_member(member, generation)?;
        match self.state {
            State::Stable | State::PreparingRebalance => {
                self.renew_session(&member.member_id, step);
                Ok(())
            }
            // It knows of the new generation and cannot have consumed anything in it.
            State::CompletingRebalance => Err(ErrorCode::RebalanceInProgress),
            State::Empty => Err(ErrorCode::UnknownMemberId),
        }
    }

    /// Judges a commit in a transaction: membership counts where it is given (KIP-447).
    pub(super) fn check_transactional_commit(
        &self,
        member: &MemberRef,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        self.check_instance(&member.member_id, member.instance_id.as_ref())?;
        if !member.member_id.is_empty() && !self.members.contains_key(&member.member_id) {
            return Err(ErrorCode::UnknownMemberId);
        }
        if generation >= 0 && generation != self.generation {
            return Err(ErrorCode::IllegalGeneration);
        }
        Ok(())
    }

    pub(super) fn prepare_commit(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        producer: Option<ProducerId>,
    ) {
        self.had_transaction |= producer.is_some();
        self.offsets.prepare(offsets, producer);
    }

    /// The records are in the log, or not. Gives what a transaction has committed by that.
    pub(super) fn commit_stored(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        producer: Option<ProducerId>,
        log_offset: Option<Offset>,
    ) -> Vec<(TopicPartition, CommittedOffset, Offset)> {
        match producer {
            None => {
                self.offsets.plain_stored(offsets, log_offset);
                Vec::new()
            }
            Some(producer) => self.offsets.transactional_stored(producer, offsets, log_offset),
        }
    }

    pub(super) fn complete_transaction(
        &mut self,
        producer: ProducerId,
        commits: bool,
    ) -> Vec<(TopicPartition, CommittedOffset, Offset)> {
        self.had_transaction = true;
        self.offsets.complete(producer, commits)
    }

    pub(super) fn begin_hand_over(&mut self, offsets: &[(TopicPartition, CommittedOffset)]) {
        for (partition, _) in offsets {
            *self.offsets.handing_over.entry(partition.clone()).or_default() += 1;
        }
    }

    pub(super) fn end_hand_over(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            decrement(&mut self.offsets.handing_over, partition);
        }
    }

    /// How offsets of this group expire at the moment; none: they do not (KIP-211).
    pub(super) fn expiry_rule(&self, step: &Step<'_>) -> Option<ExpiryRule> {
        let rule = |since_ms, subscribed_topics| ExpiryRule {
            now_ms: step.now.wall_ms,
            retention_ms: step.settings.offsets_retention_ms,
            since_ms,
            subscribed_topics,
        };
        match (&self.protocol_type, self.state, &self.subscribed_topics) {
            // Nobody consumes: since the last member went.
            (Some(_), State::Empty, _) => Some(rule(self.state_since_ms, HashSet::new())),
            // Topics that nobody consumes any more.
            (Some(_), State::Stable, Some(topics)) if self.is_consumer_group() => {
                Some(rule(None, topics.clone()))
            }
            // Never had members.
            (None, _, _) => Some(rule(None, HashSet::new())),
            _ => None,
        }
    }

    /// Forgets offsets that have expired; gives their partitions.
    pub(super) fn expire_offsets(&mut self, step: &Step<'_>) -> Vec<TopicPartition> {
        let Some(rule) = self.expiry_rule(step) else { return Vec::new() };
        let in_flight = &self.offsets.in_flight;
        let expired = self.offsets.committed.iter().filter(|(partition, placed)| {
            !in_flight.contains_key(*partition) && rule.is_expired(&partition.topic, &placed.committed)
        });
        let mut expired: Vec<TopicPartition> = expired.map(|(partition, _)| partition.clone()).collect();
        expired.sort_unstable();
        for partition in &expired {
            self.offsets.committed.remove(partition);
        }
        expired
    }

    /// Which of `partitions` may be deleted (KIP-496), and which are consumed.
    pub(super) fn deletable(&self, partitions: &[TopicPartition]) -> Result<Vec<bool>, ErrorCode> {
        match self.state {
            State::Empty => Ok(vec![true; partitions.len()]),
            _ if self.is_consumer_group() => {
                Ok(partitions.iter().map(|p| !self.is_subscribed(&p.topic)).collect())
            }
            _ => Err(ErrorCode::NonEmptyGroup),
        }
    }

    /// All partitions with an offset, sorted: the same steps have the same effects.
    pub(super) fn committed_partitions(&self) -> Vec<TopicPartition> {
        let mut partitions: Vec<TopicPartition> = self.offsets.committed.keys().cloned().collect();
        partitions.sort_unstable();
        partitions
    }

    /// The committed offset; UNSTABLE_OFFSET_COMMIT if it may change and the reader minds.
    pub(super) fn fetch(
        &self,
        partition: &TopicPartition,
        require_stable: bool,
    ) -> Result<Option<&CommittedOffset>, ErrorCode> {
        if require_stable && self.offsets.is_unstable(partition) {
            return Err(ErrorCode::UnstableOffsetCommit);
        }
        Ok(self.offsets.committed.get(partition).map(|placed| &placed.committed))
    }
}

/// Text in Java's units, as `offset.metadata.max.bytes` counts.
pub(super) fn metadata_size(metadata: &ByteString) -> usize {
    metadata.encode_utf16().count()
}
