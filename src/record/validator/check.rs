//! The checks of single batches and records, with the texts that go back to the client.
//!
//! Records are first walked for whether all are good, without making any text; only a bad batch is walked
//! again to say what is wrong with each record.

use super::super::RecordsError;
use super::super::batch::{BatchInfo, Compression, NO_TIMESTAMP, TimestampType};
use super::super::legacy::{LegacyRecord, LegacySet};
use super::super::v2::{self, RecordHead};
use super::{Origin, RecordError, ValidationRules, invalid};
use crate::common::ErrorCode;

/// Most texts that one answer carries. Kafka sends one per bad record, however many a batch has.
const MAX_RECORD_ERRORS: usize = 1000;

/// What a walk found in a good batch.
pub(super) struct Walked {
    /// Largest timestamp, at least -1.
    pub(super) max_timestamp: i64,
    /// The offsets are 0, 1, 2, ...
    pub(super) consecutive: bool,
}

/// The first walk over a batch's records.
struct Pass<'c, 'r> {
    checker: &'c Checker<'r>,
    base_timestamp: i64,
    expected: i32,
    good: bool,
    walked: Walked,
}

impl<'c, 'r> Pass<'c, 'r> {
    fn new(checker: &'c Checker<'r>, info: &BatchInfo) -> Pass<'c, 'r> {
        Pass {
            checker,
            base_timestamp: info.base_timestamp,
            expected: 0,
            good: info.timestamp_type() == TimestampType::CreateTime,
            walked: Walked { max_timestamp: NO_TIMESTAMP, consecutive: true },
        }
    }

    #[inline(always)]
    fn note(&mut self, head: &RecordHead) {
        let timestamp = self.base_timestamp.wrapping_add(head.timestamp_delta);
        self.walked.consecutive &= head.offset_delta == self.expected;
        self.expected = self.expected.wrapping_add(1);
        self.walked.max_timestamp = self.walked.max_timestamp.max(timestamp);
        self.good &= self.checker.is_good(head.key_size >= 0, timestamp);
    }
}

/// What is wrong with a record.
struct Fault {
    timestamp: bool,
    text: String,
}

/// What the checks look at in a record.
struct View<'a> {
    offset: i64,
    timestamp: i64,
    has_key: bool,
    /// How Kafka prints the record.
    print: &'a dyn Fn() -> String,
}

pub(super) struct Checker<'a> {
    pub(super) rules: &'a ValidationRules,
    pub(super) now_ms: i64,
    first_magic: i8,
    /// False if no timestamp can be out of range.
    checks_range: bool,
}

impl<'a> Checker<'a> {
    pub(super) fn new(rules: &'a ValidationRules, first_magic: i8, now_ms: i64) -> Checker<'a> {
        let checks_range = rules.timestamp_type == TimestampType::CreateTime
            && rules.max_timestamp_difference_ms != i64::MAX;
        Checker { rules, now_ms, first_magic, checks_range }
    }

    /// Type and value of the timestamp that a batch gets whose records' largest is `max_timestamp`.
    pub(super) fn batch_timestamp(&self, max_timestamp: i64) -> (TimestampType, i64) {
        match self.rules.timestamp_type {
            TimestampType::LogAppendTime => (TimestampType::LogAppendTime, self.now_ms),
            _ => (TimestampType::CreateTime, max_timestamp),
        }
    }

    /// Kafka's `LogValidator.validateBatch`.
    pub(super) fn check_batch(&self, info: &BatchInfo) -> Result<(), RecordError> {
        let partition = &self.rules.topic_partition;
        if info.magic != self.first_magic {
            return Err(invalid(format!(
                "Batch magic {} is not the same as the first batch'es magic byte {} in topic partition {partition}.",
                info.magic, self.first_magic
            )));
        }
        if self.rules.origin == Origin::Client && info.magic == 2 {
            self.check_client_header(info)?;
        }
        if self.rules.target_magic < 2 && (info.is_transactional() || info.has_producer_id()) {
            let kind = if info.is_transactional() { "Transactional" } else { "Idempotent" };
            let reason =
                format!("{kind} records cannot be used with magic version {}", self.rules.target_magic);
            return Err(RecordError::of_log(ErrorCode::UnsupportedForMessageFormat, reason));
        }
        Ok(())
    }

    fn check_client_header(&self, info: &BatchInfo) -> Result<(), RecordError> {
        let partition = &self.rules.topic_partition;
        let range = (info.base_offset, info.last_offset());
        let count_from_offsets = i64::from(info.last_offset_delta) + 1;
        if count_from_offsets <= 0 {
            return Err(invalid(format!(
                "Batch has an invalid offset range: [{}, {}] in topic partition {partition}.",
                range.0, range.1
            )));
        }
        let count = info.records_count;
        if count <= 0 {
            return Err(invalid(format!(
                "Invalid reported count for record batch: {count} in topic partition {partition}."
            )));
        }
        if count_from_offsets != i64::from(count) {
            return Err(invalid(format!(
                "Inconsistent batch offset range [{}, {}] and count of records {count} in topic partition {partition}.",
                range.0, range.1
            )));
        }
        if info.is_control() {
            return Err(invalid(format!(
                "Clients are not allowed to write control records in topic partition {partition}."
            )));
        }
        if info.has_producer_id() && info.base_sequence < 0 {
            return Err(invalid(format!(
                "Invalid sequence number {} in record batch with producerId {} in topic partition {partition}.",
                info.base_sequence, info.producer_id
            )));
        }
        Ok(())
    }

    #[inline(always)]
    fn out_of_range(&self, timestamp: i64) -> bool {
        self.checks_range
            && timestamp != NO_TIMESTAMP
            && timestamp.wrapping_sub(self.now_ms).wrapping_abs() > self.rules.max_timestamp_difference_ms
    }

    #[inline(always)]
    fn is_good(&self, has_key: bool, timestamp: i64) -> bool {
        (has_key || !self.rules.compacted) && !self.out_of_range(timestamp)
    }

    /// Kafka's `validateKey`, then `validateTimestamp`.
    fn fault(&self, info: &BatchInfo, view: &View<'_>) -> Option<Fault> {
        if self.rules.compacted && !view.has_key {
            let text = format!(
                "Compacted topic cannot accept message without key in topic partition {}.",
                self.rules.topic_partition
            );
            return Some(Fault { timestamp: false, text });
        }
        if self.out_of_range(view.timestamp) {
            let difference = self.rules.max_timestamp_difference_ms;
            let text = format!(
                "Timestamp {} of message with offset {} is out of range. The timestamp should be within [{}, {}]",
                view.timestamp,
                view.offset,
                self.now_ms.wrapping_sub(difference),
                self.now_ms.wrapping_add(difference)
            );
            return Some(Fault { timestamp: true, text });
        }
        if info.timestamp_type() == TimestampType::LogAppendTime {
            let text = format!(
                "Invalid timestamp type in message {}. Producer should not set timestamp type to LogAppendTime.",
                (view.print)()
            );
            return Some(Fault { timestamp: true, text });
        }
        None
    }

    /// Checks every record of a v2 batch. Allocates nothing unless one is bad.
    pub(super) fn check_v2_records(&self, info: &BatchInfo, batch: &[u8]) -> Result<Walked, RecordError> {
        let mut pass = Pass::new(self, info);
        v2::walk(info, batch, &self.rules.limits, |head| pass.note(head))?;
        if !pass.good {
            let mut errors = Errors::default();
            v2::walk(info, batch, &self.rules.limits, |head| errors.note(self.v2_fault(info, head)))?;
            errors.finish()?;
        }
        Ok(pass.walked)
    }

    /// Likewise, of records that were decompressed.
    pub(super) fn check_decompressed_v2_records(
        &self,
        info: &BatchInfo,
        records: &[u8],
    ) -> Result<Walked, RecordError> {
        let walk = |visit: &mut dyn FnMut(&RecordHead)| {
            v2::walk_records(info, records, |head, _| -> Result<(), RecordsError> {
                visit(head);
                Ok(())
            })
        };
        let mut pass = Pass::new(self, info);
        walk(&mut |head| pass.note(head))?;
        if !pass.good {
            let mut errors = Errors::default();
            walk(&mut |head| errors.note(self.v2_fault(info, head)))?;
            errors.finish()?;
        }
        Ok(pass.walked)
    }

    fn v2_fault(&self, info: &BatchInfo, head: &RecordHead) -> Option<Fault> {
        let offset = info.base_offset.wrapping_add(i64::from(head.offset_delta));
        let timestamp = head.timestamp(info);
        let print = || self.print_v2(info, head, offset, timestamp);
        self.fault(info, &View { offset, timestamp, has_key: head.key_size >= 0, print: &print })
    }

    /// Kafka's `DefaultRecord.toString`, or that of the partial record that its compressed in-place path reads.
    fn print_v2(&self, info: &BatchInfo, head: &RecordHead, offset: i64, timestamp: i64) -> String {
        let source = info.compression().unwrap_or_default();
        let partial = source != Compression::None
            && self.rules.target_compression.unwrap_or(source) == source
            && self.rules.target_magic == info.magic;
        let (name, least) = if partial { ("PartialDefaultRecord", i32::MIN) } else { ("DefaultRecord", 0) };
        format!(
            "{name}(offset={offset}, timestamp={timestamp}, key={} bytes, value={} bytes)",
            head.key_size.max(least),
            head.value_size.max(least)
        )
    }

    /// Checks the record of an uncompressed v0/v1 entry.
    pub(super) fn check_legacy_record(
        &self,
        info: &BatchInfo,
        record: &LegacyRecord<'_>,
    ) -> Result<(), RecordError> {
        let mut errors = Errors::default();
        errors.note(self.legacy_fault(info, record));
        errors.finish()
    }

    /// Checks every record of a v0/v1 entry.
    pub(super) fn check_legacy_set(
        &self,
        info: &BatchInfo,
        set: &LegacySet<'_>,
    ) -> Result<Walked, RecordError> {
        let mut walked = Walked { max_timestamp: NO_TIMESTAMP, consecutive: true };
        let mut errors = Errors::default();
        for (expected, record) in (0..).zip(set.records()) {
            let record = record?;
            if info.is_compressed() && record.magic == info.magic && !record.crc_is_valid() {
                return Err(RecordsError::Corrupt("Record inside of a compressed one is corrupt").into());
            }
            errors.note(self.legacy_fault(info, &record));
            walked.max_timestamp = walked.max_timestamp.max(record.timestamp);
            walked.consecutive &= record.offset == expected;
        }
        errors.finish()?;
        Ok(walked)
    }

    fn legacy_fault(&self, info: &BatchInfo, record: &LegacyRecord<'_>) -> Option<Fault> {
        let print = || {
            format!(
                "LegacyRecordBatch(offset={}, Record(magic={}, attributes={}, timestamp={}, key={} bytes, value={} bytes))",
                record.offset,
                record.magic,
                record.attributes,
                record.timestamp,
                record.key.map_or(0, <[u8]>::len),
                record.value.map_or(0, <[u8]>::len)
            )
        };
        if record.magic != info.magic {
            let text = format!(
                "Record {}'s magic does not match outer magic {} in topic partition {}.",
                print(),
                info.magic,
                self.rules.topic_partition
            );
            return Some(Fault { timestamp: false, text });
        }
        let view = View {
            offset: record.offset,
            timestamp: record.timestamp,
            has_key: record.key.is_some(),
            print: &print,
        };
        self.fault(info, &view)
    }
}

/// The faults of a batch's records.
#[derive(Default)]
struct Errors {
    index: i32,
    any: bool,
    any_timestamp: bool,
    texts: Vec<(i32, String)>,
}

impl Errors {
    /// The fault of the next record, if it has one.
    fn note(&mut self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            self.any = true;
            self.any_timestamp |= fault.timestamp;
            if self.texts.len() < MAX_RECORD_ERRORS {
                self.texts.push((self.index, fault.text));
            }
        }
        self.index = self.index.wrapping_add(1);
    }

    /// Kafka's `processRecordErrors`.
    fn finish(self) -> Result<(), RecordError> {
        if !self.any {
            return Ok(());
        }
        let (code, message) = if self.any_timestamp {
            (ErrorCode::InvalidTimestamp, "One or more records have been rejected due to invalid timestamp")
        } else {
            (ErrorCode::InvalidRecord, "One or more records have been rejected")
        };
        let error = RecordError::of_log(code, message);
        Err(RecordError { message: Some(message.to_owned()), record_errors: self.texts, ..error })
    }
}
