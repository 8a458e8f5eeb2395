//! What a producer measures of itself, for `--print-metrics`.
//!
//! The names are Kafka's. What this client has not got (a selector, authentication) never happens or is no number.

use crate::common::clock;
use crate::tools::metrics::{Metric, Metrics, Sensor, Table, rate};
use bytestring::ByteString;
use std::collections::BTreeMap;

/// What Kafka says about itself; the version whose behaviour this is.
const VERSION: (&str, &str) = ("2.8.2", "3146c6ff4a24cc24");

/// The counts of a producer.
pub struct Meter {
    start_ms: i64,
    /// Bytes of batches.
    pub batch_size: Sensor,
    /// Upper bounds of records' sizes.
    pub record_size: Sensor,
    /// From a batch's first record to its request.
    pub queue_ms: Sensor,
    /// From request to answer.
    pub latency_ms: Sensor,
    /// Records of a request.
    pub records_per_request: Sensor,
    /// As brokers report it.
    pub throttle_ms: Sensor,
    /// Batches that were too large as a whole.
    pub splits: i64,
    /// By topic.
    pub topics: BTreeMap<ByteString, TopicMeter>,
}

/// The counts of a topic.
#[derive(Clone, Copy, Default)]
pub struct TopicMeter {
    /// Records that went out.
    pub sent: i64,
    /// Their bytes, in batches.
    pub bytes: i64,
    /// Records that went out again.
    pub retried: i64,
    /// Records that failed.
    pub failed: i64,
}

impl Meter {
    /// Nothing happened yet.
    pub fn new() -> Meter {
        Meter {
            start_ms: clock::now_ms(),
            batch_size: Sensor::default(),
            record_size: Sensor::default(),
            queue_ms: Sensor::default(),
            latency_ms: Sensor::default(),
            records_per_request: Sensor::default(),
            throttle_ms: Sensor::default(),
            splits: 0,
            topics: BTreeMap::new(),
        }
    }

    /// The counts of a topic.
    pub fn topic(&mut self, topic: &ByteString) -> &mut TopicMeter {
        self.topics.entry(topic.clone()).or_default()
    }

    /// The table: `buffer` is how many bytes are free, and how many there are.
    pub fn table(&self, client_id: &str, buffer: (i64, i64)) -> Metrics {
        let mut table = Table::new("app-info", client_id);
        table.add_tagged("commit-id", "", Metric::Text(VERSION.1.to_string()));
        table.add_tagged("start-time-ms", "", Metric::Text(self.start_ms.to_string()));
        table.add_tagged("version", "", Metric::Text(VERSION.0.to_string()));
        table.group("producer-metrics");
        self.add_records(&mut table, buffer);
        self.add_requests(&mut table);
        table.group("producer-topic-metrics");
        for (topic, meter) in &self.topics {
            let tag = format!(", topic={topic}");
            for (name, total) in [
                ("byte", meter.bytes),
                ("record-error", meter.failed),
                ("record-retry", meter.retried),
                ("record-send", meter.sent),
            ] {
                let per_second = rate(total as f64, self.start_ms);
                table.add_tagged(&format!("{name}-rate"), &tag, Metric::Number(per_second));
                table.add_tagged(&format!("{name}-total"), &tag, Metric::Number(total as f64));
            }
        }
        table.finish()
    }

    fn sum(&self, pick: fn(&TopicMeter) -> i64) -> f64 {
        self.topics.values().map(pick).sum::<i64>() as f64
    }

    fn add_records(&self, table: &mut Table, (free, all): (i64, i64)) {
        let per_second = |total: f64| rate(total, self.start_ms);
        let (sent, failed, retried) =
            (self.sum(|topic| topic.sent), self.sum(|topic| topic.failed), self.sum(|topic| topic.retried));
        table.add(&[
            ("batch-size-avg", self.batch_size.mean()),
            ("batch-size-max", self.batch_size.max()),
            ("batch-split-rate", per_second(self.splits as f64)),
            ("batch-split-total", self.splits as f64),
            ("buffer-available-bytes", free as f64),
            ("buffer-total-bytes", all as f64),
            ("produce-throttle-time-avg", self.throttle_ms.mean()),
            ("produce-throttle-time-max", self.throttle_ms.max()),
            ("record-error-rate", per_second(failed)),
            ("record-error-total", failed),
            ("record-queue-time-avg", self.queue_ms.mean()),
            ("record-queue-time-max", self.queue_ms.max()),
            ("record-retry-rate", per_second(retried)),
            ("record-retry-total", retried),
            ("record-send-rate", per_second(sent)),
            ("record-send-total", sent),
            ("record-size-avg", self.record_size.mean()),
            ("record-size-max", self.record_size.max()),
            ("records-per-request-avg", self.records_per_request.mean()),
        ]);
    }

    fn add_requests(&self, table: &mut Table) {
        let requests = self.latency_ms.count();
        table.add(&[
            ("request-latency-avg", self.latency_ms.mean()),
            ("request-latency-max", self.latency_ms.max()),
            ("request-rate", rate(requests, self.start_ms)),
            ("request-total", requests),
            ("response-rate", rate(requests, self.start_ms)),
            ("response-total", requests),
            ("failed-authentication-rate", 0.0),
            ("failed-authentication-total", 0.0),
            ("successful-authentication-no-reauth-total", 0.0),
            ("successful-authentication-rate", 0.0),
            ("successful-authentication-total", 0.0),
        ]);
    }
}
