//! Transactions across partitions (KIP-98, KIP-360, KIP-588): who may write under a transactional id, which
//! partitions a transaction touches, and how it ended.
//!
//! The state lives in `__transaction_state`; the broker that leads the partition of a transactional id
//! coordinates it. [`machine`] decides and does nothing; [`driver`] appends, loads, answers and asks for
//! producer ids; [`marker_sender`] takes the markers that end a transaction to the leaders of its partitions.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/coordinator/transaction/`.

pub mod driver;
pub mod event;
pub mod machine;
pub mod marker_sender;
mod messages;
pub mod partition_set;
pub mod records;
pub mod state;
pub mod status;

pub use driver::{TransactionCoordinator, TransactionDeps};
pub use event::Producer;
pub use marker_sender::{ExistenceFuture, MarkerFuture, MarkerTransport};
pub use partition_set::PartitionSet;

#[cfg(test)]
mod tests;
