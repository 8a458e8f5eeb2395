//! Limits of replication while replicas move: which replicas, and on which brokers.

use super::plan::Replicas;
use crate::common::{BrokerId, TopicPartition};
use std::collections::{BTreeMap, BTreeSet};

pub const LEADER_RATE: &str = "leader.replication.throttled.rate";
pub const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
pub const LOG_DIR_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";
pub const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
pub const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";

/// Keys of brokers.
pub const OF_BROKERS: [&str; 3] = [LEADER_RATE, FOLLOWER_RATE, LOG_DIR_RATE];
/// Keys of topics.
pub const OF_TOPICS: [&str; 2] = [LEADER_REPLICAS, FOLLOWER_REPLICAS];

/// What moves: by partition the replicas before, and those that are new.
#[derive(Clone, Debug, Default)]
pub struct Moves(BTreeMap<TopicPartition, (BTreeSet<BrokerId>, BTreeSet<BrokerId>)>);

impl Moves {
    /// Adds a reassignment that is under way.
    pub fn add_ongoing(&mut self, tp: TopicPartition, replicas: &[BrokerId], adding: &[BrokerId]) {
        let sources = replicas.iter().copied().filter(|id| !adding.contains(id)).collect();
        self.0.insert(tp, (sources, adding.iter().copied().collect()));
    }

    /// Adds proposed ones. One under way keeps its sources.
    pub fn add_proposed(&mut self, proposed: &Replicas, current: &Replicas) {
        for (tp, target) in proposed {
            let sources = match self.0.remove(tp) {
                Some((sources, _)) => sources,
                None => current.get(tp).into_iter().flatten().copied().collect(),
            };
            let destinations = target.iter().copied().filter(|id| !sources.contains(id)).collect();
            self.0.insert(tp.clone(), (sources, destinations));
        }
    }

    /// By topic the throttled replicas of leaders and of followers, as Kafka writes them into the topic.
    pub fn by_topic(&self) -> BTreeMap<String, (String, String)> {
        let mut topics: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
        for (tp, (sources, destinations)) in &self.0 {
            let (leaders, followers) = topics.entry(tp.topic.to_string()).or_default();
            leaders.extend(sources.iter().map(|id| format!("{}:{id}", tp.partition)));
            followers.extend(destinations.iter().map(|id| format!("{}:{id}", tp.partition)));
        }
        let join = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(",");
        topics.into_iter().map(|(topic, (l, f))| (topic, (join(l), join(f)))).collect()
    }

    /// All brokers that send or receive.
    pub fn brokers(&self) -> BTreeSet<BrokerId> {
        self.0.values().flat_map(|(sources, destinations)| sources.union(destinations)).copied().collect()
    }
}

/// Says what is cleared, before it is.
pub fn say_clearing(brokers: &BTreeSet<BrokerId>, topics: &[String]) -> (String, String) {
    let ids: Vec<String> = brokers.iter().map(BrokerId::to_string).collect();
    (
        format!("Clearing broker-level throttles on broker{} {}", super::plural(ids.len()), ids.join(",")),
        format!(
            "Clearing topic-level throttles on topic{} {}",
            super::plural(topics.len()),
            topics.join(",")
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_lead_and_destinations_follow() {
        let tp = |n| TopicPartition::new("t", n);
        let mut moves = Moves::default();
        moves.add_ongoing(tp(1), &[3, 1, 2], &[1]);
        let current = Replicas::from([(tp(0), vec![1, 3]), (tp(1), vec![3, 1, 2])]);
        let proposed = Replicas::from([(tp(0), vec![2, 1]), (tp(1), vec![3, 1])]);
        moves.add_proposed(&proposed, &current);
        let (leaders, followers) = moves.by_topic().remove("t").unwrap();
        assert_eq!((leaders.as_str(), followers.as_str()), ("0:1,0:3,1:2,1:3", "0:2,1:1"));
        assert_eq!(moves.brokers(), BTreeSet::from([1, 2, 3]));
    }
}
