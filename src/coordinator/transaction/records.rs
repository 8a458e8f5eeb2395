//! Transactions as records of `__transaction_state`, and back.
//!
//! ```text
//! key   = TransactionLogKey version 0
//! value = TransactionLogValue version 0, or none: the transactional id was forgotten
//! ```
//!
//! Source: Kafka 2.8.2, `TransactionLog.scala`.

use super::partition_set::PartitionSet;
use super::state::TransactionState;
use super::status::Status;
use crate::protocol::stored::transaction_log::{PartitionsSchema, TransactionLogKey, TransactionLogValue};
use crate::protocol::{decode_versioned, encode_versioned};
use crate::record::RecordsError;
use crate::record::batch::{BatchInfo, Batches, check_crc};
use crate::record::builder::{BatchBuilder, BatchOptions, BuildError};
use crate::record::compression::Limits;
use crate::record::reader::{Record, Records};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::HashMap;

const VERSION: i16 = 0;

fn key(transactional_id: &ByteString) -> Bytes {
    let key = TransactionLogKey { transactional_id: transactional_id.clone(), ..Default::default() };
    encode_versioned(&key, VERSION)
}

fn value(state: &TransactionState) -> Bytes {
    let topics = state.partitions.topics().map(|(topic, partitions)| PartitionsSchema {
        topic: topic.clone(),
        partition_ids: partitions.iter().copied().collect(),
        ..Default::default()
    });
    let value = TransactionLogValue {
        producer_id: state.producer_id,
        producer_epoch: state.producer_epoch,
        transaction_timeout_ms: state.timeout_ms,
        transaction_status: state.status as i8,
        transaction_partitions: (state.status != Status::Empty).then(|| topics.collect()),
        transaction_last_update_timestamp_ms: state.last_update_ms,
        transaction_start_timestamp_ms: state.start_ms,
        ..Default::default()
    };
    encode_versioned(&value, VERSION)
}

/// A batch with the record of one transaction.
pub fn encode(
    transactional_id: &ByteString,
    state: &TransactionState,
    now_ms: i64,
) -> Result<Bytes, BuildError> {
    let mut batch = BatchBuilder::new(BatchOptions::default())?;
    batch.append(now_ms.max(0), Some(&key(transactional_id)), Some(&value(state)), &[])?;
    batch.build()
}

/// A batch of tombstones.
pub fn encode_tombstones(transactional_ids: &[ByteString], now_ms: i64) -> Result<Bytes, BuildError> {
    let mut batch = BatchBuilder::new(BatchOptions::default())?;
    for id in transactional_ids {
        batch.append(now_ms.max(0), Some(&key(id)), None, &[])?;
    }
    batch.build()
}

/// What a record says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LogRecord {
    /// A transaction's new state.
    State(ByteString, TransactionState),
    /// The transactional id was forgotten.
    Tombstone(ByteString),
}

/// Reads a record.
pub fn decode(record: &Record) -> Result<LogRecord, String> {
    let key = record.key.clone().ok_or("a record without a key")?;
    let (_, key) = decode_versioned::<TransactionLogKey>(key).map_err(|error| format!("the key: {error}"))?;
    // A copy: a key of the batch would keep all of it in memory.
    let id = ByteString::from(&*key.transactional_id);
    let Some(value) = record.value.clone() else { return Ok(LogRecord::Tombstone(id)) };
    let (_, value) = decode_versioned::<TransactionLogValue>(value)
        .map_err(|error| format!("the value of transactional id {id}: {error}"))?;
    let status = Status::from_code(value.transaction_status)
        .filter(|status| status.is_stored())
        .ok_or_else(|| format!("transactional id {id} has status {}", value.transaction_status))?;
    if value.producer_id < 0 || value.producer_epoch < 0 {
        let (id_there, epoch) = (value.producer_id, value.producer_epoch);
        return Err(format!("transactional id {id} has producer id {id_there}, epoch {epoch}"));
    }
    let mut partitions = PartitionSet::default();
    for topic in value.transaction_partitions.iter().flatten() {
        topic.partition_ids.iter().for_each(|partition| partitions.insert(&topic.topic, *partition));
    }
    let state = TransactionState {
        producer_id: value.producer_id,
        producer_epoch: value.producer_epoch,
        timeout_ms: value.transaction_timeout_ms,
        status,
        partitions,
        last_update_ms: value.transaction_last_update_timestamp_ms,
        start_ms: value.transaction_start_timestamp_ms,
    };
    Ok(LogRecord::State(id, state))
}

/// Rebuilds transactions from the log.
#[derive(Default, Debug)]
pub struct Replay {
    /// The last state of every transactional id.
    pub transactions: HashMap<ByteString, TransactionState>,
    /// What could not be read, for the log.
    pub unreadable: Vec<String>,
}

impl Replay {
    /// Takes whole batches in; gives the offset behind them. Unreadable records are passed over, so that one
    /// damaged transaction does not hide the others (Kafka ends the load there).
    pub fn take(&mut self, batches: &Bytes, limits: &Limits) -> Option<i64> {
        let mut next = None;
        let mut at = 0;
        for batch in Batches::new(batches) {
            let (info, bytes) = match batch {
                Ok(found) => found,
                Err(error) => {
                    self.unreadable.push(format!("a batch: {error}"));
                    break;
                }
            };
            let batch = batches.slice(at..at + bytes.len());
            at += bytes.len();
            next = Some(info.next_offset());
            if !info.is_control() {
                self.take_batch(&info, &batch, limits);
            }
        }
        next
    }

    fn take_batch(&mut self, info: &BatchInfo, batch: &Bytes, limits: &Limits) {
        let opened = check_crc(info, batch).map_err(RecordsError::from);
        let records = match opened.and_then(|()| Records::open(info, batch, limits)) {
            Ok(records) => records,
            Err(error) => {
                self.unreadable.push(format!("the batch at offset {}: {error}", info.base_offset));
                return;
            }
        };
        for record in records {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    self.unreadable.push(format!("the batch at offset {}: {error}", info.base_offset));
                    return;
                }
            };
            match decode(&record) {
                Ok(LogRecord::State(id, state)) => {
                    self.transactions.insert(id, state);
                }
                Ok(LogRecord::Tombstone(id)) => {
                    self.transactions.remove(&id);
                }
                Err(what) => self.unreadable.push(format!("offset {}: {what}", record.offset)),
            }
        }
    }
}
