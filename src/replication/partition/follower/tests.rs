//! A follower's log on a disk: what a leader's answers do to it.

use super::*;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::replication::{ReplicaManager, testing};
use std::cell::Cell;
use std::sync::Arc;

const EPOCH: LeaderEpoch = 3;

struct World {
    replicas: Arc<ReplicaManager>,
    partition: Arc<Partition>,
    dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

fn decide(replicas: &ReplicaManager, leader: i32, leader_epoch: LeaderEpoch) {
    testing::decide(replicas, 0, (leader, leader_epoch), &[0, 1], &[0, 1]);
}

impl World {
    fn new() -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let entered = runtime.enter();
        let (replicas, _, dir) = testing::replicas("log.segment.bytes=600\n");
        drop(entered);
        decide(&replicas, 1, EPOCH);
        let partition = replicas.find("t", 0).expect("hosted");
        World { replicas, partition, dir, _runtime: runtime }
    }

    fn append(&self, fetched: &Fetched) -> Result<LogView, LogFailure> {
        self.partition.append_as_follower(EPOCH, fetched, || panic!("the log begins anew"))
    }

    /// As the checkpoint has it, written anew.
    fn recovery_point(&self) -> Offset {
        self.replicas.write_recovery_points();
        let path = self.dir.path().join("recovery-point-offset-checkpoint");
        let text = std::fs::read_to_string(path).expect("a checkpoint");
        let line = text.lines().last().and_then(|line| line.strip_prefix("t 0 "));
        line.and_then(|offset| offset.parse().ok()).expect("an entry")
    }
}

/// A batch of `count` records of a leader of `epoch`.
fn batch(base: Offset, count: usize, epoch: LeaderEpoch) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).expect("valid options");
    for at in 0..count {
        builder.append(clock::now_ms(), None, Some(format!("record {at}").as_bytes()), &[]).expect("small");
    }
    let mut bytes = builder.build().expect("a batch").to_vec();
    // Both stand before the checksum.
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes
}

fn fetched(fetch_offset: Offset, records: Vec<u8>, high_watermark: Offset) -> Fetched {
    Fetched { fetch_offset, records: Bytes::from(records), high_watermark, log_start_offset: 0 }
}

fn stand(view: &LogView) -> (Offset, Offset, Offset, Option<LeaderEpoch>) {
    (view.log_start_offset, view.log_end_offset, view.high_watermark, view.latest_epoch)
}

#[test]
fn a_leaders_bytes_are_taken_verbatim() {
    let world = World::new();
    let records = [batch(0, 3, 1), batch(3, 2, 3)].concat();
    let cut = [&records[..], &batch(5, 1, 3)[..20]].concat();
    let view = world.append(&fetched(0, cut, 4)).expect("appended");
    assert_eq!(stand(&view), (0, 5, 4, Some(3)));
    let log = world.dir.path().join("t-0/00000000000000000000.log");
    assert_eq!(std::fs::read(log).expect("a segment"), records);
    assert_eq!(world.partition.epoch_end_as_follower(EPOCH, 1), Ok(Some((1, 3))));
    let view = world.append(&fetched(5, Vec::new(), 99)).expect("nothing new");
    assert_eq!(stand(&view), (0, 5, 5, Some(3)), "never beyond its own end");
    let view = world.append(&Fetched { log_start_offset: 4, ..fetched(5, Vec::new(), 2) });
    assert_eq!(stand(&view.expect("a log start")), (4, 5, 5, Some(3)));
}

#[test]
fn what_does_not_fit_changes_nothing() {
    let world = World::new();
    world.append(&fetched(0, batch(0, 3, 1), 3)).expect("appended");
    let mut broken = batch(3, 2, 3);
    *broken.last_mut().expect("bytes") ^= 1;
    let gap = [batch(4, 1, 3), batch(3, 1, 3)].concat();
    for refused in [
        fetched(3, broken, 5),
        fetched(2, batch(2, 3, 3), 5),
        fetched(3, batch(1, 1, 3), 5),
        fetched(3, gap, 5),
    ] {
        assert!(matches!(world.append(&refused), Err(LogFailure::Rejected(_))), "{refused:?}");
        let view = world.partition.look_as_follower(EPOCH).expect("still there");
        assert_eq!(stand(&view), (0, 3, 3, Some(1)));
    }
}

#[test]
fn a_late_answer_changes_nothing() {
    let world = World::new();
    world.append(&fetched(0, batch(0, 3, 1), 3)).expect("appended");
    decide(&world.replicas, 1, EPOCH + 1);
    let late = LogFailure::NotFollowing;
    assert_eq!(world.append(&fetched(3, batch(3, 2, 3), 5)), Err(late.clone()));
    assert_eq!(world.partition.truncate_as_follower(EPOCH, 0), Err(late.clone()));
    decide(&world.replicas, 0, EPOCH + 2);
    assert_eq!(
        world.partition.append_as_follower(EPOCH + 2, &fetched(3, batch(3, 2, 3), 5), || ()),
        Err(late.clone())
    );
    assert_eq!(world.partition.restart_as_follower(EPOCH + 2, 9), Err(late));
    assert_eq!(world.partition.with_state(|state| state.log.as_ref().map(Log::log_end_offset)), Some(3));
}

#[test]
fn a_cut_keeps_the_high_watermark_inside_and_the_recovery_point_below() {
    let world = World::new();
    for base in 0..20 {
        world.append(&fetched(base, batch(base, 1, 1 + base as i32 / 8), base)).expect("appended");
    }
    world.partition.flush_if_wanted(clock::now_ms()).expect("a healthy disk");
    let flushed =
        world.partition.with_state(|state| state.log.as_mut().expect("a log").flush(clock::now_ms()));
    flushed.expect("a healthy disk");
    assert!(world.recovery_point() > 9);
    let view = world.partition.truncate_as_follower(EPOCH, 9).expect("cut");
    assert_eq!(stand(&view), (0, 9, 9, Some(2)));
    assert!(world.recovery_point() <= 9);
    let view = world.partition.restart_as_follower(EPOCH, 50).expect("anew");
    assert_eq!(stand(&view), (50, 50, 50, None));
    assert_eq!(
        stand(&world.append(&fetched(50, batch(50, 2, 3), 51)).expect("appended")),
        (50, 52, 51, Some(3))
    );
}

#[test]
fn an_empty_log_begins_with_the_batch_that_holds_the_leaders_start() {
    let world = World::new();
    world.partition.restart_as_follower(EPOCH, 20).expect("anew");
    let records = [batch(0, 50, 3), batch(50, 10, 3)].concat();
    let answer = Fetched { log_start_offset: 20, ..fetched(20, records, 60) };
    let (restarted, world) = (Cell::new(0), world);
    let taken = world.partition.append_as_follower(EPOCH, &answer, || {
        restarted.set(restarted.get() + 1);
        let end = world.partition.look_as_follower(EPOCH).map(|view| view.log_end_offset);
        assert_eq!(end, Ok(0), "before anything is appended");
    });
    assert_eq!(stand(&taken.expect("appended")), (20, 60, 60, Some(3)));
    assert_eq!(restarted.get(), 1);
}
