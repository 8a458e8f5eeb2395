//! The only clock. Machines take the time as an argument; drivers ask here.

use std::cell::Cell;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

thread_local! {
    static SIMULATED_MS: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Stops the clock of this thread at `ms`, for a simulation that moves it: [`now_ms`] and [`monotonic_ms`] both say so.
/// Release builds do not listen: there the clock costs nothing more than the kernel asks.
pub fn simulate(ms: Option<i64>) {
    SIMULATED_MS.set(ms);
}

#[inline]
fn simulated_ms() -> Option<i64> {
    if cfg!(debug_assertions) { SIMULATED_MS.get() } else { None }
}

/// Wall-clock milliseconds since 1970, as records and znodes carry them.
pub fn now_ms() -> i64 {
    if let Some(ms) = simulated_ms() {
        return ms;
    }
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}

/// Milliseconds that never go backwards, counted from the first call: for timeouts and lags.
pub fn monotonic_ms() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    if let Some(ms) = simulated_ms() {
        return ms;
    }
    START.get_or_init(Instant::now).elapsed().as_millis() as i64
}

/// As [`monotonic_ms`], in microseconds: for what a request takes.
pub fn monotonic_us() -> i64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as i64
}

/// The kernel's milliseconds of its last tick: a few behind, and much cheaper to ask for. Not to be mixed with
/// [`monotonic_ms`].
pub fn coarse_monotonic_ms() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills `now`, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec * 1000 + now.tv_nsec / 1_000_000
}

/// The instant `ms` from now, for a timer of a driver.
pub fn deadline_after_ms(ms: i64) -> Instant {
    Instant::now() + Duration::from_millis(ms.max(0) as u64)
}

/// Calendar fields of a moment in the machine's time zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LocalTime {
    /// Year.
    pub year: i32,
    /// Month, 1 to 12.
    pub month: i32,
    /// Day of the month.
    pub day: i32,
    /// Hour, 0 to 23.
    pub hour: i32,
    /// Minute.
    pub minute: i32,
    /// Second.
    pub second: i32,
    /// Millisecond.
    pub millisecond: i32,
}

/// A moment as Java's `Date` shows it: `Sat Nov 21 09:00:00 UTC 2026`.
pub fn java_date(ms: i64) -> String {
    let seconds: libc::time_t = ms.div_euclid(1000);
    let mut text = [0u8; 64];
    // SAFETY: an all-zero tm is valid, the buffer is as long as is said, and all pointers live across the calls.
    let len = unsafe {
        let mut fields: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut fields);
        libc::strftime(text.as_mut_ptr().cast(), text.len(), c"%a %b %d %H:%M:%S %Z %Y".as_ptr(), &fields)
    };
    String::from_utf8_lossy(&text[..len]).into_owned()
}

/// The calendar fields of `ms` since 1970.
pub fn local_time(ms: i64) -> LocalTime {
    let seconds: libc::time_t = ms.div_euclid(1000);
    // SAFETY: an all-zero tm is valid, and both pointers live across the call.
    let fields = unsafe {
        let mut fields: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut fields);
        fields
    };
    LocalTime {
        year: fields.tm_year + 1900,
        month: fields.tm_mon + 1,
        day: fields.tm_mday,
        hour: fields.tm_hour,
        minute: fields.tm_min,
        second: fields.tm_sec,
        millisecond: ms.rem_euclid(1000) as i32,
    }
}
