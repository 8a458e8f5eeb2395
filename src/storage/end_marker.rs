//! What the marker that ends a transaction says to producer state.

use crate::record::batch::BatchInfo;
use crate::record::compression::Limits;
use crate::record::control::ControlRecord;
use crate::record::reader::{Record, Records};
use bytes::Bytes;

/// The end of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct EndMarker {
    pub(crate) aborted: bool,
    pub(crate) coordinator_epoch: i32,
    pub(crate) timestamp: i64,
}

/// The marker in a control batch (`batch` is all its bytes); `None` if it holds no record (compaction removed
/// it), another kind of control record, or cannot be read.
pub(crate) fn parse(info: &BatchInfo, batch: &[u8]) -> Option<EndMarker> {
    if !info.is_control() || info.is_compressed() {
        return None;
    }
    let record = first_record(info, batch)?;
    match ControlRecord::parse(&record)? {
        ControlRecord::EndTransaction { commit, coordinator_epoch } => {
            Some(EndMarker { aborted: !commit, coordinator_epoch, timestamp: record.timestamp })
        }
        ControlRecord::Unknown(_) => None,
    }
}

fn first_record(info: &BatchInfo, batch: &[u8]) -> Option<Record> {
    let batch = Bytes::copy_from_slice(batch);
    Records::open(info, &batch, &Limits::default()).ok()?.next()?.ok()
}

/// What a control batch says; `None` if compaction removed its record. What cannot be read is of an unknown kind.
pub(crate) fn control_record(info: &BatchInfo, batch: &[u8]) -> Option<ControlRecord> {
    if info.records_count == 0 {
        return None;
    }
    let known = first_record(info, batch).and_then(|record| ControlRecord::parse(&record));
    Some(known.unwrap_or(ControlRecord::Unknown(-1)))
}
