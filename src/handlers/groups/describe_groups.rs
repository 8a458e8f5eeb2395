//! DescribeGroups, versions 0-5. A group that is not there is `Dead`, unless it has offsets in ZooKeeper.

use crate::coordinator::group::offsets::OffsetsStorage;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::operations;
use crate::protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup,
};
use bytestring::ByteString;
use std::sync::Arc;

const DEAD: &str = "Dead";

/// Describes each group.
pub async fn handle(broker: Arc<Broker>, _: Call, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let mut response = DescribeGroupsResponse::default();
    for id in &request.groups {
        let mut group = broker.groups.describe(id);
        if group.group_state == DEAD && has_offsets_in_store(&broker, id).await {
            group.group_state = ByteString::from_static("Empty");
        }
        if request.include_authorized_operations && group.error_code == 0 {
            group.authorized_operations = operations::GROUP;
        }
        response.groups.push(DescribedGroup { group_id: id.clone(), ..group });
    }
    response
}

async fn has_offsets_in_store(broker: &Broker, id: &ByteString) -> bool {
    broker.groups.storage_of(id) == OffsetsStorage::ZooKeeper
        && broker.groups.zookeeper_offsets().fetch_all(id.clone()).await.is_ok_and(|found| !found.is_empty())
}
