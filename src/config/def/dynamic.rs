//! Keys of brokers that exist only as dynamic configuration. Source: Kafka's `DynamicConfig.Broker`.

use super::prelude::*;

keys! {
    /// Replication throttles.
    pub DYNAMIC_ONLY {
        "leader.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0), Medium, PerBroker, Now =>
            "Bytes per second that this broker sends for throttled replicas it leads.";
        "follower.replication.throttled.rate": Long = "9223372036854775807", AtLeast(0), Medium, PerBroker, Now =>
            "Bytes per second that this broker fetches for throttled replicas.";
        "replica.alter.log.dirs.io.max.bytes.per.second": Long = "9223372036854775807", AtLeast(0), Medium,
            PerBroker, Now =>
            "Bytes per second that moves between log directories may write.";
    }
}
