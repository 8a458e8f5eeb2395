use super::*;
use crate::admin::testing;
use crate::protocol::messages::create_partitions::CreatePartitionsAssignment;
use crate::protocol::messages::create_topics::CreatableReplicaAssignment;
use crate::zk::data::ReplicaAssignment;
use crate::zk::memory::MemoryZooKeeper;

fn config() -> std::sync::Arc<BrokerConfig> {
    testing::admin(MemoryZooKeeper::new().connect(), "num.partitions=3").config()
}

fn topic(partitions: i32, replicas: i16) -> CreatableTopic {
    CreatableTopic {
        name: ByteString::from_static("t"),
        num_partitions: partitions,
        replication_factor: replicas,
        ..Default::default()
    }
}

fn manual(lists: &[(i32, &[i32])]) -> CreatableTopic {
    let list = |(partition, ids): &(i32, &[i32])| CreatableReplicaAssignment {
        partition_index: *partition,
        broker_ids: ids.to_vec(),
        ..Default::default()
    };
    CreatableTopic { assignments: lists.iter().map(list).collect(), ..topic(-1, -1) }
}

fn setting(name: &'static str, value: Option<&'static str>) -> CreateableTopicConfig {
    CreateableTopicConfig {
        name: ByteString::from_static(name),
        value: value.map(ByteString::from_static),
        ..Default::default()
    }
}

fn planned(topic: &CreatableTopic) -> Result<TopicPlan, (i16, String)> {
    let brokers = brokers(&testing::cluster(&[1, 2], &[]));
    let plan = plan(topic, false, &brokers, &config()).and_then(|plan| validate(&plan).map(|()| plan));
    plan.map_err(|error| (error.code.code(), error.to_string()))
}

fn refused(topic: &CreatableTopic) -> (i16, String) {
    planned(topic).expect_err("must be refused")
}

#[test]
fn counts_given_or_from_the_broker() {
    let plan = planned(&topic(-1, -1)).expect("valid");
    assert_eq!(plan.assignment.len(), 3);
    assert!(plan.assignment.values().all(|replicas| replicas.len() == 1));
    let plan = planned(&topic(4, 2)).expect("valid");
    assert!(plan.assignment.values().all(|replicas| replicas.len() == 2));
    let with_settings = CreatableTopic { configs: vec![setting("retention.ms", Some("5"))], ..topic(1, 1) };
    assert_eq!(planned(&with_settings).expect("valid").settings["retention.ms"], "5");
}

/// Texts of golden wire/api/19-CreateTopics, scenario CreateTopics.errors.
#[test]
fn refusals_are_kafkas() {
    assert_eq!(refused(&topic(1, 5)), (38, "Replication factor: 5 larger than available brokers: 2.".into()));
    assert_eq!(refused(&topic(0, 1)), (37, "Number of partitions must be larger than 0.".into()));
    let null = CreatableTopic { configs: vec![setting("retention.ms", None)], ..topic(1, 1) };
    assert_eq!(refused(&null), (42, "Null value not supported for topic configs : retention.ms".into()));
    let both = CreatableTopic { num_partitions: 1, ..manual(&[(0, &[1])]) };
    assert_eq!(
        refused(&both).1,
        "Both numPartitions or replicationFactor and replicasAssignments were set. Both cannot be used at the same \
         time."
    );
    let gap = "partitions should be a consecutive 0-based integer sequence";
    assert_eq!(refused(&manual(&[(1, &[1])])), (39, gap.into()));
    assert_eq!(
        refused(&manual(&[(0, &[1, 1])])),
        (39, "Duplicate replica assignment found: HashMap(0 -> ArrayBuffer(1, 1))".into())
    );
    let unequal = "All partitions should have the same number of replicas";
    assert_eq!(refused(&manual(&[(0, &[1, 2]), (1, &[1])])), (39, unequal.into()));
    assert_eq!(refused(&manual(&[(0, &[])])), (39, unequal.into()));
    let unknown = CreatableTopic { configs: vec![setting("no.such.config", Some("1"))], ..topic(1, 1) };
    assert_eq!(refused(&unknown), (40, "Unknown topic config name: no.such.config".into()));
    let bad = CreatableTopic { configs: vec![setting("retention.ms", Some("abc"))], ..topic(1, 1) };
    assert_eq!(
        refused(&bad),
        (40, "Invalid value abc for configuration retention.ms: Not a number of type LONG".into())
    );
}

#[test]
fn brokers_that_nobody_knows_are_accepted() {
    assert_eq!(planned(&manual(&[(0, &[99])])).expect("valid").assignment[&0], [99]);
}

#[test]
fn names_that_look_alike_in_metrics() {
    let error = validate_no_collision("a_b", ["a.b", "a-b", "x"]).expect_err("collides");
    assert_eq!(error.to_string(), "Topic 'a_b' collides with existing topics: a.b");
    assert_eq!(error.code, ErrorCode::InvalidTopicException);
    assert!(validate_no_collision("a_b", ["a-b"]).is_ok());
    let raced = validate_no_collision("a_b", ["a_b"]).expect_err("exists");
    assert_eq!(raced.code, ErrorCode::TopicAlreadyExists);
}

fn grown(
    count: i32,
    lists: Option<&[&[i32]]>,
    existing: &TopicAssignment,
) -> Result<Assignment, (i16, String)> {
    let list = |ids: &&[i32]| CreatePartitionsAssignment { broker_ids: ids.to_vec(), ..Default::default() };
    let request = CreatePartitionsTopic {
        name: ByteString::from_static("t"),
        count,
        assignments: lists.map(|lists| lists.iter().map(list).collect()),
        ..Default::default()
    };
    let brokers = brokers(&testing::cluster(&[1, 2], &[]));
    let added = plan_partitions(&request, Some(existing), &brokers);
    added.map_err(|error| (error.code.code(), error.to_string()))
}

/// Texts of golden wire/api/37-CreatePartitions.
#[test]
fn growth_and_its_refusals() {
    let existing = TopicAssignment::of(None, [(0, vec![1]), (1, vec![2])].into_iter().collect());
    assert_eq!(grown(3, None, &existing), Ok(Assignment::from([(2, vec![1])])));
    assert_eq!(grown(3, Some(&[&[2]]), &existing), Ok(Assignment::from([(2, vec![2])])));
    let refusal = |count, lists| grown(count, lists, &existing).expect_err("must be refused");
    assert_eq!(
        refusal(1, None),
        (37, "Topic currently has 2 partitions, which is higher than the requested 1.".into())
    );
    assert_eq!(refusal(2, None), (37, "Topic already has 2 partitions.".into()));
    assert_eq!(
        refusal(4, Some(&[&[99], &[98]])),
        (39, "Unknown broker(s) in replica assignment: 99, 98.".into())
    );
    assert_eq!(
        refusal(4, Some(&[&[1]])),
        (39, "Increasing the number of partitions by 2 but 1 assignments provided.".into())
    );
    assert_eq!(refusal(3, Some(&[&[1, 2]])).0, 39);
    let mut moving = existing.clone();
    moving.partitions.insert(
        1,
        ReplicaAssignment { replicas: vec![1, 2], adding_replicas: vec![1], removing_replicas: Vec::new() },
    );
    assert_eq!(
        grown(3, None, &moving),
        Err((60, "A partition reassignment is in progress for the topic 't'.".into()))
    );
    assert_eq!(grown(3, None, &TopicAssignment::default()), Err((3, "The topic 't' does not exist.".into())));
}

#[test]
fn the_clusters_own_topics_are_compacted() {
    let config = config();
    let offsets = default_topic(topic_name::GROUP_METADATA_TOPIC, &config);
    assert_eq!((offsets.num_partitions, offsets.replication_factor), (50, 3));
    let transactions = default_topic(topic_name::TRANSACTION_STATE_TOPIC, &config);
    assert_eq!(transactions.configs.len(), 5);
    let other = default_topic("t", &config);
    assert_eq!((other.num_partitions, other.configs.len()), (-1, 0));
}
