//! Bounds of connections: those of the configuration, and the rates of addresses from ZooKeeper (KIP-612).

use crate::admin::quotas::{Entity, Filter, Match, Quotas, entity_type};
use crate::common::rate::Windows;
use crate::config::{BrokerConfig, Value};
use crate::handlers::Broker;
use crate::network::limits::{ConnectionLimits, LimitSettings, ListenerLimits};
use crate::zk::data::config_change::ConfigChange;
use log::{error, info};
use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

const TARGET: &str = "kafka.network.ConnectionQuotas";
const RATE: &str = "connection_creation_rate";

/// How many connections a configuration allows.
pub fn limit_settings(config: &BrokerConfig) -> LimitSettings {
    let at_most = |value: i32| value.max(0) as usize;
    let of_listener = |listener: &str, key: &str| match config.listener_value(listener, key) {
        Some(Value::Int(value)) => value.max(0),
        _ => i32::MAX,
    };
    let listener = |name: &str| ListenerLimits {
        connections_max: of_listener(name, "max.connections") as usize,
        creation_rate_max: of_listener(name, "max.connection.creation.rate") as u32,
    };
    let listeners = config.data_plane_listeners().map(|endpoint| endpoint.listener_name.clone());
    let mut overrides = HashMap::new();
    for (host, max) in &config.max_connections_per_ip_overrides {
        match address_of(host) {
            Some(address) => drop(overrides.insert(address, at_most(*max))),
            None => {
                error!(target: TARGET, "{host} of max.connections.per.ip.overrides has no address: it is left out")
            }
        }
    }
    LimitSettings {
        connections_max: at_most(config.max_connections),
        per_address_max: at_most(config.max_connections_per_ip),
        per_address_overrides: overrides,
        creation_rate_max: config.max_connection_creation_rate.max(0) as u32,
        listeners: listeners.map(|name| (name.clone(), listener(&name))).collect(),
        inter_broker_listener: config.inter_broker_listener_name.clone(),
        windows: Windows { count: config.quota_window_num, seconds: config.quota_window_size_seconds },
    }
}

/// Puts the rates of all addresses that are stored into force.
pub async fn load(broker: &Broker, limits: &ConnectionLimits) {
    let mut filter = Filter::default();
    let stored = match filter.add(entity_type::IP, Match::Any) {
        Ok(()) => broker.admin.describe_quotas(&filter).await,
        Err(refused) => Err(refused),
    };
    match stored {
        Ok(all) => all.iter().for_each(|(entity, quotas)| enforce(limits, entity, quotas)),
        Err(failed) => error!(target: TARGET, "Cannot read the quotas of addresses: {failed}"),
    }
}

/// Puts a change of one into force.
pub async fn apply(broker: &Broker, limits: &ConnectionLimits, change: &ConfigChange) {
    match broker.admin.quotas_of(&change.entity_type, &change.entity_name).await {
        Ok((entity, quotas)) => enforce(limits, &entity, &quotas),
        Err(failed) => {
            error!(target: TARGET, "Cannot read the quotas of ips/{}: {failed}", change.entity_name);
        }
    }
}

fn enforce(limits: &ConnectionLimits, entity: &Entity, quotas: &Quotas) {
    let Some(name) = entity.get(entity_type::IP) else { return };
    let rate = quotas.get(RATE).copied();
    let address = match name {
        None => None,
        Some(name) => match address_of(name) {
            Some(address) => Some(address),
            None => return error!(target: TARGET, "Unable to resolve address {name}"),
        },
    };
    let whose = address.map_or_else(|| "every other address".to_string(), |address| address.to_string());
    match rate {
        Some(rate) => info!(target: TARGET, "Updating max connection rate for {whose} to {rate}"),
        None => info!(target: TARGET, "Removing max connection rate for {whose}"),
    }
    limits.set_address_rate(address, rate);
}

/// The first address of a name, as Java gives it; itself, if it is one.
fn address_of(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    Some((host, 0).to_socket_addrs().ok()?.next()?.ip().to_canonical())
}
