//! Changed configurations reach this broker through `/config/changes`.
//!
//! Of a broker's dynamic settings, those that are defaults of topics reach the logs with the topics' own; bounds of
//! connections and the default of unclean elections are handed on here. Numbers of threads count from the next start.
//! What has no effect in this release is accepted, as by Kafka, and the log says so.

use super::cleaning::Cleaning;
use super::{client_quotas, connection_quotas};
use crate::common::clock;
use crate::config::{BrokerConfig, Scope};
use crate::handlers::Broker;
use crate::network::limits::ConnectionLimits;
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

/// Keys that count from the next start.
const AT_START: &[&str] = &["num.network.threads", "num.recovery.threads.per.data.dir"];

/// Puts changes into force as they are announced. Never ends.
pub async fn follow(
    zk: ZkClient,
    broker: Arc<Broker>,
    limits: Arc<ConnectionLimits>,
    cleaning: Arc<Cleaning>,
) {
    let mut changes = ConfigChanges::new();
    loop {
        match changes.read_new(&zk, clock::now_ms()).await {
            Ok((found, watch)) => {
                for change in found {
                    apply(&broker, &limits, &cleaning, &change).await;
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

async fn apply(broker: &Broker, limits: &ConnectionLimits, cleaning: &Arc<Cleaning>, change: &ConfigChange) {
    let name = &change.entity_name;
    match change.entity_type.as_str() {
        "topics" => {
            let topic = ByteString::from(name.as_str());
            for (topic, config) in broker.admin.topic_configs(vec![topic]).await {
                info!(target: TARGET, "Processing override for entityPath: topics/{topic} with config: {:?}", config.overrides);
                broker.replicas.set_topic_config(&topic, &config);
                if let Some(controller) = broker.controller.get()
                    && config.unclean_leader_election_enable
                    && config.overrides.contains_key("unclean.leader.election.enable")
                {
                    controller.unclean_election_enabled(topic);
                }
            }
        }
        "brokers" => {
            let scope = if name == paths::DEFAULT_ENTITY { Scope::Cluster } else { Scope::Broker };
            if scope == Scope::Broker && *name != broker.id.to_string() {
                return;
            }
            reload_broker(broker, scope).await;
            let config = broker.admin.config();
            limits.update(connection_quotas::limit_settings(&config));
            if let Some(controller) = broker.controller.get() {
                controller.set_unclean_election_default(config.unclean_leader_election_enable);
            }
            let cleaning = Arc::clone(cleaning);
            if let Err(failed) = tokio::task::spawn_blocking(move || cleaning.configure(&config)).await {
                error!(target: TARGET, "The log cleaner could not be reconfigured: {failed}");
            }
        }
        "users" | "clients" => client_quotas::apply(broker, change).await,
        "ips" => connection_quotas::apply(broker, limits, change).await,
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
            for (name, why) in broker.admin.settings_without_effect(scope) {
                warn!(target: TARGET, "The dynamic setting '{name}' {why}");
            }
            for name in AT_START.iter().filter(|name| broker.admin.has_setting(scope, name)) {
                info!(target: TARGET, "The dynamic setting '{name}' counts from the next start of this broker");
            }
            let topics = broker.replicas.topics();
            for (topic, config) in broker.admin.topic_configs(topics).await {
                broker.replicas.set_topic_config(&topic, &config);
            }
            let rate = |key| broker.admin.replication_rate(key).unwrap_or(UNBOUNDED);
            broker.replicas.quotas.leader.set_rate(rate("leader.replication.throttled.rate"));
            broker.replicas.quotas.follower.set_rate(rate("follower.replication.throttled.rate"));
            broker.replicas.quotas.moves.set_rate(rate("replica.alter.log.dirs.io.max.bytes.per.second"));
            let replicas = Arc::clone(&broker.replicas);
            let resized = move || replicas.set_replica_fetchers(config.num_replica_fetchers);
            if let Err(failed) = tokio::task::spawn_blocking(resized).await {
                error!(target: TARGET, "The number of replica fetchers could not be changed: {failed}");
            }
        }
        Err(failed) => error!(target: TARGET, "Cannot read the dynamic settings of this broker: {failed}"),
    }
}
