//! Floor 2: ZooKeeper. The client with its session, the paths and codecs of Kafka's znodes, and the protocols
//! that stand directly on them: registration, election, id blocks, notifications.
//!
//! Everything goes through [`ZkClient`]; behind it stands a real ensemble ([`ZkClient::connect`]) or one in
//! memory ([`memory::MemoryZooKeeper`]), and neither shows through.

mod backend;
mod client;
mod connect_string;
pub mod data;
mod error;
pub mod memory;
mod multi;
pub mod paths;
mod remote;
pub mod replica_placement;
pub mod topic_admin;
mod types;

pub use client::{ZkClient, ZkConfig};
pub use error::ZkError;
pub use types::{
    ANY_VERSION, CreateMode, Created, Op, OpResult, SessionEvent, SessionEvents, SessionState, SessionStatus,
    Stat, Watch, WatchEvent, WatchKind,
};
