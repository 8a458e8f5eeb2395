//! How often something happens: a sum over sliding windows, and for how long who exceeds a bound has to wait.
//!
//! Source: Kafka 2.8.2, `Rate.java`, `SampledStat.java`, `QuotaUtils.java`.

use std::collections::VecDeque;

/// How much is remembered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windows {
    /// `quota.window.num`, `controller.quota.window.num`
    pub count: i32,
    /// `quota.window.size.seconds`, `controller.quota.window.size.seconds`
    pub seconds: i32,
}

impl Windows {
    /// Number of windows, at least one.
    pub fn count(self) -> usize {
        self.count.max(1) as usize
    }

    /// Length of one, at least a second.
    pub fn window_ms(self) -> i64 {
        i64::from(self.seconds.max(1)) * 1000
    }
}

/// A sum over the last windows, by their time; windows that are missing count as empty.
#[derive(Debug, Default)]
pub struct Rate {
    /// When each began, and its sum.
    windows: VecDeque<(i64, f64)>,
}

impl Rate {
    /// Adds `value`, which may be negative to take back what did not happen.
    pub fn record(&mut self, value: f64, now_ms: i64, windows: Windows) {
        self.purge(now_ms, windows);
        match self.windows.back_mut() {
            Some((began_ms, sum)) if now_ms - *began_ms < windows.window_ms() => *sum += value,
            _ => self.windows.push_back((now_ms, value)),
        }
    }

    /// How long until the rate is within the bound, if nothing is added: the rate R over a time W becomes the bound B
    /// after another X, R·W / (W + X) = B. 0 if it is within already.
    pub fn throttle_ms(&mut self, bound: f64, now_ms: i64, windows: Windows) -> i64 {
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

    /// True if nothing happened within the windows.
    pub fn is_empty(&mut self, now_ms: i64, windows: Windows) -> bool {
        self.purge(now_ms, windows);
        self.windows.is_empty()
    }

    fn purge(&mut self, now_ms: i64, windows: Windows) {
        let kept_ms = windows.window_ms() * windows.count() as i64;
        while self.windows.front().is_some_and(|(began_ms, _)| now_ms - began_ms >= kept_ms) {
            self.windows.pop_front();
        }
    }
}

/// As whole milliseconds that fit into an answer.
pub fn bounded(ms: f64) -> i64 {
    (ms.round() as i64).clamp(0, i64::from(i32::MAX))
}
