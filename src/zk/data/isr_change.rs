//! `/isr_change_notification/isr_change_N`, sequential: partitions whose in-sync replicas a leader has changed.
//!
//! ```text
//! {"version":1,"partitions":[{"topic":"t","partition":0}]}
//! ```

use super::{Bytes, DataError, from_json, to_json};
use crate::common::TopicPartition;
use serde::{Deserialize, Serialize};

/// Most partitions in one node: well below what ZooKeeper accepts, whatever their names. Kafka has no bound, and
/// cannot write the node when it is too large.
pub const PARTITIONS_MAX: usize = 3_000;

#[derive(Serialize, Deserialize)]
struct Partition {
    topic: String,
    partition: i32,
}

#[derive(Serialize)]
struct Written {
    version: i32,
    partitions: Vec<Partition>,
}

#[derive(Deserialize)]
struct Read {
    partitions: Vec<Partition>,
}

/// Writes one; split longer lists at [`PARTITIONS_MAX`].
pub fn encode<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Bytes {
    to_json(&Written { version: 1, partitions: write(partitions) })
}

/// Reads one.
pub fn decode(data: &[u8]) -> Result<Vec<TopicPartition>, DataError> {
    decode_list("ISR change", data)
}

/// Reads a list of partitions; `what` it is stands in the error.
pub(super) fn decode_list(what: &'static str, data: &[u8]) -> Result<Vec<TopicPartition>, DataError> {
    from_json::<Read>(what, data).map(|json| read(json.partitions))
}

fn write<'a>(partitions: impl IntoIterator<Item = &'a TopicPartition>) -> Vec<Partition> {
    let write = |tp: &TopicPartition| Partition { topic: tp.topic.to_string(), partition: tp.partition };
    partitions.into_iter().map(write).collect()
}

fn read(partitions: Vec<Partition>) -> Vec<TopicPartition> {
    partitions.into_iter().map(|p| TopicPartition::new(p.topic, p.partition)).collect()
}
