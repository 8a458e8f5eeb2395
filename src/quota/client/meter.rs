//! What is measured of one client, and what that means for a bound.
//!
//! Source: Kafka 2.8.2, `TokenBucket.java`, `QuotaUtils.java`.

use crate::common::rate::{Windows, bounded};

/// Credits that refill at the bound's rate, up to what all windows together would bring. It may go below zero; then
/// it is exhausted.
#[derive(Debug, Default)]
pub struct Bucket {
    tokens: f64,
    /// None before the first use: it is full then.
    refilled_ms: Option<i64>,
}

impl Bucket {
    pub(super) fn record(&mut self, value: f64, bound: f64, now_ms: i64, windows: Windows) {
        let burst = self.refill(bound, now_ms, windows);
        self.tokens = (self.tokens - value).min(burst);
    }

    /// How long until it is not exhausted any more.
    pub(super) fn throttle_ms(&mut self, bound: f64, now_ms: i64, windows: Windows) -> i64 {
        self.refill(bound, now_ms, windows);
        if self.tokens >= 0.0 { 0 } else { bounded(-self.tokens / bound * 1000.0) }
    }

    fn refill(&mut self, bound: f64, now_ms: i64, windows: Windows) -> f64 {
        let burst = windows.count() as f64 * windows.window_ms() as f64 / 1000.0 * bound;
        self.tokens = match self.refilled_ms {
            None => burst,
            Some(before_ms) => (self.tokens + bound * (now_ms - before_ms) as f64 / 1000.0).min(burst),
        };
        self.refilled_ms = Some(now_ms);
        burst
    }
}
