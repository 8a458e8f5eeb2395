//! InitProducerId, versions 0-4 (KIP-98, KIP-360; KIP-588 from version 4 on).
//!
//! Without a transactional id any broker gives a fresh producer id. With one its coordinator does, and fences whoever
//! had it before.

use super::transactions::fenced_code;
use crate::common::{ErrorCode, ProducerEpoch, ProducerId};
use crate::coordinator::transaction::Producer;
use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

const NO_PRODUCER_ID: ProducerId = -1;
const NO_PRODUCER_EPOCH: ProducerEpoch = -1;
/// From this version on PRODUCER_FENCED is understood.
const FENCED_VERSION_MIN: i16 = 4;

type Given = Pin<Box<dyn Future<Output = Result<Producer, ErrorCode>> + Send>>;

/// Gives a producer id and an epoch.
pub fn handle(
    broker: Arc<Broker>,
    call: Call,
    request: InitProducerIdRequest,
) -> impl Future<Output = InitProducerIdResponse> + Send {
    let given = give(broker, request);
    async move {
        match given.await {
            Ok(producer) => InitProducerIdResponse {
                producer_id: producer.id,
                producer_epoch: producer.epoch,
                ..Default::default()
            },
            Err(code) => InitProducerIdResponse {
                error_code: fenced_code(code, call.version, FENCED_VERSION_MIN).code(),
                producer_epoch: NO_PRODUCER_EPOCH,
                ..Default::default()
            },
        }
    }
}

fn give(broker: Arc<Broker>, request: InitProducerIdRequest) -> Given {
    let expected = match (request.producer_id, request.producer_epoch) {
        (NO_PRODUCER_ID, NO_PRODUCER_EPOCH) => None,
        (NO_PRODUCER_ID, _) | (_, NO_PRODUCER_EPOCH) => {
            return Box::pin(std::future::ready(Err(ErrorCode::InvalidRequest)));
        }
        (id, epoch) => Some(Producer { id, epoch }),
    };
    match request.transactional_id {
        Some(id) => {
            Box::pin(broker.transactions.init_producer_id(id, request.transaction_timeout_ms, expected))
        }
        None => Box::pin(async move {
            let id = broker.producer_ids.next().await.map_err(|_| ErrorCode::CoordinatorLoadInProgress)?;
            Ok(Producer { id, epoch: 0 })
        }),
    }
}
