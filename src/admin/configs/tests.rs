use super::alter::{Edit, Op, apply_edits, validate_edits, validate_logger_edits};
use super::describe::{Wish, broker, cluster_default, created_topic, topic};
use super::*;
use crate::config::{BrokerConfig, DynamicBrokerConfig, Properties, Settings};
use crate::protocol::messages::describe_configs::DescribeConfigsResourceResult;
use bytestring::ByteString;
use std::sync::Arc;

/// As the broker of golden wire/api/32-DescribeConfigs was configured, without its security.
fn config() -> DynamicBrokerConfig {
    let text = "broker.id=1\nzookeeper.connect=zk:1\nlog.index.size.max.bytes=65536\nmy.own=1\n\
                listener.name.plaintext.ssl.key.password=secret";
    let properties = Properties::parse(text).expect("well formed");
    let config = BrokerConfig::from_properties(&properties).expect("valid").0;
    let mut config = DynamicBrokerConfig::new(Arc::new(config));
    assert!(config.update(Scope::Cluster, settings(&[("log.retention.ms", "999999999")])).is_empty());
    assert!(config.update(Scope::Broker, settings(&[("log.cleaner.threads", "1")])).is_empty());
    config
}

fn settings(pairs: &[(&str, &str)]) -> Settings {
    pairs.iter().map(|(key, text)| (key.to_string(), text.to_string())).collect()
}

const ALL: Wish<'_> = Wish { keys: None, synonyms: true, documentation: false };

/// Name, value, source, then the synonyms.
fn line(entries: &[DescribeConfigsResourceResult], name: &str) -> String {
    let entry = entries.iter().find(|entry| &*entry.name == name).expect(name);
    let places = entry.synonyms.iter().map(|place| {
        let value = place.value.as_deref().unwrap_or("null");
        format!(" {}:{}={value}", place.source, place.name)
    });
    let value = entry.value.as_deref().unwrap_or("null");
    format!("{value} {}{}", entry.config_source, places.collect::<String>())
}

#[test]
fn a_topic_shows_where_its_values_come_from() {
    let shown = topic(&config(), &settings(&[("message.format.version", "0.9.0")]), &ALL);
    assert_eq!(shown.len(), 26);
    for (name, expected) in [
        ("retention.ms", "999999999 3 3:log.retention.ms=999999999 5:log.retention.hours=168"),
        (
            "message.format.version",
            "0.9.0 1 1:message.format.version=0.9.0 5:log.message.format.version=2.8-IV1",
        ),
        (
            "segment.index.bytes",
            "65536 4 4:log.index.size.max.bytes=65536 5:log.index.size.max.bytes=10485760",
        ),
        ("flush.ms", "9223372036854775807 5"),
        ("segment.ms", "604800000 5"),
        ("leader.replication.throttled.replicas", " 5"),
        ("min.cleanable.dirty.ratio", "0.5 5 5:log.cleaner.min.cleanable.ratio=0.5"),
    ] {
        assert_eq!(line(&shown, name), expected, "{name}");
    }
    let created = created_topic(&config(), &settings(&[("retention.ms", "1")]));
    let retention = created.iter().find(|entry| &*entry.name == "retention.ms").expect("shown");
    assert_eq!((retention.value.as_deref(), retention.config_source), (Some("1"), 1));
}

#[test]
fn a_broker_shows_where_its_values_come_from() {
    let shown = broker(&config(), &ALL);
    for (name, expected) in [
        ("log.cleaner.threads", "1 2 2:log.cleaner.threads=1 5:log.cleaner.threads=1"),
        ("log.retention.hours", "168 5 5:log.retention.hours=168"),
        ("log.flush.interval.ms", "null 5"),
        ("broker.id", "1 4 4:broker.id=1 5:broker.id=-1"),
        ("my.own", "null 4 4:my.own=null"),
        (
            "listener.name.plaintext.ssl.key.password",
            "null 4 4:listener.name.plaintext.ssl.key.password=null",
        ),
        ("ssl.key.password", "null 5"),
    ] {
        assert_eq!(line(&shown, name), expected, "{name}");
    }
    let find = |name: &str| shown.iter().find(|entry| &*entry.name == name).expect("shown");
    assert!(find("broker.id").read_only && find("my.own").read_only && !find("log.retention.ms").read_only);
    assert!(find("my.own").is_sensitive && find("ssl.key.password").is_sensitive);
    assert!(find("controller.quorum.voters").read_only, "KRaft's keys are shown, too");
    let keys = [ByteString::from_static("listeners")];
    let wish = Wish { keys: Some(&keys), synonyms: false, documentation: true };
    let one = broker(&config(), &wish);
    assert_eq!(one.len(), 1);
    assert!(one[0].documentation.is_some() && one[0].config_type == 2);
}

#[test]
fn the_clusters_defaults() {
    let shown = cluster_default(&config(), &ALL);
    assert_eq!(shown.len(), 1);
    assert_eq!(line(&shown, "log.retention.ms"), "999999999 3 3:log.retention.ms=999999999");
}

fn edit(name: &'static str, op: i8, value: Option<&'static str>) -> Edit<'static> {
    Edit { name, op: Op::parse(op), value }
}

/// Texts of golden wire/api/44-IncrementalAlterConfigs.
#[test]
fn edits_and_their_refusals() {
    let stored = settings(&[("retention.ms", "1"), ("segment.ms", "2")]);
    let edits = [
        edit("retention.ms", 0, Some("5")),
        edit("segment.ms", 1, None),
        edit("cleanup.policy", 2, Some("compact")),
        edit("leader.replication.throttled.replicas", 2, Some("0:1")),
    ];
    let edited = apply_edits(ResourceType::Topic, &edits, stored).expect("edited");
    assert_eq!(
        edited,
        settings(&[
            ("retention.ms", "5"),
            ("cleanup.policy", "delete,compact"),
            ("leader.replication.throttled.replicas", "0:1"),
        ])
    );
    let without = [edit("cleanup.policy", 3, Some("delete"))];
    let edited = apply_edits(ResourceType::Topic, &without, edited).expect("edited");
    assert_eq!(edited["cleanup.policy"], "compact");
    let refusal = |edits: &[Edit<'_>]| {
        let result =
            validate_edits(edits).and_then(|()| apply_edits(ResourceType::Topic, edits, Settings::new()));
        let error = result.expect_err("must be refused");
        (error.code.code(), error.message)
    };
    let text = |text: &str| Some(text.to_string());
    assert_eq!(
        refusal(&[edit("retention.ms", 2, Some("1"))]),
        (42, text("Config value append is not allowed for config key: retention.ms"))
    );
    assert_eq!(
        refusal(&[edit("retention.ms", 0, Some("1")), edit("retention.ms", 0, Some("2"))]),
        (42, text("Error due to duplicate config keys : retention.ms"))
    );
    assert_eq!(
        refusal(&[edit("retention.ms", 0, None)]),
        (42, text("Null value not supported for : SET:retention.ms"))
    );
    assert_eq!(refusal(&[edit("retention.ms", 9, Some("1"))]), (-1, None));
    assert_eq!(refusal(&[edit("nope", 2, Some("1"))]), (-1, None));
}

#[test]
fn log_levels() {
    let levels = [("root".to_string(), "INFO".to_string())].into_iter().collect();
    let valid = |edits: &[Edit<'_>]| validate_logger_edits(edits, &levels);
    assert_eq!(valid(&[edit("root", 0, Some("DEBUG"))]), Ok(Ok(())));
    let absent = valid(&[edit("x", 0, Some("DEBUG"))]).expect("no other refusal").expect_err("absent");
    assert_eq!(absent.message, "Logger x does not exist!");
    assert!(valid(&[edit("root", 0, Some("LOUD"))]).expect("no other refusal").is_err());
    assert!(valid(&[edit("root", 1, None)]).is_err());
    assert!(valid(&[edit("root", 2, Some("INFO"))]).is_err());
}

#[test]
fn names_of_broker_resources() {
    assert_eq!(broker_scope("", 1, ""), Ok(Scope::Cluster));
    assert_eq!(broker_scope("1", 1, ""), Ok(Scope::Broker));
    let refusal = |name: &str| broker_scope(name, 1, "1 or empty string,").expect_err("refused").to_string();
    assert_eq!(refusal("77"), "Unexpected broker id, expected 1 or empty string, but received 77");
    assert_eq!(refusal("abc"), "Broker id must be an integer, but it is: abc");
}
