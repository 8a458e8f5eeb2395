//! What can go wrong on disk, and what an append or a read can be refused for.
//!
//! [`StorageError`] is operational: the log directory it names is to be taken offline (KIP-112).
//! [`AppendError`] and [`ReadError`] are answers to one request; the log goes on.

use crate::common::TRACE_MARK;
use crate::common::{ErrorCode, Offset};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An I/O error (or unusable content) in a log directory. The whole directory goes offline.
#[derive(Clone, Debug)]
pub struct StorageError {
    /// The log directory, an entry of `log.dirs`.
    pub log_dir: Arc<Path>,
    /// What was being done, in Kafka's words where it has some.
    pub context: String,
    /// The cause.
    pub source: Arc<io::Error>,
}

impl StorageError {
    /// An error of `log_dir` while doing `context`.
    pub fn new(log_dir: &Arc<Path>, context: impl Into<String>, source: io::Error) -> StorageError {
        StorageError { log_dir: log_dir.clone(), context: context.into(), source: Arc::new(source) }
    }

    /// As a log shows it: what was being done, below it the exception.
    pub fn log_text(&self) -> String {
        format!("{}{TRACE_MARK}java.io.IOException: {}", self.context, self.source)
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.context, self.source)
    }
}

impl std::error::Error for StorageError {}

/// Why a broker cannot start on its log directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    /// Name of the exception that Apache Kafka throws here: its log lines begin with it.
    pub exception: &'static str,
    /// Kafka's message.
    pub message: String,
    /// True where Kafka halts: the message is the last word, a line of `kafka.log.LogManager`.
    pub halts: bool,
}

impl StartError {
    pub(crate) fn new(exception: &'static str, message: impl Into<String>) -> StartError {
        StartError { exception, message: message.into(), halts: false }
    }

    /// A `KafkaException`.
    pub(crate) fn kafka(message: impl Into<String>) -> StartError {
        StartError::new("org.apache.kafka.common.KafkaException", message)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.message)
    }
}

impl std::error::Error for StartError {}

/// Why a log was not created or not handed out.
#[derive(Clone, Debug)]
pub enum CreateError {
    /// A directory that might hold it is offline, or the wanted directory is: KAFKA_STORAGE_ERROR.
    Offline(String),
    /// The directory is none of `log.dirs`: LOG_DIR_NOT_FOUND.
    UnknownDir(PathBuf),
    /// Creation failed; the directory goes offline.
    Storage(StorageError),
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CreateError::Offline(message) => f.write_str(message),
            CreateError::UnknownDir(dir) => {
                write!(f, "Log dir {} is not found in the config.", dir.display())
            }
            CreateError::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CreateError {}

/// Why one request's batches were not appended. The texts are Kafka's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The log has not looked at it yet: the initial outcome.
    NotTried,
    /// The set does not fit into a segment.
    RecordListTooLarge(String),
    /// A sequence number that does not follow the last one of its producer.
    OutOfOrderSequence(String),
    /// An epoch older than the producer's current one.
    InvalidProducerEpoch(String),
    /// A write outside the producer's open transaction.
    InvalidTxnState(String),
    /// A marker of a transaction coordinator that was replaced.
    TransactionCoordinatorFenced(String),
    /// Bytes that are not batches, or a wrong checksum.
    Corrupt(String),
    /// Offsets that do not increase (follower).
    OffsetsOutOfOrder(String),
    /// Offsets below the log end (follower).
    UnexpectedOffset {
        /// Kafka's message.
        message: String,
        /// First offset of the set (of a legacy set: last offset of its first entry).
        first_offset: Offset,
        /// Last offset of the set.
        last_offset: Offset,
    },
}

impl AppendError {
    /// What the produce response says.
    pub fn code(&self) -> ErrorCode {
        match self {
            AppendError::RecordListTooLarge(_) => ErrorCode::RecordListTooLarge,
            AppendError::OutOfOrderSequence(_) => ErrorCode::OutOfOrderSequenceNumber,
            AppendError::InvalidProducerEpoch(_) => ErrorCode::InvalidProducerEpoch,
            AppendError::InvalidTxnState(_) => ErrorCode::InvalidTxnState,
            AppendError::TransactionCoordinatorFenced(_) => ErrorCode::TransactionCoordinatorFenced,
            AppendError::Corrupt(_) => ErrorCode::CorruptMessage,
            AppendError::NotTried
            | AppendError::OffsetsOutOfOrder(_)
            | AppendError::UnexpectedOffset { .. } => ErrorCode::UnknownServerError,
        }
    }
}

impl fmt::Display for AppendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendError::NotTried => f.write_str("The append was not tried"),
            AppendError::RecordListTooLarge(message)
            | AppendError::OutOfOrderSequence(message)
            | AppendError::InvalidProducerEpoch(message)
            | AppendError::InvalidTxnState(message)
            | AppendError::TransactionCoordinatorFenced(message)
            | AppendError::Corrupt(message)
            | AppendError::OffsetsOutOfOrder(message)
            | AppendError::UnexpectedOffset { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for AppendError {}

/// Why a follower's append failed: its data or its disk.
#[derive(Clone, Debug)]
pub enum AppendFailure {
    /// The records were refused.
    Rejected(AppendError),
    /// The log directory goes offline.
    Storage(StorageError),
}

impl fmt::Display for AppendFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AppendFailure::Rejected(error) => error.fmt(f),
            AppendFailure::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AppendFailure {}

impl From<AppendError> for AppendFailure {
    fn from(error: AppendError) -> AppendFailure {
        AppendFailure::Rejected(error)
    }
}

impl From<StorageError> for AppendFailure {
    fn from(error: StorageError) -> AppendFailure {
        AppendFailure::Storage(error)
    }
}

/// Why a read, or a move of the log start, was refused.
#[derive(Clone, Debug)]
pub enum ReadError {
    /// The offset is outside `log_start_offset..=log_end_offset`.
    OffsetOutOfRange {
        /// What was asked for.
        offset: Offset,
        /// First offset of the log.
        log_start_offset: Offset,
        /// Offset after the last record.
        log_end_offset: Offset,
    },
    /// The message format of the topic has no timestamps (0.9 and older).
    UnsupportedForMessageFormat,
    /// The log directory is offline.
    Storage(StorageError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::OffsetOutOfRange { offset, log_start_offset, log_end_offset } => write!(
                f,
                "Received request for offset {offset}, but we only have log segments in the range \
                 {log_start_offset} to {log_end_offset}."
            ),
            ReadError::UnsupportedForMessageFormat => {
                f.write_str("Cannot search offsets based on timestamp because of the message format version")
            }
            ReadError::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<StorageError> for ReadError {
    fn from(error: StorageError) -> ReadError {
        ReadError::Storage(error)
    }
}
