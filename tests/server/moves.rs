//! Replicas that move between the log directories of a broker (KIP-113).

use bytes::Bytes;
use kafka_protocol::messages::alter_replica_log_dirs_request::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use kafka_protocol::messages::describe_log_dirs_request::DescribeLogDirsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Compression;
use std::path::{Path, PathBuf};

use crate::support::client::{create_topic, init_producer_id, produce_request, read_partition, topic_name};
use crate::support::{Broker, ZooKeeper, idempotent_batch, wait_for};

const TOPIC: &str = "travels";
const RECORDS: i32 = 40;
const LOG_DIR_NOT_FOUND: i16 = 57;
const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;

fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

/// Wants a partition to be in a directory.
fn send_to(broker: &Broker, topic: &str, dir: &Path) -> i16 {
    let topic = AlterReplicaLogDirTopic::default().with_name(topic_name(topic)).with_partitions(vec![0]);
    let dir =
        AlterReplicaLogDir::default().with_path(text(dir.display().to_string())).with_topics(vec![topic]);
    let request = AlterReplicaLogDirsRequest::default().with_dirs(vec![dir]);
    broker.connect().call(1, &request).results[0].partitions[0].error_code
}

/// Where the logs of the partition are: directory, and whether it is a copy on its way.
fn places(broker: &Broker) -> Vec<(PathBuf, bool)> {
    let response = broker.connect().call(1, &DescribeLogDirsRequest::default().with_topics(None));
    let mut found = Vec::new();
    for dir in response.results {
        let path = PathBuf::from(dir.log_dir.to_string());
        for topic in dir.topics.iter().filter(|topic| *topic.name.0 == *TOPIC) {
            found.extend(topic.partitions.iter().map(|partition| (path.clone(), partition.is_future_key)));
        }
    }
    found.sort_by_key(|(_, is_future)| *is_future);
    found
}

/// Bytes per second that moves may take; none: any number.
fn bound_moves(broker: &Broker, rate: Option<&str>) {
    let config = AlterableConfig::default()
        .with_name(text("replica.alter.log.dirs.io.max.bytes.per.second"))
        .with_config_operation(i8::from(rate.is_none()))
        .with_value(rate.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(4)
        .with_resource_name(text("0"))
        .with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    assert_eq!(broker.connect().call(0, &request).responses[0].error_code, 0);
}

fn records(broker: &Broker) -> usize {
    read_partition(&mut broker.connect(), 11, TOPIC, 0, 1 << 20).len()
}

#[test]
fn a_replica_moves_waits_goes_on_after_a_restart_and_turns_back() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::prepare(&zookeeper.address(), &[("replica.fetch.max.bytes", "150000")]);
    let dirs = [broker.log_dir(), broker.log_dir().with_file_name("second")];
    broker.set("log.dirs", &format!("{},{}", dirs[0].display(), dirs[1].display()));
    broker.start_again();
    create_topic(&mut broker.connect(), TOPIC, 1);
    let mut wire = broker.connect();
    let producer = init_producer_id(&mut wire);
    for sequence in 0..RECORDS {
        let batch =
            idempotent_batch(producer, sequence, &[Bytes::from(vec![b'x'; 50_000])], Compression::None);
        assert_eq!(
            wire.call(7, &produce_request(TOPIC, 0, batch)).responses[0].partition_responses[0].error_code,
            0
        );
    }
    let home = places(&broker)[0].0.clone();
    let away = dirs.iter().find(|dir| **dir != home).expect("two directories").clone();
    assert_eq!(send_to(&broker, TOPIC, &away.join("nowhere")), LOG_DIR_NOT_FOUND);
    assert_eq!(send_to(&broker, "absent", &away), UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(send_to(&broker, TOPIC, &home), 0, "it is there");

    assert_eq!(send_to(&broker, TOPIC, &away), 0);
    wait_for("the move", || (places(&broker) == [(away.clone(), false)]).then_some(()));
    assert_eq!(records(&broker), RECORDS as usize);

    // A piece of the copy exceeds the bound for eleven seconds, and there are fourteen of them.
    bound_moves(&broker, Some("1"));
    broker.terminate();
    broker.start_again();
    wait_for("a leader", || (!places(&broker).is_empty()).then_some(()));
    assert_eq!(send_to(&broker, TOPIC, &home), 0);
    let on_its_way = [(away.clone(), false), (home.clone(), true)];
    assert_eq!(places(&broker), on_its_way);
    broker.terminate();
    broker.start_again();
    wait_for("the same after a restart", || (places(&broker) == on_its_way).then_some(()));
    assert_eq!(send_to(&broker, TOPIC, &away), 0, "turns back");
    assert_eq!(places(&broker), [(away.clone(), false)]);

    bound_moves(&broker, None);
    wait_for("home again", || {
        assert_eq!(send_to(&broker, TOPIC, &home), 0);
        (places(&broker) == [(home.clone(), false)]).then_some(())
    });
    assert_eq!(records(&broker), RECORDS as usize);
    broker.kill();
    broker.start_again();
    wait_for("a leader", || (!places(&broker).is_empty()).then_some(()));
    assert_eq!(records(&broker), RECORDS as usize);
}
