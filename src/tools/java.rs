//! Hash orders of Java's and Scala's collections: tools show elements in them, and scripts that compare outputs see it.

use crate::common::TopicPartition;

/// `String.hashCode`.
pub fn string_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// `TopicPartition.hashCode`.
pub fn topic_partition_hash(tp: &TopicPartition) -> i32 {
    31i32.wrapping_add(tp.partition).wrapping_mul(31).wrapping_add(string_hash(&tp.topic))
}

/// The order in which Scala 2.13's mutable hash collections give their elements: by bucket, then by hash.
pub fn scala_hash_order<T>(elements: &[T], hash: impl Fn(&T) -> i32) -> Vec<&T> {
    let mut buckets = 16;
    while elements.len() + 1 > buckets * 3 / 4 {
        buckets *= 2;
    }
    let improved = |element: &T| {
        let hash = hash(element) as u32;
        (hash ^ (hash >> 16)) as i32
    };
    let mut sorted: Vec<&T> = elements.iter().collect();
    sorted.sort_by_key(|element| (improved(element) as usize & (buckets - 1), improved(element)));
    sorted
}

/// The order of a `HashMap` that was made for `expected` entries (`None`: without saying) and got these.
pub fn hash_map_order<T>(entries: Vec<T>, expected: Option<usize>, hash: impl Fn(&T) -> i32) -> Vec<T> {
    let mut table = expected.map_or(16, |count| count.max(1).next_power_of_two());
    while entries.len() > table * 3 / 4 {
        table *= 2;
    }
    in_table(entries, table, hash)
}

/// The order of `Properties`, a `ConcurrentHashMap` inside.
pub fn properties_order<T>(entries: Vec<T>, key: impl Fn(&T) -> &str) -> Vec<T> {
    let mut table = 16;
    while entries.len() >= table * 3 / 4 {
        table *= 2;
    }
    in_table(entries, table, |entry| string_hash(key(entry)))
}

/// By bucket; what shares one stays in the order of insertion.
fn in_table<T>(mut entries: Vec<T>, table: usize, hash: impl Fn(&T) -> i32) -> Vec<T> {
    entries.sort_by_key(|entry| {
        let hash = hash(entry) as u32;
        (hash ^ (hash >> 16)) as usize & (table - 1)
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_javas() {
        assert_eq!(string_hash("hello"), 99_162_322);
        // As captured from kafka-configs.sh, by ZooKeeper and by API.
        let keys = vec!["consumer_byte_rate", "producer_byte_rate"];
        assert_eq!(properties_order(keys.clone(), |k| k), ["producer_byte_rate", "consumer_byte_rate"]);
        assert_eq!(
            hash_map_order(keys, Some(2), |k| string_hash(k)),
            ["consumer_byte_rate", "producer_byte_rate"]
        );
    }
}
