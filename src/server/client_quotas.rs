//! Quotas of users and clients, from ZooKeeper into force: all at the start, one when it changes.

use crate::admin::quotas::{Entity, Filter, Quotas, entity_type};
use crate::config::BrokerConfig;
use crate::handlers::Broker;
use crate::quota::client::{ClientQuotas, Name, Owner, Windows};
use crate::zk::data::config_change::ConfigChange;
use log::{error, info};

const TARGET: &str = "kafka.server.ClientQuotaManager";
/// "No quota" in `quota.producer.default` and `quota.consumer.default`.
const NO_QUOTA: i64 = i64::MAX;

/// Those of the configuration.
pub fn of(config: &BrokerConfig) -> ClientQuotas {
    let default = |rate: i64| (rate != NO_QUOTA).then_some(rate as f64);
    let windows = |count, seconds| Windows { count, seconds };
    ClientQuotas::new(
        windows(config.quota_window_num, config.quota_window_size_seconds),
        windows(config.controller_quota_window_num, config.controller_quota_window_size_seconds),
        default(config.quota_producer_default),
        default(config.quota_consumer_default),
    )
}

/// Puts all quotas that are stored into force.
pub async fn load(broker: &Broker) {
    match broker.admin.describe_quotas(&Filter::default()).await {
        Ok(all) => all.iter().for_each(|(entity, quotas)| enforce(broker, entity, quotas)),
        Err(failed) => error!(target: TARGET, "Cannot read the quotas of clients: {failed}"),
    }
}

/// Puts a change into force.
pub async fn apply(broker: &Broker, change: &ConfigChange) {
    match broker.admin.quotas_of(&change.entity_type, &change.entity_name).await {
        Ok((entity, quotas)) => {
            info!(target: TARGET, "Changing the quotas of {entity:?} to {quotas:?}");
            enforce(broker, &entity, &quotas);
        }
        Err(failed) => {
            error!(target: TARGET, "Cannot read the quotas of {}/{}: {failed}", change.entity_type, change.entity_name);
        }
    }
}

fn enforce(broker: &Broker, entity: &Entity, quotas: &Quotas) {
    let name = |kind| entity.get(kind).map(|name| Name::of(name.as_deref()));
    let owner = Owner { user: name(entity_type::USER), client: name(entity_type::CLIENT_ID) };
    if owner != Owner::default() {
        broker.quotas.set(&owner, |key| quotas.get(key).copied());
    }
}
