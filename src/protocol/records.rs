//! Record bytes in a response: in memory or still in the log's file.

use crate::common::FileSlice;
use bytes::Bytes;
use std::sync::Arc;

/// What a `records` field of a response holds; the wire does not show the difference.
#[derive(Clone, Debug)]
pub enum Records {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a segment, for `sendfile`.
    File(FileSlice),
    /// One after the other.
    Many(Vec<Records>),
}

impl Records {
    /// Number of bytes.
    pub fn size_bytes(&self) -> usize {
        match self {
            Records::Memory(bytes) => bytes.len(),
            Records::File(slice) => slice.len,
            Records::Many(many) => many.iter().map(Records::size_bytes).sum(),
        }
    }
}

impl Default for Records {
    fn default() -> Self {
        Records::Memory(Bytes::new())
    }
}

impl From<Bytes> for Records {
    fn from(bytes: Bytes) -> Self {
        Records::Memory(bytes)
    }
}

impl From<FileSlice> for Records {
    fn from(slice: FileSlice) -> Self {
        Records::File(slice)
    }
}

/// Same bytes in memory, or same range of the same open file; files are not read.
impl PartialEq for Records {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Records::Memory(a), Records::Memory(b)) => a == b,
            (Records::File(a), Records::File(b)) => {
                Arc::ptr_eq(&a.file, &b.file) && a.position == b.position && a.len == b.len
            }
            (Records::Many(a), Records::Many(b)) => a == b,
            _ => false,
        }
    }
}
