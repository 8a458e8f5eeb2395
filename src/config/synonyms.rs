//! Which keys stand for the same value, the strongest first, and which can change while a broker runs.
//! Source: Kafka's `DynamicBrokerConfig`.

use super::def::{self, KeyDef, listener_base_name, topic};

const SYNONYMS: &[&[&str]] = &[
    &["log.roll.ms", "log.roll.hours"],
    &["log.roll.jitter.ms", "log.roll.jitter.hours"],
    &["log.retention.ms", "log.retention.minutes", "log.retention.hours"],
];

/// Keys that stand for the same value as a broker key, itself included. With `match_listener` a `listener.name.`
/// key is followed by the key it overrides.
pub fn broker_synonyms(name: &str, match_listener: bool) -> Vec<String> {
    if let Some(group) = SYNONYMS.iter().find(|group| group.contains(&name)) {
        return group.iter().map(ToString::to_string).collect();
    }
    if name == "log.flush.interval.ms" {
        return vec![name.to_string(), "log.flush.scheduler.interval.ms".to_string()];
    }
    let mut names = vec![name.to_string()];
    if match_listener && let Some(base) = listener_base_name(name) {
        let mechanism = def::LISTENER_MECHANISM_KEYS.iter().find(|key| base.ends_with(*key));
        names.push(mechanism.copied().unwrap_or(base).to_string());
    }
    names
}

/// Broker keys that give a topic key its default, the strongest first.
pub fn topic_synonyms(name: &str) -> &'static [&'static str] {
    topic::TOPIC.iter().find(|row| row.key.name == name).map_or(&[], |row| row.server_defaults)
}

/// The row of a key that may stand in a broker's dynamic configuration: a key of `server.properties`, with or
/// without listener prefix, or one that exists only there.
pub fn dynamic_key(name: &str) -> Option<&'static KeyDef> {
    def::dynamic::DYNAMIC_ONLY
        .iter()
        .find(|key| key.name == name)
        .or_else(|| def::broker_key(name))
        .or_else(|| def::listener_key(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_are_kafkas() {
        assert_eq!(
            broker_synonyms("log.retention.hours", true),
            ["log.retention.ms", "log.retention.minutes", "log.retention.hours"]
        );
        assert_eq!(
            broker_synonyms("log.flush.scheduler.interval.ms", true),
            ["log.flush.scheduler.interval.ms"]
        );
        assert_eq!(
            broker_synonyms("listener.name.internal.ssl.keystore.location", true),
            ["listener.name.internal.ssl.keystore.location", "ssl.keystore.location"]
        );
        assert_eq!(
            broker_synonyms("listener.name.x.plain.sasl.jaas.config", true),
            ["listener.name.x.plain.sasl.jaas.config", "sasl.jaas.config"]
        );
        assert_eq!(topic_synonyms("segment.ms"), ["log.roll.ms", "log.roll.hours"]);
        assert!(topic_synonyms("nope").is_empty());
    }

    #[test]
    fn every_server_default_is_a_broker_key() {
        for row in topic::TOPIC {
            for name in row.server_defaults {
                assert!(def::broker_key(name).is_some(), "{name}");
            }
        }
    }
}
