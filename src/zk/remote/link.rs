//! One connection of the crate, with its task on a leash, and what kind of server it found.

use super::{LOG, Shared};
use crate::zk::error::ZkError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;
use zookeeper_client::{Acl, Acls, AuthId, Client, CreateMode, Error, Permission, SessionInfo};

/// A connected client of the crate.
pub(super) struct Link {
    /// Rooted at the chroot.
    pub client: Client,
    /// ZooKeeper 3.4: create2 and the removal of watches are unknown there and cost the connection.
    pub old_server: bool,
    /// `zookeeper.set.acl`.
    pub set_acl: bool,
    task: tokio::task::AbortHandle,
}

impl Link {
    /// Stops the crate's task at once, without closing the session.
    pub(super) fn abort(&self) {
        self.task.abort();
    }

    /// The leash itself, to hold longer than the link.
    pub(super) fn task(&self) -> tokio::task::AbortHandle {
        self.task.clone()
    }
}

/// Why a connection did not come about.
pub(super) enum LinkError {
    /// The server does not know the session any more.
    SessionExpired,
    /// Try again.
    Retry(String),
    /// Trying again is useless.
    Fatal(ZkError),
}

/// Catches the task that the crate spawns, so that it can be stopped.
#[derive(Default)]
struct Leash {
    task: Mutex<Option<tokio::task::AbortHandle>>,
}

impl spawns_core::Spawn for Leash {
    fn spawn(&self, task: spawns_core::Task) {
        let handle = tokio::spawn(Box::into_pin(task.future)).abort_handle();
        *self.task.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(handle);
    }
}

/// Polls `future` with the crate's spawns going to `leash`.
async fn on_leash<T>(leash: &Leash, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let _scope = spawns_core::enter(leash);
        future.as_mut().poll(cx)
    })
    .await
}

/// One round over all servers: opens a session, or takes up `session`.
pub(super) async fn connect(shared: &Shared, session: Option<SessionInfo>) -> Result<Link, LinkError> {
    let old = shared.old_server.load(Ordering::Relaxed);
    let link = connect_as(shared, session, old).await?;
    let old_found = match is_old_server(&link).await {
        Ok(old_found) => old_found,
        Err(error) => return Err(give_up(&link, &error)),
    };
    let link = if old_found == old {
        link
    } else {
        // The same session again, in the server's own dialect.
        log::info!(target: LOG, "[ZooKeeperClient] ZooKeeper server is {}", if old_found { "3.4 or older" } else { "3.5 or newer" });
        shared.old_server.store(old_found, Ordering::Relaxed);
        link.abort();
        connect_as(shared, Some(link.client.session().clone()), old_found).await?
    };
    if old_found && !old {
        log::warn!(
            target: LOG,
            "[ZooKeeperClient] This ZooKeeper is older than 3.5: creating nodes is fenced by a check just before, \
             not in the same transaction"
        );
    }
    // A fresh connection may reach a server that lags behind what the one before has shown us.
    match link.client.sync("/").await {
        Ok(()) => Ok(link),
        Err(error) => Err(give_up(&link, &error)),
    }
}

fn give_up(link: &Link, error: &Error) -> LinkError {
    link.abort();
    LinkError::Retry(error.to_string())
}

async fn connect_as(
    shared: &Shared,
    session: Option<SessionInfo>,
    old_server: bool,
) -> Result<Link, LinkError> {
    let timeout = Duration::from_millis(shared.config.session_timeout_ms.max(1) as u64);
    let mut connector = Client::connector().with_session_timeout(timeout).with_fail_eagerly();
    if let Some(session) = session {
        connector = connector.with_session(session);
    }
    if old_server {
        connector = connector.with_server_version(3, 4, 0);
    }
    let leash = Leash::default();
    let client = match on_leash(&leash, connector.connect(&shared.target.hosts)).await {
        Ok(client) => client,
        Err(Error::SessionExpired) => return Err(LinkError::SessionExpired),
        Err(Error::AuthFailed) => return Err(LinkError::Fatal(ZkError::AuthFailed)),
        Err(Error::BadArguments(text)) => {
            return Err(LinkError::Fatal(ZkError::BadArgument(text.to_string())));
        }
        Err(error) => return Err(LinkError::Retry(error.to_string())),
    };
    let task = leash.task.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Some(task) = task else {
        return Err(LinkError::Fatal(ZkError::Unexpected("the ZooKeeper client spawned no task".into())));
    };
    shared.session_timeout_ms.store(client.session_timeout().as_millis() as i64, Ordering::Relaxed);
    let client = match shared.target.chroot.as_str() {
        "" => client,
        chroot => client.chroot(chroot).map_err(|_| {
            LinkError::Fatal(ZkError::BadArgument(format!("Invalid path string \"{chroot}\"")))
        })?,
    };
    Ok(Link { client, old_server, set_acl: shared.config.set_acl, task })
}

/// `/zookeeper/config` exists from 3.5 on. A 3.5 grown out of a 3.4 may lack it: then a create that cannot succeed
/// tells, by what it fails with.
async fn is_old_server(link: &Link) -> Result<bool, Error> {
    match link.client.get_config().await {
        Ok(_) | Err(Error::NoAuth) => return Ok(false),
        // Our creates are of the old kind already and would tell nothing.
        Err(Error::NoNode) if link.old_server => return Ok(true),
        Err(Error::NoNode) => {}
        Err(error) => return Err(error),
    }
    let root = link.client.clone().chroot("/").unwrap_or_else(|client| client);
    let options = CreateMode::Persistent.with_acls(Acls::anyone_all());
    match root.create("/zookeeper", b"", &options).await {
        Err(Error::Unimplemented) => Ok(true),
        Err(Error::NodeExists | Error::NoAuth | Error::InvalidAcl) | Ok(_) => Ok(false),
        // A server that takes the unknown request for garbage hangs up; so does one that dies just now, for which
        // the plain dialect is right as well.
        Err(_) => Ok(true),
    }
}

/// Creates the chroot where it is missing.
pub(super) async fn ensure_chroot(shared: &Shared, link: &Link) -> Result<(), LinkError> {
    let chroot = shared.target.chroot.as_str();
    if chroot.is_empty() {
        return Ok(());
    }
    let root = link.client.clone().chroot("/").unwrap_or_else(|client| client);
    let acls = acls(link.set_acl, chroot);
    match root.mkdir(chroot, &CreateMode::Persistent.with_acls(Acls::new(&acls))).await {
        Ok(()) => Ok(()),
        Err(error) => match super::perform::to_error(&error, chroot) {
            ZkError::ConnectionLoss | ZkError::SessionExpired | ZkError::Closed => Err(give_up(link, &error)),
            error => Err(LinkError::Fatal(error)),
        },
    }
}

/// Kafka's ACLs (`ZkData.defaultAcls`): open, or the creator's alone and mostly readable by all. The old consumers'
/// tree stays open, because anybody writes there.
pub(super) fn acls(set_acl: bool, path: &str) -> Vec<Acl> {
    const SENSITIVE: [&str; 3] = ["/config/users", "/config/brokers", "/delegation_token/tokens"];
    if !set_acl || path == "/consumers" {
        return vec![Acl::new(Permission::ALL, AuthId::anyone())];
    }
    let mut acls = vec![Acl::new(Permission::ALL, AuthId::authed())];
    if !SENSITIVE.iter().any(|root| path.starts_with(root)) {
        acls.push(Acl::new(Permission::READ, AuthId::anyone()));
    }
    acls
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_are_those_of_kafka() {
        let shape = |set_acl, path| {
            let acls = acls(set_acl, path);
            acls.iter().map(|acl| format!("{:?} {}", acl.permission(), acl.scheme())).collect::<Vec<_>>()
        };
        let all = |scheme| format!("{:?} {scheme}", Permission::ALL);
        let read = format!("{:?} world", Permission::READ);
        assert_eq!(shape(false, "/config/users/a"), [all("world")]);
        assert_eq!(shape(true, "/brokers/ids"), [all("auth"), read]);
        assert_eq!(shape(true, "/config/users/a"), [all("auth")]);
        assert_eq!(shape(true, "/consumers"), [all("world")]);
    }
}
