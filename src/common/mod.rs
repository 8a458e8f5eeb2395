//! Floor 0: words that every other floor uses. No I/O, no async.

pub mod clock;
pub mod error_code;
pub mod file_slice;
pub mod halt;
pub mod ids;
pub mod java_hash;
pub mod random;
pub mod rate;
pub mod scram;
pub mod topic_name;
pub mod topic_partition;
pub mod trace;
pub mod uuid;

pub use error_code::ErrorCode;
pub use file_slice::FileSlice;
pub use ids::{BrokerId, ControllerEpoch, LeaderEpoch, Offset, ProducerEpoch, ProducerId};
pub use topic_partition::TopicPartition;
pub use trace::TRACE_MARK;
pub use uuid::Uuid;
