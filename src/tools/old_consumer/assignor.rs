//! Who reads which partition in a group of old consumers. Each member computes it for itself, so it must come out as in
//! Kafka 1.1.1 (`kafka.consumer.PartitionAssignor`), threads compared as the text `CONSUMER-NUMBER`.

use crate::common::TopicPartition;
use std::collections::{BTreeMap, BTreeSet};

/// `partition.assignment.strategy`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each topic for itself, in runs.
    Range,
    /// All partitions of all topics, dealt out.
    RoundRobin,
}

/// A consumer's thread: `CONSUMER-NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The consumer's id.
    pub consumer: String,
    /// Its text.
    pub text: String,
}

impl Thread {
    /// A thread by its number.
    pub fn new(consumer: &str, number: i32) -> Thread {
        Thread { consumer: consumer.to_string(), text: format!("{consumer}-{number}") }
    }
}

/// A group as its nodes tell it.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// By topic: the threads that want it.
    pub threads: BTreeMap<String, Vec<Thread>>,
    /// By topic: its partitions.
    pub partitions: BTreeMap<String, BTreeSet<i32>>,
}

/// The partitions of `consumer`, with the thread that gets each.
pub fn assign(strategy: Strategy, group: &Group, consumer: &str) -> Vec<(TopicPartition, String)> {
    let mut assigned = match strategy {
        Strategy::Range => range(group, consumer),
        Strategy::RoundRobin => round_robin(group, consumer),
    };
    assigned.sort();
    assigned
}

fn sorted(threads: &[Thread]) -> Vec<&Thread> {
    let mut threads: Vec<&Thread> = threads.iter().collect();
    threads.sort_by(|a, b| a.text.encode_utf16().cmp(b.text.encode_utf16()));
    threads
}

fn range(group: &Group, consumer: &str) -> Vec<(TopicPartition, String)> {
    let mut assigned = Vec::new();
    for (topic, threads) in &group.threads {
        let partitions: Vec<i32> = group.partitions.get(topic).into_iter().flatten().copied().collect();
        let (each, extra) =
            (partitions.len() / threads.len().max(1), partitions.len() % threads.len().max(1));
        for (place, thread) in sorted(threads).into_iter().enumerate() {
            let start = each * place + place.min(extra);
            let count = each + usize::from(place < extra);
            if thread.consumer == consumer {
                let mine = partitions[start..start + count].iter();
                assigned.extend(mine.map(|p| (TopicPartition::new(topic.as_str(), *p), thread.text.clone())));
            }
        }
    }
    assigned
}

fn round_robin(group: &Group, consumer: &str) -> Vec<(TopicPartition, String)> {
    let mut threads: Vec<Thread> = group.threads.values().flatten().cloned().collect();
    threads.sort_by(|a, b| a.text.encode_utf16().cmp(b.text.encode_utf16()));
    threads.dedup();
    let mut all: Vec<(i32, TopicPartition)> = Vec::new();
    for (topic, partitions) in &group.partitions {
        for partition in partitions {
            let name = TopicPartition::new(topic.as_str(), *partition);
            all.push((java_hash(&name.to_string()), name));
        }
    }
    all.sort();
    let mut next = 0;
    let mut assigned = Vec::new();
    for (_, name) in all {
        let Some(wanting) = group.threads.get(&*name.topic).filter(|wanting| !wanting.is_empty()) else {
            continue;
        };
        // Ends: the topic's threads are among all threads.
        while !wanting.contains(&threads[next % threads.len()]) {
            next += 1;
        }
        let thread = &threads[next % threads.len()];
        next += 1;
        if thread.consumer == consumer {
            assigned.push((name, thread.text.clone()));
        }
    }
    assigned
}

/// `String.hashCode`
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Threads<'a> = &'a [(&'a str, &'a [(&'a str, i32)])];
    type Counts<'a> = &'a [(&'a str, i32)];

    fn group(threads: Threads<'_>, partitions: Counts<'_>) -> Group {
        let mut group = Group::default();
        for (topic, members) in threads {
            let threads = members.iter().flat_map(|(c, count)| (0..*count).map(|n| Thread::new(c, n)));
            group.threads.insert(topic.to_string(), threads.collect());
        }
        for (topic, count) in partitions {
            group.partitions.insert(topic.to_string(), (0..*count).collect());
        }
        group
    }

    fn of(strategy: Strategy, group: &Group, consumer: &str) -> Vec<String> {
        let assigned = assign(strategy, group, consumer);
        assigned.into_iter().map(|(name, thread)| format!("{name}={thread}")).collect()
    }

    #[test]
    fn ranges_as_in_the_comment_of_kafka() {
        let group = group(&[("t", &[("c2", 2), ("c1", 2)])], &[("t", 5)]);
        assert_eq!(of(Strategy::Range, &group, "c1"), ["t-0=c1-0", "t-1=c1-0", "t-2=c1-1"]);
        assert_eq!(of(Strategy::Range, &group, "c2"), ["t-3=c2-0", "t-4=c2-1"]);
        assert!(of(Strategy::Range, &group, "c3").is_empty());
        // Threads are text: 10 stands before 2.
        let many = super::tests::group(&[("t", &[("c", 11)])], &[("t", 3)]);
        assert_eq!(of(Strategy::Range, &many, "c"), ["t-0=c-0", "t-1=c-1", "t-2=c-10"]);
    }

    #[test]
    fn every_partition_has_one_owner_whatever_the_group() {
        let shapes: [(Threads<'_>, Counts<'_>); 3] = [
            (&[("a", &[("x", 1), ("y", 3)]), ("b", &[("y", 3)])], &[("a", 7), ("b", 4)]),
            (
                &[("a", &[("x", 2)]), ("b", &[("y", 1)]), ("c", &[("x", 2), ("y", 1)])],
                &[("a", 1), ("b", 9), ("c", 2)],
            ),
            (&[("a", &[("x", 1)])], &[("a", 0), ("b", 3)]),
        ];
        for (threads, partitions) in shapes {
            let group = group(threads, partitions);
            for strategy in [Strategy::Range, Strategy::RoundRobin] {
                let mut owned: Vec<_> = ["x", "y"].iter().flat_map(|c| assign(strategy, &group, c)).collect();
                owned.sort();
                let names: BTreeSet<_> = owned.iter().map(|(name, _)| name.clone()).collect();
                let wanted: i32 =
                    partitions.iter().filter(|(t, _)| group.threads.contains_key(*t)).map(|(_, n)| n).sum();
                assert_eq!(
                    (owned.len(), names.len()),
                    (wanted as usize, wanted as usize),
                    "{strategy:?} {owned:?}"
                );
            }
        }
    }

    #[test]
    fn dealing_goes_by_the_hash_of_the_name() {
        assert_eq!(java_hash("t-0"), 112_919);
        let group = group(&[("t", &[("x", 1), ("y", 1)])], &[("t", 4)]);
        assert_eq!(of(Strategy::RoundRobin, &group, "x"), ["t-0=x-0", "t-2=x-0"]);
        assert_eq!(of(Strategy::RoundRobin, &group, "y"), ["t-1=y-0", "t-3=y-0"]);
    }
}
