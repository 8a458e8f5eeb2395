//! `/admin/reassign_partitions`: the old tools' reassignment.
//!
//! ```text
//! {"version":1,"partitions":[{"topic":"t","partition":0,"replicas":[3,4]}]}
//! ```

use super::{Bytes, DataError, from_json, to_json};
use crate::common::{BrokerId, TopicPartition};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Entry {
    topic: String,
    partition: i32,
    replicas: Vec<BrokerId>,
}

#[derive(Serialize)]
struct Written {
    version: i32,
    partitions: Vec<Entry>,
}

#[derive(Deserialize)]
struct Read {
    partitions: Vec<Entry>,
}

/// Writes it.
pub fn encode(partitions: &[(TopicPartition, Vec<BrokerId>)]) -> Bytes {
    let entry = |(tp, replicas): &(TopicPartition, Vec<BrokerId>)| Entry {
        topic: tp.topic.to_string(),
        partition: tp.partition,
        replicas: replicas.clone(),
    };
    to_json(&Written { version: 1, partitions: partitions.iter().map(entry).collect() })
}

/// Reads it, in its order. Of a partition that stands twice the last counts in Kafka; that is the caller's to see.
pub fn decode(data: &[u8]) -> Result<Vec<(TopicPartition, Vec<BrokerId>)>, DataError> {
    let read: Read = from_json("reassignment", data)?;
    let pair = |entry: Entry| (TopicPartition::new(entry.topic, entry.partition), entry.replicas);
    Ok(read.partitions.into_iter().map(pair).collect())
}
