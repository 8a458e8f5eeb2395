//! Keys of topics, and the broker key that gives each its default.

use super::prelude::*;

/// A topic key.
#[derive(Clone, Copy, Debug)]
pub struct TopicKeyDef {
    /// The key; its default is used only if there is no broker key.
    pub key: KeyDef,
    /// The broker keys that give the default, the strongest first; empty for the throttled replicas.
    pub server_defaults: &'static [&'static str],
}

macro_rules! topic_keys {
    ($(#[$doc:meta])* pub $table:ident {
        $($name:literal: $kind:ident = $default:literal, $valid:expr, $importance:ident, $effect:ident,
            [$($server:literal),*] => $about:literal;)*
    }) => {
        $(#[$doc])*
        pub const $table: &[TopicKeyDef] = &[$(TopicKeyDef {
            key: KeyDef {
                name: $name,
                kind: Kind::$kind,
                default: Some($default),
                valid: $valid,
                importance: Importance::$importance,
                update: Update::ClusterWide,
                effect: Effect::$effect,
                doc: $about,
            },
            server_defaults: &[$($server),*],
        },)*];
    };
}

/// Values of `compression.type`, in Kafka's order.
pub const COMPRESSION_TYPES: &[&str] = &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"];

topic_keys! {
    /// Every key of a topic.
    pub TOPIC {
        "cleanup.policy": List = "delete", EachOf(&["compact", "delete"]), Medium, Now, ["log.cleanup.policy"] =>
            "What happens to old segments: `delete`, `compact` or both.";
        "compression.type": String = "producer", OneOf(COMPRESSION_TYPES), Medium, Now, ["compression.type"] =>
            "Compression of stored records; `producer` keeps what arrives.";
        "delete.retention.ms": Long = "86400000", AtLeast(0), Medium, Now, ["log.cleaner.delete.retention.ms"] =>
            "Time for which delete markers stay after compaction.";
        "file.delete.delay.ms": Long = "60000", AtLeast(0), Medium, Now, ["log.segment.delete.delay.ms"] =>
            "Time between marking a file as deleted and removing it.";
        "flush.messages": Long = "9223372036854775807", AtLeast(0), Medium, Now, ["log.flush.interval.messages"] =>
            "Records after which a partition is forced to disk.";
        "flush.ms": Long = "9223372036854775807", AtLeast(0), Medium, Now,
            ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"] =>
            "Time after which written records are forced to disk.";
        "follower.replication.throttled.replicas": List = "", ThrottledReplicas, Medium, Now, [] =>
            "Replicas whose fetching is throttled: `partition:broker` pairs, or `*`.";
        "index.interval.bytes": Int = "4096", AtLeast(0), Medium, Now, ["log.index.interval.bytes"] =>
            "Bytes of records between two entries of the offset index.";
        "leader.replication.throttled.replicas": List = "", ThrottledReplicas, Medium, Later, [] =>
            "Replicas whose sending is throttled: `partition:broker` pairs, or `*`.";
        "max.compaction.lag.ms": Long = "9223372036854775807", AtLeast(1), Medium, Now,
            ["log.cleaner.max.compaction.lag.ms"] =>
            "Age at which a record is compacted at the latest.";
        "max.message.bytes": Int = "1048588", AtLeast(0), Medium, Now, ["message.max.bytes"] =>
            "Largest record batch that is accepted.";
        "message.downconversion.enable": Boolean = "true", Any, Low, Now, ["log.message.downconversion.enable"] =>
            "Converts records for consumers too old for the format on disk; refused otherwise.";
        "message.format.version": String = "2.8-IV1", Version, Medium, Now, ["log.message.format.version"] =>
            "Oldest release whose consumers read the records without conversion; decides the format on disk.";
        "message.timestamp.difference.max.ms": Long = "9223372036854775807", AtLeast(0), Medium, Now,
            ["log.message.timestamp.difference.max.ms"] =>
            "Largest difference between a record's timestamp and the broker's clock, for CreateTime.";
        "message.timestamp.type": String = "CreateTime", OneOf(&["CreateTime", "LogAppendTime"]), Medium, Now,
            ["log.message.timestamp.type"] =>
            "`CreateTime` keeps the producer's timestamps, `LogAppendTime` writes the broker's.";
        "min.cleanable.dirty.ratio": Double = "0.5", Between(0, 1), Medium, Now,
            ["log.cleaner.min.cleanable.ratio"] =>
            "Part of the log that must be uncompacted before it is compacted.";
        "min.compaction.lag.ms": Long = "0", AtLeast(0), Medium, Now, ["log.cleaner.min.compaction.lag.ms"] =>
            "Age below which a record is not compacted.";
        "min.insync.replicas": Int = "1", AtLeast(1), Medium, Now, ["min.insync.replicas"] =>
            "Replicas that must be in sync for a write with acks=all.";
        "preallocate": Boolean = "false", Any, Medium, Now, ["log.preallocate"] =>
            "Gives a new segment its full size on disk at once.";
        "retention.bytes": Long = "-1", Any, Medium, Now, ["log.retention.bytes"] =>
            "Size of a partition above which its oldest segments are deleted; -1, no limit.";
        "retention.ms": Long = "604800000", AtLeast(-1), Medium, Now,
            ["log.retention.ms", "log.retention.minutes", "log.retention.hours"] =>
            "Age at which a closed segment is deleted; -1, never.";
        "segment.bytes": Int = "1073741824", AtLeast(14), Medium, Now, ["log.segment.bytes"] =>
            "Size at which a segment is full.";
        "segment.index.bytes": Int = "10485760", AtLeast(0), Medium, Now, ["log.index.size.max.bytes"] =>
            "Largest size of an offset or time index; a full index closes its segment.";
        "segment.jitter.ms": Long = "0", AtLeast(0), Medium, Now,
            ["log.roll.jitter.ms", "log.roll.jitter.hours"] =>
            "Random time by which segments are closed earlier.";
        "segment.ms": Long = "604800000", AtLeast(1), Medium, Now, ["log.roll.ms", "log.roll.hours"] =>
            "Age at which a segment is closed though not full.";
        "unclean.leader.election.enable": Boolean = "false", Any, Medium, Now, ["unclean.leader.election.enable"] =>
            "Allows a replica that is not in sync to become leader, losing records.";
    }
}
