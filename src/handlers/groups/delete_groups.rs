//! DeleteGroups, versions 0-2: groups without members go, with all their offsets.

use crate::common::ErrorCode;
use crate::coordinator::group::offsets::OffsetsStorage;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};
use bytestring::ByteString;
use std::collections::HashSet;
use std::sync::Arc;

/// Deletes each group, once.
pub async fn handle(broker: Arc<Broker>, _: Call, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let (mut response, mut seen) = (DeleteGroupsResponse::default(), HashSet::new());
    for id in request.groups_names {
        if seen.insert(id.clone()) {
            let code = delete(&broker, &id).await.err().unwrap_or(ErrorCode::None);
            let result = DeletableGroupResult { group_id: id, error_code: code.code(), ..Default::default() };
            response.results.push(result);
        }
    }
    response
}

async fn delete(broker: &Broker, id: &ByteString) -> Result<(), ErrorCode> {
    let fence = broker.groups.fence_of(id);
    let deleted = broker.groups.delete(id);
    let is_own = matches!(deleted, Ok(()) | Err(ErrorCode::GroupIdNotFound));
    if broker.groups.storage_of(id) == OffsetsStorage::Kafka || !is_own {
        return deleted;
    }
    let count = broker.groups.zookeeper_offsets().delete_group(id.clone(), fence?).await;
    match count.map_err(|error| error.code())? {
        0 => deleted,
        _ => Ok(()),
    }
}
