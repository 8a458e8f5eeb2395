//! A session of the test's own, and a producer that counts.

use kafka_protocol::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_protocol::records::Compression;
use ottla::zk::{ANY_VERSION, CreateMode, Stat, ZkClient, ZkConfig};
use tokio::runtime::Runtime;

use crate::support::client::{init_producer_id, produce_request, read_partition, topic_name};
use crate::support::{Broker, ProducerId, Wire, idempotent_batch, wait_for};

/// NONE.
pub const NONE: i16 = 0;

/// Reads and writes znodes, one call after the other.
pub struct Session {
    runtime: Runtime,
    zk: ZkClient,
}

impl Session {
    pub fn open(connect: &str) -> Session {
        let runtime = Runtime::new().expect("a runtime");
        let zk = runtime.block_on(ZkClient::connect(ZkConfig::new(connect))).expect("a session");
        Session { runtime, zk }
    }

    pub fn get(&self, path: &str) -> Option<(String, Stat)> {
        let found = self.runtime.block_on(self.zk.get(path)).expect("an answer");
        found.map(|(data, stat)| (String::from_utf8(data.to_vec()).expect("text"), stat))
    }

    pub fn children(&self, path: &str) -> Vec<String> {
        let mut names = self.runtime.block_on(self.zk.children(path)).expect("an answer");
        names.sort();
        names
    }

    pub fn create(&self, path: &str, data: impl Into<String>) {
        let create = self.zk.create(path, data.into(), CreateMode::Persistent);
        self.runtime.block_on(create).unwrap_or_else(|e| panic!("create {path}: {e}"));
    }

    pub fn set(&self, path: &str, data: impl Into<String>) {
        let set = self.zk.set(path, data.into(), ANY_VERSION);
        self.runtime.block_on(set).unwrap_or_else(|e| panic!("set {path}: {e}"));
    }

    pub fn delete(&self, path: &str) {
        let delete = self.zk.delete(path, ANY_VERSION);
        self.runtime.block_on(delete).unwrap_or_else(|e| panic!("delete {path}: {e}"));
    }

    /// What a tool does after it has written a configuration.
    pub fn announce(&self, entity_path: &str) {
        let data = format!(r#"{{"version":2,"entity_path":"{entity_path}"}}"#);
        let create = self.zk.create("/config/changes/config_change_", data, CreateMode::PersistentSequential);
        self.runtime.block_on(create).expect("an announcement");
    }

    /// Czxid of the registration of broker 0: its epoch.
    pub fn broker_epoch(&self) -> Option<i64> {
        self.get("/brokers/ids/0").map(|(_, stat)| stat.czxid)
    }

    pub fn controller_epoch(&self) -> i32 {
        let (data, _) = self.get("/controller_epoch").expect("there was a controller");
        data.parse().expect("a number")
    }

    /// Waits until broker 0 is registered and in office.
    pub fn wait_for_office(&self) {
        wait_for("registration and office", || {
            self.broker_epoch()?;
            self.get("/controller")?.0.contains(r#""brokerid":0"#).then_some(())
        });
    }
}

/// An idempotent producer of one partition: every record must be there once, in order.
pub struct Producer {
    id: ProducerId,
    topic: String,
    sent: i32,
}

impl Producer {
    pub fn new(wire: &mut Wire, topic: &str) -> Producer {
        Producer { id: init_producer_id(wire), topic: topic.to_string(), sent: 0 }
    }

    /// Produces with acks=all; panics unless each is acknowledged.
    pub fn produce(&mut self, wire: &mut Wire, count: i32) {
        for _ in 0..count {
            let (code, offset) = self.try_produce(wire, 10);
            assert_eq!((code, offset), (NONE, i64::from(self.sent) - 1));
        }
    }

    /// Produces one record; gives error code and offset.
    pub fn try_produce(&mut self, wire: &mut Wire, size_bytes: usize) -> (i16, i64) {
        let value = format!("{:0>size_bytes$}", self.sent);
        let batch = idempotent_batch(self.id, self.sent, &[value.into()], Compression::None);
        let response = wire.call(7, &produce_request(&self.topic, 0, batch));
        let answer = &response.responses[0].partition_responses[0];
        self.sent += i32::from(answer.error_code == NONE);
        (answer.error_code, answer.base_offset)
    }

    /// Reads everything back.
    pub fn check(&self, wire: &mut Wire) {
        let records = read_partition(wire, 11, &self.topic, 0, 1 << 20);
        let offsets: Vec<_> = records.iter().map(|r| r.offset).collect();
        assert_eq!(offsets, (0..i64::from(self.sent)).collect::<Vec<_>>());
        for (record, number) in records.iter().zip(0..) {
            let value = record.value.clone().expect("a value");
            assert_eq!(String::from_utf8_lossy(&value).parse::<i32>(), Ok(number));
        }
    }
}

/// Tries to create a topic of one partition; gives the error code.
pub fn try_create(broker: &Broker, name: &str) -> i16 {
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(10_000);
    broker.connect().call(5, &request).topics[0].error_code
}
