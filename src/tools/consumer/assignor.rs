//! How the leader of a group shares out partitions. Members of one group need not be ours, so the result is
//! the one that Kafka's assignors come to.
//!
//! Source: Kafka 2.8.2, `RangeAssignor.java`, `RoundRobinAssignor.java`, `AbstractPartitionAssignor.java`.

use super::sticky::{self, Had};
use crate::common::TopicPartition;
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

const PACKAGE: &str = "org.apache.kafka.clients.consumer.";

/// One of Kafka's assignors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Of every topic a range of partitions to each member.
    Range,
    /// All partitions of all topics in turns.
    RoundRobin,
    /// Evenly, with as few moves as possible.
    Sticky,
    /// The same, and who keeps a partition reads on (KIP-429).
    CooperativeSticky,
}

/// A member as the assignor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id in this generation.
    pub id: ByteString,
    /// Its own, if it is a static member (KIP-345).
    pub instance_id: Option<ByteString>,
    /// What it subscribed to.
    pub topics: BTreeSet<ByteString>,
    /// What it reads still.
    pub owned: Vec<TopicPartition>,
    /// What its assignor adds.
    pub user_data: Option<Bytes>,
}

/// Partitions by member id.
pub type Assignment = BTreeMap<ByteString, Vec<TopicPartition>>;

impl Assignor {
    /// The assignor of a Java class.
    pub fn of_class(class: &str) -> Option<Assignor> {
        match class.strip_prefix(PACKAGE)? {
            "RangeAssignor" => Some(Assignor::Range),
            "RoundRobinAssignor" => Some(Assignor::RoundRobin),
            "StickyAssignor" => Some(Assignor::Sticky),
            "CooperativeStickyAssignor" => Some(Assignor::CooperativeSticky),
            _ => None,
        }
    }

    /// The assignor of a name on the wire.
    pub fn of_name(name: &str) -> Option<Assignor> {
        let all = [Assignor::Range, Assignor::RoundRobin, Assignor::Sticky, Assignor::CooperativeSticky];
        all.into_iter().find(|assignor| assignor.name() == name)
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Assignor::Range => "range",
            Assignor::RoundRobin => "roundrobin",
            Assignor::Sticky => "sticky",
            Assignor::CooperativeSticky => "cooperative-sticky",
        }
    }

    /// What a member adds to its subscription, that had `had` at last.
    pub fn user_data(self, had: Option<&Had>) -> Option<Bytes> {
        match self {
            Assignor::Range | Assignor::RoundRobin => None,
            Assignor::Sticky => had.map(Had::encode),
            Assignor::CooperativeSticky => {
                let generation = had.and_then(|had| had.generation).unwrap_or(sticky::NO_GENERATION);
                Some(Bytes::copy_from_slice(&generation.to_be_bytes()))
            }
        }
    }

    /// Shares out `topics` (partitions of each). Every member has an entry in the result.
    pub fn assign(self, members: &[Member], topics: &BTreeMap<ByteString, usize>) -> Assignment {
        let mut sorted: Vec<&Member> = members.iter().collect();
        // Static members first, by their own id: they keep their place when they come back.
        sorted.sort_by_key(|member| (member.instance_id.is_none(), &member.instance_id, &member.id));
        let mut assignment: Assignment =
            members.iter().map(|member| (member.id.clone(), Vec::new())).collect();
        match self {
            Assignor::Range => {
                for (topic, count) in topics {
                    let subscribed = sorted.iter().filter(|member| member.topics.contains(topic));
                    assign_range(topic, *count, &subscribed.copied().collect::<Vec<_>>(), &mut assignment);
                }
            }
            Assignor::RoundRobin => assign_in_turns(&sorted, topics, &mut assignment),
            Assignor::Sticky => {
                let had = |member: &Member| Had::decode(member.user_data.as_ref());
                let members: Vec<_> = members.iter().map(|member| (member, had(member))).collect();
                return sticky::assign(&members, topics);
            }
            Assignor::CooperativeSticky => {
                let had = |member: &Member| sticky::cooperative(&member.owned, member.user_data.as_ref());
                let members: Vec<_> = members.iter().map(|member| (member, had(member))).collect();
                let mut shares = sticky::assign(&members, topics);
                sticky::withhold(&mut shares, &members);
                return shares;
            }
        }
        assignment
    }
}

fn assign_range(topic: &ByteString, count: usize, members: &[&Member], assignment: &mut Assignment) {
    if members.is_empty() {
        return;
    }
    let (each, more) = (count / members.len(), count % members.len());
    let mut next = 0;
    for (i, member) in members.iter().enumerate() {
        let share = each + usize::from(i < more);
        let partitions = assignment.entry(member.id.clone()).or_default();
        partitions.extend((next..next + share).map(|partition| partition_of(topic, partition)));
        next += share;
    }
}

fn assign_in_turns(members: &[&Member], topics: &BTreeMap<ByteString, usize>, assignment: &mut Assignment) {
    let mut turn = 0;
    for (topic, count) in topics {
        if !members.iter().any(|member| member.topics.contains(topic)) {
            continue;
        }
        for partition in 0..*count {
            while !members[turn].topics.contains(topic) {
                turn = (turn + 1) % members.len();
            }
            assignment.entry(members[turn].id.clone()).or_default().push(partition_of(topic, partition));
            turn = (turn + 1) % members.len();
        }
    }
}

fn partition_of(topic: &ByteString, partition: usize) -> TopicPartition {
    TopicPartition { topic: topic.clone(), partition: partition as i32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance_id: Option<&str>, topics: &[&str]) -> Member {
        Member {
            id: id.into(),
            instance_id: instance_id.map(ByteString::from),
            topics: topics.iter().map(|topic| ByteString::from(*topic)).collect(),
            owned: Vec::new(),
            user_data: None,
        }
    }

    fn topics(counts: &[(&str, usize)]) -> BTreeMap<ByteString, usize> {
        counts.iter().map(|(topic, count)| (ByteString::from(*topic), *count)).collect()
    }

    fn text(assignment: Assignment) -> Vec<String> {
        let of_member = |(id, partitions): (ByteString, Vec<TopicPartition>)| {
            let list: Vec<String> = partitions.iter().map(TopicPartition::to_string).collect();
            format!("{id}: {}", list.join(" "))
        };
        assignment.into_iter().map(of_member).collect()
    }

    #[test]
    fn ranges_give_the_first_members_one_more() {
        let members = [member("b", None, &["t", "u"]), member("a", None, &["t"])];
        let assignment = Assignor::Range.assign(&members, &topics(&[("t", 3), ("u", 2)]));
        assert_eq!(text(assignment), ["a: t-0 t-1", "b: t-2 u-0 u-1"]);
    }

    #[test]
    fn static_members_come_first() {
        let members = [member("a", None, &["t"]), member("z", Some("one"), &["t"])];
        let assignment = Assignor::Range.assign(&members, &topics(&[("t", 3)]));
        assert_eq!(text(assignment), ["a: t-2", "z: t-0 t-1"]);
    }

    #[test]
    fn turns_skip_members_that_did_not_subscribe() {
        let members = [member("a", None, &["t"]), member("b", None, &["t", "u"]), member("c", None, &[])];
        let assignment = Assignor::RoundRobin.assign(&members, &topics(&[("t", 3), ("u", 2), ("v", 9)]));
        assert_eq!(text(assignment), ["a: t-0 t-2", "b: t-1 u-0 u-1", "c: "]);
    }

    #[test]
    fn no_topics_and_no_members() {
        assert_eq!(text(Assignor::Range.assign(&[member("a", None, &["t"])], &topics(&[]))), ["a: "]);
        assert!(Assignor::RoundRobin.assign(&[], &topics(&[("t", 1)])).is_empty());
    }
}
