//! The effective values of a topic: the broker's defaults under the topic's own.

use super::broker::BrokerConfig;
use super::def::{self, topic::COMPRESSION_TYPES, topic::TOPIC};
use super::error::{ConfigError, Exception};
use super::ibp::IbpVersion;
use super::value::{FromValue, Value};
use std::collections::BTreeMap;

/// `compression.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum CompressionType {
    Uncompressed,
    Zstd,
    Lz4,
    Snappy,
    Gzip,
    /// As the producer sent it.
    Producer,
}

impl CompressionType {
    const ALL: [CompressionType; 6] = [
        CompressionType::Uncompressed,
        CompressionType::Zstd,
        CompressionType::Lz4,
        CompressionType::Snappy,
        CompressionType::Gzip,
        CompressionType::Producer,
    ];

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        COMPRESSION_TYPES[self as usize]
    }

    /// The type of a name in any case.
    pub fn parse(name: &str) -> Option<CompressionType> {
        CompressionType::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// `message.timestamp.type`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum TimestampType {
    CreateTime,
    LogAppendTime,
}

impl TimestampType {
    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self {
            TimestampType::CreateTime => "CreateTime",
            TimestampType::LogAppendTime => "LogAppendTime",
        }
    }

    /// The type of a name.
    pub fn parse(name: &str) -> Option<TimestampType> {
        [TimestampType::CreateTime, TimestampType::LogAppendTime].into_iter().find(|t| t.name() == name)
    }
}

/// `cleanup.policy`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub struct CleanupPolicy {
    pub compact: bool,
    pub delete: bool,
}

macro_rules! topic_config {
    (
        keys { $($field:ident: $type:ty,)* }
        converted { $($(#[$doc:meta])* $converted:ident: $converted_type:ty,)* }
    ) => {
        /// The values of a topic by key (dots are underscores in field names; units are those of the key's name).
        #[derive(Clone, PartialEq, Debug)]
        pub struct TopicConfig {
            $(
                #[doc = concat!("The key `", stringify!($field), "`.")]
                pub $field: $type,
            )*
            $($(#[$doc])* pub $converted: $converted_type,)*
            /// The topic's own settings as text; all other values are the broker's defaults.
            pub overrides: BTreeMap<String, String>,
        }

        impl TopicConfig {
            fn assemble(
                values: &TopicValues, converted: Converted, overrides: BTreeMap<String, String>,
            ) -> TopicConfig {
                TopicConfig {
                    $($field: typed(values, stringify!($field)),)*
                    $($converted: converted.$converted,)*
                    overrides,
                }
            }
        }

        struct Converted {
            $($converted: $converted_type,)*
        }

        #[cfg(test)]
        const FIELDS: &[&str] = &[$(stringify!($field),)* $(stringify!($converted),)*];
    };
}

topic_config! {
    keys {
        delete_retention_ms: i64,
        file_delete_delay_ms: i64,
        flush_messages: i64,
        flush_ms: i64,
        follower_replication_throttled_replicas: Vec<String>,
        index_interval_bytes: i32,
        leader_replication_throttled_replicas: Vec<String>,
        max_compaction_lag_ms: i64,
        max_message_bytes: i32,
        message_downconversion_enable: bool,
        message_timestamp_difference_max_ms: i64,
        min_cleanable_dirty_ratio: f64,
        min_compaction_lag_ms: i64,
        min_insync_replicas: i32,
        preallocate: bool,
        retention_bytes: i64,
        retention_ms: i64,
        segment_bytes: i32,
        segment_index_bytes: i32,
        segment_jitter_ms: i64,
        segment_ms: i64,
        unclean_leader_election_enable: bool,
    }
    converted {
        /// `cleanup.policy`.
        cleanup_policy: CleanupPolicy,
        /// `compression.type`.
        compression_type: CompressionType,
        /// `message.format.version`.
        message_format_version: IbpVersion,
        /// `message.timestamp.type`.
        message_timestamp_type: TimestampType,
    }
}

type TopicValues = BTreeMap<&'static str, Value>;

/// The value of a field's key. Types agree: a test builds a struct.
fn typed<T: FromValue>(values: &TopicValues, field: &str) -> T {
    let key = field.replace('_', ".");
    T::from_value(values.get(key.as_str()))
        .unwrap_or_else(|| panic!("the field {field} has another type than its key"))
}

impl TopicConfig {
    /// The values of a topic with the settings of its znode. Settings that are unknown or invalid are left out and
    /// returned as errors: a znode that somebody wrote by hand must not stop a broker.
    pub fn new<'a>(
        broker: &BrokerConfig,
        overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> (TopicConfig, Vec<ConfigError>) {
        let mut values = defaults(broker);
        let mut own = BTreeMap::new();
        let mut errors = Vec::new();
        for (name, text) in overrides {
            match parse(name, text).and_then(|(key, value)| fits(broker, name, text).map(|()| (key, value))) {
                Ok((key, value)) => {
                    values.insert(key, value);
                    own.insert(name.to_string(), text.to_string());
                }
                Err(error) => errors.push(error),
            }
        }
        let converted = convert(&values);
        (TopicConfig::assemble(&values, converted, own), errors)
    }

    /// The values of a topic without settings of its own.
    pub fn defaults(broker: &BrokerConfig) -> TopicConfig {
        TopicConfig::new(broker, []).0
    }

    /// The text of a value as DescribeConfigs shows it; `None` if there is no such key.
    pub fn value_text(&self, broker: &BrokerConfig, name: &str) -> Option<String> {
        let key = def::topic_key(name)?;
        match self.overrides.get(name) {
            Some(text) => key.parse(text).ok().map(|value| value.to_text()),
            None => defaults(broker).get(name).map(Value::to_text),
        }
    }

    /// The text of every key's value without settings of a topic.
    pub fn default_texts(broker: &BrokerConfig) -> BTreeMap<&'static str, String> {
        defaults(broker).into_iter().map(|(name, value)| (name, value.to_text())).collect()
    }

    /// Age at which the active segment is closed at the latest, in milliseconds.
    pub fn max_segment_ms(&self) -> i64 {
        if self.cleanup_policy.compact && self.max_compaction_lag_ms > 0 {
            self.max_compaction_lag_ms.min(self.segment_ms)
        } else {
            self.segment_ms
        }
    }
}

/// Checks settings that somebody wants to store: all names, then all values, then what they mean together. The
/// first error is the one that Kafka answers. Source: `LogConfig.validate`.
pub fn validate_topic_overrides<'a>(
    overrides: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<(), ConfigError> {
    let overrides: Vec<(&str, &str)> = overrides.into_iter().collect();
    for (name, _) in &overrides {
        if def::topic_key(name).is_none() {
            return Err(unknown(name));
        }
    }
    let mut lags = (0, i64::MAX);
    for (name, text) in overrides {
        match parse(name, text)? {
            ("min.compaction.lag.ms", Value::Long(lag)) => lags.0 = lag,
            ("max.compaction.lag.ms", Value::Long(lag)) => lags.1 = lag,
            _ => {}
        }
    }
    let (min, max) = lags;
    if min > max {
        return Err(ConfigError::new(
            Exception::InvalidConfiguration,
            Some("min.compaction.lag.ms"),
            format!(
                "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
            ),
        ));
    }
    Ok(())
}

fn unknown(name: &str) -> ConfigError {
    let message = format!("Unknown topic config name: {name}");
    ConfigError::new(Exception::InvalidConfiguration, Some(name), message)
}

fn parse(name: &str, text: &str) -> Result<(&'static str, Value), ConfigError> {
    let key = def::topic_key(name).ok_or_else(|| unknown(name))?;
    Ok((key.name, key.parse(text)?))
}

/// A message format that other brokers cannot read yet is ignored, as in Kafka's `TopicConfigHandler`.
fn fits(broker: &BrokerConfig, name: &str, text: &str) -> Result<(), ConfigError> {
    let newest = broker.inter_broker_protocol_version;
    match IbpVersion::parse(text) {
        Ok(version) if name == "message.format.version" && version > newest => {
            let why = format!("it is not compatible with Kafka inter-broker protocol version `{newest}`");
            Err(ConfigError::value(name, text, why))
        }
        _ => Ok(()),
    }
}

/// The value of every topic key without settings of its own.
fn defaults(broker: &BrokerConfig) -> TopicValues {
    let mut values: TopicValues = TOPIC
        .iter()
        .filter_map(|row| {
            let server = row.server_defaults.first().and_then(|name| broker.value(name)).cloned();
            Some((row.key.name, server.or_else(|| row.key.default_value())?))
        })
        .collect();
    // What several broker keys determine together; and the format's full name, as Kafka shows it.
    values.insert("segment.ms", Value::Long(broker.log_roll_ms));
    values.insert("segment.jitter.ms", Value::Long(broker.log_roll_jitter_ms));
    values.insert("retention.ms", Value::Long(broker.log_retention_ms));
    values.insert("flush.ms", Value::Long(broker.log_flush_interval_ms));
    let format = broker.log_message_format_version.to_string();
    values.insert("message.format.version", Value::String(format));
    values
}

fn convert(values: &TopicValues) -> Converted {
    let word = |key: &str| values.get(key).map(Value::to_text).unwrap_or_default();
    let policies = word("cleanup.policy").to_lowercase();
    let has = |policy: &str| policies.split(',').any(|word| word == policy);
    Converted {
        cleanup_policy: CleanupPolicy { compact: has("compact"), delete: has("delete") },
        compression_type: CompressionType::parse(&word("compression.type"))
            .unwrap_or(CompressionType::Producer),
        message_format_version: IbpVersion::parse(&word("message.format.version"))
            .unwrap_or(IbpVersion::LATEST),
        message_timestamp_type: TimestampType::parse(&word("message.timestamp.type"))
            .unwrap_or(TimestampType::CreateTime),
    }
}

#[cfg(test)]
mod tests;
