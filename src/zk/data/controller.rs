//! `/controller`, ephemeral: `{"version":1,"brokerid":1,"timestamp":"1700000000000"}`. Kafka 3.x adds
//! `kraftControllerEpoch` and says version 2.
//!
//! `/controller_epoch`: decimal text, the number of elections so far.

use super::{Bytes, DataError, error, from_decimal, from_json, to_json};
use crate::common::{BrokerId, ControllerEpoch};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Written {
    version: i32,
    brokerid: BrokerId,
    timestamp: String,
}

#[derive(Deserialize)]
struct Read {
    brokerid: BrokerId,
}

/// Writes `/controller`.
pub fn encode(broker_id: BrokerId, now_ms: i64) -> Bytes {
    to_json(&Written { version: 1, brokerid: broker_id, timestamp: now_ms.to_string() })
}

/// Reads who is the controller.
pub fn decode(data: &[u8]) -> Result<BrokerId, DataError> {
    from_json::<Read>("controller node", data).map(|read| read.brokerid)
}

/// Writes `/controller_epoch`.
pub fn encode_epoch(epoch: ControllerEpoch) -> Bytes {
    Bytes::from(epoch.to_string())
}

/// Reads `/controller_epoch`, which is never negative.
pub fn decode_epoch(data: &[u8]) -> Result<ControllerEpoch, DataError> {
    const NODE: &str = "controller epoch";
    let epoch: ControllerEpoch = from_decimal(NODE, data)?;
    if epoch < 0 { Err(error(NODE, format!("{epoch} is negative"))) } else { Ok(epoch) }
}
