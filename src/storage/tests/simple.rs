//! A log with chosen settings, and appends of plain batches.

use crate::common::{Offset, TopicPartition};
use crate::record::batch::{BatchInfo, PreparedBatch};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::storage::append_types::FollowerRecords;
use crate::storage::{
    AppendError, AppendOrigin, LeaderAppend, Log, LogConfig, LogManager, LogManagerOptions,
};
use smallvec::smallvec;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

pub(super) struct Fixture {
    pub(super) root: TempDir,
    pub(super) manager: LogManager,
    pub(super) log: Log,
    pub(super) config: Arc<LogConfig>,
}

pub(super) fn name() -> TopicPartition {
    TopicPartition::new("t", 0)
}

pub(super) fn open(root: &TempDir, config: &Arc<LogConfig>, keep_partition_metadata: bool) -> LogManager {
    let options = LogManagerOptions {
        log_dirs: vec![root.path().to_path_buf()],
        failed_dirs: Vec::new(),
        recovery_threads_per_data_dir: 1,
        producer_expiration_ms: i64::MAX / 4,
        keep_partition_metadata,
    };
    LogManager::open(&options, &|_| config.clone()).expect("opens")
}

pub(super) fn fixture(config: LogConfig) -> Fixture {
    let root = tempfile::tempdir().expect("temporary directory");
    let config = Arc::new(config);
    let manager = open(&root, &config, true);
    let log = manager.get_or_create(&name(), &config, true).expect("created");
    Fixture { root, manager, log, config }
}

/// A batch of one record.
pub(super) fn batch(options: BatchOptions, timestamp: i64, value_bytes: usize) -> PreparedBatch {
    let mut builder = BatchBuilder::new(options).expect("options");
    builder.append(timestamp, None, Some(&vec![7; value_bytes]), &[]).expect("record");
    let bytes = builder.build().expect("batch");
    PreparedBatch { info: BatchInfo::parse(&bytes).expect("built"), bytes }
}

impl Fixture {
    pub(super) fn append(&mut self, timestamp: i64, value_bytes: usize) -> Offset {
        self.append_batch(batch(BatchOptions::default(), timestamp, value_bytes), NOW_MS).expect("accepted")
    }

    pub(super) fn append_batch(&mut self, batch: PreparedBatch, now_ms: i64) -> Result<Offset, AppendError> {
        let mut appends = [LeaderAppend::new(smallvec![batch], AppendOrigin::Client)];
        self.log.append_as_leader(&mut appends, 0, now_ms).expect("disk works");
        let [append] = appends;
        append.outcome.map(|appended| appended.first_offset)
    }

    /// Appends a leader's batch at an offset.
    pub(super) fn follow(&mut self, offset: Offset) {
        let batch = batch(BatchOptions { base_offset: offset, ..BatchOptions::default() }, NOW_MS, 10);
        let records = FollowerRecords::check(batch.bytes).expect("checks");
        self.log.append_as_follower(&records, NOW_MS).expect("accepted");
    }

    pub(super) fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("t-0").join(file)
    }

    /// Names of the partition's files that end so.
    pub(super) fn files(&self, suffix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.log.path()).expect("listed");
        let names = entries.map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name.ends_with(suffix)).collect();
        names.sort();
        names
    }

    /// Base offsets of all segments.
    pub(super) fn bases(&self) -> Vec<Offset> {
        let sealed = self.log.sealed.iter().map(|segment| segment.base_offset());
        sealed.chain([self.log.active_segment_base_offset()]).collect()
    }

    pub(super) fn checkpoint(&self, file: &str) -> String {
        std::fs::read_to_string(self.root.path().join(file)).expect("checkpoint")
    }
}
