//! Three brokers, one replica for each partition: the controller's requests reach the other processes.

use std::collections::BTreeMap;

use kafka_protocol::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_protocol::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_protocol::records::Compression;

use crate::support::client::{create_topic, init_producer_id, produce_request, read_partition, topic_name};
use crate::support::{Broker, ZooKeeper, idempotent_batch, wait_for};

const TOPIC: &str = "spread";
const PARTITIONS: i32 = 6;
const NOT_LEADER_OR_FOLLOWER: i16 = 6;

/// Controller, and leader (-1: none) by partition, as one broker sees them.
fn view(broker: &Broker) -> (i32, BTreeMap<i32, i32>) {
    let topic = MetadataRequestTopic::default().with_name(Some(topic_name(TOPIC)));
    let request =
        MetadataRequest::default().with_topics(Some(vec![topic])).with_allow_auto_topic_creation(false);
    let response = broker.connect().call(8, &request);
    let partitions = response.topics[0].partitions.iter();
    (response.controller_id.0, partitions.map(|p| (p.partition_index, p.leader_id.0)).collect())
}

/// Waits until the brokers agree on something that `holds`.
fn agree(
    brokers: &[&Broker],
    what: &str,
    holds: impl Fn(i32, &BTreeMap<i32, i32>) -> bool,
) -> (i32, BTreeMap<i32, i32>) {
    wait_for(what, || {
        let first = view(brokers[0]);
        (holds(first.0, &first.1) && brokers[1..].iter().all(|b| view(b) == first)).then_some(first)
    })
}

fn produce(broker: &Broker, partition: i32, value: &str) -> i16 {
    let mut wire = broker.connect();
    let producer = init_producer_id(&mut wire);
    let batch = idempotent_batch(producer, 0, &[value.to_string().into()], Compression::None);
    wire.call(7, &produce_request(TOPIC, partition, batch)).responses[0].partition_responses[0].error_code
}

fn values(broker: &Broker, partition: i32) -> Vec<String> {
    let records = read_partition(&mut broker.connect(), 11, TOPIC, partition, 1 << 20);
    records.iter().map(|r| String::from_utf8_lossy(r.value.as_ref().expect("a value")).into()).collect()
}

#[test]
fn partitions_spread_over_three_brokers_and_survive_the_controller() {
    let zookeeper = ZooKeeper::start();
    let start = |id: &str| {
        Broker::start(&zookeeper.address(), &[("broker.id", id), ("zookeeper.session.timeout.ms", "2000")])
    };
    let mut brokers = [start("0"), start("1"), start("2")];
    let all: Vec<&Broker> = brokers.iter().collect();
    let controller = wait_for("one controller in all eyes", || {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let seen = all.iter().map(|b| b.connect().call(8, &request));
        let seen: Vec<_> = seen.map(|m| (m.controller_id.0, m.brokers.len())).collect();
        (seen[0].0 >= 0 && seen.iter().all(|s| *s == (seen[0].0, 3))).then_some(seen[0].0)
    });
    create_topic(&mut all[controller as usize].connect(), TOPIC, PARTITIONS);
    let (_, leaders) = agree(&all, "leaders of all partitions", |_, leaders| {
        leaders.len() == PARTITIONS as usize && leaders.values().all(|leader| *leader >= 0)
    });
    for id in 0..3 {
        assert_eq!(leaders.values().filter(|leader| **leader == id).count(), 2, "{leaders:?}");
    }
    for (partition, leader) in &leaders {
        assert_eq!(produce(all[*leader as usize], *partition, &format!("first {partition}")), 0);
        assert_eq!(produce(all[(*leader as usize + 1) % 3], *partition, "lost"), NOT_LEADER_OR_FOLLOWER);
    }
    brokers[controller as usize].kill();
    let rest: Vec<&Broker> =
        brokers.iter().enumerate().filter(|(id, _)| *id as i32 != controller).map(|(_, b)| b).collect();
    let (successor, _) = agree(&rest, "a new controller, and partitions without a leader", |now, found| {
        let expected = |p: &i32| if leaders[p] == controller { -1 } else { leaders[p] };
        now >= 0 && now != controller && found.iter().all(|(p, leader)| *leader == expected(p))
    });
    for (partition, leader) in leaders.iter().filter(|(_, leader)| **leader != controller) {
        assert_eq!(produce(&brokers[*leader as usize], *partition, "second"), 0);
        assert_eq!(
            values(&brokers[*leader as usize], *partition),
            [format!("first {partition}"), "second".into()]
        );
    }
    brokers[controller as usize].start_again();
    let all: Vec<&Broker> = brokers.iter().collect();
    agree(&all, "the old leaders", |now, found| now == successor && *found == leaders);
    for (partition, leader) in &leaders {
        assert_eq!(values(all[*leader as usize], *partition)[0], format!("first {partition}"));
    }
    let delete =
        DeleteTopicsRequest::default().with_topic_names(vec![topic_name(TOPIC)]).with_timeout_ms(30_000);
    assert_eq!(all[successor as usize].connect().call(3, &delete).responses[0].error_code, 0);
    agree(&all, "no topic", |_, found| found.is_empty());
}
