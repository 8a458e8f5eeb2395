//! What values the properties of producers and consumers may have, with the words of Kafka's `ConfigDef`.
//!
//! Source: Kafka 2.8.2, `ProducerConfig.java`, `ConsumerConfig.java`, `ConfigDef.java`.

use super::network::bad_value;
use crate::config::Properties;
use crate::tools::exception::Exception;

/// What a property holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A 32-bit number not below this.
    Int(i64),
    /// A 64-bit number not below this.
    Long(i64),
    /// `true` or `false`.
    Boolean,
    /// Names of Java classes, of which there are none here.
    Classes,
}
use Kind::{Boolean, Classes, Int, Long};

/// Of producers and consumers alike.
const COMMON: &[(&str, Kind)] = &[
    ("send.buffer.bytes", Int(-1)),
    ("receive.buffer.bytes", Int(-1)),
    ("reconnect.backoff.ms", Long(0)),
    ("reconnect.backoff.max.ms", Long(0)),
    ("retry.backoff.ms", Long(0)),
    ("request.timeout.ms", Int(0)),
    ("metadata.max.age.ms", Long(0)),
    ("metrics.sample.window.ms", Long(0)),
    ("metrics.num.samples", Int(1)),
    ("socket.connection.setup.timeout.ms", Long(i64::MIN)),
    ("socket.connection.setup.timeout.max.ms", Long(i64::MIN)),
    ("connections.max.idle.ms", Long(i64::MIN)),
    ("metric.reporters", Classes),
    ("interceptor.classes", Classes),
];

/// Of producers.
pub const PRODUCER: &[(&str, Kind)] = &[
    ("buffer.memory", Long(0)),
    ("retries", Int(0)),
    ("batch.size", Int(0)),
    ("linger.ms", Long(0)),
    ("delivery.timeout.ms", Int(0)),
    ("max.request.size", Int(0)),
    ("max.block.ms", Long(0)),
    ("metadata.max.idle.ms", Long(5000)),
    ("max.in.flight.requests.per.connection", Int(1)),
    ("enable.idempotence", Boolean),
    ("transaction.timeout.ms", Int(i64::MIN)),
];

/// Of consumers.
pub const CONSUMER: &[(&str, Kind)] = &[
    ("session.timeout.ms", Int(i64::MIN)),
    ("heartbeat.interval.ms", Int(i64::MIN)),
    ("enable.auto.commit", Boolean),
    ("auto.commit.interval.ms", Int(0)),
    ("max.partition.fetch.bytes", Int(0)),
    ("fetch.min.bytes", Int(0)),
    ("fetch.max.bytes", Int(0)),
    ("fetch.max.wait.ms", Int(0)),
    ("check.crcs", Boolean),
    ("default.api.timeout.ms", Int(0)),
    ("max.poll.records", Int(1)),
    ("max.poll.interval.ms", Int(1)),
    ("exclude.internal.topics", Boolean),
    ("allow.auto.create.topics", Boolean),
];

/// Checks what is set. A bad value is a `ConfigException`, a class a `KafkaException`: `construction` says of what.
pub fn check(
    properties: &Properties,
    own: &[(&str, Kind)],
    construction: impl Fn(Exception) -> Exception,
) -> Result<(), Exception> {
    for (key, kind) in COMMON.iter().chain(own) {
        let Some(text) = properties.get(key) else { continue };
        match kind {
            Int(_) if text.trim().parse::<i32>().is_err() => {
                return Err(bad_value(key, text, "Not a number of type INT"));
            }
            Long(_) if text.trim().parse::<i64>().is_err() => {
                return Err(bad_value(key, text, "Not a number of type LONG"));
            }
            Int(least) | Long(least) if text.trim().parse::<i64>().is_ok_and(|value| value < *least) => {
                return Err(bad_value(key, text.trim(), &format!("Value must be at least {least}")));
            }
            Boolean if !["true", "false"].contains(&text.trim().to_ascii_lowercase().as_str()) => {
                return Err(bad_value(key, text, "Expected value to be either true or false"));
            }
            Classes => {
                if let Some(class) = text.split(',').map(str::trim).find(|class| !class.is_empty()) {
                    let message = format!("Class {class} cannot be found");
                    return Err(construction(Exception::new(
                        "org.apache.kafka.common.KafkaException",
                        message,
                    )));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_in_kafka_s_words() {
        let check = |key: &str, value: &str| {
            let mut properties = Properties::new();
            properties.set(key, value);
            check(&properties, PRODUCER, |cause| cause).map_err(|error| error.message_or_null().to_string())
        };
        assert_eq!(check("linger.ms", " 5 "), Ok(()));
        let message = "Invalid value -1 for configuration linger.ms: Value must be at least 0";
        assert_eq!(check("linger.ms", "-1"), Err(message.to_string()));
        assert!(check("batch.size", "9999999999").unwrap_err().ends_with("Not a number of type INT"));
        assert!(check("enable.idempotence", "yes").unwrap_err().ends_with("either true or false"));
        assert_eq!(check("interceptor.classes", "a.B"), Err("Class a.B cannot be found".to_string()));
        assert_eq!(check("interceptor.classes", ""), Ok(()));
    }
}
