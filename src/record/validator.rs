//! What a leader checks in records before they reach the log, and the batches that it makes of them.
//!
//! Rules and order are those of Kafka 2.8.2: `ProduceRequest.validateRecords`, `Log.analyzeAndValidateRecords`
//! and `LogValidator`, as far as they need no log: sequences against a producer's state and the segment size
//! stay with the log.

use super::RecordsError;
use super::batch::{BatchError, BatchInfo, Batches, Compression, PreparedBatch, TimestampType, check_crc};
use super::builder::{BuildError, rewrite_v1_timestamp, rewrite_v2_timestamp};
use super::compression::{CodecError, Limits};
use super::legacy::{LegacySet, parse_entry};
use check::Checker;

mod check;
mod rebuild;

use crate::common::{ErrorCode, TopicPartition};
use bytes::Bytes;
use smallvec::SmallVec;

/// What the version of the Produce request allows as records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RequestFormat {
    /// Produce 0 to 2: any batches, none at all included.
    AnyBatches,
    /// Produce 3 to 6: exactly one v2 batch, not zstd.
    OneBatchWithoutZstd,
    /// Produce 7 and above: exactly one v2 batch.
    OneBatch,
}

/// Who wrote the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A producer: everything is checked.
    Client,
    /// Our group or transaction coordinator: control batches are allowed, offsets and counts are trusted.
    Coordinator,
}

/// What to check against, from the request and the topic's configuration.
#[derive(Clone, Debug)]
pub struct ValidationRules {
    /// Named in messages that go back to the client.
    pub topic_partition: TopicPartition,
    /// From the version of the Produce request.
    pub request_format: RequestFormat,
    /// Who wrote the records.
    pub origin: Origin,
    /// Magic of `message.format.version`: 0, 1 or 2.
    pub target_magic: i8,
    /// `compression.type`; `None` is `producer`: keep the producer's codec.
    pub target_compression: Option<Compression>,
    /// False while `inter.broker.protocol.version` is below 2.1: zstd is refused as target.
    pub zstd_allowed: bool,
    /// `message.timestamp.type`.
    pub timestamp_type: TimestampType,
    /// `message.timestamp.difference.max.ms`; `i64::MAX` checks nothing.
    pub max_timestamp_difference_ms: i64,
    /// `max.message.bytes`: the largest batch, offset and size field included.
    pub max_message_bytes: usize,
    /// `cleanup.policy` contains `compact`: records need a key.
    pub compacted: bool,
    /// Bounds of decompression.
    pub limits: Limits,
}

/// Why records were refused: what the partition's answer says.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordError {
    /// `error_code`.
    pub code: ErrorCode,
    /// `error_message` (Produce 8+), only where Kafka sends one.
    pub message: Option<String>,
    /// `record_errors` (Produce 8+): index in the batch, and message.
    pub record_errors: Vec<(i32, String)>,
    /// For our log: what was wrong.
    pub reason: String,
    /// True where Kafka's answer carries the log start offset; else it says -1.
    pub tells_log_start_offset: bool,
}

/// The batches of one request for one partition: almost always one.
pub type PreparedBatches = SmallVec<[PreparedBatch; 1]>;

impl RecordError {
    /// Refused before the log was asked: Kafka's answer has no log start offset.
    fn of_request(code: ErrorCode, reason: impl Into<String>) -> RecordError {
        RecordError {
            code,
            message: None,
            record_errors: Vec::new(),
            reason: reason.into(),
            tells_log_start_offset: false,
        }
    }

    /// Refused by the log's own checks.
    fn of_log(code: ErrorCode, reason: impl Into<String>) -> RecordError {
        let expected = matches!(code, ErrorCode::CorruptMessage | ErrorCode::MessageTooLarge);
        RecordError { tells_log_start_offset: !expected, ..RecordError::of_request(code, reason) }
    }
}

impl From<BatchError> for RecordError {
    fn from(error: BatchError) -> Self {
        let code = match error {
            // In Kafka an IllegalArgumentException that nobody expects.
            BatchError::UnknownCompression(_) => ErrorCode::UnknownServerError,
            _ => ErrorCode::CorruptMessage,
        };
        RecordError::of_log(code, error.to_string())
    }
}

impl From<RecordsError> for RecordError {
    fn from(error: RecordsError) -> Self {
        let code = match &error {
            RecordsError::Batch(error) => return error.clone().into(),
            RecordsError::Invalid(_) | RecordsError::Codec(CodecError::Cut) => ErrorCode::InvalidRecord,
            RecordsError::Corrupt(_) => ErrorCode::CorruptMessage,
            // In Kafka a KafkaException, which has no code of its own.
            RecordsError::Codec(CodecError::Malformed(_)) => ErrorCode::UnknownServerError,
            RecordsError::Codec(CodecError::TooLarge { .. }) => ErrorCode::MessageTooLarge,
        };
        RecordError::of_log(code, error.to_string())
    }
}

impl From<BuildError> for RecordError {
    fn from(error: BuildError) -> Self {
        // In Kafka an IllegalArgumentException of its builder.
        RecordError::of_log(ErrorCode::UnknownServerError, error.to_string())
    }
}

fn invalid(reason: impl Into<String>) -> RecordError {
    RecordError::of_log(ErrorCode::InvalidRecord, reason)
}

/// Checks `records` and makes of them the batches that a leader appends, in the topic's format and codec.
///
/// Batches that may stay as they are share the bytes of `records`; bytes behind the last whole batch are
/// dropped, as in Kafka. An empty result is a success (Produce 0 to 2 without records). With append time
/// (`rules.timestamp_type`) `now_ms` is the time of all records.
pub fn prepare_client_records(
    records: &Bytes,
    rules: &ValidationRules,
    now_ms: i64,
) -> Result<PreparedBatches, RecordError> {
    check_request_format(records, rules.request_format)?;
    let Some(set) = analyze(records, rules)? else { return Ok(PreparedBatches::new()) };
    let target = rules.target_compression.unwrap_or(set.source_compression);
    let checker = Checker::new(rules, set.first.magic, now_ms);
    if set.source_compression == Compression::None && target == Compression::None {
        if set.first.magic == 2 && set.count > 1 {
            return Err(invalid("Compressed outer record has more than one batch"));
        }
        if !set.all_of_target_magic {
            return rebuild::rebuild(records, &checker, &set, target);
        }
        if set.first.magic == 2 {
            return prepare_v2(records, &checker, &set, target);
        }
        return prepare_legacy_uncompressed(records, &checker);
    }
    if target == Compression::Zstd && !rules.zstd_allowed {
        let reason = "Produce requests to inter.broker.protocol.version < 2.1 broker are not allowed to use ZStandard compression";
        return Err(RecordError::of_log(ErrorCode::UnsupportedCompressionType, reason));
    }
    if set.count > 1 && (set.first.magic == 2 || set.source_compression != Compression::None) {
        return Err(invalid("Compressed outer record has more than one batch"));
    }
    let mut in_place =
        set.source_compression == target && set.first.magic == rules.target_magic && rules.target_magic > 0;
    // Control records are not compressed unless they were written so.
    in_place |= set.source_compression == Compression::None && set.first.is_control();
    match (in_place, set.first.magic) {
        (false, _) => rebuild::rebuild(records, &checker, &set, target),
        (true, 2) => prepare_v2(records, &checker, &set, target),
        (true, _) => prepare_legacy_wrapper(records, &checker, &set, target),
    }
}

/// Kafka's `ProduceRequest.validateRecords`.
fn check_request_format(records: &[u8], format: RequestFormat) -> Result<(), RecordError> {
    if format == RequestFormat::AnyBatches {
        return Ok(());
    }
    let refuse = |reason| Err(RecordError::of_request(ErrorCode::InvalidRecord, reason));
    let mut batches = Batches::new(records);
    let Some(first) = batches.next() else {
        return refuse("Produce requests with version 3 and above must have at least one record batch");
    };
    let (info, _) = first?;
    if info.magic != 2 {
        return refuse(
            "Produce requests with version 3 and above are only allowed to contain record batches with magic version 2",
        );
    }
    if format == RequestFormat::OneBatchWithoutZstd && info.compression()? == Compression::Zstd {
        let reason = "Produce requests with version 3 to 6 are not allowed to use ZStandard compression";
        return Err(RecordError::of_request(ErrorCode::UnsupportedCompressionType, reason));
    }
    if batches.next().transpose()?.is_some() {
        return refuse(
            "Produce requests with version 3 and above are only allowed to contain exactly one record batch",
        );
    }
    Ok(())
}

/// What the headers of all batches say.
struct SetInfo {
    first: BatchInfo,
    count: usize,
    source_compression: Compression,
    all_of_target_magic: bool,
}

/// Kafka's `Log.analyzeAndValidateRecords`; `None` if there is no batch.
fn analyze(records: &[u8], rules: &ValidationRules) -> Result<Option<SetInfo>, RecordError> {
    let mut set: Option<SetInfo> = None;
    for batch in Batches::new(records) {
        let (info, bytes) = batch?;
        if info.magic == 2 && rules.origin == Origin::Client && info.base_offset != 0 {
            return Err(invalid(format!(
                "The baseOffset of the record batch in the append to {} should be 0, but it is {}",
                rules.topic_partition, info.base_offset
            )));
        }
        check_size(rules, info.size_bytes)?;
        check_crc(&info, bytes)?;
        let set = set.get_or_insert(SetInfo {
            first: info,
            count: 0,
            source_compression: Compression::None,
            all_of_target_magic: true,
        });
        set.count += 1;
        set.all_of_target_magic &= info.magic == rules.target_magic;
        if info.is_compressed() {
            set.source_compression = info.compression()?;
        }
    }
    Ok(set)
}

fn check_size(rules: &ValidationRules, size_bytes: usize) -> Result<(), RecordError> {
    if size_bytes > rules.max_message_bytes {
        let reason = format!(
            "The record batch size in the append to {} is {size_bytes} bytes which exceeds the maximum configured value of {}.",
            rules.topic_partition, rules.max_message_bytes
        );
        return Err(RecordError::of_log(ErrorCode::MessageTooLarge, reason));
    }
    Ok(())
}

/// One v2 batch that stays as it is, if its offsets are consecutive; else it is written anew.
///
/// Kafka writes only compressed batches anew then, and stores uncompressed ones with the producer's wrong
/// offsets; nobody can want that.
fn prepare_v2(
    records: &Bytes,
    checker: &Checker<'_>,
    set: &SetInfo,
    target: Compression,
) -> Result<PreparedBatches, RecordError> {
    let batch = records.slice(..set.first.size_bytes);
    let mut info = set.first;
    checker.check_batch(&info)?;
    let walked = checker.check_v2_records(&info, &batch)?;
    if !walked.consecutive && checker.rules.origin == Origin::Client {
        return rebuild::rebuild(records, checker, set, target);
    }
    let (timestamp_type, max_timestamp) = checker.batch_timestamp(walked.max_timestamp);
    let bytes = if info.timestamp_type() == timestamp_type && info.max_timestamp == max_timestamp {
        batch
    } else {
        let mut bytes = batch.to_vec();
        info.set_timestamp(timestamp_type, max_timestamp);
        rewrite_v2_timestamp(&mut bytes, info.attributes, max_timestamp);
        Bytes::from(bytes)
    };
    Ok(one(info, bytes))
}

/// The result for one batch; its offsets begin at 0.
fn one(info: BatchInfo, bytes: Bytes) -> PreparedBatches {
    let crc = BatchInfo::parse(&bytes).map_or(info.crc, |written| written.crc);
    let mut batches = PreparedBatches::new();
    batches.push(PreparedBatch { info: BatchInfo { base_offset: 0, crc, ..info }, bytes });
    batches
}

/// Entries of format 0 or 1, each a record, that stay as they are.
fn prepare_legacy_uncompressed(
    records: &Bytes,
    checker: &Checker<'_>,
) -> Result<PreparedBatches, RecordError> {
    let mut batches = PreparedBatches::new();
    for (offset, batch) in (0..).zip(Batches::new(records)) {
        let (mut info, entry) = batch?;
        checker.check_batch(&info)?;
        let record = parse_entry(entry)?;
        checker.check_legacy_record(&info, &record)?;
        let mut bytes = records.slice_ref(entry);
        if info.magic == 1 {
            let (timestamp_type, timestamp) = checker.batch_timestamp(info.max_timestamp.max(-1));
            if info.timestamp_type() != timestamp_type || info.max_timestamp != timestamp {
                bytes = rewritten_v1(&mut info, &bytes, timestamp_type, timestamp);
            }
        }
        info.base_offset = offset;
        batches.push(PreparedBatch { info, bytes });
    }
    Ok(batches)
}

fn rewritten_v1(info: &mut BatchInfo, entry: &[u8], timestamp_type: TimestampType, timestamp: i64) -> Bytes {
    let mut entry = entry.to_vec();
    rewrite_v1_timestamp(&mut entry, timestamp_type == TimestampType::LogAppendTime, timestamp);
    info.set_timestamp(timestamp_type, timestamp);
    info.crc = BatchInfo::parse(&entry).map_or(info.crc, |written| written.crc);
    entry.into()
}

/// A compressed wrapper of format 1 that stays as it is, if its offsets are consecutive.
fn prepare_legacy_wrapper(
    records: &Bytes,
    checker: &Checker<'_>,
    set: &SetInfo,
    target: Compression,
) -> Result<PreparedBatches, RecordError> {
    let mut bytes = records.slice(..set.first.size_bytes);
    let mut info = set.first;
    checker.check_batch(&info)?;
    let inner = LegacySet::open(&info, &bytes, &checker.rules.limits)?;
    let walked = checker.check_legacy_set(&info, &inner)?;
    if !walked.consecutive {
        return rebuild::rebuild(records, checker, set, target);
    }
    let count = inner.count() as i32;
    let (timestamp_type, timestamp) = checker.batch_timestamp(walked.max_timestamp);
    if info.timestamp_type() != timestamp_type || info.max_timestamp != timestamp {
        bytes = rewritten_v1(&mut info, &bytes, timestamp_type, timestamp);
    }
    let info = BatchInfo { last_offset_delta: count - 1, records_count: count, ..info };
    Ok(one(info, bytes))
}

#[cfg(test)]
mod tests;
