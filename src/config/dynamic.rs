//! The configuration of a running broker: its file under the settings of `/config/brokers/<default>` under those of
//! `/config/brokers/ID`.
//!
//! Source: Kafka 2.8.2, `kafka.server.DynamicBrokerConfig`; messages are its own. Invariant: `current` is valid and
//! made of the three layers, or of the last ones that were valid together.

use super::broker::BrokerConfig;
use super::def::{self, KeyDef, Kind, Update, listener_base_name};
use super::error::{ConfigError, Exception};
use super::synonyms::dynamic_key;
use super::value::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Keys and texts, as in a znode.
pub type Settings = BTreeMap<String, String>;

/// Whom settings are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// One broker.
    Broker,
    /// All brokers, as a default.
    Cluster,
}

/// Listener keys that may be set for the whole cluster.
const CLUSTER_LISTENER_KEYS: &[&str] = &["max.connections", "max.connection.creation.rate"];

/// Keys whose change would open or close sockets.
const LISTENER_KEYS: &[&str] = &["listeners", "advertised.listeners", "listener.security.protocol.map"];

const THREAD_KEYS: &[&str] = &[
    "num.io.threads",
    "num.network.threads",
    "num.replica.fetchers",
    "num.recovery.threads.per.data.dir",
    "background.threads",
];

/// See the module.
#[derive(Clone, Debug)]
pub struct DynamicBrokerConfig {
    file: Arc<BrokerConfig>,
    cluster: Settings,
    broker: Settings,
    current: Arc<BrokerConfig>,
    has_changed: bool,
}

impl DynamicBrokerConfig {
    /// Without dynamic settings.
    pub fn new(file: Arc<BrokerConfig>) -> DynamicBrokerConfig {
        let current = Arc::clone(&file);
        DynamicBrokerConfig {
            file,
            cluster: Settings::new(),
            broker: Settings::new(),
            current,
            has_changed: false,
        }
    }

    /// The values in force.
    pub fn current(&self) -> &Arc<BrokerConfig> {
        &self.current
    }

    /// True once any setting of a znode was taken over, even if it is gone by now: Kafka does not forget that.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }

    /// What the broker was started with.
    pub fn file(&self) -> &BrokerConfig {
        &self.file
    }

    /// The settings of a scope that are in force.
    pub fn settings(&self, scope: Scope) -> &Settings {
        match scope {
            Scope::Broker => &self.broker,
            Scope::Cluster => &self.cluster,
        }
    }

    /// Takes over what a znode says. Settings that cannot be used are left out and returned; if the rest does not
    /// fit together, everything stays as it was.
    pub fn update(&mut self, scope: Scope, stored: Settings) -> Vec<ConfigError> {
        let (usable, mut errors) = DynamicBrokerConfig::usable(scope, stored);
        let mut next = self.clone();
        match scope {
            Scope::Broker => next.broker = usable,
            Scope::Cluster => next.cluster = usable,
        }
        match next.combined() {
            Ok(config) => {
                next.has_changed |= next.cluster != self.cluster || next.broker != self.broker;
                next.current = Arc::new(config);
                *self = next;
            }
            Err(more) => errors.extend(more),
        }
        errors
    }

    /// Whether settings may be stored. The first error is the one that Kafka answers.
    pub fn validate(&self, scope: Scope, proposed: &Settings) -> Result<(), ConfigError> {
        validate_names(scope, proposed)?;
        let mut next = self.clone();
        match scope {
            Scope::Broker => next.broker = proposed.clone(),
            Scope::Cluster => next.cluster = proposed.clone(),
        }
        let config = next.combined().map_err(first)?;
        validate_change(&self.current, &config).map_err(|why| {
            let cause = format!("{}: {why}", Exception::Config.class_name());
            let message = format!("Invalid value {cause} for configuration Invalid dynamic configuration");
            ConfigError::new(Exception::Config, None, message)
        })?;
        match proposed.keys().find(|name| is_password(name)) {
            None => Ok(()),
            Some(name) => {
                let message = match scope {
                    Scope::Cluster => "Password config can be defined only at broker level",
                    Scope::Broker => "Password encoder secret not configured",
                };
                Err(ConfigError::new(Exception::Config, Some(name), message))
            }
        }
    }

    /// Splits stored settings into those that can be used and the reasons against the others.
    pub fn usable(scope: Scope, stored: Settings) -> (Settings, Vec<ConfigError>) {
        let mut errors = Vec::new();
        let mut usable = Settings::new();
        for (name, text) in stored {
            let error = |message: &str| Some(ConfigError::new(Exception::Config, Some(&name), message));
            let reason = bad_value(&name, &text).or_else(|| match name.as_str() {
                name if is_static(name) => error("Non-dynamic configs configured in ZooKeeper will be ignored"),
                name if is_security(name) => error(
                    "Security configs can be dynamically updated only using listener prefix, base configs will be ignored",
                ),
                name if scope == Scope::Cluster && is_per_broker(name) => {
                    error("Per-broker configs defined at default cluster level will be ignored")
                }
                name if is_password(name) => error("Dynamic password config could not be decoded, ignoring."),
                _ => None,
            });
            match reason {
                Some(reason) => errors.push(reason),
                None => drop(usable.insert(name, text)),
            }
        }
        (usable, errors)
    }

    /// Whether settings of these names and values may be stored at all, for a broker that need not run.
    pub fn validate_names(scope: Scope, proposed: &Settings) -> Result<(), ConfigError> {
        validate_names(scope, proposed)
    }

    /// True for a key, with or without listener prefix, that holds a dynamic password.
    pub fn is_password(name: &str) -> bool {
        is_password(name)
    }

    /// The row of a key that can be set dynamically, with or without listener prefix.
    pub fn key(name: &str) -> Option<&'static KeyDef> {
        let throttle = || def::dynamic::DYNAMIC_ONLY.iter().find(|key| key.name == name);
        let base = listener_base_name(name).unwrap_or(name);
        dynamic_key(base).filter(|key| key.update != Update::ReadOnly).or_else(throttle)
    }

    fn combined(&self) -> Result<BrokerConfig, Vec<ConfigError>> {
        if self.cluster.is_empty() && self.broker.is_empty() {
            return Ok((*self.file).clone());
        }
        let settings = self.cluster.iter().chain(&self.broker);
        let config = self.file.with_overrides(settings.map(|(key, text)| (key.as_str(), text.as_str())))?;
        // The id may be a generated one, which the file does not have.
        Ok(config.with_broker_id(self.file.broker_id))
    }
}

fn first(errors: Vec<ConfigError>) -> ConfigError {
    let unknown = || ConfigError::new(Exception::Config, None, "Invalid dynamic configuration");
    errors.into_iter().next().unwrap_or_else(unknown)
}

/// True for a key, with or without listener prefix, that holds a dynamic password.
fn is_password(name: &str) -> bool {
    let is_dynamic_password = |key: &&KeyDef| key.kind == Kind::Password && key.update != Update::ReadOnly;
    def::broker_keys().filter(is_dynamic_password).any(|key| name.ends_with(key.name))
}

/// A key that TLS reads, which can change only for one listener: of the broker's keys those that are reloadable.
fn is_security(name: &str) -> bool {
    matches!(
        name,
        "ssl.keystore.type"
            | "ssl.keystore.location"
            | "ssl.keystore.password"
            | "ssl.key.password"
            | "ssl.truststore.type"
            | "ssl.truststore.location"
            | "ssl.truststore.password"
            | "ssl.keystore.certificate.chain"
            | "ssl.keystore.key"
            | "ssl.truststore.certificates"
    )
}

fn is_static(name: &str) -> bool {
    def::broker_key(name).is_some_and(|key| key.update == Update::ReadOnly)
}

fn is_per_broker(name: &str) -> bool {
    match listener_base_name(name) {
        Some(base) => !CLUSTER_LISTENER_KEYS.contains(&base),
        None => def::broker_key(name).is_some_and(|key| key.update == Update::PerBroker),
    }
}

/// The error of one value, if it has a type.
fn bad_value(name: &str, text: &str) -> Option<ConfigError> {
    let base = listener_base_name(name).unwrap_or(name);
    dynamic_key(base).filter(|key| key.update != Update::ReadOnly)?.parse(text).err()
}

fn validate_names(scope: Scope, proposed: &Settings) -> Result<(), ConfigError> {
    let refuse = |message: &str, is_refused: fn(&str) -> bool| {
        let names: Vec<&str> = proposed.keys().map(String::as_str).filter(|name| is_refused(name)).collect();
        match names.is_empty() {
            true => Ok(()),
            false => {
                let message = format!("{message}: Set({})", names.join(", "));
                Err(ConfigError::new(Exception::Config, Some(names[0]), message))
            }
        }
    };
    refuse("Cannot update these configs dynamically", is_static)?;
    let message =
        "These security configs can be dynamically updated only per-listener using the listener prefix";
    refuse(message, is_security)?;
    if let Some(error) = proposed.iter().find_map(|(name, text)| bad_value(name, text)) {
        return Err(error);
    }
    if scope == Scope::Cluster {
        let message = "Cannot update these configs at default cluster level, broker id must be specified";
        refuse(message, is_per_broker)?;
    }
    Ok(())
}

/// Whether a running broker can go from one configuration to the other.
fn validate_change(old: &BrokerConfig, new: &BrokerConfig) -> Result<(), String> {
    for key in THREAD_KEYS {
        let (Some(Value::Int(old)), Some(Value::Int(new))) = (old.value(key), new.value(key)) else {
            continue;
        };
        let failed = format!("Dynamic thread count update validation failed for {key}={new}");
        if new == old {
            continue;
        }
        if *new <= 0 {
            return Err(format!("{failed}, value should be at least 1"));
        }
        if *new < old / 2 {
            return Err(format!("{failed}, value should be at least half the current value {old}"));
        }
        if i64::from(*new) > i64::from(*old) * 2 {
            return Err(format!("{failed}, value should not be greater than double the current value {old}"));
        }
    }
    let (threads, now) = (new.log_cleaner_threads, old.log_cleaner_threads);
    if threads != now {
        if threads < 1 {
            return Err("Log cleaner threads should be at least 1".to_string());
        }
        if threads < now / 2 {
            return Err(format!(
                "Log cleaner threads cannot be reduced to less than half the current value {now}"
            ));
        }
        if i64::from(threads) > i64::from(now) * 2 {
            return Err(format!(
                "Log cleaner threads cannot be increased to more than double the current value {now}"
            ));
        }
    }
    validate_connections(old, new)?;
    match LISTENER_KEYS.iter().find(|key| old.value(key) != new.value(key)) {
        Some(key) => Err(format!("{key} cannot be changed without a restart in this release")),
        None => Ok(()),
    }
}

/// A broker that runs cannot be told to take no connection at all.
fn validate_connections(old: &BrokerConfig, new: &BrokerConfig) -> Result<(), String> {
    for endpoint in new.data_plane_listeners() {
        for key in CLUSTER_LISTENER_KEYS {
            let value = |config: &BrokerConfig| config.listener_value(&endpoint.listener_name, key);
            if let Some(Value::Int(max @ ..=0)) = value(new)
                && value(old) != value(new)
            {
                return Err(format!("Invalid {key} {max}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Properties;

    fn dynamic() -> DynamicBrokerConfig {
        let text = "zookeeper.connect=zk:1\nbroker.id=1\nlog.retention.hours=2\nnum.io.threads=8";
        let properties = Properties::parse(text).expect("well formed");
        DynamicBrokerConfig::new(Arc::new(BrokerConfig::from_properties(&properties).expect("valid").0))
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect()
    }

    fn refusal(scope: Scope, pairs: &[(&str, &str)]) -> String {
        dynamic().validate(scope, &settings(pairs)).expect_err("must be refused").message
    }

    #[test]
    fn broker_over_cluster_over_file() {
        let mut config = dynamic();
        assert!(config.update(Scope::Cluster, settings(&[("log.retention.ms", "70000")])).is_empty());
        assert_eq!(config.current().log_retention_ms, 70_000);
        assert!(config.update(Scope::Broker, settings(&[("log.retention.ms", "60000")])).is_empty());
        assert_eq!(config.current().log_retention_ms, 60_000);
        assert!(config.update(Scope::Broker, Settings::new()).is_empty());
        assert!(config.update(Scope::Cluster, Settings::new()).is_empty());
        assert_eq!(config.current().log_retention_ms, 7_200_000);
        assert_eq!(config.current().broker_id, 1);
    }

    #[test]
    fn what_a_znode_should_not_hold_is_left_out() {
        let mut config = dynamic();
        let stored = [
            ("num.partitions", "3"),
            ("log.cleaner.threads", "x"),
            ("message.max.bytes", "7"),
            ("listener.name.a.ssl.keystore.password", "secret"),
            ("my.own", "1"),
        ];
        let errors = config.update(Scope::Broker, settings(&stored));
        assert_eq!(errors.len(), 3);
        assert_eq!(config.current().message_max_bytes, 7);
        assert_eq!(config.settings(Scope::Broker).len(), 2);
        // Fits alone, but not together: nothing changes.
        let stored = [("log.roll.ms", "0"), ("message.max.bytes", "8")];
        assert_eq!(config.update(Scope::Broker, settings(&stored)).len(), 1);
        assert_eq!(config.current().message_max_bytes, 7);
    }

    #[test]
    fn refusals_are_kafkas() {
        use Scope::{Broker, Cluster};
        assert_eq!(
            refusal(Broker, &[("num.partitions", "3")]),
            "Cannot update these configs dynamically: Set(num.partitions)"
        );
        assert_eq!(
            refusal(Broker, &[("log.cleaner.threads", "x")]),
            "Invalid value x for configuration log.cleaner.threads: Not a number of type INT"
        );
        assert_eq!(
            refusal(Cluster, &[("log.cleaner.threads", "5")]),
            "Invalid value org.apache.kafka.common.config.ConfigException: Log cleaner threads cannot be increased to \
             more than double the current value 1 for configuration Invalid dynamic configuration"
        );
        assert_eq!(
            refusal(Cluster, &[("listeners", "PLAINTEXT://:1")]),
            "Cannot update these configs at default cluster level, broker id must be specified: Set(listeners)"
        );
        assert_eq!(
            refusal(Cluster, &[("max.connections", "0")]),
            "Invalid value org.apache.kafka.common.config.ConfigException: Invalid max.connections 0 for configuration \
             Invalid dynamic configuration"
        );
        assert!(refusal(Broker, &[("num.io.threads", "17")]).contains("should not be greater than double"));
        assert!(refusal(Broker, &[("ssl.keystore.type", "JKS")]).contains("using the listener prefix: Set("));
        assert_eq!(
            refusal(Broker, &[("listener.name.a.ssl.key.password", "x")]),
            "Password encoder secret not configured"
        );
        for pairs in [
            &[("my.own", "1")][..],
            &[("leader.replication.throttled.rate", "1000")],
            &[("num.io.threads", "4")],
            &[("max.connection.creation.rate", "1"), ("max.connections.per.ip", "1")],
            &[("listener.name.plaintext.max.connections", "1")],
        ] {
            assert_eq!(dynamic().validate(Broker, &settings(pairs)), Ok(()));
        }
    }
}
