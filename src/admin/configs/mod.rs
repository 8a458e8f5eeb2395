//! Configurations as the API shows and changes them. Pure.

pub mod alter;
pub mod describe;

use super::AdminError;
use crate::common::BrokerId;
use crate::common::ErrorCode;
use crate::config::{ConfigError, Exception, Scope};

/// Whose configuration: `ConfigResource.Type` in the API.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ResourceType {
    /// 2
    Topic,
    /// 4
    Broker,
    /// 8: the log levels of a broker
    BrokerLogger,
}

impl ResourceType {
    /// The type of a number.
    pub fn parse(number: i8) -> Option<ResourceType> {
        match number {
            2 => Some(ResourceType::Topic),
            4 => Some(ResourceType::Broker),
            8 => Some(ResourceType::BrokerLogger),
            _ => None,
        }
    }

    /// Kafka's name of a number; others than ours are UNKNOWN.
    pub fn name_of(number: i8) -> &'static str {
        match ResourceType::parse(number) {
            Some(ResourceType::Topic) => "TOPIC",
            Some(ResourceType::Broker) => "BROKER",
            Some(ResourceType::BrokerLogger) => "BROKER_LOGGER",
            None => "UNKNOWN",
        }
    }
}

/// The scope that the name of a broker resource means: empty is the cluster's default, else it must be this broker.
/// `expected` completes the sentence of the refusal.
pub fn broker_scope(name: &str, own: BrokerId, expected: &str) -> Result<Scope, AdminError> {
    if name.is_empty() {
        return Ok(Scope::Cluster);
    }
    let id: BrokerId = name.parse().map_err(|_| {
        AdminError::invalid_request(format!("Broker id must be an integer, but it is: {name}"))
    })?;
    if id == own {
        return Ok(Scope::Broker);
    }
    Err(AdminError::invalid_request(format!("Unexpected broker id, expected {expected} but received {name}")))
}

/// The answer to a change that is refused: an unknown topic key is INVALID_CONFIG, a bad value INVALID_REQUEST.
pub fn refusal(resource: ResourceType, name: &str, error: &ConfigError) -> AdminError {
    if error.exception == Exception::InvalidConfiguration {
        return AdminError::new(ErrorCode::InvalidConfig, error.message.clone());
    }
    let kind = match resource {
        ResourceType::Topic => "TOPIC",
        ResourceType::Broker => "BROKER",
        ResourceType::BrokerLogger => "BROKER_LOGGER",
    };
    AdminError::invalid_request(format!(
        "Invalid config value for resource ConfigResource(type={kind}, name='{name}'): {}",
        error.message
    ))
}

#[cfg(test)]
mod tests;
