//! The only clock. Machines take the time as an argument; drivers ask here.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock milliseconds since 1970, as records and znodes carry them.
pub fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Milliseconds that never go backwards, counted from the first call: for timeouts and lags.
pub fn monotonic_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_millis() as i64
}

/// The instant `ms` from now, for a timer of a driver.
pub fn deadline_after_ms(ms: i64) -> Instant {
    Instant::now() + Duration::from_millis(ms.max(0) as u64)
}
