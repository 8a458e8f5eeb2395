//! The values of a broker, typed.

use super::def::{self, Effect, Update};
use super::endpoint::{Endpoint, ProtocolMap, SecurityProtocol};
use super::error::ConfigError;
use super::ibp::IbpVersion;
use super::properties::{Origin, Properties};
use super::topic::{CompressionType, TimestampType};
use super::value::{FromValue, Value};
use super::{resolve, validate, warn};
use std::collections::BTreeMap;
use std::fmt;

/// The `replica.selector.class` that prefers replicas in the consumer's rack.
pub(super) const RACK_AWARE_SELECTOR: &str = "org.apache.kafka.common.replica.RackAwareReplicaSelector";

/// The parsed value of every key; `None` is null.
pub(super) type Values = BTreeMap<&'static str, Option<Value>>;

/// Something to tell the operator that does not prevent the start.
#[derive(Clone, PartialEq, Debug)]
pub struct ConfigWarning {
    /// The key it is about.
    pub key: String,
    /// What to say.
    pub message: String,
    /// Where the key was given.
    pub origin: Option<Origin>,
}

impl fmt::Display for ConfigWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.origin {
            Some(origin) => write!(f, " ({origin})"),
            None => Ok(()),
        }
    }
}

/// Declares the struct. The name of a field of the first part is that of its key, with `_` for `.`.
macro_rules! broker_config {
    (
        keys { $($field:ident: $type:ty,)* }
        derived { $($(#[$doc:meta])* $derived:ident: $derived_type:ty,)* }
    ) => {
        /// Every value that has a meaning in this release, by key (dots are underscores in field names; units are
        /// those of the key's name), and values that several keys determine together. What each is for stands in
        /// `docs/configuration.md`. Values do not change: a dynamic change makes a new struct.
        #[derive(Clone, PartialEq, Debug)]
        pub struct BrokerConfig {
            $(
                #[doc = concat!("The key `", stringify!($field), "`.")]
                pub $field: $type,
            )*
            $($(#[$doc])* pub $derived: $derived_type,)*
            values: Values,
            originals: Properties,
        }

        impl BrokerConfig {
            fn assemble(values: Values, originals: Properties, resolved: Resolved) -> BrokerConfig {
                BrokerConfig {
                    $($field: typed(&values, stringify!($field)),)*
                    $($derived: resolved.$derived,)*
                    values,
                    originals,
                }
            }
        }

        /// The second part of the fields, before the struct exists.
        pub(super) struct Resolved {
            $(pub(super) $derived: $derived_type,)*
        }

        #[cfg(test)]
        pub(super) const FIELDS: &[&str] = &[$(stringify!($field),)* $(stringify!($derived),)*];
    };
}

broker_config! {
    keys {
        zookeeper_session_timeout_ms: i32,
        zookeeper_max_in_flight_requests: i32,
        broker_id_generation_enable: bool,
        reserved_broker_max_id: i32,
        message_max_bytes: i32,
        num_network_threads: i32,
        num_io_threads: i32,
        num_replica_alter_log_dirs_threads: Option<i32>,
        background_threads: i32,
        queued_max_request_bytes: i64,
        request_timeout_ms: i32,
        socket_connection_setup_timeout_ms: i64,
        socket_connection_setup_timeout_max_ms: i64,
        socket_send_buffer_bytes: i32,
        socket_receive_buffer_bytes: i32,
        socket_request_max_bytes: i32,
        max_connections_per_ip: i32,
        max_connections: i32,
        max_connection_creation_rate: i32,
        connections_max_idle_ms: i64,
        connection_failed_authentication_delay_ms: i32,
        broker_rack: Option<String>,
        num_partitions: i32,
        log_segment_bytes: i32,
        log_retention_bytes: i64,
        log_retention_check_interval_ms: i64,
        log_cleaner_threads: i32,
        log_cleaner_io_max_bytes_per_second: f64,
        log_cleaner_dedupe_buffer_size: i64,
        log_cleaner_io_buffer_size: i32,
        log_cleaner_io_buffer_load_factor: f64,
        log_cleaner_backoff_ms: i64,
        log_cleaner_min_cleanable_ratio: f64,
        log_cleaner_enable: bool,
        log_cleaner_delete_retention_ms: i64,
        log_cleaner_min_compaction_lag_ms: i64,
        log_cleaner_max_compaction_lag_ms: i64,
        log_index_size_max_bytes: i32,
        log_index_interval_bytes: i32,
        log_flush_interval_messages: i64,
        log_segment_delete_delay_ms: i64,
        log_flush_scheduler_interval_ms: i64,
        log_flush_offset_checkpoint_interval_ms: i32,
        log_flush_start_offset_checkpoint_interval_ms: i32,
        log_preallocate: bool,
        num_recovery_threads_per_data_dir: i32,
        auto_create_topics_enable: bool,
        min_insync_replicas: i32,
        log_message_timestamp_difference_max_ms: i64,
        log_message_downconversion_enable: bool,
        controller_socket_timeout_ms: i32,
        default_replication_factor: i32,
        replica_lag_time_max_ms: i64,
        replica_socket_timeout_ms: i32,
        replica_socket_receive_buffer_bytes: i32,
        replica_fetch_max_bytes: i32,
        replica_fetch_wait_max_ms: i32,
        replica_fetch_backoff_ms: i32,
        replica_fetch_min_bytes: i32,
        replica_fetch_response_max_bytes: i32,
        num_replica_fetchers: i32,
        replica_high_watermark_checkpoint_interval_ms: i64,
        auto_leader_rebalance_enable: bool,
        leader_imbalance_per_broker_percentage: i32,
        leader_imbalance_check_interval_seconds: i64,
        unclean_leader_election_enable: bool,
        replica_selector_class: Option<String>,
        controlled_shutdown_max_retries: i32,
        controlled_shutdown_retry_backoff_ms: i64,
        controlled_shutdown_enable: bool,
        group_min_session_timeout_ms: i32,
        group_max_session_timeout_ms: i32,
        group_initial_rebalance_delay_ms: i32,
        group_max_size: i32,
        offset_metadata_max_bytes: i32,
        offsets_storage: Option<String>,
        offsets_load_buffer_size: i32,
        offsets_topic_replication_factor: i16,
        offsets_topic_num_partitions: i32,
        offsets_topic_segment_bytes: i32,
        offsets_topic_compression_codec: i32,
        offsets_retention_minutes: i32,
        offsets_retention_check_interval_ms: i64,
        offsets_commit_timeout_ms: i32,
        offsets_commit_required_acks: i16,
        delete_topic_enable: bool,
        transactional_id_expiration_ms: i32,
        transaction_max_timeout_ms: i32,
        transaction_state_log_min_isr: i32,
        transaction_state_log_load_buffer_size: i32,
        transaction_state_log_replication_factor: i16,
        transaction_state_log_num_partitions: i32,
        transaction_state_log_segment_bytes: i32,
        transaction_abort_timed_out_transaction_cleanup_interval_ms: i32,
        transaction_remove_expired_transaction_cleanup_interval_ms: i32,
        max_incremental_fetch_session_cache_slots: i32,
        fetch_max_bytes: i32,
        quota_producer_default: i64,
        quota_consumer_default: i64,
        quota_window_num: i32,
        replication_quota_window_num: i32,
        alter_log_dirs_replication_quota_window_num: i32,
        controller_quota_window_num: i32,
        quota_window_size_seconds: i32,
        replication_quota_window_size_seconds: i32,
        alter_log_dirs_replication_quota_window_size_seconds: i32,
        controller_quota_window_size_seconds: i32,
    }
    derived {
        /// `node.id` if it is not negative, else `broker.id`; -1 until one is generated.
        broker_id: i32,
        /// `zookeeper.connect`, never empty.
        zookeeper_connect: String,
        /// `zookeeper.connection.timeout.ms`, else the session timeout.
        zookeeper_connection_timeout_ms: i32,
        /// `listeners`, else the one of `host.name` and `port`.
        listeners: Vec<Endpoint>,
        /// `advertised.listeners`, else the one of `advertised.host.name` and `advertised.port`, else `listeners`.
        advertised_listeners: Vec<Endpoint>,
        /// Security protocols by listener name.
        listener_security_protocol_map: ProtocolMap,
        /// Upper case name of the listener through which brokers talk.
        inter_broker_listener_name: String,
        /// Security protocol of that listener.
        security_inter_broker_protocol: SecurityProtocol,
        /// Upper case name of the listener for the controller's requests, if there is one of its own.
        control_plane_listener_name: Option<String>,
        /// Limits of single hosts.
        max_connections_per_ip_overrides: BTreeMap<String, i32>,
        /// `log.dirs`, else `log.dir`; at least one.
        log_dirs: Vec<String>,
        /// `log.roll.ms`, else `log.roll.hours`.
        log_roll_ms: i64,
        /// `log.roll.jitter.ms`, else `log.roll.jitter.hours`.
        log_roll_jitter_ms: i64,
        /// `log.retention.ms`, else minutes, else hours; -1 for ever.
        log_retention_ms: i64,
        /// `log.flush.interval.ms`, else `log.flush.scheduler.interval.ms`.
        log_flush_interval_ms: i64,
        /// `log.cleanup.policy`, lower case words.
        log_cleanup_policy: Vec<String>,
        /// `compression.type`.
        compression_type: CompressionType,
        /// `log.message.timestamp.type`.
        log_message_timestamp_type: TimestampType,
        /// `log.message.format.version`.
        log_message_format_version: IbpVersion,
        /// `inter.broker.protocol.version`.
        inter_broker_protocol_version: IbpVersion,
    }
}

/// The value of a field's key. Types agree: `fields_and_keys_agree` builds a struct from defaults.
fn typed<T: FromValue>(values: &Values, field: &str) -> T {
    let key = field.replace('_', ".");
    let value = values.get(key.as_str()).and_then(Option::as_ref);
    T::from_value(value).unwrap_or_else(|| panic!("the field {field} has another type than its key"))
}

/// Reads that ZooKeeper gets at a time where the configuration leaves it to us.
const READS_IN_FLIGHT: i32 = 256;

impl BrokerConfig {
    /// `zookeeper.max.in.flight.requests` where it is said, else 256: reads do no harm, and a new controller reads every
    /// partition's state.
    pub fn zookeeper_max_in_flight_reads(&self) -> i32 {
        match self.originals.get("zookeeper.max.in.flight.requests") {
            Some(_) => self.zookeeper_max_in_flight_requests,
            None => READS_IN_FLIGHT,
        }
    }

    /// Reads the values of a broker. All errors are found at once, in the order of the tables, those of single
    /// values first; a check that needs a bad value is left out.
    pub fn from_properties(
        properties: &Properties,
    ) -> Result<(BrokerConfig, Vec<ConfigWarning>), Vec<ConfigError>> {
        let mut errors = Vec::new();
        let mut bad = Vec::new();
        let mut values = Values::new();
        for key in def::broker_keys() {
            let parsed = properties.get(key.name).map(|text| key.parse(text));
            let value = match parsed {
                None => key.default_value(),
                Some(Ok(value)) => Some(value),
                Some(Err(error)) => {
                    errors.push(error);
                    bad.push(key.name);
                    key.default_value()
                }
            };
            values.insert(key.name, value);
        }
        errors.extend(validate::listener_prefixed(properties));
        errors.extend(validate::refused(properties, &values));
        let resolved = resolve::resolve(properties, &values, &mut bad, &mut errors);
        let config = BrokerConfig::assemble(values, properties.clone(), resolved);
        errors.extend(validate::validate(&config, &bad));
        if errors.is_empty() {
            return Ok((config, warn::warnings(properties)));
        }
        for error in &mut errors {
            error.origin = error.key.as_deref().and_then(|key| properties.origin(key)).cloned();
        }
        Err(errors)
    }

    /// The parsed value of any key of `server.properties`; `None` if it is null or the key unknown.
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)?.as_ref()
    }

    /// Every key with its value in force, sorted, a line each after a tab: what Kafka logs at start (its
    /// `AbstractConfig.logAll`). Passwords are hidden.
    pub fn values_text(&self) -> String {
        let mut text = String::from("KafkaConfig values: \n");
        for (key, value) in &self.values {
            match value {
                Some(value) => text.push_str(&format!("\t{key} = {value}\n")),
                None => text.push_str(&format!("\t{key} = null\n")),
            }
        }
        text
    }

    /// What the file and the command line gave, `listener.name.` keys and unknown ones included.
    pub fn originals(&self) -> &Properties {
        &self.originals
    }

    /// The value of a key for one listener: `listener.name.LISTENER.KEY`, else the key itself. `listener` may have
    /// any case.
    pub fn listener_value(&self, listener: &str, key: &str) -> Option<Value> {
        let prefixed = format!("listener.name.{}.{key}", listener.to_lowercase());
        let own = self.originals.get(&prefixed).zip(def::broker_key(key));
        own.and_then(|(text, key)| key.parse(text).ok()).or_else(|| self.value(key).cloned())
    }

    /// The configuration with other values for some keys, as dynamic changes make it. A key replaces its synonyms.
    pub fn with_overrides<'a>(
        &self,
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<BrokerConfig, Vec<ConfigError>> {
        let mut properties = self.originals.clone();
        for (key, value) in overrides {
            for synonym in super::synonyms::broker_synonyms(key, false) {
                properties.remove(&synonym);
            }
            properties.set(key, value);
        }
        BrokerConfig::from_properties(&properties).map(|(config, _)| config)
    }

    /// The configuration of a broker whose id ZooKeeper generated or `meta.properties` holds.
    pub fn with_broker_id(&self, broker_id: i32) -> BrokerConfig {
        let mut config = self.clone();
        config.broker_id = broker_id;
        config.values.insert("broker.id", Some(Value::Int(broker_id)));
        config
    }

    /// The value under which this broker is reached through a listener.
    pub fn advertised_listener(&self, name: &str) -> Option<&Endpoint> {
        self.advertised_listeners.iter().find(|endpoint| endpoint.listener_name == name)
    }

    /// Listeners for clients and brokers: all but the control plane's.
    pub fn data_plane_listeners(&self) -> impl Iterator<Item = &Endpoint> {
        self.listeners
            .iter()
            .filter(|endpoint| Some(&endpoint.listener_name) != self.control_plane_listener_name.as_ref())
    }

    /// True if consumers are sent to a replica in their rack (KIP-392).
    pub fn reads_near(&self) -> bool {
        self.replica_selector_class.as_deref() == Some(RACK_AWARE_SELECTOR)
    }

    /// Names of the keys that are given but have no effect in this release, for one line at start.
    pub fn keys_without_effect(&self) -> Vec<&'static str> {
        let idle = |effect| matches!(effect, Effect::Later | Effect::Nothing | Effect::Kraft);
        def::broker_keys()
            .filter(|key| idle(key.effect) && self.originals.get(key.name).is_some())
            .map(|key| key.name)
            .collect()
    }

    /// True if a key can be changed while the broker runs.
    pub fn is_dynamic(key: &str) -> bool {
        super::synonyms::dynamic_key(key).is_some_and(|key| key.update != Update::ReadOnly)
    }
}

#[cfg(test)]
mod tests;
