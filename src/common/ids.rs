//! Names for the numbers that travel everywhere.
//!
//! They are aliases, not newtypes: nearly every use stands at the edge of the wire, of a file or of a
//! znode, where a newtype is unwrapped at once (`src/ARCHITECTURE.md`, "What differs from the design").

/// A broker, `broker.id`. -1: none.
pub type BrokerId = i32;
/// Position of a record in its partition.
pub type Offset = i64;
/// Generation of a partition's leadership; grows with every election.
pub type LeaderEpoch = i32;
/// Generation of the controller; grows with every controller election.
pub type ControllerEpoch = i32;
/// Identity of an idempotent or transactional producer (KIP-98). -1: none.
pub type ProducerId = i64;
/// Generation of a producer id.
pub type ProducerEpoch = i16;

/// "No leader" in partition states and metadata.
pub const NO_LEADER: BrokerId = -1;
/// "No leader epoch" on the wire.
pub const NO_LEADER_EPOCH: LeaderEpoch = -1;
/// "No producer id" in a batch.
pub const NO_PRODUCER_ID: ProducerId = -1;
