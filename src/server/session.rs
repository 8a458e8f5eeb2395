//! The broker's life in ZooKeeper: registration, and registering again after a session was lost.
//!
//! Order after a loss, as in Kafka: the controller forgets its role, then the broker registers, then it takes part in
//! elections again. Produce and fetch go on all the time.

use super::startup::StartupError;
use crate::common::clock;
use crate::config::BrokerConfig;
use crate::config::endpoint::Endpoint;
use crate::controller::ControllerHandle;
use crate::handlers::Broker;
use crate::network::acceptor::Listener;
use crate::network::host_name;
use crate::zk::data::broker::{BrokerRegistration, version_for};
use crate::zk::registration::{Registrar, brokers, check_addresses};
use crate::zk::{SessionEvent, SessionEvents, ZkClient};
use log::{error, info, warn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const RETRY: Duration = Duration::from_millis(500);

/// What this broker registers.
fn registration(config: &BrokerConfig, endpoints: &[Endpoint]) -> BrokerRegistration {
    BrokerRegistration {
        version: version_for(config.inter_broker_protocol_version),
        endpoints: endpoints.to_vec(),
        rack: config.broker_rack.clone(),
        jmx_port: -1,
        timestamp_ms: clock::now_ms(),
        features: BTreeMap::new(),
    }
}

/// Where the broker is reached: a listener without a host is advertised under the machine's canonical name, one without
/// a port under the one it got. Source: Kafka 2.8.2 `KafkaServer.createBrokerInfo`.
pub fn endpoints(config: &BrokerConfig, listeners: &[Listener]) -> std::io::Result<Vec<Endpoint>> {
    let mut endpoints = config.advertised_listeners.clone();
    for endpoint in &mut endpoints {
        if endpoint.host.trim().is_empty() {
            endpoint.host = host_name::canonical()?;
        }
        if endpoint.port == 0
            && let Some(bound) = listeners.iter().find(|listener| listener.name() == endpoint.listener_name)
        {
            endpoint.port = i32::from(bound.local_address()?.port());
        }
    }
    Ok(endpoints)
}

/// Registers for the first time; gives the broker epoch.
pub async fn register(
    zk: &ZkClient,
    registrar: &mut Registrar,
    config: &BrokerConfig,
    endpoints: &[Endpoint],
) -> Result<i64, StartupError> {
    let others = brokers(zk).await?;
    check_addresses(config.broker_id, endpoints, &others)
        .map_err(|message| StartupError::new("java.lang.IllegalArgumentException", message))?;
    let epoch = registrar.register(&registration(config, endpoints)).await?;
    Ok(epoch)
}

/// Follows the session until it is closed; `events` begin before the first registration.
pub async fn follow(
    zk: ZkClient,
    mut events: SessionEvents,
    mut registrar: Registrar,
    broker: Arc<Broker>,
    controller: ControllerHandle,
) {
    loop {
        match events.next().await {
            SessionEvent::Connected | SessionEvent::Resumed => {
                info!(target: "kafka.zookeeper.ZooKeeperClient", "[ZooKeeperClient Kafka server] Connected.");
            }
            SessionEvent::Disconnected => {
                warn!(target: "kafka.zookeeper.ZooKeeperClient",
                    "[ZooKeeperClient Kafka server] No connection to ZooKeeper: produce and fetch go on, admin calls wait.");
            }
            SessionEvent::NewSession { previous, session_id } => {
                warn!(target: "kafka.zookeeper.ZooKeeperClient",
                    "[ZooKeeperClient Kafka server] Session 0x{previous:x} expired, 0x{session_id:x} is new; registering again.");
                controller.session_expired().await;
                let session = zk.in_this_session();
                register_again(&mut registrar, &broker).await;
                controller.session_established(session);
            }
            SessionEvent::Closed => return,
        }
    }
}

/// Until it succeeds: the old session's node may still stand there.
async fn register_again(registrar: &mut Registrar, broker: &Broker) {
    loop {
        match registrar.register(&registration(&broker.config, &broker.endpoints)).await {
            Ok(epoch) => {
                broker.epoch.store(epoch, Ordering::Release);
                return;
            }
            Err(failed) => {
                error!(target: "kafka.server.KafkaServer", "Cannot register broker {}: {failed}", broker.id);
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
