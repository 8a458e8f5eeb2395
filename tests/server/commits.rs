//! OffsetCommit and OffsetFetch of one partition of topic `t`, by a client that is a member of nothing.

use kafka_protocol::messages::GroupId;
use kafka_protocol::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequest, OffsetFetchRequestTopic};
use kafka_protocol::protocol::StrBytes;

use crate::support::client::topic_name;
use crate::support::{Wire, wait_for};

fn words(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

fn group_id(group: &str) -> GroupId {
    GroupId(words(group))
}

/// Until some broker coordinates the group and has loaded it.
pub fn wait_for_coordinator(wire: &mut Wire, group: &str) {
    wait_for("coordinator", || {
        let request = FindCoordinatorRequest::default().with_key(words(group));
        (wire.call(1, &request).error_code == 0).then_some(())
    });
    wait_for("loaded groups", || try_fetch(wire, 2, group, 0).ok());
}

/// The error code of a commit; version 0 to 7.
pub fn commit(
    wire: &mut Wire,
    version: i16,
    group: &str,
    partition: i32,
    offset: i64,
    metadata: &str,
) -> i16 {
    wire.call(version, &commit_request(group, partition, offset, metadata)).topics[0].partitions[0].error_code
}

/// One offset for one partition.
pub fn commit_request(group: &str, partition: i32, offset: i64, metadata: &str) -> OffsetCommitRequest {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(partition)
        .with_committed_offset(offset)
        .with_committed_metadata(Some(words(metadata)));
    let topic =
        OffsetCommitRequestTopic::default().with_name(topic_name("t")).with_partitions(vec![partition]);
    OffsetCommitRequest::default().with_group_id(group_id(group)).with_topics(vec![topic])
}

/// Port of the group's coordinator, asked of any of the brokers that answer.
pub fn coordinator_port(ports: &[u16], group: &str) -> Option<u16> {
    let request = FindCoordinatorRequest::default().with_key(words(group));
    ports.iter().find_map(|port| {
        let found = Wire::try_connect(&format!("127.0.0.1:{port}")).ok()?.try_call(1, &request).ok()?;
        (found.error_code == 0).then_some(found.port as u16)
    })
}

/// Offset and metadata, or the error code.
pub fn try_fetch(wire: &mut Wire, version: i16, group: &str, partition: i32) -> Result<(i64, String), i16> {
    fetch_if_alive(wire, version, group, partition)
        .unwrap_or_else(|error| panic!("fetch of {group}: {error}"))
}

/// The same of a broker that may die.
pub fn fetch_if_alive(
    wire: &mut Wire,
    version: i16,
    group: &str,
    partition: i32,
) -> std::io::Result<Result<(i64, String), i16>> {
    let topic =
        OffsetFetchRequestTopic::default().with_name(topic_name("t")).with_partition_indexes(vec![partition]);
    let request = OffsetFetchRequest::default().with_group_id(group_id(group)).with_topics(Some(vec![topic]));
    let response = wire.try_call(version, &request)?;
    if response.error_code != 0 {
        return Ok(Err(response.error_code));
    }
    let found = &response.topics[0].partitions[0];
    Ok(match found.error_code {
        0 => Ok((found.committed_offset, found.metadata.as_deref().unwrap_or_default().to_string())),
        code => Err(code),
    })
}

/// Offset and metadata.
pub fn fetch(wire: &mut Wire, version: i16, group: &str, partition: i32) -> (i64, String) {
    try_fetch(wire, version, group, partition).unwrap_or_else(|code| panic!("fetch of {group}: error {code}"))
}
