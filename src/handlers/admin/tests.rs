//! The recorded exchanges of Kafka 2.8.2 (`tests/golden/wire/api`): their requests go in, and what comes out must be
//! the recorded answer, apart from ids and orders that are not a contract. The state that a request met is rebuilt
//! from its answer: topics that exist, were deleted, or grew.

use super::*;
use crate::admin::testing;
use crate::protocol::json::to_json;
use crate::protocol::messages::update_metadata::UpdateMetadataRequest;
use crate::protocol::{ApiRequest, Message, Reader, decode_request_header};
use crate::quota::client::{Client, ClientQuotas, Windows};
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{CreateMode, Watch, ZkClient, data, paths};
use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// Settings of the recorded broker that its answers show.
const FILE: &str = "log.index.size.max.bytes=65536";

struct Exchange {
    scenario: String,
    version: i16,
    request: Bytes,
    answer: Value,
}

/// The generated exchanges of an API, without those that need an authorizer.
fn exchanges(api: &str) -> Vec<Exchange> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/wire/api/{api}.jsonl.gz"));
    let lines = BufReader::new(GzDecoder::new(std::fs::File::open(path).expect("golden file"))).lines();
    let parse = |line: std::io::Result<String>| {
        let line: Value = serde_json::from_str(&line.expect("text")).expect("JSON");
        let scenario = line["scenario"].as_str()?.to_string();
        if line["source"] != "generated" || scenario == "denied" || scenario == "setup" {
            return None;
        }
        let hex = line["request"]["hex"].as_str()?;
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex");
        Some(Exchange {
            scenario,
            version: line["version"].as_i64()? as i16,
            request: (0..hex.len()).step_by(2).map(byte).collect(),
            answer: line["response"]["body"].clone(),
        })
    };
    lines.filter_map(parse).collect()
}

impl Exchange {
    fn request<R: ApiRequest>(&self) -> R {
        let mut reader = Reader::new(self.request.clone());
        decode_request_header(&mut reader).expect("a header");
        R::decode(&mut reader, self.version).expect("a request")
    }

    /// Compares with the recorded answer, lists sorted.
    fn check<M: Message>(&self, answer: &M) {
        let mut ours = to_json(answer, self.version);
        let mut recorded = self.answer.clone();
        sort(&mut ours);
        sort(&mut recorded);
        assert_eq!(ours, recorded, "{} version {}", self.scenario, self.version);
    }

    fn elements(&self, list: &str) -> impl Iterator<Item = &Value> {
        self.answer[list].as_array().into_iter().flatten()
    }
}

/// Orders of lists are hash orders in Kafka. Ids are random, documentation is our own.
fn sort(value: &mut Value) {
    match value {
        Value::Array(items) => {
            items.iter_mut().for_each(sort);
            // Synonyms have an order.
            if items.iter().all(|item| item.get("source").is_none()) {
                items.sort_by_key(Value::to_string);
            }
        }
        Value::Object(fields) => {
            fields.remove("topicId");
            fields.remove("documentation");
            fields.values_mut().for_each(sort);
        }
        _ => {}
    }
}

/// A controller as far as these handlers see it: it tells the broker of topics and partitions that appear in
/// ZooKeeper, and forgets those that are marked for deletion.
async fn control(zk: ZkClient, metadata: &MetadataCache) {
    loop {
        let (names, topics) = zk.children_and_watch(paths::TOPICS).await.expect("topics");
        let (marked, marks) = zk.children_and_watch(paths::DELETE_TOPICS).await.expect("marks");
        let mut changes: FuturesUnordered<Watch> = [topics, marks].into_iter().collect();
        for name in names {
            let (node, growth) = zk.get_and_watch(&paths::topic(&name)).await.expect("read");
            let topic = data::TopicAssignment::decode(&node.expect("a topic").0).expect("a topic");
            let leader = if marked.contains(&name) { -2 } else { 1 };
            metadata.update(&told(&name, topic.partitions.len() as i32, leader));
            changes.push(growth);
        }
        changes.next().await;
    }
}

fn told(name: &str, partitions: i32, leader: i32) -> UpdateMetadataRequest {
    let mut request = testing::update(&[1], &[name], leader);
    let state = request.topic_states[0].partition_states[0].clone();
    request.topic_states[0].partition_states = (0..partitions)
        .map(|partition_index| crate::protocol::messages::update_metadata::UpdateMetadataPartitionState {
            partition_index,
            ..state.clone()
        })
        .collect();
    request
}

struct Scene {
    zk: ZkClient,
    admin: Admin,
    metadata: MetadataCache,
    quotas: ClientQuotas,
}

impl Scene {
    /// Broker 1, which knows the topics with so many partitions each.
    async fn new(topics: &BTreeMap<String, i32>) -> Scene {
        let zk = MemoryZooKeeper::new().connect();
        let admin = testing::admin(zk.clone(), FILE);
        let metadata = MetadataCache::default();
        metadata.update(&testing::update(&[1], &[], 1));
        for (name, partitions) in topics {
            let replicas = (0..*partitions).map(|partition| (partition, vec![1])).collect();
            let node = data::TopicAssignment::of(None, replicas).encode();
            zk.create_with_parents(&paths::topic(name), node, CreateMode::Persistent).await.expect("created");
            metadata.update(&told(name, *partitions, 1));
        }
        let windows = Windows { count: 11, seconds: 1 };
        Scene { zk, admin, metadata, quotas: ClientQuotas::new(windows, windows, None, None) }
    }

    async fn with_cluster_setting(self, key: &str, value: &str) -> Scene {
        let settings = [(key.to_string(), value.to_string())].into_iter().collect();
        let node = data::config_entity::encode(&settings);
        let path = paths::config_entity("brokers", paths::DEFAULT_ENTITY);
        self.zk.create_with_parents(&path, node, CreateMode::Persistent).await.expect("created");
        self.admin.reload_broker(crate::config::Scope::Cluster).await.expect("read");
        self
    }

    fn context(&self, version: i16) -> AdminContext<'_> {
        AdminContext {
            admin: &self.admin,
            metadata: &self.metadata,
            is_controller: true,
            version,
            quotas: &self.quotas,
            client: Client { user: "u", client_id: "c" },
        }
    }

    /// The answer of a handler while a controller is at work.
    async fn answer<T>(&self, handle: impl Future<Output = T>) -> T {
        tokio::select! {
            answer = handle => answer,
            () = control(self.zk.clone(), &self.metadata) => unreachable!("the controller does not end"),
        }
    }
}

/// Names of the elements of a list whose error code is one of these.
fn names_with(exchange: &Exchange, list: &str, codes: &[i64]) -> Vec<String> {
    let has_code = |element: &&Value| codes.contains(&element["errorCode"].as_i64().unwrap_or_default());
    exchange
        .elements(list)
        .filter(has_code)
        .filter_map(|element| Some(element["name"].as_str()?.to_string()))
        .collect()
}

#[tokio::test]
async fn create_topics() {
    let exchanges = exchanges("19-CreateTopics");
    assert!(exchanges.len() > 40);
    for exchange in exchanges {
        let existing = names_with(&exchange, "topics", &[36]).into_iter().map(|name| (name, 1)).collect();
        let scene = Scene::new(&existing).await.with_cluster_setting("log.retention.ms", "999999999").await;
        let request = exchange.request();
        let answer = scene.answer(create_topics::handle(scene.context(exchange.version), request)).await;
        exchange.check(&answer);
    }
}

#[tokio::test]
async fn delete_topics() {
    let exchanges = exchanges("20-DeleteTopics");
    assert!(exchanges.len() > 15);
    for exchange in exchanges {
        let existing: BTreeMap<String, i32> =
            names_with(&exchange, "responses", &[0, 7, 42]).into_iter().map(|name| (name, 1)).collect();
        let scene = Scene::new(&existing).await;
        for response in exchange.elements("responses") {
            let id = response["topicId"].as_str().and_then(crate::common::Uuid::parse);
            if let (Some(name), Some(id)) = (response["name"].as_str(), id) {
                let mut request = told(name, 1, 1);
                request.topic_states[0].topic_id = id;
                if existing.contains_key(name) {
                    scene.metadata.update(&request);
                }
            }
        }
        let request = exchange.request();
        let answer =
            scene.answer(super::delete_topics::handle(scene.context(exchange.version), request)).await;
        exchange.check(&answer);
    }
}

#[tokio::test]
async fn create_partitions() {
    let exchanges = exchanges("37-CreatePartitions");
    assert!(exchanges.len() > 10);
    for exchange in exchanges {
        let count = |result: &Value| {
            // "Topic already has 4 partitions", "Topic currently has 2 partitions, ..."
            let message = result["errorMessage"].as_str().unwrap_or_default();
            message.split(' ').find_map(|word| word.parse().ok()).unwrap_or(2)
        };
        let name = |result: &Value| result["name"].as_str().expect("a name").to_string();
        let existing = exchange.elements("results").map(|result| (name(result), count(result))).collect();
        let scene = Scene::new(&existing).await;
        let request = exchange.request();
        let answer = scene.answer(super::create_partitions::handle(scene.context(exchange.version), request));
        exchange.check(&answer.await);
    }
}

#[tokio::test]
async fn describe_configs_of_topics_and_defaults() {
    let mut exchanges = exchanges("32-DescribeConfigs");
    // Brokers have security in their files, which this release refuses; loggers are the server's.
    exchanges.retain(|e| ["topic", "brokerDefault", "errors"].iter().any(|name| e.scenario.ends_with(name)));
    assert_eq!(exchanges.len(), 15);
    for exchange in exchanges {
        let existing = [("m0".to_string(), 1)].into_iter().collect();
        let scene = Scene::new(&existing).await.with_cluster_setting("log.retention.ms", "999999999").await;
        let settings = [("message.format.version".to_string(), "0.9.0".to_string())].into_iter().collect();
        let node = data::config_entity::encode(&settings);
        let path = paths::config_entity("topics", "m0");
        scene.zk.create_with_parents(&path, node, CreateMode::Persistent).await.expect("created");
        let request = exchange.request();
        exchange.check(&describe_configs::handle(scene.context(exchange.version), request).await);
    }
}

#[tokio::test]
async fn alter_configs() {
    let exchanges = exchanges("33-AlterConfigs");
    assert_eq!(exchanges.len(), 9);
    for exchange in exchanges {
        let existing = (0..10).map(|i| (format!("ct-{i}"), 1)).collect();
        let scene = Scene::new(&existing).await;
        let request = exchange.request();
        exchange.check(&super::alter_configs::handle(scene.context(exchange.version), request).await);
    }
}

/// Takes every logger for known.
struct AnyLogger;

impl crate::admin::Loggers for AnyLogger {
    fn levels(&self) -> BTreeMap<String, String> {
        [("kafka.server.KafkaApis".to_string(), "INFO".to_string())].into_iter().collect()
    }

    fn set_level(&self, _: &str, _: Option<&str>) {}
}

#[tokio::test]
async fn incremental_alter_configs() {
    let exchanges = exchanges("44-IncrementalAlterConfigs");
    assert_eq!(exchanges.len(), 4);
    for exchange in exchanges {
        let existing = (0..10).map(|i| (format!("ct-{i}"), 1)).collect();
        let mut scene = Scene::new(&existing).await;
        scene.admin = scene.admin.with_loggers(std::sync::Arc::new(AnyLogger));
        let request = exchange.request();
        exchange
            .check(&super::incremental_alter_configs::handle(scene.context(exchange.version), request).await);
    }
}

#[tokio::test]
async fn only_the_controller_makes_topics() {
    let scene = Scene::new(&BTreeMap::new()).await;
    let context = AdminContext { is_controller: false, ..scene.context(7) };
    let exchange = exchanges("19-CreateTopics").into_iter().find(|e| e.version == 7).expect("recorded");
    let answer = super::create_topics::handle(context, exchange.request()).await;
    assert!(answer.topics.iter().all(|topic| topic.error_code == ErrorCode::NotController.code()));
    assert!(scene.zk.children(paths::TOPICS).await.expect("read").is_empty());
}

/// A topic whose partition gets no leader: it is there, but the answer says that the time is over.
#[tokio::test]
async fn a_topic_without_leader_times_out() {
    use crate::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};
    let scene = Scene::new(&BTreeMap::new()).await;
    let topic = CreatableTopic {
        name: ByteString::from_static("t"),
        num_partitions: 1,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 1, ..Default::default() };
    let answer = super::create_topics::handle(scene.context(7), request).await;
    assert_eq!(answer.topics[0].error_code, ErrorCode::RequestTimedOut.code());
    assert_eq!(answer.topics[0].num_partitions, -1);
    assert!(!answer.topics[0].topic_id.is_zero());
    assert_eq!(scene.zk.children(paths::TOPICS).await.expect("read"), ["t"]);
}
