//! What a consumer measures of itself, for `--print-metrics`. The names are Kafka's.

use crate::common::clock;
use crate::tools::metrics::{Metric, Metrics, Sensor, Table, rate};
use bytestring::ByteString;
use std::collections::BTreeMap;

/// The counts of a consumer.
pub struct Meter {
    start_ms: i64,
    /// From request to answer.
    pub fetch_ms: Sensor,
    /// Bytes of a fetch.
    pub fetch_bytes: Sensor,
    /// Records of a fetch.
    pub fetch_records: Sensor,
    /// As brokers report it.
    pub throttle_ms: Sensor,
    /// From the moment when a rebalance is due to its end.
    pub rebalance_ms: Sensor,
    /// How long commits took.
    pub commit_ms: Sensor,
    /// By topic: records and bytes.
    pub topics: BTreeMap<ByteString, (i64, i64)>,
}

impl Meter {
    /// Nothing happened yet.
    pub fn new() -> Meter {
        Meter {
            start_ms: clock::now_ms(),
            fetch_ms: Sensor::default(),
            fetch_bytes: Sensor::default(),
            fetch_records: Sensor::default(),
            throttle_ms: Sensor::default(),
            rebalance_ms: Sensor::default(),
            commit_ms: Sensor::default(),
            topics: BTreeMap::new(),
        }
    }

    /// The table; `assigned` is how many partitions the consumer has.
    pub fn table(&self, client_id: &str, assigned: usize) -> Metrics {
        let per_second = |total: f64| rate(total, self.start_ms);
        let mut table = Table::new("consumer-coordinator-metrics", client_id);
        table.add(&[
            ("assigned-partitions", assigned as f64),
            ("commit-latency-avg", self.commit_ms.mean()),
            ("commit-latency-max", self.commit_ms.max()),
            ("commit-rate", per_second(self.commit_ms.count())),
            ("commit-total", self.commit_ms.count()),
            ("rebalance-latency-avg", self.rebalance_ms.mean()),
            ("rebalance-latency-max", self.rebalance_ms.max()),
            ("rebalance-latency-total", self.rebalance_ms.sum()),
            ("rebalance-rate-per-hour", per_second(self.rebalance_ms.count()) * 3600.0),
            ("rebalance-total", self.rebalance_ms.count()),
        ]);
        table.group("consumer-fetch-manager-metrics");
        let total = |pick: fn(&(i64, i64)) -> i64| self.topics.values().map(pick).sum::<i64>() as f64;
        let (records, bytes) = (total(|topic| topic.0), total(|topic| topic.1));
        table.add(&[
            ("bytes-consumed-rate", per_second(bytes)),
            ("bytes-consumed-total", bytes),
            ("fetch-latency-avg", self.fetch_ms.mean()),
            ("fetch-latency-max", self.fetch_ms.max()),
            ("fetch-rate", per_second(self.fetch_ms.count())),
            ("fetch-size-avg", self.fetch_bytes.mean()),
            ("fetch-size-max", self.fetch_bytes.max()),
            ("fetch-throttle-time-avg", self.throttle_ms.mean()),
            ("fetch-throttle-time-max", self.throttle_ms.max()),
            ("fetch-total", self.fetch_ms.count()),
            ("records-consumed-rate", per_second(records)),
            ("records-consumed-total", records),
            ("records-per-request-avg", self.fetch_records.mean()),
        ]);
        for (topic, (records, bytes)) in &self.topics {
            let tag = format!(", topic={topic}");
            for (name, total) in [("records-consumed", *records as f64), ("bytes-consumed", *bytes as f64)] {
                table.add_tagged(&format!("{name}-rate"), &tag, Metric::Number(per_second(total)));
                table.add_tagged(&format!("{name}-total"), &tag, Metric::Number(total));
            }
        }
        table.finish()
    }
}
