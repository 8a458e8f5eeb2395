//! Floor 2: logs on disk, in the format of Apache Kafka 2.8.2: what one wrote, the other opens.
//!
//! | file | job |
//! |---|---|
//! | `log`, `log_append`, `log_read`, `log_offsets`, `log_truncate`, `log_flush`, `retention` | one partition's log, by what is done to it |
//! | `append_types`, `append_write` | what goes into an append; the vectored write of a group |
//! | `read_plan` | a read in two halves: planned under the lock, executed off it |
//! | `segment`, `header_scan`, `segment_scan` | a segment; walking its headers, reading it from end to end |
//! | `index`, `offset_index`, `time_index`, `transaction_index`, `index_builder` | the index files |
//! | `producer_state`, `producer_snapshot`, `producer_replay`, `end_marker` | producers and transactions |
//! | `leader_epoch_cache`, `checkpoint`, `partition_metadata`, `meta_properties` | small files |
//! | `log_clean`, `cleaner/`, `cleaner_checkpoint` | compaction: the swap, what it swaps in, how far it came |
//! | `loader`, `leftovers`, `recovery` | opening a directory in whatever state it was left |
//! | `log_manager`, `log_manager_start`, `log_dir` | all logs of a broker, and its log directories |
//! | `partition_dir`, `filename`, `file`, `health`, `loggers` | paths, descriptors, the only `std::fs`, what happens when it fails, names of loggers |

pub mod append_types;
mod append_write;
pub mod checkpoint;
pub mod cleaner;
mod cleaner_checkpoint;
mod end_marker;
pub mod error;
pub mod file;
mod filename;
mod header_scan;
mod health;
mod index;
mod index_builder;
mod leader_epoch_cache;
mod leftovers;
mod loader;
pub mod log;
mod log_append;
mod log_clean;
pub mod log_config;
mod log_dir;
pub mod log_flush;
pub mod log_manager;
pub mod log_manager_start;
pub mod log_offsets;
mod log_read;
mod log_truncate;
mod loggers;
pub mod meta_properties;
mod offset_index;
mod partition_dir;
mod partition_metadata;
mod producer_replay;
mod producer_snapshot;
mod producer_state;
pub mod read_plan;
mod recovery;
mod retention;
mod segment;
mod segment_scan;
#[cfg(test)]
mod tests;
mod time_index;
mod transaction_index;

pub use append_types::{
    ActiveProducer, AppendOrigin, FollowerAppended, FollowerRecords, LeaderAppend, LeaderAppended,
};
pub use error::{AppendError, AppendFailure, CreateError, ReadError, StartError, StorageError};
pub use file::read_slice;
pub use log::{Log, LogState};
pub use log_config::LogConfig;
pub use log_flush::{FlushDone, FlushJob, FlushScope};
pub use log_manager::LogManager;
pub use log_manager_start::LogManagerOptions;
pub use log_offsets::{TimestampAndOffset, TimestampLookup};
pub use meta_properties::MetaProperties;
pub use read_plan::{AbortedTransaction, LogPosition, LogRead, ReadPlan};
