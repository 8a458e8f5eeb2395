//! Floor 1: record batches: headers, records, codecs, validation of what clients send, conversion between
//! the three formats. Pure functions over bytes: no files, no log state.
//!
//! | file | job |
//! |---|---|
//! | `batch` | headers of v2 batches and of v0/v1 entries, iteration over batches, checksums |
//! | `compression` | the codecs, streaming and bounded |
//! | `v2`, `legacy`, `varint` | walking the records of a batch without allocating |
//! | `reader` | records as owned values, for tools and coordinators |
//! | `builder`, `control` | making batches; markers of transactions |
//! | `validator` | what a leader checks in records of clients, and the batches it makes of them |
//! | `convert` | other formats for old consumers |
//! | `retain` | what stays of a batch when its log is compacted |

pub mod batch;
pub mod builder;
pub mod compression;
pub mod control;
pub mod convert;
pub mod legacy;
pub mod reader;
pub mod retain;
#[cfg(test)]
pub(crate) mod testing;
pub mod v2;
pub mod validator;
pub mod varint;

pub use batch::{BatchError, BatchInfo, Batches, Compression, PreparedBatch, TimestampType};

use compression::CodecError;
use std::fmt;

/// Why the records of a batch could not be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordsError {
    /// The header is not one.
    Batch(BatchError),
    /// The records are not what the format says (Kafka's InvalidRecordException).
    Invalid(&'static str),
    /// An entry inside of a compressed one is damaged (Kafka's CorruptRecordException).
    Corrupt(&'static str),
    /// The compressed bytes cannot be read.
    Codec(CodecError),
}

impl fmt::Display for RecordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordsError::Batch(error) => error.fmt(f),
            RecordsError::Invalid(what) | RecordsError::Corrupt(what) => f.write_str(what),
            RecordsError::Codec(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RecordsError {}

impl From<BatchError> for RecordsError {
    fn from(error: BatchError) -> Self {
        RecordsError::Batch(error)
    }
}

impl From<CodecError> for RecordsError {
    fn from(error: CodecError) -> Self {
        RecordsError::Codec(error)
    }
}

#[cfg(test)]
mod tests {
    mod damage;
    mod golden;
    mod oracle;
}
