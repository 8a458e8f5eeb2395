//! Floor 2: ZooKeeper. The client with its session, the paths and codecs of Kafka's znodes, and the protocols
//! that stand directly on them: registration, election, id blocks, notifications.
//!
//! Everything goes through [`ZkClient`]; behind it stands a real ensemble ([`ZkClient::connect`]) or one in
//! memory ([`memory::MemoryZooKeeper`]), and neither shows through.

mod backend;
pub mod broker_id;
mod client;
pub mod cluster_id;
pub mod config_changes;
mod connect_string;
pub mod data;
pub mod election;
pub mod entity_name;
mod error;
pub mod memory;
mod multi;
pub mod notifications;
pub mod offsets;
pub mod offsets_move;
pub mod offsets_storage;
pub mod old_consumers;
pub mod paths;
pub mod producer_ids;
pub mod registration;
mod remote;
pub mod replica_placement;
pub mod skeleton;
pub mod topic_admin;
mod types;

/// Logger of what is done with znodes.
const LOG: &str = "kafka.zk.KafkaZkClient";

pub use client::{REQUEST_BYTES_MAX, ZkClient, ZkConfig};
pub use data::{DataError, NodeError};
pub use error::ZkError;
pub use types::{
    ANY_VERSION, CreateMode, Created, Op, OpResult, SessionEvent, SessionEvents, SessionState, SessionStatus,
    Stat, Watch, WatchEvent, WatchKind,
};
