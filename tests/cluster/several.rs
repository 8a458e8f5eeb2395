//! Several brokers of one cluster, looked at from outside.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreateTopicsRequest,
};
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::{BrokerId, MetadataResponse};

use crate::support::client::{topic_name, wait_until_ready};
use crate::support::{Broker, Wire, wait_for};

/// For an answer of a broker that may be dead, hang, or be out of reach.
const ANSWER_MAX: Duration = Duration::from_secs(1);

/// Creates a topic, the replicas of each partition given, and waits for nothing but the answer. All brokers must run.
pub fn create_topic(brokers: &[Broker], topic: &str, assignments: &[Vec<i32>]) {
    let mut wire = brokers[0].connect();
    wait_until_ready(&mut wire);
    let mut cluster = || wire.call(8, &MetadataRequest::default().with_topics(Some(Vec::new())));
    wait_for("all brokers in the metadata", || (cluster().brokers.len() == brokers.len()).then_some(()));
    let assignments = (0..).zip(assignments).map(|(partition, replicas)| {
        let replicas = replicas.iter().copied().map(BrokerId).collect();
        CreatableReplicaAssignment::default().with_partition_index(partition).with_broker_ids(replicas)
    });
    let new = CreatableTopic::default()
        .with_name(topic_name(topic))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(assignments.collect());
    let request = CreateTopicsRequest::default().with_topics(vec![new]).with_timeout_ms(30_000);
    wait_for("the topic", || {
        let broker = brokers.get(usize::try_from(cluster().controller_id.0).ok()?)?;
        let code = broker.connect().call(4, &request).topics[0].error_code;
        // 36: made by the attempt before.
        [0, 36].contains(&code).then_some(())
    });
}

/// Leader and in-sync replicas of a partition, as the first of the brokers that answers and knows a leader says.
pub fn look_up<'a>(
    addresses: impl IntoIterator<Item = &'a String>,
    topic: &str,
    partition: i32,
) -> Option<(i32, Vec<i32>)> {
    addresses.into_iter().find_map(|address| {
        let response = metadata(address, topic)?;
        let partitions = &response.topics.first()?.partitions;
        let found = partitions.iter().find(|p| p.partition_index == partition && p.leader_id.0 >= 0)?;
        Some((found.leader_id.0, found.isr_nodes.iter().map(|id| id.0).collect()))
    })
}

fn metadata(address: &str, topic: &str) -> Option<MetadataResponse> {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(topic)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    Wire::try_connect_within(address, ANSWER_MAX).ok()?.try_call(8, &request).ok()
}

/// The log of a partition as one piece, whatever its segments. `log_dirs` are those of one broker.
pub fn log_bytes(log_dirs: &[PathBuf], topic: &str, partition: i32) -> Vec<u8> {
    let entries = fs::read_dir(partition_dir(log_dirs, topic, partition)).expect("the partition's directory");
    let mut segments: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    segments.sort();
    segments.iter().flat_map(|path| fs::read(path).expect("a segment")).collect()
}

/// The directory of a partition, in whichever of the log directories it is.
pub fn partition_dir(log_dirs: &[PathBuf], topic: &str, partition: i32) -> PathBuf {
    let mut candidates = log_dirs.iter().map(|dir| dir.join(format!("{topic}-{partition}")));
    candidates.find(|dir| dir.exists()).unwrap_or_else(|| panic!("no {topic}-{partition} in {log_dirs:?}"))
}
