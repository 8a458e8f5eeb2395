use super::super::assignor::Assignor;
use super::*;
use crate::record::testing::Rng;

fn key(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn topics(counts: &[(&str, usize)]) -> BTreeMap<ByteString, usize> {
    counts.iter().map(|(topic, count)| (ByteString::from(*topic), *count)).collect()
}

/// A group whose members remember, as real ones do.
struct Group {
    assignor: Assignor,
    generation: i32,
    /// What each has, and since when.
    members: BTreeMap<ByteString, (BTreeSet<ByteString>, Vec<TopicPartition>, i32)>,
}

impl Group {
    fn new(assignor: Assignor) -> Group {
        Group { assignor, generation: 0, members: BTreeMap::new() }
    }

    fn enter(&mut self, id: &str, topics: &[&str]) {
        let topics = topics.iter().map(|topic| ByteString::from(*topic)).collect();
        self.members.insert(id.into(), (topics, Vec::new(), NO_GENERATION));
    }

    fn rebalance(&mut self, counts: &BTreeMap<ByteString, usize>) -> Assignment {
        let member = |(id, (topics, partitions, generation)): (
            &ByteString,
            &(BTreeSet<ByteString>, Vec<TopicPartition>, i32),
        )| {
            let had = Had { partitions: partitions.clone(), generation: Some(*generation) };
            let (owned, user_data) = match self.assignor {
                Assignor::Sticky => (Vec::new(), (*generation >= 0).then(|| had.encode())),
                _ => (partitions.clone(), Some(Bytes::copy_from_slice(&generation.to_be_bytes()))),
            };
            Member { id: id.clone(), instance_id: None, topics: topics.clone(), owned, user_data }
        };
        let members: Vec<Member> = self.members.iter().map(member).collect();
        let assignment = self.assignor.assign(&members, counts);
        self.generation += 1;
        for (id, partitions) in &assignment {
            let known = self.members.get_mut(id).unwrap();
            (known.1, known.2) = (partitions.clone(), self.generation);
        }
        assignment
    }

    /// Until nothing is withheld any more, and what moved on the way.
    fn settle(&mut self, counts: &BTreeMap<ByteString, usize>) -> Assignment {
        let mut before = self.rebalance(counts);
        for _ in 0..3 {
            let after = self.rebalance(counts);
            if after == before {
                return after;
            }
            before = after;
        }
        panic!("the group does not come to rest: {before:?}");
    }

    /// Each partition once, to somebody who wants it, and no move would make it more even.
    fn check(&self, assignment: &Assignment, counts: &BTreeMap<ByteString, usize>) {
        let mut owners: BTreeMap<&TopicPartition, &ByteString> = BTreeMap::new();
        for (id, partitions) in assignment {
            for key in partitions {
                assert!(self.members[id].0.contains(&key.topic), "{id} does not want {key}");
                assert!(owners.insert(key, id).is_none(), "{key} twice");
            }
        }
        for (topic, count) in counts {
            let wanting: Vec<&ByteString> =
                self.members.iter().filter(|(_, m)| m.0.contains(topic)).map(|(id, _)| id).collect();
            for partition in 0..*count as i32 {
                let Some(owner) = owners.get(&key(topic, partition)) else {
                    assert!(wanting.is_empty(), "{topic}-{partition} has no owner");
                    continue;
                };
                let least = wanting.iter().map(|id| assignment[*id].len()).min().unwrap();
                assert!(
                    assignment[*owner].len() <= least + 1,
                    "{topic}-{partition} should move: {assignment:?}"
                );
            }
        }
    }
}

fn kept(before: &Assignment, after: &Assignment) -> usize {
    let of = |id: &ByteString| before.get(id).cloned().unwrap_or_default();
    after.iter().map(|(id, partitions)| partitions.iter().filter(|key| of(id).contains(key)).count()).sum()
}

#[test]
fn what_need_not_move_stays() {
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        let mut group = Group::new(assignor);
        let counts = topics(&[("t", 7), ("u", 5)]);
        group.enter("a", &["t", "u"]);
        let alone = group.settle(&counts);
        assert_eq!(alone["a"].len(), 12);
        group.enter("b", &["t", "u"]);
        let two = group.settle(&counts);
        assert_eq!((two["a"].len(), two["b"].len(), kept(&alone, &two)), (6, 6, 6));
        group.enter("c", &["t", "u"]);
        let three = group.settle(&counts);
        assert_eq!((three["c"].len(), kept(&two, &three)), (4, 8));
        group.members.remove("b");
        let again = group.settle(&counts);
        assert_eq!(kept(&three, &again), 8, "nobody loses anything when somebody goes");
        group.check(&again, &counts);
    }
}

#[test]
fn a_cooperative_member_gets_nothing_that_another_one_has() {
    let mut group = Group::new(Assignor::CooperativeSticky);
    let counts = topics(&[("t", 4)]);
    group.enter("a", &["t"]);
    group.settle(&counts);
    group.enter("b", &["t"]);
    let first = group.rebalance(&counts);
    assert_eq!((first["a"].len(), first["b"].len()), (2, 0), "given up, not given yet");
    let second = group.rebalance(&counts);
    assert_eq!((second["a"].len(), second["b"].len()), (2, 2));
    assert_eq!(kept(&first, &second), 2);
}

#[test]
fn random_groups_come_to_rest_and_are_balanced() {
    let mut rng = Rng::fixed("sticky", 7);
    for assignor in [Assignor::Sticky, Assignor::CooperativeSticky] {
        for _ in 0..60 {
            let mut group = Group::new(assignor);
            let names = ["t", "u", "v"];
            let mut counts = topics(&[("t", 5), ("u", 3), ("v", 1)]);
            for _ in 0..8 {
                let id = format!("m{}", rng.below(6));
                match rng.below(4) {
                    0 => drop(group.members.remove(id.as_str())),
                    1 => drop(counts.insert(names[rng.below(3) as usize].into(), rng.below(12) as usize)),
                    _ => {
                        let chosen = names.into_iter().filter(|_| rng.below(3) > 0).collect::<Vec<_>>();
                        group.enter(&id, &chosen);
                    }
                }
                if group.members.is_empty() {
                    continue;
                }
                let settled = group.settle(&counts);
                group.check(&settled, &counts);
            }
        }
    }
}

#[test]
fn who_claims_what_counts_by_generation_and_not_if_two_do() {
    let member = |id: &str| Member {
        id: id.into(),
        instance_id: None,
        topics: ["t".into()].into(),
        owned: Vec::new(),
        user_data: None,
    };
    let (a, b, c) = (member("a"), member("b"), member("c"));
    let had = |partitions: &[i32], generation| Had {
        partitions: partitions.iter().map(|p| key("t", *p)).collect(),
        generation,
    };
    let counts = topics(&[("t", 4)]);
    let all = [(&a, had(&[0, 1], Some(3))), (&b, had(&[1, 2, 9], Some(3))), (&c, had(&[3], Some(2)))];
    let owners: Vec<String> = claims(&all, &counts).iter().map(|(key, id)| format!("{key} {id}")).collect();
    assert_eq!(owners, ["t-0 a", "t-2 b"]);
    // Members of before 2.3 know no generation.
    let old = [(&a, had(&[0], None)), (&b, had(&[1], None))];
    assert_eq!(claims(&old, &counts).len(), 2);
}

#[test]
fn user_data_is_what_java_writes() {
    let had = Had { partitions: vec![key("t", 2), key("t", 0)], generation: Some(5) };
    let bytes = had.encode();
    let expected: &[u8] = &[0, 0, 0, 1, 0, 1, b't', 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 5];
    assert_eq!(bytes.as_ref(), expected);
    assert_eq!(Had::decode(Some(&bytes)), had);
    let without = bytes.slice(..bytes.len() - 4);
    assert_eq!(Had::decode(Some(&without)), Had { generation: None, ..had });
    let unknown = Had { partitions: Vec::new(), generation: Some(NO_GENERATION) };
    for length in 1..without.len() {
        assert_eq!(Had::decode(Some(&bytes.slice(..length))), unknown, "{length} bytes");
    }
    assert_eq!(Had::decode(Some(&Bytes::from_static(&[0x7f, 0xff, 0xff, 0xff]))), unknown);
    assert_eq!(Had::decode(None), Had::default());
    assert_eq!(cooperative(&[], Some(&Bytes::from_static(&[0, 0, 0, 7]))).generation, Some(7));
    assert_eq!(cooperative(&[], Some(&Bytes::from_static(&[7]))).generation, Some(NO_GENERATION));
}
