//! Iteration over the batches of a set.

use super::{BatchError, BatchInfo, size_and_magic};

/// Iterator over the whole batches of a byte slice, of any mix of formats; each comes with its bytes.
///
/// Ends with `None` at the end *or* at a batch that is cut ([`Batches::remaining`] tells them apart); a header
/// that cannot be one is an error, after which it ends. Checksums are not checked.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
    position: usize,
    failed: bool,
}

impl<'a> Batches<'a> {
    /// Iterates over `bytes`, which begins with a batch.
    pub fn new(bytes: &'a [u8]) -> Batches<'a> {
        Batches { bytes, position: 0, failed: false }
    }

    /// Position after the last batch that was returned: the valid prefix.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes after the last batch that was returned.
    pub fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Iterates to the end; the position there.
    pub fn last_position(mut self) -> usize {
        while let Some(Ok(_)) = self.next() {}
        self.position
    }

    fn read(&mut self) -> Result<Option<(BatchInfo, &'a [u8])>, BatchError> {
        let rest = &self.bytes[self.position..];
        match size_and_magic(rest) {
            Ok((size_bytes, _)) if size_bytes <= rest.len() => {
                let info = BatchInfo::parse(rest)?;
                self.position += size_bytes;
                Ok(Some((info, &rest[..size_bytes])))
            }
            Ok(_) | Err(BatchError::Incomplete { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = Result<(BatchInfo, &'a [u8]), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read().transpose();
        self.failed = !matches!(next, Some(Ok(_)));
        next
    }
}
