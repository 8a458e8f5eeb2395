//! Admin calls about reassignments and log directories of replicas.

use super::admin::{Admin, check, is_not_controller};
use crate::common::{BrokerId, TopicPartition, clock};
use crate::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use crate::protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use crate::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics, OngoingPartitionReassignment,
};
use crate::protocol::messages::metadata::MetadataResponseTopic;
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// What became of each partition.
pub type Altered = Vec<(TopicPartition, Result<(), Exception>)>;
/// A partition on a broker.
pub type Replica = (BrokerId, TopicPartition);
/// What became of each replica.
pub type Moved = Vec<(Replica, Result<(), Exception>)>;

impl Admin {
    /// Metadata of topics, those with errors included.
    pub fn topic_metadata(&mut self, names: &[ByteString]) -> Result<Vec<MetadataResponseTopic>, Exception> {
        self.metadata("describeTopics", Some(names))
    }

    /// The live brokers with their racks, by id.
    pub fn broker_racks(&mut self) -> Result<Vec<(BrokerId, Option<String>)>, Exception> {
        let deadline_ms = clock::monotonic_ms() + self.api_timeout_ms();
        let response = self.network().metadata(Some(&[]), false, deadline_ms);
        let response =
            response.ok_or_else(|| Exception::timeout("Timed out waiting for a node assignment."))?;
        let mut racks: Vec<_> = response
            .brokers
            .into_iter()
            .map(|broker| (broker.node_id, broker.rack.map(|rack| rack.to_string())))
            .collect();
        racks.sort();
        Ok(racks)
    }

    /// Moves replicas; without replicas, cancels.
    pub fn alter_reassignments(
        &mut self,
        targets: Vec<(TopicPartition, Option<Vec<BrokerId>>)>,
    ) -> Result<Altered, Exception> {
        let asked: Vec<TopicPartition> = targets.iter().map(|(tp, _)| tp.clone()).collect();
        let mut topics: BTreeMap<ByteString, Vec<ReassignablePartition>> = BTreeMap::new();
        for (tp, replicas) in targets {
            let partition =
                ReassignablePartition { partition_index: tp.partition, replicas, ..Default::default() };
            topics.entry(tp.topic).or_default().push(partition);
        }
        let topic = |(name, partitions)| ReassignableTopic { name, partitions, ..Default::default() };
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: self.wait_ms(),
            topics: topics.into_iter().map(topic).collect(),
            ..Default::default()
        };
        let response = self.call_controller("alterPartitionReassignments", &request, |response| {
            is_not_controller(response.error_code)
        })?;
        if let Err(error) = check(response.error_code, response.error_message.as_ref()) {
            return Ok(asked.into_iter().map(|tp| (tp, Err(error.clone()))).collect());
        }
        let mut altered = Altered::new();
        for topic in response.responses {
            altered.extend(topic.partitions.into_iter().map(|partition| {
                let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
                (tp, check(partition.error_code, partition.error_message.as_ref()))
            }));
        }
        Ok(altered)
    }

    /// Reassignments under way, of these partitions or of all.
    pub fn ongoing_reassignments(
        &mut self,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Vec<(TopicPartition, OngoingPartitionReassignment)>, Exception> {
        let grouped = |partitions: &[TopicPartition]| {
            let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
            for tp in partitions {
                topics.entry(tp.topic.clone()).or_default().push(tp.partition);
            }
            let topic = |(name, partition_indexes)| ListPartitionReassignmentsTopics {
                name,
                partition_indexes,
                ..Default::default()
            };
            topics.into_iter().map(topic).collect()
        };
        let request = ListPartitionReassignmentsRequest {
            timeout_ms: self.wait_ms(),
            topics: partitions.map(grouped),
            ..Default::default()
        };
        let response = self.call_controller("listPartitionReassignments", &request, |response| {
            is_not_controller(response.error_code)
        })?;
        check(response.error_code, response.error_message.as_ref())?;
        let mut ongoing = Vec::new();
        for topic in response.topics {
            ongoing.extend(topic.partitions.into_iter().map(|partition| {
                (TopicPartition::new(topic.name.clone(), partition.partition_index), partition)
            }));
        }
        Ok(ongoing)
    }

    /// Moves replicas into other log directories of their brokers.
    pub fn alter_replica_log_dirs(
        &mut self,
        targets: &BTreeMap<Replica, String>,
    ) -> Result<Moved, Exception> {
        let mut brokers: BTreeMap<BrokerId, BTreeMap<&str, BTreeMap<ByteString, Vec<i32>>>> = BTreeMap::new();
        for ((broker, tp), dir) in targets {
            let topics = brokers.entry(*broker).or_default().entry(dir).or_default();
            topics.entry(tp.topic.clone()).or_default().push(tp.partition);
        }
        let mut results = Moved::new();
        for (broker, dirs) in brokers {
            let topic =
                |(name, partitions)| AlterReplicaLogDirTopic { name, partitions, ..Default::default() };
            let dir = |(path, topics): (&str, BTreeMap<ByteString, Vec<i32>>)| AlterReplicaLogDir {
                path: path.into(),
                topics: topics.into_iter().map(topic).collect(),
                ..Default::default()
            };
            let request = AlterReplicaLogDirsRequest {
                dirs: dirs.into_iter().map(dir).collect(),
                ..Default::default()
            };
            let patience_ms = self.api_timeout_ms();
            match self.call_broker("alterReplicaLogDirs", Some(broker), &request, patience_ms) {
                Ok(response) => {
                    for topic in response.results {
                        results.extend(topic.partitions.into_iter().map(|partition| {
                            let tp = TopicPartition::new(topic.topic_name.clone(), partition.partition_index);
                            ((broker, tp), check(partition.error_code, None))
                        }));
                    }
                }
                Err(error) => {
                    let of_broker = targets.keys().filter(|(id, _)| *id == broker);
                    results.extend(of_broker.map(|replica| (replica.clone(), Err(error.clone()))));
                }
            }
        }
        Ok(results)
    }
}
