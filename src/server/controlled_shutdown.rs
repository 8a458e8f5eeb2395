//! Before a broker stops it asks the controller to move its leaderships away (`controlled.shutdown.enable`), so that
//! nobody waits for its session to end.
//!
//! Source: Kafka 2.8.2, `KafkaServer.controlledShutdown`: `controlled.shutdown.max.retries` attempts with
//! `controlled.shutdown.retry.backoff.ms` between them, each asking ZooKeeper anew who the controller is. One thing is
//! different: a broker that is alone does not try again, since nobody could take anything over.

use super::transport::{Asked, Link};
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::config::BrokerConfig;
use crate::controller::BrokerAddress;
use crate::handlers::Broker;
use crate::handlers::inter_broker::controlled_shutdown;
use crate::protocol::messages::controlled_shutdown::{ControlledShutdownRequest, ControlledShutdownResponse};
use crate::zk::registration::brokers;
use crate::zk::{ZkClient, data, paths};
use bytestring::ByteString;
use log::{info, warn};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const TARGET: &str = "kafka.server.KafkaServer";
/// So long at least ZooKeeper may take to say who the controller is; it is as long as the backoff where that is longer.
const ZOOKEEPER_PATIENCE: Duration = Duration::from_secs(2);

/// What came of one attempt.
enum Attempt {
    /// Nothing is led here any more.
    Done,
    /// Something is, and trying again may help.
    Again,
    /// Something is, and nobody is there to take it.
    Alone,
}

/// Tries until nothing is led here any more, or the attempts are used up. The broker serves requests meanwhile: the
/// controller tells it what to give up.
pub async fn run(broker: &Arc<Broker>, zk: &ZkClient) {
    let config = &broker.config;
    let name = format!("[KafkaServer id={}]", broker.id);
    if !config.controlled_shutdown_enable {
        return;
    }
    info!(target: TARGET, "{name} Starting controlled shutdown");
    let backoff = Duration::from_millis(config.controlled_shutdown_retry_backoff_ms.max(0) as u64);
    let zk = zk.with_patience(backoff.max(ZOOKEEPER_PATIENCE));
    for left in (0..config.controlled_shutdown_max_retries).rev() {
        match attempt(broker, &zk, &name).await {
            Attempt::Done => {
                info!(target: TARGET, "{name} Controlled shutdown succeeded");
                return;
            }
            Attempt::Alone => {
                info!(target: TARGET, "{name} No other broker is registered: nobody can take over");
                return;
            }
            Attempt::Again if left > 0 => {
                tokio::time::sleep(backoff).await;
                warn!(target: TARGET, "{name} Retrying controlled shutdown after the previous attempt failed...");
            }
            Attempt::Again => {}
        }
    }
    warn!(target: TARGET, "{name} Proceeding to do an unclean shutdown as all the controlled shutdown attempts failed");
}

async fn attempt(broker: &Arc<Broker>, zk: &ZkClient, name: &str) -> Attempt {
    let request = ControlledShutdownRequest {
        broker_id: broker.id,
        broker_epoch: broker.epoch.load(Ordering::Acquire),
        ..Default::default()
    };
    let is_here = broker.controller.get().is_some_and(|controller| controller.is_active());
    let timeout_ms = i64::from(broker.config.controller_socket_timeout_ms);
    let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(timeout_ms));
    let asked = async {
        match is_here {
            // It waits for ZooKeeper, which may be away for good.
            true => Ok(controlled_shutdown::apply(Arc::clone(broker), request).await),
            false => ask_controller(broker, zk, request).await,
        }
    };
    let answer = tokio::time::timeout_at(deadline, asked)
        .await
        .unwrap_or_else(|_| Err(format!("the controller did not answer within {timeout_ms} ms")));
    let response = match answer {
        Ok(response) => response,
        Err(why) => {
            warn!(target: TARGET, "{name} Error during controlled shutdown: {why}");
            return Attempt::Again;
        }
    };
    let code = ErrorCode::from_code(response.error_code);
    if code == ErrorCode::None && response.remaining_partitions.is_empty() {
        return Attempt::Done;
    }
    let remaining: Vec<String> = response
        .remaining_partitions
        .iter()
        .map(|p| TopicPartition::new(p.topic_name.clone(), p.partition_index).to_string())
        .collect();
    info!(target: TARGET, "{name} Remaining partitions to move: {}", remaining.join(", "));
    info!(target: TARGET, "{name} Error from controller: {}", code.name());
    let others = broker.metadata.current().brokers.keys().any(|id| *id != broker.id);
    if others || code != ErrorCode::None { Attempt::Again } else { Attempt::Alone }
}

async fn ask_controller(
    broker: &Broker,
    zk: &ZkClient,
    request: ControlledShutdownRequest,
) -> Result<ControlledShutdownResponse, String> {
    let to = find_controller(&broker.config, zk).await?;
    let controller = to.id;
    let version = broker.config.inter_broker_protocol_version.controlled_shutdown_version();
    let client_id = ByteString::from(broker.id.to_string());
    // A connection of its own: the next attempt may have to ask somebody else.
    let asked = Asked { link: Link::default(), to, client_id, version };
    asked.exchange(&request).await.map_err(|error| format!("controller {controller}: {error}"))
}

/// The controller, as ZooKeeper has it now.
async fn find_controller(config: &BrokerConfig, zk: &ZkClient) -> Result<BrokerAddress, String> {
    let node = zk.get(paths::CONTROLLER).await.map_err(|error| error.to_string())?;
    let (node, _) = node.ok_or("No controller registered in ZooKeeper")?;
    let id = data::controller::decode(&node).map_err(|error| error.to_string())?;
    let registered = brokers(zk).await.map_err(|error| error.to_string())?;
    let controller = registered.into_iter().find(|broker| broker.id == id).ok_or_else(|| {
        format!("Broker registration for controller {id} is not available (i.e. the Controller's ZK session expired)")
    })?;
    let listener = &config.inter_broker_listener_name;
    let endpoint = controller.registration.endpoints.into_iter().find(|e| e.listener_name == *listener);
    let endpoint = endpoint.ok_or_else(|| format!("controller {id} has no listener {listener}"))?;
    Ok(BrokerAddress {
        id,
        host: endpoint.host.into(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol.id(),
    })
}
