//! The settings of one topic that its logs obey.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/LogConfig.scala`. The server fills it from the topic's
//! overrides over the broker's defaults; partitions of a topic share one.

/// Effective settings of a topic, as far as the log needs them.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment never grows beyond it.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment that is not empty is rolled after this time.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to so much is subtracted from `segment.ms`, at random per segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: how large an index may grow before its segment is rolled.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: one index entry per so many bytes.
    pub index_interval_bytes: u32,
    /// `retention.ms`, -1 for ever.
    pub retention_ms: i64,
    /// `retention.bytes`, -1 without bound.
    pub retention_bytes: i64,
    /// `flush.messages`: sync when so many records are unflushed.
    pub flush_messages: i64,
    /// `flush.ms`: sync at least so often.
    pub flush_ms: i64,
    /// `file.delete.delay.ms`: how long a deleted file stays under its `.deleted` name.
    pub file_delete_delay_ms: i64,
    /// `cleanup.policy` holds `delete`.
    pub delete: bool,
    /// `cleanup.policy` holds `compact`.
    pub compact: bool,
    /// `max.compaction.lag.ms`: when a record is compacted at the latest; for compacted topics an upper bound of
    /// `segment.ms`.
    pub max_compaction_lag_ms: i64,
    /// `min.compaction.lag.ms`: no younger record is compacted.
    pub min_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: the part of the log that must be dirty before it is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// `delete.retention.ms`: how long tombstones and markers stay after compaction.
    pub delete_retention_ms: i64,
    /// `max.message.bytes`: bounds what a batch is believed to hold when it is decompressed.
    pub max_message_bytes: u32,
    /// `preallocate`: reserve a segment's blocks when it is created.
    pub preallocate: bool,
    /// The magic of `message.format.version`: 0, 1 or 2.
    pub message_format_magic: i8,
    /// The topic's own settings, as the log shows them when a log is created: `{retention.ms=1000}`.
    pub overridden: String,
}

impl Default for LogConfig {
    /// The defaults of a broker whose properties say nothing.
    fn default() -> LogConfig {
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * 24 * 3_600_000,
            retention_bytes: -1,
            flush_messages: i64::MAX,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            delete: true,
            compact: false,
            max_compaction_lag_ms: i64::MAX,
            min_compaction_lag_ms: 0,
            min_cleanable_dirty_ratio: 0.5,
            delete_retention_ms: 24 * 3_600_000,
            max_message_bytes: (1 << 20) + 12,
            preallocate: false,
            message_format_magic: 2,
            overridden: "{}".into(),
        }
    }
}

impl LogConfig {
    /// The time after which a segment is rolled, before jitter.
    pub fn max_segment_ms(&self) -> i64 {
        if self.compact && self.max_compaction_lag_ms > 0 {
            self.max_compaction_lag_ms.min(self.segment_ms)
        } else {
            self.segment_ms
        }
    }

    /// Entries of 8 bytes that an offset index may hold.
    pub(crate) fn offset_index_entries_max(&self) -> u32 {
        self.segment_index_bytes / 8
    }

    /// Entries of 12 bytes that a time index may hold.
    pub(crate) fn time_index_entries_max(&self) -> u32 {
        self.segment_index_bytes / 12
    }
}
