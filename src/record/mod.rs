//! Floor 1: record batches: headers, records, codecs, validation of what clients send, conversion between
//! the three formats. Pure functions over bytes: no files, no log state.
//!
//! | file | job |
//! |---|---|
//! | `batch` | headers of v2 batches and of v0/v1 entries, iteration over batches, checksums |

pub mod batch;

pub use batch::{BatchError, BatchInfo, Batches, Compression, PreparedBatch, TimestampType};
