//! Floor 4: the partitions that this broker hosts, and what is done with them.
//!
//! [`partition_machine`] decides (role, high watermark); [`partition`] owns machine and log behind one
//! mutex; [`drain`] coalesces appends; [`fetch`] reads, and waits without polling ([`watch`]);
//! [`isr_writer`] keeps ISRs in ZooKeeper; [`coordination`] serves coordinators; [`fetch_session`] keeps
//! KIP-227 sessions; [`fetcher`] copies from leaders; [`mover`] copies between directories; [`replica_manager`] is the list of all partitions.

pub mod coordination;
pub mod drain;
pub mod error;
pub mod fetch;
pub mod fetch_session;
pub mod fetcher;
pub mod isr_writer;
pub mod mover;
pub mod partition;
pub mod partition_machine;
pub mod replica_manager;
pub mod ticket;
pub mod watch;

pub use error::PartitionError;
pub use partition::Partition;
pub use replica_manager::{ClusterPartitions, ReplicaManager};

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
