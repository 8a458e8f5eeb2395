//! What a connection asks of the floors above.

use crate::protocol::Frame;
use bytes::Bytes;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

/// An answer that is not there yet. Polled only while it is the oldest of its connection, so it must not
/// rely on being polled for its effect.
pub type PendingReply = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// How a request ended.
#[derive(Debug)]
pub enum Outcome {
    /// Send this.
    Reply(Frame),
    /// The request has no answer (`acks=0`).
    Nothing,
    /// Send the answer, if there is one; then listen to the client no sooner than after so many milliseconds (KIP-219).
    Throttled(Box<(Option<Frame>, i64)>),
    /// End the connection once everything before is sent; the reason goes into the log.
    Close(String),
}

/// What became of a frame when it was dispatched. Its effect is ordered: it was applied, or stands in line
/// in its partition, before the next frame of the connection is looked at.
pub enum Dispatch {
    /// Finished.
    Done(Outcome),
    /// The answer follows.
    Pending(PendingReply),
}

impl Dispatch {
    /// Answers with `frame`.
    pub fn reply(frame: Frame) -> Dispatch {
        Dispatch::Done(Outcome::Reply(frame))
    }

    /// Ends the connection.
    pub fn close(reason: impl Into<String>) -> Dispatch {
        Dispatch::Done(Outcome::Close(reason.into()))
    }
}

/// Who is at the other end.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// `LOCAL:PORT-REMOTE:PORT-N`, as in Kafka's logs.
    pub id: String,
    /// Name of the listener that accepted it.
    pub listener: String,
    /// The peer.
    pub peer: SocketAddr,
}

/// The requests' side of the broker.
pub trait Service: Send + Sync + 'static {
    /// Applies one frame (without its size) or puts it in line. Must not block.
    fn dispatch(&self, connection: &Arc<ConnectionInfo>, frame: Bytes) -> Dispatch;

    /// Called on each worker thread, inside its runtime, before it serves the first connection.
    fn start_worker(&self) {}
}
