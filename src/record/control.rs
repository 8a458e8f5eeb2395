//! Control batches: the markers that end a transaction (KIP-98).
//!
//! ```text
//! key   = version i16 (0), type i16 (0 abort, 1 commit)
//! value = version i16 (0), coordinator_epoch i32
//! ```
//!
//! Source: Kafka 2.8.2, `common/record/ControlRecordType.java`, `EndTransactionMarker.java`.

use super::batch::{BatchInfo, PreparedBatch};
use super::builder::{BatchBuilder, BatchOptions};
use super::reader::Record;
use crate::common::{ProducerEpoch, ProducerId};

/// What a control record says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlRecord {
    /// The end of a transaction.
    EndTransaction {
        /// Commit, else abort.
        commit: bool,
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// A type that this version does not know; readers pass over it.
    Unknown(i16),
}

impl ControlRecord {
    /// Reads a record of a control batch; `None` if it is too short or its version negative.
    pub fn parse(record: &Record) -> Option<ControlRecord> {
        ControlRecord::parse_parts(record.key.as_deref()?, record.value.as_deref().unwrap_or_default())
    }

    /// As [`ControlRecord::parse`], from key and value.
    pub fn parse_parts(key: &[u8], value: &[u8]) -> Option<ControlRecord> {
        let (key_version, kind) = (read_i16(key, 0)?, read_i16(key, 2)?);
        if key_version < 0 {
            return None;
        }
        if kind != 0 && kind != 1 {
            return Some(ControlRecord::Unknown(kind));
        }
        if read_i16(value, 0)? < 0 {
            return None;
        }
        let epoch = value.get(2..6)?;
        let coordinator_epoch = i32::from_be_bytes([epoch[0], epoch[1], epoch[2], epoch[3]]);
        Some(ControlRecord::EndTransaction { commit: kind == 1, coordinator_epoch })
    }
}

fn read_i16(bytes: &[u8], at: usize) -> Option<i16> {
    Some(i16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// The batch that ends a transaction of `producer_id`, ready for the log.
pub fn end_transaction_marker(
    producer_id: ProducerId,
    producer_epoch: ProducerEpoch,
    commit: bool,
    coordinator_epoch: i32,
    timestamp_ms: i64,
) -> PreparedBatch {
    let options = BatchOptions {
        producer_id,
        producer_epoch,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    };
    let mut builder = BatchBuilder::new(options).expect("control batches are v2");
    let key = [0, 0, 0, u8::from(commit)];
    let mut value = vec![0, 0];
    value.extend_from_slice(&coordinator_epoch.to_be_bytes());
    builder.append(timestamp_ms.max(0), Some(&key), Some(&value), &[]).expect("a first, small record");
    let bytes = builder.build().expect("a small batch");
    PreparedBatch { info: BatchInfo::parse(&bytes).expect("just built"), bytes }
}
