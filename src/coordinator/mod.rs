//! Floor 5: groups and transactions.

pub mod group;
pub mod transaction;
pub mod zookeeper_offsets;
