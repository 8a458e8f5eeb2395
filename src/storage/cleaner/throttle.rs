//! Bounds what all cleaner threads together read and write per second (`log.cleaner.io.max.bytes.per.second`).
//!
//! Invariant: since `began_ms`, no more than `rate * time` bytes went through, but for what threads take before they
//! sleep. Time that nobody used is forgotten after a second, so that an idle cleaner saves nothing up.

use super::super::partition_dir::lock;
use std::sync::Mutex;

/// Below this a wait is left to the next one.
const WAIT_MIN_MS: i64 = 10;
const FORGET_MS: i64 = 1000;

#[derive(Debug, Default)]
struct Used {
    began_ms: i64,
    bytes: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Throttle {
    bytes_per_second: f64,
    used: Mutex<Used>,
}

impl Throttle {
    /// A bound; of `f64::MAX`, none.
    pub(crate) fn new(bytes_per_second: f64) -> Throttle {
        Throttle { bytes_per_second: bytes_per_second.max(1.0), used: Mutex::default() }
    }

    /// Takes `bytes` at `now_ms`; how long to wait before the next.
    pub(crate) fn take(&self, bytes: usize, now_ms: i64) -> i64 {
        if self.bytes_per_second == f64::MAX {
            return 0;
        }
        let mut used = lock(&self.used);
        let free_ms = used.began_ms + (used.bytes / self.bytes_per_second * 1000.0) as i64;
        if now_ms - free_ms > FORGET_MS || used.bytes == 0.0 {
            *used = Used { began_ms: now_ms, bytes: 0.0 };
        }
        used.bytes += bytes as f64;
        let free_ms = used.began_ms + (used.bytes / self.bytes_per_second * 1000.0) as i64;
        let wait_ms = free_ms - now_ms;
        if wait_ms < WAIT_MIN_MS { 0 } else { wait_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_kept() {
        let throttle = Throttle::new(1000.0);
        let mut now_ms = 50_000;
        let mut bytes = 0;
        for size in [5, 100, 1, 400, 3000, 2].repeat(20) {
            bytes += size;
            now_ms += throttle.take(size, now_ms) + 1;
        }
        let took_ms = now_ms - 50_000;
        assert!((took_ms - bytes as i64).abs() < 100, "{bytes} bytes took {took_ms} ms");
        assert_eq!(throttle.take(500, now_ms + 100_000), 500, "nothing was saved up");
        assert_eq!(Throttle::new(f64::MAX).take(usize::MAX, 0), 0);
    }
}
