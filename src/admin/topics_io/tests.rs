use crate::admin::testing::{admin, cluster};
use crate::common::{ErrorCode, topic_name};
use crate::protocol::messages::create_partitions::CreatePartitionsTopic;
use crate::protocol::messages::create_topics::{
    CreatableReplicaAssignment, CreatableTopic, CreateableTopicConfig,
};
use crate::quota::client::MutationQuota;
use crate::zk::memory::MemoryZooKeeper;
use bytestring::ByteString;

fn free() -> MutationQuota<'static> {
    MutationQuota::unbounded()
}

fn topic(name: &'static str) -> CreatableTopic {
    let list = |partition_index, broker_ids| CreatableReplicaAssignment {
        partition_index,
        broker_ids,
        ..Default::default()
    };
    CreatableTopic {
        name: ByteString::from_static(name),
        num_partitions: -1,
        replication_factor: -1,
        assignments: vec![list(0, vec![2, 3]), list(1, vec![3, 1])],
        configs: vec![CreateableTopicConfig {
            name: ByteString::from_static("retention.ms"),
            value: Some(ByteString::from_static("5000")),
            ..Default::default()
        }],
        ..Default::default()
    }
}

/// Golden znodes/2.8.2/ops/05-topic-create-bootstrap: the settings, then the assignment.
#[tokio::test]
async fn a_topic_is_written_as_kafka_does() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "");
    zk.take_log();
    let created =
        admin.create_topic(&topic("tbs"), &cluster(&[1, 2, 3], &[]), false, &free()).await.expect("created");
    assert_eq!((created.partitions, created.replication_factor), (2, 2));
    let log: Vec<String> = zk.take_log().into_iter().filter(|line| !line.ends_with("null")).collect();
    let id = created.topic_id;
    assert_eq!(
        log,
        [
            r#"create P /config/topics/tbs {"version":1,"config":{"retention.ms":"5000"}}"#.to_string(),
            format!(
                r#"create P /brokers/topics/tbs {{"partitions":{{"0":[2,3],"1":[3,1]}},"topic_id":"{id}","adding_replicas":{{}},"removing_replicas":{{}},"version":3}}"#
            ),
        ]
    );
    let again = admin.create_topic(&topic("tbs"), &cluster(&[1, 2, 3], &[]), false, &free()).await;
    assert_eq!(again.expect_err("exists").code, ErrorCode::TopicAlreadyExists);
}

#[tokio::test]
async fn validation_writes_nothing() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "");
    admin.create_topic(&topic("a.b"), &cluster(&[1], &[]), false, &free()).await.expect("created");
    zk.take_log();
    admin.create_topic(&topic("t"), &cluster(&[1], &[]), true, &free()).await.expect("valid");
    let alike =
        admin.create_topic(&topic("a_b"), &cluster(&[1], &[]), false, &free()).await.expect_err("collides");
    assert_eq!(alike.code, ErrorCode::InvalidTopicException);
    let growth = CreatePartitionsTopic {
        name: ByteString::from_static("a.b"),
        count: 5,
        assignments: None,
        ..Default::default()
    };
    assert_eq!(admin.create_partitions(&growth, &cluster(&[1, 2, 3], &[]), true, &free()).await, Ok(5));
    assert!(zk.take_log().is_empty());
}

#[tokio::test]
async fn without_topic_ids_before_2_8() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "inter.broker.protocol.version=2.7\nlog.message.format.version=2.7");
    let created =
        admin.create_topic(&topic("t"), &cluster(&[1], &[]), false, &free()).await.expect("created");
    assert!(created.topic_id.is_zero());
    assert!(!zk.dump("/brokers/topics").concat().contains("topic_id"));
}

#[tokio::test]
async fn partitions_are_added_and_topics_marked_for_deletion() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "");
    let cluster = cluster(&[1, 2, 3], &[]);
    admin.create_topic(&topic("t"), &cluster, false, &free()).await.expect("created");
    zk.take_log();
    let growth = CreatePartitionsTopic {
        name: ByteString::from_static("t"),
        count: 3,
        assignments: None,
        ..Default::default()
    };
    assert_eq!(admin.create_partitions(&growth, &cluster, false, &free()).await, Ok(3));
    let log = zk.take_log();
    assert_eq!(log.len(), 1);
    assert!(
        log[0].starts_with(r#"set /brokers/topics/t v1 {"partitions":{"0":[2,3],"1":[3,1],"2":["#),
        "{log:?}"
    );
    assert!(log[0].contains("topic_id"));
    assert_eq!(admin.delete_topic("t").await, Ok(()));
    assert_eq!(zk.take_log().last().map(String::as_str), Some("create P /admin/delete_topics/t null"));
    assert_eq!(admin.delete_topic("t").await, Ok(()), "asking again waits for the same deletion");
    let absent = admin.delete_topic("nope").await.expect_err("absent");
    assert_eq!(absent.code, ErrorCode::UnknownTopicOrPartition);
}

#[tokio::test]
async fn topics_that_clients_ask_for() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "num.partitions=2");
    let one = cluster(&[1], &["old"]);
    assert_eq!(admin.auto_create("new", &one, &free()).await, ErrorCode::LeaderNotAvailable);
    assert_eq!(admin.auto_create("new", &one, &free()).await, ErrorCode::LeaderNotAvailable);
    assert_eq!(admin.auto_create("a b", &one, &free()).await, ErrorCode::InvalidTopicException);
    let own = admin.auto_create(topic_name::GROUP_METADATA_TOPIC, &one, &free()).await;
    assert_eq!(own, ErrorCode::InvalidReplicationFactor);
    assert!(zk.dump("/config/topics").concat().contains("/config/topics/new"));
}
