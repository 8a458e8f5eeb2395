//! Quotas of clients: who takes too much is told so (KIP-13, KIP-124, KIP-599). How much is too much, and for how long,
//! is tested with a clock of its own (`quota/client`); here everything is far beyond.

use bytes::Bytes;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::messages::alter_client_quotas_request::{
    AlterClientQuotasRequest, EntityData, EntryData, OpData,
};
use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::fetch_response::FetchResponse;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Compression;

use crate::support::client::{create_topic, init_producer_id, leaders, produce_request, topic_name};
use crate::support::{Broker, ZooKeeper, idempotent_batch, wait_for};

const TOPIC: &str = "bounded";
const RECORD_BYTES: usize = 100_000;
/// How every connection of these tests introduces itself.
const CLIENT: &str = "ottla-test";
const THROTTLING_QUOTA_EXCEEDED: i16 = 89;

/// Sets, or with none takes away, a quota of the client.
fn alter(broker: &Broker, key: &'static str, value: Option<f64>) {
    let entity = EntityData::default()
        .with_entity_type(StrBytes::from_static_str("client-id"))
        .with_entity_name(Some(StrBytes::from_static_str(CLIENT)));
    let op = OpData::default()
        .with_key(StrBytes::from_static_str(key))
        .with_value(value.unwrap_or_default())
        .with_remove(value.is_none());
    let entry = EntryData::default().with_entity(vec![entity]).with_ops(vec![op]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    assert_eq!(broker.connect().call(0, &request).entries[0].error_code, 0);
}

/// A record more; for how long the client has to be silent. Over a connection of its own: another one is muted.
fn produce(broker: &Broker) -> i32 {
    let mut wire = broker.connect();
    let producer = init_producer_id(&mut wire);
    let batch = idempotent_batch(producer, 0, &[Bytes::from(vec![b'x'; RECORD_BYTES])], Compression::None);
    let response = wire.call(7, &produce_request(TOPIC, 0, batch));
    assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    response.throttle_time_ms
}

fn fetch(broker: &Broker, session_epoch: i32) -> FetchResponse {
    let asked = FetchPartition::default().with_partition(0).with_partition_max_bytes(1 << 20);
    let request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(100)
        .with_min_bytes(1)
        .with_max_bytes(1 << 20)
        .with_session_epoch(session_epoch)
        .with_topics(vec![FetchTopic::default().with_topic(topic_name(TOPIC)).with_partitions(vec![asked])]);
    broker.connect().call(11, &request)
}

fn create(broker: &Broker, name: &str, version: i16) -> (i16, i32) {
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(3)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(30_000);
    let response = broker.connect().call(version, &request);
    (response.topics[0].error_code, response.throttle_time_ms)
}

#[test]
fn who_takes_too_much_is_told_so() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::start(&zookeeper.address(), &[]);
    create_topic(&mut broker.connect(), TOPIC, 1);
    assert_eq!(produce(&broker), 0, "no quota");
    alter(&broker, "producer_byte_rate", Some(1000.0));
    wait_for("a throttled producer", || (produce(&broker) > 0).then_some(()));

    assert_eq!(fetch(&broker, 0).throttle_time_ms, 0, "consumers have no quota yet");
    alter(&broker, "consumer_byte_rate", Some(1000.0));
    let throttled = wait_for("a throttled consumer", || {
        let response = fetch(&broker, 0);
        (response.throttle_time_ms > 0).then_some(response)
    });
    assert_eq!((throttled.error_code, throttled.session_id, throttled.responses.len()), (0, 0, 0));

    // Quotas are read at the start, too.
    broker.terminate();
    broker.start_again();
    wait_for("a leader", || (leaders(&mut broker.connect(), TOPIC) == 1).then_some(()));
    wait_for("a throttled producer", || (produce(&broker) > 0).then_some(()));
    alter(&broker, "producer_byte_rate", None);
    alter(&broker, "consumer_byte_rate", None);
    wait_for("free clients", || {
        (produce(&broker) == 0 && fetch(&broker, 0).throttle_time_ms == 0).then_some(())
    });
    assert!(!fetch(&broker, 0).responses.is_empty());

    alter(&broker, "controller_mutation_rate", Some(0.01));
    let mut made = 0;
    let throttle_ms = wait_for("a refused topic", || {
        made += 1;
        let (code, throttle_ms) = create(&broker, &format!("many-{made}"), 6);
        (code == THROTTLING_QUOTA_EXCEEDED).then_some(throttle_ms)
    });
    assert!(throttle_ms > 0);
    let (code, throttle_ms) = create(&broker, "old", 5);
    assert_ne!(code, THROTTLING_QUOTA_EXCEEDED, "older clients are muted only");
    assert!(throttle_ms > 0);
}
