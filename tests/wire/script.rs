//! A script: requests to one broker, each answer noted, all compared at the end with what Apache Kafka answered.

use super::golden::{self, Entry};
use super::support::Wire;
use super::target::Target;
use bytes::Bytes;
use bytestring::ByteString;
use ottla::protocol::messages::api_versions::ApiVersionsRequest;
use ottla::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest, CreateableTopicConfig};
use ottla::protocol::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
use ottla::protocol::{ApiRequest, Message, client, encode_request, encode_response, json};
use serde_json::Value;
use std::io;

/// An id that no topic has.
pub const UNKNOWN_ID: &str = "AAAAAAAAAAAAAAAAAAAAEQ";
/// "No id".
const ZERO_ID: &str = "AAAAAAAAAAAAAAAAAAAAAA";
/// Timestamps from here on are of now: scripts use older ones.
const NOW_MIN: i64 = 1_760_000_000_000;
const NOW_MAX: i64 = 9_000_000_000_000;

/// Name, partitions, settings.
pub type NewTopic<'a> = (&'a str, i32, &'a [(&'a str, &'a str)]);

/// The exchange with one broker.
pub struct Script {
    name: &'static str,
    target: Target,
    wire: Wire,
    correlation_id: i32,
    entries: Vec<Entry>,
}

impl Script {
    /// Starts a broker of its own, with these additional properties.
    pub fn start(name: &'static str, overrides: &[(&str, &str)]) -> Script {
        let target = Target::start(overrides);
        let wire = Wire::connect(&target.address());
        Script { name, target, wire, correlation_id: 0, entries: Vec::new() }
    }

    /// Compares with the golden.
    pub fn finish(self) {
        if let Err(differences) = golden::settle(self.name, &self.entries) {
            let count = differences.lines().count();
            panic!("{}: {count} differences from Apache Kafka 2.8.2:\n{differences}", self.name);
        }
    }

    /// Sends, and notes the answer under `step` (unique with `version`). `None`: the broker closed the connection.
    pub fn call<R: ApiRequest>(&mut self, step: &str, version: i16, request: &R) -> Option<R::Response> {
        self.call_sorted(step, version, request, &[])
    }

    /// As [`Script::call`]; the order of the arrays with these names is not compared, because Apache's order is that
    /// of a hash table.
    pub fn call_sorted<R: ApiRequest>(
        &mut self,
        step: &str,
        version: i16,
        request: &R,
        unordered: &[&str],
    ) -> Option<R::Response> {
        let response = self.exchange(version, request);
        let value = response.as_ref().map_or("closed".into(), |r| json::to_json(r, version));
        self.note_sorted(step, version, value, unordered);
        response
    }

    /// Sends and receives without a note. `None`: closed; the next request goes over a new connection.
    pub fn exchange<R: ApiRequest>(&mut self, version: i16, request: &R) -> Option<R::Response> {
        self.send(version, request).ok()?;
        match self.receive::<R>(version) {
            Ok((correlation_id, response)) => {
                assert_eq!(correlation_id, self.correlation_id, "{} v{version}", R::KEY.name());
                Some(response)
            }
            Err(e) => {
                assert!(is_end(&e), "{} v{version}: {e}", R::KEY.name());
                self.wire = Wire::connect(&self.target.address());
                None
            }
        }
    }

    /// Sends only; returns the correlation id.
    pub fn send<R: ApiRequest>(&mut self, version: i16, request: &R) -> io::Result<i32> {
        self.correlation_id += 1;
        let client_id = ByteString::from_static("wire");
        let frame = encode_request(self.correlation_id, Some(&client_id), version, request);
        self.wire.send_raw(&frame)?;
        Ok(self.correlation_id)
    }

    /// The next answer. It has no byte more than its fields, and they encode to the same bytes again.
    pub fn receive<R: ApiRequest>(&mut self, version: i16) -> io::Result<(i32, R::Response)> {
        let frame = self.wire.read_frame()?;
        let (correlation_id, response) =
            client::decode_response::<R>(frame.clone(), version).expect("a readable answer");
        let again = encode_response(correlation_id, R::KEY, version, &response);
        let again = again.into_memory().expect("no files here");
        assert_eq!(again[4..], frame, "answer to {} v{version} does not re-encode", R::KEY.name());
        Ok((correlation_id, response))
    }

    /// Sends a request that has no answer, then one that has: notes "silent" if only that is answered, or "closed".
    pub fn call_silent<R: ApiRequest>(&mut self, step: &str, version: i16, request: &R) {
        let sent = self.send(version, request).and_then(|_| self.send(0, &ApiVersionsRequest::default()));
        let seen = match sent.and_then(|_| self.receive::<ApiVersionsRequest>(0)) {
            Ok((correlation_id, _)) if correlation_id == self.correlation_id => "silent",
            Ok(_) => "answered",
            Err(e) => {
                assert!(is_end(&e), "{step}: {e}");
                self.wire = Wire::connect(&self.target.address());
                "closed"
            }
        };
        self.note(step, version, seen.into());
    }

    /// Adds an answer.
    pub fn note(&mut self, step: &str, version: i16, answer: Value) {
        self.note_sorted(step, version, answer, &[]);
    }

    fn note_sorted(&mut self, step: &str, version: i16, mut answer: Value, unordered: &[&str]) {
        let known = self.entries.iter().any(|e| e.step == step && e.version == version);
        assert!(!known, "{step} v{version} twice");
        self.normalize("", &mut answer, version);
        sort(&mut answer, unordered);
        self.entries.push(Entry { step: step.to_string(), version, answer });
    }

    /// The broker's port.
    pub fn port(&self) -> i32 {
        i32::from(self.target.port())
    }

    /// A second connection.
    pub fn connect(&self) -> Wire {
        Wire::connect(&self.target.address())
    }

    /// Creates topics, which must succeed.
    pub fn create_topics(&mut self, topics: &[NewTopic<'_>]) {
        let topics = topics.iter().map(|(name, partitions, configs)| topic(name, *partitions, 1, configs));
        let request =
            CreateTopicsRequest { topics: topics.collect(), timeout_ms: 30_000, ..Default::default() };
        let response = self.exchange(4, &request).expect("an answer");
        for topic in &response.topics {
            assert_eq!(topic.error_code, 0, "{}: {:?}", topic.name, topic.error_message);
        }
    }

    /// Appends to a partition, which must succeed; returns the base offset.
    pub fn append(&mut self, topic: &str, partition: i32, records: Bytes) -> i64 {
        let response = self.exchange(7, &produce(topic, partition, -1, records)).expect("an answer");
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, 0, "append to {topic}");
        partition.base_offset
    }

    /// Replaces what differs between two brokers of the same behaviour.
    fn normalize(&self, key: &str, value: &mut Value, version: i16) {
        match value {
            Value::Object(fields) => fields.iter_mut().for_each(|(k, v)| self.normalize(k, v, version)),
            Value::Array(elements) => elements.iter_mut().for_each(|v| self.normalize(key, v, version)),
            Value::String(text) => {
                let fixed = self.normalize_text(key, text, version);
                *value = fixed.into();
            }
            Value::Number(number) => {
                let number = number.as_i64().unwrap_or_default();
                let name = match key {
                    "port" if number == i64::from(self.target.port()) => "PORT",
                    "sessionId" if number != 0 => "SESSION",
                    _ if (NOW_MIN..NOW_MAX).contains(&number) => "NOW",
                    _ => return,
                };
                *value = name.into();
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn normalize_text(&self, key: &str, text: &str, version: i16) -> String {
        match key {
            "clusterId" => "CLUSTER".to_string(),
            // Ours are our own words.
            "documentation" if !text.is_empty() => "TEXT".to_string(),
            "topicId" if text != ZERO_ID && text != UNKNOWN_ID => "ID".to_string(),
            _ => without_uuids(text)
                .replace(&self.target.zookeeper_address(), "ZOOKEEPER")
                .replace(&self.target.log_dir().display().to_string(), "LOGDIR")
                .replace(&format!(":{}", self.target.port()), ":PORT")
                .replace(&format!("-v{version}"), "-vN"),
        }
    }
}

/// Member ids end in a random id, in the form of `java.util.UUID`.
fn without_uuids(text: &str) -> String {
    let is_uuid = |candidate: &str| {
        candidate.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    let mut fixed = text.to_string();
    while let Some(at) = (0..fixed.len()).find(|at| fixed.get(*at..at + 36).is_some_and(is_uuid)) {
        fixed.replace_range(at..at + 36, "UUID");
    }
    fixed
}

/// The connection ended, and not for want of patience.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// Sorts the arrays under these names.
pub fn sort(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                sort(value, names);
                if let (true, Value::Array(elements)) = (names.contains(&key.as_str()), value) {
                    elements.sort_by_cached_key(|element| element.to_string());
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| sort(element, names)),
        _ => {}
    }
}

/// All versions of a request.
pub fn versions<R: Message>() -> std::ops::RangeInclusive<i16> {
    R::VERSIONS
}

/// An element of CreateTopics.
pub fn topic(name: &str, partitions: i32, replicas: i16, configs: &[(&str, &str)]) -> CreatableTopic {
    CreatableTopic {
        name: name.into(),
        num_partitions: partitions,
        replication_factor: replicas,
        configs: configs
            .iter()
            .map(|(name, value)| CreateableTopicConfig {
                name: (*name).into(),
                value: Some((*value).into()),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

/// A Produce request of one partition.
pub fn produce(topic: &str, partition: i32, acks: i16, records: Bytes) -> ProduceRequest {
    produce_many(acks, &[(topic, &[(partition, records)])])
}

/// A Produce request.
pub fn produce_many(acks: i16, topics: &[(&str, &[(i32, Bytes)])]) -> ProduceRequest {
    let partition = |(index, records): &(i32, Bytes)| PartitionProduceData {
        index: *index,
        records: Some(records.clone()),
        ..Default::default()
    };
    ProduceRequest {
        acks,
        timeout_ms: 10_000,
        topic_data: topics
            .iter()
            .map(|(name, partitions)| TopicProduceData {
                name: (*name).into(),
                partition_data: partitions.iter().map(partition).collect(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}
