//! What a start has made so far, so that a stop takes it down in order: at the end of a broker's life, after a start
//! that failed, and when a signal comes in the middle of a start.

use super::cleaning::Cleaning;
use crate::common::BrokerId;
use crate::controller::ControllerHandle;
use crate::network::worker::Workers;
use crate::replication::ReplicaManager;
use crate::storage::LogManager;
use crate::zk::ZkClient;
use log::{error, info, warn};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;

const TARGET: &str = "kafka.server.KafkaServer";
const LOG_MANAGER: &str = "kafka.log.LogManager";
const ZK_CLIENT: &str = "kafka.zookeeper.ZooKeeperClient";
/// How long a stop waits for ZooKeeper before it goes on without.
const ZK_CLOSE_MAX: Duration = Duration::from_secs(5);

/// See the module. Each part is set once, as soon as it is there.
#[derive(Default)]
pub struct Built {
    id: OnceLock<BrokerId>,
    zk: OnceLock<ZkClient>,
    logs: OnceLock<Arc<LogManager>>,
    replicas: OnceLock<Arc<ReplicaManager>>,
    cleaning: OnceLock<Arc<Cleaning>>,
    controller: OnceLock<ControllerHandle>,
}

impl Built {
    /// The broker's id is known.
    pub fn has_id(&self, id: BrokerId) {
        let _ = self.id.set(id);
    }

    /// There is a session, which may own ephemeral nodes.
    pub fn has_zk(&self, zk: &ZkClient) {
        let _ = self.zk.set(zk.clone());
    }

    /// The logs are loaded.
    pub fn has_logs(&self, logs: &Arc<LogManager>) {
        let _ = self.logs.set(Arc::clone(logs));
    }

    /// Partitions may claim logs.
    pub fn has_replicas(&self, replicas: &Arc<ReplicaManager>) {
        let _ = self.replicas.set(Arc::clone(replicas));
    }

    /// The log cleaner may run.
    pub fn has_cleaning(&self, cleaning: &Arc<Cleaning>) {
        let _ = self.cleaning.set(Arc::clone(cleaning));
    }

    /// The controller runs.
    pub fn has_controller(&self, controller: &ControllerHandle) {
        let _ = self.controller.set(controller.clone());
    }

    /// How log lines of the server begin, as far as that is known.
    pub fn name(&self) -> String {
        self.id.get().map_or(String::new(), |id| format!("[KafkaServer id={id}] "))
    }

    /// Takes down what is there: copying, the controller, the session, connections, logs (flushed, checkpointed, marked
    /// clean). Kafka ends the session last, when the disk is done, which may take long: until then commits wait for this
    /// broker where it is in the ISR, and nobody else can be the controller.
    pub async fn take_down(&self, workers: Option<Workers>) {
        if let Some(replicas) = self.replicas.get().cloned() {
            let stopped = Handle::current().spawn_blocking(move || replicas.stop_following());
            let _ = stopped.await;
        }
        if let Some(controller) = self.controller.get() {
            controller.stop().await;
        }
        let drained = Handle::current().spawn_blocking(move || workers.map(Workers::stop));
        self.close_zk().await;
        let _ = drained.await;
        if let Some(cleaning) = self.cleaning.get().cloned() {
            // A pass that is under way is given up; what it has swapped in stays.
            let _ = Handle::current().spawn_blocking(move || cleaning.stop()).await;
        }
        if let Some(logs) = self.logs.get() {
            close_logs(Arc::clone(logs), self.replicas.get().cloned()).await;
        }
        info!(target: TARGET, "{}shut down completed", self.name());
    }

    /// Ends the session, if there is one, and with it whatever this broker registered.
    pub async fn close_zk(&self) {
        let Some(zk) = self.zk.get() else { return };
        info!(target: ZK_CLIENT, "[ZooKeeperClient Kafka server] Closing.");
        if tokio::time::timeout(ZK_CLOSE_MAX, zk.close()).await.is_err() {
            warn!(target: ZK_CLIENT, "[ZooKeeperClient Kafka server] ZooKeeper does not answer; the session will time out.");
        }
        info!(target: ZK_CLIENT, "[ZooKeeperClient Kafka server] Closed.");
    }
}

async fn close_logs(logs: Arc<LogManager>, replicas: Option<Arc<ReplicaManager>>) {
    let closed = Handle::current().spawn_blocking(move || {
        info!(target: LOG_MANAGER, "Shutting down.");
        if let Some(replicas) = &replicas {
            replicas.stop_moving();
        }
        let marks = replicas.as_ref().map(|replicas| replicas.high_watermarks());
        let claimed = replicas.map(|replicas| replicas.close());
        logs.shut_down(claimed.unwrap_or_default(), marks.unwrap_or_default())
    });
    match closed.await {
        Ok(Ok(())) => info!(target: LOG_MANAGER, "Shutdown complete."),
        Ok(Err(failed)) => warn!(target: LOG_MANAGER, "Not all logs could be closed cleanly: {failed}"),
        Err(failed) => error!(target: LOG_MANAGER, "Closing the logs failed: {failed}"),
    }
}
