//! Keeps the session: watches the connection, takes the session up elsewhere, opens another when it is lost.

use super::link::{self, Link, LinkError};
use super::{LOG, Shared, Slot};
use crate::common::random;
use crate::zk::error::ZkError;
use crate::zk::types::{SessionState, SessionStatus};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zookeeper_client::{SessionInfo, SessionState as CrateState, StateWatcher};

/// Between attempts to connect, at most, and never more than a tenth of the session timeout; half of it is chance, so
/// that clients do not come in step.
const BACKOFF_MS_MAX: u64 = 1_000;
const BACKOFF_MS_FIRST: u64 = 100;
/// How long the crate may look for another server by itself, which keeps watches.
const GRACE_MS_MAX: i64 = 3_000;
/// How long a close waits for the server's answer.
const CLOSE_MS_MAX: u64 = 2_000;

/// Opens the first session and starts the supervisor.
pub(super) async fn start(shared: &Arc<Shared>) -> Result<(), ZkError> {
    let limit = Duration::from_millis(shared.config.connection_timeout_ms.max(0) as u64);
    let opened = tokio::time::timeout(limit, open_first(shared));
    let link = opened.await.map_err(|_| ZkError::ConnectionTimeout)??;
    let shared = shared.clone();
    publish(&shared, link, true);
    tokio::spawn(async move { supervise(&shared).await });
    Ok(())
}

async fn open_first(shared: &Shared) -> Result<Link, ZkError> {
    let mut backoff = Backoff::new(shared);
    loop {
        let opened = match link::connect(shared, None).await {
            Ok(link) => link::ensure_chroot(shared, &link).await.map(|()| link),
            Err(error) => Err(error),
        };
        match opened {
            Ok(link) => return Ok(link),
            Err(LinkError::Fatal(error)) => return Err(error),
            Err(LinkError::SessionExpired) => {}
            Err(LinkError::Retry(text)) => {
                log::debug!(target: LOG, "[ZooKeeperClient] no ZooKeeper session yet: {text}")
            }
        }
        backoff.wait().await;
    }
}

struct Backoff {
    rounds: u32,
    limit_ms: u64,
}

impl Backoff {
    fn new(shared: &Shared) -> Backoff {
        let tenth = shared.config.session_timeout_ms.max(0) as u64 / 10;
        Backoff { rounds: 0, limit_ms: tenth.clamp(BACKOFF_MS_FIRST, BACKOFF_MS_MAX) }
    }

    async fn wait(&mut self) {
        let limit = (BACKOFF_MS_FIRST << self.rounds.min(10)).min(self.limit_ms);
        self.rounds += 1;
        tokio::time::sleep(Duration::from_millis(limit / 2 + random::below(limit / 2 + 1))).await;
    }
}

/// Puts a connection into the slot and tells.
fn publish(shared: &Shared, link: Link, new_session: bool) {
    let session_id = link.client.session_id().0;
    let mut sessions = 0;
    shared.slot.send_modify(|slot| {
        slot.generation += 1;
        slot.sessions += u64::from(new_session);
        slot.link = Some(Arc::new(link));
        sessions = slot.sessions;
    });
    shared.status.send_modify(|status| {
        *status = SessionStatus {
            state: SessionState::Connected,
            session_id,
            sessions,
            resumes: status.resumes + u64::from(!new_session),
        };
    });
}

fn set_state(shared: &Shared, state: SessionState) {
    shared.status.send_if_modified(|status| std::mem::replace(&mut status.state, state) != state);
}

async fn supervise(shared: &Shared) {
    loop {
        let link = shared.slot.borrow().link.clone();
        let Some(link) = link else { return };
        tokio::select! {
            () = shared.stop.notified() => return close(shared, link).await,
            () = lost(shared, &link) => {}
        }
        set_state(shared, SessionState::Disconnected);
        let session = link.client.session().clone();
        shared.slot.send_modify(|slot| {
            slot.generation += 1;
            slot.link = None;
        });
        link.abort();
        drop(link);
        tokio::select! {
            () = shared.stop.notified() => {
                // The session ends by its timeout: nobody answers, so nobody can be told.
                return closed(shared);
            }
            () = take_up(shared, session) => {}
        }
    }
}

/// Waits until the connection is beyond hope, telling its ups and downs.
async fn lost(shared: &Shared, link: &Link) {
    let generation = shared.slot.borrow().generation;
    let mut suspects = shared.suspect.subscribe();
    let mut states = link.client.state_watcher();
    let mut state = link.client.state();
    let grace_ms = (shared.session_timeout_ms.load(Ordering::Relaxed) / 4).min(GRACE_MS_MAX);
    let grace = Duration::from_millis(grace_ms.max(1) as u64);
    loop {
        state = match state {
            CrateState::SyncConnected | CrateState::ConnectedReadOnly => {
                set_state(shared, SessionState::Connected);
                tokio::select! {
                    state = states.changed() => state,
                    _ = suspects.wait_for(|suspect| *suspect == generation) => return,
                }
            }
            CrateState::Disconnected => {
                log::debug!(target: LOG, "[ZooKeeperClient] ZooKeeper connection lost; session {:#x}", link.client.session_id().0);
                set_state(shared, SessionState::Disconnected);
                match tokio::time::timeout(grace, connected_again(&mut states)).await {
                    Ok(state) => state,
                    Err(_) => return,
                }
            }
            CrateState::Expired | CrateState::AuthFailed | CrateState::Closed => return,
        };
    }
}

async fn connected_again(states: &mut StateWatcher) -> CrateState {
    loop {
        match states.changed().await {
            CrateState::Disconnected => {}
            state => return state,
        }
    }
}

/// Tries to take the session up until it succeeds or a server refuses; then opens another.
async fn take_up(shared: &Shared, session: SessionInfo) {
    let id = session.id().0;
    let mut session = Some(session);
    let mut backoff = Backoff::new(shared);
    loop {
        match link::connect(shared, session.clone()).await {
            Ok(link) => {
                let now = link.client.session_id().0;
                match session {
                    Some(_) => {
                        log::debug!(target: LOG, "[ZooKeeperClient] ZooKeeper session {now:#x} goes on in a new connection")
                    }
                    None => {
                        log::debug!(target: LOG, "[ZooKeeperClient] new ZooKeeper session {now:#x} after {id:#x}")
                    }
                }
                publish(shared, link, session.is_none());
                return;
            }
            Err(LinkError::SessionExpired) => {
                if session.take().is_some() {
                    log::debug!(target: LOG, "[ZooKeeperClient] ZooKeeper session {id:#x} has expired");
                    continue;
                }
            }
            Err(LinkError::Retry(text)) => {
                log::debug!(target: LOG, "[ZooKeeperClient] ZooKeeper not reachable: {text}")
            }
            // At the start this would end the process; later the ensemble may be mended.
            Err(LinkError::Fatal(error)) => {
                log::error!(target: LOG, "[ZooKeeperClient] ZooKeeper refuses the connection: {error}")
            }
        }
        backoff.wait().await;
    }
}

/// Ends the session: the crate asks the server to close it when its last client goes.
async fn close(shared: &Shared, link: Arc<Link>) {
    let mut states = link.client.state_watcher();
    let connected = link.client.state() == CrateState::SyncConnected;
    shared.slot.send_modify(|slot| {
        *slot = Slot { generation: slot.generation + 1, link: None, closed: true, ..slot.clone() };
    });
    let task = link.task();
    if released(link).await && connected {
        let limit = Duration::from_millis(CLOSE_MS_MAX);
        // Past the limit, or without a connection, the session ends by its timeout.
        let _ = tokio::time::timeout(limit, connected_again(&mut states)).await;
    }
    task.abort();
    closed(shared);
}

/// Requests under way hold the connection until they are polled and notice its end. True if all let go.
async fn released(link: Arc<Link>) -> bool {
    const POLLS_MAX: usize = 1_000;
    let mut link = link;
    for _ in 0..POLLS_MAX {
        match Arc::try_unwrap(link) {
            Ok(_) => return true,
            Err(shared) => link = shared,
        }
        tokio::task::yield_now().await;
    }
    false
}

fn closed(shared: &Shared) {
    shared.slot.send_modify(|slot| {
        slot.generation += 1;
        slot.link = None;
        slot.closed = true;
    });
    set_state(shared, SessionState::Closed);
}
