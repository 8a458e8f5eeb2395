//! A log that moves from one directory to another, step by step, with what may come in between.

use super::*;
use crate::common::{LeaderEpoch, TopicPartition};
use crate::config::properties::Properties;
use crate::config::{BrokerConfig, TopicConfig};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::replication::ReplicaManager;
use crate::replication::fetcher::messages::Fetched;
use crate::replication::partition_machine::LeadershipState;
use crate::replication::replica_manager::{Assignment, MoveError, ReplicaContext, log_config, on_threads_of};
use crate::storage::{LogManagerOptions, LogState};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use tokio::sync::mpsc;

const EPOCH: LeaderEpoch = 3;
const BYTES_MAX: usize = 300;

struct World {
    logs: Arc<LogManager>,
    replicas: ReplicaManager,
    partition: Arc<Partition>,
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

/// A batch of one record of a leader of `epoch`.
fn batch(base: Offset, epoch: LeaderEpoch) -> Vec<u8> {
    let mut builder = BatchBuilder::new(BatchOptions::default()).expect("valid options");
    builder
        .append(1_700_000_000_000 + base, None, Some(format!("{base}/{epoch}").as_bytes()), &[])
        .expect("small");
    let mut bytes = builder.build().expect("a batch").to_vec();
    // Both stand before the checksum.
    bytes[..8].copy_from_slice(&base.to_be_bytes());
    bytes[12..16].copy_from_slice(&epoch.to_be_bytes());
    bytes
}

impl World {
    /// Follows broker 1 in `EPOCH`.
    fn new() -> World {
        World::open(tempfile::tempdir().expect("a directory"))
    }

    fn open(dir: tempfile::TempDir) -> World {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let text = b"zookeeper.connect=none:1\nlog.segment.bytes=600\nlog.index.interval.bytes=100\n";
        let properties = Properties::parse_named(text, "f").expect("well formed");
        let config = BrokerConfig::from_properties(&properties).expect("valid").0;
        let defaults = Arc::new(TopicConfig::defaults(&config));
        let options = LogManagerOptions {
            log_dirs: vec![dir.path().join("a"), dir.path().join("b"), dir.path().join("c")],
            failed_dirs: Vec::new(),
            recovery_threads_per_data_dir: 1,
            producer_expiration_ms: 1 << 40,
            keep_partition_metadata: true,
        };
        let of_log = Arc::new(log_config(&defaults));
        let logs = Arc::new(LogManager::open(&options, &|_| Arc::clone(&of_log)).expect("loaded"));
        let context = ReplicaContext {
            broker_id: 0,
            zstd_allowed: true,
            run_blocking: on_threads_of(runtime.handle().clone()),
            replica_lag_ms_max: 1 << 40,
            reads_near: false,
            failures: mpsc::unbounded_channel().0,
            isr_changes: mpsc::unbounded_channel().0,
        };
        let replicas = ReplicaManager::new(context, Arc::clone(&logs), defaults, HashMap::new());
        let state = LeadershipState {
            controller_epoch: 1,
            leader: 1,
            leader_epoch: EPOCH,
            in_sync_replicas: vec![0, 1],
            zk_version: 0,
            replicas: vec![0, 1],
        };
        let assignment = Assignment { name: name(), topic_id: None, state, is_new: true };
        assert_eq!(replicas.apply(vec![assignment], &HashMap::new())[0].2, Ok(()));
        let partition = replicas.find("t", 0).expect("hosted");
        World { logs, replicas, partition, dir, runtime }
    }

    fn append(&self, from: Offset, to: Offset, epoch: LeaderEpoch) {
        for base in from..to {
            let records = Bytes::from(batch(base, epoch));
            let fetched = Fetched { fetch_offset: base, records, high_watermark: base, log_start_offset: 0 };
            self.partition.append_as_follower(EPOCH, &fetched, || ()).expect("appended");
        }
    }

    fn path(&self, log_dir: &str) -> PathBuf {
        self.dir.path().join(log_dir)
    }

    /// A directory other than that of the log.
    fn other(&self) -> &'static str {
        if self.at() == "b" { "c" } else { "b" }
    }

    /// Where the log is.
    fn at(&self) -> String {
        let log_dir = self.partition.with_state(|s| Arc::clone(s.log.as_ref().expect("a log").log_dir()));
        log_dir.file_name().expect("a name").to_string_lossy().into_owned()
    }

    fn step(&self) -> CopyStep {
        self.partition.copy_step(&self.logs, BYTES_MAX)
    }

    /// Steps until nothing is missing.
    fn finish(&self) {
        for _ in 0..1000 {
            match self.step() {
                CopyStep::Done => return,
                CopyStep::Copied(_) | CopyStep::Cut => {}
                other => panic!("{other:?}"),
            }
        }
        panic!("the copy does not end");
    }

    fn ends(&self) -> (Offset, Option<Offset>) {
        self.partition.with_state(|state| {
            let end = state.log.as_ref().expect("a log").log_end_offset();
            (end, state.future_log().map(Log::log_end_offset))
        })
    }

    /// Epoch by offset, of all records that a reader finds.
    fn records(&self) -> BTreeMap<Offset, LeaderEpoch> {
        let mut found = BTreeMap::new();
        let (mut at, end) = self.partition.with_state(|state| {
            let log = state.log.as_ref().expect("a log");
            (log.log_start_offset(), log.log_end_offset())
        });
        while at < end {
            let bytes = self.partition.read_for_loading(at, 1 << 20).expect("read");
            for info in crate::record::batch::Batches::new(&bytes) {
                let (info, _) = info.expect("whole");
                found.insert(info.base_offset, info.partition_leader_epoch);
                at = info.last_offset() + 1;
            }
        }
        found
    }

    /// Names of this partition's directories in a log directory.
    fn directories(&self, log_dir: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.path(log_dir)).expect("a directory");
        let names = entries.map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("t-0")).collect()
    }
}

fn all(to: Offset, epoch: LeaderEpoch) -> BTreeMap<Offset, LeaderEpoch> {
    (0..to).map(|offset| (offset, epoch)).collect()
}

#[test]
fn a_copy_takes_the_place_of_its_log_while_that_grows() {
    let world = World::new();
    world.append(0, 40, EPOCH);
    let (from, to) = (world.at(), world.other());
    assert_eq!(world.replicas.move_log(&name(), &world.path(to)), Ok(()));
    assert_eq!(world.replicas.move_log(&name(), &world.path(to)), Ok(()), "under way already");
    assert!(matches!(&world.directories(to)[..], [one] if one.ends_with("-future")));
    for base in 40..50 {
        assert!(matches!(world.step(), CopyStep::Copied(_)));
        world.append(base, base + 1, EPOCH);
    }
    assert_eq!(world.records(), all(50, EPOCH));
    world.finish();
    assert_eq!((world.at().as_str(), world.ends()), (to, (50, None)));
    assert_eq!(world.records(), all(50, EPOCH));
    assert_eq!(world.directories(to), ["t-0"]);
    assert!(matches!(&world.directories(&from)[..], [one] if one.ends_with("-delete")));
    assert_eq!(world.step(), CopyStep::Gone);
    world.append(50, 60, EPOCH);
    assert_eq!(world.records(), all(60, EPOCH));
    assert_eq!(world.partition.with_state(|state| state.machine.high_watermark().offset), 59);
}

#[test]
fn what_the_log_loses_the_copy_loses() {
    let world = World::new();
    world.append(0, 30, 1);
    world.replicas.move_log(&name(), &world.path(world.other())).expect("moves");
    while world.ends() != (30, Some(30)) {
        world.step();
    }
    world.partition.truncate_as_follower(EPOCH, 20).expect("cut");
    world.append(20, 35, EPOCH);
    assert_eq!(world.step(), CopyStep::Cut);
    assert_eq!(world.ends(), (35, Some(20)));
    // What was read before a cut is not appended after it.
    let planned = world.partition.with_state(PartitionState::plan_copy).ok();
    let Some(Plan::Read { plan, truncations, from }) = planned else { panic!("there is something to read") };
    world.partition.truncate_as_follower(EPOCH, 10).expect("cut");
    world.append(10, 40, EPOCH);
    let copied = world.partition.copy(plan, (truncations, from), BYTES_MAX).expect("no error");
    assert_eq!(copied, CopyStep::Nothing);
    world.finish();
    let expected = (0..40).map(|offset| (offset, if offset < 10 { 1 } else { EPOCH }));
    assert_eq!(world.records(), expected.collect());
}

#[test]
fn the_start_of_the_log_moves_the_copy_s() {
    let world = World::new();
    world.append(0, 30, EPOCH);
    world.replicas.move_log(&name(), &world.path(world.other())).expect("moves");
    let move_start = |to| {
        world.partition.with_state(|state| {
            state.log.as_mut().expect("a log").move_log_start(to, "a test").expect("moved")
        })
    };
    move_start(7);
    assert_eq!(world.step(), CopyStep::Cut, "the copy has nothing of what is left");
    assert!(matches!(world.step(), CopyStep::Copied(_)));
    move_start(8);
    world.finish();
    assert_eq!(world.records().into_keys().collect::<Vec<_>>(), (8..30).collect::<Vec<_>>());
    // The partition moves on, all at once.
    world.partition.restart_as_follower(EPOCH, 100).expect("anew");
    world.append(100, 120, EPOCH);
    world.replicas.move_log(&name(), &world.path("a")).expect("moves");
    world.replicas.move_log(&name(), &world.path(world.other())).expect("moves");
    world.finish();
    assert_eq!(world.records().into_keys().collect::<Vec<_>>(), (100..120).collect::<Vec<_>>());
}

#[test]
fn a_move_can_be_given_up_or_turned() {
    let world = World::new();
    world.append(0, 30, EPOCH);
    let (from, to) = (world.at(), world.other());
    world.replicas.move_log(&name(), &world.path(to)).expect("moves");
    world.step();
    assert_eq!(world.replicas.move_log(&name(), &world.path(&from)), Ok(()), "where it is");
    assert_eq!(world.ends(), (30, None));
    assert!(matches!(&world.directories(to)[..], [one] if one.ends_with("-delete")));
    assert_eq!(world.step(), CopyStep::Gone);
    assert_eq!(world.replicas.move_log(&name(), &world.path("nowhere")), Err(MoveError::UnknownDirectory));
    let other = TopicPartition::new("other", 0);
    assert_eq!(world.replicas.move_log(&other, &world.path(to)), Err(MoveError::NotHosted));
    let long = TopicPartition::new("x".repeat(249), 0);
    assert_eq!(world.replicas.move_log(&long, &world.path(to)), Err(MoveError::NameTooLong));
}

#[test]
fn a_restart_in_the_middle_goes_on() {
    let world = World::new();
    world.append(0, 30, EPOCH);
    let to = world.other();
    world.replicas.move_log(&name(), &world.path(to)).expect("moves");
    while world.ends().1 < Some(10) {
        world.step();
    }
    let copied = world.ends().1;
    let World { logs, replicas, partition, dir, runtime } = world;
    let marks = replicas.high_watermarks();
    let both = replicas.close();
    assert_eq!(both.len(), 2);
    logs.shut_down(both, marks).expect("closed");
    drop((logs, replicas, partition, runtime));
    let world = World::open(dir);
    assert_eq!(world.ends(), (30, copied));
    world.append(30, 35, EPOCH);
    world.finish();
    assert_eq!((world.at().as_str(), world.records()), (to, all(35, EPOCH)));
}

#[test]
fn checkpoints_know_the_copy_and_a_deletion_takes_it_along() {
    let world = World::new();
    world.append(0, 30, EPOCH);
    let to = world.other();
    world.replicas.move_log(&name(), &world.path(to)).expect("moves");
    world.step();
    let states: Vec<LogState> = world.replicas.log_states();
    let dirs: Vec<_> =
        states.iter().map(|state| state.log_dir.file_name().expect("a name").to_owned()).collect();
    assert_eq!(dirs, [std::ffi::OsString::from(world.at()), to.into()]);
    let (from, stop) = (
        world.at(),
        crate::replication::replica_manager::Stop { name: name(), leader_epoch: EPOCH + 1, delete: true },
    );
    assert_eq!(world.replicas.stop(vec![stop])[0].1, Ok(()));
    for log_dir in [from.as_str(), to] {
        assert!(matches!(&world.directories(log_dir)[..], [one] if one.ends_with("-delete")));
    }
}
