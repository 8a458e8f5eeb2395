//! `/consumers/G/ids/C`, ephemeral: an old consumer and what it wants (`kafka.consumer.TopicCount`).
//!
//! ```text
//! {"version":1,"subscription":{"t":2},"pattern":"static","timestamp":"1700000000000"}
//! ```
//! `pattern` is `static`, `white_list` or `black_list`; with the latter two the only key of `subscription` is a regular
//! expression. The number is that of the consumer's threads.

use super::{Bytes, DataError, error, from_json, to_json};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const NODE: &str = "consumer";

/// What an old consumer wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// These topics, each with a number of threads.
    Static(BTreeMap<String, i32>),
    /// Topics that the expression matches.
    WhiteList(String, i32),
    /// Topics that the expression does not match.
    BlackList(String, i32),
}

/// An old consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerRegistration {
    /// What it wants.
    pub subscription: Subscription,
    /// When it registered.
    pub timestamp_ms: i64,
}

#[derive(Serialize)]
struct Written<'a> {
    version: i32,
    subscription: BTreeMap<&'a str, i32>,
    pattern: &'a str,
    timestamp: String,
}

#[derive(Deserialize)]
struct Read {
    subscription: BTreeMap<String, i32>,
    pattern: String,
    timestamp: Option<serde_json::Value>,
}

impl ConsumerRegistration {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let one = |expression, threads| BTreeMap::from([(expression, threads)]);
        let (pattern, subscription) = match &self.subscription {
            Subscription::Static(topics) => {
                ("static", topics.iter().map(|(topic, threads)| (topic.as_str(), *threads)).collect())
            }
            Subscription::WhiteList(expression, threads) => {
                ("white_list", one(expression.as_str(), *threads))
            }
            Subscription::BlackList(expression, threads) => {
                ("black_list", one(expression.as_str(), *threads))
            }
        };
        to_json(&Written { version: 1, subscription, pattern, timestamp: self.timestamp_ms.to_string() })
    }

    /// Reads it. As in Kafka, a pattern that is not known counts as static.
    pub fn decode(data: &[u8]) -> Result<ConsumerRegistration, DataError> {
        /// Threads of one consumer, at most: nobody makes that many, and each costs memory here.
        const THREADS_MAX: i32 = 10_000;
        let read: Read = from_json(NODE, data)?;
        if let Some((topic, threads)) =
            read.subscription.iter().find(|(_, n)| !(1..=THREADS_MAX).contains(*n))
        {
            return Err(error(NODE, format!("{threads} threads for {topic}")));
        }
        let timestamp_ms = match read.timestamp {
            Some(serde_json::Value::String(text)) => text.parse().unwrap_or(-1),
            Some(serde_json::Value::Number(number)) => number.as_i64().unwrap_or(-1),
            _ => -1,
        };
        let first = read.subscription.first_key_value().map(|(text, threads)| (text.clone(), *threads));
        let subscription = match (read.pattern.as_str(), first) {
            ("white_list", Some((expression, threads))) => Subscription::WhiteList(expression, threads),
            ("black_list", Some((expression, threads))) => Subscription::BlackList(expression, threads),
            _ => Subscription::Static(read.subscription),
        };
        Ok(ConsumerRegistration { subscription, timestamp_ms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_consumer_of_1_1_1_writes_it() {
        let registration =
            ConsumerRegistration { subscription: Subscription::WhiteList("tzk".into(), 1), timestamp_ms: 5 };
        let json = r#"{"version":1,"subscription":{"tzk":1},"pattern":"white_list","timestamp":"5"}"#;
        assert_eq!(registration.encode(), json.as_bytes());
        for subscription in [
            Subscription::WhiteList("a\\.b|c".into(), 1),
            Subscription::BlackList("\"x\"".into(), 3),
            Subscription::Static(BTreeMap::from([("a".into(), 1), ("b".into(), 2)])),
        ] {
            let registration = ConsumerRegistration { subscription, timestamp_ms: 7 };
            assert_eq!(ConsumerRegistration::decode(&registration.encode()).unwrap(), registration);
        }
    }

    #[test]
    fn garbage_is_an_error() {
        for bad in [
            "",
            "{}",
            r#"{"pattern":"static"}"#,
            r#"{"subscription":{"t":0},"pattern":"static"}"#,
            r#"{"subscription":{"t":2147483647},"pattern":"static"}"#,
        ] {
            assert!(ConsumerRegistration::decode(bad.as_bytes()).is_err(), "{bad}");
        }
        let empty = ConsumerRegistration::decode(br#"{"subscription":{},"pattern":"white_list"}"#).unwrap();
        assert_eq!(empty.subscription, Subscription::Static(BTreeMap::new()));
    }
}
