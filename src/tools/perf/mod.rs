//! The performance tools: `kafka-producer-perf-test.sh` and `kafka-consumer-perf-test.sh`.

pub mod consumer;
mod date_format;
mod java_random;
pub mod producer;
mod stats;

/// `%.Nf` as Java prints it.
pub fn fixed(value: f64, digits: usize) -> String {
    if value.is_nan() {
        "NaN".to_string()
    } else if value.is_infinite() {
        if value > 0.0 { "Infinity" } else { "-Infinity" }.to_string()
    } else {
        format!("{value:.digits$}")
    }
}
