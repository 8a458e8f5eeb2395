//! `/ottla/offsets_storage/P`: the offsets of the groups of partition P of `__consumer_offsets` have been moved. Stands
//! as long as the move of the others goes on.
//!
//! ```text
//! {"version":1,"storage":"kafka","broker":1,"groups":3,"offsets":17}
//! ```

use super::offsets_storage::OffsetsStorage;
use super::{Bytes, DataError, error, from_json, to_json};
use crate::common::BrokerId;
use serde::{Deserialize, Serialize};

const NODE: &str = "mark of moved offsets";

/// What was moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OffsetsMoved {
    /// Where to.
    pub storage: OffsetsStorage,
    /// By whom.
    pub broker: BrokerId,
    /// Groups that had offsets.
    pub groups: usize,
    /// Their offsets.
    pub offsets: usize,
}

#[derive(Serialize)]
struct Written {
    version: i32,
    storage: &'static str,
    broker: BrokerId,
    groups: usize,
    offsets: usize,
}

#[derive(Deserialize)]
struct Read {
    storage: String,
    broker: BrokerId,
    groups: usize,
    offsets: usize,
}

impl OffsetsMoved {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let OffsetsMoved { storage, broker, groups, offsets } = *self;
        to_json(&Written { version: 1, storage: storage.name(), broker, groups, offsets })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<OffsetsMoved, DataError> {
        let Read { storage, broker, groups, offsets } = from_json(NODE, data)?;
        let storage =
            OffsetsStorage::from_name(&storage).ok_or_else(|| error(NODE, storage.escape_debug()))?;
        Ok(OffsetsMoved { storage, broker, groups, offsets })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let moved = OffsetsMoved { storage: OffsetsStorage::Kafka, broker: 1, groups: 3, offsets: 17 };
        let json = r#"{"version":1,"storage":"kafka","broker":1,"groups":3,"offsets":17}"#;
        assert_eq!(moved.encode(), json.as_bytes());
        assert_eq!(OffsetsMoved::decode(json.as_bytes()).unwrap(), moved);
        assert!(OffsetsMoved::decode(br#"{"storage":"x","broker":1,"groups":3,"offsets":1}"#).is_err());
    }
}
