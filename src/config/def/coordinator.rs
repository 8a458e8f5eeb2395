//! Groups, committed offsets, transactions, fetch sessions, metrics, quotas.

use super::prelude::*;

keys! {
    /// Groups, committed offsets, transactions.
    pub COORDINATOR {
        "group.min.session.timeout.ms": Int = "6000", Any, Medium, ReadOnly, Now =>
            "Shortest session timeout that a group member may ask for.";
        "group.max.session.timeout.ms": Int = "1800000", Any, Medium, ReadOnly, Now =>
            "Longest session timeout that a group member may ask for.";
        "group.initial.rebalance.delay.ms": Int = "3000", Any, Medium, ReadOnly, Now =>
            "Time for which an empty group waits for more members before its first rebalance.";
        "group.max.size": Int = "2147483647", AtLeast(1), Medium, ReadOnly, Now =>
            "Members that a group may have.";
        "offset.metadata.max.bytes": Int = "4096", Any, High, ReadOnly, Now =>
            "Largest metadata of a committed offset.";
        "offsets.storage": String = null, OneOf(&["zookeeper", "kafka"]), High, ReadOnly, Now =>
            "Ottla's own. Where committed offsets are kept: `zookeeper`, in the nodes of the old consumers, or `kafka`, in \
             `__consumer_offsets`. One for the whole cluster: unset, a fresh cluster keeps them in ZooKeeper, and a broker \
             that joins another does as the cluster does; a contrary setting is refused at start.";
        "offsets.load.buffer.size": Int = "5242880", AtLeast(1), High, ReadOnly, Now =>
            "Bytes read at once while committed offsets are loaded.";
        "offsets.topic.replication.factor": Short = "3", AtLeast(1), High, ReadOnly, Now =>
            "Replicas of `__consumer_offsets`; its creation fails while fewer brokers are alive.";
        "offsets.topic.num.partitions": Int = "50", AtLeast(1), High, ReadOnly, Now =>
            "Partitions of `__consumer_offsets`; must not change afterwards.";
        "offsets.topic.segment.bytes": Int = "104857600", AtLeast(1), High, ReadOnly, Now =>
            "Segment size of `__consumer_offsets`.";
        "offsets.topic.compression.codec": Int = "0", Any, High, ReadOnly, Now =>
            "Compression of `__consumer_offsets`: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.";
        "offsets.retention.minutes": Int = "10080", AtLeast(1), High, ReadOnly, Now =>
            "Time after which the committed offsets of an empty group are dropped.";
        "offsets.retention.check.interval.ms": Long = "600000", AtLeast(1), High, ReadOnly, Now =>
            "Time between searches for committed offsets to drop.";
        "offsets.commit.timeout.ms": Int = "5000", AtLeast(1), High, ReadOnly, Now =>
            "Longest wait for the replication of a commit.";
        "offsets.commit.required.acks": Short = "-1", Any, High, ReadOnly, Now =>
            "Acks that a write to `__consumer_offsets` waits for: -1, 0 or 1; leave it at -1.";
        "delete.topic.enable": Boolean = "true", Any, High, ReadOnly, Now =>
            "Allows the deletion of topics.";
        "compression.type": String = "producer", Any, High, ClusterWide, Now =>
            "Compression of stored records: a codec, `uncompressed`, or `producer` to keep what arrives.";
        "transactional.id.expiration.ms": Int = "604800000", AtLeast(1), High, ReadOnly, Now =>
            "Time without use after which a transactional id is forgotten.";
        "transaction.max.timeout.ms": Int = "900000", AtLeast(1), High, ReadOnly, Now =>
            "Longest timeout that a transactional producer may ask for.";
        "transaction.state.log.min.isr": Int = "2", AtLeast(1), High, ReadOnly, Now =>
            "`min.insync.replicas` of `__transaction_state`.";
        "transaction.state.log.load.buffer.size": Int = "5242880", AtLeast(1), High, ReadOnly, Now =>
            "Bytes read at once while transactions are loaded.";
        "transaction.state.log.replication.factor": Short = "3", AtLeast(1), High, ReadOnly, Now =>
            "Replicas of `__transaction_state`; its creation fails while fewer brokers are alive.";
        "transaction.state.log.num.partitions": Int = "50", AtLeast(1), High, ReadOnly, Now =>
            "Partitions of `__transaction_state`; must not change afterwards.";
        "transaction.state.log.segment.bytes": Int = "104857600", AtLeast(1), High, ReadOnly, Now =>
            "Segment size of `__transaction_state`.";
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": Int = "10000",
            AtLeast(1), Low, ReadOnly, Now =>
            "Time between searches for transactions to abort.";
        "transaction.remove.expired.transaction.cleanup.interval.ms": Int = "3600000",
            AtLeast(1), Low, ReadOnly, Now =>
            "Time between searches for transactional ids to forget.";
    }
}

keys! {
    /// Fetch.
    pub FETCH {
        "max.incremental.fetch.session.cache.slots": Int = "1000", AtLeast(0), Medium, ReadOnly, Now =>
            "Fetch sessions that are remembered.";
        "fetch.max.bytes": Int = "57671680", AtLeast(1024), Medium, ReadOnly, Now =>
            "Largest answer to a fetch; the first batch comes whole all the same.";
    }
}

keys! {
    /// Metrics.
    pub METRICS {
        "metrics.num.samples": Int = "2", AtLeast(1), Low, ReadOnly, Nothing =>
            "Samples that a Java metric keeps.";
        "metrics.sample.window.ms": Long = "30000", AtLeast(1), Low, ReadOnly, Nothing =>
            "Time that a sample of a Java metric covers.";
        "metric.reporters": List = "", Any, Low, ClusterWide, Nothing =>
            "Java classes that report metrics.";
        "metrics.recording.level": String = "INFO", Any, Low, ReadOnly, Nothing =>
            "Level of detail of Java metrics.";
        "kafka.metrics.reporters": List = "", Any, Low, ReadOnly, Nothing =>
            "Java classes that report broker metrics.";
        "kafka.metrics.polling.interval.secs": Int = "10", AtLeast(1), Low, ReadOnly, Nothing =>
            "Time between polls of those reporters.";
    }
}

keys! {
    /// Quotas.
    pub QUOTA {
        "quota.producer.default": Long = "9223372036854775807", AtLeast(1), High, ReadOnly, Now =>
            "Bytes per second that a producer without a quota of its own may write. Deprecated.";
        "quota.consumer.default": Long = "9223372036854775807", AtLeast(1), High, ReadOnly, Now =>
            "Bytes per second that a consumer without a quota of its own may read. Deprecated.";
        "quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly, Now =>
            "Samples kept for client quotas.";
        "replication.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly, Now =>
            "Samples kept for replication quotas.";
        "alter.log.dirs.replication.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly, Now =>
            "Samples kept for the quota of moves between log directories.";
        "controller.quota.window.num": Int = "11", AtLeast(1), Low, ReadOnly, Now =>
            "Samples kept for the quota of topic changes.";
        "quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly, Now =>
            "Time that a sample for client quotas covers.";
        "replication.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly, Now =>
            "Time that a sample for replication quotas covers.";
        "alter.log.dirs.replication.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly, Now =>
            "Time that a sample for moves between log directories covers.";
        "controller.quota.window.size.seconds": Int = "1", AtLeast(1), Low, ReadOnly, Now =>
            "Time that a sample for topic changes covers.";
        "client.quota.callback.class": Class = null, Any, Low, ReadOnly, Refused =>
            "Java class that determines quotas.";
    }
}
