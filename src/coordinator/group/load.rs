//! A partition of `__consumer_offsets`, read from its start, as the state of a shard. Pure.
//!
//! What cannot be read is passed over and said in the log: Apache Kafka 2.8.2 ends the load there and forgets all that
//! follows.

use super::commits::{ByPartition, PendingOffset, Placed};
use super::machine::{Group, State};
use super::member::{Member, distinct_protocols};
use super::offsets::{CommittedOffset, OffsetsStorage};
use super::shard::{Shard, hand_over};
use super::step::{Step, own_bytes, own_text};
use crate::common::{Offset, ProducerId, TopicPartition};
use crate::protocol::stored::GroupTopicKey;
use crate::protocol::stored::group_metadata::{GroupMetadataValue, MemberMetadata};
use crate::protocol::stored::offset_commit::{OffsetCommitKey, OffsetCommitValue};
use crate::protocol::{DecodeError, decode_versioned};
use crate::record::compression::Limits;
use crate::record::control::ControlRecord;
use crate::record::reader::{Record, Records};
use crate::record::{BatchInfo, Batches, RecordsError};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeSet, HashMap};

const LOG: &str = "kafka.coordinator.group.GroupMetadataManager";

type OffsetsOf<K> = HashMap<K, ByPartition<Placed>>;

/// A group's record, with the version that tells what it lacks.
struct LoadedGroup {
    version: i16,
    value: GroupMetadataValue,
}

/// Reads batch after batch.
#[derive(Default)]
pub struct Loader {
    groups: HashMap<ByteString, LoadedGroup>,
    offsets: OffsetsOf<ByteString>,
    pending: HashMap<ProducerId, OffsetsOf<ByteString>>,
    skipped: usize,
}

impl Loader {
    /// Reads whole batches; gives the offset behind the last one, none without a batch.
    pub fn read(&mut self, batches: &Bytes) -> Option<Offset> {
        let mut next = None;
        for batch in Batches::new(batches) {
            let Ok((info, bytes)) =
                batch.inspect_err(|error| log::error!(target: LOG, "Unreadable batch: {error}"))
            else {
                self.skipped += 1;
                break;
            };
            if let Err(error) = self.read_batch(&info, &batches.slice_ref(bytes)) {
                log::error!(target: LOG, "The batch at offset {} cannot be read: {error}", info.base_offset);
                self.skipped += 1;
            }
            next = Some(info.last_offset() + 1);
        }
        next
    }

    /// Records and batches that could not be read.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    fn read_batch(&mut self, info: &BatchInfo, batch: &Bytes) -> Result<(), RecordsError> {
        let mut first = None;
        for record in Records::open(info, batch, &Limits::default())? {
            let record = record?;
            if info.is_control() {
                if let Some(ControlRecord::EndTransaction { commit, .. }) = ControlRecord::parse(&record) {
                    self.end_transaction(info.producer_id, commit);
                }
                continue;
            }
            let first = *first.get_or_insert(record.offset);
            let producer = info.is_transactional().then_some(info.producer_id);
            if let Err(error) = self.read_record(&record, producer, first) {
                log::error!(target: LOG, "The record at offset {} cannot be read: {error}", record.offset);
                self.skipped += 1;
            }
        }
        Ok(())
    }

    fn read_record(
        &mut self,
        record: &Record,
        producer: Option<ProducerId>,
        first: Offset,
    ) -> Result<(), DecodeError> {
        match GroupTopicKey::decode(record.key.clone().unwrap_or_default())? {
            GroupTopicKey::OffsetCommit(key) => self.read_offset(&key, record.value.clone(), producer, first),
            GroupTopicKey::GroupMetadata(key) => {
                match record.value.clone() {
                    Some(value) => {
                        let (version, value) = decode_versioned::<GroupMetadataValue>(value)?;
                        self.groups.insert(own_text(&key.group), LoadedGroup { version, value: own(value) });
                    }
                    None => drop(self.groups.remove(&key.group)),
                }
                Ok(())
            }
        }
    }

    fn read_offset(
        &mut self,
        key: &OffsetCommitKey,
        value: Option<Bytes>,
        producer: Option<ProducerId>,
        first: Offset,
    ) -> Result<(), DecodeError> {
        let partition = TopicPartition::new(own_text(&key.topic), key.partition);
        let groups = match producer {
            Some(producer) => self.pending.entry(producer).or_default(),
            None => &mut self.offsets,
        };
        let Some(value) = value else {
            if let Some(offsets) = groups.get_mut(&key.group) {
                offsets.remove(&partition);
            }
            return Ok(());
        };
        let (_, value) = decode_versioned::<OffsetCommitValue>(value)?;
        let committed = CommittedOffset {
            offset: value.offset,
            leader_epoch: Some(value.leader_epoch).filter(|epoch| *epoch != -1),
            metadata: own_text(&value.metadata),
            commit_timestamp_ms: value.commit_timestamp,
            expire_timestamp_ms: Some(value.expire_timestamp).filter(|expires| *expires != -1),
        };
        let offsets = match groups.contains_key(&key.group) {
            true => groups.get_mut(&key.group),
            false => Some(groups.entry(own_text(&key.group)).or_default()),
        };
        if let Some(offsets) = offsets {
            offsets.insert(partition, Placed { committed, log_offset: first });
        }
        Ok(())
    }

    fn end_transaction(&mut self, producer: ProducerId, commit: bool) {
        let Some(groups) = self.pending.remove(&producer).filter(|_| commit) else { return };
        for (group, offsets) in groups {
            let known = self.offsets.entry(group).or_default();
            for (partition, placed) in offsets {
                let is_newer = |before: &Placed| before.log_offset < placed.log_offset;
                if known.get(&partition).is_none_or(is_newer) {
                    known.insert(partition, placed);
                }
            }
        }
    }

    /// What a group has committed for a partition.
    pub(super) fn committed(&self, group: &str, partition: &TopicPartition) -> Option<&CommittedOffset> {
        Some(&self.offsets.get(group)?.get(partition)?.committed)
    }

    /// Everything that groups have committed.
    pub(super) fn all_committed(&self) -> Vec<(ByteString, Vec<(TopicPartition, CommittedOffset)>)> {
        let of = |(group, offsets): (&ByteString, &ByPartition<Placed>)| {
            let all = offsets.iter().map(|(key, placed)| (key.clone(), placed.committed.clone()));
            (group.clone(), all.collect::<Vec<_>>())
        };
        self.offsets.iter().map(of).filter(|(_, offsets)| !offsets.is_empty()).collect()
    }

    /// Takes over offsets that were appended at `log_offset`.
    pub(super) fn import(
        &mut self,
        group: &ByteString,
        offsets: &[(TopicPartition, CommittedOffset)],
        log_offset: Offset,
    ) {
        let known = self.offsets.entry(group.clone()).or_default();
        for (partition, committed) in offsets {
            known.insert(partition.clone(), Placed { committed: committed.clone(), log_offset });
        }
    }

    /// The shard, with sessions that begin now.
    pub fn finish(mut self, storage: OffsetsStorage, step: &mut Step<'_>) -> Shard {
        let mut shard = Shard::new(storage);
        let ids = self.groups.keys().chain(self.offsets.keys());
        let ids: BTreeSet<ByteString> =
            ids.chain(self.pending.values().flat_map(HashMap::keys)).cloned().collect();
        for id in ids {
            let name = shard.new_name(&id);
            let mut group = Group::new(name, step.now);
            if let Some(loaded) = self.groups.remove(&id) {
                group.restore(loaded, step);
            }
            for (producer, groups) in &mut self.pending {
                if let Some(offsets) = groups.remove(&id).filter(|offsets| !offsets.is_empty()) {
                    let pending = |(partition, placed): (TopicPartition, Placed)| {
                        let log_offset = Some(placed.log_offset);
                        (partition, PendingOffset { committed: placed.committed, log_offset, decided: false })
                    };
                    group.offsets.transactional.insert(*producer, offsets.into_iter().map(pending).collect());
                }
            }
            let offsets = self.offsets.remove(&id).unwrap_or_default();
            match storage {
                OffsetsStorage::Kafka => group.offsets.committed = offsets,
                OffsetsStorage::ZooKeeper if offsets.is_empty() => {}
                OffsetsStorage::ZooKeeper => {
                    let left = offsets.into_iter().map(|(partition, placed)| (partition, placed.committed));
                    hand_over(&mut group, left.collect(), step);
                }
            }
            if !group.is_pristine() {
                shard.adopt(group, step);
            }
        }
        shard
    }
}

/// The record without the buffer that it was read from.
fn own(value: GroupMetadataValue) -> GroupMetadataValue {
    let member = |member: MemberMetadata| MemberMetadata {
        member_id: own_text(&member.member_id),
        group_instance_id: member.group_instance_id.as_ref().map(own_text),
        client_id: own_text(&member.client_id),
        client_host: own_text(&member.client_host),
        subscription: own_bytes(&member.subscription),
        assignment: own_bytes(&member.assignment),
        ..member
    };
    GroupMetadataValue {
        protocol_type: own_text(&value.protocol_type),
        protocol: value.protocol.as_ref().map(own_text),
        leader: value.leader.as_ref().map(own_text),
        members: value.members.into_iter().map(member).collect(),
        ..value
    }
}

impl Group {
    /// The group of a record: stable with members, else empty.
    fn restore(&mut self, loaded: LoadedGroup, step: &mut Step<'_>) {
        let LoadedGroup { version, value } = loaded;
        self.generation = value.generation;
        self.protocol_type = Some(value.protocol_type).filter(|kind| !kind.is_empty());
        self.state_since_ms = Some(value.current_state_timestamp).filter(|since| *since != -1);
        let Some(protocol) = value.protocol.filter(|_| !value.members.is_empty()) else {
            if !value.members.is_empty() {
                log::error!(target: LOG, "Group {} was stored with members, but without a protocol: it is taken for empty",
                    self.name.id);
            }
            self.subscribed_topics = self.find_subscribed_topics();
            return;
        };
        self.state = State::Stable;
        for member in value.members {
            let rebalance_timeout_ms =
                if version == 0 { member.session_timeout } else { member.rebalance_timeout };
            let restored = Member {
                instance_id: member.group_instance_id,
                client_id: member.client_id,
                client_host: member.client_host,
                rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout,
                protocols: distinct_protocols([(protocol.clone(), member.subscription)]),
                assignment: member.assignment,
                joining: None,
                syncing: None,
                is_new: false,
                owes_sync: false,
                expires_ms: None,
            };
            self.remove(&member.member_id, crate::common::ErrorCode::UnknownMemberId, step);
            self.insert(member.member_id.clone(), restored);
            self.renew_session(&member.member_id, step);
        }
        let led = value.leader.filter(|leader| self.members.contains_key(leader));
        self.leader = led.or_else(|| self.members.keys().next().cloned());
        self.protocol = Some(protocol);
        self.subscribed_topics = self.find_subscribed_topics();
        if self.members.len() > step.settings.group_size_max {
            self.prepare_rebalance("Freshly-loaded group is over capacity", step);
        }
    }
}
