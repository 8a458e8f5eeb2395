//! Kafka's log files: server.log, controller.log, state-change.log, kafka-request.log, log-cleaner.log and
//! kafka-authorizer.log in `$LOG_DIR` (default `logs`), lines as `[%d] %p %m (%c)%n`; what goes into server.log
//! also goes to standard output.
//!
//! One `env_logger` per file behind a small fan-out: a record goes to the file of its target only. `RUST_LOG`
//! changes levels, with Kafka's logger names as targets.

use super::log_files::HourlyFile;
use super::log_levels::LEVELS;
use super::logger_names::logger_of;
use crate::common::{TRACE_MARK, clock};
use env_logger::{Builder, Logger, Target};
use log::{LevelFilter, Log, Metadata, Record};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;

/// A file, the targets that belong to it, and their level.
const FILES: [(&str, &[&str], LevelFilter); 5] = [
    ("controller.log", &["kafka.controller"], LevelFilter::Info),
    ("state-change.log", &["state.change.logger"], LevelFilter::Info),
    ("kafka-request.log", &["kafka.request.logger", "kafka.network.RequestChannel"], LevelFilter::Warn),
    ("log-cleaner.log", &["kafka.log.LogCleaner"], LevelFilter::Info),
    ("kafka-authorizer.log", &["kafka.authorizer.logger"], LevelFilter::Info),
];

struct FanOut {
    server: Sink,
    others: Vec<(&'static [&'static str], Sink)>,
}

/// One file: what decides about a record unless its level was changed, and what writes whatever it gets.
struct Sink {
    filter: Logger,
    writer: Logger,
}

impl Sink {
    fn new(level: LevelFilter, target: Target) -> Sink {
        Sink { filter: filter(level), writer: writer(target) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match LEVELS.changed_level(metadata.target()) {
            Some(level) => metadata.level() <= level,
            None => self.filter.enabled(metadata),
        }
    }
}

/// Starts logging: to standard output alone if `folder` is none.
pub fn start(folder: Option<&Path>) -> io::Result<()> {
    let server = match folder {
        Some(folder) => {
            Sink::new(LevelFilter::Info, Target::Pipe(Box::new(Both(file(folder, "server.log")?))))
        }
        None => Sink::new(LevelFilter::Info, Target::Stdout),
    };
    let mut levels = BTreeMap::from([("root", LevelFilter::Info)]);
    let mut others = Vec::new();
    if let Some(folder) = folder {
        for (name, targets, level) in FILES {
            levels.extend(targets.iter().map(|target| (*target, level)));
            others.push((targets, Sink::new(level, Target::Pipe(Box::new(file(folder, name)?)))));
        }
    }
    LEVELS.begin_with(levels);
    let level = others.iter().map(|(_, sink)| sink.filter.filter()).fold(server.filter.filter(), Ord::max);
    log::set_boxed_logger(Box::new(FanOut { server, others })).map_err(io::Error::other)?;
    log::set_max_level(level);
    Ok(())
}

fn file(folder: &Path, name: &str) -> io::Result<HourlyFile> {
    HourlyFile::open(&folder.join(name))
}

fn filter(level: LevelFilter) -> Logger {
    Builder::new()
        .filter_level(level)
        // The client library talks of every reconnection attempt.
        .filter_module("zookeeper_client", LevelFilter::Error)
        .parse_default_env()
        .build()
}

fn writer(target: Target) -> Logger {
    Builder::new()
        .filter_level(LevelFilter::Trace)
        .format(|out, record| out.write_all(line(record).as_bytes()))
        .target(target)
        .build()
}

/// Logs an error with lines that follow it without a pattern, as log4j does with an exception.
pub fn error_with_trace(target: &str, message: &str, trace: &str) {
    log::error!(target: target, "{message}{TRACE_MARK}{trace}");
}

/// A record in Kafka's pattern.
fn line(record: &Record<'_>) -> String {
    let t = clock::local_time(clock::now_ms());
    let mut line = String::with_capacity(160);
    let text = record.args().to_string();
    let (message, trace) = text.split_once(TRACE_MARK).map_or((&*text, None), |(m, t)| (m, Some(t)));
    // Writing to a string cannot fail.
    let _ = writeln!(
        line,
        "[{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}] {} {message} ({})",
        t.year,
        t.month,
        t.day,
        t.hour,
        t.minute,
        t.second,
        t.millisecond,
        record.level(),
        record.target()
    );
    if let Some(trace) = trace {
        let _ = writeln!(line, "{trace}");
    }
    line
}

impl FanOut {
    fn sink_of(&self, target: &str) -> &Sink {
        let belongs = |targets: &[&str]| targets.iter().any(|t| target.starts_with(t));
        self.others.iter().find(|(targets, _)| belongs(targets)).map_or(&self.server, |(_, sink)| sink)
    }
}

impl Log for FanOut {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let target = logger_of(metadata.target());
        let named = Metadata::builder().level(metadata.level()).target(target).build();
        self.sink_of(target).enabled(&named)
    }

    fn log(&self, record: &Record<'_>) {
        let target = logger_of(record.target());
        let sink = self.sink_of(target);
        if !sink.enabled(&Metadata::builder().level(record.level()).target(target).build()) {
            return;
        }
        sink.writer.log(
            &Record::builder()
                .level(record.level())
                .target(target)
                .module_path(record.module_path())
                .args(*record.args())
                .build(),
        );
    }

    fn flush(&self) {
        self.server.writer.flush();
        self.others.iter().for_each(|(_, sink)| sink.writer.flush());
    }
}

/// Writes to a file and to standard output.
struct Both(HourlyFile);

impl Write for Both {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        // A closed standard output (a daemon whose terminal is gone) must not cost the file.
        let _ = io::stdout().write_all(buffer);
        self.0.write_all(buffer)?;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().flush();
        self.0.flush()
    }
}
