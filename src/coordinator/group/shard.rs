//! The groups of one partition of `__consumer_offsets`: everything that one coordinator decides. Pure.
//!
//! Invariants: a group that is pristine (no members, no offsets, generation 0) is not kept; every producer with pending
//! offsets is found in `producers`; every effect that stores something is reported back once.

use super::commits::metadata_size;
use super::join::JoinRequest;
use super::machine::{Group, State};
use super::membership::MemberRef;
use super::offsets::{CommittedOffset, ExpiryRule, OffsetsStorage};
use super::step::{
    Answer, Caller, Effect, GroupRef, OffsetsToStore, Purpose, Step, StoreFailure, StoreResult, own_text,
};
use super::sync::SyncRequest;
use crate::common::{ErrorCode, Offset, ProducerEpoch, ProducerId, TopicPartition};
use bytestring::ByteString;
use std::collections::{BTreeSet, HashMap};

/// A commit, as a request asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct CommitRequest {
    /// Who commits; may be nobody.
    pub member: MemberRef,
    /// -1: the committer is no member.
    pub generation: i32,
    /// The transaction that the commit is part of.
    pub producer: Option<(ProducerId, ProducerEpoch)>,
    /// What; the last one counts if a partition comes twice.
    pub offsets: Vec<(TopicPartition, CommittedOffset)>,
}

/// An offset that a reader asked for.
pub type FetchedOffset = Result<Option<CommittedOffset>, ErrorCode>;

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub struct Shard {
    groups: HashMap<ByteString, Group>,
    /// Groups with pending offsets, by producer.
    producers: HashMap<ProducerId, BTreeSet<ByteString>>,
    storage: OffsetsStorage,
    incarnations: u64,
}

impl Shard {
    /// In an order of their own: the same steps have the same effects.
    fn sorted_ids(&self) -> Vec<ByteString> {
        let mut ids: Vec<ByteString> = self.groups.keys().cloned().collect();
        ids.sort_unstable();
        ids
    }

    /// Without groups.
    pub fn new(storage: OffsetsStorage) -> Shard {
        Shard { groups: HashMap::new(), producers: HashMap::new(), storage, incarnations: 0 }
    }

    /// Where the offsets of its groups are.
    pub fn storage(&self) -> OffsetsStorage {
        self.storage
    }

    /// A group.
    pub fn group(&self, id: &str) -> Option<&Group> {
        self.groups.get(id)
    }

    /// All groups.
    pub fn groups(&self) -> impl Iterator<Item = &Group> {
        self.groups.values()
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// True without groups.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// A name for a group that begins now.
    pub(super) fn new_name(&mut self, id: &ByteString) -> GroupRef {
        self.incarnations += 1;
        GroupRef { id: own_text(id), incarnation: self.incarnations }
    }

    /// Takes a group in that was loaded.
    pub(super) fn adopt(&mut self, mut group: Group, step: &mut Step<'_>) {
        for producer in group.offsets.transactional.keys() {
            self.producers.entry(*producer).or_default().insert(group.name.id.clone());
        }
        arm(&mut group, step);
        self.groups.insert(group.name.id.clone(), group);
    }

    fn get_or_create(&mut self, id: &ByteString, step: &Step<'_>) -> &mut Group {
        if !self.groups.contains_key(id) {
            let name = self.new_name(id);
            self.groups.insert(name.id.clone(), Group::new(name, step.now));
        }
        self.groups.get_mut(id).expect("it was just put there")
    }

    /// Ends every step of a group.
    fn settle(&mut self, id: &str, step: &mut Step<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if group.is_pristine() {
            self.groups.remove(id);
        } else {
            arm(group, step);
        }
    }

    /// JoinGroup.
    pub fn join(&mut self, id: &ByteString, request: JoinRequest, caller: Caller, step: &mut Step<'_>) {
        let limits = step.settings.session_timeout_ms_min..=step.settings.session_timeout_ms_max;
        if !limits.contains(&request.session_timeout_ms) {
            return step.refuse_join(caller, &request.member_id, ErrorCode::InvalidSessionTimeout);
        }
        if !request.member_id.is_empty() && !self.groups.contains_key(id) {
            return step.refuse_join(caller, &request.member_id, ErrorCode::UnknownMemberId);
        }
        self.get_or_create(id, step).join(request, caller, step);
        self.settle(id, step);
    }

    /// SyncGroup.
    pub fn sync(&mut self, id: &ByteString, request: SyncRequest, caller: Caller, step: &mut Step<'_>) {
        let Some(group) = self.groups.get_mut(id) else {
            return step.refuse_sync(caller, ErrorCode::UnknownMemberId);
        };
        group.sync(request, caller, step);
        self.settle(id, step);
    }

    /// Heartbeat.
    pub fn heartbeat(
        &mut self,
        id: &str,
        member: &MemberRef,
        generation: i32,
        step: &mut Step<'_>,
    ) -> Result<(), ErrorCode> {
        let group = self.groups.get_mut(id).ok_or(ErrorCode::UnknownMemberId)?;
        let answer = group.heartbeat(member, generation, step);
        arm(group, step);
        answer
    }

    /// LeaveGroup; a result for each member.
    pub fn leave(
        &mut self,
        id: &str,
        members: &[MemberRef],
        step: &mut Step<'_>,
    ) -> Vec<Result<(), ErrorCode>> {
        let Some(group) = self.groups.get_mut(id) else {
            return vec![Err(ErrorCode::UnknownMemberId); members.len()];
        };
        let left = members.iter().map(|member| group.leave(member, step)).collect();
        self.settle(id, step);
        left
    }

    /// OffsetCommit and TxnOffsetCommit: judges, and has stored what fits; a code for each offset, NONE for those whose
    /// answer follows. If none follows, `caller` is not answered.
    pub fn commit(
        &mut self,
        id: &ByteString,
        request: CommitRequest,
        caller: Caller,
        step: &mut Step<'_>,
    ) -> Vec<ErrorCode> {
        let refused = |code: ErrorCode| vec![code; request.offsets.len()];
        if request.producer.is_none() && request.generation >= 0 && !self.groups.contains_key(id) {
            // Of a generation that nobody knows any more.
            return refused(ErrorCode::IllegalGeneration);
        }
        let group = self.get_or_create(id, step);
        let checked = match request.producer {
            None => group.check_commit(&request.member, request.generation, step),
            Some(_) => group.check_transactional_commit(&request.member, request.generation),
        };
        if let Err(code) = checked {
            self.settle(id, step);
            return refused(code);
        }
        let fits = |offset: &CommittedOffset| {
            let max = step.settings.metadata_size_max;
            offset.metadata.len() <= max || metadata_size(&offset.metadata) <= max
        };
        let codes = request.offsets.iter().map(|(_, offset)| match fits(offset) {
            true => ErrorCode::None,
            false => ErrorCode::OffsetMetadataTooLarge,
        });
        let codes: Vec<ErrorCode> = codes.collect();
        let accepted = request.offsets.into_iter().zip(&codes).filter(|(_, code)| code.is_none());
        let offsets = last_of_each(accepted.map(|(offset, _)| offset));
        if !offsets.is_empty() {
            let producer = request.producer.map(|(producer_id, _)| producer_id);
            group.prepare_commit(&offsets, producer);
            let (name, producer_of) = (group.name.clone(), request.producer);
            if let Some(producer) = producer {
                self.producers.entry(producer).or_default().insert(name.id.clone());
            }
            let store = OffsetsToStore { group: name, offsets, producer: producer_of, caller };
            step.effects.push(Effect::StoreOffsets(store));
        }
        self.settle(id, step);
        codes
    }

    /// How the storing of offsets ended.
    pub fn offsets_stored(&mut self, stored: OffsetsToStore, result: StoreResult, step: &mut Step<'_>) {
        let code = result.err().map_or(ErrorCode::None, StoreFailure::offsets_code);
        step.effects.push(Effect::Answer(stored.caller, Answer::Commit(code)));
        let in_log = self.storage == OffsetsStorage::Kafka;
        let Some(group) = self.of(&stored.group) else { return };
        let producer = stored.producer.map(|(producer_id, _)| producer_id);
        let log_offset = result.ok().filter(|_| in_log || producer.is_some());
        let decided = group.commit_stored(&stored.offsets, producer, log_offset);
        self.put_decided(&stored.group.id, decided, step);
        self.forget_producer(producer, &stored.group.id);
        self.settle(&stored.group.id, step);
    }

    /// How the storing of a group ended.
    pub fn group_stored(
        &mut self,
        name: &GroupRef,
        purpose: Purpose,
        result: StoreResult,
        step: &mut Step<'_>,
    ) {
        let failure = result.err().map(StoreFailure::group_code);
        let Some(group) = self.of(name) else { return };
        match purpose {
            Purpose::Assignment { generation, assignments } => {
                group.assignment_stored(generation, &assignments, failure, step);
            }
            Purpose::StaticMember { .. } => group.static_member_stored(purpose, failure, step),
            Purpose::Empty => {
                if let Some(code) = failure {
                    // A successor would take the generation before for the current one, and its members would expire.
                    log::warn!(target: super::machine::LOG, "Failed to write empty metadata for group {}: {}",
                        name.id, code.name());
                }
            }
        }
        self.settle(&name.id, step);
    }

    fn of(&mut self, name: &GroupRef) -> Option<&mut Group> {
        self.groups.get_mut(&name.id).filter(|group| group.name == *name)
    }

    /// Ends a transaction: its offsets become visible, or are forgotten.
    pub fn complete_transaction(&mut self, producer: ProducerId, commits: bool, step: &mut Step<'_>) {
        for id in self.producers.get(&producer).cloned().unwrap_or_default() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let decided = group.complete_transaction(producer, commits);
            self.put_decided(&id, decided, step);
            self.forget_producer(Some(producer), &id);
            self.settle(&id, step);
        }
    }

    fn put_decided(
        &mut self,
        id: &str,
        decided: Vec<(TopicPartition, CommittedOffset, Offset)>,
        step: &mut Step<'_>,
    ) {
        let Some(group) = self.groups.get_mut(id).filter(|_| !decided.is_empty()) else { return };
        match self.storage {
            OffsetsStorage::Kafka => {
                for (partition, committed, log_offset) in &decided {
                    group.offsets.place(partition, committed, *log_offset);
                }
            }
            OffsetsStorage::ZooKeeper => {
                let offsets = decided.into_iter().map(|(partition, offset, _)| (partition, offset)).collect();
                hand_over(group, offsets, step);
            }
        }
    }

    /// Offsets are in the store outside of `__consumer_offsets`: the copies there are not needed any more.
    pub fn handed_over(&mut self, name: &GroupRef, partitions: Vec<TopicPartition>, step: &mut Step<'_>) {
        let Some(group) = self.of(name) else { return };
        group.end_hand_over(&partitions);
        // Where another transaction has an offset, its marker may stand in the log already, and a tombstone behind it
        // would hide what it has committed from the next load. That offset's own tombstone will do.
        let (group_id, offsets) = (name.id.clone(), &group.offsets);
        let settled: Vec<_> = partitions.into_iter().filter(|p| !offsets.is_unstable(p)).collect();
        if !settled.is_empty() {
            let (partitions, group_is_gone) = (settled, false);
            step.effects.push(Effect::Tombstones { group: group_id, partitions, group_is_gone });
        }
        self.settle(&name.id, step);
    }

    fn forget_producer(&mut self, producer: Option<ProducerId>, id: &str) {
        let Some(producer) = producer else { return };
        let pending = self.groups.get(id).is_some_and(|g| g.offsets.transactional.contains_key(&producer));
        if !pending && let Some(groups) = self.producers.get_mut(&producer) {
            groups.remove(id);
            if groups.is_empty() {
                self.producers.remove(&producer);
            }
        }
    }

    /// OffsetFetch for some partitions.
    pub fn fetch(&self, id: &str, partitions: &[TopicPartition], require_stable: bool) -> Vec<FetchedOffset> {
        let group = self.groups.get(id);
        let fetch = |partition| match group {
            Some(group) => group.fetch(partition, require_stable).map(|found| found.cloned()),
            None => Ok(None),
        };
        partitions.iter().map(fetch).collect()
    }

    /// OffsetFetch for all partitions that have an offset.
    pub fn fetch_all(&self, id: &str, require_stable: bool) -> Vec<(TopicPartition, FetchedOffset)> {
        let partitions = self.groups.get(id).map(Group::committed_partitions).unwrap_or_default();
        let fetched = self.fetch(id, &partitions, require_stable);
        partitions.into_iter().zip(fetched).collect()
    }

    /// DeleteGroups, for one group.
    pub fn delete(&mut self, id: &str, step: &mut Step<'_>) -> Result<(), ErrorCode> {
        let group = self.groups.get(id).ok_or(ErrorCode::GroupIdNotFound)?;
        if group.state() != State::Empty {
            return Err(ErrorCode::NonEmptyGroup);
        }
        self.bury(id, step);
        Ok(())
    }

    /// Removes a group that nobody is in, with all that it has.
    fn bury(&mut self, id: &str, step: &mut Step<'_>) {
        let partitions = self.groups.get(id).map(Group::committed_partitions).unwrap_or_default();
        if let Some(group) = self.take_out(id) {
            // A group of generation 0 was never written.
            let group_is_gone = group.generation() > 0;
            if group_is_gone || !partitions.is_empty() {
                step.effects.push(Effect::Tombstones { group: group.name.id, partitions, group_is_gone });
            }
        }
    }

    fn take_out(&mut self, id: &str) -> Option<Group> {
        let group = self.groups.remove(id)?;
        for producer in group.offsets.transactional.keys() {
            self.forget_producer(Some(*producer), id);
        }
        log::info!(target: super::machine::LOG, "Group {id} transitioned to Dead in generation {}", group.generation());
        Some(group)
    }

    /// OffsetDelete; for each partition whether it is consumed (GROUP_SUBSCRIBED_TO_TOPIC) or its offset is gone.
    pub fn delete_offsets(
        &mut self,
        id: &str,
        partitions: &[TopicPartition],
        step: &mut Step<'_>,
    ) -> Result<Vec<ErrorCode>, ErrorCode> {
        let group = self.groups.get_mut(id).ok_or(ErrorCode::GroupIdNotFound)?;
        let deletable = group.deletable(partitions)?;
        let chosen = partitions.iter().zip(&deletable).filter(|(_, deletable)| **deletable);
        let removed = group.offsets.remove(chosen.map(|(partition, _)| partition));
        self.removed(id, removed, step);
        let code =
            |deletable: &bool| if *deletable { ErrorCode::None } else { ErrorCode::GroupSubscribedToTopic };
        Ok(deletable.iter().map(code).collect())
    }

    /// Offsets of topics that are deleted go with them.
    pub fn remove_partitions_of(&mut self, topics: &[ByteString], step: &mut Step<'_>) -> usize {
        let mut count = 0;
        for id in self.sorted_ids() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let gone = group.committed_partitions();
            let gone: Vec<TopicPartition> = gone.into_iter().filter(|p| topics.contains(&p.topic)).collect();
            if !gone.is_empty() {
                let removed = group.offsets.remove(&gone);
                count += removed.len();
                self.removed(&id, removed, step);
            }
        }
        count
    }

    /// Writes down that offsets are gone; a group that has nothing left goes with them.
    fn removed(&mut self, id: &str, partitions: Vec<TopicPartition>, step: &mut Step<'_>) {
        let Some(group) = self.groups.get(id) else { return };
        let name = group.name.id.clone();
        // Where offsets are kept elsewhere, only their store knows whether some are left.
        let is_unused = self.storage == OffsetsStorage::Kafka && group.is_unused();
        let group_is_gone = is_unused && group.generation() > 0;
        if is_unused {
            self.take_out(id);
        }
        if group_is_gone || !partitions.is_empty() {
            step.effects.push(Effect::Tombstones { group: name, partitions, group_is_gone });
        }
    }

    /// Forgets what has expired. Gives the number of offsets.
    pub fn expire_offsets(&mut self, step: &mut Step<'_>) -> usize {
        let mut count = 0;
        for id in self.sorted_ids() {
            let Some(group) = self.groups.get_mut(&id) else { continue };
            let expired = group.expire_offsets(step);
            count += expired.len();
            self.removed(&id, expired, step);
        }
        count
    }

    /// How offsets expire that are not kept here.
    pub fn expiry_rules(&self, step: &Step<'_>) -> Vec<(GroupRef, ExpiryRule)> {
        let rule = |group: &Group| Some((group.name.clone(), group.expiry_rule(step)?));
        self.groups.values().filter_map(rule).collect()
    }

    /// A group whose offsets are not kept here has none left: it goes if nobody is in it.
    pub fn remove_unused(&mut self, name: &GroupRef, step: &mut Step<'_>) {
        let Some(group) = self.of(name) else { return };
        if group.is_unused() {
            self.bury(&name.id, step);
        }
    }

    /// What is due in a group at `at_ms`.
    pub fn tick(&mut self, id: &str, at_ms: i64, step: &mut Step<'_>) {
        let Some(group) = self.groups.get_mut(id) else { return };
        if group.disarm(at_ms) {
            group.tick(step);
            self.settle(id, step);
        }
    }

    /// The partition moves to another coordinator: whoever waits is sent there.
    pub fn unload(&mut self, step: &mut Step<'_>) {
        self.groups.values_mut().for_each(|group| group.unload(step));
        self.groups.clear();
        self.producers.clear();
    }

    /// Panics if an invariant does not hold; for tests.
    pub fn check(&self) {
        for group in self.groups.values() {
            group.check();
            assert!(!group.is_pristine(), "a group with nothing in it");
            for producer in group.offsets.transactional.keys() {
                let known = self.producers.get(producer).is_some_and(|g| g.contains(&group.name.id));
                assert!(known, "a producer that nobody would find");
            }
        }
    }
}

fn arm(group: &mut Group, step: &mut Step<'_>) {
    if let Some(at_ms) = group.take_wake() {
        step.effects.push(Effect::Wake { group: group.name.id.clone(), at_ms });
    }
}

/// Hands offsets over to the store outside of `__consumer_offsets`.
pub(super) fn hand_over(
    group: &mut Group,
    offsets: Vec<(TopicPartition, CommittedOffset)>,
    step: &mut Step<'_>,
) {
    group.begin_hand_over(&offsets);
    step.effects.push(Effect::HandOver { group: group.name.clone(), offsets });
}

/// Copies of the offsets, one for each partition: the last that was given.
fn last_of_each(
    offsets: impl Iterator<Item = (TopicPartition, CommittedOffset)>,
) -> Vec<(TopicPartition, CommittedOffset)> {
    let mut all: Vec<(TopicPartition, CommittedOffset)> =
        Vec::with_capacity(offsets.size_hint().1.unwrap_or(0));
    for (partition, mut committed) in offsets {
        // Partitions of one topic stand together.
        let topic = match all.last() {
            Some((before, _)) if before.topic == partition.topic => before.topic.clone(),
            _ => own_text(&partition.topic),
        };
        if !committed.metadata.is_empty() {
            committed.metadata = own_text(&committed.metadata);
        }
        all.push((TopicPartition { topic, ..partition }, committed));
    }
    if all.is_sorted_by(|(a, _), (b, _)| a < b) {
        return all;
    }
    let mut places: HashMap<TopicPartition, usize> = HashMap::new();
    let mut kept: Vec<(TopicPartition, CommittedOffset)> = Vec::with_capacity(all.len());
    for (partition, committed) in all {
        match places.get(&partition) {
            Some(place) => kept[*place].1 = committed,
            None => {
                places.insert(partition.clone(), kept.len());
                kept.push((partition, committed));
            }
        }
    }
    kept
}
