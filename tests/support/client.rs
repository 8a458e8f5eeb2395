//! What most tests ask of a broker, over [`Wire`].

use std::io;

use bytes::Bytes;
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::messages::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use kafka_protocol::messages::{BrokerId, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Record;

use super::{ProducerId, Wire, read_batches, wait_for};

const TIMEOUT_MS: i32 = 30_000;

pub fn topic_name(name: &str) -> TopicName {
    TopicName(StrBytes::from_string(name.to_string()))
}

/// A broker that has just started knows no live broker, not even itself, until the controller has told it.
pub fn wait_until_ready(wire: &mut Wire) {
    wait_for("broker and controller in the metadata", || {
        let response = wire.call(8, &MetadataRequest::default().with_topics(Some(Vec::new())));
        (!response.brokers.is_empty() && response.controller_id.0 >= 0).then_some(())
    });
}

/// Creates a topic with one replica and waits until all its partitions have a leader.
pub fn create_topic(wire: &mut Wire, name: &str, partitions: i32) {
    wait_until_ready(wire);
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(TIMEOUT_MS);
    let response = wire.call(4, &request);
    assert_eq!(response.topics[0].error_code, 0, "creation of {name}");
    wait_for("leader of every new partition", || (leaders(wire, name) == partitions).then_some(()));
}

/// How many partitions of the topic have a leader.
pub fn leaders(wire: &mut Wire, name: &str) -> i32 {
    try_leaders(wire, name).expect("the broker lives")
}

/// As [`leaders`], of a broker that may die.
pub fn try_leaders(wire: &mut Wire, name: &str) -> io::Result<i32> {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
    let response = wire.try_call(8, &MetadataRequest::default().with_topics(Some(vec![topic])))?;
    let found = &response.topics[0];
    if found.error_code != 0 {
        return Ok(0);
    }
    Ok(found.partitions.iter().filter(|p| p.error_code == 0 && p.leader_id.0 >= 0).count() as i32)
}

/// A new producer id.
pub fn init_producer_id(wire: &mut Wire) -> ProducerId {
    let request =
        InitProducerIdRequest::default().with_transactional_id(None).with_transaction_timeout_ms(TIMEOUT_MS);
    wait_for("producer id", || {
        let response = wire.call(1, &request);
        (response.error_code == 0).then_some(ProducerId {
            producer_id: response.producer_id.0,
            producer_epoch: response.producer_epoch,
        })
    })
}

/// A produce request of one batch with acks=all.
pub fn produce_request(topic: &str, partition: i32, batch: Bytes) -> ProduceRequest {
    let data = PartitionProduceData::default().with_index(partition).with_records(Some(batch));
    let topic = TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(-1).with_timeout_ms(TIMEOUT_MS).with_topic_data(vec![topic])
}

/// Every record of a partition up to its high watermark, fetched in pieces of about `max_bytes`.
pub fn read_partition(
    wire: &mut Wire,
    version: i16,
    topic: &str,
    partition: i32,
    max_bytes: i32,
) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    loop {
        let next = records.last().map_or(0, |r| r.offset + 1);
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_current_leader_epoch(-1)
            .with_fetch_offset(next)
            .with_partition_max_bytes(max_bytes);
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(max_bytes)
            .with_session_epoch(-1)
            .with_topics(vec![
                FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![asked]),
            ]);
        let response = wire.call(version, &request);
        assert_eq!(response.error_code, 0, "fetch");
        let found = &response.responses[0].partitions[0];
        assert_eq!(found.error_code, 0, "fetch of {topic}-{partition} at {next}");
        if next >= found.high_watermark {
            assert_eq!(next, found.high_watermark, "records end at the high watermark");
            return records;
        }
        let batches = found.records.clone().unwrap_or_default();
        assert!(!batches.is_empty(), "no data at {next} below the high watermark {}", found.high_watermark);
        records.extend(read_batches(batches).into_iter().filter(|r| r.offset >= next));
    }
}
