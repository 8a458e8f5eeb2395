//! The client that everything in the broker and its tools uses.

mod many;

use super::LOG;
use super::backend::{Backend, Reply, Request};
use super::error::ZkError;
use super::multi::{self, Effect, Step};
use super::remote::Remote;
use super::types::{
    ANY_VERSION, CreateMode, Created, Op, OpResult, SessionEvents, SessionState, SessionStatus, Stat, Watch,
};
use bytes::Bytes;
pub(super) use many::InFlight;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// ZooKeeper refuses a request longer than this and drops the connection (`jute.maxbuffer`, by default one byte
/// less than a MiB).
pub const REQUEST_BYTES_MAX: usize = 0xf_ffff;

/// How to reach ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZkConfig {
    /// `zookeeper.connect`: servers and chroot. The chroot is created if missing.
    pub connect: String,
    /// `zookeeper.session.timeout.ms`: the session that is asked for.
    pub session_timeout_ms: i32,
    /// `zookeeper.connection.timeout.ms`: how long [`ZkClient::connect`] tries.
    pub connection_timeout_ms: i32,
    /// `zookeeper.max.in.flight.requests`: bound of the calls that write many nodes.
    pub max_in_flight_requests: i32,
    /// Bound of the calls that read many nodes.
    pub max_in_flight_reads: i32,
    /// `zookeeper.set.acl`: nodes belong to whoever created them, and most are readable by all.
    pub set_acl: bool,
}

impl ZkConfig {
    /// Kafka's defaults for a broker.
    pub fn new(connect: impl Into<String>) -> ZkConfig {
        ZkConfig {
            connect: connect.into(),
            session_timeout_ms: 18_000,
            connection_timeout_ms: 18_000,
            max_in_flight_requests: 10,
            max_in_flight_reads: 256,
            set_acl: false,
        }
    }
}

/// A ZooKeeper session that outlives connections, servers, and itself. Clones share it.
///
/// While no server answers, requests wait: put a deadline around them where waiting does harm. A request whose
/// connection broke is repeated, and a repetition that finds the effect of the first attempt reports success.
/// When the session is lost, writes that were under way fail with [`ZkError::SessionExpired`], reads go on in the
/// next session. Dropping the last clone ends the session.
#[derive(Clone)]
pub struct ZkClient {
    backend: Arc<dyn Backend>,
    in_flight: InFlight,
    /// The only session in which this clone writes (counted as in [`SessionStatus::sessions`]).
    bound_to: Option<u64>,
    patience: Option<Patience>,
    secure: bool,
}

/// How long the requests of a clone wait for a server.
#[derive(Clone)]
struct Patience {
    limit: Duration,
    /// A request has waited in vain: while nothing changes, the next ones need not.
    lost: Arc<AtomicBool>,
}

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

impl ZkClient {
    /// Opens a session.
    ///
    /// # Errors
    /// [`ZkError::ConnectionTimeout`] if no server answered in time, [`ZkError::BadArgument`] for a malformed
    /// connect string.
    pub async fn connect(config: ZkConfig) -> Result<ZkClient, ZkError> {
        let in_flight = InFlight {
            reads_max: config.max_in_flight_reads.max(1) as usize,
            writes_max: config.max_in_flight_requests.max(1) as usize,
        };
        let secure = config.set_acl;
        let backend = Remote::connect(config).await?;
        Ok(ZkClient { secure, ..ZkClient::over(Arc::new(backend), in_flight) })
    }

    pub(super) fn over(backend: Arc<dyn Backend>, in_flight: InFlight) -> ZkClient {
        ZkClient { backend, in_flight, bound_to: None, patience: None, secure: false }
    }

    /// A clone that writes in the present session only: once that is over, its writes fail with
    /// [`ZkError::SessionExpired`]. For an office that goes with a registration: taken before registering and used
    /// after it, it cannot write in a session in which nobody is registered.
    pub fn in_this_session(&self) -> ZkClient {
        ZkClient { bound_to: Some(self.sessions()), ..self.clone() }
    }

    /// A clone whose requests wait at most `limit` for an answer and then fail with [`ZkError::RequestTimeout`]; from
    /// then on they fail at once until a server is there again. For callers who have somebody waiting.
    pub fn with_patience(&self, limit: Duration) -> ZkClient {
        let patience = Patience { limit, lost: Arc::default() };
        ZkClient { patience: Some(patience), ..self.clone() }
    }

    /// The session in which a write that begins now takes effect or fails.
    fn sessions(&self) -> u64 {
        self.bound_to.unwrap_or_else(|| self.status().sessions)
    }

    /// The session now.
    pub fn status(&self) -> SessionStatus {
        *self.backend.status().borrow()
    }

    /// True if nodes get ACLs ([`ZkConfig::set_acl`]).
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The session's id now, as in [`Stat::ephemeral_owner`].
    pub fn session_id(&self) -> i64 {
        self.status().session_id
    }

    /// The session timeout that the server granted, in milliseconds.
    pub fn session_timeout_ms(&self) -> i64 {
        self.backend.session_timeout_ms()
    }

    /// Follows the session from here on.
    pub fn session_events(&self) -> SessionEvents {
        SessionEvents::new(self.backend.status())
    }

    /// Ends the session: its ephemerals go at once. Requests under way fail with [`ZkError::Closed`].
    pub async fn close(&self) {
        self.backend.close().await;
    }

    /// A node's data and stat, `None` if it does not exist. (Null data reads as empty.)
    pub async fn get(&self, path: &str) -> Result<Option<(Bytes, Stat)>, ZkError> {
        match self.run(Request::Get { path: path.into(), watch: false }).await? {
            Reply::Data(found, _) => Ok(found),
            other => Err(unexpected(&other)),
        }
    }

    /// A node's stat, `None` if it does not exist.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, ZkError> {
        match self.run(Request::Exists { path: path.into(), watch: false }).await? {
            Reply::Stat(found, _) => Ok(found),
            other => Err(unexpected(&other)),
        }
    }

    /// Names of a node's children in no particular order; none if the node does not exist.
    pub async fn children(&self, path: &str) -> Result<Vec<String>, ZkError> {
        match self.run(Request::Children { path: path.into(), watch: false }).await? {
            Reply::Children(found, _) => Ok(found.unwrap_or_default()),
            other => Err(unexpected(&other)),
        }
    }

    /// [`ZkClient::get`], and a watch on the data, the deletion or the creation of the node.
    pub async fn get_and_watch(&self, path: &str) -> Result<(Option<(Bytes, Stat)>, Watch), ZkError> {
        loop {
            match self.run(Request::Get { path: path.into(), watch: true }).await? {
                Reply::Data(Some(found), Some(watch)) => return Ok((Some(found), watch)),
                Reply::Data(None, _) => {}
                other => return Err(unexpected(&other)),
            }
            // A missing node can only be watched by asking whether it exists; it may have come just now.
            if let (None, watch) = self.exists_and_watch(path).await? {
                return Ok((None, watch));
            }
        }
    }

    /// [`ZkClient::exists`], and a watch on the creation, the data or the deletion of the node.
    pub async fn exists_and_watch(&self, path: &str) -> Result<(Option<Stat>, Watch), ZkError> {
        match self.run(Request::Exists { path: path.into(), watch: true }).await? {
            Reply::Stat(found, Some(watch)) => Ok((found, watch)),
            other => Err(unexpected(&other)),
        }
    }

    /// [`ZkClient::children`], and a watch on them; on a missing node, a watch on its creation.
    pub async fn children_and_watch(&self, path: &str) -> Result<(Vec<String>, Watch), ZkError> {
        loop {
            match self.run(Request::Children { path: path.into(), watch: true }).await? {
                Reply::Children(Some(found), Some(watch)) => return Ok((found, watch)),
                Reply::Children(None, _) => {}
                other => return Err(unexpected(&other)),
            }
            if let (None, watch) = self.exists_and_watch(path).await? {
                return Ok((Vec::new(), watch));
            }
        }
    }

    /// Creates a node; its parent must exist.
    ///
    /// # Errors
    /// [`ZkError::NodeExists`], [`ZkError::NoNode`] for the parent. A sequential node may be made twice if the
    /// connection breaks at the wrong moment: Kafka's notifications bear that.
    pub async fn create(
        &self,
        path: &str,
        data: impl Into<Bytes>,
        mode: CreateMode,
    ) -> Result<Created, ZkError> {
        let sessions = self.sessions();
        let request = Request::Create { path: path.into(), data: data.into(), mode };
        let created = self.create_in(request, sessions).await?;
        self.with_stat(created).await
    }

    async fn create_in(&self, request: Request, sessions: u64) -> Result<Created, ZkError> {
        match self.run_in(request, sessions).await? {
            Reply::Created(created) => Ok(created),
            other => Err(unexpected(&other)),
        }
    }

    /// ZooKeeper 3.4 does not tell the stat of what it created.
    async fn with_stat(&self, mut created: Created) -> Result<Created, ZkError> {
        if created.known_stat().is_none() {
            let stat = self.exists(&created.path).await?;
            created.stat = stat.ok_or_else(|| ZkError::NoNode { path: created.path.clone() })?;
        }
        Ok(created)
    }

    /// Creates a node, and its parents without data where they are missing.
    ///
    /// # Errors
    /// [`ZkError::NodeExists`].
    pub async fn create_with_parents(
        &self,
        path: &str,
        data: impl Into<Bytes>,
        mode: CreateMode,
    ) -> Result<Created, ZkError> {
        let data = data.into();
        loop {
            match self.create(path, data.clone(), mode).await {
                Err(ZkError::NoNode { .. }) if parent(path).is_some() => {
                    self.ensure_path(parent(path).unwrap_or("/")).await?;
                }
                other => return other,
            }
        }
    }

    /// Creates a persistent node without data, and its parents, where they are missing.
    pub async fn ensure_path(&self, path: &str) -> Result<(), ZkError> {
        let mut missing = vec![path];
        while let Some(next) = missing.last() {
            match self.create(next, Bytes::new(), CreateMode::Persistent).await {
                Ok(_) | Err(ZkError::NodeExists { .. }) => {
                    missing.pop();
                }
                Err(error @ ZkError::NoNode { .. }) => missing.push(parent(next).ok_or(error)?),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Writes a node's data if it has `version` ([`ANY_VERSION`]: whatever it has).
    ///
    /// # Errors
    /// [`ZkError::NoNode`], [`ZkError::BadVersion`].
    pub async fn set(&self, path: &str, data: impl Into<Bytes>, version: i32) -> Result<Stat, ZkError> {
        match self.run(Request::Set { path: path.into(), data: data.into(), version }).await? {
            Reply::Set(stat) => Ok(stat),
            other => Err(unexpected(&other)),
        }
    }

    /// Deletes a node if it has `version` ([`ANY_VERSION`]: whatever it has).
    ///
    /// # Errors
    /// [`ZkError::NoNode`], [`ZkError::BadVersion`], [`ZkError::NotEmpty`].
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), ZkError> {
        self.delete_in(path, version, self.sessions()).await
    }

    async fn delete_in(&self, path: &str, version: i32, sessions: u64) -> Result<(), ZkError> {
        match self.run_in(Request::Delete { path: path.into(), version }, sessions).await? {
            Reply::Deleted => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Does all operations or none.
    ///
    /// On ZooKeeper 3.4 a multi that creates is taken apart: the checks first and again before every step, creates
    /// alone; what was created is deleted again if a later step fails. That fence is weaker, as Kafka's own was
    /// before 2.x, and the client says so in the log when it meets such a server.
    ///
    /// # Errors
    /// [`ZkError::Multi`] names the operation that failed.
    pub async fn multi(&self, ops: Vec<Op>) -> Result<Vec<OpResult>, ZkError> {
        if ops.is_empty() {
            return Ok(Vec::new());
        }
        let sessions = self.sessions();
        let creates = ops.iter().any(|op| matches!(op, Op::Create { .. }));
        if creates && self.backend.multi_lacks_create() {
            return self.multi_in_steps(&ops, sessions).await;
        }
        self.multi_in(ops, sessions).await
    }

    async fn multi_in(&self, ops: Vec<Op>, sessions: u64) -> Result<Vec<OpResult>, ZkError> {
        match self.run_in(Request::Multi { ops }, sessions).await? {
            Reply::Multi(results) => Ok(results),
            other => Err(unexpected(&other)),
        }
    }

    async fn multi_in_steps(&self, ops: &[Op], sessions: u64) -> Result<Vec<OpResult>, ZkError> {
        let mut results = vec![OpResult::Checked; ops.len()];
        let mut made: Vec<String> = Vec::new();
        for step in multi::without_creates(ops) {
            if let Err(error) = self.multi_step(step, sessions, &mut results, &mut made).await {
                for path in made.iter().rev() {
                    // Version 0: nobody has written it since.
                    if let Err(undo) = self.delete_in(path, 0, sessions).await {
                        log::warn!(
                            target: LOG,
                            "{path} was created by a multi that failed and could not be deleted: {undo}"
                        );
                    }
                }
                return Err(error);
            }
        }
        Ok(results)
    }

    async fn multi_step(
        &self,
        step: Step,
        sessions: u64,
        results: &mut [OpResult],
        made: &mut Vec<String>,
    ) -> Result<(), ZkError> {
        match step {
            Step::Multi(group) => {
                let (indexes, group): (Vec<usize>, Vec<Op>) = group.into_iter().unzip();
                let done = self.multi_in(group, sessions).await.map_err(|error| match error {
                    ZkError::Multi { index, error } => {
                        ZkError::Multi { index: indexes.get(index).copied().unwrap_or(index), error }
                    }
                    other => other,
                })?;
                for (index, result) in indexes.into_iter().zip(done) {
                    results[index] = result;
                }
            }
            Step::Create { create, set, path, data, mode } => {
                let created = self.create_in(Request::Create { path, data, mode }, sessions).await;
                let mut created = created.map_err(|error| in_multi(create, error))?;
                made.push(created.path.clone());
                if let Some(set) = set {
                    created = self.with_stat(created).await.map_err(|error| in_multi(set, error))?;
                    results[set] = OpResult::Set(created.stat);
                }
                results[create] = OpResult::Created(created);
            }
        }
        Ok(())
    }

    /// Waits until the server that answers us knows every write that was answered to anybody before this call: what is
    /// read afterwards is no older. (Servers of an ensemble may lag behind each other.)
    pub async fn sync(&self) -> Result<(), ZkError> {
        match self.run(Request::Sync { path: "/".into() }).await? {
            Reply::Synced => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Deletes a node and everything below it; missing nodes are fine. `checks` go with every single delete (the
    /// controller's fence; may be empty).
    ///
    /// # Errors
    /// [`ZkError::Multi`] with the position of a failing check.
    pub async fn delete_recursive(&self, path: &str, checks: &[Op]) -> Result<(), ZkError> {
        loop {
            let mut tree = vec![path.to_string()];
            let mut level = tree.clone();
            while !level.is_empty() {
                let lists = self.children_many(level.clone()).await?;
                let below = |(parent, names): (&String, Vec<String>)| {
                    let join = |name: String| join(parent, &name);
                    names.into_iter().map(join).collect::<Vec<_>>()
                };
                level = level.iter().zip(lists).flat_map(below).collect();
                tree.extend_from_slice(&level);
            }
            // Deepest first. ZooKeeper keeps the order of pipelined requests.
            let deletes = tree.iter().rev().map(|path| {
                let mut ops = checks.to_vec();
                ops.push(Op::delete(path.as_str(), ANY_VERSION));
                ops
            });
            let mut again = false;
            for result in self.multi_many(deletes.collect()).await {
                match result {
                    Err(error) if error.failed_index() == Some(checks.len()) => match error.cause() {
                        ZkError::NoNode { .. } => {}
                        // A child came meanwhile.
                        ZkError::NotEmpty { .. } => again = true,
                        _ => return Err(error),
                    },
                    Err(error) => return Err(error),
                    Ok(_) => {}
                }
            }
            if !again {
                return Ok(());
            }
        }
    }

    /// True on ZooKeeper 3.4: see [`ZkClient::multi`].
    pub(super) fn multi_lacks_create(&self) -> bool {
        self.backend.multi_lacks_create()
    }

    async fn run(&self, request: Request) -> Result<Reply, ZkError> {
        self.run_in(request, self.sessions()).await
    }

    async fn call(&self, request: &Arc<Request>, sessions: u64) -> Result<Reply, ZkError> {
        let call = self.backend.call(request.clone(), sessions);
        let Some(Patience { limit, lost }) = &self.patience else { return call.await };
        if self.status().state == SessionState::Disconnected && lost.load(Ordering::Relaxed) {
            return Err(ZkError::RequestTimeout);
        }
        let outcome = tokio::time::timeout(*limit, call).await;
        lost.store(outcome.is_err(), Ordering::Relaxed);
        outcome.unwrap_or(Err(ZkError::RequestTimeout))
    }

    /// Tries until the outcome is known.
    async fn run_in(&self, request: Request, sessions: u64) -> Result<Reply, ZkError> {
        let size_bytes = request.size_bytes(self.backend.chroot_bytes());
        if size_bytes > REQUEST_BYTES_MAX {
            return Err(ZkError::TooLarge { path: request.path().to_string(), size_bytes });
        }
        let request = Arc::new(request);
        let mut repeated = false;
        loop {
            match self.call(&request, sessions).await {
                Err(ZkError::ConnectionLoss) => repeated = true,
                Err(error) if repeated => return self.earlier_attempt(&request, error).await,
                outcome => return outcome,
            }
        }
    }

    /// A repeated request failed with `error`: was that because the attempt before, of which no answer came,
    /// had done it?
    fn earlier_attempt<'a>(
        &'a self,
        request: &'a Request,
        error: ZkError,
    ) -> BoxFuture<'a, Result<Reply, ZkError>> {
        Box::pin(async move {
            match (request, error.cause()) {
                (Request::Delete { .. }, ZkError::NoNode { .. }) => Ok(Reply::Deleted),
                (Request::Create { path, data, mode }, ZkError::NodeExists { .. }) => {
                    let owner = if *mode == CreateMode::Ephemeral { self.session_id() } else { 0 };
                    match self.get(path).await? {
                        Some((found, stat))
                            if found == *data && stat.version == 0 && stat.ephemeral_owner == owner =>
                        {
                            Ok(Reply::Created(Created { path: path.clone(), stat }))
                        }
                        _ => Err(error),
                    }
                }
                (Request::Set { path, data, version }, ZkError::BadVersion { .. }) => {
                    match self.get(path).await? {
                        Some((found, stat)) if found == *data && stat.version == version + 1 => {
                            Ok(Reply::Set(stat))
                        }
                        _ => Err(error),
                    }
                }
                (Request::Multi { ops }, _) => self.earlier_multi(ops, error).await,
                _ => Err(error),
            }
        })
    }

    async fn earlier_multi(&self, ops: &[Op], error: ZkError) -> Result<Reply, ZkError> {
        let failed = error.failed_index().and_then(|index| ops.get(index));
        // A check that fails now speaks for itself, whatever the attempt before did.
        if matches!(failed, None | Some(Op::Check { .. })) {
            return Err(error);
        }
        let Some(effects) = multi::effects(ops) else { return Err(error) };
        let mut stats = std::collections::BTreeMap::new();
        for (path, effect) in effects {
            let found = self.get(path).await?;
            let holds = match (&effect, &found) {
                (Effect::Absent, None) => true,
                (Effect::Present { data, version }, Some((found, stat))) => {
                    let ours = !multi::is_ephemeral(ops, path) || stat.ephemeral_owner == self.session_id();
                    ours && found == data && version.is_none_or(|version| version == stat.version)
                }
                _ => false,
            };
            if !holds {
                return Err(error);
            }
            stats.insert(path, found.map(|(_, stat)| stat).unwrap_or_default());
        }
        let results = ops.iter().map(|op| match op {
            Op::Check { .. } => OpResult::Checked,
            Op::Delete { .. } => OpResult::Deleted,
            Op::Set { path, .. } => OpResult::Set(stats[path.as_str()]),
            Op::Create { path, .. } => {
                OpResult::Created(Created { path: path.clone(), stat: stats[path.as_str()] })
            }
        });
        Ok(Reply::Multi(results.collect()))
    }
}

fn in_multi(index: usize, error: ZkError) -> ZkError {
    match error {
        ZkError::SessionExpired | ZkError::Closed | ZkError::AuthFailed => error,
        error => ZkError::Multi { index, error: Box::new(error) },
    }
}

fn unexpected(reply: &Reply) -> ZkError {
    ZkError::Unexpected(format!("ZooKeeper answered something else than was asked: {reply:?}"))
}

/// The path above; none above a top-level node.
fn parent(path: &str) -> Option<&str> {
    match path.rfind('/') {
        None | Some(0) => None,
        Some(at) => Some(&path[..at]),
    }
}

fn join(parent: &str, name: &str) -> String {
    if parent == "/" { format!("/{name}") } else { format!("{parent}/{name}") }
}
