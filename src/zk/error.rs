//! What can go wrong with ZooKeeper.

use std::fmt;

/// An operational error of ZooKeeper. `Display` speaks as Kafka's client does, because tools print it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZkError {
    /// The node, or the parent of a node to be created, does not exist.
    NoNode {
        /// The node that was addressed.
        path: String,
    },
    /// The node exists already.
    NodeExists {
        /// The node that was addressed.
        path: String,
    },
    /// The node's version is not the expected one.
    BadVersion {
        /// The node that was addressed.
        path: String,
    },
    /// The node to be deleted has children.
    NotEmpty {
        /// The node that was addressed.
        path: String,
    },
    /// Ephemeral nodes have no children.
    NoChildrenForEphemerals {
        /// The node that was addressed.
        path: String,
    },
    /// The ACL of the node forbids it.
    NoAuth {
        /// The node that was addressed.
        path: String,
    },
    /// The server does not accept the ACL, mostly because the session is not authenticated.
    InvalidAcl {
        /// The node that was addressed.
        path: String,
    },
    /// One operation of a multi failed, and so nothing of it took effect (on ZooKeeper 3.4 see
    /// [`crate::zk::ZkClient::multi`]).
    Multi {
        /// Position of the failing operation.
        index: usize,
        /// Why it failed.
        error: Box<ZkError>,
    },
    /// The request would be larger than ZooKeeper accepts (`jute.maxbuffer`); it was not sent.
    TooLarge {
        /// The node, or the first node of a multi.
        path: String,
        /// Size of the request, in bytes.
        size_bytes: usize,
    },
    /// The session in which the request was made is over: its ephemerals are gone, and a write that was under
    /// way is not repeated in the next session, because its reason may have gone with the old one.
    SessionExpired,
    /// The server refuses our credentials.
    AuthFailed,
    /// No server answered within the connection timeout.
    ConnectionTimeout,
    /// No server answered a request [in time](crate::zk::ZkClient::with_patience): it may or may not have taken
    /// effect.
    RequestTimeout,
    /// The connection broke while the request was under way: it may or may not have taken effect. The client
    /// repeats such requests; only [`crate::zk::memory`] and the backends see it.
    ConnectionLoss,
    /// The client was closed.
    Closed,
    /// A malformed path, connect string or argument.
    BadArgument(String),
    /// Something ZooKeeper or the client library should not have said.
    Unexpected(String),
}

impl ZkError {
    /// The error itself, or the one inside a [`ZkError::Multi`].
    pub fn cause(&self) -> &ZkError {
        match self {
            ZkError::Multi { error, .. } => error,
            other => other,
        }
    }

    /// Position of the failing operation of a multi.
    pub fn failed_index(&self) -> Option<usize> {
        match self {
            ZkError::Multi { index, .. } => Some(*index),
            _ => None,
        }
    }

    /// True for "no such node", alone or inside a multi.
    pub fn is_no_node(&self) -> bool {
        matches!(self.cause(), ZkError::NoNode { .. })
    }

    /// True for "node exists", alone or inside a multi.
    pub fn is_node_exists(&self) -> bool {
        matches!(self.cause(), ZkError::NodeExists { .. })
    }

    /// True for "wrong version", alone or inside a multi.
    pub fn is_bad_version(&self) -> bool {
        matches!(self.cause(), ZkError::BadVersion { .. })
    }
}

impl fmt::Display for ZkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keeper = |f: &mut fmt::Formatter<'_>, code: &str, path: &str| {
            write!(f, "KeeperErrorCode = {code}")?;
            if path.is_empty() { Ok(()) } else { write!(f, " for {path}") }
        };
        match self {
            ZkError::NoNode { path } => keeper(f, "NoNode", path),
            ZkError::NodeExists { path } => keeper(f, "NodeExists", path),
            ZkError::BadVersion { path } => keeper(f, "BadVersion", path),
            ZkError::NotEmpty { path } => keeper(f, "Directory not empty", path),
            ZkError::NoChildrenForEphemerals { path } => keeper(f, "NoChildrenForEphemerals", path),
            ZkError::NoAuth { path } => keeper(f, "NoAuth", path),
            ZkError::InvalidAcl { path } => keeper(f, "InvalidACL", path),
            ZkError::Multi { index, error } => write!(f, "operation {index} of a multi failed: {error}"),
            ZkError::TooLarge { path, size_bytes } => write!(
                f,
                "a request of {size_bytes} bytes for {path} is larger than ZooKeeper's jute.maxbuffer allows"
            ),
            ZkError::SessionExpired => keeper(f, "Session expired", ""),
            ZkError::AuthFailed => keeper(f, "AuthFailed", ""),
            ZkError::ConnectionTimeout => {
                f.write_str("Timed out waiting for connection while in state: CONNECTING")
            }
            ZkError::RequestTimeout => f.write_str("no ZooKeeper server answered in time"),
            ZkError::ConnectionLoss => keeper(f, "ConnectionLoss", ""),
            ZkError::Closed => f.write_str("the ZooKeeper client is closed"),
            ZkError::BadArgument(text) | ZkError::Unexpected(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for ZkError {}
