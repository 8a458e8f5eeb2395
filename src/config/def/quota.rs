//! Keys of users, clients and addresses, which exist in ZooKeeper only. Source: Kafka's `QuotaConfigs`.

use super::prelude::*;

keys! {
    /// Quotas of users and clients. `Kind` says how a value is written in its znode.
    pub CLIENT_QUOTAS {
        "producer_byte_rate": Long = "9223372036854775807", Any, Medium, ClusterWide, Now =>
            "Bytes per second that a client may produce.";
        "consumer_byte_rate": Long = "9223372036854775807", Any, Medium, ClusterWide, Now =>
            "Bytes per second that a client may fetch.";
        "request_percentage": Double = "2147483647", Any, Medium, ClusterWide, Now =>
            "Share of a thread's time that a client's requests may take, in percent.";
        "controller_mutation_rate": Double = "2147483647", Any, Medium, ClusterWide, Now =>
            "Partitions per second that a client may create or delete.";
    }
}

keys! {
    /// Quotas of addresses.
    pub IP_QUOTAS {
        "connection_creation_rate": Int = "2147483647", AtLeast(0), Medium, ClusterWide, Now =>
            "Connections per second that an address may open.";
    }
}
