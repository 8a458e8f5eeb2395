//! A broker with compacted topics: what consumers still find, before and after a kill.

use crate::support::client::{create_topic, leaders, produce_request, read_partition};
use crate::support::{Broker, Wire, ZooKeeper, wait_for};
use bytes::Bytes;
use ottla::record::builder::{BatchBuilder, BatchOptions};
use std::collections::BTreeMap;

const KEYS: usize = 10;

/// Keys and values, three records a batch; the last value of each key.
fn produce(wire: &mut Wire, round: usize) -> BTreeMap<String, String> {
    let mut last = BTreeMap::new();
    for batch in 0..60 {
        let mut builder = BatchBuilder::new(BatchOptions::default()).expect("options");
        for n in 0..3 {
            let (key, value) =
                (format!("key-{}", (batch * 7 + n) % KEYS), format!("value-{round}-{batch}-{n}"));
            builder
                .append(1_700_000_000_000, Some(key.as_bytes()), Some(value.as_bytes()), &[])
                .expect("record");
            last.insert(key, value);
        }
        let bytes = builder.build().expect("batch");
        let response = wire.call(7, &produce_request("compacted", 0, bytes));
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    last
}

fn text(bytes: &Option<Bytes>) -> String {
    String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned()
}

/// Waits until few records are left, and gives the last value of each key.
fn read_compacted(wire: &mut Wire) -> BTreeMap<String, String> {
    let records = wait_for("compaction", || {
        let records = read_partition(wire, 11, "compacted", 0, 10_000);
        // One per key in what is compacted, and those of one segment that is not.
        (records.len() < KEYS + 60).then_some(records)
    });
    assert!(records.is_sorted_by_key(|record| record.offset));
    records.iter().map(|record| (text(&record.key), text(&record.value))).collect()
}

#[test]
fn consumers_find_the_last_record_of_every_key() {
    let zookeeper = ZooKeeper::start();
    let overrides = [
        ("log.cleanup.policy", "compact"),
        ("log.segment.bytes", "2000"),
        ("log.cleaner.backoff.ms", "50"),
        ("log.cleaner.min.cleanable.ratio", "0.1"),
        ("log.cleaner.dedupe.buffer.size", "3000000"),
        ("log.cleaner.threads", "2"),
    ];
    let mut broker = Broker::start(&zookeeper.address(), &overrides);
    create_topic(&mut broker.connect(), "compacted", 1);
    let last = produce(&mut broker.connect(), 1);
    assert_eq!(read_compacted(&mut broker.connect()), last);
    assert!(broker.server_log("log-cleaner.log").contains("cleaned log compacted-0 (dirty section = [0, "));
    let last = produce(&mut broker.connect(), 2);
    broker.kill();
    broker.start_again();
    wait_for("the partition's leader", || (leaders(&mut broker.connect(), "compacted") == 1).then_some(()));
    assert_eq!(read_compacted(&mut broker.connect()), last);
    let checkpoint =
        std::fs::read_to_string(broker.log_dir().join("cleaner-offset-checkpoint")).expect("written");
    assert!(checkpoint.contains("\ncompacted 0 "), "{checkpoint}");
    assert_eq!(broker.terminate().code(), Some(143));
    let log = broker.server_log("log-cleaner.log");
    assert!(log.contains("[kafka-log-cleaner-thread-1]: Stopped") && !log.contains("Cannot clean"), "{log}");
}
