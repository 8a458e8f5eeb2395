//! Floor 4: validate-and-write of topics and configurations.
//!
//! Deciding is pure and stands apart from ZooKeeper: [`topics`] says what a new topic or a new partition may be,
//! [`configs`] what may be changed and how a configuration is shown. [`Admin`] reads, asks them, and writes. It needs
//! no controller: Kafka's admin calls write znodes, and the controller watches.
//!
//! Left out until there is an authorizer and policies: both would be asked before [`Admin`] is.

pub mod configs;
mod configs_io;
mod error;
pub mod features;
pub mod log_dirs;
pub mod quotas;
pub mod scram;
mod store;
#[cfg(test)]
pub(crate) mod testing;
pub mod topics;
mod topics_io;

pub use error::AdminError;
pub use topics_io::CreatedTopic;

use crate::common::topic_name;
use crate::config::{BrokerConfig, ConfigError, DynamicBrokerConfig, Scope, TopicConfig, without_effect};
use crate::zk::ZkClient;
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// Levels of loggers, for the resource BROKER_LOGGER (KIP-412).
pub trait Loggers: Send + Sync {
    /// Level of every logger by name: `FATAL`, `ERROR`, `WARN`, `INFO`, `DEBUG` or `TRACE`.
    fn levels(&self) -> BTreeMap<String, String>;
    /// Sets a level, or with `None` returns to the parent's.
    fn set_level(&self, logger: &str, level: Option<&str>);
}

/// Topics and configurations of the cluster, and the dynamic configuration of this broker. Clones share it.
#[derive(Clone)]
pub struct Admin {
    /// Gives up after `zookeeper.connection.timeout.ms`: somebody waits for the answer.
    zk: ZkClient,
    /// Waits as long as it takes: for what this broker must know.
    waiting_zk: ZkClient,
    /// Locked briefly, never across an await.
    config: Arc<Mutex<DynamicBrokerConfig>>,
    loggers: Option<Arc<dyn Loggers>>,
}

impl Admin {
    /// For the broker with this file.
    pub fn new(zk: ZkClient, config: Arc<BrokerConfig>) -> Admin {
        let patience = Duration::from_millis(config.zookeeper_connection_timeout_ms.max(0) as u64);
        Admin {
            zk: zk.with_patience(patience),
            waiting_zk: zk,
            config: Arc::new(Mutex::new(DynamicBrokerConfig::new(config))),
            loggers: None,
        }
    }

    /// With loggers whose levels can be changed.
    pub fn with_loggers(mut self, loggers: Arc<dyn Loggers>) -> Admin {
        self.loggers = Some(loggers);
        self
    }

    /// The values in force on this broker, dynamic settings included.
    pub fn config(&self) -> Arc<BrokerConfig> {
        Arc::clone(self.dynamic().current())
    }

    fn dynamic(&self) -> MutexGuard<'_, DynamicBrokerConfig> {
        self.config.lock().expect("no panic while the configuration is locked")
    }

    /// Takes over what ZooKeeper holds for this broker (`/config/brokers/ID` or `<default>`): at start, and when a
    /// notification names it. Gives the values in force and what could not be used.
    pub async fn reload_broker(
        &self,
        scope: Scope,
    ) -> Result<(Arc<BrokerConfig>, Vec<ConfigError>), AdminError> {
        let entity = self.broker_entity(scope);
        let (settings, _) = store::read_settings(&self.waiting_zk, "brokers", &entity).await?;
        let mut dynamic = self.dynamic();
        let ignored = dynamic.update(scope, settings);
        Ok((Arc::clone(dynamic.current()), ignored))
    }

    /// Bytes per second that replication may take: a key that only this broker's own dynamic settings can have
    /// (KIP-73). None: no bound.
    pub fn replication_rate(&self, key: &str) -> Option<i64> {
        self.dynamic().settings(Scope::Broker).get(key)?.trim().parse().ok()
    }

    /// The dynamic settings of a scope that do nothing in this release, and why.
    pub fn settings_without_effect(&self, scope: Scope) -> Vec<(String, &'static str)> {
        let dynamic = self.dynamic();
        let names = dynamic.settings(scope).keys();
        names.filter_map(|name| Some((name.clone(), without_effect(name)?))).collect()
    }

    /// True if a key is set dynamically.
    pub fn has_setting(&self, scope: Scope, name: &str) -> bool {
        self.dynamic().settings(scope).contains_key(name)
    }

    /// Name of the node of a scope.
    fn broker_entity(&self, scope: Scope) -> String {
        match scope {
            Scope::Broker => self.dynamic().file().broker_id.to_string(),
            Scope::Cluster => crate::zk::paths::DEFAULT_ENTITY.to_string(),
        }
    }

    /// True if a topic may have this name.
    pub fn is_valid_name(&self, name: &str) -> bool {
        topic_name::validate(name).is_ok()
    }

    /// Effective values of topics. What a znode says that is not usable is logged and left out; a topic whose node
    /// cannot be read keeps everything that it has.
    pub async fn topic_configs(&self, names: Vec<ByteString>) -> HashMap<ByteString, Arc<TopicConfig>> {
        let broker = self.config();
        let stored = store::read_topic_settings(&self.waiting_zk, &names).await;
        let configs = names.into_iter().zip(stored).map(|(name, settings)| {
            let config = match settings {
                Ok(settings) => {
                    let pairs = settings.iter().map(|(key, text)| (key.as_str(), text.as_str()));
                    let (config, ignored) = TopicConfig::new(&broker, pairs);
                    for error in ignored {
                        log::warn!(target: "kafka.server.ZkAdminManager", "Setting of topic {name} is ignored: {error}");
                    }
                    config
                }
                Err(error) => {
                    log::error!(
                        target: "kafka.server.ZkAdminManager",
                        "The settings of topic {name} cannot be read, nothing of it expires: {error}"
                    );
                    TopicConfig { retention_ms: -1, retention_bytes: -1, ..TopicConfig::defaults(&broker) }
                }
            };
            (name, Arc::new(config))
        });
        configs.collect()
    }
}
