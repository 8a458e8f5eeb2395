//! JSON files that tools read, with the exceptions of Kafka's `Json`.

use super::exception::Exception;
use crate::common::TopicPartition;
use bytestring::ByteString;
use serde_json::{Map, Value};

fn mapping(message: String) -> Exception {
    Exception::new("com.fasterxml.jackson.databind.JsonMappingException", message)
}

/// Reads a text file.
pub fn read_file(path: &str) -> Result<String, Exception> {
    std::fs::read_to_string(path).map_err(|error| {
        let cause = match error.kind() {
            std::io::ErrorKind::NotFound => Exception::new("java.nio.file.NoSuchFileException", path),
            _ => Exception::new("java.io.IOException", format!("{path}: {error}")),
        };
        Exception::new("java.io.IOException", format!("Unable to read file {path}")).caused_by(cause)
    })
}

/// `Json.parseFull`: no value for what is no JSON.
pub fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

/// The value as an object.
pub fn object(value: &Value) -> Result<&Map<String, Value>, Exception> {
    value.as_object().ok_or_else(|| mapping(format!("Expected JSON object, received {value}")))
}

/// The value as an array.
pub fn array(value: &Value) -> Result<&Vec<Value>, Exception> {
    value.as_array().ok_or_else(|| mapping(format!("Expected JSON array, received {value}")))
}

/// A field that must be there.
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a Value, Exception> {
    object.get(name).ok_or_else(|| mapping(format!("No such field exists: `{name}`")))
}

/// The value as text.
pub fn string(value: &Value) -> Result<&str, Exception> {
    value.as_str().ok_or_else(|| mapping(format!("Expected `String` value, received {value}")))
}

/// The value as a number of 32 bits.
pub fn int(value: &Value) -> Result<i32, Exception> {
    let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
    number.ok_or_else(|| mapping(format!("Expected `Int` value, received {value}")))
}

/// The value as a number of 64 bits.
pub fn long(value: &Value) -> Result<i64, Exception> {
    value.as_i64().ok_or_else(|| mapping(format!("Expected `Long` value, received {value}")))
}

/// The fields `topic` and `partition`.
pub fn topic_partition(object: &Map<String, Value>) -> Result<TopicPartition, Exception> {
    let topic = ByteString::from(string(field(object, "topic")?)?);
    Ok(TopicPartition::new(topic, int(field(object, "partition")?)?))
}

/// Elements that stand there more than once, each named once, in order.
pub fn duplicates<T: PartialEq + Clone>(all: &[T]) -> Vec<T> {
    let mut twice: Vec<T> = Vec::new();
    for (i, element) in all.iter().enumerate() {
        if all[..i].contains(element) && !twice.contains(element) {
            twice.push(element.clone());
        }
    }
    twice
}

/// Elements as Scala's `mkString` joins them.
pub fn joined<T: std::fmt::Display>(elements: &[T], separator: &str) -> String {
    elements.iter().map(ToString::to_string).collect::<Vec<_>>().join(separator)
}
