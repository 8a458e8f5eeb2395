//! One attempt of one request on one connection, in the crate's terms.

use super::Slot;
use super::link::{Link, acls};
use crate::zk::backend::{Reply, Request};
use crate::zk::error::ZkError;
use crate::zk::types::{CreateMode, Created, Op, OpResult, Stat, Watch, WatchKind};
use bytes::Bytes;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use zookeeper_client::{
    Acls, CreateMode as CrateMode, Error, EventType, MultiWriteError, MultiWriteResult, MultiWriter,
    OneshotWatcher,
};

/// Before a request is repeated that the server was too busy for.
const THROTTLED_PAUSE: Duration = Duration::from_millis(100);

/// Sends `request` and waits for its answer. `ended` tells the end of the connection's generation, which is also
/// what a request on a dead connection waits for.
pub(super) async fn perform(
    link: &Link,
    request: &Request,
    ended: watch::Receiver<Slot>,
    suspect: &watch::Sender<u64>,
) -> Result<Reply, ZkError> {
    let path = request.path();
    let generation = ended.borrow().generation;
    let outcome = match request {
        Request::Multi { ops } => perform_multi(link, ops).await,
        Request::Get { watch: true, .. }
        | Request::Exists { watch: true, .. }
        | Request::Children { watch: true, .. } => {
            perform_watch(link, request, ended).await.map_err(|error| Failure::of(error, path))
        }
        _ => perform_plain(link, request).await.map_err(|error| Failure::of(error, path)),
    };
    match outcome {
        Ok(reply) => Ok(reply),
        Err(Failure::Request(error)) => Err(error),
        Err(Failure::Throttled) => {
            tokio::time::sleep(THROTTLED_PAUSE).await;
            Err(ZkError::ConnectionLoss)
        }
        Err(Failure::Dead) => {
            // The supervisor replaces the connection, and the caller's select ends this wait.
            suspect.send_replace(generation);
            std::future::pending().await
        }
    }
}

/// How an attempt failed.
enum Failure {
    /// An answer, or an unknown outcome.
    Request(ZkError),
    /// The server is too busy to look at it.
    Throttled,
    /// The crate's session is over by its own account, or its task died.
    Dead,
}

impl Failure {
    fn of(error: Error, path: &str) -> Failure {
        match error {
            Error::SessionExpired | Error::ClientClosed | Error::AuthFailed | Error::SessionMoved => {
                Failure::Dead
            }
            Error::Throttled => Failure::Throttled,
            Error::UnexpectedError(text) if text.starts_with("BUG") || text.starts_with("expect error") => {
                Failure::Dead
            }
            error => Failure::Request(to_error(&error, path)),
        }
    }
}

/// The crate's error in our words.
pub(super) fn to_error(error: &Error, path: &str) -> ZkError {
    let path = path.to_string();
    match error {
        Error::NoNode => ZkError::NoNode { path },
        Error::NodeExists => ZkError::NodeExists { path },
        Error::BadVersion => ZkError::BadVersion { path },
        Error::NotEmpty => ZkError::NotEmpty { path },
        Error::NoChildrenForEphemerals => ZkError::NoChildrenForEphemerals { path },
        Error::NoAuth => ZkError::NoAuth { path },
        Error::InvalidAcl => ZkError::InvalidAcl { path },
        Error::BadArguments(text) => ZkError::BadArgument(format!("{path}: {text}")),
        Error::SessionExpired | Error::SessionMoved => ZkError::SessionExpired,
        Error::AuthFailed => ZkError::AuthFailed,
        Error::ClientClosed => ZkError::Closed,
        // Custom errors are those of the socket.
        Error::ConnectionLoss | Error::Timeout | Error::NoHosts | Error::Custom(_) => ZkError::ConnectionLoss,
        other => ZkError::Unexpected(format!("{path}: {other}")),
    }
}

async fn perform_plain(link: &Link, request: &Request) -> Result<Reply, Error> {
    let client = &link.client;
    Ok(match request {
        Request::Get { path, .. } => match client.get_data(path).await {
            Ok((data, stat)) => Reply::Data(Some((Bytes::from(data), to_stat(&stat))), None),
            Err(Error::NoNode) => Reply::Data(None, None),
            Err(error) => return Err(error),
        },
        Request::Exists { path, .. } => {
            Reply::Stat(client.check_stat(path).await?.as_ref().map(to_stat), None)
        }
        Request::Children { path, .. } => match client.list_children(path).await {
            Ok(names) => Reply::Children(Some(names), None),
            Err(Error::NoNode) => Reply::Children(None, None),
            Err(error) => return Err(error),
        },
        Request::Create { path, data, mode } => {
            let acls = acls(link.set_acl, path);
            let options = to_mode(*mode).with_acls(Acls::new(&acls));
            let (stat, sequence) = client.create(path, data, &options).await?;
            let path = match mode {
                CreateMode::PersistentSequential => format!("{path}{sequence}"),
                CreateMode::Persistent | CreateMode::Ephemeral => path.clone(),
            };
            Reply::Created(Created { path, stat: to_stat(&stat) })
        }
        Request::Set { path, data, version } => {
            Reply::Set(to_stat(&client.set_data(path, data, expected(*version)).await?))
        }
        Request::Delete { path, version } => {
            client.delete(path, expected(*version)).await?;
            Reply::Deleted
        }
        Request::Sync { path } => {
            client.sync(path).await?;
            Reply::Synced
        }
        Request::Multi { .. } => return Err(Error::BadArguments(&"a multi is not a plain request")),
    })
}

async fn perform_watch(link: &Link, request: &Request, ended: watch::Receiver<Slot>) -> Result<Reply, Error> {
    let client = &link.client;
    let watch = |watcher| Some(to_watch(request.path(), watcher, ended, link.old_server));
    Ok(match request {
        Request::Get { path, .. } => match client.get_and_watch_data(path).await {
            Ok((data, stat, watcher)) => {
                Reply::Data(Some((Bytes::from(data), to_stat(&stat))), watch(watcher))
            }
            Err(Error::NoNode) => Reply::Data(None, None),
            Err(error) => return Err(error),
        },
        Request::Children { path, .. } => match client.list_and_watch_children(path).await {
            Ok((names, watcher)) => Reply::Children(Some(names), watch(watcher)),
            Err(Error::NoNode) => Reply::Children(None, None),
            Err(error) => return Err(error),
        },
        request => {
            let (stat, watcher) = client.check_and_watch_stat(request.path()).await?;
            Reply::Stat(stat.as_ref().map(to_stat), watch(watcher))
        }
    })
}

/// The crate's watcher as ours: ends with its connection's generation.
fn to_watch(path: &str, watcher: OneshotWatcher, ended: watch::Receiver<Slot>, old_server: bool) -> Watch {
    let generation = ended.borrow().generation;
    let event = event(watcher, ended, generation);
    if !old_server {
        return Watch::new(path.to_string(), Box::pin(event));
    }
    // Dropping the crate's watcher makes it ask the server to forget the watch, which a 3.4 does not understand and
    // answers by hanging up. So there a task of its own keeps it until it fires.
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        let _ = sender.send(event.await);
    });
    let event = async move { receiver.await.unwrap_or(WatchKind::Reset) };
    Watch::new(path.to_string(), Box::pin(event))
}

async fn event(watcher: OneshotWatcher, mut ended: watch::Receiver<Slot>, generation: u64) -> WatchKind {
    tokio::select! {
        // First this: the watcher of a stopped task must not be polled.
        biased;
        _ = ended.wait_for(|now| now.generation != generation) => WatchKind::Reset,
        event = watcher.changed() => match event.event_type {
            EventType::NodeCreated => WatchKind::Created,
            EventType::NodeDeleted => WatchKind::Deleted,
            EventType::NodeDataChanged => WatchKind::DataChanged,
            EventType::NodeChildrenChanged => WatchKind::ChildrenChanged,
            EventType::Session => WatchKind::Reset,
        },
    }
}

async fn perform_multi(link: &Link, ops: &[Op]) -> Result<Reply, Failure> {
    let mut writer = link.client.new_multi_writer();
    for (index, op) in ops.iter().enumerate() {
        add(&mut writer, op, link.set_acl).map_err(|error| {
            let error = Box::new(to_error(&error, op.path()));
            Failure::Request(ZkError::Multi { index, error })
        })?;
    }
    match writer.commit().await {
        Ok(results) => {
            let results = results.into_iter().zip(ops).map(|(result, op)| to_result(result, op));
            results.collect::<Result<_, _>>().map(Reply::Multi).map_err(Failure::Request)
        }
        Err(MultiWriteError::OperationFailed { index, source }) => {
            let path = ops.get(index).map_or("", Op::path);
            let error = Box::new(to_error(&source, path));
            Err(Failure::Request(ZkError::Multi { index, error }))
        }
        Err(MultiWriteError::RequestFailed { source }) => {
            Err(Failure::of(source, ops.first().map_or("", Op::path)))
        }
    }
}

fn to_result(result: MultiWriteResult, op: &Op) -> Result<OpResult, ZkError> {
    Ok(match result {
        MultiWriteResult::Check => OpResult::Checked,
        MultiWriteResult::Delete => OpResult::Deleted,
        MultiWriteResult::SetData { stat } => OpResult::Set(to_stat(&stat)),
        MultiWriteResult::Create { path, stat } => {
            let sequential = matches!(op, Op::Create { mode: CreateMode::PersistentSequential, .. });
            let path = if sequential { path } else { op.path().to_string() };
            // Some servers send zeros, some nothing: unknown, either way.
            let stat = if stat.czxid > 0 { to_stat(&stat) } else { Stat { czxid: -1, ..Stat::default() } };
            OpResult::Created(Created { path, stat })
        }
        _ => return Err(ZkError::Unexpected(format!("{}: an unknown result in a multi", op.path()))),
    })
}

fn add(writer: &mut MultiWriter<'_>, op: &Op, set_acl: bool) -> Result<(), Error> {
    match op {
        Op::Check { path, version } => writer.add_check_version(path, *version),
        Op::Create { path, data, mode } => {
            let acls = acls(set_acl, path);
            writer.add_create(path, data, &to_mode(*mode).with_acls(Acls::new(&acls)))
        }
        Op::Set { path, data, version } => writer.add_set_data(path, data, expected(*version)),
        Op::Delete { path, version } => writer.add_delete(path, expected(*version)),
    }
}

fn expected(version: i32) -> Option<i32> {
    (version >= 0).then_some(version)
}

fn to_mode(mode: CreateMode) -> CrateMode {
    match mode {
        CreateMode::Persistent => CrateMode::Persistent,
        CreateMode::Ephemeral => CrateMode::Ephemeral,
        CreateMode::PersistentSequential => CrateMode::PersistentSequential,
    }
}

fn to_stat(stat: &zookeeper_client::Stat) -> Stat {
    Stat {
        czxid: stat.czxid,
        mzxid: stat.mzxid,
        ctime_ms: stat.ctime,
        mtime_ms: stat.mtime,
        version: stat.version,
        cversion: stat.cversion,
        aversion: stat.aversion,
        pzxid: stat.pzxid,
        ephemeral_owner: stat.ephemeral_owner,
        data_length: stat.data_length,
        num_children: stat.num_children,
    }
}
