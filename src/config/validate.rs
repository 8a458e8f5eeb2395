//! Whether values fit together. Messages are Kafka's (`KafkaConfig.validateValues`, 2.8.2).

use super::broker::{BrokerConfig, Values};
use super::def::{self, Effect};
use super::endpoint::{Endpoint, SecurityProtocol, is_host_text};
use super::error::{ConfigError, Exception};
use super::ibp::IbpVersion;
use super::properties::Properties;
use super::value::Value;
use std::collections::BTreeSet;

/// Security protocols that this release speaks.
const SPOKEN_PROTOCOLS: &[SecurityProtocol] = &[SecurityProtocol::Plaintext];

const BYTES_PER_CLEANER_THREAD: i64 = 1024 * 1024;

/// Errors in `listener.name.` keys.
pub(super) fn listener_prefixed(properties: &Properties) -> Vec<ConfigError> {
    let parse = |(name, text)| {
        let key = def::listener_key(name)?;
        let mut error = key.parse(text).err()?;
        error.message = error.message.replacen(key.name, name, 1);
        error.key = Some(name.to_string());
        Some(error)
    };
    properties.iter().filter_map(parse).collect()
}

/// Keys that must not be ignored and are not supported.
pub(super) fn refused(properties: &Properties, values: &Values) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    for key in def::broker_keys().filter(|key| key.effect == Effect::Refused) {
        let value = values.get(key.name).and_then(Option::as_ref);
        if let Some(text) = properties.get(key.name)
            && value != key.default_value().as_ref()
        {
            errors.push(unsupported(key.name, text));
        }
    }
    if let Some(text) = properties.get("config.providers").filter(|text| !text.trim().is_empty()) {
        errors.push(unsupported("config.providers", text));
    }
    errors
}

fn unsupported(key: &str, text: &str) -> ConfigError {
    ConfigError::value(key, text, "this release does not have it, and ignoring it would not be safe")
}

/// Checks between values. Checks that use one of the keys `bad` are left out.
pub(super) fn validate(config: &BrokerConfig, bad: &[&str]) -> Vec<ConfigError> {
    let mut checks = Checks { config, bad, errors: Vec::new() };
    checks.identity();
    checks.logs();
    checks.replication();
    checks.listeners();
    checks.security();
    checks.connections();
    checks.errors
}

struct Checks<'a> {
    config: &'a BrokerConfig,
    bad: &'a [&'a str],
    errors: Vec<ConfigError>,
}

impl Checks<'_> {
    /// `keys` are those the check uses; the error is about the first that was given.
    fn require(&mut self, keys: &[&str], holds: bool, message: impl FnOnce() -> String) {
        if holds || keys.iter().any(|key| self.bad.contains(key)) {
            return;
        }
        let given = keys.iter().find(|key| self.config.originals().get(key).is_some());
        self.errors.push(ConfigError::requirement(given.unwrap_or(&keys[0]), message()));
    }

    fn identity(&mut self) {
        let config = self.config;
        let keys = ["broker.id", "node.id", "reserved.broker.max.id", "broker.id.generation.enable"];
        let id = config.broker_id;
        if config.value("zookeeper.connect").is_none() {
            self.errors.push(ConfigError::new(
                Exception::Config,
                Some("zookeeper.connect"),
                "Missing required configuration `zookeeper.connect` which has no default value.",
            ));
        }
        if config.broker_id_generation_enable {
            self.require(&keys, (-1..=config.reserved_broker_max_id).contains(&id), || {
                "broker.id must be greater than or equal to -1 and not greater than reserved.broker.max.id"
                    .into()
            });
        } else {
            self.require(&keys, id >= 0, || "broker.id must be greater than or equal to 0".into());
        }
    }

    fn logs(&mut self) {
        let config = self.config;
        self.require(&["log.roll.ms", "log.roll.hours"], config.log_roll_ms >= 1, || {
            "log.roll.ms must be greater than or equal to 1".into()
        });
        let jitter_keys = ["log.roll.jitter.ms", "log.roll.jitter.hours"];
        self.require(&jitter_keys, config.log_roll_jitter_ms >= 0, || {
            "log.roll.jitter.ms must be greater than or equal to 0".into()
        });
        let retention = config.log_retention_ms;
        let keys = ["log.retention.ms", "log.retention.minutes", "log.retention.hours"];
        self.require(&keys, retention >= 1 || retention == -1, || {
            "log.retention.ms must be unlimited (-1) or, greater than or equal to 1".into()
        });
        self.require(&["log.dirs", "log.dir"], !config.log_dirs.is_empty(), || {
            "At least one log directory must be defined via log.dirs or log.dir.".into()
        });
        // Kafka divides by zero if there are no threads; without threads any buffer will do.
        let threads = i64::from(config.log_cleaner_threads).max(1);
        let per_thread = config.log_cleaner_dedupe_buffer_size / threads;
        let keys = ["log.cleaner.dedupe.buffer.size", "log.cleaner.threads"];
        self.require(&keys, per_thread > BYTES_PER_CLEANER_THREAD, || {
            "log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".into()
        });
        let magic = config.log_message_format_version.message_format_magic();
        let keys = ["log.message.format.version", "inter.broker.protocol.version"];
        let fits = config.inter_broker_protocol_version.message_format_magic() >= magic;
        self.require(&keys, fits, || {
            format!(
                "log.message.format.version {} can only be used when inter.broker.protocol.version is set to \
                 version {} or higher",
                text(config, "log.message.format.version"),
                IbpVersion::oldest_with_magic(magic).short_name()
            )
        });
    }

    fn replication(&mut self) {
        let config = self.config;
        let wait = config.replica_fetch_wait_max_ms;
        let keys = ["replica.fetch.wait.max.ms", "replica.socket.timeout.ms"];
        self.require(&keys, wait <= config.replica_socket_timeout_ms, || {
            "replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to prevent \
             unnecessary socket timeouts"
                .into()
        });
        let keys = ["replica.fetch.wait.max.ms", "replica.lag.time.max.ms"];
        self.require(&keys, i64::from(wait) <= config.replica_lag_time_max_ms, || {
            "replica.fetch.wait.max.ms should always be less than or equal to replica.lag.time.max.ms to prevent \
             frequent changes in ISR"
                .into()
        });
        let acks = config.offsets_commit_required_acks;
        let keys = ["offsets.commit.required.acks", "offsets.topic.replication.factor"];
        self.require(&keys, (-1..=config.offsets_topic_replication_factor).contains(&acks), || {
            "offsets.commit.required.acks must be greater or equal -1 and less or equal to \
             offsets.topic.replication.factor"
                .into()
        });
        let codec = config.offsets_topic_compression_codec;
        if !(0..=4).contains(&codec) && !self.bad.contains(&"offsets.topic.compression.codec") {
            self.errors.push(ConfigError::new(
                Exception::IllegalArgument,
                Some("offsets.topic.compression.codec"),
                format!("{codec} is an unknown compression codec"),
            ));
        }
    }

    fn listeners(&mut self) {
        let config = self.config;
        let keys = [
            "advertised.listeners",
            "listeners",
            "inter.broker.listener.name",
            "security.inter.broker.protocol",
            "control.plane.listener.name",
        ];
        let advertised = names(&config.advertised_listeners);
        let own = names(&config.listeners);
        let shown = |set: &BTreeSet<&str>| set.iter().copied().collect::<Vec<_>>().join(",");
        self.require(&keys[..4], advertised.contains(config.inter_broker_listener_name.as_str()), || {
            format!(
                "inter.broker.listener.name must be a listener name defined in advertised.listeners. The valid \
                 options based on currently configured listeners are {}",
                shown(&advertised)
            )
        });
        self.require(&keys[..2], advertised.is_subset(&own), || {
            format!(
                "advertised.listeners listener names must be equal to or a subset of the ones defined in listeners. \
                 Found {}. The valid options based on the current configuration are {}",
                shown(&advertised),
                shown(&own)
            )
        });
        let routable = config.advertised_listeners.iter().all(|endpoint| endpoint.host != "0.0.0.0");
        self.require(&keys[..2], routable, || {
            "advertised.listeners cannot use the nonroutable meta-address 0.0.0.0. Use a routable IP address."
                .into()
        });
        let Some(control) = &config.control_plane_listener_name else { return };
        self.require(&keys, advertised.contains(control.as_str()), || {
            format!(
                "control.plane.listener.name must be a listener name defined in advertised.listeners. The valid \
                 options based on currently configured listeners are {}",
                shown(&advertised)
            )
        });
        self.require(&keys, *control != config.inter_broker_listener_name, || {
            format!(
                "control.plane.listener.name, when defined, should have a different value from the inter broker \
                 listener name. Currently they both have the value ListenerName({control})"
            )
        });
    }

    fn security(&mut self) {
        let config = self.config;
        for endpoint in &config.listeners {
            let protocol = endpoint.security_protocol;
            if !SPOKEN_PROTOCOLS.contains(&protocol) && !self.bad.contains(&"listeners") {
                let why = format!(
                    "listener {} needs the security protocol {protocol}, which this release does not speak",
                    endpoint.listener_name
                );
                self.errors.push(ConfigError::value("listeners", &endpoint.to_string(), why));
            }
        }
        if !config.security_inter_broker_protocol.is_sasl() {
            return;
        }
        let mechanism = text(config, "sasl.mechanism.inter.broker.protocol");
        let has_handshake = config.inter_broker_protocol_version >= IbpVersion::V0_10_0_IV1;
        let keys = ["inter.broker.protocol.version", "sasl.mechanism.inter.broker.protocol"];
        self.require(&keys, has_handshake || mechanism == "GSSAPI", || {
            format!(
                "Only GSSAPI mechanism is supported for inter-broker communication with SASL when \
                 inter.broker.protocol.version is set to {}",
                text(config, "inter.broker.protocol.version")
            )
        });
        let enabled = config.listener_value(&config.inter_broker_listener_name, "sasl.enabled.mechanisms");
        let holds = matches!(enabled, Some(Value::List(list)) if list.contains(&mechanism));
        let keys = ["sasl.mechanism.inter.broker.protocol", "sasl.enabled.mechanisms"];
        self.require(&keys, holds, || {
            "sasl.mechanism.inter.broker.protocol must be included in sasl.enabled.mechanisms when SASL is used for \
             inter-broker communication"
                .into()
        });
    }

    fn connections(&mut self) {
        let config = self.config;
        let queued = config.queued_max_request_bytes;
        let keys = ["queued.max.request.bytes", "socket.request.max.bytes"];
        self.require(&keys, queued <= 0 || queued >= i64::from(config.socket_request_max_bytes), || {
            "queued.max.request.bytes must be larger or equal to socket.request.max.bytes".into()
        });
        let keys = ["max.connections.per.ip", "max.connections.per.ip.overrides"];
        let overrides = &config.max_connections_per_ip_overrides;
        self.require(&keys, config.max_connections_per_ip != 0 || !overrides.is_empty(), || {
            "max.connections.per.ip can be set to zero only if max.connections.per.ip.overrides property is set."
                .into()
        });
        let invalid: Vec<&str> =
            overrides.keys().map(String::as_str).filter(|host| !is_host_text(host)).collect();
        if !invalid.is_empty() {
            let message = format!(
                "max.connections.per.ip.overrides contains invalid addresses : {}",
                invalid.join(",")
            );
            self.errors.push(ConfigError::new(Exception::IllegalArgument, Some(keys[1]), message));
        }
        let (delay, idle) =
            (config.connection_failed_authentication_delay_ms, config.connections_max_idle_ms);
        let keys = ["connections.max.idle.ms", "connection.failed.authentication.delay.ms"];
        self.require(&keys, idle < 0 || i64::from(delay) < idle, || {
            format!(
                "connection.failed.authentication.delay.ms={delay} should always be less than \
                 connections.max.idle.ms={idle} to prevent failed authentication responses from timing out"
            )
        });
    }
}

fn names(endpoints: &[Endpoint]) -> BTreeSet<&str> {
    endpoints.iter().map(|endpoint| endpoint.listener_name.as_str()).collect()
}

/// A value as it was given.
fn text(config: &BrokerConfig, key: &str) -> String {
    config.value(key).map(Value::to_text).unwrap_or_default()
}
