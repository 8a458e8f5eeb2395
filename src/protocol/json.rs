//! Kafka's JSON view of a message, as its request log and its tools print it: names in camel case, bytes
//! in base64, record sets as their size, fields that the version lacks left out.

use super::field::{Field, Layout};
use super::message::Message;
use serde_json::{Map, Value};

/// The JSON view of `message` in `version`.
pub fn to_json<M: Message>(message: &M, version: i16) -> Value {
    Field::to_json(message, Layout::of::<M>(version))
}

/// Adds field `name`, which is in Rust's case.
pub(crate) fn insert<T: Field>(object: &mut Map<String, Value>, name: &str, value: &T, layout: Layout) {
    let name = name.trim_start_matches("r#");
    if (name == "records" || name == "record_set")
        && let Some(size) = value.size_bytes()
    {
        object.insert(camel_case(name) + "SizeInBytes", Value::from(size));
    } else {
        object.insert(camel_case(name), value.to_json(layout));
    }
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.split('_') {
        let at = camel.len();
        camel.push_str(word);
        if at > 0 {
            camel[at..at + 1].make_ascii_uppercase();
        }
    }
    camel
}

/// Padded base64 of RFC 4648.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group =
            chunk.iter().fold(0u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for digit in 0..4 {
            let sextet = (group >> (18 - 6 * digit)) & 0x3f;
            text.push(if digit <= chunk.len() { ALPHABET[sextet as usize].into() } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_javas() {
        assert_eq!(camel_case("v0_host"), "v0Host");
        assert_eq!(camel_case("throttle_time_ms"), "throttleTimeMs");
    }

    #[test]
    fn base64_pads() {
        let texts = ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="];
        for (size, text) in texts.iter().enumerate() {
            assert_eq!(base64(&b"foob"[..size]), *text);
        }
    }
}
