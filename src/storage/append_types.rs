//! What goes into an append and what comes out.

use super::error::AppendError;
use super::read_plan::LogPosition;
use crate::common::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};
use crate::record::batch::{BatchInfo, Batches, PreparedBatch, check_crc};
use bytes::Bytes;
use smallvec::SmallVec;

/// Who appends through the leader; decides how strictly producers are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AppendOrigin {
    /// A produce request: sequences and epochs are checked, duplicates are answered.
    #[default]
    Client,
    /// A coordinator on this broker (offset commits, transaction markers): epochs only.
    Coordinator,
    /// The leader of another broker: nothing, that leader checked.
    Replication,
}

/// One request's batches for one partition, and what became of them.
#[derive(Clone, Debug)]
pub struct LeaderAppend {
    /// Validated batches; `info.base_offset` counts from 0 within this request.
    pub batches: SmallVec<[PreparedBatch; 1]>,
    /// Who appends.
    pub origin: AppendOrigin,
    /// Filled by [`super::log::Log::append_as_leader`].
    pub outcome: Result<LeaderAppended, AppendError>,
}

impl LeaderAppend {
    /// An append that waits for its turn.
    pub fn new(batches: SmallVec<[PreparedBatch; 1]>, origin: AppendOrigin) -> LeaderAppend {
        LeaderAppend { batches, origin, outcome: Err(AppendError::NotTried) }
    }
}

/// Where a request's records are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeaderAppended {
    /// Offset of the first record; -1 if the request held none.
    pub first_offset: Offset,
    /// Offset of the last record; -1 if the request held none.
    pub last_offset: Offset,
    /// The append time if the broker stamps it (or the duplicate's timestamp), else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log after the append.
    pub log_start_offset: Offset,
    /// True if the records were in the log already (KIP-98).
    pub duplicate: bool,
    /// The log end right after this append; of a duplicate the log end as it was found.
    pub end: LogPosition,
}

/// What a log knows of a producer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActiveProducer {
    /// Its id.
    pub producer_id: ProducerId,
    /// Its newest epoch.
    pub producer_epoch: ProducerEpoch,
    /// Sequence of its last record, -1 if it has none in this epoch.
    pub last_sequence: i32,
    /// Timestamp of its last batch or marker.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker, -1 before.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins.
    pub current_txn_first_offset: Option<Offset>,
}

/// Record bytes from a leader, checked and cut to whole batches: done off the partition's lock.
#[derive(Clone, Debug)]
pub struct FollowerRecords {
    /// The whole batches, verbatim.
    pub(crate) bytes: Bytes,
    /// Their headers, in order.
    pub(crate) batches: SmallVec<[BatchInfo; 4]>,
}

impl FollowerRecords {
    /// Checks checksums and that offsets increase; a batch that is cut at the end is left away.
    pub fn check(records: Bytes) -> Result<FollowerRecords, AppendError> {
        let mut batches = SmallVec::new();
        let mut iterator = Batches::new(&records);
        let mut last_offset = -1;
        for batch in iterator.by_ref() {
            let (info, bytes) = batch.map_err(|error| AppendError::Corrupt(error.to_string()))?;
            check_crc(&info, bytes).map_err(|error| AppendError::Corrupt(error.to_string()))?;
            if info.last_offset() <= last_offset || info.base_offset < 0 || info.last_offset_delta < 0 {
                return Err(AppendError::OffsetsOutOfOrder(format!(
                    "Out of order offsets found in append: {} after {last_offset}",
                    info.last_offset()
                )));
            }
            last_offset = info.last_offset();
            batches.push(info);
        }
        let valid = iterator.position();
        Ok(FollowerRecords { bytes: records.slice(..valid), batches })
    }

    /// True if there is not one whole batch.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Bytes of the whole batches.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Offset of the first record (of a legacy set: last offset of its first entry).
    pub fn first_offset(&self) -> Option<Offset> {
        self.batches.first().map(|batch| batch.base_offset)
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> Option<Offset> {
        self.batches.last().map(|batch| batch.last_offset())
    }

    /// Leader epoch of the last batch, -1 for legacy formats.
    pub fn last_leader_epoch(&self) -> Option<LeaderEpoch> {
        self.batches.last().map(|batch| batch.partition_leader_epoch)
    }

    /// Number of records, as far as headers tell.
    pub fn records_count(&self) -> i64 {
        self.batches.iter().map(|batch| i64::from(batch.records_count.max(1))).sum()
    }
}

/// What a follower's append did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FollowerAppended {
    /// First offset that was written; -1 if there was nothing to write.
    pub first_offset: Offset,
    /// Last offset that was written; -1 if there was nothing to write.
    pub last_offset: Offset,
    /// The log end now.
    pub end: LogPosition,
}
