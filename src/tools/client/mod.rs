//! A small blocking client of the wire protocol, for the tools: addresses, connections that negotiate
//! versions, a view of the cluster, and the admin calls of Kafka's `AdminClient`.

pub mod address;
pub mod admin;
pub mod admin_configs;
pub mod admin_elections;
pub mod admin_logs;
pub mod admin_reassign;
pub mod connection;
pub mod definitions;
pub mod groups;
pub mod network;
pub mod offsets;
pub mod topic_errors;

pub use address::Address;
pub use admin::Admin;
pub use connection::{CallError, Connection};
pub use network::{ClientKind, Network, Settings};
