//! Admin calls about logs: directories, and records to be deleted.

use super::admin::{Admin, check};
use crate::common::{BrokerId, ErrorCode, Offset, TopicPartition};
use crate::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsRequest, DescribeLogDirsResult,
};
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};

/// What became of each partition: its first offset now.
pub type Deleted = Vec<(TopicPartition, Result<Offset, Exception>)>;

impl Admin {
    /// The log directories of a broker; `topics` selects partitions.
    pub fn describe_log_dirs(
        &mut self,
        broker: BrokerId,
        topics: Option<Vec<DescribableLogDirTopic>>,
    ) -> Result<Vec<DescribeLogDirsResult>, Exception> {
        let request = DescribeLogDirsRequest { topics, ..Default::default() };
        let patience_ms = self.api_timeout_ms();
        let response = self.call_broker("describeLogDirs", Some(broker), &request, patience_ms);
        let response = response.map_err(|cause| {
            let class = "java.util.concurrent.ExecutionException";
            Exception::new(class, cause.first_line()).caused_by(cause)
        })?;
        Ok(response.results)
    }

    /// Deletes what stands before the offsets; -1 is the end. The results are in the order of the request.
    pub fn delete_records(&mut self, offsets: Vec<(TopicPartition, Offset)>) -> Deleted {
        let mut results: HashMap<TopicPartition, Result<Offset, Exception>> = HashMap::new();
        match self.leaders(&offsets, &mut results) {
            Ok(by_leader) => {
                for (leader, topics) in by_leader {
                    self.delete_at(leader, topics, &mut results);
                }
            }
            Err(error) => results.extend(offsets.iter().map(|(tp, _)| (tp.clone(), Err(error.clone())))),
        }
        let result = |(tp, _): (TopicPartition, Offset)| {
            let missing = || Err(Exception::of_error(ErrorCode::UnknownServerError, None));
            let result = results.remove(&tp).unwrap_or_else(missing);
            (tp, result)
        };
        offsets.into_iter().map(result).collect()
    }

    /// The request for each leader. Partitions without one get their result at once.
    fn leaders(
        &mut self,
        offsets: &[(TopicPartition, Offset)],
        results: &mut HashMap<TopicPartition, Result<Offset, Exception>>,
    ) -> Result<BTreeMap<BrokerId, Vec<DeleteRecordsTopic>>, Exception> {
        let mut names: Vec<ByteString> = offsets.iter().map(|(tp, _)| tp.topic.clone()).collect();
        names.sort();
        names.dedup();
        let topics = self.metadata("deleteRecords", Some(&names))?;
        let mut by_leader: BTreeMap<BrokerId, Vec<DeleteRecordsTopic>> = BTreeMap::new();
        for (tp, offset) in offsets {
            let topic = topics.iter().find(|topic| topic.name == tp.topic);
            if let Some(Err(error)) = topic.map(|topic| check(topic.error_code, None)) {
                results.insert(tp.clone(), Err(error));
                continue;
            }
            let mut partitions = topic.iter().flat_map(|topic| &topic.partitions);
            let found =
                partitions.find(|found| found.partition_index == tp.partition && found.leader_id >= 0);
            let Some(found) = found else {
                let error = Exception::of_error(ErrorCode::LeaderNotAvailable, None);
                results.insert(tp.clone(), Err(error));
                continue;
            };
            let partition = DeleteRecordsPartition {
                partition_index: tp.partition,
                offset: *offset,
                ..Default::default()
            };
            let at_leader = by_leader.entry(found.leader_id).or_default();
            match at_leader.iter_mut().find(|topic| topic.name == tp.topic) {
                Some(topic) => topic.partitions.push(partition),
                None => at_leader.push(DeleteRecordsTopic {
                    name: tp.topic.clone(),
                    partitions: vec![partition],
                    ..Default::default()
                }),
            }
        }
        Ok(by_leader)
    }

    fn delete_at(
        &mut self,
        leader: BrokerId,
        topics: Vec<DeleteRecordsTopic>,
        results: &mut HashMap<TopicPartition, Result<Offset, Exception>>,
    ) {
        let asked: Vec<TopicPartition> = topics
            .iter()
            .flat_map(|t| t.partitions.iter().map(|p| TopicPartition::new(t.name.clone(), p.partition_index)))
            .collect();
        let request = DeleteRecordsRequest { topics, timeout_ms: self.wait_ms(), ..Default::default() };
        let patience_ms = self.api_timeout_ms();
        match self.call_broker("deleteRecords", Some(leader), &request, patience_ms) {
            Ok(response) => {
                for topic in response.topics {
                    for partition in topic.partitions {
                        let tp = TopicPartition::new(topic.name.clone(), partition.partition_index);
                        let checked = check(partition.error_code, None);
                        results.insert(tp, checked.map(|()| partition.low_watermark));
                    }
                }
            }
            Err(error) => results.extend(asked.into_iter().map(|tp| (tp, Err(error.clone())))),
        }
    }
}
