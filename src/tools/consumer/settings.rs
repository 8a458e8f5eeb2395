//! The settings of a consumer, from its properties, with the checks and messages of Kafka's
//! `ConsumerConfig`.

use super::Start;
use super::assignor::Assignor;
use crate::config::Properties;
use crate::tools::client::address::parse_bootstrap;
use crate::tools::client::network::{bad_value, check_security, number};
use crate::tools::client::{ClientKind, Settings, definitions};
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};
use bytestring::ByteString;

const LOGGER: &str = "org.apache.kafka.clients.consumer.ConsumerConfig";

/// Keys with an effect here.
const USED: &[&str] = &[
    "allow.auto.create.topics",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "bootstrap.servers",
    "check.crcs",
    "client.id",
    "client.rack",
    "default.api.timeout.ms",
    "enable.auto.commit",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "group.id",
    "group.instance.id",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "max.poll.records",
    "metadata.max.age.ms",
    "partition.assignment.strategy",
    "request.timeout.ms",
    "retry.backoff.ms",
    "security.protocol",
    "session.timeout.ms",
];

/// Keys that Kafka's consumer knows and that make no difference to this one: names of Java classes, metrics, and
/// sizes and times that the system chooses.
const WITHOUT_EFFECT: &[&str] = &[
    "client.dns.lookup",
    "connections.max.idle.ms",
    "interceptor.classes",
    "key.deserializer",
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
    "value.deserializer",
];

impl GroupSettings {
    /// True if a rebalance takes only what somebody else is to get: all assignors must be able to (KIP-429).
    pub fn is_cooperative(&self) -> bool {
        !self.assignors.is_empty() && self.assignors.iter().all(|a| *a == Assignor::CooperativeSticky)
    }
}

/// `auto.offset.reset`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// To the log's beginning.
    Earliest,
    /// To its end.
    Latest,
    /// An error instead.
    None,
}

/// What a consumer is told.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// Brokers, client id, timeouts.
    pub client: Settings,
    /// Where to begin, and to go on after an offset that is not there.
    pub reset: Reset,
    /// Hide what is not committed (KIP-98).
    pub read_committed: bool,
    /// `check.crcs`
    pub check_crcs: bool,
    /// `fetch.min.bytes`
    pub fetch_min_bytes: i32,
    /// `fetch.max.wait.ms`
    pub fetch_max_wait_ms: i32,
    /// `fetch.max.bytes`
    pub fetch_max_bytes: i32,
    /// `max.partition.fetch.bytes`
    pub max_partition_fetch_bytes: i32,
    /// `metadata.max.age.ms`
    pub metadata_max_age_ms: i64,
    /// `client.rack`
    pub rack: ByteString,
    /// `allow.auto.create.topics`
    pub allow_auto_create: bool,
    /// `exclude.internal.topics`: from patterns.
    pub exclude_internal: bool,
    /// `max.poll.records`
    pub max_poll_records: usize,
    /// `default.api.timeout.ms`
    pub api_timeout_ms: i64,
    /// How it takes part in a group; `None` without `group.id`.
    pub group: Option<GroupSettings>,
}

/// What a consumer is told about its group.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// `group.id`
    pub id: ByteString,
    /// `group.instance.id`: a static member (KIP-345).
    pub instance_id: Option<ByteString>,
    /// Without a heartbeat for so long, the coordinator takes the member for dead.
    pub session_timeout_ms: i32,
    /// `heartbeat.interval.ms`
    pub heartbeat_interval_ms: i64,
    /// Without a poll for so long, the member leaves; also the time that a rebalance may take.
    pub max_poll_interval_ms: i32,
    /// `partition.assignment.strategy`, the preferred one first.
    pub assignors: Vec<Assignor>,
    /// `enable.auto.commit`
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`
    pub auto_commit_interval_ms: i64,
}

impl ConsumerSettings {
    /// Checks the properties. What is unknown is said on stderr, as Kafka does.
    pub fn new(properties: &Properties) -> Result<ConsumerSettings, Exception> {
        definitions::check(properties, definitions::CONSUMER, construction)?;
        check_security(properties).map_err(construction)?;
        let reset = match properties.get("auto.offset.reset").map(str::trim) {
            Some("earliest") => Reset::Earliest,
            None | Some("latest") => Reset::Latest,
            Some("none") => Reset::None,
            Some(other) => {
                let why = "String must be one of: latest, earliest, none";
                return Err(bad_value("auto.offset.reset", other, why));
            }
        };
        let read_committed = match properties.get("isolation.level") {
            None | Some("read_uncommitted") => false,
            Some("read_committed") => true,
            Some(other) => {
                let why = "String must be one of: read_committed, read_uncommitted";
                return Err(bad_value("isolation.level", other, why));
            }
        };
        let small = |key: &str, default: i64| small(properties, key, default);
        let group = properties.get("group.id");
        let client_id = match (properties.get("client.id").filter(|id| !id.is_empty()), group) {
            (Some(id), _) => id.to_string(),
            (None, Some(group)) => format!("consumer-{group}-1"),
            (None, None) => "consumer-null-1".to_string(),
        };
        let bootstrap = properties.get("bootstrap.servers").unwrap_or_default();
        let bootstrap = parse_bootstrap(bootstrap).map_err(construction)?;
        warn_of_unused(properties);
        Ok(ConsumerSettings {
            client: Settings {
                name: format!("Consumer clientId={client_id}, groupId={}", group.unwrap_or("null")),
                kind: ClientKind::Data,
                client_id: client_id.into(),
                bootstrap,
                request_timeout_ms: number(properties, "request.timeout.ms", 30_000)?,
                retry_backoff_ms: number(properties, "retry.backoff.ms", 100)?,
            },
            reset,
            read_committed,
            check_crcs: is_true(properties, "check.crcs", true),
            fetch_min_bytes: small("fetch.min.bytes", 1)?,
            fetch_max_wait_ms: small("fetch.max.wait.ms", 500)?,
            fetch_max_bytes: small("fetch.max.bytes", 52_428_800)?,
            max_partition_fetch_bytes: small("max.partition.fetch.bytes", 1_048_576)?,
            metadata_max_age_ms: number(properties, "metadata.max.age.ms", 300_000)?,
            rack: properties.get("client.rack").unwrap_or_default().into(),
            allow_auto_create: is_true(properties, "allow.auto.create.topics", true),
            exclude_internal: is_true(properties, "exclude.internal.topics", true),
            max_poll_records: usize::try_from(small("max.poll.records", 500)?).unwrap_or(1),
            api_timeout_ms: number(properties, "default.api.timeout.ms", 60_000)?,
            group: group.map(|id| group_settings(properties, id)).transpose()?,
        })
    }

    /// Where to begin in a partition without a position.
    pub fn reset_start(&self) -> Start {
        if self.reset == Reset::Earliest { Start::Earliest } else { Start::Latest }
    }
}

fn small(properties: &Properties, key: &str, default: i64) -> Result<i32, Exception> {
    let value = number(properties, key, default)?;
    i32::try_from(value).map_err(|_| bad_value(key, &value.to_string(), "Not a number of type INT"))
}

fn group_settings(properties: &Properties, id: &str) -> Result<GroupSettings, Exception> {
    let session_timeout_ms = small(properties, "session.timeout.ms", 10_000)?;
    let heartbeat_interval_ms = number(properties, "heartbeat.interval.ms", 3_000)?;
    if heartbeat_interval_ms >= i64::from(session_timeout_ms) {
        let message = "Heartbeat must be set lower than the session timeout";
        return Err(construction(Exception::illegal_argument(message)));
    }
    Ok(GroupSettings {
        id: id.into(),
        instance_id: properties.get("group.instance.id").map(ByteString::from),
        session_timeout_ms,
        heartbeat_interval_ms,
        max_poll_interval_ms: small(properties, "max.poll.interval.ms", 300_000)?,
        assignors: assignors(properties)?,
        auto_commit: is_true(properties, "enable.auto.commit", true),
        auto_commit_interval_ms: number(properties, "auto.commit.interval.ms", 5_000)?,
    })
}

fn assignors(properties: &Properties) -> Result<Vec<Assignor>, Exception> {
    const KEY: &str = "partition.assignment.strategy";
    let Some(list) = properties.get(KEY) else { return Ok(vec![Assignor::Range]) };
    let classes = list.split(',').map(str::trim).filter(|class| !class.is_empty());
    classes
        .map(|class| {
            let why = "these tools share out partitions by RangeAssignor, RoundRobinAssignor, StickyAssignor or \
                       CooperativeStickyAssignor only";
            Assignor::of_class(class).ok_or_else(|| construction(bad_value(KEY, class, why)))
        })
        .collect()
}

fn construction(cause: Exception) -> Exception {
    let class = "org.apache.kafka.common.KafkaException";
    Exception::new(class, "Failed to construct kafka consumer").caused_by(cause)
}

fn is_true(properties: &Properties, key: &str, default: bool) -> bool {
    properties.get(key).map_or(default, |text| text.trim().eq_ignore_ascii_case("true"))
}

fn warn_of_unused(properties: &Properties) {
    for (key, _) in properties.iter() {
        if !USED.contains(&key) && !WITHOUT_EFFECT.contains(&key) {
            let text = format!("The configuration '{key}' was supplied but isn't a known config.");
            log(Level::Warn, &text, LOGGER);
        }
    }
}
