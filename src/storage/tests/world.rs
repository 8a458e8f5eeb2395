//! A log under random operations, beside a model of what it must hold.

use crate::common::{Offset, ProducerId, TopicPartition};
use crate::record::batch::{BatchInfo, Batches, PreparedBatch};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::control::end_transaction_marker;
use crate::record::testing::Rng;
use crate::storage::append_types::FollowerRecords;
use crate::storage::log_flush::FlushScope;
use crate::storage::{
    AppendOrigin, Log, LogConfig, LogManager, LogManagerOptions, LogPosition, StorageError, read_slice,
};
use bytes::Bytes;
use smallvec::smallvec;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

pub(super) const EXPIRATION_MS: i64 = 1 << 50;

/// A batch as it stands in the log.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::storage) struct Placed {
    pub(in crate::storage) info: BatchInfo,
    pub(in crate::storage) bytes: Bytes,
}

/// What the log must hold at a moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    pub(super) batches: Vec<Placed>,
    pub(super) log_start: Offset,
    /// Everything below is on disk.
    pub(super) durable: Offset,
}

pub(super) struct World {
    pub(super) manager: LogManager,
    pub(super) log: Log,
    pub(super) model: Model,
    /// Every batch that was ever written at an offset.
    pub(super) versions: HashMap<Offset, Vec<Bytes>>,
    pub(super) now_ms: i64,
    epoch: i32,
    next_producer: ProducerId,
    sequences: BTreeMap<ProducerId, i32>,
    open: Vec<ProducerId>,
}

pub(super) fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(super) fn config() -> Arc<LogConfig> {
    Arc::new(LogConfig {
        segment_bytes: 3000,
        index_interval_bytes: 200,
        segment_index_bytes: 240,
        retention_bytes: 12_000,
        ..LogConfig::default()
    })
}

pub(super) fn open_manager(root: &Path) -> LogManager {
    let options = LogManagerOptions {
        log_dirs: vec![root.join("data")],
        failed_dirs: Vec::new(),
        recovery_threads_per_data_dir: 1,
        producer_expiration_ms: EXPIRATION_MS,
        keep_partition_metadata: true,
    };
    LogManager::open(&options, &|_| config()).expect("opens")
}

/// All batches of a log, read as a consumer reads them.
pub(in crate::storage) fn batches_of(log: &Log) -> Vec<Placed> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    while offset < log.log_end_offset() {
        let plan = log.plan_read(offset, log.log_end()).expect("in range");
        let read = plan.execute(1 << 20, true).expect("reads");
        let Some(slice) = read.records else { break };
        let bytes = read_slice(&slice).expect("bytes");
        for batch in Batches::new(&bytes) {
            let (info, batch) = batch.expect("a whole batch");
            offset = info.next_offset();
            found.push(Placed { info, bytes: Bytes::copy_from_slice(batch) });
        }
    }
    found
}

impl World {
    pub(super) fn new(root: &Path) -> World {
        let manager = open_manager(root);
        let log = manager.get_or_create(&name(), &config(), true).expect("created");
        World {
            manager,
            log,
            model: Model::default(),
            versions: HashMap::new(),
            now_ms: 1_700_000_000_000,
            epoch: 0,
            next_producer: 1000,
            sequences: BTreeMap::new(),
            open: Vec::new(),
        }
    }

    fn end(&self) -> Offset {
        self.model.batches.last().map_or(self.log.log_end_offset(), |batch| batch.info.next_offset())
    }

    fn batch(&mut self, rng: &mut Rng) -> (PreparedBatch, AppendOrigin) {
        self.now_ms += rng.below(1000) as i64;
        if !self.open.is_empty() && rng.below(4) == 0 {
            let producer = self.open.swap_remove(rng.below(self.open.len() as u64) as usize);
            let marker = end_transaction_marker(producer, 0, rng.below(2) == 0, 0, self.now_ms);
            return (marker, AppendOrigin::Coordinator);
        }
        let mut options = BatchOptions::default();
        if rng.below(2) == 0 {
            let transactional = rng.below(3) == 0;
            options.producer_id = if transactional || self.sequences.is_empty() {
                self.next_producer += 1;
                self.next_producer
            } else {
                let known: Vec<_> = self.sequences.keys().collect();
                *known[rng.below(known.len() as u64) as usize]
            };
            options.transactional = transactional;
            if transactional {
                self.open.push(options.producer_id);
            }
            options.producer_epoch = 0;
            options.base_sequence = self.sequences.get(&options.producer_id).map_or(0, |last| last + 1);
        }
        let count = 1 + rng.below(4) as i32;
        if options.producer_id >= 0 && !options.transactional {
            self.sequences.insert(options.producer_id, options.base_sequence + count - 1);
        }
        let mut builder = BatchBuilder::new(options).expect("options");
        for n in 0..count {
            let value = vec![rng.next() as u8; rng.below(200) as usize];
            let timestamp = self.now_ms - rng.below(500) as i64;
            builder.append_at(i64::from(n), timestamp, None, Some(&value), &[]).expect("record");
        }
        let bytes = builder.build().expect("batch");
        (PreparedBatch { info: BatchInfo::parse(&bytes).expect("built"), bytes }, AppendOrigin::Client)
    }

    fn append(&mut self, rng: &mut Rng) -> Result<(), StorageError> {
        if rng.below(8) == 0 {
            self.epoch += 1;
            self.log.assign_epoch_start(self.epoch, self.log.log_end_offset())?;
        }
        let mut end = self.end();
        let mut appends = Vec::new();
        let mut placed = Vec::new();
        for _ in 0..=rng.below(3) {
            let (batch, origin) = self.batch(rng);
            let at = batch.place(end, self.epoch);
            end = at.info.next_offset();
            let bytes = Bytes::from([&at.head[..], &at.rest[..]].concat());
            self.versions.entry(at.info.base_offset).or_default().push(bytes.clone());
            placed.push(Placed { info: at.info, bytes });
            appends.push(crate::storage::LeaderAppend::new(smallvec![batch], origin));
        }
        if rng.below(3) == 0 {
            let bytes: Vec<u8> = placed.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            let records = FollowerRecords::check(bytes.into()).expect("checks");
            if let Err(failure) = self.log.append_as_follower(&records, self.now_ms) {
                let crate::storage::AppendFailure::Storage(error) = failure else { panic!("{failure}") };
                return Err(error);
            }
        } else {
            self.log.append_as_leader(&mut appends, self.epoch, self.now_ms)?;
            for (append, placed) in appends.iter().zip(&placed) {
                let appended = append.outcome.as_ref().expect("accepted");
                assert_eq!(appended.first_offset, placed.info.base_offset);
                assert_eq!(appended.last_offset, placed.info.last_offset());
            }
        }
        self.model.batches.extend(placed);
        Ok(())
    }

    fn flush(&mut self, scope: FlushScope) -> Result<(), StorageError> {
        if let Some(job) = self.log.begin_flush_of(scope, self.now_ms)? {
            let done = job.run()?;
            self.log.complete_flush(done);
        }
        Ok(())
    }

    fn truncate(&mut self, rng: &mut Rng) -> Result<(), StorageError> {
        let far = if rng.below(4) == 0 { 200 } else { 12 };
        let back = rng.below(far) as usize;
        let keep = self.model.batches.len().saturating_sub(back);
        let offset = match self.model.batches.get(keep) {
            Some(batch) if batch.info.base_offset >= self.log.log_start_offset() => batch.info.base_offset,
            _ => return Ok(()),
        };
        self.model.batches.retain(|batch| batch.info.last_offset() < offset);
        self.log.truncate_to(offset, self.now_ms)?;
        self.manager.write_recovery_points(&[self.log.state()])?;
        // What producers are to send next is not known any more.
        self.sequences.clear();
        self.open.clear();
        Ok(())
    }

    fn move_start(&mut self, rng: &mut Rng) -> Result<(), StorageError> {
        let (start, end) = (self.log.log_start_offset(), self.log.log_end_offset());
        let to = start + rng.below((end - start) as u64 / 3 + 1) as i64;
        match self.log.advance_log_start_offset(to, end) {
            Err(crate::storage::ReadError::Storage(error)) => Err(error),
            other => {
                other.expect("in range");
                Ok(())
            }
        }
    }

    /// One random operation.
    pub(super) fn step(&mut self, rng: &mut Rng) -> Result<(), StorageError> {
        let done = match rng.below(20) {
            0..=10 => self.append(rng),
            11 => self.flush(FlushScope::All),
            12 | 13 => self.flush(FlushScope::Sealed),
            14 => self.manager.write_recovery_points(&[self.log.state()]),
            15 => self.manager.write_log_starts(&[self.log.state()]),
            16 => self.log.apply_retention(self.now_ms, self.log.log_end_offset()).map(drop),
            17 => self.manager.run_deletions(self.now_ms + 100_000),
            18 => self.move_start(rng),
            _ => self.truncate(rng),
        };
        self.model.log_start = self.log.log_start_offset();
        self.model.durable = self.log.recovery_point();
        let start = self.log.log_start_offset();
        self.model.batches.retain(|batch| batch.info.last_offset() >= start);
        done
    }
}

/// Everything about a log that must follow from its batches, whatever happened to it. Of producers that wrote only
/// below `start` nothing is known: what was deleted may come back, its producers do not.
pub(super) fn check_consistent(log: &mut Log, batches: &[Placed], start: Offset) {
    let start = start.max(log.log_start_offset());
    let epochs = log.leader_epochs().to_vec();
    assert!(epochs.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1), "{epochs:?}");
    for Placed { info, .. } in batches {
        for offset in [info.base_offset, info.last_offset()] {
            if offset < log.log_start_offset() {
                continue;
            }
            let plan = log.plan_read(offset, log.log_end()).expect("in range");
            let read = plan.execute(1, true).expect("reads");
            let slice = read.records.unwrap_or_else(|| panic!("nothing at {offset}"));
            let found = BatchInfo::parse(&read_slice(&slice).expect("bytes")).expect("a batch");
            assert_eq!(found.base_offset, info.base_offset, "index lookup of {offset}");
        }
        // Entries are clipped at once when the log start moves; its checkpoint may come too late.
        if info.base_offset < epochs[0].1 {
            continue;
        }
        let covering = epochs.iter().rfind(|(_, start)| *start <= info.base_offset);
        assert_eq!(
            covering.map(|entry| entry.0),
            Some(info.partition_leader_epoch),
            "{epochs:?} at {}",
            info.base_offset
        );
    }
    let mut last = BTreeMap::new();
    let of_producers = |batch: &&Placed| batch.info.producer_id >= 0 && batch.info.base_offset >= start;
    for Placed { info, .. } in batches.iter().filter(of_producers) {
        if !info.is_control() {
            last.insert(info.producer_id, info.last_sequence());
        }
    }
    let known: BTreeMap<_, _> = log.producers.sorted().into_iter().map(|(id, e)| (id, e.clone())).collect();
    for (producer, sequence) in last {
        let entry = known.get(&producer).unwrap_or_else(|| panic!("producer {producer} is forgotten"));
        assert_eq!(entry.last_sequence(), sequence, "producer {producer}");
    }
    let mut open: BTreeMap<ProducerId, Offset> = BTreeMap::new();
    let transactional = |batch: &&Placed| batch.info.is_transactional() && batch.info.base_offset >= start;
    for Placed { info, .. } in batches.iter().filter(transactional) {
        match info.is_control() {
            true => drop(open.remove(&info.producer_id)),
            false => drop(open.entry(info.producer_id).or_insert(info.base_offset)),
        }
    }
    let unstable = open.values().min().copied();
    let end = log.log_end();
    // Of a transaction that began below the log start, only producer state knows.
    let earlier = known.values().filter_map(|entry| entry.current_txn_first_offset);
    let log_start = log.log_start_offset();
    let earlier = earlier.filter(|first| *first < start).map(|first| first.max(log_start)).min();
    let expected = [unstable.map(|first| first.max(log_start)), earlier, Some(end.offset)]
        .into_iter()
        .flatten()
        .min()
        .expect("the end");
    assert_eq!(
        log.last_stable_offset(end).offset,
        expected,
        "{:?}",
        batches.iter().map(|b| b.info).collect::<Vec<_>>()
    );
    let largest = batches.iter().map(|batch| batch.info.max_timestamp).max();
    let first = batches.iter().find(|batch| Some(batch.info.max_timestamp) >= largest);
    // Of a batch that is cut by the log start, the record may be below it.
    if let (Some(largest), Some(first)) = (largest, first.filter(|b| b.info.base_offset >= log_start)) {
        let found = log.offset_for_timestamp(largest).expect("searches");
        let offset = found.expect("found").offset;
        assert!(offset >= first.info.base_offset && offset <= first.info.last_offset(), "by timestamp");
        assert_eq!(log.offset_for_timestamp(largest + 1).expect("searches"), None);
    }
}

/// The log of an image, opened, checked against what it may hold, appended to, closed and opened again.
pub(super) fn check_image(root: &Path, world: &World, before: &Model, holes: bool) {
    let after = &world.model;
    let manager = open_manager(root);
    let Some(mut log) = manager.claim(&name()) else {
        let durable = before.durable.min(after.durable);
        assert!(durable <= after.log_start, "the whole log is gone");
        return;
    };
    let batches = batches_of(&log);
    let durable = before.durable.min(after.durable);
    let start = log.log_start_offset().max(before.log_start).max(after.log_start);
    for batch in before.batches.iter().filter(|batch| batch.info.next_offset() <= durable) {
        if batch.info.base_offset >= start {
            assert!(batches.contains(batch), "batch {} was flushed up to {durable}", batch.info.base_offset);
        }
    }
    // A whole segment that was never synced may be lost before a later one that was not synced either.
    let bases: Vec<_> =
        log.sealed.iter().map(|s| s.base_offset()).chain([log.active.base_offset()]).collect();
    let mut next = None;
    for batch in &batches {
        let base = batch.info.base_offset;
        let known = world.versions.get(&base).is_some_and(|versions| versions.contains(&batch.bytes));
        assert!(known, "batch {base} was never written");
        if next.is_some_and(|next| base != next) {
            assert!(
                holes && bases.contains(&base) && (base > durable || base <= after.log_start),
                "hole before {base}, expected {next:?}"
            );
        }
        next = Some(batch.info.next_offset());
    }
    check_consistent(&mut log, &batches, start);
    manager.shut_down(vec![log], HashMap::new()).expect("clean stop");
    let manager = open_manager(root);
    let mut log = manager.claim(&name()).expect("still there");
    assert_eq!(batches_of(&log), batches, "a clean restart changes nothing");
    check_consistent(&mut log, &batches, start);
    assert_eq!(log.recovery_point(), log.log_end_offset());
    let position = log.log_end();
    assert!(position.is_exact() && position != LogPosition::default() || batches.is_empty());
}
