//! Where the replicas of new partitions go. Pure; the command line tools and the admin APIs share it.
//!
//! Source: Kafka 2.8.2, `kafka.admin.AdminUtils.assignReplicasToBrokers`. First replicas go round robin
//! over the brokers from a random start; the others follow at a shift that grows by one with every round,
//! so that brokers share each other's partitions evenly. With racks, the round goes over a list that
//! alternates between racks, and a rack gets a second replica only when every rack has one.

use crate::common::{BrokerId, ErrorCode, random};
use std::collections::{BTreeMap, BTreeSet};

/// Partition number to replicas, preferred leader first.
pub type Assignment = BTreeMap<i32, Vec<BrokerId>>;

/// A broker that replicas may be put on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRack {
    /// `broker.id`
    pub id: BrokerId,
    /// `broker.rack`
    pub rack: Option<String>,
}

/// Why a placement is impossible or refused, with the message that Kafka gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementError {
    /// The code of an answer; `UNKNOWN_SERVER_ERROR` is Kafka's `AdminOperationException`.
    pub code: ErrorCode,
    /// The message.
    pub message: String,
}

impl PlacementError {
    fn new(code: ErrorCode, message: impl Into<String>) -> PlacementError {
        PlacementError { code, message: message.into() }
    }
}

/// Where the round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At a random broker, with a random shift.
    Random,
    /// At this index of the brokers, which is the shift as well.
    At(usize),
}

/// Places `partitions` new partitions, numbered from `first_partition`, on `brokers` (sorted by id).
pub fn assign(
    brokers: &[BrokerRack],
    partitions: i32,
    replication_factor: i32,
    start: Start,
    first_partition: i32,
) -> Result<Assignment, PlacementError> {
    if partitions <= 0 {
        let message = "Number of partitions must be larger than 0.";
        return Err(PlacementError::new(ErrorCode::InvalidPartitions, message));
    }
    if replication_factor <= 0 {
        let message = "Replication factor must be larger than 0.";
        return Err(PlacementError::new(ErrorCode::InvalidReplicationFactor, message));
    }
    if replication_factor as usize > brokers.len() {
        let available = brokers.len();
        return Err(PlacementError::new(
            ErrorCode::InvalidReplicationFactor,
            format!("Replication factor: {replication_factor} larger than available brokers: {available}."),
        ));
    }
    let round = Round::new(brokers)?;
    let random_index = || random::below(brokers.len() as u64) as usize;
    let (start_index, mut shift) = match start {
        Start::Random => (random_index(), random_index()),
        Start::At(index) => (index, index),
    };
    let first_partition = first_partition.max(0);
    let mut assignment = Assignment::new();
    for partition in first_partition..first_partition.saturating_add(partitions) {
        if partition > 0 && (partition as usize).is_multiple_of(brokers.len()) {
            shift += 1;
        }
        let first = (partition as usize + start_index) % brokers.len();
        assignment.insert(partition, round.replicas(first, shift, replication_factor as usize));
    }
    Ok(assignment)
}

/// The brokers in the order in which partitions go round.
struct Round<'a> {
    brokers: Vec<BrokerId>,
    /// Same order; empty if no broker has a rack.
    racks: Vec<&'a str>,
    racks_count: usize,
}

impl<'a> Round<'a> {
    fn new(brokers: &'a [BrokerRack]) -> Result<Round<'a>, PlacementError> {
        let mut by_rack: BTreeMap<&str, Vec<BrokerId>> = BTreeMap::new();
        for broker in brokers {
            if let Some(rack) = &broker.rack {
                by_rack.entry(rack).or_default().push(broker.id);
            }
        }
        if by_rack.is_empty() {
            return Ok(Round {
                brokers: brokers.iter().map(|b| b.id).collect(),
                racks: Vec::new(),
                racks_count: 0,
            });
        }
        if brokers.iter().any(|broker| broker.rack.is_none()) {
            let message = "Not all brokers have rack information for replica rack aware assignment.";
            return Err(PlacementError::new(ErrorCode::UnknownServerError, message));
        }
        by_rack.values_mut().for_each(|ids| ids.sort_unstable());
        let mut round = Round { brokers: Vec::new(), racks: Vec::new(), racks_count: by_rack.len() };
        for depth in 0.. {
            for (rack, ids) in &by_rack {
                if let Some(id) = ids.get(depth) {
                    round.brokers.push(*id);
                    round.racks.push(rack);
                }
            }
            if round.brokers.len() == brokers.len() {
                break;
            }
        }
        Ok(round)
    }

    fn replicas(&self, first: usize, shift: usize, count: usize) -> Vec<BrokerId> {
        let total = self.brokers.len();
        let follower = |shift: usize, k: usize| (first + 1 + (shift + k) % (total - 1)) % total;
        let mut replicas = vec![self.brokers[first]];
        if self.racks.is_empty() {
            replicas.extend((0..count - 1).map(|k| self.brokers[follower(shift, k)]));
            return replicas;
        }
        let mut racks = BTreeSet::from([self.racks[first]]);
        let mut k = 0;
        while replicas.len() < count {
            let index = follower(shift * self.racks_count, k);
            let is_rack_free = !racks.contains(self.racks[index]) || racks.len() == self.racks_count;
            if is_rack_free && !replicas.contains(&self.brokers[index]) {
                replicas.push(self.brokers[index]);
                racks.insert(self.racks[index]);
            }
            k += 1;
        }
        replicas
    }
}

/// Replicas for the partitions that `existing` lacks up to `partitions_total`: those of `manual` (checked),
/// or placed from the broker of partition 0's first replica on.
pub fn assign_added(
    topic: &str,
    existing: &Assignment,
    brokers: &[BrokerRack],
    partitions_total: i32,
    manual: Option<&Assignment>,
) -> Result<Assignment, PlacementError> {
    let Some(partition_0) = existing.get(&0) else {
        return Err(PlacementError::new(
            ErrorCode::UnknownServerError,
            format!("Unexpected existing replica assignment for topic '{topic}', partition id 0 is missing."),
        ));
    };
    let count = existing.len();
    let added = partitions_total as i64 - count as i64;
    if added <= 0 {
        return Err(PlacementError::new(
            ErrorCode::InvalidPartitions,
            format!(
                "The number of partitions for a topic can only be increased. Topic {topic} currently has \
                 {count} partitions, {partitions_total} would not be an increase."
            ),
        ));
    }
    if let Some(manual) = manual {
        check_manual(manual, partition_0.len(), brokers)?;
        return Ok(manual.clone());
    }
    let first = partition_0.first().copied().unwrap_or(0);
    let start = brokers.iter().position(|broker| broker.id >= first).unwrap_or(0);
    assign(brokers, added as i32, partition_0.len() as i32, Start::At(start), count as i32)
}

/// Refuses replicas that are none, repeated, on unknown brokers, or of another count than `expected`.
fn check_manual(manual: &Assignment, expected: usize, brokers: &[BrokerRack]) -> Result<(), PlacementError> {
    let invalid = |message| Err(PlacementError::new(ErrorCode::InvalidReplicaAssignment, message));
    for (partition, replicas) in manual {
        if replicas.is_empty() {
            return invalid(format!("Cannot have replication factor of 0 for partition id {partition}."));
        }
        if has_duplicates(replicas) {
            return invalid(format!(
                "Duplicate brokers not allowed in replica assignment: {} for partition id {partition}.",
                join(replicas)
            ));
        }
        if replicas.iter().any(|id| brokers.iter().all(|broker| broker.id != *id)) {
            let available: Vec<BrokerId> = brokers.iter().map(|broker| broker.id).collect();
            return Err(PlacementError::new(
                ErrorCode::BrokerNotAvailable,
                format!(
                    "Some brokers specified for partition id {partition} are not available. Specified brokers: \
                     {}, available brokers: {}.",
                    join(replicas),
                    join(&available)
                ),
            ));
        }
    }
    let bad: Vec<(i32, i32)> = manual
        .iter()
        .filter(|(_, replicas)| replicas.len() != expected)
        .map(|(partition, replicas)| (*partition, replicas.len() as i32))
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let (partitions, factors): (Vec<i32>, Vec<i32>) = bad.into_iter().unzip();
    invalid(format!(
        "Inconsistent replication factor between partitions, partition 0 has {expected} while partitions [{}] \
         have replication factors [{}], respectively.",
        join(&partitions),
        join(&factors)
    ))
}

/// True if a broker stands twice in the list.
pub fn has_duplicates(replicas: &[BrokerId]) -> bool {
    replicas.iter().collect::<BTreeSet<_>>().len() != replicas.len()
}

fn join(numbers: &[i32]) -> String {
    numbers.iter().map(i32::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brokers(racks: &[(i32, &str)]) -> Vec<BrokerRack> {
        racks
            .iter()
            .map(|(id, rack)| BrokerRack { id: *id, rack: (!rack.is_empty()).then(|| rack.to_string()) })
            .collect()
    }

    fn lists(assignment: Assignment) -> Vec<Vec<i32>> {
        assignment.into_values().collect()
    }

    #[test]
    fn without_racks_as_the_table_in_kafka_s_documentation() {
        let five = brokers(&[(0, ""), (1, ""), (2, ""), (3, ""), (4, "")]);
        let placed = lists(assign(&five, 10, 3, Start::At(0), -1).unwrap());
        let expected = [
            [0, 1, 2],
            [1, 2, 3],
            [2, 3, 4],
            [3, 4, 0],
            [4, 0, 1],
            [0, 2, 3],
            [1, 3, 4],
            [2, 4, 0],
            [3, 0, 1],
            [4, 1, 2],
        ];
        assert_eq!(placed, expected.map(|replicas| replicas.to_vec()));
    }

    #[test]
    fn racks_alternate() {
        let six = brokers(&[(0, "r1"), (1, "r3"), (2, "r3"), (3, "r2"), (4, "r2"), (5, "r1")]);
        let placed = lists(assign(&six, 7, 3, Start::At(0), -1).unwrap());
        let expected = [[0, 3, 1], [3, 1, 5], [1, 5, 4], [5, 4, 2], [4, 2, 0], [2, 0, 3], [0, 4, 2]];
        assert_eq!(placed, expected.map(|replicas| replicas.to_vec()));
    }

    #[test]
    fn every_broker_leads_equally_often_from_any_start() {
        let three = brokers(&[(1, ""), (2, ""), (3, "")]);
        let placed = assign(&three, 9, 2, Start::Random, 0).unwrap();
        for id in 1..=3 {
            assert_eq!(placed.values().filter(|replicas| replicas[0] == id).count(), 3);
        }
        assert!(placed.values().all(|replicas| replicas.len() == 2 && !has_duplicates(replicas)));
    }

    #[test]
    fn added_partitions_go_on_where_partition_0_began() {
        let three = brokers(&[(1, ""), (2, ""), (3, "")]);
        // golden: topics-zk/39 and 40, where partition 4 of zk-b came to 2,3
        let existing: Assignment =
            [(0, vec![1, 2]), (1, vec![2, 3]), (2, vec![3, 1]), (3, vec![1, 3])].into_iter().collect();
        let added = assign_added("zk-b", &existing, &three, 5, None).unwrap();
        assert_eq!(added, Assignment::from([(4, vec![2, 3])]));
        let refused = assign_added("zk-b", &existing, &three, 4, None).unwrap_err();
        assert_eq!(refused.code, ErrorCode::InvalidPartitions);
        let manual = Assignment::from([(4, vec![1, 9])]);
        let refused = assign_added("zk-b", &existing, &three, 5, Some(&manual)).unwrap_err();
        assert_eq!(refused.code, ErrorCode::BrokerNotAvailable);
    }

    #[test]
    fn impossible_counts_are_refused() {
        let one = brokers(&[(1, "")]);
        let code = |partitions, factor| assign(&one, partitions, factor, Start::Random, 0).unwrap_err().code;
        assert_eq!(code(0, 1), ErrorCode::InvalidPartitions);
        assert_eq!(code(1, 0), ErrorCode::InvalidReplicationFactor);
        assert_eq!(code(1, 2), ErrorCode::InvalidReplicationFactor);
        let mixed = brokers(&[(1, ""), (2, "r")]);
        assert!(assign(&mixed, 1, 1, Start::Random, 0).is_err());
    }
}
