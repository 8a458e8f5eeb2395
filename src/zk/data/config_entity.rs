//! `/config/TYPE/NAME`: `{"version":1,"config":{"retention.ms":"1000"}}`.

use super::{Bytes, DataError, error, from_json, to_json};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

const NODE: &str = "configuration";

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    config: &'a BTreeMap<String, String>,
}

/// Writes it.
pub fn encode(config: &BTreeMap<String, String>) -> Bytes {
    to_json(&Written { version: 1, config })
}

/// Reads it. A node without data, such as the parent of a user's clients, and one without `config` have no entries.
pub fn decode(data: &[u8]) -> Result<BTreeMap<String, String>, DataError> {
    if data.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut json: Value = from_json(NODE, data)?;
    let Some(Value::Object(config)) = json.get_mut("config").map(Value::take) else {
        return Ok(BTreeMap::new());
    };
    let text = |(key, value): (String, Value)| match value {
        Value::String(text) => Ok((key, text)),
        other => Err(error(NODE, format!("{key} is not text but {other}"))),
    };
    config.into_iter().map(text).collect()
}
