//! Changed configurations reach this broker through `/config/changes`.

use super::cleaning::Cleaning;
use crate::common::clock;
use crate::config::{BrokerConfig, Scope};
use crate::handlers::Broker;
use crate::quota::replication::UNBOUNDED;
use crate::zk::config_changes::ConfigChanges;
use crate::zk::data::config_change::ConfigChange;
use crate::zk::{ZkClient, paths};
use bytestring::ByteString;
use log::{error, info, warn};
use std::sync::Arc;
use std::time::Duration;

const TARGET: &str = "kafka.server.DynamicConfigManager";
const RETRY: Duration = Duration::from_millis(500);

/// Puts changes into force as they are announced. Never ends.
pub async fn follow(zk: ZkClient, broker: Arc<Broker>, cleaning: Arc<Cleaning>) {
    let mut changes = ConfigChanges::new();
    loop {
        match changes.read_new(&zk, clock::now_ms()).await {
            Ok((found, watch)) => {
                for change in found {
                    apply(&broker, &cleaning, &change).await;
                }
                watch.changed().await;
            }
            Err(failed) => {
                warn!(target: TARGET, "Cannot read configuration changes: {failed}");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn apply(broker: &Broker, cleaning: &Arc<Cleaning>, change: &ConfigChange) {
    let name = &change.entity_name;
    match change.entity_type.as_str() {
        "topics" => {
            let topic = ByteString::from(name.as_str());
            for (topic, config) in broker.admin.topic_configs(vec![topic]).await {
                info!(target: TARGET, "Processing override for entityPath: topics/{topic} with config: {:?}", config.overrides);
                broker.replicas.set_topic_config(&topic, &config);
            }
        }
        "brokers" => {
            let scope = if name == paths::DEFAULT_ENTITY { Scope::Cluster } else { Scope::Broker };
            if scope == Scope::Broker && *name != broker.id.to_string() {
                return;
            }
            reload_broker(broker, scope).await;
            let (cleaning, config) = (Arc::clone(cleaning), broker.admin.config());
            if let Err(failed) = tokio::task::spawn_blocking(move || cleaning.configure(&config)).await {
                error!(target: TARGET, "The log cleaner could not be reconfigured: {failed}");
            }
        }
        other => info!(target: TARGET, "The change of {other}/{name} has no effect in this release"),
    }
}

/// All values in force: at start, and whenever they change.
pub fn log_values(config: &BrokerConfig) {
    info!(target: "kafka.server.KafkaConfig", "{}", config.values_text());
}

/// Reads the dynamic settings of this broker, and applies the topic defaults among them.
pub async fn reload_broker(broker: &Broker, scope: Scope) {
    let before = broker.admin.config();
    match broker.admin.reload_broker(scope).await {
        Ok((config, ignored)) => {
            if config != before {
                log_values(&config);
            }
            for setting in ignored {
                warn!(target: TARGET, "Dynamic setting is ignored: {setting}");
            }
            let topics = broker.replicas.topics();
            for (topic, config) in broker.admin.topic_configs(topics).await {
                broker.replicas.set_topic_config(&topic, &config);
            }
            let rate = |key| broker.admin.replication_rate(key).unwrap_or(UNBOUNDED);
            broker.replicas.quotas.leader.set_rate(rate("leader.replication.throttled.rate"));
            broker.replicas.quotas.follower.set_rate(rate("follower.replication.throttled.rate"));
            let replicas = Arc::clone(&broker.replicas);
            let resized = move || replicas.set_replica_fetchers(config.num_replica_fetchers);
            if let Err(failed) = tokio::task::spawn_blocking(resized).await {
                error!(target: TARGET, "The number of replica fetchers could not be changed: {failed}");
            }
        }
        Err(failed) => error!(target: TARGET, "Cannot read the dynamic settings of this broker: {failed}"),
    }
}
