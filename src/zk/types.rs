//! The words of the client: nodes, operations, watches, session events.

use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::watch;

/// "Whatever version the node has", in conditional writes.
pub const ANY_VERSION: i32 = -1;

/// What ZooKeeper knows about a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stat {
    /// Transaction that created the node. Of a broker's registration: the broker epoch (KIP-380).
    pub czxid: i64,
    /// Transaction that last wrote the data.
    pub mzxid: i64,
    /// Time of creation by the server's clock, in milliseconds since 1970.
    pub ctime_ms: i64,
    /// Time of the last write of the data, likewise.
    pub mtime_ms: i64,
    /// Writes of the data since creation; what conditional writes compare.
    pub version: i32,
    /// Changes of the list of children.
    pub cversion: i32,
    /// Changes of the ACL.
    pub aversion: i32,
    /// Transaction that last changed the list of children.
    pub pzxid: i64,
    /// Session that owns an ephemeral node, 0 for a persistent one.
    pub ephemeral_owner: i64,
    /// Size of the data in bytes.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
}

/// Kinds of nodes that Kafka makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateMode {
    /// Stays until deleted.
    Persistent,
    /// Goes with the session.
    Ephemeral,
    /// Stays until deleted; ten digits, counting the children ever made, are appended to the path.
    PersistentSequential,
}

/// A node just created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Its path, with the number of a sequential node.
    pub path: String,
    /// Its stat. In the results of a multi it may be unknown: see [`Created::known_stat`].
    pub stat: Stat,
}

impl Created {
    /// Its stat, if the server told it: ZooKeeper before 3.9 does not for creates inside a multi (ZOOKEEPER-4026,
    /// -4667), 3.4 for none at all.
    pub fn known_stat(&self) -> Option<Stat> {
        (self.stat.czxid != -1).then_some(self.stat)
    }
}

/// One operation of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The node must exist in this version.
    Check {
        /// The node.
        path: String,
        /// Its version, or [`ANY_VERSION`].
        version: i32,
    },
    /// Creates a node.
    Create {
        /// The node; for a sequential one, its prefix.
        path: String,
        /// Its data.
        data: Bytes,
        /// Its kind.
        mode: CreateMode,
    },
    /// Writes a node's data.
    Set {
        /// The node.
        path: String,
        /// The new data.
        data: Bytes,
        /// Expected version, or [`ANY_VERSION`].
        version: i32,
    },
    /// Deletes a node.
    Delete {
        /// The node.
        path: String,
        /// Expected version, or [`ANY_VERSION`].
        version: i32,
    },
}

impl Op {
    /// [`Op::Check`].
    pub fn check(path: impl Into<String>, version: i32) -> Op {
        Op::Check { path: path.into(), version }
    }

    /// [`Op::Create`].
    pub fn create(path: impl Into<String>, data: impl Into<Bytes>, mode: CreateMode) -> Op {
        Op::Create { path: path.into(), data: data.into(), mode }
    }

    /// [`Op::Set`].
    pub fn set(path: impl Into<String>, data: impl Into<Bytes>, version: i32) -> Op {
        Op::Set { path: path.into(), data: data.into(), version }
    }

    /// [`Op::Delete`].
    pub fn delete(path: impl Into<String>, version: i32) -> Op {
        Op::Delete { path: path.into(), version }
    }

    /// The node that the operation addresses.
    pub fn path(&self) -> &str {
        match self {
            Op::Check { path, .. }
            | Op::Create { path, .. }
            | Op::Set { path, .. }
            | Op::Delete { path, .. } => path,
        }
    }
}

/// What one operation of a multi gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// The check held.
    Checked,
    /// The node was created.
    Created(Created),
    /// The data was written.
    Set(Stat),
    /// The node was deleted.
    Deleted,
}

impl OpResult {
    /// The stat of a written node, and of a created one if the server told it ([`Created::known_stat`]).
    pub fn stat(&self) -> Option<Stat> {
        match self {
            OpResult::Created(created) => created.known_stat(),
            OpResult::Set(stat) => Some(*stat),
            OpResult::Checked | OpResult::Deleted => None,
        }
    }
}

/// What happened to a watched node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// It was created.
    Created,
    /// It was deleted.
    Deleted,
    /// Its data was written.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
    /// The watch was lost with a connection or a session: anything may have happened. Read again.
    Reset,
}

/// A watch that fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// The watched node.
    pub path: String,
    /// What happened.
    pub kind: WatchKind,
}

/// A one-shot watch: a future of its only event. Dropping it takes the watch back.
///
/// It never fails; when the client is closed it stays pending.
pub struct Watch {
    path: String,
    event: Pin<Box<dyn Future<Output = WatchKind> + Send>>,
}

impl Watch {
    pub(super) fn new(path: String, event: Pin<Box<dyn Future<Output = WatchKind> + Send>>) -> Watch {
        Watch { path, event }
    }

    /// The watched node.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Waits for the event.
    pub async fn changed(self) -> WatchEvent {
        self.await
    }
}

impl Future for Watch {
    type Output = WatchEvent;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<WatchEvent> {
        match self.event.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(kind) => Poll::Ready(WatchEvent { path: std::mem::take(&mut self.path), kind }),
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({})", self.path)
    }
}

/// Whether a server answers at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionState {
    /// Connected.
    Connected,
    /// Not connected: requests wait. The session may still live.
    Disconnected,
    /// The client was closed.
    Closed,
}

/// The session as a whole. The counters let a reader that looks seldom still see what it missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionStatus {
    /// Whether a server answers at present.
    pub state: SessionState,
    /// The session, as in [`Stat::ephemeral_owner`].
    pub session_id: i64,
    /// Sessions opened so far; 1 is the first.
    pub sessions: u64,
    /// How often a session was taken up again by a new connection that lost the watches.
    pub resumes: u64,
}

/// A change of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEvent {
    /// A server answers again; ephemerals are intact and watches work (those that could not be kept give
    /// [`WatchKind::Reset`]).
    Connected,
    /// No server answers; requests wait.
    Disconnected,
    /// The session lives on in a new connection; every earlier watch gave [`WatchKind::Reset`].
    Resumed,
    /// The previous session is lost with its ephemerals, and another is open: register again.
    NewSession {
        /// The lost session.
        previous: i64,
        /// The open one.
        session_id: i64,
    },
    /// The client was closed; no event follows.
    Closed,
}

/// Follows the session. Events that follow each other quickly may be merged: a new session stands for all that
/// led to it.
pub struct SessionEvents {
    receiver: watch::Receiver<SessionStatus>,
    seen: SessionStatus,
}

impl SessionEvents {
    pub(super) fn new(receiver: watch::Receiver<SessionStatus>) -> SessionEvents {
        let seen = *receiver.borrow();
        SessionEvents { receiver, seen }
    }

    /// The next event. Cancelling the wait loses nothing.
    pub async fn next(&mut self) -> SessionEvent {
        loop {
            let now = *self.receiver.borrow_and_update();
            if let Some(event) = step(&mut self.seen, now) {
                return event;
            }
            if self.receiver.changed().await.is_err() {
                if self.seen.state == SessionState::Closed {
                    std::future::pending::<()>().await;
                }
                self.seen.state = SessionState::Closed;
                return SessionEvent::Closed;
            }
        }
    }
}

/// The first difference between `seen` and `now` as an event, taken over into `seen`.
fn step(seen: &mut SessionStatus, now: SessionStatus) -> Option<SessionEvent> {
    if seen.sessions != now.sessions {
        let previous = seen.session_id;
        // A new session begins connected; a disconnection after it is an event of its own.
        *seen = SessionStatus { state: SessionState::Connected, ..now };
        return Some(SessionEvent::NewSession { previous, session_id: now.session_id });
    }
    if seen.resumes != now.resumes {
        *seen = SessionStatus { state: SessionState::Connected, ..now };
        return Some(SessionEvent::Resumed);
    }
    if seen.state != now.state {
        seen.state = now.state;
        return Some(match now.state {
            SessionState::Connected => SessionEvent::Connected,
            SessionState::Disconnected => SessionEvent::Disconnected,
            SessionState::Closed => SessionEvent::Closed,
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_events_follow_the_counters() {
        let first = SessionStatus { state: SessionState::Connected, session_id: 7, sessions: 1, resumes: 0 };
        let mut seen = first;
        assert_eq!(step(&mut seen, first), None);
        let down = SessionStatus { state: SessionState::Disconnected, ..first };
        assert_eq!(step(&mut seen, down), Some(SessionEvent::Disconnected));
        let resumed = SessionStatus { resumes: 1, ..first };
        assert_eq!(step(&mut seen, resumed), Some(SessionEvent::Resumed));
        assert_eq!(step(&mut seen, resumed), None);
        // Missed: a resume, a loss, and a new session that is down already.
        let later =
            SessionStatus { state: SessionState::Disconnected, session_id: 9, sessions: 3, resumes: 2 };
        assert_eq!(step(&mut seen, later), Some(SessionEvent::NewSession { previous: 7, session_id: 9 }));
        assert_eq!(step(&mut seen, later), Some(SessionEvent::Disconnected));
        assert_eq!(step(&mut seen, later), None);
    }
}
