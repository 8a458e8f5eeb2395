//! What an operator should know about a configuration that is not wrong.

use super::broker::ConfigWarning;
use super::def::{self, Effect, KeyDef};
use super::properties::Properties;
use super::synonyms::dynamic_key;

/// Keys of plug-ins that ship with Kafka, which `KafkaConfig` does not list.
const PLUGIN_KEYS: &[&str] = &["super.users", "allow.everyone.if.no.acl.found", "config.providers"];

const EDITS_MAX: usize = 4;

/// Unknown keys, keys without effect, keys given twice, text that is not ASCII.
pub(super) fn warnings(properties: &Properties) -> Vec<ConfigWarning> {
    let mut warnings = Vec::new();
    let mut warn = |key: &str, message: String| {
        let origin = properties.origin(key).cloned();
        warnings.push(ConfigWarning { key: key.to_string(), message, origin });
    };
    for (name, value) in properties.iter() {
        match def::broker_key(name).or_else(|| def::listener_key(name)) {
            Some(key) => {
                if let Some(why) = why_without_effect(key) {
                    warn(name, format!("The configuration '{name}' {why}"));
                }
            }
            None if PLUGIN_KEYS.contains(&name) => {
                warn(name, format!("The configuration '{name}' has no effect in this release yet."));
            }
            None => warn(name, unknown(name)),
        }
        if !value.is_ascii() {
            let message =
                format!("The value of '{name}' is not ASCII; it is read as ISO-8859-1, as Kafka does.");
            warn(name, message);
        }
    }
    for (key, earlier) in properties.repeated() {
        warn(
            key,
            format!("The configuration '{key}' is given more than once; that of {earlier} does not count."),
        );
    }
    warnings
}

/// Why a dynamic setting does nothing; `None` if it does something, or nobody knows the key.
pub fn without_effect(name: &str) -> Option<&'static str> {
    dynamic_key(name).and_then(why_without_effect)
}

fn why_without_effect(key: &KeyDef) -> Option<&'static str> {
    match key.effect {
        Effect::Now | Effect::Refused => None,
        Effect::Later => Some("has no effect in this release yet."),
        Effect::Nothing => Some("has no effect: what it tunes does not exist in this broker."),
        Effect::Kraft => Some("has no effect: it belongs to KRaft, and this broker uses ZooKeeper."),
    }
}

fn unknown(name: &str) -> String {
    let nearest = def::broker_keys().map(|key| (edits(name, key.name), key.name)).min();
    let hint = match nearest {
        Some((count, key)) if count <= EDITS_MAX.min(name.len() / 3) => format!(" Did you mean '{key}'?"),
        _ => String::new(),
    };
    format!("The configuration '{name}' was supplied but isn't a known config.{hint}")
}

/// Insertions, deletions and replacements that make one text of another.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, c) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(c != *d);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(text: &str) -> Vec<String> {
        let properties = Properties::parse_named(text.as_bytes(), "f").expect("well formed");
        warnings(&properties).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edit_distance() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }

    #[test]
    fn warnings_name_key_reason_and_place() {
        assert_eq!(
            messages("log.segment.byte=1"),
            ["The configuration 'log.segment.byte' was supplied but isn't a known config. \
              Did you mean 'log.segment.bytes'? (f:1)"]
        );
        assert_eq!(
            messages("no.such.key=1"),
            ["The configuration 'no.such.key' was supplied but isn't a known config. (f:1)"]
        );
        assert_eq!(
            messages("\nqueued.max.requests=1"),
            [
                "The configuration 'queued.max.requests' has no effect: what it tunes does not exist in this broker. \
              (f:2)"
            ]
        );
        assert!(messages("listener.name.internal.max.connections=5").is_empty());
        assert_eq!(
            messages("broker.id=1\nbroker.id=2"),
            ["The configuration 'broker.id' is given more than once; that of f:1 does not count. (f:2)"]
        );
    }
}
