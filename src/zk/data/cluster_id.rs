//! `/cluster/id`: `{"version":"1","id":"22 characters"}`. The version is text here (KIP-78).

use super::{Bytes, DataError, from_json, to_json};
use serde::{Deserialize, Serialize};

#[derive(Serialize)]
struct Written<'a> {
    version: &'a str,
    id: &'a str,
}

#[derive(Deserialize)]
struct Read {
    id: String,
}

/// Writes it.
pub fn encode(id: &str) -> Bytes {
    to_json(&Written { version: "1", id })
}

/// Reads it.
pub fn decode(data: &[u8]) -> Result<String, DataError> {
    from_json::<Read>("cluster id", data).map(|read| read.id)
}
