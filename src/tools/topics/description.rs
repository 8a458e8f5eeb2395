//! How topics and partitions are shown.

use super::request::Request;
use crate::common::{BrokerId, Uuid};
use crate::tools::Shape;

/// A topic as `--describe` shows it.
pub struct TopicDescription<'a> {
    pub name: &'a str,
    pub topic_id: Uuid,
    pub partitions: usize,
    pub replication_factor: usize,
    pub configs: Vec<(String, String)>,
    pub is_marked: bool,
}

/// A partition as `--describe` shows it.
pub struct PartitionDescription<'a> {
    pub topic: &'a str,
    pub partition: i32,
    /// `None`: no leader. ZooKeeper's 1.1.1 form shows -1 as it stands in the node.
    pub leader: Option<BrokerId>,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    /// Adding and removing replicas, while the partition is reassigned.
    pub reassignment: Option<(Vec<BrokerId>, Vec<BrokerId>)>,
    pub replication_factor: usize,
    pub min_isr: Option<usize>,
    pub is_marked: bool,
}

/// What `--describe` is to show.
pub struct Selection<'a> {
    request: &'a Request,
    live_brokers: Vec<BrokerId>,
    /// Lines of topics, and every partition.
    pub with_topics: bool,
    /// Lines of partitions.
    pub with_partitions: bool,
}

impl<'a> Selection<'a> {
    /// Reads the options of `--describe`.
    pub fn new(request: &'a Request, live_brokers: Vec<BrokerId>) -> Selection<'a> {
        Selection {
            request,
            live_brokers,
            with_topics: !super::REPORTS.iter().any(|report| request.has(report)),
            with_partitions: !request.has("topics-with-overrides"),
        }
    }

    /// True if a partition without leader shows as -1, which 1.1.1 takes from the node as it is.
    pub fn shows_no_leader_as_number(&self) -> bool {
        self.request.shape == Shape::V1_1_1
    }

    /// Prints the line of a topic, unless only those with overrides are wanted and it has none.
    pub fn show_topic(&self, topic: &TopicDescription<'_>) {
        if !self.with_topics || (self.request.has("topics-with-overrides") && topic.configs.is_empty()) {
            return;
        }
        let configs = topic.configs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        match self.request.shape {
            Shape::V1_1_1 => {
                let marked = if topic.is_marked { "\tMarkedForDeletion:true" } else { "" };
                out_line!(
                    "Topic:{}\tPartitionCount:{}\tReplicationFactor:{}\tConfigs:{configs}{marked}",
                    topic.name,
                    topic.partitions,
                    topic.replication_factor
                );
            }
            Shape::V2_8_2 => {
                let id = match topic.topic_id {
                    Uuid::ZERO => String::new(),
                    id => format!("\tTopicId: {id}"),
                };
                let marked = if topic.is_marked { "\tMarkedForDeletion: true" } else { "" };
                out_line!(
                    "Topic: {}{id}\tPartitionCount: {}\tReplicationFactor: {}\tConfigs: {configs}{marked}",
                    topic.name,
                    topic.partitions,
                    topic.replication_factor
                );
            }
        }
    }

    /// Prints the line of a partition if it is wanted.
    pub fn show_partition(&self, partition: &PartitionDescription<'_>) {
        if !self.with_partitions || !self.wants(partition) {
            return;
        }
        let leader = partition.leader.map_or("none".to_string(), |leader| leader.to_string());
        let mut line = format!(
            "\tTopic: {}\tPartition: {}\tLeader: {leader}\tReplicas: {}\tIsr: {}",
            partition.topic,
            partition.partition,
            join(&partition.replicas),
            join(&partition.isr)
        );
        if let Some((adding, removing)) = &partition.reassignment {
            line.push_str(&format!("\tAdding Replicas: {}", join(adding)));
            line.push_str(&format!("\tRemoving Replicas: {}", join(removing)));
        }
        // 1.1.1 marks partitions only where it does not show the topic.
        if partition.is_marked && (self.request.shape == Shape::V2_8_2 || !self.with_topics) {
            line.push_str("\tMarkedForDeletion: true");
        }
        out_line!("{line}");
    }

    fn wants(&self, partition: &PartitionDescription<'_>) -> bool {
        let isr = partition.isr.len();
        let is_under_min =
            || partition.leader.is_none() || partition.min_isr.is_some_and(|min_isr| isr < min_isr);
        let is_unavailable = || partition.leader.is_none_or(|leader| !self.live_brokers.contains(&leader));
        self.with_topics
            || (self.request.has("under-replicated-partitions") && isr < partition.replication_factor)
            || (self.request.has("unavailable-partitions") && is_unavailable())
            || (self.request.has("under-min-isr-partitions") && is_under_min())
            || (self.request.has("at-min-isr-partitions") && partition.min_isr == Some(isr))
    }
}

fn join(ids: &[BrokerId]) -> String {
    ids.iter().map(BrokerId::to_string).collect::<Vec<_>>().join(",")
}
