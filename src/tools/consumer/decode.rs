//! Fetched bytes as records: checksums, positions inside of batches, markers and aborted transactions.

use super::ConsumerSettings;
use crate::common::{LeaderEpoch, Offset, ProducerId, TopicPartition};
use crate::protocol::Records as RecordSet;
use crate::protocol::messages::fetch::{AbortedTransaction, FetchablePartitionResponse};
use crate::record::batch::{BatchError, check_crc};
use crate::record::compression::Limits;
use crate::record::control::ControlRecord;
use crate::record::reader::{Header, Records};
use crate::record::{BatchInfo, Batches, RecordsError, TimestampType};
use crate::tools::exception::Exception;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeSet, VecDeque};

/// A record as it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRecord {
    /// Topic.
    pub topic: ByteString,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// The leader epoch of its batch; -1 in old formats.
    pub leader_epoch: LeaderEpoch,
    /// Who set the timestamp.
    pub timestamp_type: TimestampType,
    /// Key.
    pub key: Option<Bytes>,
    /// Value.
    pub value: Option<Bytes>,
    /// Headers.
    pub headers: Vec<Header>,
}

/// Appends the records from `next` on; returns the offset after them.
pub fn records(
    settings: &ConsumerSettings,
    key: &TopicPartition,
    mut next: Offset,
    partition: FetchablePartitionResponse,
    out: &mut VecDeque<ConsumerRecord>,
) -> Result<Offset, Exception> {
    let bytes = match partition.record_set {
        Some(RecordSet::Memory(bytes)) => bytes,
        _ => return Ok(next),
    };
    let mut aborted = Aborted::new(settings.read_committed, partition.aborted_transactions);
    for batch in Batches::new(&bytes) {
        let (info, slice) = batch.map_err(|error| corrupt(key, next, &error))?;
        if settings.check_crcs {
            check_crc(&info, slice).map_err(|error| corrupt(key, info.base_offset, &error))?;
        }
        let slice = bytes.slice_ref(slice);
        if aborted.hides(&info, &slice) || info.is_control() {
            next = next.max(info.next_offset());
            continue;
        }
        let records = Records::open(&info, &slice, &Limits::default())
            .map_err(|error| unreadable(key, info.base_offset, &error))?;
        for record in records {
            let record = record.map_err(|error| unreadable(key, info.base_offset, &error))?;
            if record.offset < next {
                continue;
            }
            next = record.offset + 1;
            out.push_back(ConsumerRecord {
                topic: key.topic.clone(),
                partition: key.partition,
                offset: record.offset,
                timestamp_ms: record.timestamp,
                leader_epoch: info.partition_leader_epoch,
                timestamp_type: info.timestamp_type(),
                key: record.key,
                value: record.value,
                headers: record.headers,
            });
        }
        next = next.max(info.next_offset());
    }
    Ok(next)
}

/// Which transactions of a fetched range were aborted (KIP-98).
struct Aborted {
    is_used: bool,
    /// By first offset.
    coming: VecDeque<AbortedTransaction>,
    active: BTreeSet<ProducerId>,
}

impl Aborted {
    fn new(is_used: bool, transactions: Option<Vec<AbortedTransaction>>) -> Aborted {
        let mut coming = transactions.unwrap_or_default();
        coming.sort_by_key(|transaction| transaction.first_offset);
        Aborted { is_used, coming: coming.into(), active: BTreeSet::new() }
    }

    /// True if the batch belongs to an aborted transaction.
    fn hides(&mut self, info: &BatchInfo, batch: &Bytes) -> bool {
        if !self.is_used || !info.has_producer_id() {
            return false;
        }
        while self.coming.front().is_some_and(|next| next.first_offset <= info.last_offset()) {
            self.active.extend(self.coming.pop_front().map(|next| next.producer_id));
        }
        if info.is_control() {
            let marker = Records::open(info, batch, &Limits::default()).ok().and_then(|mut all| all.next());
            let marker = marker.and_then(Result::ok).and_then(|record| ControlRecord::parse(&record));
            if matches!(marker, Some(ControlRecord::EndTransaction { commit: false, .. })) {
                self.active.remove(&info.producer_id);
            }
            return true;
        }
        info.is_transactional() && self.active.contains(&info.producer_id)
    }
}

fn corrupt(key: &TopicPartition, offset: Offset, error: &BatchError) -> Exception {
    kafka_exception(format!("Record batch for partition {key} at offset {offset} is invalid, cause: {error}"))
}

fn unreadable(key: &TopicPartition, offset: Offset, error: &RecordsError) -> Exception {
    kafka_exception(format!(
        "Received exception when fetching the next record from {key}. If needed, please seek past the record to \
         continue consumption. (offset {offset}: {error})"
    ))
}

fn kafka_exception(message: String) -> Exception {
    Exception::new("org.apache.kafka.common.KafkaException", message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;
    use crate::record::builder::{BatchBuilder, BatchOptions};
    use crate::record::control::end_transaction_marker;

    fn batch(base_offset: Offset, producer_id: ProducerId, values: &[&str]) -> Bytes {
        let options = BatchOptions {
            base_offset,
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
            transactional: producer_id >= 0,
            ..Default::default()
        };
        let mut builder = BatchBuilder::new(options).unwrap();
        for value in values {
            builder.append(1, None, Some(value.as_bytes()), &[]).unwrap();
        }
        builder.build().unwrap()
    }

    fn read(
        isolation: &str,
        next: Offset,
        bytes: Bytes,
        aborted: &[(i64, i64)],
    ) -> Result<(Vec<String>, Offset), Exception> {
        let mut properties = Properties::new();
        properties.set("bootstrap.servers", "127.0.0.1:1");
        properties.set("isolation.level", isolation);
        let settings = ConsumerSettings::new(&properties).unwrap();
        let transactions = aborted.iter().map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
            ..Default::default()
        });
        let partition = FetchablePartitionResponse {
            record_set: Some(RecordSet::Memory(bytes)),
            aborted_transactions: Some(transactions.collect()),
            ..Default::default()
        };
        let mut out = VecDeque::new();
        let next = records(&settings, &TopicPartition::new("t", 0), next, partition, &mut out)?;
        let text = |record: ConsumerRecord| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
        Ok((out.into_iter().map(text).collect(), next))
    }

    #[test]
    fn a_batch_that_began_earlier_is_read_from_the_position() {
        let (values, next) = read("read_uncommitted", 6, batch(5, -1, &["a", "b", "c"]), &[]).unwrap();
        assert_eq!(values, ["b", "c"]);
        assert_eq!(next, 8);
    }

    #[test]
    fn aborted_transactions_are_hidden_from_read_committed_only() {
        let mut set = batch(0, 7, &["aborted"]).to_vec();
        set.extend_from_slice(&batch(1, 8, &["kept"]));
        let marker = end_transaction_marker(7, 0, false, 0, 1).place(2, 0);
        set.extend_from_slice(&marker.head);
        set.extend_from_slice(&marker.rest);
        set.extend_from_slice(&batch(3, 7, &["later"]));
        let set = Bytes::from(set);
        let (values, next) = read("read_committed", 0, set.clone(), &[(7, 0)]).unwrap();
        assert_eq!(values, ["kept", "later"]);
        assert_eq!(next, 4);
        assert_eq!(read("read_uncommitted", 0, set, &[]).unwrap().0, ["aborted", "kept", "later"]);
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let mut damaged = batch(0, -1, &["abc"]).to_vec();
        let last = damaged.len() - 2;
        damaged[last] ^= 1;
        let error = read("read_uncommitted", 0, damaged.into(), &[]).unwrap_err().first_line();
        assert!(error.contains("Record batch for partition t-0 at offset 0 is invalid"), "{error}");
    }
}
