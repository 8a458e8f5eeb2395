//! A real ensemble behind [`Backend`]: one session over the crate `zookeeper-client`, kept alive by a supervisor.
//!
//! The crate reconnects by itself and keeps watches while it does, but it waits longer and longer between attempts,
//! and declares the session expired by its own clock although no server said so: sessions outlive an outage of the
//! whole ensemble. So it gets a short grace, good for a switch to another server; then the supervisor stops its
//! task and takes the session up in a fresh connection, once a second, for as long as it takes. Only a server's
//! refusal ends a session.
//!
//! Invariants:
//! - `Slot.generation` grows whenever the connection is given up or replaced; whoever waits on something of a
//!   generation also waits for its end.
//! - The slot empties before the crate's task is stopped, because a watch of a stopped task must not be polled.

mod link;
mod perform;
mod supervisor;

use super::backend::{Backend, ReplyFuture, Request};
use super::client::ZkConfig;
use super::connect_string::{self, ConnectString};
use super::error::ZkError;
use super::types::{SessionState, SessionStatus};
use link::Link;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use tokio::sync::{Notify, watch};

/// Logger of the session.
const LOG: &str = "kafka.zookeeper.ZooKeeperClient";

/// The connection at present.
#[derive(Clone, Default)]
struct Slot {
    generation: u64,
    sessions: u64,
    link: Option<Arc<Link>>,
    closed: bool,
}

/// What the supervisor and the requests share.
struct Shared {
    config: ZkConfig,
    target: ConnectString,
    slot: watch::Sender<Slot>,
    status: watch::Sender<SessionStatus>,
    session_timeout_ms: AtomicI64,
    /// The ensemble is ZooKeeper 3.4.
    old_server: AtomicBool,
    /// The generation in which a request found the crate's task dead.
    suspect: watch::Sender<u64>,
    stop: Notify,
}

/// The handle; dropping it ends the session.
pub(crate) struct Remote {
    shared: Arc<Shared>,
}

impl Remote {
    pub(crate) async fn connect(config: ZkConfig) -> Result<Remote, ZkError> {
        let target = connect_string::parse(&config.connect)?;
        let down =
            SessionStatus { state: SessionState::Disconnected, session_id: 0, sessions: 0, resumes: 0 };
        let shared = Arc::new(Shared {
            config,
            target,
            slot: watch::Sender::new(Slot::default()),
            status: watch::Sender::new(down),
            session_timeout_ms: AtomicI64::new(0),
            old_server: AtomicBool::new(false),
            suspect: watch::Sender::new(0),
            stop: Notify::new(),
        });
        supervisor::start(&shared).await?;
        Ok(Remote { shared })
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.shared.stop.notify_one();
    }
}

impl Backend for Remote {
    fn call(&self, request: Arc<Request>, sessions: u64) -> ReplyFuture {
        let shared = self.shared.clone();
        Box::pin(async move {
            let mut slots = shared.slot.subscribe();
            let ready = slots.wait_for(|slot| slot.closed || slot.link.is_some()).await;
            let slot = ready.map_err(|_| ZkError::Closed)?.clone();
            let Some(link) = slot.link.filter(|_| !slot.closed) else { return Err(ZkError::Closed) };
            if request.is_write() && slot.sessions != sessions {
                return Err(ZkError::SessionExpired);
            }
            let ended = slots.clone();
            tokio::select! {
                biased;
                _ = slots.wait_for(|now| now.generation != slot.generation) => Err(ZkError::ConnectionLoss),
                reply = perform::perform(&link, &request, ended, &shared.suspect) => reply,
            }
        })
    }

    fn status(&self) -> watch::Receiver<SessionStatus> {
        self.shared.status.subscribe()
    }

    fn session_timeout_ms(&self) -> i64 {
        self.shared.session_timeout_ms.load(Ordering::Relaxed)
    }

    fn chroot_bytes(&self) -> usize {
        self.shared.target.chroot.len()
    }

    fn multi_lacks_create(&self) -> bool {
        self.shared.old_server.load(Ordering::Relaxed)
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut status = self.shared.status.subscribe();
        self.shared.stop.notify_one();
        Box::pin(async move {
            // An error means that the supervisor is gone, which is as good.
            let _ = status.wait_for(|status| status.state == SessionState::Closed).await;
        })
    }
}
