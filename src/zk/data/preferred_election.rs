//! `/admin/preferred_replica_election`: partitions whose first replica shall lead again.
//!
//! ```text
//! {"version":1,"partitions":[{"topic":"t","partition":0}]}
//! ```

use super::isr_change::{Partition, read, write};
use super::{Bytes, DataError, from_json, to_json};
use crate::common::TopicPartition;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Written {
    version: i32,
    partitions: Vec<Partition>,
}

#[derive(Deserialize)]
struct Read {
    partitions: Vec<Partition>,
}

/// Writes it.
pub fn encode<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Bytes {
    to_json(&Written { version: 1, partitions: write(partitions) })
}

/// Reads it.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, DataError> {
    from_json::<Read>("preferred replica election", data).map(|json| read(json.partitions))
}
