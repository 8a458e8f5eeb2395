//! Replication, controller, shutdown.

use super::prelude::*;

/// What may choose a replica for a consumer: the leader always, or one in the consumer's rack.
const REPLICA_SELECTORS: &[&str] =
    &["org.apache.kafka.common.replica.LeaderSelector", crate::config::broker::RACK_AWARE_SELECTOR];

keys! {
    /// Replication and controller.
    pub REPLICATION {
        "controller.socket.timeout.ms": Int = "30000", Any, Medium, ReadOnly, Now =>
            "Longest wait of the controller for the answer of a broker.";
        "default.replication.factor": Int = "1", Any, Medium, ReadOnly, Now =>
            "Replicas of a topic that is created without saying how many.";
        "replica.lag.time.max.ms": Long = "30000", Any, High, ReadOnly, Now =>
            "Time without catching up after which a follower leaves the in-sync replicas.";
        "replica.socket.timeout.ms": Int = "30000", Any, High, ReadOnly, Now =>
            "Longest wait of a follower for the answer to a fetch; at least `replica.fetch.wait.max.ms`.";
        "replica.socket.receive.buffer.bytes": Int = "65536", Any, High, ReadOnly, Now =>
            "SO_RCVBUF of connections to leaders; -1 leaves it to the system.";
        "replica.fetch.max.bytes": Int = "1048576", AtLeast(0), Medium, ReadOnly, Now =>
            "Bytes that a follower asks for per partition; a larger batch comes whole all the same.";
        "replica.fetch.wait.max.ms": Int = "500", Any, High, ReadOnly, Now =>
            "Longest time for which a leader holds a follower's fetch that finds nothing new.";
        "replica.fetch.backoff.ms": Int = "1000", AtLeast(0), Medium, ReadOnly, Now =>
            "Pause of a follower after an error.";
        "replica.fetch.min.bytes": Int = "1", Any, High, ReadOnly, Now =>
            "Bytes for which a leader waits before it answers a follower.";
        "replica.fetch.response.max.bytes": Int = "10485760", AtLeast(0), Medium, ReadOnly, Now =>
            "Bytes that a follower asks for per fetch.";
        "num.replica.fetchers": Int = "1", Any, High, ClusterWide, Now =>
            "Fetchers per leader that this broker follows.";
        "replica.high.watermark.checkpoint.interval.ms": Long = "5000", Any, High, ReadOnly, Now =>
            "Time between writes of the high watermarks to disk.";
        "fetch.purgatory.purge.interval.requests": Int = "1000", Any, Medium, ReadOnly, Nothing =>
            "Delayed fetches between purges; waiting fetches are removed at once here.";
        "producer.purgatory.purge.interval.requests": Int = "1000", Any, Medium, ReadOnly, Nothing =>
            "Delayed produce requests between purges; they are removed at once here.";
        "delete.records.purgatory.purge.interval.requests": Int = "1", Any, Medium, ReadOnly, Nothing =>
            "Delayed record deletions between purges; they are removed at once here.";
        "auto.leader.rebalance.enable": Boolean = "true", Any, High, ReadOnly, Now =>
            "The controller gives leaderships back to preferred replicas.";
        "leader.imbalance.per.broker.percentage": Int = "10", Any, High, ReadOnly, Now =>
            "Share of partitions not led by their preferred replica above which the controller acts.";
        "leader.imbalance.check.interval.seconds": Long = "300", Any, High, ReadOnly, Now =>
            "Time between the controller's checks of that share.";
        "unclean.leader.election.enable": Boolean = "false", Any, High, ClusterWide, Now =>
            "Allows a replica that is not in sync to become leader, losing records.";
        "security.inter.broker.protocol": String = "PLAINTEXT", Any, Medium, ReadOnly, Now =>
            "Security protocol between brokers; not together with `inter.broker.listener.name`.";
        "inter.broker.protocol.version": String = "2.8-IV1", Version, Medium, ReadOnly, Now =>
            "Release whose requests brokers send each other; raise it when all brokers are upgraded.";
        "inter.broker.listener.name": String = null, Any, Medium, ReadOnly, Now =>
            "Listener through which brokers talk; unset, the one named as `security.inter.broker.protocol`.";
        "replica.selector.class": String = null, OneOf(REPLICA_SELECTORS), Medium, ReadOnly, Now =>
            "How the replica is chosen that a consumer should read from: the leader, or one in its rack (KIP-392).";
        "controlled.shutdown.max.retries": Int = "3", Any, Medium, ReadOnly, Now =>
            "Attempts to hand over leaderships before shutting down without.";
        "controlled.shutdown.retry.backoff.ms": Long = "5000", Any, Medium, ReadOnly, Now =>
            "Pause between those attempts.";
        "controlled.shutdown.enable": Boolean = "true", Any, Medium, ReadOnly, Now =>
            "Hands over leaderships before shutting down.";
    }
}
