//! A broker's place in `/brokers/ids`. Kafka's `KafkaZkClient.CheckedEphemeral` and `KafkaServer.createBrokerInfo`.
//!
//! One multi creates the node and writes it, so that the answer carries the stat: its czxid is the broker epoch. If
//! the node is there already, its owner decides:
//! - this session: it is ours (an answer was lost);
//! - an earlier session of this process: deleted and made anew (KAFKA-7165, ZOOKEEPER-2985);
//! - any other: at first taken for the ghost of a crashed process, which goes with its session; if it stays longer
//!   than a session can, or changes hands, it is a living broker with the same id, and registering fails.

use super::LOG;
use super::client::ZkClient;
use super::data::BrokerRegistration;
use super::error::ZkError;
use super::paths;
use super::types::{ANY_VERSION, CreateMode, Op, OpResult, Stat};
use crate::common::BrokerId;
use crate::config::Endpoint;
use bytes::Bytes;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Sleep;

/// Beyond the session timeout, ZooKeeper notices an expiry at its next tick.
const GHOST_GRACE_MS_MAX: i64 = 4_000;

/// Registers one broker, again and again in the life of its process.
pub struct Registrar {
    client: ZkClient,
    broker_id: BrokerId,
    /// Sessions in which this process has tried to register.
    sessions: Vec<i64>,
}

/// Whose the node is that stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// This session.
    Ours,
    /// An earlier session of this process.
    OursBefore,
    /// Somebody else.
    Foreign,
}

fn judge(owner: i64, session: i64, earlier: &[i64]) -> Owner {
    if owner == session {
        Owner::Ours
    } else if earlier.contains(&owner) {
        Owner::OursBefore
    } else {
        Owner::Foreign
    }
}

impl Registrar {
    /// For one broker over one client.
    pub fn new(client: ZkClient, broker_id: BrokerId) -> Registrar {
        Registrar { client, broker_id, sessions: Vec::new() }
    }

    /// Registers in the present session and returns the broker epoch. To be repeated after every
    /// [`super::SessionEvent::NewSession`].
    ///
    /// # Errors
    /// [`ZkError::NodeExists`], in Kafka's words, if another broker has the id; [`ZkError::SessionExpired`] if the
    /// session was lost meanwhile (register again).
    pub async fn register(&mut self, registration: &BrokerRegistration) -> Result<i64, ZkError> {
        let path = paths::broker(self.broker_id);
        let data = registration.encode();
        let timeout_ms = self.client.session_timeout_ms();
        let patience = Duration::from_millis((timeout_ms + (timeout_ms / 2).min(GHOST_GRACE_MS_MAX)) as u64);
        // Its session, and the end of our patience.
        let mut ghost: Option<(i64, Pin<Box<Sleep>>)> = None;
        log::info!(target: LOG, "Creating {path} (is it secure? {})", self.client.is_secure());
        loop {
            let session = self.client.session_id();
            if !self.sessions.contains(&session) {
                self.sessions.push(session);
            }
            match create(&self.client, &path, &data).await {
                Ok(stat) => {
                    let addresses: Vec<_> = registration.endpoints.iter().map(ToString::to_string).collect();
                    log::info!(
                        target: LOG,
                        "Registered broker {} at path {path} with addresses: {}, czxid (broker epoch): {}",
                        self.broker_id, addresses.join(","), stat.czxid
                    );
                    return Ok(stat.czxid);
                }
                Err(error) if error.is_node_exists() => {}
                Err(error) => return Err(error),
            }
            let (found, watch) = self.client.get_and_watch(&path).await?;
            let Some((found, stat)) = found else { continue };
            match judge(stat.ephemeral_owner, session, &self.sessions) {
                Owner::Ours => {
                    if found != data {
                        self.client.set(&path, data, ANY_VERSION).await?;
                    }
                    return Ok(stat.czxid);
                }
                Owner::OursBefore => match self.client.delete(&path, stat.version).await {
                    Err(error) if !error.is_no_node() && !error.is_bad_version() => return Err(error),
                    _ => continue,
                },
                Owner::Foreign => {}
            }
            let owner = stat.ephemeral_owner;
            let (first, over) = ghost.get_or_insert_with(|| {
                log::warn!(
                    target: LOG,
                    "{path} exists, owned by session {owner:#x}: waiting up to {patience:?} for it to go"
                );
                (owner, Box::pin(tokio::time::sleep(patience)))
            });
            if *first != owner {
                return Err(taken(&path, owner, session));
            }
            tokio::select! {
                biased;
                _ = watch.changed() => {}
                () = over => return Err(taken(&path, owner, session)),
            }
        }
    }

    /// Writes the registration again after a change of listeners; the broker epoch stays.
    pub async fn update(&self, registration: &BrokerRegistration) -> Result<(), ZkError> {
        self.client.set(&paths::broker(self.broker_id), registration.encode(), ANY_VERSION).await?;
        Ok(())
    }
}

async fn create(client: &ZkClient, path: &str, data: &Bytes) -> Result<Stat, ZkError> {
    let ops = vec![Op::create(path, "", CreateMode::Ephemeral), Op::set(path, data.clone(), 0)];
    let results = client.multi(ops).await?;
    let stat = results.get(1).and_then(OpResult::stat);
    stat.ok_or_else(|| ZkError::Unexpected(format!("{path}: no stat of what was written")))
}

fn taken(path: &str, owner: i64, session: i64) -> ZkError {
    log::error!(
        target: "kafka.zk.KafkaZkClient$CheckedEphemeral",
        "Error while creating ephemeral at {path}, node already exists and owner '{owner}' does not match current \
         session '{session}'"
    );
    // Kafka's exception names no path.
    ZkError::NodeExists { path: String::new() }
}

/// A broker found in `/brokers/ids`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredBroker {
    /// Its id.
    pub id: BrokerId,
    /// Its broker epoch.
    pub epoch: i64,
    /// What it registered.
    pub registration: BrokerRegistration,
}

/// All live brokers, by id. Malformed registrations are logged and left out.
pub async fn brokers(client: &ZkClient) -> Result<Vec<RegisteredBroker>, ZkError> {
    let names = client.children(paths::BROKER_IDS).await?;
    let mut ids: Vec<BrokerId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    ids.sort_unstable();
    let found = client.get_many(ids.iter().map(|id| paths::broker(*id)).collect()).await?;
    let decode = |(id, found): (BrokerId, Option<(Bytes, Stat)>)| {
        let (data, stat) = found?;
        let registration = BrokerRegistration::decode(&data)
            .inspect_err(|error| log::error!(target: LOG, "{}: {error}", paths::broker(id)))
            .ok()?;
        Some(RegisteredBroker { id, epoch: stat.czxid, registration })
    };
    Ok(ids.into_iter().zip(found).filter_map(decode).collect())
}

/// Says, in Kafka's words, if another broker advertises an address of `endpoints`.
pub fn check_addresses(
    own_id: BrokerId,
    endpoints: &[Endpoint],
    brokers: &[RegisteredBroker],
) -> Result<(), String> {
    let address = |endpoint: &Endpoint| format!("{}:{}", endpoint.host, endpoint.port);
    for broker in brokers.iter().filter(|broker| broker.id != own_id) {
        let own: Vec<String> = endpoints.iter().map(address).collect();
        let theirs = broker.registration.endpoints.iter().map(address);
        let common: Vec<String> = theirs.filter(|address| own.contains(address)).collect();
        if !common.is_empty() {
            return Err(format!(
                "requirement failed: Configured end points {} in advertised listeners are already registered by \
                 broker {}",
                common.join(","),
                broker.id
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
