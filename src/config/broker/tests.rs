use super::*;
use crate::config::def::{Importance, Kind};

const MINIMUM: &str = "zookeeper.connect=127.0.0.1:2181\n";

fn read(text: &str) -> Result<(BrokerConfig, Vec<ConfigWarning>), Vec<ConfigError>> {
    let text = format!("{MINIMUM}{text}");
    BrokerConfig::from_properties(&Properties::parse_named(text.as_bytes(), "f").expect("well formed"))
}

fn config(text: &str) -> BrokerConfig {
    read(text).expect("valid").0
}

fn errors(text: &str) -> Vec<String> {
    read(text).expect_err("must be refused").iter().map(ToString::to_string).collect()
}

fn java_line(text: &str) -> String {
    read(text).expect_err("must be refused")[0].java_line()
}

/// Names that fold into another field.
const FOLDED: &[&str] = &[
    "replica.selector.class",
    "node.id",
    "port",
    "host.name",
    "advertised.host.name",
    "advertised.port",
    "log.dir",
    "log.roll.hours",
    "log.roll.jitter.hours",
    "log.retention.minutes",
    "log.retention.hours",
];

#[test]
fn fields_and_keys_agree() {
    let config = config("");
    assert_eq!(config.broker_id, -1);
    // Kafka's 233, and `offsets.storage`.
    assert_eq!(def::broker_keys().count(), 234);
    for key in def::broker_keys() {
        let field = key.name.replace('.', "_");
        let has_field = FIELDS.contains(&field.as_str()) || FOLDED.contains(&key.name);
        assert!(has_field || key.effect != Effect::Now, "{} has an effect but no field", key.name);
        assert!(config.values.contains_key(key.name));
    }
    for field in FIELDS {
        assert!(def::broker_key(&field.replace('_', ".")).is_some(), "{field}");
    }
}

#[test]
fn rows_are_unique_and_documented() {
    let mut names: Vec<&str> = def::broker_keys().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 234);
    for key in def::broker_keys() {
        assert!(key.doc.len() > 10 && key.doc.ends_with('.'), "{}", key.name);
        assert!(key.kind != Kind::Password || key.default.is_none(), "{}", key.name);
    }
    let high = def::broker_keys().filter(|key| key.importance == Importance::High).count();
    assert!(high > 50);
}

#[test]
fn defaults_are_kafkas() {
    let config = config("");
    assert_eq!(config.zookeeper_session_timeout_ms, 18000);
    assert_eq!(config.zookeeper_connection_timeout_ms, 18000);
    assert_eq!(config.log_dirs, ["/tmp/kafka-logs"]);
    assert_eq!(config.log_retention_ms, 7 * 24 * 3_600_000);
    assert_eq!(config.listeners[0].to_string(), "PLAINTEXT://:9092");
    assert_eq!(config.listeners, config.advertised_listeners);
    assert_eq!(config.inter_broker_listener_name, "PLAINTEXT");
    assert_eq!(config.inter_broker_protocol_version, IbpVersion::LATEST);
    assert_eq!(config.message_max_bytes, 1_048_588);
}

#[test]
fn stronger_keys_win() {
    let config = config(
        "log.dir=/a\nlog.dirs=/b, /c,\nlog.retention.hours=1\nlog.retention.minutes=2\nlog.roll.hours=3\n\
         log.roll.ms=4\nlog.flush.scheduler.interval.ms=5\nnode.id=6\nbroker.id=7\nzookeeper.connection.timeout.ms=8",
    );
    assert_eq!(config.log_dirs, ["/b", "/c"]);
    assert_eq!(config.log_retention_ms, 120_000);
    assert_eq!((config.log_roll_ms, config.log_flush_interval_ms), (4, 5));
    assert_eq!((config.broker_id, config.zookeeper_connection_timeout_ms), (6, 8));
    assert_eq!(super::tests::config("log.retention.ms=-5").log_retention_ms, -1);
}

#[test]
fn a_bound_of_zookeepers_requests_counts_for_reads_where_it_is_said() {
    let reads = |text| config(text).zookeeper_max_in_flight_reads();
    assert_eq!(reads(""), 256);
    assert_eq!(reads("zookeeper.max.in.flight.requests=10"), 10);
}

#[test]
fn listeners_of_old_and_new_keys() {
    let old = config("host.name=h\nport=1\nadvertised.host.name=pub");
    assert_eq!(old.listeners[0].to_string(), "PLAINTEXT://h:1");
    assert_eq!(old.advertised_listeners[0].to_string(), "PLAINTEXT://pub:1");
    let new = config(
        "listeners=in://:1,out://:2,ctl://:3\nadvertised.listeners=out://pub:2,in://priv:1,ctl://priv:3\n\
         listener.security.protocol.map=in:PLAINTEXT,out:plaintext,CTL:PLAINTEXT\n\
         inter.broker.listener.name=in\ncontrol.plane.listener.name=ctl",
    );
    assert_eq!(new.inter_broker_listener_name, "IN");
    assert_eq!(new.control_plane_listener_name.as_deref(), Some("CTL"));
    assert_eq!(new.data_plane_listeners().count(), 2);
    assert_eq!(new.advertised_listener("OUT").expect("defined").host, "pub");
}

/// Texts captured from Kafka 2.8.2 (`server-start`).
#[test]
fn first_errors_are_kafkas() {
    let missing = BrokerConfig::from_properties(&Properties::new()).expect_err("no zookeeper.connect");
    assert_eq!(
        missing[0].java_line(),
        "org.apache.kafka.common.config.ConfigException: Missing required configuration `zookeeper.connect` which \
         has no default value."
    );
    for (text, line) in [
        (
            "num.partitions=many",
            "org.apache.kafka.common.config.ConfigException: Invalid value many for configuration num.partitions: \
             Not a number of type INT",
        ),
        (
            "listeners=PLAINTEXT:/x",
            "java.lang.IllegalArgumentException: Error creating broker listeners from 'PLAINTEXT:/x': Unable to \
             parse PLAINTEXT:/x to a broker endpoint",
        ),
        (
            "listeners=FOO://127.0.0.1:19091",
            "java.lang.IllegalArgumentException: Error creating broker listeners from 'FOO://127.0.0.1:19091': No \
             security protocol defined for listener FOO",
        ),
        (
            "advertised.listeners=PLAINTEXT://0.0.0.0:9092",
            "java.lang.IllegalArgumentException: requirement failed: advertised.listeners cannot use the \
             nonroutable meta-address 0.0.0.0. Use a routable IP address.",
        ),
        (
            "broker.id=1001",
            "java.lang.IllegalArgumentException: requirement failed: broker.id must be greater than or equal to -1 \
             and not greater than reserved.broker.max.id",
        ),
        (
            "inter.broker.listener.name=PLAINTEXT\nsecurity.inter.broker.protocol=PLAINTEXT",
            "org.apache.kafka.common.config.ConfigException: Only one of inter.broker.listener.name and \
             security.inter.broker.protocol should be set.",
        ),
        (
            "log.message.format.version=2.8\ninter.broker.protocol.version=0.10.2",
            "java.lang.IllegalArgumentException: requirement failed: log.message.format.version 2.8 can only be \
             used when inter.broker.protocol.version is set to version 0.11.0 or higher",
        ),
        (
            "compression.type=brotli",
            "java.lang.IllegalArgumentException: requirement failed: compression.type : brotli is not valid. Valid \
             options are uncompressed,zstd,lz4,snappy,gzip,producer",
        ),
    ] {
        assert_eq!(java_line(text), line, "{text}");
    }
}

#[test]
fn all_errors_at_once_with_places() {
    assert_eq!(
        errors("broker.id=one\nlog.segment.bytes=3\n\nlisteners=x\nreplica.fetch.wait.max.ms=40000\n"),
        [
            "Invalid value one for configuration broker.id: Not a number of type INT (f:2)",
            "Invalid value 3 for configuration log.segment.bytes: Value must be at least 14 (f:3)",
            "Error creating broker listeners from 'x': Unable to parse x to a broker endpoint (f:5)",
            "requirement failed: replica.socket.timeout.ms should always be at least replica.fetch.wait.max.ms to \
             prevent unnecessary socket timeouts (f:6)",
            "requirement failed: replica.fetch.wait.max.ms should always be less than or equal to \
             replica.lag.time.max.ms to prevent frequent changes in ISR (f:6)",
        ]
    );
}

#[test]
fn what_must_not_be_ignored_is_refused() {
    for text in [
        "authorizer.class.name=kafka.security.authorizer.AclAuthorizer",
        "process.roles=broker",
        "zookeeper.set.acl=true",
        "listeners=SSL://:9093\nsecurity.inter.broker.protocol=SSL",
        "create.topic.policy.class.name=a.B",
        "config.providers=file",
        "listener.name.x.max.connections=-1",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(read("authorizer.class.name=\nprocess.roles=\nzookeeper.set.acl=false").is_ok());
}

#[test]
fn keys_without_effect_are_told() {
    let (config, warnings) =
        read("num.io.threads=4\nqueued.max.request.bytes=1000000000\nfoo=1").expect("valid");
    assert_eq!(config.keys_without_effect(), ["queued.max.request.bytes"]);
    assert_eq!(warnings.len(), 2);
}

#[test]
fn dynamic_values_replace_synonyms() {
    let config = config("log.retention.ms=1000\nlistener.name.plaintext.max.connections=7");
    let changed = config.with_overrides([("log.retention.hours", "1")]).expect("valid");
    assert_eq!(changed.log_retention_ms, 3_600_000);
    assert!(config.with_overrides([("num.io.threads", "0")]).is_err());
    assert_eq!(config.listener_value("PLAINTEXT", "max.connections"), Some(Value::Int(7)));
    assert_eq!(config.listener_value("OTHER", "max.connections"), Some(Value::Int(i32::MAX)));
    assert_eq!(config.with_broker_id(1001).value("broker.id"), Some(&Value::Int(1001)));
    assert!(BrokerConfig::is_dynamic("log.retention.ms") && !BrokerConfig::is_dynamic("broker.id"));
}

/// Keys that say they have an effect while what reads them has not landed yet. A release has none.
const PENDING: &[&str] = &[
    "broker.id.generation.enable",
    "reserved.broker.max.id",
    "num.network.threads",
    "num.io.threads",
    "background.threads",
    "socket.connection.setup.timeout.ms",
    "socket.connection.setup.timeout.max.ms",
    "zookeeper.connect",
    "zookeeper.session.timeout.ms",
    "zookeeper.connection.timeout.ms",
    "advertised.listeners",
    "control.plane.listener.name",
    "socket.send.buffer.bytes",
    "socket.receive.buffer.bytes",
    "socket.request.max.bytes",
    "max.connections.per.ip",
    "max.connections.per.ip.overrides",
    "max.connections",
    "connections.max.idle.ms",
    "broker.rack",
    "log.retention.check.interval.ms",
    "log.cleanup.policy",
    "log.flush.offset.checkpoint.interval.ms",
    "log.flush.start.offset.checkpoint.interval.ms",
    "num.recovery.threads.per.data.dir",
    "auto.create.topics.enable",
    "min.insync.replicas",
    "log.message.format.version",
    "log.message.timestamp.type",
    "log.message.timestamp.difference.max.ms",
    "log.message.downconversion.enable",
    "controller.socket.timeout.ms",
    "replica.lag.time.max.ms",
    "replica.socket.timeout.ms",
    "replica.socket.receive.buffer.bytes",
    "replica.fetch.max.bytes",
    "replica.fetch.wait.max.ms",
    "replica.fetch.backoff.ms",
    "replica.fetch.min.bytes",
    "replica.fetch.response.max.bytes",
    "num.replica.fetchers",
    "replica.high.watermark.checkpoint.interval.ms",
    "security.inter.broker.protocol",
    "controlled.shutdown.max.retries",
    "controlled.shutdown.retry.backoff.ms",
    "controlled.shutdown.enable",
    "max.incremental.fetch.session.cache.slots",
    "fetch.max.bytes",
    "compression.type",
];

fn sources_outside(dir: &std::path::Path, out: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("src/config") {
            sources_outside(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push_str(&std::fs::read_to_string(&path).expect("a source"));
        }
    }
}

/// "Effect: yes" is a promise: something outside this module must read the field, or a field of the topics that the
/// key gives its default.
#[test]
fn keys_with_an_effect_are_read() {
    let mut text = String::new();
    sources_outside(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let words: std::collections::HashSet<&str> =
        text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
    let is_word = |key: &str| words.contains(key.replace('.', "_").as_str());
    let is_read = |name: &str| {
        let topics = def::topic::TOPIC.iter().filter(|row| row.server_defaults.contains(&name));
        is_word(name) || FOLDED.contains(&name) || topics.map(|row| row.key.name).any(is_word)
    };
    let unread: Vec<&str> = def::broker_keys()
        .filter(|key| key.effect == Effect::Now && !is_read(key.name) && !PENDING.contains(&key.name))
        .map(|key| key.name)
        .collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

#[test]
fn all_values_are_shown_but_secrets() {
    let config =
        config("log.dirs=/a,/b\nssl.key.password=geheim\nquota.window.num=5\nssl.protocol=TLSv1.2\n");
    let text = config.values_text();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.remove(0), "KafkaConfig values: ");
    assert_eq!(lines.len(), def::broker_keys().count());
    assert!(lines.is_sorted());
    for line in [
        "\tadvertised.listeners = null",
        "\tlog.cleanup.policy = [delete]",
        "\tlog.dirs = /a,/b",
        "\tlog.cleaner.min.cleanable.ratio = 0.5",
        "\tquota.window.num = 5",
        "\tssl.key.password = [hidden]",
        "\tzookeeper.ssl.truststore.password = null",
    ] {
        assert!(lines.contains(&line), "{line}");
    }
}
