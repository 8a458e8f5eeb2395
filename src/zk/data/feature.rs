//! `/feature`: finalized features of the cluster (KIP-584).
//!
//! ```text
//! {"features":{"f":{"min_version_level":1,"max_version_level":2}},"version":1,"status":1}
//! ```
//! Status 1: the node counts; 0: written below inter.broker.protocol.version 2.7-IV0. Kafka 3.3 and later write
//! version 2, without `min_version_level`.

use super::{Bytes, DataError, error, from_json, to_json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NODE: &str = "feature node";

/// Levels of a finalized feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizedLevels {
    /// Lowest.
    #[serde(default = "lowest_level")]
    pub min_version_level: i16,
    /// Highest.
    pub max_version_level: i16,
}

fn lowest_level() -> i16 {
    1
}

/// The node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureZNode {
    /// Whether the features count.
    pub enabled: bool,
    /// Finalized features by name.
    pub features: BTreeMap<String, FinalizedLevels>,
}

#[derive(Serialize)]
struct Written<'a> {
    features: &'a BTreeMap<String, FinalizedLevels>,
    version: i32,
    status: i32,
}

#[derive(Deserialize)]
struct Read {
    features: BTreeMap<String, FinalizedLevels>,
    version: i32,
    status: i32,
}

impl FeatureZNode {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        to_json(&Written { features: &self.features, version: 1, status: i32::from(self.enabled) })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<FeatureZNode, DataError> {
        let read: Read = from_json(NODE, data)?;
        if read.version < 1 {
            return Err(error(NODE, format!("unsupported version {}", read.version)));
        }
        let enabled = match read.status {
            0 => false,
            1 => true,
            other => return Err(error(NODE, format!("status {other}"))),
        };
        Ok(FeatureZNode { enabled, features: read.features })
    }
}
