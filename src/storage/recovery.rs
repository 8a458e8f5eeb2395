//! Recovery of one segment: every batch is checked, everything beside the log file is built again.
//!
//! The scan ends at the first batch that is cut, has a wrong checksum, or whose offsets do not rise; the file
//! is cut there. Offset index, time index, transaction index, leader epochs and producer state come from what
//! is left. Source: Kafka 2.8.2, `LogSegment.scala`, `recover` (which on falling offsets drops the whole
//! segment; here what precedes them is kept).

use super::file;
use super::filename;
use super::index_builder::IndexBuilder;
use super::leader_epoch_cache::LeaderEpochCache;
use super::log_config::LogConfig;
use super::loggers;
use super::partition_dir::SegmentFile;
use super::producer_replay;
use super::producer_state::ProducerState;
use super::segment_scan::{self, Scanned};
use super::transaction_index::AbortedTxn;
use crate::common::Offset;
use crate::record::batch::check_crc;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What a recovered segment is.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) size: u32,
    pub(crate) truncated_bytes: u32,
    /// Offset after the last record; the base offset if there is none.
    pub(crate) next_offset: Offset,
    pub(crate) has_txn_index: bool,
}

/// Collects what a scan finds.
struct Builder {
    base_offset: Offset,
    indexes: IndexBuilder,
    problem: Option<String>,
}

impl Builder {
    /// Why this batch cannot stand here.
    fn problem_of(&self, batch: &Scanned<'_>) -> Option<String> {
        let info = &batch.info;
        if let Err(error) = check_crc(info, batch.bytes) {
            return Some(error.to_string());
        }
        let last_offset = self.indexes.last_offset();
        let falls = info.last_offset() <= last_offset || info.last_offset_delta < 0;
        let below = info.magic >= 2 && info.base_offset < self.base_offset;
        (falls || below).then(|| format!("offset {} does not follow {last_offset}", info.base_offset))
    }

    fn learn(&mut self, file: &SegmentFile, producers: &mut ProducerState, batch: &Scanned<'_>) {
        if let Some(completed) = producer_replay::learn(producers, &file.dir, batch) {
            if completed.aborted {
                self.indexes.aborted.push(AbortedTxn {
                    producer_id: completed.producer_id,
                    first_offset: completed.first_offset,
                    last_offset: completed.last_offset,
                    last_stable_offset: producers.last_stable_offset_at(&completed),
                });
            }
            producers.complete(&completed);
        }
        producers.set_end_offset(batch.info.next_offset());
    }
}

/// Recovers a segment. `producers` is the state at its base offset and ends at its end; `epochs` learns what
/// it does not know.
pub(crate) fn recover(
    file: &Arc<SegmentFile>,
    config: &LogConfig,
    producers: &mut ProducerState,
    mut epochs: Option<&mut LeaderEpochCache>,
) -> io::Result<Recovered> {
    let fd = file.log()?;
    let size = u32::try_from(file::len(&fd)?).unwrap_or(u32::MAX);
    let base_offset = file.base_offset;
    let mut builder = Builder { base_offset, indexes: IndexBuilder::new(base_offset, config), problem: None };
    let end = segment_scan::scan(&fd, 0, size, |batch| {
        builder.problem = builder.problem_of(&batch);
        if builder.problem.is_some() {
            return Ok(ControlFlow::Break(()));
        }
        builder.indexes.add(&batch.info, batch.position);
        if batch.info.magic >= 2 {
            if let Some(epochs) = &mut epochs
                && epochs.latest().is_none_or(|latest| batch.info.partition_leader_epoch > latest)
            {
                epochs.assign(batch.info.partition_leader_epoch, batch.info.base_offset);
            }
            builder.learn(file, producers, &batch);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if let Some(problem) = builder.problem.as_ref().or(end.invalid.as_ref()) {
        let path = file.path(filename::LOG);
        log::warn!(
            target: loggers::LOG_SEGMENT,
            "Found invalid messages in log segment {} at byte offset {}: {problem}.",
            path.display(),
            end.position
        );
    }
    if end.position < size {
        file::truncate(&fd, u64::from(end.position))?;
    }
    builder.indexes.write(|suffix| file.path(suffix))?;
    Ok(Recovered {
        size: end.position,
        truncated_bytes: size - end.position,
        next_offset: builder.indexes.last_offset() + 1,
        has_txn_index: !builder.indexes.aborted.is_empty(),
    })
}
