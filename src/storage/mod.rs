//! Floor 2: logs on disk, in the format of Apache Kafka 2.8.2: what one wrote, the other opens.

pub mod append_types;
pub mod error;
pub mod log;
pub mod log_config;
pub mod log_manager;
pub mod read_plan;

pub use append_types::{AppendOrigin, FollowerAppended, FollowerRecords, LeaderAppend, LeaderAppended};
pub use error::{AppendError, AppendFailure, CreateError, ReadError, StartError, StorageError};
pub use log::{FlushJob, Log, LogState};
pub use log_config::LogConfig;
pub use log_manager::LogManager;
pub use read_plan::{AbortedTransaction, LogPosition, LogRead, ReadPlan};
