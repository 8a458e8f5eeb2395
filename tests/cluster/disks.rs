//! Log directories that fail while the broker runs (KIP-112). A limit on the size of files stands in for a full disk: the
//! broker may read and delete, and a write fails.

use bytes::Bytes;
use kafka_protocol::records::Compression;

use crate::support::client::{create_topic, init_producer_id, leaders, produce_request, read_partition};
use crate::support::{Broker, ProducerId, Wire, ZooKeeper, idempotent_batch, wait_for};

const FILE_SIZE_MAX: u64 = 1 << 20;
const RECORD_BYTES: usize = 100_000;
const STORAGE_ERROR: i16 = 56;

struct Producer {
    id: ProducerId,
    sequence: i32,
}

impl Producer {
    fn new(wire: &mut Wire) -> Producer {
        Producer { id: init_producer_id(wire), sequence: 0 }
    }

    /// One record; its error code. No answer if the broker is gone.
    fn send(&mut self, wire: &mut Wire, topic: &str) -> std::io::Result<i16> {
        let value = Bytes::from(vec![b'x'; RECORD_BYTES]);
        let batch = idempotent_batch(self.id, self.sequence, &[value], Compression::None);
        let response = wire.try_call(8, &produce_request(topic, 0, batch))?;
        self.sequence += 1;
        Ok(response.responses[0].partition_responses[0].error_code)
    }

    /// Until the broker refuses.
    fn fill(&mut self, wire: &mut Wire, topic: &str) -> std::io::Result<i16> {
        for _ in 0..2 * FILE_SIZE_MAX as usize / RECORD_BYTES {
            let code = self.send(wire, topic)?;
            if code != 0 {
                return Ok(code);
            }
        }
        panic!("more was written than fits")
    }
}

/// The first directory of `log.dirs`, or the second.
fn directories(broker: &Broker) -> [String; 2] {
    let path = broker.log_dir().display().to_string();
    [format!("{path}-1"), format!("{path}-2")]
}

#[test]
fn a_directory_that_fails_takes_only_its_own_partitions_along() {
    let zookeeper = ZooKeeper::start();
    // Without topic ids, too.
    for protocol in ["2.8-IV1", "2.6"] {
        fail_one_directory(&format!("{}/{protocol}", zookeeper.address()), protocol);
    }
}

fn fail_one_directory(zookeeper_connect: &str, protocol: &str) {
    let mut broker = Broker::prepare(zookeeper_connect, &[("inter.broker.protocol.version", protocol)]);
    let dirs = directories(&broker);
    broker.set("log.dirs", &dirs.join(","));
    broker.limit_file_size(Some(FILE_SIZE_MAX));
    broker.start_again();
    let mut wire = broker.connect();
    // Each directory gets one of them: the one with fewer partitions is chosen.
    create_topic(&mut wire, "fills", 1);
    create_topic(&mut wire, "goes-on", 1);
    let (mut producer, mut other) = (Producer::new(&mut wire), Producer::new(&mut wire));
    assert_eq!(producer.fill(&mut wire, "fills").expect("the broker lives"), STORAGE_ERROR);
    wait_for("offline partition", || (leaders(&mut wire, "fills") == 0).then_some(()));
    assert_eq!(other.send(&mut wire, "goes-on").expect("the broker lives"), 0);
    assert_eq!(read_partition(&mut wire, 11, "goes-on", 0, 1 << 20).len(), 1);
    let failed =
        dirs.iter().position(|dir| std::path::Path::new(dir).join("fills-0").exists()).expect("on disk");
    let log = broker.log();
    for line in [
        format!(
            "ERROR Error while appending records to fills-0 in dir {} (kafka.server.LogDirFailureChannel)",
            dirs[failed]
        ),
        format!("WARN [ReplicaManager broker=0] Stopping serving replicas in dir {}", dirs[failed]),
    ] {
        assert!(log.contains(&line), "no '{line}' in\n{log}");
    }
    // A stop is clean for the other directory. With room again, everything acknowledged is there.
    assert_eq!(broker.terminate().code(), Some(143));
    let is_clean = |dir: &String| std::path::Path::new(dir).join(".kafka_cleanshutdown").exists();
    assert_eq!(dirs.each_ref().map(is_clean), [failed != 0, failed != 1]);
    broker.limit_file_size(None);
    broker.start_again();
    let mut wire = broker.connect();
    wait_for("leader", || (leaders(&mut wire, "fills") == 1).then_some(()));
    let acknowledged = producer.sequence as usize - 1;
    assert_eq!(read_partition(&mut wire, 11, "fills", 0, 1 << 20).len(), acknowledged);
}

#[test]
fn without_a_directory_left_the_broker_ends() {
    let zookeeper = ZooKeeper::start();
    let mut broker = Broker::prepare(&zookeeper.address(), &[]);
    broker.limit_file_size(Some(FILE_SIZE_MAX));
    broker.start_again();
    let mut wire = broker.connect();
    create_topic(&mut wire, "fills", 1);
    let answer = Producer::new(&mut wire).fill(&mut wire, "fills");
    // The process may end before the answer is out.
    assert!(answer.as_ref().is_ok_and(|code| *code == STORAGE_ERROR) || answer.is_err(), "{answer:?}");
    assert_eq!(broker.wait_for_exit().code(), Some(1));
    let last_words =
        format!("Shutdown broker because all log dirs in {} have failed", broker.log_dir().display());
    assert!(broker.log().contains(&last_words), "{}", broker.log());
}
