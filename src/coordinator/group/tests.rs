//! Tables of single steps; what they do together is in `tests/simulation/group`.

use super::join::JoinRequest;
use super::load::Loader;
use super::machine::State;
use super::membership::MemberRef;
use super::offsets::{CommittedOffset, OffsetsStorage};
use super::records::{RecordFormat, group_value, offset_value};
use super::shard::{CommitRequest, Shard};
use super::step::*;
use super::sync::SyncRequest;
use crate::common::{ErrorCode, TopicPartition};
use crate::config::IbpVersion;
use crate::protocol::messages::join_group::JoinGroupResponse;
use crate::protocol::stored::group_metadata::GroupMetadataValue;
use crate::record::Compression;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::control::end_transaction_marker;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

const GROUP: ByteString = ByteString::from_static("g");
/// Subscribes to `t`.
const SUBSCRIPTION: &[u8] = b"\0\0\0\0\0\x01\0\x01t\xff\xff\xff\xff";

struct World {
    shard: Shard,
    settings: GroupSettings,
    now: Now,
    effects: Vec<Effect>,
    callers: usize,
}

fn partition(topic: &str, number: i32) -> TopicPartition {
    TopicPartition::new(topic, number)
}

fn committed(offset: i64, at_ms: i64) -> CommittedOffset {
    CommittedOffset {
        offset,
        leader_epoch: None,
        metadata: ByteString::new(),
        commit_timestamp_ms: at_ms,
        expire_timestamp_ms: None,
    }
}

impl World {
    fn new(storage: OffsetsStorage) -> World {
        World {
            shard: Shard::new(storage),
            settings: GroupSettings {
                session_timeout_ms_min: 6_000,
                session_timeout_ms_max: 60_000,
                initial_rebalance_delay_ms: 3_000,
                group_size_max: 2_000,
                metadata_size_max: 8,
                offsets_retention_ms: 1_000_000,
            },
            now: Now { monotonic_ms: 0, wall_ms: 5_000_000 },
            effects: Vec::new(),
            callers: 0,
        }
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Shard, &mut Step<'_>) -> R) -> R {
        let mut step = Step { now: self.now, settings: &self.settings, effects: &mut self.effects };
        let result = act(&mut self.shard, &mut step);
        self.shard.check();
        result
    }

    /// Lets time go by, with all that becomes due.
    fn pass(&mut self, ms: i64) {
        let until_ms = self.now.monotonic_ms + ms;
        loop {
            let wakes = self.effects.iter().filter_map(|effect| match effect {
                Effect::Wake { at_ms, .. } if *at_ms <= until_ms => Some(*at_ms),
                _ => None,
            });
            let Some(at_ms) = wakes.min() else { break };
            self.effects.retain(|effect| !matches!(effect, Effect::Wake { at_ms: at, .. } if *at == at_ms));
            let passed_ms = (at_ms - self.now.monotonic_ms).max(0);
            self.now.monotonic_ms += passed_ms;
            self.now.wall_ms += passed_ms;
            self.act(|shard, step| shard.tick(&GROUP, at_ms, step));
        }
        self.now.wall_ms += until_ms - self.now.monotonic_ms;
        self.now.monotonic_ms = until_ms;
    }

    fn join(&mut self, member_id: &str, instance: Option<&str>) -> Caller {
        self.callers += 1;
        let caller = Caller(self.callers);
        let request = JoinRequest {
            member_id: member_id.into(),
            instance_id: instance.map(ByteString::from),
            fresh_member_id: format!("m{}", self.callers).into(),
            needs_known_member_id: false,
            client_id: "c".into(),
            client_host: "/127.0.0.1".into(),
            rebalance_timeout_ms: 20_000,
            session_timeout_ms: 10_000,
            protocol_type: "consumer".into(),
            protocols: vec![("range".into(), Bytes::from_static(SUBSCRIPTION))],
        };
        self.act(|shard, step| shard.join(&GROUP, request, caller, step));
        caller
    }

    fn sync(&mut self, member_id: &str, generation: i32) -> Caller {
        self.callers += 1;
        let caller = Caller(self.callers);
        let request = SyncRequest {
            member_id: member_id.into(),
            instance_id: None,
            generation,
            protocol_type: None,
            protocol_name: None,
            assignments: vec![(member_id.into(), Bytes::from_static(b"mine"))],
        };
        self.act(|shard, step| shard.sync(&GROUP, request, caller, step));
        caller
    }

    /// Everything that is to be stored is.
    fn store_all(&mut self, result: StoreResult) {
        for effect in std::mem::take(&mut self.effects) {
            match effect {
                Effect::StoreGroup { group, purpose, .. } => {
                    self.act(|shard, step| shard.group_stored(&group, purpose, result, step));
                }
                Effect::StoreOffsets(store) => {
                    self.act(|shard, step| shard.offsets_stored(store, result, step));
                }
                other => self.effects.push(other),
            }
        }
    }

    fn commit(
        &mut self,
        offsets: &[(TopicPartition, CommittedOffset)],
        producer: Option<(i64, i16)>,
    ) -> Vec<ErrorCode> {
        self.callers += 1;
        let caller = Caller(self.callers);
        let member = MemberRef { member_id: ByteString::new(), instance_id: None };
        let request = CommitRequest { member, generation: -1, producer, offsets: offsets.to_vec() };
        self.act(|shard, step| shard.commit(&GROUP, request, caller, step))
    }

    fn answers(&mut self, caller: Caller) -> Vec<Answer> {
        let mut answers = Vec::new();
        self.effects.retain(|effect| match effect {
            Effect::Answer(to, answer) if *to == caller => {
                answers.push(answer.clone());
                false
            }
            _ => true,
        });
        answers
    }

    fn joined(&mut self, caller: Caller) -> Option<JoinGroupResponse> {
        match self.answers(caller).pop()? {
            Answer::Join(response) => Some(*response),
            other => panic!("{other:?}"),
        }
    }

    fn state(&self) -> Option<State> {
        self.shard.group(&GROUP).map(|group| group.state())
    }

    /// A stable group of one.
    fn with_member(&mut self, instance: Option<&str>) -> String {
        let caller = self.join("", instance);
        self.pass(3_000);
        let member_id = self.joined(caller).expect("joined").member_id.to_string();
        self.sync(&member_id, 1);
        self.store_all(Ok(0));
        assert_eq!(self.state(), Some(State::Stable));
        member_id
    }
}

#[test]
fn a_group_that_was_empty_waits_while_members_come() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let first = world.join("", None);
    world.pass(2_999);
    let second = world.join("", None);
    world.pass(2_999);
    assert_eq!(world.joined(first), None, "somebody came within the delay");
    world.pass(2);
    assert_eq!(world.joined(first).map(|joined| joined.members.len()), Some(2));
    assert_eq!(world.joined(second).map(|joined| joined.members.len()), Some(0));
}

#[test]
fn it_does_not_wait_for_longer_than_a_rebalance_may_take() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let first = world.join("", None);
    for _ in 0..10 {
        world.pass(2_000);
        world.join("", None);
    }
    world.pass(2_000);
    assert_eq!(world.joined(first).map(|joined| joined.generation_id), Some(1));
}

#[test]
fn who_does_not_sync_is_out() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let (leader, follower) = (world.join("", None), world.join("", None));
    world.pass(6_000);
    let leader = world.joined(leader).expect("joined").member_id;
    let follower = world.joined(follower).expect("joined").member_id;
    // The leader lives, but assigns nothing.
    let waits = world.sync(&follower, 1);
    for _ in 0..4 {
        let member = MemberRef { member_id: leader.clone(), instance_id: None };
        let _ = world.act(|shard, step| shard.heartbeat(&GROUP, &member, 1, step));
        world.pass(5_000);
    }
    assert!(matches!(world.answers(waits)[..], [Answer::Sync(ref sync)] if sync.error_code == 27));
    let members = world.shard.group(&GROUP).expect("the group").members();
    assert_eq!(members.keys().collect::<Vec<_>>(), [&follower]);
}

#[test]
fn a_session_ends_in_silence_and_not_before() {
    let mut world = World::new(OffsetsStorage::Kafka);
    world.with_member(None);
    world.pass(9_999);
    assert_eq!(world.state(), Some(State::Stable));
    world.pass(1);
    assert_eq!(world.state(), Some(State::Empty));
}

#[test]
fn a_superseded_request_is_answered() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let first = world.join("", Some("i"));
    let second = world.join("", Some("i"));
    assert_eq!(world.joined(first).map(|joined| joined.error_code), Some(82));
    world.pass(6_000);
    let member = world.joined(second).expect("joined");
    assert_eq!((member.error_code, member.generation_id), (0, 1));
    let (once, again) = (world.sync("m2", 1), world.sync("m2", 1));
    assert!(matches!(world.answers(once)[..], [Answer::Sync(ref sync)] if sync.error_code == 27));
    world.store_all(Ok(0));
    assert!(matches!(world.answers(again)[..], [Answer::Sync(ref sync)] if sync.error_code == 0));
}

#[test]
fn a_static_member_that_could_not_be_stored_keeps_its_id() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let member_id = world.with_member(Some("i"));
    let back = world.join("", Some("i"));
    assert_eq!(world.state(), Some(State::Stable), "no rebalance");
    world.store_all(Err(StoreFailure::Unavailable));
    let refused = world.joined(back).expect("an answer");
    assert_eq!((refused.error_code, refused.leader.as_ref()), (15, member_id.as_str()));
    assert!(world.shard.group(&GROUP).expect("the group").members().contains_key(member_id.as_str()));

    let back = world.join("", Some("i"));
    world.store_all(Ok(1));
    let joined = world.joined(back).expect("an answer");
    assert_eq!((joined.error_code, joined.generation_id, joined.members.len()), (0, 1, 0));
    assert_ne!(joined.leader, joined.member_id, "it must not assign");
    let fenced = MemberRef { member_id: member_id.into(), instance_id: Some("i".into()) };
    let beat = world.act(|shard, step| shard.heartbeat(&GROUP, &fenced, 1, step));
    assert_eq!(beat, Err(ErrorCode::FencedInstanceId));
}

#[test]
fn a_full_group_takes_nobody() {
    let mut world = World::new(OffsetsStorage::Kafka);
    world.settings.group_size_max = 1;
    let (first, second) = (world.join("", None), world.join("", None));
    assert_eq!(world.joined(second).map(|joined| joined.error_code), Some(81));
    world.pass(3_000);
    assert_eq!(world.joined(first).map(|joined| joined.error_code), Some(0));
}

#[test]
fn a_rebalance_of_a_thousand_tells_the_members_once() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let callers: Vec<Caller> = (0..1_000).map(|_| world.join("", None)).collect();
    world.pass(20_000);
    let listed: usize = callers.iter().map(|c| world.joined(*c).expect("joined").members.len()).sum();
    assert_eq!(listed, 1_000, "all of them, to the leader");
}

#[test]
fn a_refused_stranger_leaves_no_group() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let request = CommitRequest {
        member: MemberRef { member_id: "x".into(), instance_id: None },
        generation: 3,
        producer: None,
        offsets: vec![(partition("t", 0), committed(1, 0))],
    };
    let codes = world.act(|shard, step| shard.commit(&GROUP, request, Caller(1), step));
    assert_eq!(codes, [ErrorCode::IllegalGeneration]);
    assert!(world.shard.is_empty());
}

#[test]
fn large_metadata_is_refused_by_itself() {
    let mut world = World::new(OffsetsStorage::Kafka);
    // Counted in Java's characters: eight of them in sixteen bytes.
    let fits = CommittedOffset { metadata: "éééééééé".into(), ..committed(1, 0) };
    let large = CommittedOffset { metadata: "123456789".into(), ..committed(2, 0) };
    let codes = world.commit(&[(partition("t", 0), fits), (partition("t", 1), large)], None);
    assert_eq!(codes, [ErrorCode::None, ErrorCode::OffsetMetadataTooLarge]);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Err(ErrorCode::UnstableOffsetCommit)]);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 1)], true), [Ok(None)]);
    world.store_all(Ok(7));
    let found = world.shard.fetch(&GROUP, &[partition("t", 0)], true);
    assert_eq!(found[0].as_ref().map(|found| found.as_ref().map(|c| c.offset)), Ok(Some(1)));
}

/// Which of four offsets are left, after `pass_ms`.
fn left_after(prepare: impl FnOnce(&mut World), pass_ms: i64) -> Vec<String> {
    let mut world = World::new(OffsetsStorage::Kafka);
    let at_ms = world.now.wall_ms;
    let explicit = CommittedOffset { expire_timestamp_ms: Some(at_ms + 100), ..committed(1, at_ms) };
    world.commit(
        &[
            (partition("t", 0), committed(1, at_ms)),
            (partition("t", 1), explicit),
            (partition("u", 0), committed(1, at_ms)),
        ],
        None,
    );
    world.store_all(Ok(0));
    prepare(&mut world);
    world.now.wall_ms += pass_ms;
    world.act(|shard, step| shard.expire_offsets(step));
    let all = world.shard.fetch_all(&GROUP, false);
    all.into_iter().map(|(partition, _)| partition.to_string()).collect()
}

#[test]
fn offsets_expire_by_the_state_of_their_group() {
    // Alone: by the time of the commit.
    assert_eq!(left_after(|_| {}, 99), ["t-0", "t-1", "u-0"]);
    assert_eq!(left_after(|_| {}, 100), ["t-0", "u-0"]);
    assert!(left_after(|_| {}, 1_000_000).is_empty());
    // Stable: only what nobody consumes.
    let stable = |world: &mut World| drop(world.with_member(None));
    assert_eq!(left_after(stable, 1_000_000), ["t-0", "t-1"]);
    // Empty: since then.
    let left = |world: &mut World| {
        world.with_member(None);
        world.now.wall_ms += 900_000;
        world.pass(10_000);
        assert_eq!(world.state(), Some(State::Empty));
    };
    assert_eq!(left_after(left, 999_999), ["t-0", "u-0"]);
    assert!(left_after(left, 1_000_000).is_empty());
}

#[test]
fn a_group_goes_with_its_last_offset() {
    let mut world = World::new(OffsetsStorage::Kafka);
    world.commit(&[(partition("t", 0), committed(1, 0))], None);
    world.store_all(Ok(0));
    world.with_member(None);
    world.pass(10_000);
    world.store_all(Ok(1));
    world.effects.clear();
    world.act(|shard, step| shard.remove_partitions_of(&["t".into()], step));
    let gone = Effect::Tombstones { group: GROUP, partitions: vec![partition("t", 0)], group_is_gone: true };
    assert_eq!(world.effects, [gone]);
    assert!(world.shard.is_empty());
}

#[test]
fn transactional_offsets_wait_for_their_marker() {
    let mut world = World::new(OffsetsStorage::Kafka);
    let offsets = [(partition("t", 0), committed(5, 0))];
    world.commit(&offsets, Some((9, 0)));
    world.store_all(Ok(3));
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], false), [Ok(None)]);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Err(ErrorCode::UnstableOffsetCommit)]);
    world.act(|shard, step| shard.complete_transaction(9, true, step));
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Ok(Some(committed(5, 0)))]);
    // A marker that overtakes the word that the record is stored.
    world.commit(&[(partition("t", 0), committed(6, 0))], Some((9, 0)));
    world.act(|shard, step| shard.complete_transaction(9, true, step));
    world.store_all(Ok(4));
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Ok(Some(committed(6, 0)))]);
    world.commit(&[(partition("t", 0), committed(7, 0))], Some((9, 0)));
    world.store_all(Ok(5));
    world.act(|shard, step| shard.complete_transaction(9, false, step));
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Ok(Some(committed(6, 0)))]);
}

#[test]
fn offsets_of_transactions_are_handed_over_once_they_commit() {
    let mut world = World::new(OffsetsStorage::ZooKeeper);
    let offsets = vec![(partition("t", 0), committed(5, 0))];
    world.commit(&offsets, Some((9, 0)));
    world.store_all(Ok(3));
    world.effects.clear();
    world.act(|shard, step| shard.complete_transaction(9, true, step));
    let Some(Effect::HandOver { group, offsets: handed }) = world.effects.pop() else {
        panic!("no hand-over")
    };
    assert_eq!(handed, offsets);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Err(ErrorCode::UnstableOffsetCommit)]);
    world.act(|shard, step| shard.handed_over(&group, vec![partition("t", 0)], step));
    assert!(matches!(world.effects[..], [Effect::Tombstones { group_is_gone: false, .. }]));
    // As in Kafka, the group is there until the next look for expired offsets.
    world.act(|shard, step| shard.remove_unused(&group, step));
    assert!(world.shard.is_empty(), "nothing is kept here");
}

const FORMAT: RecordFormat = RecordFormat { ibp: IbpVersion::LATEST, compression: Compression::None };

/// Batches one after the other, as a log has them.
fn log_of(batches: &[Bytes]) -> Bytes {
    let (mut log, mut offset) = (BytesMut::new(), 0i64);
    for batch in batches {
        let info = crate::record::BatchInfo::parse(batch).expect("a batch");
        let at = log.len();
        log.extend_from_slice(batch);
        log[at..at + 8].copy_from_slice(&offset.to_be_bytes());
        offset += i64::from(info.last_offset_delta) + 1;
    }
    log.freeze()
}

fn load(batches: &[Bytes], storage: OffsetsStorage) -> (World, usize) {
    let mut world = World::new(storage);
    let mut loader = Loader::default();
    loader.read(&log_of(batches));
    let skipped = loader.skipped();
    let mut step = Step { now: world.now, settings: &world.settings, effects: &mut world.effects };
    world.shard = loader.finish(storage, &mut step);
    world.shard.check();
    (world, skipped)
}

#[test]
fn what_cannot_be_read_is_passed_over() {
    let mut builder = BatchBuilder::new(BatchOptions::default()).expect("a builder");
    let records: [(&[u8], Option<&[u8]>); 6] = [
        (b"", Some(b"x")),
        (b"\0\x63", Some(b"x")),
        (b"\0\x01\0\x01g", Some(b"\0\x03")),
        (b"\0\x02\0\x01g", Some(b"\0\x03\xff")),
        (b"\0\x02\0\x01g", Some(b"\0\x07")),
        (b"\0\x01\0\x01g\0\x01t\0\0\0\x07", Some(b"\0\x03\xff")),
    ];
    for (key, value) in records {
        builder.append(0, Some(key), value, &[]).expect("a record");
    }
    let good = [(partition("t", 0), committed(5, 1))];
    let good = FORMAT.offsets_batch(&GROUP, &good, None, 0).expect("a batch");
    let (world, skipped) = load(&[builder.build().expect("a batch"), good], OffsetsStorage::Kafka);
    assert_eq!(skipped, 6);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Ok(Some(committed(5, 1)))]);
}

#[test]
fn a_load_gives_what_was_stored() {
    let offsets =
        |offset| [(partition("t", 0), committed(offset, 1)), (partition("t", 1), committed(offset, 1))];
    let batch =
        |offset, producer| FORMAT.offsets_batch(&GROUP, &offsets(offset), producer, 0).expect("a batch");
    let marker = |producer, commit| end_transaction_marker(producer, 0, commit, 0, 0).bytes;
    let batches = [
        batch(1, None),
        batch(2, Some((1, 0))),
        batch(3, Some((2, 0))),
        marker(1, true),
        FORMAT.tombstones_batch(&GROUP, &[partition("t", 1)], false, 0).expect("a batch"),
        marker(2, false),
        batch(4, Some((3, 0))),
    ];
    let (world, skipped) = load(&batches, OffsetsStorage::Kafka);
    assert_eq!(skipped, 0);
    let found = world.shard.fetch(&GROUP, &[partition("t", 0), partition("t", 1)], false);
    assert_eq!(found, [Ok(Some(committed(2, 1))), Ok(None)]);
    assert_eq!(world.shard.fetch(&GROUP, &[partition("t", 0)], true), [Err(ErrorCode::UnstableOffsetCommit)]);

    let (world, _) = load(&batches, OffsetsStorage::ZooKeeper);
    let handed = world.effects.iter().find_map(|effect| match effect {
        Effect::HandOver { offsets, .. } => Some(offsets.clone()),
        _ => None,
    });
    assert_eq!(handed, Some(vec![(partition("t", 0), committed(2, 1))]));
}

#[test]
fn a_loaded_member_lives_for_one_session() {
    let mut before = World::new(OffsetsStorage::Kafka);
    before.with_member(Some("i"));
    let group = before.shard.group(&GROUP).expect("the group");
    let record = FORMAT.group_batch(&GROUP, &group.record(None), 0).expect("a batch");
    let (mut world, _) = load(&[record], OffsetsStorage::Kafka);
    let loaded = world.shard.group(&GROUP).expect("the group");
    assert_eq!((loaded.state(), loaded.generation()), (State::Stable, 1));
    assert_eq!(loaded.members().keys().collect::<Vec<_>>(), [loaded.leader().expect("a leader")]);
    world.pass(9_999);
    assert_eq!(world.state(), Some(State::Stable));
    world.pass(1);
    assert_eq!(world.state(), Some(State::Empty));
}

#[test]
fn values_have_the_version_that_all_brokers_read() {
    let version = |value: Bytes| i16::from_be_bytes([value[0], value[1]]);
    let plain = |ibp| offset_value(&committed(1, 1), ibp).1;
    assert_eq!(plain(IbpVersion::V2_0_IV1), 1);
    assert_eq!(plain(IbpVersion::V2_1_IV0), 2);
    assert_eq!(plain(IbpVersion::V2_1_IV1), 3);
    let expires = CommittedOffset { expire_timestamp_ms: Some(1), ..committed(1, 1) };
    assert_eq!(offset_value(&expires, IbpVersion::LATEST).1, 1);
    let group = |ibp| version(group_value(&GroupMetadataValue::default(), ibp));
    assert_eq!(group(IbpVersion::V0_10_0_IV1), 0);
    assert_eq!(group(IbpVersion::V0_10_1_IV0), 1);
    assert_eq!(group(IbpVersion::V2_1_IV0), 2);
    assert_eq!(group(IbpVersion::V2_3_IV0), 3);
}
