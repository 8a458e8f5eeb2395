//! `/ottla/offsets_storage`: where the cluster keeps committed offsets. Our own node; Apache Kafka does not know it.
//!
//! ```text
//! {"version":1,"storage":"zookeeper"}
//! {"version":1,"storage":"zookeeper","migrating_to":"kafka"}
//! ```
//! While `migrating_to` stands there, commits go to both places, and reads come from `storage`.

use super::{Bytes, DataError, error, from_json, to_json};
use serde::{Deserialize, Serialize};

const NODE: &str = "storage of offsets";

/// Where committed offsets are kept (`offsets.storage`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OffsetsStorage {
    /// In `__consumer_offsets`.
    Kafka,
    /// In `/consumers/GROUP/offsets/TOPIC/PARTITION`.
    ZooKeeper,
}

impl OffsetsStorage {
    /// As in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            OffsetsStorage::Kafka => "kafka",
            OffsetsStorage::ZooKeeper => "zookeeper",
        }
    }

    /// The storage of a name.
    pub fn from_name(name: &str) -> Option<OffsetsStorage> {
        [OffsetsStorage::Kafka, OffsetsStorage::ZooKeeper].into_iter().find(|storage| storage.name() == name)
    }
}

/// What the node says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetsStorageNode {
    /// Where offsets are read.
    pub storage: OffsetsStorage,
    /// Where they are to be, while they are being moved.
    pub migrating_to: Option<OffsetsStorage>,
}

#[derive(Serialize)]
struct Written {
    version: i32,
    storage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    migrating_to: Option<&'static str>,
}

#[derive(Deserialize)]
struct Read {
    storage: String,
    migrating_to: Option<String>,
}

impl OffsetsStorageNode {
    /// A storage at rest.
    pub fn of(storage: OffsetsStorage) -> OffsetsStorageNode {
        OffsetsStorageNode { storage, migrating_to: None }
    }

    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let migrating_to = self.migrating_to.map(OffsetsStorage::name);
        to_json(&Written { version: 1, storage: self.storage.name(), migrating_to })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<OffsetsStorageNode, DataError> {
        let read: Read = from_json(NODE, data)?;
        let known = |name: String| {
            OffsetsStorage::from_name(&name)
                .ok_or_else(|| error(NODE, format!("\"{}\"", name.escape_debug())))
        };
        let storage = known(read.storage)?;
        let migrating_to = read.migrating_to.map(known).transpose()?.filter(|to| *to != storage);
        Ok(OffsetsStorageNode { storage, migrating_to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let node = OffsetsStorageNode::of(OffsetsStorage::ZooKeeper);
        assert_eq!(node.encode(), r#"{"version":1,"storage":"zookeeper"}"#.as_bytes());
        let moving = OffsetsStorageNode { migrating_to: Some(OffsetsStorage::Kafka), ..node };
        assert_eq!(
            moving.encode(),
            r#"{"version":1,"storage":"zookeeper","migrating_to":"kafka"}"#.as_bytes()
        );
        for node in [node, moving] {
            assert_eq!(OffsetsStorageNode::decode(&node.encode()).unwrap(), node);
        }
        for bad in ["", "{}", r#"{"storage":"disk"}"#, r#"{"storage":"kafka","migrating_to":"x"}"#] {
            assert!(OffsetsStorageNode::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
