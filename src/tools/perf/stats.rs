//! What `kafka-producer-perf-test.sh` counts, and its lines.

use super::fixed;
use crate::common::clock;
use crate::tools::exception::Exception;

/// A window is reported after so long.
const REPORTING_INTERVAL_MS: i64 = 5_000;
/// Latencies that are kept at most.
const SAMPLES_MAX: i64 = 500_000;

/// Counts of all records, and of those since the last report.
pub struct Stats {
    start_ms: i64,
    sampling: i64,
    latencies: Vec<i32>,
    all: Counts,
    window_start_ms: i64,
    window: Counts,
}

#[derive(Default)]
struct Counts {
    count: i64,
    bytes: i64,
    latency_sum: i64,
    latency_max: i64,
}

impl Counts {
    fn add(&mut self, latency_ms: i64, bytes: i64) {
        self.count += 1;
        self.bytes += bytes;
        self.latency_sum += latency_ms;
        self.latency_max = self.latency_max.max(latency_ms);
    }

    /// Records and megabytes a second.
    fn rates(&self, elapsed_ms: i64) -> (f64, f64) {
        let per_second = |amount: i64| 1000.0 * amount as f64 / elapsed_ms as f64;
        (per_second(self.count), per_second(self.bytes) / (1024.0 * 1024.0))
    }

    fn latency_mean(&self) -> f64 {
        self.latency_sum as f64 / self.count as f64
    }
}

impl Stats {
    /// For so many records, from now on.
    pub fn new(num_records: i64) -> Result<Stats, Exception> {
        if num_records <= 0 {
            return Err(Exception::new("java.lang.ArithmeticException", "/ by zero"));
        }
        let now = clock::now_ms();
        Ok(Stats {
            start_ms: now,
            sampling: num_records / num_records.min(SAMPLES_MAX),
            latencies: Vec::new(),
            all: Counts::default(),
            window_start_ms: now,
            window: Counts::default(),
        })
    }

    /// Takes one record in; gives a line when a report is due.
    pub fn record(&mut self, iteration: i64, latency_ms: i64, bytes: i64, now_ms: i64) -> Option<String> {
        self.all.add(latency_ms, bytes);
        self.window.add(latency_ms, bytes);
        if iteration % self.sampling == 0 {
            self.latencies.push(i32::try_from(latency_ms).unwrap_or(i32::MAX));
        }
        if now_ms - self.window_start_ms < REPORTING_INTERVAL_MS {
            return None;
        }
        let line = self.window_line(now_ms);
        self.window_start_ms = now_ms;
        self.window = Counts::default();
        Some(line)
    }

    fn window_line(&self, now_ms: i64) -> String {
        let window = &self.window;
        let (records, megabytes) = window.rates(now_ms - self.window_start_ms);
        format!(
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency.",
            window.count,
            fixed(records, 1),
            fixed(megabytes, 2),
            fixed(window.latency_mean(), 1),
            fixed(window.latency_max as f64, 1)
        )
    }

    /// The last line.
    pub fn total_line(&mut self, now_ms: i64) -> String {
        let (records, megabytes) = self.all.rates(now_ms - self.start_ms);
        self.latencies.sort_unstable();
        let percentile = |share: f64| {
            let index = (share * self.latencies.len() as f64) as usize;
            self.latencies.get(index).copied().unwrap_or(0)
        };
        format!(
            "{} records sent, {} records/sec ({} MB/sec), {} ms avg latency, {} ms max latency, {} ms 50th, {} ms \
             95th, {} ms 99th, {} ms 99.9th.",
            self.all.count,
            fixed(records, 6),
            fixed(megabytes, 2),
            fixed(self.all.latency_mean(), 2),
            fixed(self.all.latency_max as f64, 2),
            percentile(0.5),
            percentile(0.95),
            percentile(0.99),
            percentile(0.999)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_kafka() {
        let mut stats = Stats::new(4).unwrap();
        stats.start_ms = 0;
        stats.window_start_ms = 0;
        for (i, latency) in [10, 20, 30].into_iter().enumerate() {
            assert_eq!(stats.record(i as i64, latency, 1_048_576, 100), None);
        }
        assert_eq!(
            stats.record(3, 41, 1_048_576, 5_000).unwrap(),
            "4 records sent, 0.8 records/sec (0.80 MB/sec), 25.2 ms avg latency, 41.0 ms max latency."
        );
        assert_eq!(
            stats.total_line(8_000),
            "4 records sent, 0.500000 records/sec (0.50 MB/sec), 25.25 ms avg latency, 41.00 ms max latency, 30 ms \
             50th, 41 ms 95th, 41 ms 99th, 41 ms 99.9th."
        );
        assert!(Stats::new(0).is_err());
    }

    #[test]
    fn nothing_sent_is_not_a_number() {
        let mut stats = Stats::new(1).unwrap();
        stats.start_ms = 0;
        assert!(stats.total_line(1_000).contains("NaN ms avg latency"));
    }
}
