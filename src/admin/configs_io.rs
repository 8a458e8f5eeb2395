//! Configurations in ZooKeeper, and log levels.

use super::configs::alter::{Edit, Op, apply_edits, validate_edits, validate_logger_edits};
use super::configs::describe::{self, Described, Wish};
use super::configs::{ResourceType, broker_scope, refusal};
use super::topics::validate_name;
use super::{Admin, AdminError, store};
use crate::common::ErrorCode;
use crate::config::{DynamicBrokerConfig, Scope, Settings, validate_topic_overrides};
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::create_topics::CreatableTopicConfigs;
use crate::zk::paths;
use std::collections::BTreeMap;

const LOG: &str = "kafka.server.ZkAdminManager";

impl Admin {
    /// The configuration of a resource. The error NONE never comes; an unknown topic has no message.
    pub async fn describe(
        &self,
        resource: ResourceType,
        name: &str,
        wish: &Wish<'_>,
        cluster: &ClusterSnapshot,
    ) -> Described {
        let own = self.dynamic().file().broker_id;
        match resource {
            ResourceType::Topic => {
                validate_name(name)?;
                if cluster.topic(name).is_none() {
                    return Err(ErrorCode::UnknownTopicOrPartition.into());
                }
                let (settings, _) = store::read_settings(&self.zk, "topics", name).await?;
                Ok(describe::topic(&self.dynamic(), &settings, wish))
            }
            ResourceType::Broker => match broker_scope(name, own, &format!("{own} or empty string,"))? {
                Scope::Broker => Ok(describe::broker(&self.dynamic(), wish)),
                Scope::Cluster => Ok(describe::cluster_default(&self.dynamic(), wish)),
            },
            ResourceType::BrokerLogger => match broker_scope(name, own, &own.to_string())? {
                Scope::Broker => Ok(describe::loggers(&self.logger_levels(), wish)),
                Scope::Cluster => Err(AdminError::invalid_request("Broker id must not be empty")),
            },
        }
    }

    /// The configuration of a new topic with these settings.
    pub fn describe_created(&self, settings: &Settings) -> Vec<CreatableTopicConfigs> {
        describe::created_topic(&self.dynamic(), settings)
    }

    /// Replaces all settings of a topic or a broker.
    pub async fn alter(
        &self,
        resource: ResourceType,
        name: &str,
        settings: Settings,
        cluster: &ClusterSnapshot,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        if resource == ResourceType::BrokerLogger {
            let message =
                "AlterConfigs is only supported for topics and brokers, but resource type is BROKER_LOGGER";
            return Err(AdminError::invalid_request(message));
        }
        let entity = self.validate_settings(resource, name, &settings, cluster).await?;
        if validate_only {
            return Ok(());
        }
        let (entity_type, entity_name) = &entity;
        store::write_settings(&self.zk, entity_type, entity_name, &settings).await?;
        self.announce(&entity, &settings).await
    }

    /// Edits settings. Kafka reads, edits and writes without looking back; here an edit by somebody else in between
    /// is not lost.
    pub async fn edit(
        &self,
        resource: ResourceType,
        name: &str,
        edits: &[Edit<'_>],
        cluster: &ClusterSnapshot,
        validate_only: bool,
    ) -> Result<(), AdminError> {
        validate_edits(edits)?;
        loop {
            let (entity_type, entity_name) = match resource {
                ResourceType::BrokerLogger => return self.edit_levels(name, edits, validate_only),
                ResourceType::Topic => ("topics", name.to_string()),
                ResourceType::Broker => ("brokers", self.broker_entity(self.altered_scope(name)?)),
            };
            let (mut stored, version) = match resource == ResourceType::Topic && !self.is_valid_name(name) {
                // Nothing that a znode's path must not hold gets into one; the topic is unknown anyway.
                true => (Settings::new(), None),
                false => store::read_settings(&self.zk, entity_type, &entity_name).await?,
            };
            if resource == ResourceType::Broker {
                stored = DynamicBrokerConfig::usable(self.altered_scope(name)?, stored).0;
            }
            let settings = apply_edits(resource, edits, stored)?;
            let entity = self.validate_settings(resource, name, &settings, cluster).await?;
            if validate_only {
                return Ok(());
            }
            if store::replace_settings(&self.zk, entity_type, &entity_name, &settings, version).await? {
                return self.announce(&entity, &settings).await;
            }
        }
    }

    /// Whom a broker resource that is altered means.
    fn altered_scope(&self, name: &str) -> Result<Scope, AdminError> {
        let own = self.dynamic().file().broker_id;
        broker_scope(name, own, &format!("{own},"))
    }

    /// Checks the settings that a resource would have; gives type and name of its node.
    async fn validate_settings(
        &self,
        resource: ResourceType,
        name: &str,
        settings: &Settings,
        cluster: &ClusterSnapshot,
    ) -> Result<(&'static str, String), AdminError> {
        if resource == ResourceType::Broker {
            let scope = self.altered_scope(name)?;
            let valid = self.dynamic().validate(scope, settings);
            valid.map_err(|error| refusal(resource, name, &error))?;
            return Ok(("brokers", self.broker_entity(scope)));
        }
        let absent = |message: String| AdminError::new(ErrorCode::UnknownTopicOrPartition, message);
        if cluster.topic(name).is_none() {
            return Err(absent(format!("The topic '{name}' does not exist.")));
        }
        validate_name(name)?;
        if self.zk.exists(&paths::topic(name)).await?.is_none() {
            return Err(absent(format!("Topic '{name}' does not exist.")));
        }
        validate_topic_overrides(settings.iter().map(|(key, text)| (key.as_str(), text.as_str())))
            .map_err(|error| refusal(resource, name, &error))?;
        Ok(("topics", name.to_string()))
    }

    async fn announce(&self, entity: &(&str, String), settings: &Settings) -> Result<(), AdminError> {
        let (entity_type, name) = entity;
        let keys: Vec<&str> = settings.keys().map(String::as_str).collect();
        log::info!(target: LOG, "Updated the configuration of {entity_type}/{name}: {}", keys.join(", "));
        Ok(store::notify_change(&self.zk, &format!("{entity_type}/{name}")).await?)
    }

    fn logger_levels(&self) -> BTreeMap<String, String> {
        self.loggers.as_ref().map(|loggers| loggers.levels()).unwrap_or_default()
    }

    fn edit_levels(&self, name: &str, edits: &[Edit<'_>], validate_only: bool) -> Result<(), AdminError> {
        self.altered_scope(name)?;
        validate_logger_edits(edits, &self.logger_levels())?
            .map_err(|error| refusal(ResourceType::BrokerLogger, name, &error))?;
        for edit in edits.iter().filter(|_| !validate_only) {
            if let Some(loggers) = &self.loggers {
                loggers.set_level(edit.name, edit.value.filter(|_| edit.op == Some(Op::Set)));
                log::info!(target: LOG, "Log level of {} is now {:?}", edit.name, edit.value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
