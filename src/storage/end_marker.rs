//! What the marker that ends a transaction says to producer state.

use crate::record::batch::BatchInfo;
use crate::record::compression::Limits;
use crate::record::control::ControlRecord;
use crate::record::reader::Records;
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
    let batch = Bytes::copy_from_slice(batch);
    let record = Records::open(info, &batch, &Limits::default()).ok()?.next()?.ok()?;
    match ControlRecord::parse(&record)? {
        ControlRecord::EndTransaction { commit, coordinator_epoch } => {
            Some(EndMarker { aborted: !commit, coordinator_epoch, timestamp: record.timestamp })
        }
        ControlRecord::Unknown(_) => None,
    }
}
