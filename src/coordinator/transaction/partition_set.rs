//! The partitions of a transaction, by topic.

use crate::common::TopicPartition;
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A set of partitions. Names are copies of their own: those of a request would keep its frame in memory.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PartitionSet {
    topics: BTreeMap<ByteString, BTreeSet<i32>>,
}

impl PartitionSet {
    /// Adds a partition.
    pub fn insert(&mut self, topic: &str, partition: i32) {
        match self.topics.get_mut(topic) {
            Some(partitions) => {
                partitions.insert(partition);
            }
            None => {
                self.topics.insert(ByteString::from(topic), BTreeSet::from([partition]));
            }
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &PartitionSet) {
        for (topic, partitions) in &other.topics {
            self.topics.entry(topic.clone()).or_default().extend(partitions);
        }
    }

    /// Removes a partition; false if it was not there.
    pub fn remove(&mut self, topic: &str, partition: i32) -> bool {
        let Some(partitions) = self.topics.get_mut(topic) else { return false };
        let removed = partitions.remove(&partition);
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        removed
    }

    /// True if the partition is in the set.
    pub fn contains(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|partitions| partitions.contains(&partition))
    }

    /// True if all of `other` are in the set.
    pub fn is_superset(&self, other: &PartitionSet) -> bool {
        other.iter().all(|(topic, partition)| self.contains(topic, partition))
    }

    /// True without partitions.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Number of partitions.
    pub fn len(&self) -> usize {
        self.topics.values().map(BTreeSet::len).sum()
    }

    /// All partitions, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&ByteString, i32)> {
        self.topics.iter().flat_map(|(topic, partitions)| partitions.iter().map(move |p| (topic, *p)))
    }

    /// Topics with their partitions, in order.
    pub fn topics(&self) -> impl Iterator<Item = (&ByteString, &BTreeSet<i32>)> {
        self.topics.iter()
    }
}

impl FromIterator<TopicPartition> for PartitionSet {
    fn from_iter<I: IntoIterator<Item = TopicPartition>>(partitions: I) -> Self {
        let mut set = PartitionSet::default();
        for name in partitions {
            set.insert(&name.topic, name.partition);
        }
        set
    }
}

impl fmt::Debug for PartitionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.iter().map(|(topic, partition)| format!("{topic}-{partition}"));
        write!(f, "{{{}}}", names.collect::<Vec<_>>().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_come_and_go_by_topic() {
        let name = |topic: &'static str, partition| TopicPartition::new(topic, partition);
        let mut set: PartitionSet = [name("b", 1), name("a", 2), name("b", 0)].into_iter().collect();
        assert_eq!(format!("{set:?}"), "{a-2, b-0, b-1}");
        assert_eq!(set.len(), 3);
        let some: PartitionSet = [name("b", 1), name("a", 2)].into_iter().collect();
        assert!(set.is_superset(&some) && !some.is_superset(&set));
        assert!(set.remove("a", 2) && !set.remove("a", 2) && !set.remove("c", 0));
        assert!(!set.is_superset(&some));
        set.extend(&some);
        assert!(set.is_superset(&some) && set.len() == 3);
        assert!(PartitionSet::default().is_empty() && set.is_superset(&PartitionSet::default()));
    }
}
