//! Where the tools write. Writing never fails a tool: like Java's `PrintStream`, a reader that went
//! away is ignored (the console consumer asks for it itself).

use crate::common::clock;
use std::fmt::Arguments;
use std::io::Write;

/// Writes one line to stdout.
macro_rules! out_line {
    ($($arg:tt)*) => { $crate::tools::output::out(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Writes one line to stderr.
macro_rules! err_line {
    ($($arg:tt)*) => { $crate::tools::output::err(format_args!("{}\n", format_args!($($arg)*))) };
}

/// Writes to stdout.
pub fn out(text: Arguments<'_>) {
    let _ = std::io::stdout().lock().write_fmt(text);
}

/// Writes to stderr.
pub fn err(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

/// Pushes out what stdout still holds. Called once before the process ends.
pub fn flush() {
    let _ = std::io::stdout().lock().flush();
}

/// Log levels that reach a tool's stderr under Kafka's `tools-log4j.properties`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `WARN`
    Warn,
    /// `ERROR`
    Error,
}

/// A log4j line on stderr: `[2026-11-21 09:00:00,123] WARN message (logger)`. `message` may span lines.
pub fn log(level: Level, message: &str, logger: &str) {
    let level = match level {
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    };
    err(format_args!("[{}] {level} {message} ({logger})\n", timestamp(clock::now_ms())));
}

/// Like [`log`] at `ERROR`, followed by the lines of an exception.
pub fn log_error_with(message: &str, logger: &str, exception: &dyn std::fmt::Display) {
    let now = timestamp(clock::now_ms());
    err(format_args!("[{now}] ERROR {message} ({logger})\n{exception}\n"));
}

/// Local time in log4j's `ISO8601` form.
pub fn timestamp(now_ms: i64) -> String {
    let seconds: libc::time_t = now_ms.div_euclid(1000);
    // SAFETY: `localtime_r` fills the structure it is given and keeps no reference; all zero is a valid `tm`.
    let time = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::localtime_r(&seconds, &mut time);
        time
    };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
        time.tm_year + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        now_ms.rem_euclid(1000)
    )
}
