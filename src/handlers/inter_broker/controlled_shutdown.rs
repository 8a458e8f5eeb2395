//! ControlledShutdown, versions 0-3, on the controller: moves leaderships off a broker that wants to stop.
//!
//! A broker that is not the controller answers STALE_CONTROLLER_EPOCH: the asker looks for another one.

use crate::common::ErrorCode;
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::controlled_shutdown::{
    ControlledShutdownRequest, ControlledShutdownResponse, RemainingPartition,
};
use std::sync::Arc;

/// Serves the request, from the wire or of this very broker.
pub async fn apply(broker: Arc<Broker>, request: ControlledShutdownRequest) -> ControlledShutdownResponse {
    let answer = match broker.controller.get() {
        Some(controller) => controller.controlled_shutdown(request.broker_id, request.broker_epoch).await,
        None => Err(ErrorCode::NotController),
    };
    match answer {
        Ok(remaining) => {
            let partition = |tp: crate::common::TopicPartition| RemainingPartition {
                topic_name: tp.topic,
                partition_index: tp.partition,
                ..Default::default()
            };
            ControlledShutdownResponse {
                remaining_partitions: remaining.into_iter().map(partition).collect(),
                ..Default::default()
            }
        }
        Err(ErrorCode::NotController) => refused(ErrorCode::StaleControllerEpoch),
        Err(code) => refused(code),
    }
}

fn refused(code: ErrorCode) -> ControlledShutdownResponse {
    ControlledShutdownResponse { error_code: code.code(), ..Default::default() }
}
