//! Floor 5: groups and transactions.

pub mod group;
pub mod zookeeper_offsets;
