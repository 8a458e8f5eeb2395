//! `/log_dir_event_notification/log_dir_event_N`, sequential: a broker has lost a log directory (KIP-112).
//! `{"version":1,"broker":1,"event":1}`

use super::{Bytes, DataError, from_json, to_json};
use crate::common::BrokerId;
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Written {
    version: i32,
    broker: BrokerId,
    event: i32,
}

#[derive(Deserialize)]
struct Read {
    broker: BrokerId,
}

/// Writes one; a failed directory is the only event there is.
pub fn encode(broker_id: BrokerId) -> Bytes {
    to_json(&Written { version: 1, broker: broker_id, event: 1 })
}

/// Reads whose directory failed.
pub fn decode(data: &[u8]) -> Result<BrokerId, DataError> {
    from_json::<Read>("log directory event", data).map(|read| read.broker)
}
