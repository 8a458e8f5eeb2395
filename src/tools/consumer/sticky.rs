//! Kafka's sticky assignors: as balanced as the subscriptions allow, and what need not move stays.
//!
//! Each member says what it had and in which generation (`sticky` in bytes of its own, `cooperative-sticky` in the
//! subscription). What the highest generation had counts; what two members claim belongs to neither. What is free goes to
//! the member with the least; then partitions move from members to others with at least two fewer, until there are none.
//! Which of several balanced results comes out is this leader's choice, as in Kafka, where it depends on hash maps.
//!
//! A cooperative group moves a partition in two generations: first its owner must give it up (KIP-429), so whoever is to
//! get it gets it only when nobody claims it.
//!
//! Source: Kafka 2.8.2, `AbstractStickyAssignor.java`, `StickyAssignor.java`, `CooperativeStickyAssignor.java`.
//!
//! ```text
//! user data of sticky             = COUNT:i32 *(LENGTH:i16 TOPIC COUNT:i32 *PARTITION:i32) [GENERATION:i32]
//! user data of cooperative-sticky = GENERATION:i32
//! ```

use super::assignor::{Assignment, Member};
use crate::common::TopicPartition;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// Of a member that was in none.
pub const NO_GENERATION: i32 = -1;

/// What a member had, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Had {
    /// What was assigned to it.
    pub partitions: Vec<TopicPartition>,
    /// In which generation; none if it does not say.
    pub generation: Option<i32>,
}

impl Had {
    /// As `sticky` says it.
    pub fn encode(&self) -> Bytes {
        let mut topics: BTreeMap<&ByteString, Vec<i32>> = BTreeMap::new();
        for TopicPartition { topic, partition } in &self.partitions {
            topics.entry(topic).or_default().push(*partition);
        }
        let mut bytes = BytesMut::new();
        bytes.put_i32(topics.len() as i32);
        for (topic, partitions) in topics {
            bytes.put_i16(topic.len() as i16);
            bytes.put_slice(topic.as_bytes());
            bytes.put_i32(partitions.len() as i32);
            partitions.into_iter().for_each(|partition| bytes.put_i32(partition));
        }
        bytes.put_i32(self.generation.unwrap_or(NO_GENERATION));
        bytes.freeze()
    }

    /// What a member of a `sticky` group says; what cannot be read is nothing, of no generation.
    pub fn decode(user_data: Option<&Bytes>) -> Had {
        match user_data {
            None => Had::default(),
            Some(bytes) if bytes.is_empty() => Had::default(),
            Some(bytes) => decode(bytes.clone())
                .unwrap_or(Had { partitions: Vec::new(), generation: Some(NO_GENERATION) }),
        }
    }
}

fn decode(mut bytes: Bytes) -> Option<Had> {
    let mut partitions = Vec::new();
    for _ in 0..bytes.try_get_i32().ok()? {
        let length = usize::try_from(bytes.try_get_i16().ok()?).ok()?;
        if bytes.len() < length {
            return None;
        }
        let topic = ByteString::try_from(bytes.split_to(length)).ok()?;
        for _ in 0..bytes.try_get_i32().ok()? {
            partitions.push(TopicPartition { topic: topic.clone(), partition: bytes.try_get_i32().ok()? });
        }
    }
    // Before 2.3 no generation was written.
    let generation = bytes.try_get_i32().ok();
    Some(Had { partitions, generation })
}

/// What a member of a `cooperative-sticky` group says by its subscription.
pub fn cooperative(owned: &[TopicPartition], user_data: Option<&Bytes>) -> Had {
    let generation = user_data.map(|bytes| bytes.clone().try_get_i32().unwrap_or(NO_GENERATION));
    Had { partitions: owned.to_vec(), generation }
}

/// Who may keep what, from what all say that they had.
fn claims<'a>(
    members: &'a [(&Member, Had)],
    topics: &BTreeMap<ByteString, usize>,
) -> BTreeMap<&'a TopicPartition, &'a ByteString> {
    let latest = members.iter().filter_map(|(_, had)| had.generation).max();
    let mut owners: BTreeMap<&TopicPartition, &ByteString> = BTreeMap::new();
    let mut contested: BTreeSet<&TopicPartition> = BTreeSet::new();
    for (member, had) in members {
        // Without any known generation, those that know of none count.
        let generation = had.generation.or(Some(NO_GENERATION));
        if generation != Some(latest.unwrap_or(NO_GENERATION)) {
            continue;
        }
        for key in &had.partitions {
            let exists =
                topics.get(&key.topic).is_some_and(|count| (0..*count as i32).contains(&key.partition));
            if exists && member.topics.contains(&key.topic) && owners.insert(key, &member.id).is_some() {
                contested.insert(key);
            }
        }
    }
    owners.retain(|key, _| !contested.contains(key));
    owners
}

/// Shares out `topics` (partitions of each). Every member has an entry in the result.
pub fn assign(members: &[(&Member, Had)], topics: &BTreeMap<ByteString, usize>) -> Assignment {
    let mut shares: Assignment = members.iter().map(|(member, _)| (member.id.clone(), Vec::new())).collect();
    let mut owners: BTreeMap<TopicPartition, ByteString> = claims(members, topics)
        .into_iter()
        .map(|(partition, owner)| (partition.clone(), owner.clone()))
        .collect();
    let mut loads: BTreeMap<ByteString, usize> = shares.keys().map(|id| (id.clone(), 0)).collect();
    for owner in owners.values() {
        *loads.entry(owner.clone()).or_default() += 1;
    }
    let mut candidates: BTreeMap<&ByteString, Vec<&ByteString>> = BTreeMap::new();
    for (member, _) in members {
        for topic in &member.topics {
            candidates.entry(topic).or_default().push(&member.id);
        }
    }
    // Those with the fewest candidates first: they have the least choice.
    let mut partitions: Vec<(usize, TopicPartition)> = Vec::new();
    for (topic, count) in topics {
        let choice = candidates.get(topic).map_or(0, Vec::len);
        let all = (0..*count as i32).map(|p| (choice, TopicPartition { topic: topic.clone(), partition: p }));
        partitions.extend(all.filter(|_| choice > 0));
    }
    partitions.sort();
    let least = |loads: &BTreeMap<ByteString, usize>, topic: &ByteString| {
        let ids = candidates.get(topic).into_iter().flatten();
        ids.map(|id| (loads.get(*id).copied().unwrap_or_default(), (*id).clone())).min()
    };
    for (_, key) in &partitions {
        if !owners.contains_key(key)
            && let Some((_, id)) = least(&loads, &key.topic)
        {
            *loads.entry(id.clone()).or_default() += 1;
            owners.insert(key.clone(), id);
        }
    }
    // From the fullest first: what leaves somebody else would only have to come back.
    while let Some((gap, key, id)) = partitions
        .iter()
        .filter_map(|(_, key)| {
            let (load, id) = least(&loads, &key.topic)?;
            Some((loads[&owners[key]].saturating_sub(load), key, id))
        })
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        && gap > 1
    {
        if let Some(load) = owners.get(key).and_then(|owner| loads.get_mut(owner)) {
            *load -= 1;
        }
        *loads.entry(id.clone()).or_default() += 1;
        owners.insert(key.clone(), id);
    }
    for (key, owner) in owners {
        shares.entry(owner).or_default().push(key);
    }
    shares
}

/// Takes out of the assignment what another member still has: it gives it up first.
pub fn withhold(assignment: &mut Assignment, members: &[(&Member, Had)]) {
    let mut claims: BTreeMap<&TopicPartition, Vec<&ByteString>> = BTreeMap::new();
    for (member, had) in members {
        for key in &had.partitions {
            claims.entry(key).or_default().push(&member.id);
        }
    }
    for (id, partitions) in assignment {
        partitions.retain(|key| claims.get(key).is_none_or(|owners| owners.iter().all(|owner| *owner == id)));
    }
}

#[cfg(test)]
mod tests;
