//! Floor 5: groups and transactions.

pub mod group;
