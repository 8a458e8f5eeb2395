//! `/config/changes/config_change_N`, sequential: which configuration to read again.
//!
//! ```text
//! {"version":2,"entity_path":"users/alice/clients/c1"}
//! {"version":1,"entity_type":"topics","entity_name":"t"}
//! ```
//! Version 2 is written, both are read. Kafka's `DynamicConfigManager`.

use super::{Bytes, DataError, error, from_json, to_json};
use crate::zk::paths::CONFIG_ENTITY_TYPES;
use serde::Serialize;
use serde_json::Value;

const NODE: &str = "configuration change";

/// A configuration that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigChange {
    /// One of [`CONFIG_ENTITY_TYPES`].
    pub entity_type: String,
    /// The rest of the path, sanitised: `alice/clients/c1`.
    pub entity_name: String,
}

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    entity_path: &'a str,
}

/// Writes one; `entity_path` as below `/config`.
pub fn encode(entity_path: &str) -> Bytes {
    to_json(&Written { version: 2, entity_path })
}

/// Reads one.
pub fn decode(data: &[u8]) -> Result<ConfigChange, DataError> {
    let json: Value = from_json(NODE, data)?;
    let text = |key: &str| json.get(key).and_then(Value::as_str);
    let change = match json.get("version").and_then(Value::as_i64) {
        Some(1) => text("entity_type").filter(|t| ["topics", "clients"].contains(t)).zip(text("entity_name")),
        Some(2) => {
            let split = text("entity_path").and_then(|path| path.split_once('/'));
            split.filter(|(entity_type, _)| CONFIG_ENTITY_TYPES.contains(entity_type))
        }
        version => return Err(error(NODE, format!("version {version:?}"))),
    };
    match change {
        Some((entity_type, entity_name)) if !entity_name.is_empty() => {
            let (entity_type, entity_name) = (entity_type.to_string(), entity_name.to_string());
            Ok(ConfigChange { entity_type, entity_name })
        }
        _ => Err(error(NODE, json)),
    }
}
