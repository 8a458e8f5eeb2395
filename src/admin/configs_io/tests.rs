use crate::admin::AdminError;
use crate::admin::configs::ResourceType::{self, Broker, Topic};
use crate::admin::configs::alter::{Edit, Op};
use crate::admin::testing::{admin, cluster};
use crate::common::ErrorCode;
use crate::config::{Scope, Settings};
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{CreateMode, ZkClient};

fn set<'a>(name: &'a str, value: &'a str) -> Edit<'a> {
    Edit { name, op: Some(Op::Set), value: Some(value) }
}

fn settings(name: &str, value: &str) -> Settings {
    [(name.to_string(), value.to_string())].into_iter().collect()
}

async fn make_topic(client: &ZkClient, name: &str) {
    let path = format!("/brokers/topics/{name}");
    client.create_with_parents(&path, "{}", CreateMode::Persistent).await.expect("created");
}

/// Golden znodes/2.8.2/ops/10 and 12: the node, then the notification.
#[tokio::test]
async fn changes_are_written_and_announced() {
    let zk = MemoryZooKeeper::new();
    let client = zk.connect();
    let admin = admin(client.clone(), "");
    make_topic(&client, "t").await;
    zk.take_log();
    let cluster = cluster(&[1], &["t"]);
    admin.edit(Topic, "t", &[set("segment.ms", "70000")], &cluster, false).await.expect("edited");
    admin.alter(Topic, "t", settings("retention.ms", "5"), &cluster, false).await.expect("altered");
    admin.edit(Broker, "1", &[set("log.cleaner.threads", "2")], &cluster, false).await.expect("edited");
    admin.edit(Broker, "", &[set("max.connections", "900")], &cluster, false).await.expect("edited");
    admin.edit(Topic, "t", &[set("segment.ms", "1")], &cluster, true).await.expect("valid");
    let log: Vec<String> = zk.take_log().into_iter().filter(|line| !line.ends_with("null")).collect();
    assert_eq!(
        log,
        [
            r#"create P /config/topics/t {"version":1,"config":{"segment.ms":"70000"}}"#,
            r#"create PS /config/changes/config_change_0000000000 {"version":2,"entity_path":"topics/t"}"#,
            r#"set /config/topics/t v1 {"version":1,"config":{"retention.ms":"5"}}"#,
            r#"create PS /config/changes/config_change_0000000001 {"version":2,"entity_path":"topics/t"}"#,
            r#"create P /config/brokers/1 {"version":1,"config":{"log.cleaner.threads":"2"}}"#,
            r#"create PS /config/changes/config_change_0000000002 {"version":2,"entity_path":"brokers/1"}"#,
            r#"create P /config/brokers/<default> {"version":1,"config":{"max.connections":"900"}}"#,
            r#"create PS /config/changes/config_change_0000000003 {"version":2,"entity_path":"brokers/<default>"}"#,
        ]
    );
}

#[tokio::test]
async fn a_broker_takes_over_what_is_stored() {
    let zk = MemoryZooKeeper::new();
    let admin = admin(zk.connect(), "");
    let cluster = cluster(&[1], &[]);
    admin.edit(Broker, "", &[set("message.max.bytes", "7")], &cluster, false).await.expect("edited");
    assert_eq!(admin.config().message_max_bytes, 1_048_588, "not before it is told");
    let (config, ignored) = admin.reload_broker(Scope::Cluster).await.expect("read");
    assert_eq!((config.message_max_bytes, ignored.len()), (7, 0));
    admin.reload_broker(Scope::Broker).await.expect("read");
    assert_eq!(admin.config().message_max_bytes, 7);
}

#[tokio::test]
async fn topics_whose_node_is_damaged_have_defaults_that_keep() {
    let zk = MemoryZooKeeper::new();
    let client = zk.connect();
    let admin = admin(client.clone(), "log.retention.ms=9");
    let node = "/config/topics/bad";
    client.create_with_parents(node, "not json", CreateMode::Persistent).await.expect("created");
    let node = "/config/topics/good";
    let data = r#"{"version":1,"config":{"retention.ms":"5","nope":"1"}}"#;
    client.create_with_parents(node, data, CreateMode::Persistent).await.expect("created");
    let names = ["bad", "good", "none"].map(bytestring::ByteString::from_static).to_vec();
    let configs = admin.topic_configs(names).await;
    assert_eq!(configs["bad"].retention_ms, -1);
    assert_eq!(configs["good"].retention_ms, 5);
    assert_eq!(configs["none"].retention_ms, 9);
}

/// Texts of golden cli/2.8.2/configs-bs.
#[tokio::test]
async fn refusals_are_kafkas() {
    let zk = MemoryZooKeeper::new();
    let client = zk.connect();
    let admin = admin(client.clone(), "");
    make_topic(&client, "cf-bs").await;
    let cluster = cluster(&[1], &["cf-bs", "gone"]);
    let refused = async |resource: ResourceType, name: &str, key: &str, value: &str| -> (i16, String) {
        let result: Result<(), AdminError> =
            admin.edit(resource, name, &[set(key, value)], &cluster, false).await;
        let error = result.expect_err("must be refused");
        (error.code.code(), error.to_string())
    };
    assert_eq!(
        refused(Topic, "cf-bs", "retention.ms", "x").await,
        (
            42,
            "Invalid config value for resource ConfigResource(type=TOPIC, name='cf-bs'): Invalid value x for \
             configuration retention.ms: Not a number of type LONG"
                .into()
        )
    );
    assert_eq!(
        refused(Broker, "1", "num.partitions", "3").await.1,
        "Invalid config value for resource ConfigResource(type=BROKER, name='1'): Cannot update these configs \
         dynamically: Set(num.partitions)"
    );
    assert_eq!(refused(Topic, "cf-bs", "nope", "1").await, (40, "Unknown topic config name: nope".into()));
    assert_eq!(
        refused(Topic, "nope", "retention.ms", "1").await,
        (3, "The topic 'nope' does not exist.".into())
    );
    assert_eq!(refused(Topic, "gone", "retention.ms", "1").await, (3, "Topic 'gone' does not exist.".into()));
    assert_eq!(
        refused(Broker, "9", "log.retention.ms", "1").await,
        (42, "Unexpected broker id, expected 1, but received 9".into())
    );
    let whole = admin.alter(ResourceType::BrokerLogger, "1", Settings::new(), &cluster, false).await;
    assert_eq!(whole.expect_err("refused").code, ErrorCode::InvalidRequest);
}
