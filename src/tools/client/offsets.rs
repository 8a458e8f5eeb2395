//! ListOffsets: where partitions begin and end, and what stands at a time.

use super::{CallError, Network};
use crate::common::{BrokerId, ErrorCode, Offset};
use crate::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use bytestring::ByteString;
use std::collections::BTreeMap;

/// "The end" as a timestamp.
pub const LATEST: i64 = -1;
/// "The beginning" as a timestamp.
pub const EARLIEST: i64 = -2;

/// An offset, or why there is none, of a partition.
pub type Found = (ByteString, i32, Result<Offset, ErrorCode>);

/// Asks a leader for the offsets of some of its partitions: topic, partition, timestamp. An offset of -1 says
/// that nothing is as young as the timestamp.
pub fn list_offsets(
    network: &mut Network,
    leader: BrokerId,
    asked: &[(ByteString, i32, i64)],
    read_committed: bool,
    deadline_ms: i64,
) -> Result<Vec<Found>, CallError> {
    let mut topics: BTreeMap<ByteString, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (topic, partition, timestamp) in asked {
        topics.entry(topic.clone()).or_default().push(ListOffsetsPartition {
            partition_index: *partition,
            timestamp: *timestamp,
            ..Default::default()
        });
    }
    let topic = |(name, partitions)| ListOffsetsTopic { name, partitions, ..Default::default() };
    let request = ListOffsetsRequest {
        replica_id: -1,
        isolation_level: read_committed.into(),
        topics: topics.into_iter().map(topic).collect(),
        ..Default::default()
    };
    let response = network.call(leader, &request, deadline_ms)?;
    let mut found = Vec::new();
    for topic in response.topics {
        for partition in topic.partitions {
            // Version 0 gives a list, the newest first.
            let offset = partition.old_style_offsets.first().copied().unwrap_or(partition.offset);
            let outcome = match ErrorCode::from_code(partition.error_code) {
                ErrorCode::None => Ok(offset),
                code => Err(code),
            };
            found.push((topic.name.clone(), partition.partition_index, outcome));
        }
    }
    Ok(found)
}
