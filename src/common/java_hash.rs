//! Java's `String.hashCode`, on which the place of groups and transactional ids rests.

/// The hash of `text`, over its UTF-16 units.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The partition of an internal topic with `partitions` partitions that holds what is called `key`.
/// Source: Kafka's `Utils.abs`, which makes 0 of the one number without a positive counterpart.
pub fn partition_of(key: &str, partitions: i32) -> i32 {
    string_hash(key).checked_abs().unwrap_or(0) % partitions.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_java() {
        let known = [
            ("", 0),
            ("my-group", -1_906_497_762),
            ("console-consumer-group", 210_291_998),
            ("polygenelubricants", i32::MIN),
            ("\u{1F600}", 0xd83d * 31 + 0xde00),
        ];
        for (text, hash) in known {
            assert_eq!(string_hash(text), hash, "{text}");
        }
    }

    #[test]
    fn the_absolute_value_decides() {
        assert_eq!(partition_of("my-group", 50), 1_906_497_762 % 50);
        assert_eq!(partition_of("polygenelubricants", 50), 0);
        assert_eq!(partition_of("console-consumer-group", 50), 48);
    }
}
