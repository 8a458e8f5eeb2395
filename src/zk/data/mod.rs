//! Contents of Kafka's znodes: one file per node, both ways (`kafka.zk.ZkData`).
//!
//! What is written equals Kafka's, keys in its order. Readers take any order, ignore keys they do not know, and give
//! an error for what they cannot understand, never a panic.

pub mod broker;
pub mod cluster_id;
pub mod config_change;
pub mod config_entity;
pub mod consumer_registration;
pub mod controller;
pub mod feature;
pub mod isr_change;
pub mod log_dir_event;
pub mod offset_details;
pub mod offsets_moved;
pub mod offsets_storage;
pub mod partition_state;
pub mod preferred_election;
pub mod producer_id_block;
pub mod reassign;
pub mod topic;

pub use broker::BrokerRegistration;
pub use feature::FeatureZNode;
pub use partition_state::PartitionState;
pub use producer_id_block::ProducerIdBlock;
pub use topic::{ReplicaAssignment, TopicAssignment};

use super::error::ZkError;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;

/// A node whose content is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// Which kind of node.
    pub node: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}: {}", self.node, self.reason)
    }
}

impl std::error::Error for DataError {}

/// Either ZooKeeper failed, or what it holds cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeError {
    /// ZooKeeper failed.
    Zk(ZkError),
    /// The content is malformed.
    Data(DataError),
}

impl From<ZkError> for NodeError {
    fn from(error: ZkError) -> NodeError {
        NodeError::Zk(error)
    }
}

impl From<DataError> for NodeError {
    fn from(error: DataError) -> NodeError {
        NodeError::Data(error)
    }
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NodeError::Zk(error) => error.fmt(f),
            NodeError::Data(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NodeError {}

fn error(node: &'static str, reason: impl fmt::Display) -> DataError {
    DataError { node, reason: reason.to_string() }
}

/// Reads JSON. Of a key that stands twice the last counts, as in Kafka's parser.
fn from_json<T: DeserializeOwned>(node: &'static str, data: &[u8]) -> Result<T, DataError> {
    match serde_json::from_slice(data) {
        Ok(value) => Ok(value),
        Err(first) => serde_json::from_slice::<serde_json::Value>(data)
            .and_then(serde_json::from_value)
            .map_err(|_| error(node, first)),
    }
}

fn to_json<T: Serialize>(value: &T) -> Bytes {
    let json = serde_json::to_vec(value);
    Bytes::from(json.expect("maps have text or number keys, and memory does not fail to be written"))
}

/// Reads a decimal number that is a node's whole content.
fn from_decimal<T: std::str::FromStr>(node: &'static str, data: &[u8]) -> Result<T, DataError> {
    let text = std::str::from_utf8(data).map_err(|e| error(node, e))?;
    text.parse().map_err(|_| error(node, format!("\"{}\" is not a number", text.escape_debug())))
}

/// Committed offsets of the old consumers: decimal text.
pub mod consumer_offset {
    use super::{Bytes, DataError};
    use crate::common::Offset;

    /// Writes it.
    pub fn encode(offset: Offset) -> Bytes {
        Bytes::from(offset.to_string())
    }

    /// Reads it. White space around it is what people leave who write it by hand.
    pub fn decode(data: &[u8]) -> Result<Offset, DataError> {
        super::from_decimal("committed offset", data.trim_ascii())
    }
}

#[cfg(test)]
mod tests;
