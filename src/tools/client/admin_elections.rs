//! ElectLeaders.

use super::admin::{Admin, check, is_not_controller};
use crate::common::TopicPartition;
use crate::protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use crate::tools::exception::Exception;
use bytestring::ByteString;
use std::collections::BTreeMap;

/// What became of each partition.
pub type Elected = Vec<(TopicPartition, Result<(), Exception>)>;

impl Admin {
    /// Elects leaders of these partitions, of all if `None`. `election_type` is 0 for preferred, 1 for unclean.
    pub fn elect_leaders(
        &mut self,
        election_type: i8,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<Elected, Exception> {
        let grouped = |partitions: &[TopicPartition]| {
            let mut topics: BTreeMap<ByteString, Vec<i32>> = BTreeMap::new();
            for tp in partitions {
                topics.entry(tp.topic.clone()).or_default().push(tp.partition);
            }
            let topic = |(topic, partition_id)| TopicPartitions { topic, partition_id, ..Default::default() };
            topics.into_iter().map(topic).collect()
        };
        let request = ElectLeadersRequest {
            election_type,
            topic_partitions: partitions.map(grouped),
            timeout_ms: self.wait_ms(),
            ..Default::default()
        };
        let response = self.call_controller("electLeaders", &request, |response| {
            let mut results = response.replica_election_results.iter().flat_map(|t| &t.partition_result);
            is_not_controller(response.error_code) || results.any(|p| is_not_controller(p.error_code))
        })?;
        check(response.error_code, None)?;
        let mut elected = Elected::new();
        for topic in response.replica_election_results {
            elected.extend(topic.partition_result.into_iter().map(|partition| {
                let tp = TopicPartition::new(topic.topic.clone(), partition.partition_id);
                (tp, check(partition.error_code, partition.error_message.as_ref()))
            }));
        }
        Ok(elected)
    }
}
