//! Records that wait, in batches per partition.
//!
//! Invariants: only the last batch of a partition takes records, and only until it was sent once; the first
//! is sent first, so that order holds.

use super::Callback;
use crate::common::{ProducerEpoch, ProducerId, clock};
use crate::record::batch::V2_HEADER_SIZE;
use crate::record::builder::{BatchBuilder, BatchOptions, BuildError};
use crate::record::{Compression, varint};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeMap, VecDeque};

/// Bytes of a batch without records.
pub const BATCH_OVERHEAD: usize = V2_HEADER_SIZE;
/// Most bytes that a record takes besides key, value and headers. Source: `DefaultRecord.MAX_RECORD_OVERHEAD`.
const RECORD_OVERHEAD_MAX: usize = 21;

/// A record that waits.
pub struct PendingRecord {
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    /// Upper bound of its size in a batch.
    pub size: usize,
    pub callback: Callback,
}

/// Identity and sequence of an idempotent producer's batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sequenced {
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    pub base_sequence: i32,
}

/// Records of one partition that go together.
pub struct Batch {
    pub topic: ByteString,
    pub partition: i32,
    pub records: Vec<PendingRecord>,
    pub size: usize,
    pub created_ms: i64,
    /// How often it was sent and came back.
    pub attempts: i32,
    /// Not to be sent before this moment of the monotonic clock.
    pub not_before_ms: i64,
    /// Given when it is sent first, kept afterwards.
    pub sequenced: Option<Sequenced>,
}

impl Batch {
    /// The bytes for the wire, in the format of `magic`.
    pub fn encode(
        &self,
        magic: i8,
        compression: Compression,
        transactional: bool,
    ) -> Result<Bytes, BuildError> {
        let mut options = BatchOptions { magic, compression, transactional, ..Default::default() };
        if let Some(sequenced) = self.sequenced {
            options.producer_id = sequenced.producer_id;
            options.producer_epoch = sequenced.producer_epoch;
            options.base_sequence = sequenced.base_sequence;
        }
        let mut builder = BatchBuilder::new(options)?;
        for record in &self.records {
            builder.append(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &[])?;
        }
        builder.build()
    }

    /// Two halves of a batch that is too large as a whole.
    pub fn split(mut self) -> [Batch; 2] {
        let second = self.records.split_off(self.records.len() / 2);
        let size = |records: &[PendingRecord]| BATCH_OVERHEAD + records.iter().map(|r| r.size).sum::<usize>();
        let second = Batch {
            topic: self.topic.clone(),
            size: size(&second),
            records: second,
            sequenced: None,
            ..self
        };
        self.size = size(&self.records);
        self.sequenced = None;
        [self, second]
    }
}

/// Upper bound of a record's size in a batch.
pub fn size_upper_bound(key: Option<&[u8]>, value: Option<&[u8]>) -> usize {
    let field = |bytes: Option<&[u8]>| match bytes {
        None => 1,
        Some(bytes) => varint::size_i32(bytes.len() as i32) + bytes.len(),
    };
    // The last byte is the count of headers, which there are none of.
    RECORD_OVERHEAD_MAX + field(key) + field(value) + 1
}

type Partition = (ByteString, i32);

/// All batches that wait.
pub struct Accumulator {
    batch_size: usize,
    linger_ms: i64,
    queues: BTreeMap<Partition, VecDeque<Batch>>,
    bytes: i64,
}

impl Accumulator {
    pub fn new(batch_size: usize, linger_ms: i64) -> Accumulator {
        Accumulator { batch_size, linger_ms, queues: BTreeMap::new(), bytes: 0 }
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> i64 {
        self.bytes
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queues.values().all(VecDeque::is_empty)
    }

    /// True if the partition's last batch takes a record of `size`, or there is none.
    pub fn has_room(&self, topic: &ByteString, partition: i32, size: usize) -> bool {
        let last = self.queues.get(&(topic.clone(), partition)).and_then(VecDeque::back);
        last.is_none_or(|batch| self.takes(batch, size))
    }

    fn takes(&self, batch: &Batch, size: usize) -> bool {
        batch.attempts == 0 && batch.sequenced.is_none() && batch.size + size <= self.batch_size
    }

    /// Adds a record.
    pub fn append(&mut self, topic: &ByteString, partition: i32, record: PendingRecord) {
        self.bytes += record.size as i64;
        let has_room = self.queues.contains_key(&(topic.clone(), partition))
            && self.has_room(topic, partition, record.size);
        let queue = self.queues.entry((topic.clone(), partition)).or_default();
        if let Some(batch) = queue.back_mut().filter(|_| has_room) {
            batch.size += record.size;
            batch.records.push(record);
            return;
        }
        queue.push_back(Batch {
            topic: topic.clone(),
            partition,
            size: BATCH_OVERHEAD + record.size,
            records: vec![record],
            created_ms: clock::monotonic_ms(),
            attempts: 0,
            not_before_ms: 0,
            sequenced: None,
        });
    }

    /// Puts batches back to the front of their partition, the first first.
    pub fn put_back(&mut self, batches: impl DoubleEndedIterator<Item = Batch>) {
        for batch in batches.rev() {
            self.bytes += batch.records.iter().map(|record| record.size as i64).sum::<i64>();
            self.queues.entry((batch.topic.clone(), batch.partition)).or_default().push_front(batch);
        }
    }

    fn is_ready(&self, queue: &VecDeque<Batch>, now_ms: i64, is_closing: bool) -> bool {
        queue.front().is_some_and(|batch| {
            now_ms >= batch.not_before_ms
                && (is_closing
                    || batch.attempts > 0
                    || queue.len() > 1
                    || batch.size >= self.batch_size
                    || now_ms - batch.created_ms >= self.linger_ms)
        })
    }

    /// Takes the first batch of every partition that is due and that `is_wanted` (topic, partition, size).
    pub fn drain(
        &mut self,
        now_ms: i64,
        is_closing: bool,
        mut is_wanted: impl FnMut(&Batch) -> bool,
    ) -> Vec<Batch> {
        let ready: Vec<Partition> = self
            .queues
            .iter()
            .filter(|(_, queue)| self.is_ready(queue, now_ms, is_closing))
            .map(|(partition, _)| partition.clone())
            .collect();
        let mut batches = Vec::new();
        for partition in ready {
            let Some(queue) = self.queues.get_mut(&partition) else { continue };
            if queue.front().is_some_and(&mut is_wanted)
                && let Some(batch) = queue.pop_front()
            {
                self.bytes -= batch.records.iter().map(|record| record.size as i64).sum::<i64>();
                batches.push(batch);
            }
        }
        batches
    }

    /// True if a batch is due whose partition `is_led` says false of.
    pub fn waits_for_leader(&self, now_ms: i64, is_closing: bool, is_led: impl Fn(&Batch) -> bool) -> bool {
        self.queues
            .values()
            .filter(|queue| self.is_ready(queue, now_ms, is_closing))
            .any(|queue| queue.front().is_some_and(|batch| !is_led(batch)))
    }

    /// Takes the batches that are older than `timeout_ms`.
    pub fn expire(&mut self, now_ms: i64, timeout_ms: i64) -> Vec<Batch> {
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            while queue.front().is_some_and(|batch| now_ms - batch.created_ms > timeout_ms)
                && let Some(batch) = queue.pop_front()
            {
                self.bytes -= batch.records.iter().map(|record| record.size as i64).sum::<i64>();
                expired.push(batch);
            }
        }
        expired
    }

    /// How long nothing will be due, if something waits.
    pub fn idle_ms(&self, now_ms: i64) -> Option<i64> {
        let due = |batch: &Batch| batch.not_before_ms.max(batch.created_ms + self.linger_ms) - now_ms;
        self.queues.values().filter_map(VecDeque::front).map(due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &'static [u8]) -> PendingRecord {
        let size = size_upper_bound(None, Some(value));
        let value = Some(Bytes::from_static(value));
        PendingRecord { timestamp_ms: 1, key: None, value, size, callback: Box::new(|_| {}) }
    }

    #[test]
    fn sizes_are_those_that_kafka_reports() {
        // golden: console-producer/25-too-large
        assert_eq!(BATCH_OVERHEAD + size_upper_bound(None, Some(&[b'x'; 200])), 286);
    }

    #[test]
    fn batches_fill_and_go_in_order() {
        let topic = ByteString::from_static("t");
        let mut accumulator = Accumulator::new(120, 1_000_000);
        for value in [b"a", b"b", b"c"] {
            accumulator.append(&topic, 0, record(value));
        }
        let now = clock::monotonic_ms();
        let first = accumulator.drain(now, false, |_| true);
        assert_eq!(first.len(), 1, "a full batch does not linger");
        assert_eq!(first[0].records.len(), 2);
        assert!(accumulator.drain(now, false, |_| true).is_empty(), "the open one does");
        accumulator.put_back(first.into_iter());
        let again = accumulator.drain(now, true, |_| true);
        assert_eq!(again[0].records.len(), 2);
        assert_eq!(accumulator.drain(now, true, |_| true)[0].records.len(), 1);
        assert!(accumulator.is_empty());
        assert_eq!(accumulator.bytes(), 0);
    }

    #[test]
    fn a_split_batch_keeps_every_record() {
        let topic = ByteString::from_static("t");
        let mut accumulator = Accumulator::new(1_000_000, 0);
        for _ in 0..5 {
            accumulator.append(&topic, 0, record(b"x"));
        }
        let batch = accumulator.drain(i64::MAX / 2, true, |_| true).remove(0);
        let size = batch.size;
        let [a, b] = batch.split();
        assert_eq!((a.records.len(), b.records.len()), (2, 3));
        assert_eq!(a.size + b.size - BATCH_OVERHEAD, size);
    }
}
