//! What is measured of one client, and what that means for a bound.
//!
//! Source: Kafka 2.8.2, `Rate.java`, `SampledStat.java`, `TokenBucket.java`, `QuotaUtils.java`.

use super::Windows;
use std::collections::VecDeque;

/// A sum over the last windows, by their time; windows that are missing count as empty.
#[derive(Debug, Default)]
pub struct Rate {
    /// When each began, and its sum.
    windows: VecDeque<(i64, f64)>,
}

impl Rate {
    pub(super) fn record(&mut self, value: f64, now_ms: i64, windows: Windows) {
        self.purge(now_ms, windows);
        match self.windows.back_mut() {
            Some((began_ms, sum)) if now_ms - *began_ms < windows.window_ms() => *sum += value,
            _ => self.windows.push_back((now_ms, value)),
        }
    }

    /// How long until the rate is within the bound, if nothing is added: the rate R over a time W becomes the bound B
    /// after another X, R·W / (W + X) = B. 0 if it is within already.
    pub(super) fn throttle_ms(&mut self, bound: f64, now_ms: i64, windows: Windows) -> i64 {
        self.purge(now_ms, windows);
        let window_ms = windows.window_ms();
        let elapsed_ms = self.windows.front().map_or(0, |(began_ms, _)| now_ms - began_ms);
        let missing = (windows.count() as i64 - 1 - elapsed_ms / window_ms).max(0);
        let elapsed_ms = (elapsed_ms + missing * window_ms).max(1) as f64;
        let rate = self.windows.iter().map(|(_, sum)| sum).sum::<f64>() * 1000.0 / elapsed_ms;
        if rate <= bound {
            return 0;
        }
        // A quota of nothing gives no end; the caller's clock does not reach so far.
        bounded((rate - bound) / bound * elapsed_ms)
    }

    fn purge(&mut self, now_ms: i64, windows: Windows) {
        let kept_ms = windows.window_ms() * windows.count() as i64;
        while self.windows.front().is_some_and(|(began_ms, _)| now_ms - began_ms >= kept_ms) {
            self.windows.pop_front();
        }
    }
}

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

/// As whole milliseconds that fit into an answer.
fn bounded(ms: f64) -> i64 {
    (ms.round() as i64).clamp(0, i64::from(i32::MAX))
}
