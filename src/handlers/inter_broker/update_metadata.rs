//! UpdateMetadata, versions 0-7: the controller's picture of the cluster.

use super::fence;
use crate::common::ErrorCode;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::update_metadata::{UpdateMetadataRequest, UpdateMetadataResponse};
use std::sync::Arc;

/// Replaces brokers, merges partitions.
pub async fn handle(broker: Arc<Broker>, _: Call, request: UpdateMetadataRequest) -> UpdateMetadataResponse {
    apply(&broker, &request)
}

/// The same without a connection, for the controller on this broker.
pub fn apply(broker: &Broker, request: &UpdateMetadataRequest) -> UpdateMetadataResponse {
    if let Err(code) = fence(broker, request.broker_epoch, request.controller_epoch) {
        return UpdateMetadataResponse { error_code: code.code(), ..Default::default() };
    }
    let deleted = broker.metadata.update(request);
    broker.groups.topics_deleted(&deleted);
    UpdateMetadataResponse { error_code: ErrorCode::None.code(), ..Default::default() }
}
