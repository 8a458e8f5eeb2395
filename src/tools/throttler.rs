//! `ThroughputThrottler`: holds a loop to so many things a second by sleeping now and then.

use crate::common::clock;
use std::time::Duration;

const NS_PER_SECOND: i64 = 1_000_000_000;
/// Shorter sleeps are saved up.
const SLEEP_NS_MIN: i64 = 2_000_000;
/// Where nothing may be sent, the loop only waits for its end.
const FOREVER: Duration = Duration::from_millis(100);

/// The throttle of one loop.
pub struct Throttler {
    start_ms: i64,
    /// Negative: no limit; 0: nothing goes.
    target: i64,
    deficit_ns: i64,
}

impl Throttler {
    /// Counts from now.
    pub fn new(target: i64) -> Throttler {
        Throttler { start_ms: clock::monotonic_ms(), target, deficit_ns: 0 }
    }

    /// True if `count` things until now are too many.
    pub fn should_throttle(&self, count: i64) -> bool {
        let elapsed_s = (clock::monotonic_ms() - self.start_ms) as f64 / 1000.0;
        self.target >= 0 && elapsed_s > 0.0 && count as f64 / elapsed_s > self.target as f64
    }

    /// Sleeps for the time of one thing, or saves it up. With a target of 0 it returns now and then, so that the
    /// caller can look whether it is to end.
    pub fn throttle(&mut self) {
        if self.target <= 0 {
            return std::thread::sleep(FOREVER);
        }
        self.deficit_ns += NS_PER_SECOND / self.target;
        if self.deficit_ns >= SLEEP_NS_MIN {
            std::thread::sleep(Duration::from_nanos(self.deficit_ns as u64));
            self.deficit_ns = 0;
        }
    }

    /// True if nothing may be sent at all.
    pub fn is_closed(&self) -> bool {
        self.target == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_too_fast_is_throttled() {
        let at = |target| Throttler { start_ms: clock::monotonic_ms() - 1_000, target, deficit_ns: 0 };
        assert!(!at(-1).should_throttle(1_000_000));
        assert!(at(10).should_throttle(1_000_000));
        assert!(!at(1_000_000).should_throttle(10));
        assert!(at(0).should_throttle(1) && at(0).is_closed());
        let mut throttler = at(NS_PER_SECOND);
        throttler.throttle();
        assert_eq!(throttler.deficit_ns, 1, "a nanosecond is saved up");
    }
}
