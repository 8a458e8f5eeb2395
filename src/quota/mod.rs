//! Floor 3: throttles.
//!
//! [`replication`] bounds what replication takes of the network.

pub mod replication;
