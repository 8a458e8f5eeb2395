//! `--print-metrics`: a table of what a client measured, sorted by name.

use super::perf::fixed;
use crate::common::clock;
use std::collections::BTreeMap;

/// A value of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Metric {
    /// A measurement.
    Number(f64),
    /// Anything else.
    Text(String),
}

/// By `group:name:{tag=value}`.
pub type Metrics = BTreeMap<String, Metric>;

/// Prints the table.
pub fn print(metrics: &Metrics) {
    let width = metrics.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    if metrics.is_empty() {
        return;
    }
    out_line!("\n{:<width$}   Value", "Metric Name");
    for (name, metric) in metrics {
        let value = match metric {
            Metric::Number(number) => fixed(*number, 3),
            Metric::Text(text) => text.clone(),
        };
        out_line!("{name:<width$} : {value}");
    }
}

/// Rates are over this time at least, as with Kafka's two windows of half a minute.
const RATE_SECONDS_MIN: f64 = 30.0;

/// Something that is measured again and again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sensor {
    count: i64,
    sum: f64,
    max: f64,
}

impl Sensor {
    /// Takes one value in.
    pub fn record(&mut self, value: f64) {
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.sum += value;
    }

    /// The mean; no number without a value.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// The largest; no number without a value.
    pub fn max(&self) -> f64 {
        if self.count == 0 { f64::NAN } else { self.max }
    }

    /// How many there were.
    pub fn count(&self) -> f64 {
        self.count as f64
    }

    /// All of them together.
    pub fn sum(&self) -> f64 {
        self.sum
    }
}

/// `total` per second of the time since `start_ms` of the wall clock.
pub fn rate(total: f64, start_ms: i64) -> f64 {
    let seconds = (clock::now_ms() - start_ms) as f64 / 1000.0;
    total / seconds.max(RATE_SECONDS_MIN)
}

/// The metrics of one client under construction.
pub struct Table {
    group: &'static str,
    tags: String,
    metrics: Metrics,
}

impl Table {
    /// Metrics of `group`, tagged with a client.
    pub fn new(group: &'static str, client_id: &str) -> Table {
        let tags = format!("client-id={client_id}");
        Table { group, tags, metrics: Metrics::new() }
    }

    /// Goes on with another group.
    pub fn group(&mut self, group: &'static str) {
        self.group = group;
    }

    /// Adds one, with more tags than the client's.
    pub fn add_tagged(&mut self, name: &str, more: &str, metric: Metric) {
        self.metrics.insert(format!("{}:{name}:{{{}{more}}}", self.group, self.tags), metric);
    }

    /// Adds numbers.
    pub fn add(&mut self, rows: &[(&str, f64)]) {
        for (name, value) in rows {
            self.add_tagged(name, "", Metric::Number(*value));
        }
    }

    /// Adds the number of them all.
    pub fn finish(mut self) -> Metrics {
        let count = self.metrics.len() as f64 + 1.0;
        self.group("kafka-metrics-count");
        self.add(&[("count", count)]);
        self.metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensors_without_a_value_are_no_number() {
        let mut sensor = Sensor::default();
        assert!(sensor.mean().is_nan() && sensor.max().is_nan());
        sensor.record(-2.0);
        sensor.record(-4.0);
        assert_eq!((sensor.mean(), sensor.max(), sensor.count(), sensor.sum()), (-3.0, -2.0, 2.0, -6.0));
    }

    #[test]
    fn a_table_counts_itself() {
        let mut table = Table::new("g", "c");
        table.add(&[("a", 1.0)]);
        table.add_tagged("a", ", topic=t", Metric::Text("x".to_string()));
        let names: Vec<String> = table.finish().into_keys().collect();
        let expected =
            ["g:a:{client-id=c, topic=t}", "g:a:{client-id=c}", "kafka-metrics-count:count:{client-id=c}"];
        assert_eq!(names, expected);
    }
}
