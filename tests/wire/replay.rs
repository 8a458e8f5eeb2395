//! A long conversation with Apache Kafka 2.8.2, byte for byte the same requests, in their order: 44 APIs in all their
//! versions, errors included. Source: `tests/golden/wire/api/*.jsonl.gz`, exchanges of `source` "generated".
//!
//! Replaced on the way are ids that a broker chooses: those of topics, fetch sessions and group members. Not compared
//! are addresses, times, and where Apache's own order is that of a hash table.
//!
//! Some of the conversation is not in these files, and some requests were lost when Apache's broker closed a connection
//! (null records), so that some answers depend on what is missing. Where Apache's answer to this very replay is another
//! one than that of the capture, it stands in `tests/golden/wire/api/replay.txt` (recorded as `golden.rs` says), and that
//! is what ours is compared with.

use super::golden::{self, Answers, Entry};
use super::records::recorded_exchanges;
use super::script::sort;
use super::support::{TestDir, Wire, wait_for};
use super::target::{Target, apache_jars};
use bytes::Bytes;
use bytestring::ByteString;
use ottla::protocol::messages as m;
use ottla::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla::protocol::messages::metadata::MetadataRequest;
use ottla::protocol::{
    ApiRequest, Message, Reader, Records, client, decode_request_header, encode_request,
    json as protocol_json,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The files.
const APIS: &[&str] = &[
    "00-Produce",
    "01-Fetch",
    "02-ListOffsets",
    "03-Metadata",
    "04-LeaderAndIsr",
    "05-StopReplica",
    "06-UpdateMetadata",
    "07-ControlledShutdown",
    "08-OffsetCommit",
    "09-OffsetFetch",
    "10-FindCoordinator",
    "11-JoinGroup",
    "12-Heartbeat",
    "13-LeaveGroup",
    "14-SyncGroup",
    "15-DescribeGroups",
    "16-ListGroups",
    "18-ApiVersions",
    "19-CreateTopics",
    "20-DeleteTopics",
    "21-DeleteRecords",
    "22-InitProducerId",
    "23-OffsetForLeaderEpoch",
    "24-AddPartitionsToTxn",
    "25-AddOffsetsToTxn",
    "26-EndTxn",
    "27-WriteTxnMarkers",
    "28-TxnOffsetCommit",
    "32-DescribeConfigs",
    "33-AlterConfigs",
    "35-DescribeLogDirs",
    "37-CreatePartitions",
    "42-DeleteGroups",
    "43-ElectLeaders",
    "44-IncrementalAlterConfigs",
    "45-AlterPartitionReassignments",
    "46-ListPartitionReassignments",
    "47-OffsetDelete",
    "48-DescribeClientQuotas",
    "49-AlterClientQuotas",
    "56-AlterIsr",
    "57-UpdateFeatures",
    "60-DescribeCluster",
    "61-DescribeProducers",
];

/// One request and what Apache answered.
struct Exchange {
    title: String,
    scenario: String,
    key: i64,
    version: i16,
    correlation_id: i64,
    request: Vec<u8>,
    response: Option<Bytes>,
}

fn hex(text: &str) -> Vec<u8> {
    let digits = |i| u8::from_str_radix(&text[i..i + 2], 16).expect("hex");
    (0..text.len()).step_by(2).map(digits).collect()
}

fn exchanges() -> Vec<Exchange> {
    let mut all = Vec::new();
    for api in APIS {
        for exchange in recorded_exchanges(api) {
            if exchange["source"] != "generated" {
                continue;
            }
            let scenario = exchange["scenario"].as_str().expect("a scenario");
            if LEFT_OUT.contains(&scenario) {
                continue;
            }
            let version = exchange["version"].as_i64().expect("a number");
            let id = exchange["correlationId"].as_i64().expect("a number");
            all.push(Exchange {
                title: format!("{scenario} v{version} #{id}"),
                scenario: scenario.to_string(),
                key: exchange["key"].as_i64().expect("a number"),
                version: version as i16,
                correlation_id: id,
                request: hex(exchange["request"]["hex"].as_str().expect("hex")),
                response: exchange["response"]["hex"].as_str().map(|text| hex(text).into()),
            });
        }
    }
    all.sort_by_key(|exchange| exchange.correlation_id);
    all
}

/// Other listeners and principals.
const LEFT_OUT: &[&str] = &[
    "denied",
    "Metadata.start",
    "Metadata.beforeSasl",
    "Metadata.afterSaslV0",
    "Metadata.afterSasl",
    "ApiVersions.preAuth",
    "Metadata.afterAcks0Error(closed?)",
];

/// Not compared: Apache does not keep the epoch of a leader whose address it has not heard of.
const LEADER_UNKNOWN: &str = "LeaderAndIsr.sameAgain v0 #1452";

/// Sent while a transaction ends, and not compared: the answer tells how far it is.
const WHILE_ENDING: &[&str] = &["EndTxn.again", "EndTxn.otherVerdict"];
const CONCURRENT_TRANSACTIONS: i16 = 51;

/// CreateTopics up to this one came before all others, to a broker that had most of the topics.
const PRELUDE_MAX: i64 = 58;

/// A request of the test's own.
fn call<R: ApiRequest>(wire: &mut Wire, version: i16, request: &R) -> R::Response {
    wire.send_raw(&encode_request(1, None, version, request)).expect("an open connection");
    let frame = wire.read_frame().expect("an answer");
    client::decode_response::<R>(frame, version).expect("a readable answer").1
}

fn decode<R: ApiRequest>(frame: &Bytes, version: i16) -> Value {
    let (_, response) = client::decode_response::<R>(frame.clone(), version).expect("a readable answer");
    protocol_json::to_json(&response, version)
}

fn decoded(key: i64, version: i16, frame: &Bytes) -> Value {
    match key {
        0 => decode::<m::produce::ProduceRequest>(frame, version),
        1 => fetched(frame, version),
        2 => decode::<m::list_offsets::ListOffsetsRequest>(frame, version),
        3 => decode::<m::metadata::MetadataRequest>(frame, version),
        4 => decode::<m::leader_and_isr::LeaderAndIsrRequest>(frame, version),
        5 => decode::<m::stop_replica::StopReplicaRequest>(frame, version),
        6 => decode::<m::update_metadata::UpdateMetadataRequest>(frame, version),
        7 => decode::<m::controlled_shutdown::ControlledShutdownRequest>(frame, version),
        8 => decode::<m::offset_commit::OffsetCommitRequest>(frame, version),
        9 => decode::<m::offset_fetch::OffsetFetchRequest>(frame, version),
        10 => decode::<m::find_coordinator::FindCoordinatorRequest>(frame, version),
        11 => decode::<m::join_group::JoinGroupRequest>(frame, version),
        12 => decode::<m::heartbeat::HeartbeatRequest>(frame, version),
        13 => decode::<m::leave_group::LeaveGroupRequest>(frame, version),
        14 => decode::<m::sync_group::SyncGroupRequest>(frame, version),
        15 => decode::<m::describe_groups::DescribeGroupsRequest>(frame, version),
        16 => decode::<m::list_groups::ListGroupsRequest>(frame, version),
        18 => decode::<m::api_versions::ApiVersionsRequest>(frame, version),
        19 => decode::<m::create_topics::CreateTopicsRequest>(frame, version),
        20 => decode::<m::delete_topics::DeleteTopicsRequest>(frame, version),
        21 => decode::<m::delete_records::DeleteRecordsRequest>(frame, version),
        22 => decode::<m::init_producer_id::InitProducerIdRequest>(frame, version),
        23 => decode::<m::offset_for_leader_epoch::OffsetForLeaderEpochRequest>(frame, version),
        24 => decode::<m::add_partitions_to_txn::AddPartitionsToTxnRequest>(frame, version),
        25 => decode::<m::add_offsets_to_txn::AddOffsetsToTxnRequest>(frame, version),
        26 => decode::<m::end_txn::EndTxnRequest>(frame, version),
        27 => decode::<m::write_txn_markers::WriteTxnMarkersRequest>(frame, version),
        28 => decode::<m::txn_offset_commit::TxnOffsetCommitRequest>(frame, version),
        32 => decode::<m::describe_configs::DescribeConfigsRequest>(frame, version),
        33 => decode::<m::alter_configs::AlterConfigsRequest>(frame, version),
        35 => decode::<m::describe_log_dirs::DescribeLogDirsRequest>(frame, version),
        37 => decode::<m::create_partitions::CreatePartitionsRequest>(frame, version),
        43 => decode::<m::elect_leaders::ElectLeadersRequest>(frame, version),
        44 => decode::<m::incremental_alter_configs::IncrementalAlterConfigsRequest>(frame, version),
        42 => decode::<m::delete_groups::DeleteGroupsRequest>(frame, version),
        45 => decode::<m::alter_partition_reassignments::AlterPartitionReassignmentsRequest>(frame, version),
        46 => decode::<m::list_partition_reassignments::ListPartitionReassignmentsRequest>(frame, version),
        47 => decode::<m::offset_delete::OffsetDeleteRequest>(frame, version),
        48 => decode::<m::describe_client_quotas::DescribeClientQuotasRequest>(frame, version),
        49 => decode::<m::alter_client_quotas::AlterClientQuotasRequest>(frame, version),
        56 => decode::<m::alter_isr::AlterIsrRequest>(frame, version),
        57 => decode::<m::update_features::UpdateFeaturesRequest>(frame, version),
        60 => decode::<m::describe_cluster::DescribeClusterRequest>(frame, version),
        61 => decode::<m::describe_producers::DescribeProducersRequest>(frame, version),
        other => panic!("key {other}"),
    }
}

const UNKNOWN_TOPIC_OR_PARTITION: i64 = 3;
const KAFKA_STORAGE_ERROR: i64 = 56;
/// Bits of the attributes of a message or batch.
const GZIP: u8 = 1;
const LOG_APPEND_TIME: u8 = 8;

fn fetched(frame: &Bytes, version: i16) -> Value {
    let (_, response) =
        client::decode_response::<m::fetch::FetchRequest>(frame.clone(), version).expect("readable");
    let mut value = protocol_json::to_json(&response, version);
    for (t, topic) in response.responses.iter().enumerate() {
        for (p, partition) in topic.partition_responses.iter().enumerate() {
            if let Some(Records::Memory(records)) = &partition.record_set {
                let place = &mut value["responses"][t]["partitionResponses"][p];
                place["entries"] = entries(records).into();
                if entries(records).contains("gzip") {
                    place["recordSetSizeInBytes"] = Value::Null;
                }
            }
        }
    }
    value
}

/// What stands in a record set: offset, size and CRC of every batch or message that is whole; no CRC where it covers
/// the time of the append, no size where the broker compressed with gzip, whose output is the library's.
fn entries(records: &[u8]) -> String {
    let (mut shown, mut rest) = (String::new(), records);
    while let Some((head, _)) = rest.split_at_checked(24) {
        let number = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let end = 12 + number(8) as usize;
        let Some((_, next)) = rest.split_at_checked(end) else { break };
        let (crc, attributes) = if head[16] == 2 { (number(17), head[22]) } else { (number(12), head[17]) };
        shown.push_str(&match attributes {
            attributes if head[16] < 2 && attributes & 7 == GZIP => format!("{}:gzip ", number(4)),
            attributes if attributes & LOG_APPEND_TIME != 0 => format!("{}:{end}:now ", number(4)),
            _ => format!("{}:{end}:{crc:08x} ", number(4)),
        });
        rest = next;
    }
    shown
}

/// Apache's ids as bytes, and ours.
#[derive(Default)]
struct Ids {
    known: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Ids {
    /// Takes in ids that stand at the same place in both answers.
    fn learn(&mut self, key: &str, theirs: &Value, ours: &Value) {
        match (theirs, ours) {
            (Value::Object(theirs), Value::Object(ours)) => {
                for (name, value) in theirs {
                    if let Some(other) = ours.get(name) {
                        self.learn(name, value, other);
                    }
                }
            }
            (Value::Array(theirs), Value::Array(ours)) => {
                theirs.iter().zip(ours).for_each(|(value, other)| self.learn(key, value, other));
            }
            (Value::Number(their), Value::Number(our)) if key == "sessionId" => {
                let bytes = |number: &serde_json::Number| {
                    (number.as_i64().expect("an integer") as i32).to_be_bytes().to_vec()
                };
                if their.as_i64() != Some(0) {
                    self.known.insert(bytes(their), bytes(our));
                }
            }
            (Value::String(their), Value::String(our)) if key == "topicId" => {
                let bytes = |text: &str| ottla::common::Uuid::parse(text).expect("an id").0.to_vec();
                if their != "AAAAAAAAAAAAAAAAAAAAAA" {
                    self.known.insert(bytes(their), bytes(our));
                }
            }
            (Value::String(their), Value::String(our))
                if key == "memberId" && their.len() == our.len() && !their.is_empty() =>
            {
                self.known.insert(their.clone().into_bytes(), our.clone().into_bytes());
            }
            _ => {}
        }
    }

    /// Puts our ids into a request.
    fn replace(&self, request: &mut [u8]) {
        for (theirs, ours) in &self.known {
            for at in 0..request.len().saturating_sub(theirs.len() - 1) {
                if request[at..].starts_with(theirs) {
                    request[at..at + theirs.len()].copy_from_slice(ours);
                }
            }
        }
    }
}

const UNORDERED: &[&str] = &[
    "topics",
    "partitions",
    "partitionErrors",
    "responses",
    "partitionResponses",
    "configs",
    "results",
    "apiKeys",
    "brokers",
    "groups",
    "members",
    "activeProducers",
    "markers",
    "replicaElectionResults",
    "partitionResult",
    "entries",
    "entity",
    "values",
];

/// One run: the broker, and what only this run has.
struct Run {
    /// Two log directories, as Apache's broker had.
    dir: TestDir,
    target: Target,
    wire: Wire,
    ids: Ids,
    differences: Vec<String>,
    compared: usize,
    /// `replay.txt`, as far as it was not asked for yet; or what will be in it.
    anew: Answers,
    recorded: Vec<Entry>,
    /// How often a step came.
    steps: BTreeMap<(String, i16), usize>,
    /// The producer id that the capture gave last.
    producer_id: i64,
    /// The EndTxn that was sent last, if its transaction may still be ending.
    ending: Option<Exchange>,
}

impl Run {
    fn start() -> Run {
        let dir = TestDir::new("replay");
        let log_dirs = ["d0", "d1"].map(|name| dir.join(name).display().to_string()).join(",");
        let mut settings = vec![
            ("broker.id", "1"),
            ("log.dirs", log_dirs.as_str()),
            ("log.retention.check.interval.ms", "300000"),
        ];
        if apache_jars().is_none() {
            settings.push((OFFSETS_STORAGE, "kafka"));
        }
        let target = Target::start(&settings);
        let wire = Wire::connect(&target.address());
        Run {
            dir,
            target,
            wire,
            ids: Ids::default(),
            differences: Vec::new(),
            compared: 0,
            anew: if golden::is_recording() { Answers::new() } else { golden::read("replay") },
            recorded: Vec::new(),
            steps: BTreeMap::new(),
            producer_id: -1,
            ending: None,
        }
    }

    /// Apache's broker had its internal topics before, and both coordinators loaded.
    fn load_coordinators(&self) {
        let mut wire = Wire::connect(&self.target.address());
        for (key_type, name) in [(0, "group"), (1, "transaction")] {
            wait_for("a coordinator", || {
                let request = FindCoordinatorRequest { key: name.into(), key_type, ..Default::default() };
                (call(&mut wire, 1, &request).error_code == 0).then_some(())
            });
        }
        wait_for("loaded groups", || {
            let request = DescribeGroupsRequest { groups: vec!["nobody".into()], ..Default::default() };
            (call(&mut wire, 0, &request).groups[0].error_code == 0).then_some(())
        });
        wait_for("loaded transactions", || {
            let transactional_id = Some("nobody".into());
            let request = InitProducerIdRequest {
                transactional_id,
                transaction_timeout_ms: 1000,
                ..Default::default()
            };
            (call(&mut wire, 0, &request).error_code == 0).then_some(())
        });
    }

    /// The topics that Apache's broker had before.
    fn prepare(&mut self, exchange: &Exchange) {
        self.wire.send_frame(&exchange.request).expect("an open connection");
        self.wire.read_frame().expect("an answer");
    }

    fn exchange(&mut self, mut exchange: Exchange) {
        self.ids.replace(&mut exchange.request);
        let is_while_ending = WHILE_ENDING.contains(&exchange.scenario.as_str());
        if !is_while_ending {
            self.wait_for_end_of_transaction();
        }
        if exchange.key == 22 {
            self.use_up_producer_ids(&exchange);
        }
        let mut answer = exchange.send(&mut self.wire);
        if answer.is_none() && exchange.response.is_some() {
            // The one before was silent, and our answer to it was the end of the connection.
            self.wire = Wire::connect(&self.target.address());
            answer = exchange.send(&mut self.wire);
        }
        if exchange.scenario == "Produce.nullRecords" {
            // Apache may close the connection behind its answer.
            self.wire = Wire::connect(&self.target.address());
        }
        if exchange.key == 3 {
            self.wait_for_topics_of(&exchange);
        }
        let (Some(theirs), Some(ours)) = (&exchange.response, &answer) else {
            // Apache sometimes closes the connection before it has sent its answer to null records.
            if exchange.response.is_some() && exchange.scenario != "Produce.nullRecords" {
                self.differences.push(format!("{}: no answer", exchange.title));
            }
            return;
        };
        let [mut theirs, mut ours] = [theirs, ours].map(|f| decoded(exchange.key, exchange.version, f));
        self.ids.learn("", &theirs, &ours);
        match exchange.key {
            4 => {
                refused_again(&mut theirs);
                if apache_jars().is_some() {
                    refused_again(&mut ours);
                }
            }
            18 => only_served(&mut theirs, &ours),
            32 => without_own_keys(&mut ours),
            _ => {}
        }
        for value in [&mut theirs, &mut ours] {
            self.normalize("", value);
            if exchange.key == 35 {
                merge_log_dirs(value);
            }
            sort(value, UNORDERED);
        }
        if exchange.title != LEADER_UNKNOWN && !is_while_ending {
            self.compare(&exchange, &theirs, ours);
        }
        if ["EndTxn.commit", "EndTxn.abort"].contains(&exchange.scenario.as_str()) {
            self.ending = Some(exchange);
        }
    }

    /// Asks for the same end again until it is one of the past.
    fn wait_for_end_of_transaction(&mut self) {
        let Some(exchange) = self.ending.take() else { return };
        wait_for("an end of the transaction", || {
            let frame = exchange.send(&mut self.wire).expect("an answer");
            let answer = decoded(exchange.key, exchange.version, &frame);
            (answer["errorCode"] != CONCURRENT_TRANSACTIONS).then_some(())
        });
    }

    /// With the capture, or with what Apache answered to the replay. Records that, if it is another answer.
    fn compare(&mut self, exchange: &Exchange, theirs: &Value, ours: Value) {
        let (step, version) = self.step(exchange);
        let mut differences = Vec::new();
        self.compared += 1;
        match self.anew.remove(&(step.clone(), version)) {
            Some(anew) => {
                golden::compare(&format!("{} anew", exchange.title), &anew, &ours, &mut differences)
            }
            None => golden::compare(&exchange.title, theirs, &ours, &mut differences),
        }
        if !golden::is_recording() {
            self.differences.append(&mut differences);
        } else if !differences.is_empty() {
            self.recorded.push(Entry { step, version, answer: ours });
        }
    }

    /// The scenario, with a number if it comes again in the same version.
    fn step(&mut self, exchange: &Exchange) -> (String, i16) {
        let count = self.steps.entry((exchange.scenario.clone(), exchange.version)).or_default();
        *count += 1;
        let again = if *count == 1 { String::new() } else { format!(" {count}") };
        (format!("{}{again}", exchange.scenario), exchange.version)
    }

    /// Producer ids stand in record batches, under their CRC: so that the next one is that of the capture, those before
    /// it are given to nobody.
    fn use_up_producer_ids(&mut self, exchange: &Exchange) {
        let Some(frame) = &exchange.response else { return };
        let answer = decoded(exchange.key, exchange.version, frame);
        let wanted = answer["producerId"].as_i64().expect("a number");
        let mut wire = Wire::connect(&self.target.address());
        while self.producer_id + 1 < wanted {
            let request = InitProducerIdRequest {
                transactional_id: None,
                transaction_timeout_ms: 1000,
                ..Default::default()
            };
            let answer = call(&mut wire, 0, &request);
            assert_eq!(answer.error_code, 0);
            self.producer_id = answer.producer_id;
        }
        self.producer_id = self.producer_id.max(wanted);
    }

    /// A topic that Metadata creates takes a moment, and the next answers would show how long.
    fn wait_for_topics_of(&self, exchange: &Exchange) {
        let mut wire = Wire::connect(&self.target.address());
        let names = exchange.creates();
        wait_for("created topics", || {
            let request = MetadataRequest { topics: None, ..Default::default() };
            let all = call(&mut wire, 8, &request);
            let is_there = |name: &ByteString| {
                all.topics.iter().any(|topic| topic.name == *name && topic.error_code == 0)
            };
            names.iter().all(is_there).then_some(())
        });
    }

    /// Replaces what differs between two brokers of the same behaviour.
    fn normalize(&self, key: &str, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| self.normalize(key, value)),
            Value::Array(elements) => elements.iter_mut().for_each(|value| self.normalize(key, value)),
            Value::Number(number) => {
                let is_now =
                    number.as_i64().is_some_and(|n| (1_760_000_000_000..9_000_000_000_000).contains(&n));
                let is_id = match key {
                    "port" | "sessionId" => number.as_i64() != Some(0),
                    _ => false,
                };
                if is_now || is_id {
                    *value = "ANY".into();
                }
            }
            Value::String(text) => {
                let is_id = matches!(key, "clusterId" | "host" | "documentation" | "memberId" | "leader")
                    && !text.is_empty()
                    || key == "topicId" && !text.starts_with("AAAAAAAAAAAAAAAAAAAA");
                *value = if is_id { "ANY".into() } else { self.without_addresses(text).into() };
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn without_addresses(&self, text: &str) -> String {
        text.replace(&self.dir.path().display().to_string(), "LOGDIRS")
            .replace(&self.target.zookeeper_address(), "ZOOKEEPER")
            .replace(&format!(":{}", self.target.port()), ":PORT")
    }
}

/// The key that Apache does not have.
const OFFSETS_STORAGE: &str = "offsets.storage";

fn without_own_keys(ours: &mut Value) {
    for result in ours["results"].as_array_mut().into_iter().flatten() {
        if let Some(configs) = result["configs"].as_array_mut() {
            configs.retain(|config| config["name"] != OFFSETS_STORAGE);
        }
    }
}

/// Leaves the APIs that ours has too: what is not there yet is not advertised.
fn only_served(theirs: &mut Value, ours: &Value) {
    let keys: Vec<_> = ours["apiKeys"].as_array().into_iter().flatten().map(|api| &api["apiKey"]).collect();
    if let Some(apis) = theirs["apiKeys"].as_array_mut() {
        apis.retain(|api| keys.contains(&&api["apiKey"]));
    }
}

/// Apache takes a partition offline that it was told of but is no replica of, and remains so; ours refuses it each time
/// as it did the first time.
fn refused_again(theirs: &mut Value) {
    match theirs {
        Value::Object(fields) => fields.iter_mut().for_each(|(key, value)| match value.as_i64() {
            Some(KAFKA_STORAGE_ERROR) if key == "errorCode" => *value = UNKNOWN_TOPIC_OR_PARTITION.into(),
            _ => refused_again(value),
        }),
        Value::Array(elements) => elements.iter_mut().for_each(refused_again),
        _ => {}
    }
}

/// Which directory a new partition gets depends on the order of its creation, which is that of a hash table.
fn merge_log_dirs(value: &mut Value) {
    let mut partitions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for dir in value["results"].as_array_mut().expect("an array") {
        for topic in dir["topics"].as_array_mut().expect("an array") {
            let name = topic["name"].as_str().expect("a name").to_string();
            let some = topic["partitions"].as_array_mut().expect("an array");
            // The first holds what the broker compressed with gzip, the others what it wrote for itself.
            if ["m0", "__consumer_offsets", "__transaction_state"].contains(&name.as_str()) {
                some.iter_mut().for_each(|some| some["partitionSize"] = Value::Null);
            }
            partitions.entry(name).or_default().extend(some.iter().cloned());
        }
        dir["topics"] = Value::Null;
    }
    let topics =
        partitions.into_iter().map(|(name, partitions)| json!({"name": name, "partitions": partitions}));
    value["topics"] = topics.collect();
}

#[test]
fn the_same_requests_get_the_same_answers() {
    let mut run = Run::start();
    run.load_coordinators();
    let (prelude, exchanges): (Vec<_>, Vec<_>) =
        exchanges().into_iter().partition(|e| e.key == 19 && e.correlation_id <= PRELUDE_MAX);
    // Those with errors wait for leaders that never come.
    prelude.iter().filter(|e| e.scenario != "CreateTopics.errors").for_each(|e| run.prepare(e));
    exchanges.into_iter().for_each(|e| run.exchange(e));
    if golden::is_recording() {
        golden::write("replay", &run.recorded);
        return;
    }
    let unused = run.anew.keys().map(|(step, version)| format!("{step} v{version}: not sent"));
    run.differences.extend(unused);
    let differences = run.differences.join("\n");
    assert!(differences.is_empty(), "{} differences:\n{differences}", differences.lines().count());
    assert!(run.compared > 1200, "{} exchanges", run.compared);
}

impl Exchange {
    /// Sends the request and receives the answer, unless there is none.
    fn send(&self, wire: &mut Wire) -> Option<Bytes> {
        wire.send_frame(&self.request).ok()?;
        if self.is_silent() { None } else { wire.read_frame().ok() }
    }

    /// Topics that this Metadata request creates.
    fn creates(&self) -> Vec<ByteString> {
        let mut reader = Reader::new(self.request.clone().into());
        decode_request_header(&mut reader).expect("a header");
        let request = MetadataRequest::decode(&mut reader, self.version).expect("a readable request");
        if !request.allow_auto_topic_creation {
            return Vec::new();
        }
        let names = request.topics.unwrap_or_default().into_iter().filter_map(|topic| topic.name);
        names.filter(|name| !name.is_empty() && !name.contains([' ', '!'])).collect()
    }

    /// Produce with acks=0.
    fn is_silent(&self) -> bool {
        let mut reader = Reader::new(self.request.clone().into());
        decode_request_header(&mut reader).expect("a header");
        let is_silent = |request: m::produce::ProduceRequest| request.acks == 0;
        self.key == 0 && m::produce::ProduceRequest::decode(&mut reader, self.version).is_ok_and(is_silent)
    }
}
