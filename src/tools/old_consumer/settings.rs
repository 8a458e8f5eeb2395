//! The properties of an old consumer, with the checks of Kafka 1.1.1's `kafka.consumer.ConsumerConfig`.

use super::assignor::Strategy;
use crate::config::Properties;
use crate::tools::exception::Exception;
use crate::tools::output::{Level, log};

/// Keys with an effect here.
const USED: &[&str] = &[
    "auto.commit.enable",
    "auto.commit.interval.ms",
    "auto.offset.reset",
    "client.id",
    "consumer.id",
    "consumer.timeout.ms",
    "exclude.internal.topics",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.id",
    "offsets.storage",
    "partition.assignment.strategy",
    "rebalance.backoff.ms",
    "rebalance.max.retries",
    "refresh.leader.backoff.ms",
    "socket.timeout.ms",
    "zookeeper.connect",
    "zookeeper.connection.timeout.ms",
    "zookeeper.session.timeout.ms",
    "zookeeper.sync.time.ms",
];

/// Keys of the old consumer that make no difference to one with one thread that keeps offsets in ZooKeeper.
const WITHOUT_EFFECT: &[&str] = &[
    "dual.commit.enabled",
    "num.consumer.fetchers",
    "offsets.channel.backoff.ms",
    "offsets.channel.socket.timeout.ms",
    "offsets.commit.max.retries",
    "queued.max.message.chunks",
    "socket.receive.buffer.bytes",
];

/// What an old consumer is told.
#[derive(Clone, Debug, PartialEq)]
pub struct OldConsumerSettings {
    /// `group.id`
    pub group: String,
    /// `consumer.id`: what follows the group in its id, instead of host, time and chance.
    pub consumer_id: Option<String>,
    /// `zookeeper.connect`
    pub zookeeper: String,
    /// `zookeeper.session.timeout.ms`
    pub session_timeout_ms: i32,
    /// `zookeeper.connection.timeout.ms`
    pub connection_timeout_ms: i32,
    /// `auto.commit.interval.ms`; none with `auto.commit.enable=false`.
    pub commit_interval_ms: Option<i64>,
    /// `auto.offset.reset`: at the smallest offset, else at the largest.
    pub resets_to_smallest: bool,
    /// `consumer.timeout.ms`; none: it waits for ever.
    pub timeout_ms: Option<i64>,
    /// `rebalance.max.retries`
    pub rebalance_retries_max: i32,
    /// `rebalance.backoff.ms`
    pub rebalance_backoff_ms: i64,
    /// `partition.assignment.strategy`
    pub strategy: Strategy,
    /// `exclude.internal.topics`
    pub exclude_internal: bool,
    /// What the fetching consumer is told, in its own keys, but for the brokers.
    pub fetching: Vec<(&'static str, String)>,
}

impl OldConsumerSettings {
    /// Checks the properties. What is unknown is said on stderr, as Kafka does.
    pub fn new(properties: &Properties) -> Result<OldConsumerSettings, Exception> {
        let group = properties.get("group.id").ok_or_else(|| missing("group.id"))?;
        let client_id = properties.get("client.id").unwrap_or(group);
        let strategy = check(properties, group, client_id)?;
        let session_timeout_ms = number(properties, "zookeeper.session.timeout.ms", 6_000)?;
        let resets_to_smallest = properties.get("auto.offset.reset") == Some("smallest");
        let fetching = fetching(properties, client_id, resets_to_smallest)?;
        let timeout_ms = i64::from(number(properties, "consumer.timeout.ms", -1)?);
        let commit_interval_ms = i64::from(number(properties, "auto.commit.interval.ms", 60_000)?);
        let settings = OldConsumerSettings {
            group: group.to_string(),
            consumer_id: properties.get("consumer.id").map(str::to_string),
            zookeeper: properties
                .get("zookeeper.connect")
                .ok_or_else(|| missing("zookeeper.connect"))?
                .to_string(),
            session_timeout_ms,
            connection_timeout_ms: number(properties, "zookeeper.connection.timeout.ms", session_timeout_ms)?,
            commit_interval_ms: is_true(properties, "auto.commit.enable")?.then_some(commit_interval_ms),
            resets_to_smallest,
            timeout_ms: (timeout_ms >= 0).then_some(timeout_ms),
            rebalance_retries_max: number(properties, "rebalance.max.retries", 4)?,
            rebalance_backoff_ms: i64::from(number(
                properties,
                "rebalance.backoff.ms",
                number(properties, "zookeeper.sync.time.ms", 2_000)?,
            )?),
            strategy,
            exclude_internal: is_true(properties, "exclude.internal.topics")?,
            fetching,
        };
        warn_of_unknown(properties);
        Ok(settings)
    }
}

/// Names and words.
fn check(properties: &Properties, group: &str, client_id: &str) -> Result<Strategy, Exception> {
    for (key, text) in [("client.id", client_id), ("group.id", group)] {
        check_characters(key, text)?;
    }
    let reset = properties.get("auto.offset.reset").unwrap_or("largest");
    one_of("auto.offset.reset", reset, &["smallest", "largest"], "smallest and largest", "ConsumerConfig")?;
    let storage = properties.get("offsets.storage").unwrap_or("zookeeper").to_lowercase();
    let storages = ["zookeeper", "kafka"];
    one_of("offsets.storage", &storage, &storages, "'zookeeper' and 'kafka'", "consumer config")?;
    if storage == "kafka" {
        return Err(Exception::illegal_argument(
            "offsets.storage=kafka: this old consumer commits to ZooKeeper only; consumers with --bootstrap-server \
             commit to Kafka",
        ));
    }
    let strategy = properties.get("partition.assignment.strategy").unwrap_or("range");
    let strategies = ["range", "roundrobin"];
    one_of(
        "partition.assignment.strategy",
        strategy,
        &strategies,
        "'range' and 'roundrobin'",
        "consumer config",
    )?;
    Ok(if strategy == "range" { Strategy::Range } else { Strategy::RoundRobin })
}

/// What concerns the fetching, in the keys of the newer consumer.
fn fetching(
    properties: &Properties,
    client_id: &str,
    resets_to_smallest: bool,
) -> Result<Vec<(&'static str, String)>, Exception> {
    let socket_timeout_ms = number(properties, "socket.timeout.ms", 30_000)?;
    let fetch_wait_ms = number(properties, "fetch.wait.max.ms", 100)?;
    if fetch_wait_ms > socket_timeout_ms {
        return Err(Exception::illegal_argument(
            "requirement failed: socket.timeout.ms should always be at least fetch.wait.max.ms to prevent \
             unnecessary socket timeouts",
        ));
    }
    let text = |key: &str, default| number(properties, key, default).map(|number| number.to_string());
    Ok(vec![
        ("client.id", client_id.to_string()),
        ("auto.offset.reset", if resets_to_smallest { "earliest" } else { "latest" }.to_string()),
        ("request.timeout.ms", socket_timeout_ms.to_string()),
        ("fetch.max.wait.ms", fetch_wait_ms.to_string()),
        ("fetch.min.bytes", text("fetch.min.bytes", 1)?),
        ("fetch.max.bytes", text("fetch.max.bytes", 52_428_800)?),
        ("max.partition.fetch.bytes", text("fetch.message.max.bytes", 1_048_576)?),
        ("retry.backoff.ms", text("refresh.leader.backoff.ms", 200)?),
        ("allow.auto.create.topics", "false".to_string()),
    ])
}

fn missing(key: &str) -> Exception {
    Exception::illegal_argument(format!("requirement failed: Missing required property '{key}'"))
}

fn invalid(message: String) -> Exception {
    Exception::new("kafka.common.InvalidConfigException", message)
}

fn check_characters(key: &str, text: &str) -> Result<(), Exception> {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Ok(());
    }
    Err(invalid(format!(
        "{key} {text} is illegal, contains a character other than ASCII alphanumerics, '.', '_' and '-'"
    )))
}

fn one_of(key: &str, text: &str, words: &[&str], listed: &str, whose: &str) -> Result<(), Exception> {
    if words.contains(&text) {
        return Ok(());
    }
    Err(invalid(format!("Wrong value {text} of {key} in {whose}; Valid values are {listed}")))
}

fn number(properties: &Properties, key: &str, default: i32) -> Result<i32, Exception> {
    let Some(text) = properties.get(key) else { return Ok(default) };
    text.parse().map_err(|_| {
        Exception::new("java.lang.NumberFormatException", format!("For input string: \"{text}\""))
    })
}

/// Both of the keys that are true or false are true by default.
fn is_true(properties: &Properties, key: &str) -> Result<bool, Exception> {
    match properties.get(key) {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(text) => Err(Exception::illegal_argument(format!(
            "requirement failed: Unacceptable value for property '{key}', boolean values must be either 'true' or \
             'false': {text}"
        ))),
    }
}

fn warn_of_unknown(properties: &Properties) {
    for (key, _) in properties.iter() {
        if !USED.contains(&key) && !WITHOUT_EFFECT.contains(&key) {
            log(Level::Warn, &format!("Property {key} is not valid"), "kafka.utils.VerifiableProperties");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[(&str, &str)]) -> Result<OldConsumerSettings, Exception> {
        let mut properties = Properties::new();
        for (key, value) in [("group.id", "g"), ("zookeeper.connect", "h:1")].iter().chain(lines) {
            properties.set(*key, *value);
        }
        OldConsumerSettings::new(&properties)
    }

    #[test]
    fn defaults_are_those_of_1_1_1() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.session_timeout_ms, settings.connection_timeout_ms), (6_000, 6_000));
        assert_eq!((settings.rebalance_retries_max, settings.rebalance_backoff_ms), (4, 2_000));
        assert_eq!((settings.commit_interval_ms, settings.timeout_ms), (Some(60_000), None));
        assert!(!settings.resets_to_smallest && settings.exclude_internal);
        assert!(settings.fetching.contains(&("auto.offset.reset", "latest".to_string())));
        let settings = read(&[("auto.commit.enable", "false"), ("auto.offset.reset", "smallest")]).unwrap();
        assert!(settings.commit_interval_ms.is_none() && settings.resets_to_smallest);
    }

    #[test]
    fn wrong_values_are_refused_in_the_words_of_1_1_1() {
        for (key, value, why) in [
            ("group.id", "a/b", "kafka.common.InvalidConfigException: client.id a/b is illegal"),
            ("auto.offset.reset", "earliest", "Wrong value earliest of auto.offset.reset in ConsumerConfig"),
            ("offsets.storage", "kafka", "commits to ZooKeeper only"),
            ("partition.assignment.strategy", "sticky", "Valid values are 'range' and 'roundrobin'"),
            ("rebalance.max.retries", "x", "java.lang.NumberFormatException: For input string: \"x\""),
            ("auto.commit.enable", "yes", "Unacceptable value for property 'auto.commit.enable'"),
            ("fetch.wait.max.ms", "40000", "socket.timeout.ms should always be at least"),
        ] {
            let error = read(&[(key, value)]).unwrap_err().to_string();
            assert!(error.contains(why), "{key}={value}: {error}");
        }
    }
}
