//! The verifiable tools' lines: one event each, a JSON object as Jackson writes it.

use crate::common::clock;
use serde_json::{Map, Value};

/// Prints an event: the time, its name, and its fields in order.
pub fn print(name: &str, fields: Vec<(&str, Value)>) {
    let mut event = Map::new();
    event.insert("timestamp".to_string(), clock::now_ms().into());
    event.insert("name".to_string(), name.into());
    for (key, value) in fields {
        event.insert(key.to_string(), value);
    }
    out_line!("{}", Value::Object(event));
}

/// A text, or null.
pub fn text(bytes: Option<&[u8]>) -> Value {
    bytes.map_or(Value::Null, |bytes| String::from_utf8_lossy(bytes).into())
}
