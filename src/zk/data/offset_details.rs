//! `/consumers/G/offset_details/T/P`, our own node beside the old consumers' `/consumers/G/offsets/T/P`.
//!
//! ```text
//! {"version":1,"offset":17,"leader_epoch":3,"metadata":"text","commit_timestamp":"1700000000000",
//!  "expire_timestamp":"1700000000000"}
//! ```
//! `leader_epoch` and `expire_timestamp` only if they are known. Which number it belongs to is told by the
//! transaction that wrote both ([`crate::zk::offsets`]); `offset` is there for people.

use super::{Bytes, DataError, from_json, to_json};
use crate::common::{LeaderEpoch, Offset};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    offset: Offset,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader_epoch: Option<LeaderEpoch>,
    metadata: &'a str,
    commit_timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expire_timestamp: Option<String>,
}

#[derive(Deserialize)]
struct Read {
    offset: Offset,
    leader_epoch: Option<LeaderEpoch>,
    metadata: Option<String>,
    commit_timestamp: String,
    expire_timestamp: Option<String>,
}

/// A commit in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetDetails {
    /// The committed offset.
    pub offset: Offset,
    /// Epoch of the last consumed record's leader (KIP-320).
    pub leader_epoch: Option<LeaderEpoch>,
    /// The consumer's own words.
    pub metadata: String,
    /// When it was committed, in milliseconds since 1970.
    pub commit_timestamp_ms: i64,
    /// When it expires, if the commit said so.
    pub expire_timestamp_ms: Option<i64>,
}

impl OffsetDetails {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        to_json(&Written {
            version: 1,
            offset: self.offset,
            leader_epoch: self.leader_epoch,
            metadata: &self.metadata,
            commit_timestamp: self.commit_timestamp_ms.to_string(),
            expire_timestamp: self.expire_timestamp_ms.map(|ms| ms.to_string()),
        })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<OffsetDetails, DataError> {
        const NODE: &str = "offset details";
        let read: Read = from_json(NODE, data)?;
        let number = |text: &String| super::from_decimal(NODE, text.as_bytes());
        Ok(OffsetDetails {
            offset: read.offset,
            leader_epoch: read.leader_epoch.filter(|epoch| *epoch >= 0),
            metadata: read.metadata.unwrap_or_default(),
            commit_timestamp_ms: number(&read.commit_timestamp)?,
            expire_timestamp_ms: read.expire_timestamp.as_ref().map(number).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_and_garbage() {
        let mut details = OffsetDetails {
            offset: 17,
            leader_epoch: Some(3),
            metadata: "a \"b\"\n".into(),
            commit_timestamp_ms: 5,
            expire_timestamp_ms: Some(9),
        };
        let json = r#"{"version":1,"offset":17,"leader_epoch":3,"metadata":"a \"b\"\n","commit_timestamp":"5","expire_timestamp":"9"}"#;
        assert_eq!(details.encode(), json.as_bytes());
        assert_eq!(OffsetDetails::decode(json.as_bytes()).unwrap(), details);
        details.leader_epoch = None;
        details.expire_timestamp_ms = None;
        assert_eq!(OffsetDetails::decode(&details.encode()).unwrap(), details);
        for bad in ["", "17", "{}", r#"{"offset":1,"commit_timestamp":5}"#, "\u{fffd}", "[[[["] {
            assert!(OffsetDetails::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
