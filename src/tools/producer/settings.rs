//! The settings of a producer, from its properties, with the checks and messages of Kafka's
//! `ProducerConfig`.

use crate::config::Properties;
use crate::record::Compression;
use crate::tools::client::address::parse_bootstrap;
use crate::tools::client::network::{bad_value, check_security, number};
use crate::tools::client::{ClientKind, Settings, definitions};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytestring::ByteString;

const LOGGER: &str = "org.apache.kafka.clients.producer.ProducerConfig";

/// Keys with an effect here.
const USED: &[&str] = &[
    "acks",
    "batch.size",
    "bootstrap.servers",
    "buffer.memory",
    "client.id",
    "compression.type",
    "delivery.timeout.ms",
    "enable.idempotence",
    "linger.ms",
    "max.block.ms",
    "max.request.size",
    "partitioner.class",
    "request.timeout.ms",
    "retries",
    "retry.backoff.ms",
    "security.protocol",
    "transaction.timeout.ms",
    "transactional.id",
];

/// Keys that Kafka's producer knows and that make no difference to this one: names of Java classes, sizes of
/// buffers that it has not, metrics. One request per broker is under way at a time, so
/// `max.in.flight.requests.per.connection` always holds.
const WITHOUT_EFFECT: &[&str] = &[
    "client.dns.lookup",
    "connections.max.idle.ms",
    "interceptor.classes",
    "key.serializer",
    "max.in.flight.requests.per.connection",
    "metadata.max.age.ms",
    "metadata.max.idle.ms",
    "metric.reporters",
    "metrics.num.samples",
    "metrics.recording.level",
    "metrics.sample.window.ms",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
    "value.serializer",
];

/// What a producer is told.
#[derive(Clone, Debug)]
pub struct ProducerSettings {
    /// Brokers, client id, timeouts.
    pub client: Settings,
    /// -1 (all), 0 or 1.
    pub acks: i16,
    /// Bytes of a batch.
    pub batch_size: usize,
    /// How long a batch waits for company.
    pub linger_ms: i64,
    /// Codec of batches.
    pub compression: Compression,
    /// How often a batch is sent again.
    pub retries: i32,
    /// From the first record of a batch to its end.
    pub delivery_timeout_ms: i64,
    /// Longest wait of a send for metadata and room.
    pub max_block_ms: i64,
    /// Bytes that may wait.
    pub buffer_memory: i64,
    /// Bytes of a request, and of a record.
    pub max_request_size: i64,
    /// Exactly once per partition and session (KIP-98).
    pub is_idempotent: bool,
    /// `transactional.id`: then nothing is sent outside of a transaction.
    pub transactional_id: Option<ByteString>,
    /// `transaction.timeout.ms`
    pub transaction_timeout_ms: i32,
    /// How partitions are chosen.
    pub partitioner: Partitioner,
}

/// `partitioner.class`: Kafka's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partitioner {
    /// By key, else the sticky one (KIP-480).
    Default,
    /// The sticky one, whatever the key.
    UniformSticky,
    /// In turns, whatever the key.
    RoundRobin,
}

impl ProducerSettings {
    /// Checks the properties. What is unknown is said on stderr, as Kafka does.
    pub fn new(properties: &Properties) -> Result<ProducerSettings, Exception> {
        let acks = match properties.get("acks").map(str::trim) {
            None | Some("1") => 1,
            Some("0") => 0,
            Some("all" | "-1") => -1,
            Some(other) => return Err(bad_value("acks", other, "String must be one of: all, -1, 0, 1")),
        };
        let is_idempotent =
            properties.get("enable.idempotence").is_some_and(|text| text.trim().eq_ignore_ascii_case("true"));
        definitions::check(properties, definitions::PRODUCER, construction)?;
        let retries = number(properties, "retries", i64::from(i32::MAX))?;
        let partitioner = partitioner(properties)?;
        let transactional_id = properties.get("transactional.id").map(ByteString::from);
        let is_idempotent = is_idempotent || transactional_id.is_some();
        check_idempotence(properties, is_idempotent, acks, retries)?;
        let acks = if is_idempotent { -1 } else { acks };
        check_security(properties).map_err(construction)?;
        let linger_ms = number(properties, "linger.ms", 0)?;
        let request_timeout_ms = number(properties, "request.timeout.ms", 30_000)?;
        let delivery_timeout_ms = delivery_timeout(properties, linger_ms + request_timeout_ms)?;
        let client_id = properties.get("client.id").unwrap_or("producer-1");
        let codec = properties.get("compression.type").unwrap_or("none");
        let compression =
            Compression::from_name(codec).filter(|_| codec != "uncompressed").ok_or_else(|| {
                construction(Exception::illegal_argument(format!("Unknown compression name: {codec}")))
            })?;
        warn_of_unused(properties);
        let bootstrap = properties.get("bootstrap.servers").unwrap_or_default();
        Ok(ProducerSettings {
            client: Settings {
                name: format!("Producer clientId={client_id}"),
                kind: ClientKind::Data,
                client_id: client_id.into(),
                bootstrap: parse_bootstrap(bootstrap).map_err(construction)?,
                request_timeout_ms,
                retry_backoff_ms: number(properties, "retry.backoff.ms", 100)?,
            },
            acks,
            batch_size: usize::try_from(number(properties, "batch.size", 16_384)?).unwrap_or(0),
            linger_ms,
            compression,
            retries: i32::try_from(retries).unwrap_or(i32::MAX),
            delivery_timeout_ms,
            max_block_ms: number(properties, "max.block.ms", 60_000)?,
            buffer_memory: number(properties, "buffer.memory", 33_554_432)?,
            max_request_size: number(properties, "max.request.size", 1_048_576)?,
            is_idempotent,
            transactional_id,
            transaction_timeout_ms: i32::try_from(number(properties, "transaction.timeout.ms", 60_000)?)
                .unwrap_or(i32::MAX),
            partitioner,
        })
    }
}

fn construction(cause: Exception) -> Exception {
    let class = "org.apache.kafka.common.KafkaException";
    Exception::new(class, "Failed to construct kafka producer").caused_by(cause)
}

fn partitioner(properties: &Properties) -> Result<Partitioner, Exception> {
    match properties.get("partitioner.class").map(str::trim) {
        None | Some("org.apache.kafka.clients.producer.internals.DefaultPartitioner") => {
            Ok(Partitioner::Default)
        }
        Some("org.apache.kafka.clients.producer.UniformStickyPartitioner") => Ok(Partitioner::UniformSticky),
        Some("org.apache.kafka.clients.producer.RoundRobinPartitioner") => Ok(Partitioner::RoundRobin),
        Some(class) => {
            Err(bad_value("partitioner.class", class, &format!("Class {class} could not be found.")))
        }
    }
}

fn config_exception(message: &str) -> Exception {
    Exception::new("org.apache.kafka.common.config.ConfigException", message)
}

fn check_idempotence(
    properties: &Properties,
    is_idempotent: bool,
    acks: i16,
    retries: i64,
) -> Result<(), Exception> {
    if !is_idempotent {
        return Ok(());
    }
    if retries == 0 {
        return Err(config_exception("Must set retries to non-zero when using the idempotent producer."));
    }
    if acks != -1 && properties.get("acks").is_some() {
        return Err(config_exception(
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot guarantee \
             idempotence.",
        ));
    }
    Ok(())
}

/// `delivery.timeout.ms`; unless set, it is raised to what linger and request timeout need.
fn delivery_timeout(properties: &Properties, needed_ms: i64) -> Result<i64, Exception> {
    let timeout_ms = number(properties, "delivery.timeout.ms", 120_000)?;
    if timeout_ms >= needed_ms {
        return Ok(timeout_ms);
    }
    if properties.get("delivery.timeout.ms").is_some() {
        return Err(construction(config_exception(
            "delivery.timeout.ms should be equal to or larger than linger.ms + request.timeout.ms",
        )));
    }
    Ok(needed_ms)
}

fn warn_of_unused(properties: &Properties) {
    for (key, _) in properties.iter() {
        if !USED.contains(&key) && !WITHOUT_EFFECT.contains(&key) {
            let text = format!("The configuration '{key}' was supplied but isn't a known config.");
            log(Level::Warn, &text, LOGGER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Result<ProducerSettings, String> {
        let mut properties = Properties::new();
        properties.set("bootstrap.servers", "127.0.0.1:1");
        for (key, value) in pairs {
            properties.set(*key, *value);
        }
        ProducerSettings::new(&properties).map_err(|error| error.first_line())
    }

    #[test]
    fn checks_speak_as_kafka() {
        assert!(settings(&[("acks", "7")]).unwrap_err().ends_with("must be one of: all, -1, 0, 1"));
        assert!(
            settings(&[("enable.idempotence", "true"), ("acks", "1")]).unwrap_err().contains("acks to all")
        );
        assert!(settings(&[("delivery.timeout.ms", "5"), ("linger.ms", "6")]).is_err());
        let long = settings(&[("request.timeout.ms", "200000")]).unwrap();
        assert_eq!(long.delivery_timeout_ms, 200_000);
        assert!(settings(&[("compression.type", "rar")]).unwrap_err().contains("Failed to construct"));
        assert_eq!(settings(&[("acks", "all")]).unwrap().acks, -1);
    }
}
