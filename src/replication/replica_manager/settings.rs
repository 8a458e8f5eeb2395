//! What partitions take from the settings of their topic.

use crate::common::TopicPartition;
use crate::config::{TimestampType, TopicConfig};
use crate::record::batch;
use crate::record::compression::Limits;
use crate::record::validator::{Origin, RequestFormat, ValidationRules};
use crate::replication::partition::AppendSettings;
use crate::storage::LogConfig;

/// What a log takes from its topic's settings.
pub fn log_config(config: &TopicConfig) -> LogConfig {
    LogConfig {
        segment_bytes: config.segment_bytes.max(0) as u32,
        segment_ms: config.segment_ms,
        segment_jitter_ms: config.segment_jitter_ms,
        segment_index_bytes: config.segment_index_bytes.max(0) as u32,
        index_interval_bytes: config.index_interval_bytes.max(0) as u32,
        retention_ms: config.retention_ms,
        retention_bytes: config.retention_bytes,
        flush_messages: config.flush_messages,
        flush_ms: config.flush_ms,
        file_delete_delay_ms: config.file_delete_delay_ms,
        delete: config.cleanup_policy.delete,
        compact: config.cleanup_policy.compact,
        max_compaction_lag_ms: config.max_compaction_lag_ms,
        min_compaction_lag_ms: config.min_compaction_lag_ms,
        min_cleanable_dirty_ratio: config.min_cleanable_dirty_ratio,
        delete_retention_ms: config.delete_retention_ms,
        max_message_bytes: config.max_message_bytes.max(0) as u32,
        preallocate: config.preallocate,
        message_format_magic: config.message_format_version.message_format_magic(),
        overridden: describe_overrides(config),
    }
}

/// The topic's own settings in the order and form of Kafka's `ConfigUtils.configMapToRedactedString`.
fn describe_overrides(config: &TopicConfig) -> String {
    let is_string =
        |name: &str| ["compression.type", "message.format.version", "message.timestamp.type"].contains(&name);
    let entries = config.overrides.iter().map(|(name, value)| match is_string(name) {
        true => format!("{name}=\"{value}\""),
        false => format!("{name}={value}"),
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

/// What appends take from them.
pub(super) fn append_settings(
    name: &TopicPartition,
    config: &TopicConfig,
    zstd_allowed: bool,
) -> AppendSettings {
    let timestamp_type = match config.message_timestamp_type {
        TimestampType::CreateTime => batch::TimestampType::CreateTime,
        TimestampType::LogAppendTime => batch::TimestampType::LogAppendTime,
    };
    let rules = ValidationRules {
        topic_partition: name.clone(),
        request_format: RequestFormat::OneBatch,
        origin: Origin::Client,
        target_magic: config.message_format_version.message_format_magic(),
        target_compression: batch::Compression::from_name(config.compression_type.name()),
        zstd_allowed,
        timestamp_type,
        max_timestamp_difference_ms: config.message_timestamp_difference_max_ms,
        max_message_bytes: config.max_message_bytes.max(0) as usize,
        compacted: config.cleanup_policy.compact,
        limits: Limits::default(),
    };
    let min_in_sync_replicas = config.min_insync_replicas.max(1) as usize;
    AppendSettings::new(&rules, min_in_sync_replicas, config.message_downconversion_enable)
}
