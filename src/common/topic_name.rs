//! What a topic may be called. Source: Kafka's `org.apache.kafka.common.internals.Topic`; the messages
//! are printed by tools and travel in responses.

/// The topic that holds groups (and offsets, if `offsets.storage=kafka`).
pub const GROUP_METADATA_TOPIC: &str = "__consumer_offsets";
/// The topic that holds transactions.
pub const TRANSACTION_STATE_TOPIC: &str = "__transaction_state";
/// Longest legal name: a directory is called `NAME-PARTITION.…-delete`.
pub const NAME_LENGTH_MAX: usize = 249;

/// Says why `name` is illegal, in the words of `InvalidTopicException`.
pub fn validate(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("Topic name is illegal, it can't be empty".to_string());
    }
    if name == "." || name == ".." {
        return Err("Topic name cannot be \".\" or \"..\"".to_string());
    }
    if name.encode_utf16().count() > NAME_LENGTH_MAX {
        return Err(format!(
            "Topic name is illegal, it can't be longer than {NAME_LENGTH_MAX} characters, topic name: {name}"
        ));
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        return Err(format!(
            "Topic name \"{name}\" is illegal, it contains a character other than ASCII alphanumerics, '.', '_' and '-'"
        ));
    }
    Ok(())
}

/// True for the topics that the cluster keeps for itself.
pub fn is_internal(name: &str) -> bool {
    name == GROUP_METADATA_TOPIC || name == TRANSACTION_STATE_TOPIC
}

/// True if the name has characters that are the same in metric names.
pub fn has_collision_chars(name: &str) -> bool {
    name.contains(['.', '_'])
}

/// True if the two names are the same in metric names, where `.` becomes `_`.
pub fn collide(a: &str, b: &str) -> bool {
    let same = |x: u8| if x == b'.' { b'_' } else { x };
    a.len() == b.len() && a.bytes().map(same).eq(b.bytes().map(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_as_kafka_does() {
        for legal in ["a", "A.b_c-9", "...", &"x".repeat(249)] {
            assert_eq!(validate(legal), Ok(()), "{legal}");
        }
        for illegal in ["", ".", "..", "a@b", "ä", "a b", &"x".repeat(250)] {
            assert!(validate(illegal).is_err(), "{illegal}");
        }
        assert!(collide("a.b_c", "a_b.c") && !collide("a.b", "a-b") && !collide("a.b", "a.bc"));
    }
}
