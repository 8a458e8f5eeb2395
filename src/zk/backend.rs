//! The narrow seam: one attempt of one request. A real ensemble and the one in memory stand behind it.

use super::error::ZkError;
use super::types::{CreateMode, Created, Op, OpResult, SessionStatus, Stat, Watch};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::watch;

/// A request as a server sees it.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    Get { path: String, watch: bool },
    Exists { path: String, watch: bool },
    Children { path: String, watch: bool },
    Create { path: String, data: Bytes, mode: CreateMode },
    Set { path: String, data: Bytes, version: i32 },
    Delete { path: String, version: i32 },
    Multi { ops: Vec<Op> },
    Sync { path: String },
}

impl Request {
    /// True if the request changes something. A multi of checks alone does not.
    pub(crate) fn is_write(&self) -> bool {
        match self {
            Request::Get { .. }
            | Request::Exists { .. }
            | Request::Children { .. }
            | Request::Sync { .. } => false,
            Request::Create { .. } | Request::Set { .. } | Request::Delete { .. } => true,
            Request::Multi { ops } => ops.iter().any(|op| !matches!(op, Op::Check { .. })),
        }
    }

    /// The node, or the first one of a multi.
    pub(crate) fn path(&self) -> &str {
        match self {
            Request::Get { path, .. }
            | Request::Exists { path, .. }
            | Request::Children { path, .. }
            | Request::Create { path, .. }
            | Request::Set { path, .. }
            | Request::Delete { path, .. }
            | Request::Sync { path } => path,
            Request::Multi { ops } => ops.first().map_or("", Op::path),
        }
    }

    /// Upper bound of the request's size on the wire in bytes. `prefix_bytes`: length of the chroot.
    pub(crate) fn size_bytes(&self, prefix_bytes: usize) -> usize {
        // Length, xid, operation, version or flags, and two ACL entries.
        const OVERHEAD_BYTES: usize = 112;
        let one = |path: &str, data: usize| OVERHEAD_BYTES + prefix_bytes + path.len() + data;
        match self {
            Request::Get { path, .. }
            | Request::Exists { path, .. }
            | Request::Children { path, .. }
            | Request::Sync { path } => one(path, 0),
            Request::Create { path, data, .. } | Request::Set { path, data, .. } => one(path, data.len()),
            Request::Delete { path, .. } => one(path, 0),
            Request::Multi { ops } => {
                let op_size = |op: &Op| match op {
                    Op::Create { path, data, .. } | Op::Set { path, data, .. } => one(path, data.len()),
                    Op::Check { path, .. } | Op::Delete { path, .. } => one(path, 0),
                };
                OVERHEAD_BYTES + ops.iter().map(op_size).sum::<usize>()
            }
        }
    }
}

/// What a server answers. `None` stands for "no such node" in answers to reads.
#[derive(Debug)]
pub(crate) enum Reply {
    Data(Option<(Bytes, Stat)>, Option<Watch>),
    Stat(Option<Stat>, Option<Watch>),
    Children(Option<Vec<String>>, Option<Watch>),
    Created(Created),
    Set(Stat),
    Deleted,
    Multi(Vec<OpResult>),
    Synced,
}

/// An answer on its way.
pub(crate) type ReplyFuture = Pin<Box<dyn Future<Output = Result<Reply, ZkError>> + Send>>;

/// One attempt of one request, and the session it belongs to.
pub(crate) trait Backend: Send + Sync {
    /// Waits while there is no connection, then tries once. [`ZkError::ConnectionLoss`]: the outcome is unknown,
    /// try again. A write asked for in session number `sessions` fails with [`ZkError::SessionExpired`] when
    /// that session is over. A watch is set only where the node exists, or by `Exists`.
    fn call(&self, request: Arc<Request>, sessions: u64) -> ReplyFuture;

    /// The session, as it changes.
    fn status(&self) -> watch::Receiver<SessionStatus>;

    /// Session timeout granted by the server, in milliseconds.
    fn session_timeout_ms(&self) -> i64;

    /// Length of the chroot in bytes.
    fn chroot_bytes(&self) -> usize;

    /// True on ZooKeeper 3.4, where a multi cannot carry a create (the client library only speaks the newer
    /// form of it).
    fn multi_lacks_create(&self) -> bool;

    /// Ends the session: its ephemerals go at once.
    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
