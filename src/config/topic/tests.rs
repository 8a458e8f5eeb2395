use super::*;
use crate::config::Properties;

fn broker(text: &str) -> BrokerConfig {
    let text = format!("zookeeper.connect=zk:2181\n{text}");
    BrokerConfig::from_properties(&Properties::parse(&text).expect("well formed")).expect("valid").0
}

#[test]
fn every_key_has_a_field() {
    for row in TOPIC {
        assert!(FIELDS.contains(&row.key.name.replace('.', "_").as_str()), "{}", row.key.name);
    }
    assert_eq!(FIELDS.len(), TOPIC.len());
}

#[test]
fn defaults_of_broker_and_table_agree() {
    let values = defaults(&broker(""));
    for row in TOPIC {
        assert_eq!(values.get(row.key.name), row.key.default_value().as_ref(), "{}", row.key.name);
    }
}

#[test]
fn broker_values_then_own_values() {
    let broker = broker(
        "log.retention.minutes=5\nlog.roll.hours=2\nlog.flush.scheduler.interval.ms=7\nlog.segment.bytes=1000",
    );
    let config = TopicConfig::defaults(&broker);
    assert_eq!(config.retention_ms, 300_000);
    assert_eq!(config.segment_ms, 7_200_000);
    assert_eq!((config.flush_ms, config.segment_bytes), (7, 1000));
    let (config, errors) =
        TopicConfig::new(&broker, [("retention.ms", " -1 "), ("cleanup.policy", "compact,delete")]);
    assert!(errors.is_empty());
    assert_eq!(config.retention_ms, -1);
    assert!(config.cleanup_policy.compact && config.cleanup_policy.delete);
    assert_eq!(config.value_text(&broker, "retention.ms"), Some("-1".to_string()));
    assert_eq!(config.value_text(&broker, "segment.bytes"), Some("1000".to_string()));
    assert_eq!(config.value_text(&broker, "min.cleanable.dirty.ratio"), Some("0.5".to_string()));
    assert_eq!(config.value_text(&broker, "nope"), None);
}

#[test]
fn bad_settings_of_a_znode_are_left_out() {
    let broker = broker("inter.broker.protocol.version=2.3\nlog.message.format.version=2.3");
    let settings =
        [("segment.bytes", "x"), ("nope", "1"), ("message.format.version", "2.8"), ("flush.messages", "3")];
    let (config, errors) = TopicConfig::new(&broker, settings);
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "Invalid value x for configuration segment.bytes: Not a number of type INT",
            "Unknown topic config name: nope",
            "Invalid value 2.8 for configuration message.format.version: it is not compatible with Kafka \
             inter-broker protocol version `2.3-IV1`",
        ]
    );
    assert_eq!(config.overrides.len(), 1);
    assert_eq!((config.flush_messages, config.segment_bytes), (3, 1 << 30));
    assert_eq!(config.message_format_version, IbpVersion::V2_3_IV1);
}

#[test]
fn settings_to_be_stored_are_checked_as_kafka_does() {
    let message = |settings: &[(&'static str, &'static str)]| {
        validate_topic_overrides(settings.iter().copied()).map_err(|error| error.message)
    };
    assert_eq!(message(&[("cleanup.policy", "compact")]), Ok(()));
    assert_eq!(
        message(&[("segment.bytes", "x"), ("foo", "1")]),
        Err("Unknown topic config name: foo".to_string())
    );
    assert_eq!(
        message(&[("min.compaction.lag.ms", "5"), ("max.compaction.lag.ms", "4")]),
        Err("conflict topic config setting min.compaction.lag.ms (5) > max.compaction.lag.ms (4)".to_string())
    );
    assert_eq!(
        message(&[("compression.type", "GZIP")]),
        Err("Invalid value GZIP for configuration compression.type: String must be one of: uncompressed, zstd, \
             lz4, snappy, gzip, producer"
            .to_string())
    );
}
