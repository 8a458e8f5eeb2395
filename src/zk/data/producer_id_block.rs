//! `/latest_producer_id_block`: the block claimed last. Both ends belong to it, and both are text.
//! `{"version":1,"broker":1,"block_start":"0","block_end":"999"}`

use super::{Bytes, DataError, error, from_json, to_json};
use crate::common::{BrokerId, ProducerId};
use serde::{Deserialize, Serialize};

const NODE: &str = "producer id block";

/// A block of producer ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerIdBlock {
    /// Who claimed it.
    pub broker_id: BrokerId,
    /// First id.
    pub first: ProducerId,
    /// Last id.
    pub last: ProducerId,
}

#[derive(Serialize)]
struct Written {
    version: i32,
    broker: BrokerId,
    block_start: String,
    block_end: String,
}

#[derive(Deserialize)]
struct Read {
    broker: BrokerId,
    block_start: String,
    block_end: String,
}

impl ProducerIdBlock {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let (block_start, block_end) = (self.first.to_string(), self.last.to_string());
        to_json(&Written { version: 1, broker: self.broker_id, block_start, block_end })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<ProducerIdBlock, DataError> {
        let read: Read = from_json(NODE, data)?;
        let number = |text: &str| {
            let number = text.parse::<ProducerId>().ok().filter(|number| *number >= 0);
            number.ok_or_else(|| error(NODE, format!("\"{}\" is not an id", text.escape_debug())))
        };
        let (first, last) = (number(&read.block_start)?, number(&read.block_end)?);
        Ok(ProducerIdBlock { broker_id: read.broker, first, last })
    }
}
