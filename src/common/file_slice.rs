//! A range of an open file, on its way from the log to a socket.

use std::os::fd::OwnedFd;
use std::sync::Arc;

/// `len` bytes of `file` from `position`. Holding it keeps the file's bytes alive, also after the file
/// was deleted or replaced.
#[derive(Clone, Debug)]
pub struct FileSlice {
    /// The open file.
    pub file: Arc<OwnedFd>,
    /// First byte.
    pub position: u64,
    /// Number of bytes.
    pub len: usize,
}
