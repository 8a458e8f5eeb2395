//! Logs on disk.

use super::prelude::*;

keys! {
    /// Logs on disk.
    pub LOG {
        "num.partitions": Int = "1", AtLeast(1), Medium, ReadOnly, Now =>
            "Partitions of a topic that is created without saying how many.";
        "log.dir": String = "/tmp/kafka-logs", Any, High, ReadOnly, Now =>
            "Directory of the logs if `log.dirs` is not set.";
        "log.dirs": String = null, Any, High, ReadOnly, Now =>
            "Directories of the logs, comma separated; unset, `log.dir`.";
        "log.segment.bytes": Int = "1073741824", AtLeast(14), High, ClusterWide, Now =>
            "Size at which a segment is full.";
        "log.roll.ms": Long = null, Any, High, ClusterWide, Now =>
            "Age at which a segment is closed though not full; unset, `log.roll.hours`.";
        "log.roll.hours": Int = "168", AtLeast(1), High, ReadOnly, Now =>
            "The same in hours; `log.roll.ms` wins.";
        "log.roll.jitter.ms": Long = null, Any, High, ClusterWide, Now =>
            "Random time by which segments are closed earlier, so that not all roll at once; unset, \
             `log.roll.jitter.hours`.";
        "log.roll.jitter.hours": Int = "0", AtLeast(0), High, ReadOnly, Now =>
            "The same in hours; `log.roll.jitter.ms` wins.";
        "log.retention.ms": Long = null, Any, High, ClusterWide, Now =>
            "Age at which a closed segment is deleted; -1, never; unset, `log.retention.minutes`.";
        "log.retention.minutes": Int = null, Any, High, ReadOnly, Now =>
            "The same in minutes; unset, `log.retention.hours`.";
        "log.retention.hours": Int = "168", Any, High, ReadOnly, Now =>
            "The same in hours; milliseconds and minutes win.";
        "log.retention.bytes": Long = "-1", Any, High, ClusterWide, Now =>
            "Size of a partition above which its oldest segments are deleted; -1, no limit.";
        "log.retention.check.interval.ms": Long = "300000", AtLeast(1), Medium, ReadOnly, Now =>
            "Time between searches for segments to delete.";
        "log.cleanup.policy": List = "delete", EachOf(&["compact", "delete"]), Medium, ClusterWide, Now =>
            "What happens to old segments: `delete`, `compact` or both, comma separated.";
        "log.cleaner.threads": Int = "1", AtLeast(0), Medium, ClusterWide, Now =>
            "Threads that compact logs.";
        "log.cleaner.io.max.bytes.per.second": Double = "1.7976931348623157E308",
            Any, Medium, ClusterWide, Now =>
            "Bytes that all cleaner threads together read and write per second.";
        "log.cleaner.dedupe.buffer.size": Long = "134217728", Any, Medium, ClusterWide, Now =>
            "Memory of all cleaner threads together for remembering keys; more than 1 MiB per thread.";
        "log.cleaner.io.buffer.size": Int = "524288", AtLeast(0), Medium, ClusterWide, Now =>
            "Memory of all cleaner threads together for reading and writing.";
        "log.cleaner.io.buffer.load.factor": Double = "0.9", Any, Medium, ClusterWide, Now =>
            "How full the memory for keys may become.";
        "log.cleaner.backoff.ms": Long = "15000", AtLeast(0), Medium, ClusterWide, Now =>
            "Sleep of a cleaner thread that finds nothing to clean.";
        "log.cleaner.min.cleanable.ratio": Double = "0.5", Any, Medium, ClusterWide, Now =>
            "Part of a log that must be uncompacted before it is compacted.";
        "log.cleaner.enable": Boolean = "true", Any, Medium, ReadOnly, Now =>
            "Runs the log cleaner; without it, compacted topics grow for ever.";
        "log.cleaner.delete.retention.ms": Long = "86400000", Any, Medium, ClusterWide, Now =>
            "Time for which delete markers stay in compacted topics.";
        "log.cleaner.min.compaction.lag.ms": Long = "0", Any, Medium, ClusterWide, Now =>
            "Age below which a record is not compacted.";
        "log.cleaner.max.compaction.lag.ms": Long = "9223372036854775807", Any, Medium, ClusterWide, Now =>
            "Age at which a record is compacted at the latest.";
        "log.index.size.max.bytes": Int = "10485760", AtLeast(4), Medium, ClusterWide, Now =>
            "Largest size of an offset or time index; a full index closes its segment.";
        "log.index.interval.bytes": Int = "4096", AtLeast(0), Medium, ClusterWide, Now =>
            "Bytes of records between two entries of the offset index.";
        "log.flush.interval.messages": Long = "9223372036854775807", AtLeast(1), High, ClusterWide, Now =>
            "Records after which a partition is forced to disk.";
        "log.segment.delete.delay.ms": Long = "60000", AtLeast(0), High, ClusterWide, Now =>
            "Time between marking a file as deleted and removing it.";
        "log.flush.scheduler.interval.ms": Long = "9223372036854775807", Any, High, ReadOnly, Now =>
            "Time between searches for partitions to force to disk.";
        "log.flush.interval.ms": Long = null, Any, High, ClusterWide, Now =>
            "Time after which written records are forced to disk; unset, `log.flush.scheduler.interval.ms`.";
        "log.flush.offset.checkpoint.interval.ms": Int = "60000", AtLeast(0), High, ReadOnly, Now =>
            "Time between writes of the recovery points.";
        "log.flush.start.offset.checkpoint.interval.ms": Int = "60000", AtLeast(0), High, ReadOnly, Now =>
            "Time between writes of the log start offsets.";
        "log.preallocate": Boolean = "false", Any, Medium, ClusterWide, Now =>
            "Gives a new segment its full size on disk at once.";
        "num.recovery.threads.per.data.dir": Int = "1", AtLeast(1), High, ClusterWide, Now =>
            "Threads per log directory for loading and recovering logs at start and flushing them at \
             shutdown.";
        "auto.create.topics.enable": Boolean = "true", Any, High, ReadOnly, Now =>
            "Creates a topic when a client asks for the metadata of one that is absent.";
        "min.insync.replicas": Int = "1", AtLeast(1), High, ClusterWide, Now =>
            "Replicas that must be in sync for a write with acks=all.";
        "log.message.format.version": String = "2.8-IV1", Version, Medium, ReadOnly, Now =>
            "Oldest release whose consumers read this broker's records without conversion; decides \
             the format on disk.";
        "log.message.timestamp.type": String = "CreateTime",
            OneOf(&["CreateTime", "LogAppendTime"]), Medium, ClusterWide, Now =>
            "`CreateTime` keeps the producer's timestamps, `LogAppendTime` writes the broker's.";
        "log.message.timestamp.difference.max.ms": Long = "9223372036854775807",
            Any, Medium, ClusterWide, Now =>
            "Largest difference between a record's timestamp and the broker's clock, for CreateTime.";
        "create.topic.policy.class.name": Class = null, Any, Low, ReadOnly, Refused =>
            "Java class that may refuse the creation of topics.";
        "alter.config.policy.class.name": Class = null, Any, Low, ReadOnly, Refused =>
            "Java class that may refuse changes of configurations.";
        "log.message.downconversion.enable": Boolean = "true", Any, Low, ClusterWide, Now =>
            "Converts records for consumers too old for the format on disk; refused otherwise.";
    }
}
