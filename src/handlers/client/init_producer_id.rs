//! InitProducerId, versions 0-4, for idempotent producers (KIP-98, KIP-360).
//!
//! Left out: transactional ids, which need the transaction coordinator; a request that names one is told
//! that there is no coordinator here.

use crate::common::ErrorCode;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use std::sync::Arc;

/// Gives a fresh producer id with epoch 0.
pub async fn handle(broker: Arc<Broker>, _: Call, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let refused = |code: ErrorCode| InitProducerIdResponse {
        error_code: code.code(),
        producer_epoch: -1,
        ..Default::default()
    };
    if (request.producer_id == -1) != (request.producer_epoch == -1) {
        return refused(ErrorCode::InvalidRequest);
    }
    match &request.transactional_id {
        Some(id) if id.is_empty() => return refused(ErrorCode::InvalidRequest),
        Some(_)
            if !(1..=broker.config.transaction_max_timeout_ms).contains(&request.transaction_timeout_ms) =>
        {
            return refused(ErrorCode::InvalidTransactionTimeout);
        }
        Some(_) => return refused(ErrorCode::CoordinatorNotAvailable),
        None => {}
    }
    match broker.producer_ids.next().await {
        Ok(producer_id) => InitProducerIdResponse { producer_id, producer_epoch: 0, ..Default::default() },
        Err(_) => refused(ErrorCode::CoordinatorLoadInProgress),
    }
}
