//! Membership of consumer groups and their committed offsets.
//!
//! | file | job |
//! |---|---|
//! | `machine` | one group: states, timers, invariants |
//! | `join`, `sync`, `membership`, `commits` | its steps, by API |
//! | `member` | one member |
//! | `shard` | all groups of one partition of `__consumer_offsets` |
//! | `step` | what a step is given, and what it leaves for the driver |
//! | `records`, `load` | the records of `__consumer_offsets`, written and read |
//! | `offsets` | what a committed offset is, and stores of offsets outside of `__consumer_offsets` |
//! | `coordinator` | the driver: requests, timers, expiry |
//! | `moving` | where the offsets of a partition's groups are, and moving them |
//! | `slot`, `stores`, `loading`, `timers` | its parts: a shard under its mutex, what is stored, leadership, waking |

mod commits;
pub mod coordinator;
mod describe;
pub mod join;
pub mod load;
pub mod loading;
pub mod machine;
pub mod member;
pub mod membership;
pub mod moving;
pub mod offsets;
pub mod records;
pub mod shard;
mod slot;
pub mod step;
mod stores;
pub mod sync;
mod timers;

#[cfg(test)]
mod tests;

pub use coordinator::{GroupCoordinator, GroupDeps};
pub use moving::OffsetPlaces;
