//! A ZooKeeper in memory: sessions, ephemerals, versions, multis, sequential nodes, one-shot watches, and faults on
//! demand. For tests and for the simulation; it has no threads, no timers, and no clock but the one it is given.

mod tree;

use super::backend::{Backend, Reply, ReplyFuture, Request};
use super::client::{InFlight, ZkClient};
use super::error::ZkError;
use super::types::{CreateMode, Created, Op, OpResult, SessionState, SessionStatus, Stat, Watch, WatchKind};
use crate::common::clock;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};
use tree::{Fired, Tree, WatchSlot};

/// A client and where its watch waits.
type Watcher = (u64, oneshot::Sender<WatchKind>);
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The ensemble. Clones share it.
#[derive(Clone)]
pub struct MemoryZooKeeper {
    world: Arc<Mutex<World>>,
}

struct World {
    tree: Tree,
    clock: Clock,
    next_session: i64,
    next_client: u64,
    clients: BTreeMap<u64, ClientState>,
    watches: BTreeMap<(String, WatchSlot), Vec<Watcher>>,
    old: bool,
    log: Vec<String>,
}

struct ClientState {
    status: watch::Sender<SessionStatus>,
    /// The server has ended the session; the client does not know yet.
    expired: bool,
    lost_requests: u32,
    lost_replies: u32,
}

impl Default for MemoryZooKeeper {
    fn default() -> Self {
        MemoryZooKeeper::new()
    }
}

impl MemoryZooKeeper {
    /// An empty one, with the real time in its stats.
    pub fn new() -> MemoryZooKeeper {
        MemoryZooKeeper::with_clock(Arc::new(clock::now_ms))
    }

    /// An empty one with a clock of its own (milliseconds since 1970).
    pub fn with_clock(clock: Clock) -> MemoryZooKeeper {
        let world = World {
            tree: Tree::new(clock()),
            clock,
            next_session: 0x1_0000,
            next_client: 1,
            clients: BTreeMap::new(),
            watches: BTreeMap::new(),
            old: false,
            log: Vec::new(),
        };
        MemoryZooKeeper { world: Arc::new(Mutex::new(world)) }
    }

    /// Behaves like ZooKeeper 3.4 from here on: creates tell no stat, multis cannot create.
    pub fn pretend_3_4(&self) {
        self.lock().old = true;
    }

    /// Opens a session.
    pub fn connect(&self) -> ZkClient {
        let mut world = self.lock();
        let client = world.next_client;
        world.next_client += 1;
        let session_id = world.new_session_id();
        let state = SessionState::Connected;
        let status = watch::Sender::new(SessionStatus { state, session_id, sessions: 1, resumes: 0 });
        let state = ClientState { status, expired: false, lost_requests: 0, lost_replies: 0 };
        world.clients.insert(client, state);
        drop(world);
        let backend = MemoryBackend { server: self.clone(), client };
        ZkClient::over(Arc::new(backend), InFlight { reads_max: 10, writes_max: 10 })
    }

    /// Ends a session as its timeout would. A connected client gets another at once, a disconnected one when it
    /// comes back.
    pub fn expire(&self, session_id: i64) {
        let mut world = self.lock();
        world.end_session(session_id);
        let Some(client) = world.client_of(session_id) else { return };
        if let Some(state) = world.clients.get_mut(&client) {
            state.expired = true;
            if state.status.borrow().state == SessionState::Connected {
                world.renew(client);
            }
        }
    }

    /// Cuts a client off: its requests wait. Its session lives until [`MemoryZooKeeper::expire`].
    pub fn disconnect(&self, session_id: i64) {
        let world = self.lock();
        if let Some(state) = world.client_of(session_id).and_then(|client| world.clients.get(&client)) {
            state.status.send_modify(|status| status.state = SessionState::Disconnected);
        }
    }

    /// Lets a client come back: into the same session with its watches, or into a new one.
    pub fn reconnect(&self, session_id: i64) {
        let mut world = self.lock();
        let Some(client) = world.client_of(session_id) else { return };
        let Some(state) = world.clients.get(&client) else { return };
        if state.expired {
            world.renew(client);
        } else {
            state.status.send_modify(|status| status.state = SessionState::Connected);
        }
    }

    /// The session goes on in a new connection: watches are lost.
    pub fn resume(&self, session_id: i64) {
        let mut world = self.lock();
        let Some(client) = world.client_of(session_id) else { return };
        world.reset_watches(client);
        if let Some(state) = world.clients.get(&client) {
            state.status.send_modify(|status| {
                status.resumes += 1;
                status.state = SessionState::Connected;
            });
        }
    }

    /// The next `count` requests of a client are lost before the server sees them.
    pub fn lose_requests(&self, session_id: i64, count: u32) {
        self.fault(session_id, |state| state.lost_requests = count);
    }

    /// The next `count` requests of a client take effect, but their answers are lost.
    pub fn lose_replies(&self, session_id: i64, count: u32) {
        self.fault(session_id, |state| state.lost_replies = count);
    }

    fn fault(&self, session_id: i64, change: impl FnOnce(&mut ClientState)) {
        let mut world = self.lock();
        if let Some(client) = world.client_of(session_id)
            && let Some(state) = world.clients.get_mut(&client)
        {
            change(state);
        }
    }

    /// Every write since the last call, one a line as in the captures of Kafka: `create P /consumers null`,
    /// `set /controller_epoch v1 1`, `delete /admin/x`, `multi` with its parts indented.
    pub fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().log)
    }

    /// Every node below `path` as `path | P|E | data`, sorted.
    pub fn dump(&self, path: &str) -> Vec<String> {
        self.lock().tree.dump(path)
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl World {
    fn new_session_id(&mut self) -> i64 {
        self.next_session += 1;
        self.next_session
    }

    fn client_of(&self, session_id: i64) -> Option<u64> {
        let found = self.clients.iter().find(|(_, state)| state.status.borrow().session_id == session_id);
        found.map(|(client, _)| *client)
    }

    /// The server's side of an expiry.
    fn end_session(&mut self, session_id: i64) {
        let mut fired = Vec::new();
        self.tree.end_session(session_id, &mut fired);
        self.log.push(format!("closeSession {session_id:#x}"));
        self.fire(fired);
    }

    /// The client's side: another session, and no watch left.
    fn renew(&mut self, client: u64) {
        self.reset_watches(client);
        let session_id = self.new_session_id();
        if let Some(state) = self.clients.get_mut(&client) {
            state.expired = false;
            state.status.send_modify(|status| {
                let sessions = status.sessions + 1;
                *status = SessionStatus { state: SessionState::Connected, session_id, sessions, ..*status };
            });
        }
    }

    fn reset_watches(&mut self, client: u64) {
        for watchers in self.watches.values_mut() {
            for at in (0..watchers.len()).rev() {
                if watchers[at].0 == client {
                    // The watch may have been dropped.
                    let _ = watchers.swap_remove(at).1.send(WatchKind::Reset);
                }
            }
        }
    }

    fn fire(&mut self, fired: Vec<Fired>) {
        for (path, slot, kind) in fired {
            for (_, sender) in self.watches.remove(&(path, slot)).unwrap_or_default() {
                let _ = sender.send(kind);
            }
        }
    }

    fn watch(&mut self, client: u64, path: &str, slot: WatchSlot) -> Watch {
        let (sender, receiver) = oneshot::channel();
        let watchers = self.watches.entry((path.to_string(), slot)).or_default();
        watchers.retain(|(_, sender)| !sender.is_closed());
        watchers.push((client, sender));
        let event = async move {
            match receiver.await {
                Ok(kind) => kind,
                Err(_) => std::future::pending().await,
            }
        };
        Watch::new(path.to_string(), Box::pin(event))
    }

    fn perform(&mut self, client: u64, session_id: i64, request: &Request) -> Result<Reply, ZkError> {
        let now_ms = (self.clock)();
        match request {
            Request::Get { path, watch } => {
                let found = self.tree.get(path)?;
                let watch = (*watch && found.is_some()).then(|| self.watch(client, path, WatchSlot::Data));
                Ok(Reply::Data(found, watch))
            }
            Request::Exists { path, watch } => {
                let found = self.tree.get(path)?.map(|(_, stat)| stat);
                Ok(Reply::Stat(found, watch.then(|| self.watch(client, path, WatchSlot::Data))))
            }
            Request::Children { path, watch } => {
                let found = self.tree.children(path)?;
                let watch = (*watch && found.is_some()).then(|| self.watch(client, path, WatchSlot::Child));
                Ok(Reply::Children(found, watch))
            }
            Request::Create { path, data, mode } => {
                let op = Op::Create { path: path.clone(), data: data.clone(), mode: *mode };
                match self.one(&op, session_id, now_ms)? {
                    OpResult::Created(created) => Ok(Reply::Created(created)),
                    _ => Err(ZkError::Unexpected("not a create".into())),
                }
            }
            Request::Set { path, data, version } => {
                let op = Op::Set { path: path.clone(), data: data.clone(), version: *version };
                match self.one(&op, session_id, now_ms)? {
                    OpResult::Set(stat) => Ok(Reply::Set(stat)),
                    _ => Err(ZkError::Unexpected("not a set".into())),
                }
            }
            Request::Delete { path, version } => {
                self.one(&Op::Delete { path: path.clone(), version: *version }, session_id, now_ms)?;
                Ok(Reply::Deleted)
            }
            Request::Multi { ops } => self.multi(ops, session_id, now_ms).map(Reply::Multi),
            Request::Sync { .. } => Ok(Reply::Synced),
        }
    }

    fn one(&mut self, op: &Op, session_id: i64, now_ms: i64) -> Result<OpResult, ZkError> {
        let ops = std::slice::from_ref(op);
        let done = self.tree.transaction(ops, session_id, now_ms).map_err(|(_, error)| error)?;
        let (mut results, fired, mut lines) = done;
        self.log.append(&mut lines);
        self.fire(fired);
        let mut result = results.pop().ok_or_else(|| ZkError::Unexpected("no result".into()))?;
        if self.old
            && let OpResult::Created(created) = &mut result
        {
            created.stat = Stat { czxid: -1, version: -1, ..Stat::default() };
        }
        Ok(result)
    }

    fn multi(&mut self, ops: &[Op], session_id: i64, now_ms: i64) -> Result<Vec<OpResult>, ZkError> {
        if self.old && ops.iter().any(|op| matches!(op, Op::Create { .. })) {
            return Err(ZkError::Unexpected("server fail to marshal client request".into()));
        }
        match self.tree.transaction(ops, session_id, now_ms) {
            Ok((results, fired, lines)) => {
                self.log.push("multi".into());
                self.log.extend(lines.into_iter().map(|line| format!("    {line}")));
                self.fire(fired);
                Ok(results)
            }
            Err((index, error)) => Err(ZkError::Multi { index, error: Box::new(error) }),
        }
    }
}

/// One client's connection.
struct MemoryBackend {
    server: MemoryZooKeeper,
    client: u64,
}

impl MemoryBackend {
    fn attempt(
        server: &MemoryZooKeeper,
        client: u64,
        request: &Request,
        sessions: u64,
    ) -> Result<Reply, ZkError> {
        let mut world = server.lock();
        let Some(state) = world.clients.get_mut(&client) else { return Err(ZkError::Closed) };
        let status = *state.status.borrow();
        match status.state {
            SessionState::Closed => return Err(ZkError::Closed),
            SessionState::Disconnected => return Err(ZkError::ConnectionLoss),
            SessionState::Connected => {}
        }
        if request.is_write() && status.sessions != sessions {
            return Err(ZkError::SessionExpired);
        }
        if state.lost_requests > 0 {
            state.lost_requests -= 1;
            return Err(ZkError::ConnectionLoss);
        }
        let reply_is_lost = state.lost_replies > 0;
        state.lost_replies -= u32::from(reply_is_lost);
        let outcome = world.perform(client, status.session_id, request);
        if reply_is_lost { Err(ZkError::ConnectionLoss) } else { outcome }
    }
}

impl Drop for MemoryBackend {
    fn drop(&mut self) {
        let mut world = self.server.lock();
        let session = world.clients.get(&self.client).map(|state| state.status.borrow().session_id);
        if let Some(session) = session {
            world.end_session(session);
        }
        world.clients.remove(&self.client);
    }
}

impl Backend for MemoryBackend {
    fn call(&self, request: Arc<Request>, sessions: u64) -> ReplyFuture {
        let (server, client, mut status) = (self.server.clone(), self.client, self.status());
        Box::pin(async move {
            let connected = status.wait_for(|status| status.state != SessionState::Disconnected).await;
            connected.map_err(|_| ZkError::Closed)?;
            MemoryBackend::attempt(&server, client, &request, sessions)
        })
    }

    fn status(&self) -> watch::Receiver<SessionStatus> {
        let world = self.server.lock();
        let state = world.clients.get(&self.client).expect("a backend's client lives as long as the backend");
        state.status.subscribe()
    }

    fn session_timeout_ms(&self) -> i64 {
        // Short: what waits for a ghost to go should not wait long in a test.
        100
    }

    fn chroot_bytes(&self) -> usize {
        0
    }

    fn multi_lacks_create(&self) -> bool {
        self.server.lock().old
    }

    fn close(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut world = self.server.lock();
        if let Some(state) = world.clients.get(&self.client) {
            let session = state.status.borrow().session_id;
            state.status.send_modify(|status| status.state = SessionState::Closed);
            world.end_session(session);
        }
        Box::pin(std::future::ready(()))
    }
}

#[cfg(test)]
mod tests;
