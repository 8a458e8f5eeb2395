//! A compacted log of keyed records beside a model of what was written.

use crate::common::{Offset, ProducerId, TopicPartition, clock};
use crate::record::batch::{BatchInfo, Batches, Compression, PreparedBatch};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::compression::Limits;
use crate::record::control::end_transaction_marker;
use crate::record::reader::Records;
use crate::storage::cleaner::{Cleaner, CleanerConfig, ServedLogs};
use crate::storage::partition_dir::lock;
use crate::storage::{
    AppendOrigin, LeaderAppend, Log, LogConfig, LogManager, LogManagerOptions, LogPosition, StorageError,
    read_slice,
};
use bytes::Bytes;
use smallvec::smallvec;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

/// A record as a reader gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: Offset,
    pub(super) timestamp: i64,
    pub(super) key: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

/// What happens at the next visits of a log: a test's way into the middle of a pass.
pub(super) type Meanwhile = Box<dyn FnMut(&mut Log) + Send>;

/// One log, served.
#[derive(Default)]
pub(super) struct Served {
    pub(super) log: Mutex<Option<Log>>,
    pub(super) meanwhile: Mutex<Option<Meanwhile>>,
    pub(super) errors: Mutex<Vec<String>>,
}

impl ServedLogs for Served {
    fn for_each(&self, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        if let Some(log) = lock(&self.log).as_mut() {
            let end = log.log_end();
            visit(log, end);
        }
    }

    fn with_log(&self, name: &TopicPartition, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        assert_eq!(*name, self::name());
        let mut log = lock(&self.log);
        let Some(log) = log.as_mut() else { return };
        if let Some(meanwhile) = lock(&self.meanwhile).as_mut() {
            meanwhile(log);
        }
        let end = log.log_end();
        visit(log, end);
    }

    fn failed(&self, error: &StorageError) {
        lock(&self.errors).push(error.to_string());
    }
}

pub(super) fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(super) fn config() -> LogConfig {
    LogConfig {
        segment_bytes: 2000,
        index_interval_bytes: 200,
        segment_index_bytes: 480,
        delete: false,
        compact: true,
        min_cleanable_dirty_ratio: 0.0,
        ..LogConfig::default()
    }
}

pub(super) fn cleaner_config() -> CleanerConfig {
    CleanerConfig {
        threads: 1,
        dedupe_buffer_bytes: 1 << 20,
        load_factor: 0.9,
        io_buffer_bytes: 8192,
        max_io_bytes_per_second: f64::MAX,
        backoff_ms: 1,
    }
}

pub(super) fn open_manager(root: &Path, config: &Arc<LogConfig>) -> LogManager {
    let options = LogManagerOptions {
        log_dirs: vec![root.join("data")],
        failed_dirs: Vec::new(),
        recovery_threads_per_data_dir: 1,
        producer_expiration_ms: 1 << 50,
        keep_partition_metadata: true,
    };
    LogManager::open(&options, &|_| config.clone()).expect("opens")
}

/// What is known of what was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Model {
    /// Records of data batches, whose transaction was not aborted.
    pub(super) committed: Vec<Seen>,
    pub(super) aborted: Vec<Seen>,
    pub(super) open: Vec<(ProducerId, Seen)>,
    /// Last sequence of each producer, and the last offset of its last batch.
    pub(super) last_sequences: BTreeMap<ProducerId, (i32, Offset)>,
}

pub(super) struct World {
    pub(super) config: Arc<LogConfig>,
    pub(super) manager: Arc<LogManager>,
    pub(super) served: Arc<Served>,
    pub(super) model: Model,
}

impl World {
    pub(super) fn new(root: &Path, config: LogConfig) -> World {
        let config = Arc::new(config);
        let manager = Arc::new(open_manager(root, &config));
        let log = manager.get_or_create(&name(), &config, true).expect("created");
        let served = Arc::new(Served { log: Mutex::new(Some(log)), ..Served::default() });
        World { config, manager, served, model: Model::default() }
    }

    pub(super) fn cleaner(&self, config: CleanerConfig) -> Cleaner {
        Cleaner::new(self.served.clone(), self.manager.clone(), config)
    }

    /// Compacts until nothing is due. How often.
    pub(super) fn clean(&self) -> usize {
        let cleaner = self.cleaner(cleaner_config());
        (0..).find(|_| !cleaner.clean_next(0)).expect("an end")
    }

    pub(super) fn with_log<R>(&self, action: impl FnOnce(&mut Log) -> R) -> R {
        action(lock(&self.served.log).as_mut().expect("a log"))
    }

    fn append_batch(&self, batch: PreparedBatch, origin: AppendOrigin) -> Offset {
        let mut appends = [LeaderAppend::new(smallvec![batch], origin)];
        self.with_log(|log| log.append_as_leader(&mut appends, 0, clock::now_ms()).expect("disk works"));
        let [append] = appends;
        append.outcome.expect("accepted").first_offset
    }

    /// Appends a batch of keys and values; gives its first offset.
    pub(super) fn append(
        &mut self,
        options: BatchOptions,
        records: &[(Option<&str>, Option<&str>)],
    ) -> Offset {
        let mut builder = BatchBuilder::new(options.clone()).expect("options");
        for (n, (key, value)) in records.iter().enumerate() {
            let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
            builder.append(NOW_MS + n as i64, key, value, &[]).expect("record");
        }
        let bytes = builder.build().expect("batch");
        let parsed = BatchInfo::parse(&bytes).expect("built");
        let count = records.len() as i32;
        let info = BatchInfo { base_offset: 0, last_offset_delta: count - 1, records_count: count, ..parsed };
        let batch = PreparedBatch { info, bytes };
        let base = self.append_batch(batch, AppendOrigin::Client);
        let bytes = |text: Option<&str>| text.map(|text| Bytes::copy_from_slice(text.as_bytes()));
        for (n, (key, value)) in records.iter().enumerate() {
            let (offset, timestamp) = (base + n as i64, NOW_MS + n as i64);
            let seen = Seen { offset, timestamp, key: bytes(*key), value: bytes(*value) };
            match options.transactional {
                true => self.model.open.push((options.producer_id, seen)),
                false => self.model.committed.push(seen),
            }
        }
        if options.producer_id >= 0 {
            let last = options.base_sequence + records.len() as i32 - 1;
            let last_offset = base + records.len() as i64 - 1;
            self.model.last_sequences.insert(options.producer_id, (last, last_offset));
        }
        base
    }

    /// Appends one record with a key.
    pub(super) fn put(&mut self, key: &str, value: Option<&str>) -> Offset {
        self.append(BatchOptions::default(), &[(Some(key), value)])
    }

    /// A batch of a producer that goes on with its sequence.
    pub(super) fn options(
        &self,
        producer_id: ProducerId,
        transactional: bool,
        compression: Compression,
    ) -> BatchOptions {
        let base_sequence = self.model.last_sequences.get(&producer_id).map_or(0, |last| last.0 + 1);
        BatchOptions {
            producer_id,
            producer_epoch: 0,
            base_sequence,
            transactional,
            compression,
            ..BatchOptions::default()
        }
    }

    pub(super) fn end_transaction(&mut self, producer_id: ProducerId, commit: bool) -> Offset {
        let marker = end_transaction_marker(producer_id, 0, commit, 0, NOW_MS);
        let offset = self.append_batch(marker, AppendOrigin::Coordinator);
        let (ended, open) =
            std::mem::take(&mut self.model.open).into_iter().partition(|(id, _)| *id == producer_id);
        self.model.open = open;
        let ended: Vec<(ProducerId, Seen)> = ended;
        let to = if commit { &mut self.model.committed } else { &mut self.model.aborted };
        to.extend(ended.into_iter().map(|(_, seen)| seen));
        offset
    }

    /// Ends the active segment.
    pub(super) fn roll(&self) {
        self.with_log(|log| log.roll(0, clock::now_ms()).expect("rolls"));
    }

    pub(super) fn flush(&self) {
        self.with_log(|log| log.flush(clock::now_ms()).expect("flushes"));
    }

    pub(super) fn bases(&self) -> Vec<Offset> {
        self.with_log(|log| {
            let sealed = log.sealed.iter().map(|segment| segment.base_offset());
            sealed.chain([log.active_segment_base_offset()]).collect()
        })
    }

    pub(super) fn checkpoint(&self, root: &Path) -> String {
        std::fs::read_to_string(root.join("data/cleaner-offset-checkpoint")).unwrap_or_default()
    }

    /// Closes the log and opens it again, the cleanly stopped broker as well.
    pub(super) fn restart(&mut self, root: &Path) {
        let log = lock(&self.served.log).take().expect("a log");
        self.manager.shut_down(vec![log], HashMap::new()).expect("clean stop");
        self.manager = Arc::new(open_manager(root, &self.config));
        *lock(&self.served.log) = self.manager.claim(&name());
    }

    /// Records as `read_committed` gets them.
    pub(super) fn committed(&self) -> Vec<Seen> {
        self.with_log(|log| {
            read(log).into_iter().filter(|(_, aborted)| !aborted).map(|(seen, _)| seen).collect()
        })
    }
}

/// All records of data batches up to the last stable offset, and whether their transaction was aborted.
pub(super) fn read(log: &mut Log) -> Vec<(Seen, bool)> {
    let mut found = Vec::new();
    let mut offset = log.log_start_offset();
    let end = log.log_end();
    let stable = log.last_stable_offset(end);
    let mut aborting = HashSet::new();
    while offset < stable.offset {
        let plan = log.plan_read(offset, stable).expect("in range").with_aborted_transactions();
        let read = plan.execute(1 << 20, true).expect("reads");
        let mut transactions = read.aborted_transactions.unwrap_or_default();
        transactions.sort_by_key(|txn| std::cmp::Reverse(txn.first_offset));
        let Some(slice) = read.records else { break };
        let bytes = read_slice(&slice).expect("bytes");
        for batch in Batches::new(&bytes) {
            let (info, batch) = batch.expect("a whole batch");
            while let Some(txn) = transactions.pop_if(|txn| txn.first_offset <= info.last_offset()) {
                aborting.insert(txn.producer_id);
            }
            assert!(info.next_offset() > offset || info.base_offset >= offset, "offsets rise");
            offset = info.next_offset();
            if info.is_control() {
                aborting.remove(&info.producer_id);
                continue;
            }
            let aborted = info.is_transactional() && aborting.contains(&info.producer_id);
            crate::record::batch::check_crc(&info, batch).expect("checksum");
            let records = Records::open(&info, &bytes.slice_ref(batch), &Limits::default()).expect("opens");
            for record in records {
                let record = record.expect("a record");
                let seen = Seen {
                    offset: record.offset,
                    timestamp: record.timestamp,
                    key: record.key,
                    value: record.value,
                };
                found.push((seen, aborted));
            }
        }
    }
    found.retain(|(seen, _)| seen.offset >= log.log_start_offset());
    found
}
