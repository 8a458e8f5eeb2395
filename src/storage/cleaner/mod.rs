//! Compaction: of every key of a compacted topic, the last record stays.
//!
//! | file | job |
//! |---|---|
//! | `machine` | which log is next, how far, which segments become one: pure |
//! | `pass` | one log: index the dirty part, write what stays, swap it in |
//! | `offset_map`, `transactions` | what a pass remembers |
//! | `output` | the segment that is written |
//! | `progress`, `throttle`, `report` | who is at work or failed; how fast; what to say |
//!
//! A [`Cleaner`] is shared by its threads, each of which calls [`Cleaner::clean_next`] again and again. Nothing is read
//! or written under a partition's lock but the names of files when a finished segment is swapped in. Pausing is not
//! needed: who cuts, deletes or moves a log does not wait; the pass finds its segments gone, at the latest when it
//! would swap, and gives up.
//!
//! Only what is on disk is compacted: sealed segments below the recovery point. So a power failure finds either the old
//! segments or the new one, complete.
//!
//! Source: Kafka 2.8.2, `core/src/main/scala/kafka/log/LogCleaner.scala`, `LogCleanerManager.scala`.

mod machine;
mod offset_map;
mod output;
mod pass;
mod progress;
mod report;
#[cfg(test)]
mod tests;
mod throttle;
mod transactions;

use super::error::StorageError;
use super::file;
use super::log::Log;
use super::log_clean::CleaningView;
use super::log_flush::FlushScope;
use super::log_manager::LogManager;
use super::loggers;
use super::partition_dir::lock;
use super::read_plan::LogPosition;
use crate::common::{Offset, TopicPartition, clock};
use crate::config::BrokerConfig;
use crate::record::retain::Scratch;
use machine::{Candidate, FirstDirty, LogFacts, SegmentFacts};
use pass::{Memory, Pass, PassError};
use progress::Progress;
use report::Stats;
use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use throttle::Throttle;

/// More is not used per thread, as in Kafka.
const MAP_BYTES_MAX: i64 = i32::MAX as i64;
const IO_BYTES_MIN: i32 = 4096;
/// So much goes through before a thread looks whether it is to wait or to stop.
const PACE_BYTES: usize = 64 << 10;

/// How the cleaner works: the `log.cleaner.` keys of the broker.
#[derive(Clone, Debug, PartialEq)]
pub struct CleanerConfig {
    /// `log.cleaner.threads`, 0 if `log.cleaner.enable` is false.
    pub threads: usize,
    /// `log.cleaner.dedupe.buffer.size`: memory of all threads for keys.
    pub dedupe_buffer_bytes: i64,
    /// `log.cleaner.io.buffer.load.factor`: how full that may become.
    pub load_factor: f64,
    /// `log.cleaner.io.buffer.size`: memory of all threads for reading and writing.
    pub io_buffer_bytes: i32,
    /// `log.cleaner.io.max.bytes.per.second`: what all threads together read and write.
    pub max_io_bytes_per_second: f64,
    /// `log.cleaner.backoff.ms`: sleep of a thread that found nothing.
    pub backoff_ms: i64,
}

impl CleanerConfig {
    /// The broker's keys.
    pub fn of(config: &BrokerConfig) -> CleanerConfig {
        CleanerConfig {
            threads: if config.log_cleaner_enable { config.log_cleaner_threads.max(0) as usize } else { 0 },
            dedupe_buffer_bytes: config.log_cleaner_dedupe_buffer_size,
            load_factor: config.log_cleaner_io_buffer_load_factor,
            io_buffer_bytes: config.log_cleaner_io_buffer_size,
            max_io_bytes_per_second: config.log_cleaner_io_max_bytes_per_second,
            backoff_ms: config.log_cleaner_backoff_ms,
        }
    }

    fn memory(&self) -> Memory {
        let threads = self.threads.max(1);
        let map_bytes = (self.dedupe_buffer_bytes / threads as i64).clamp(0, MAP_BYTES_MAX);
        Memory {
            map_bytes: map_bytes as usize,
            load_factor: self.load_factor,
            io_bytes: (self.io_buffer_bytes / threads as i32 / 2).max(IO_BYTES_MIN) as usize,
            read_buffer: Vec::new(),
            write_buffer: Vec::new(),
            scratch: Scratch::default(),
        }
    }
}

/// The logs of a broker, where the cleaner finds them.
pub trait ServedLogs: Send + Sync {
    /// Calls `visit` with every current log and its high watermark, each under its partition's lock.
    fn for_each(&self, visit: &mut dyn FnMut(&mut Log, LogPosition));
    /// The same with one log; nothing if it is not there any more.
    fn with_log(&self, name: &TopicPartition, visit: &mut dyn FnMut(&mut Log, LogPosition));
    /// A log directory failed.
    fn failed(&self, error: &StorageError);
}

/// Compacts logs. See the module.
pub struct Cleaner {
    logs: Arc<dyn ServedLogs>,
    manager: Arc<LogManager>,
    config: CleanerConfig,
    throttle: Throttle,
    progress: Mutex<Progress>,
    /// Held while a thread looks for a log.
    choosing: Mutex<()>,
    stopped: Mutex<bool>,
    stopping: Condvar,
}

/// A log that was chosen.
struct Chosen {
    view: CleaningView,
    facts: LogFacts,
    candidate: Candidate,
}

impl Cleaner {
    /// A cleaner of the logs of `manager`, as far as they are served.
    pub fn new(logs: Arc<dyn ServedLogs>, manager: Arc<LogManager>, config: CleanerConfig) -> Cleaner {
        Cleaner {
            logs,
            manager,
            throttle: Throttle::new(config.max_io_bytes_per_second),
            config,
            progress: Mutex::default(),
            choosing: Mutex::default(),
            stopped: Mutex::default(),
            stopping: Condvar::new(),
        }
    }

    /// How it works.
    pub fn config(&self) -> &CleanerConfig {
        &self.config
    }

    /// True while a log is being compacted: retention waits, it would undo the work.
    pub fn is_busy(&self, name: &TopicPartition) -> bool {
        lock(&self.progress).is_busy(name)
    }

    /// Logs that could not be compacted; they are tried again.
    pub fn failing(&self) -> Vec<TopicPartition> {
        lock(&self.progress).failed().cloned().collect()
    }

    /// Life of thread number `id`: compacts until [`Cleaner::stop`].
    pub fn run(&self, id: usize) {
        log::info!(target: loggers::LOG_CLEANER, "[kafka-log-cleaner-thread-{id}]: Starting");
        loop {
            let found = self.clean_next(id);
            let pause_ms = if found { 0 } else { self.config.backoff_ms.max(0) };
            if !self.sleep(pause_ms) {
                break;
            }
        }
        log::info!(target: loggers::LOG_CLEANER, "[kafka-log-cleaner-thread-{id}]: Stopped");
    }

    /// Makes passes end soon, and [`Cleaner::run`] with them.
    pub fn stop(&self) {
        *lock(&self.stopped) = true;
        self.stopping.notify_all();
    }

    /// False if the cleaner stops.
    fn sleep(&self, ms: i64) -> bool {
        let stopped = lock(&self.stopped);
        if *stopped || ms <= 0 {
            return !*stopped;
        }
        let time = Duration::from_millis(ms as u64);
        let woken = self.stopping.wait_timeout_while(stopped, time, |stopped| !*stopped);
        !*woken.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    /// Compacts the log that needs it most. False if none does.
    pub fn clean_next(&self, id: usize) -> bool {
        let Some(chosen) = self.choose() else { return false };
        let name = chosen.view.dir.topic_partition.clone();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.clean(id, &chosen)));
        let result = result.unwrap_or_else(|_| Err(PassError::Failed("a bug, see above".into())));
        let result = match result {
            // What was read was cut while it was read.
            Err(PassError::Failed(_)) if self.has_changed(&chosen.view) => Err(PassError::Aborted),
            other => other,
        };
        let mut progress = lock(&self.progress);
        match result {
            Ok(()) | Err(PassError::Aborted) => progress.end(&name),
            Err(PassError::Failed(why)) => {
                let wait_ms = progress.fail(&name, clock::now_ms());
                log::warn!(
                    target: loggers::LOG_CLEANER,
                    "Cannot clean log {name}: {why}. It is tried again in {} s",
                    wait_ms / 1000
                );
            }
            Err(PassError::Storage(error)) => {
                progress.end(&name);
                drop(progress);
                self.logs.failed(&error);
            }
        }
        true
    }

    /// True if the log was cut, or is another one, or none.
    fn has_changed(&self, view: &CleaningView) -> bool {
        let mut same = false;
        self.logs.with_log(&view.dir.topic_partition, &mut |log, _| same = view.is_of(log));
        !same
    }

    fn report<T>(&self, result: Result<T, StorageError>) -> Option<T> {
        result.map_err(|error| self.logs.failed(&error)).ok()
    }

    /// The log that is next; it is busy from now on.
    fn choose(&self) -> Option<Chosen> {
        let _alone = lock(&self.choosing);
        let now_ms = clock::now_ms();
        let mut views = Vec::new();
        self.logs.for_each(&mut |log, high_watermark| {
            if log.config().compact && !log.is_future() && log.failure().is_none() {
                views.push(log.cleaning_view(high_watermark));
            }
        });
        {
            let progress = lock(&self.progress);
            views.retain(|view| progress.is_free(&view.dir.topic_partition, now_ms));
        }
        let mut chosen = Vec::new();
        for view in views {
            let view = self.flushed(view);
            match self.consider(&view, now_ms) {
                Ok((facts, candidate)) => chosen.push(Chosen { view, facts, candidate }),
                // It was cut or deleted.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => self.logs.failed(&view.dir.fail("cleaning log", error)),
            }
        }
        let candidates: Vec<_> = chosen.iter().map(|chosen| chosen.candidate).collect();
        let next = chosen.swap_remove(machine::choose(&candidates)?);
        lock(&self.progress).begin(next.view.dir.topic_partition.clone());
        Some(next)
    }

    /// Brings the sealed segments of a log to disk if they are not: of such nothing is compacted.
    fn flushed(&self, view: CleaningView) -> CleaningView {
        if view.recovery_point >= view.active_base_offset().min(view.last_stable_offset) {
            return view;
        }
        let name = view.dir.topic_partition.clone();
        let mut begun = Ok(None);
        self.logs.with_log(&name, &mut |log, _| {
            begun = log.begin_flush_of(FlushScope::Sealed, clock::now_ms());
        });
        let done = begun.and_then(|job| job.map(|job| job.run()).transpose());
        let Some(Some(done)) = self.report(done) else { return view };
        let mut done = Some(done);
        let mut again = None;
        self.logs.with_log(&name, &mut |log, high_watermark| {
            if let Some(done) = done.take() {
                log.complete_flush(done);
            }
            again = Some(log.cleaning_view(high_watermark));
        });
        again.unwrap_or(view)
    }

    fn consider(&self, view: &CleaningView, now_ms: i64) -> io::Result<(LogFacts, Candidate)> {
        let facts = LogFacts {
            segments: view
                .sealed
                .iter()
                .map(|s| SegmentFacts { base_offset: s.base_offset(), size_bytes: u64::from(s.size) })
                .collect(),
            active_base_offset: view.active_base_offset(),
            log_start_offset: view.log_start_offset,
            log_end_offset: view.log_end_offset,
            stable_offset: view.last_stable_offset.min(view.recovery_point),
        };
        let first = self.first_dirty(view, &facts);
        let dirty = || &view.sealed[facts.covering(first, facts.active_base_offset)];
        let mut too_young = None;
        if view.config.min_compaction_lag_ms > 0 {
            for segment in dirty() {
                if segment.largest_timestamp()? > now_ms.saturating_sub(view.config.min_compaction_lag_ms) {
                    too_young = Some(segment.base_offset());
                    break;
                }
            }
        }
        let mut overdue_ms = 0;
        if view.config.max_compaction_lag_ms < i64::MAX {
            let timestamps = dirty().iter().map(|segment| segment.first_timestamp());
            let timestamps = timestamps.collect::<io::Result<Vec<_>>>()?;
            overdue_ms =
                machine::overdue_ms(timestamps.into_iter(), view.config.max_compaction_lag_ms, now_ms);
        }
        let min_ratio = view.config.min_cleanable_dirty_ratio;
        let candidate = Candidate { dirty: facts.dirty(first, too_young), overdue_ms, min_ratio };
        Ok((facts, candidate))
    }

    fn first_dirty(&self, view: &CleaningView, facts: &LogFacts) -> Offset {
        let (name, log_dir) = (&view.dir.topic_partition, &view.dir.log_dir);
        let cut = (view.truncations, view.lowest_truncation);
        let known = self.report(self.manager.first_dirty(name, log_dir, cut)).flatten();
        let first = facts.first_dirty(known);
        let checkpoint = known.unwrap_or(0);
        match first {
            FirstDirty::At(offset) => return offset,
            // Retention moves the log start as a matter of course.
            FirstDirty::StartAbove(_) if view.config.delete => {}
            FirstDirty::StartAbove(start) => log::warn!(
                target: loggers::LOG_CLEANER,
                "Resetting first dirty offset of {name} to log start offset {start} since the checkpointed offset \
                 {checkpoint} is invalid."
            ),
            FirstDirty::EndBelow(start) => log::warn!(
                target: loggers::LOG_CLEANER,
                "The last checkpoint dirty offset for partition {name} is {checkpoint}, which is larger than the \
                 log end offset {}. Resetting to the log start offset {start}.",
                facts.log_end_offset
            ),
        }
        self.report(self.manager.set_first_dirty(name, log_dir, first.offset(), view.truncations));
        first.offset()
    }

    fn clean(&self, id: usize, chosen: &Chosen) -> Result<(), PassError> {
        let Chosen { view, facts, candidate } = chosen;
        let name = &view.dir.topic_partition;
        let mut last_records = None;
        self.logs.with_log(name, &mut |log, _| last_records = Some(log.last_records()));
        let last_records = last_records.ok_or(PassError::Aborted)?;
        let mut memory = self.config.memory();
        let pace = Pacing { cleaner: self, bytes: std::cell::Cell::new(0) };
        let mut pass = Pass {
            view,
            facts,
            dirty: candidate.dirty,
            last_records: &last_records,
            memory: &mut memory,
            pace: &pace,
            stats: Stats::new(clock::monotonic_ms()),
        };
        let mut swapped = false;
        let end_offset = pass.run(&mut |old, cleaned| {
            let mut replaced = Ok(false);
            self.logs.with_log(name, &mut |log, _| replaced = log.replace_segments(view, old, cleaned));
            swapped = true;
            if replaced.map_err(PassError::Storage)? { Ok(()) } else { Err(PassError::Aborted) }
        })?;
        let stats = pass.stats;
        if swapped {
            // The checkpoint must not survive a power failure that the new names do not survive.
            let synced = file::sync_path(&view.dir.path());
            synced.map_err(|error| self.changed_or(view, error))?;
        }
        let first_offset = candidate.dirty.first_offset;
        let noted = self.manager.set_first_dirty(name, &view.dir.log_dir, end_offset, view.truncations);
        noted.map_err(PassError::Storage)?;
        let text = stats.text(id, &name.to_string(), first_offset, end_offset);
        log::info!(target: loggers::LOG_CLEANER, "{text}");
        if stats.invalid_records() > 0 {
            let count = stats.invalid_records();
            log::warn!(target: loggers::LOG_CLEANER, "\tFound {count} invalid messages during compaction.");
        }
        self.apply_retention(name)
    }

    fn changed_or(&self, view: &CleaningView, error: io::Error) -> PassError {
        match error.kind() {
            io::ErrorKind::NotFound => PassError::Aborted,
            _ => PassError::Storage(view.dir.fail("cleaning log", error)),
        }
    }

    /// What retention left alone meanwhile.
    fn apply_retention(&self, name: &TopicPartition) -> Result<(), PassError> {
        let mut applied = Ok(0);
        self.logs.with_log(name, &mut |log, high_watermark| {
            applied = log.apply_retention(clock::now_ms(), high_watermark.offset);
        });
        applied.map(drop).map_err(PassError::Storage)
    }
}

/// What goes through one pass.
struct Pacing<'a> {
    cleaner: &'a Cleaner,
    bytes: std::cell::Cell<usize>,
}

impl pass::Pace for Pacing<'_> {
    fn pass(&self, bytes: usize) -> Result<(), PassError> {
        let sum = self.bytes.get() + bytes;
        if sum < PACE_BYTES {
            self.bytes.set(sum);
            return Ok(());
        }
        self.bytes.set(0);
        let wait_ms = self.cleaner.throttle.take(sum, clock::monotonic_ms());
        if self.cleaner.sleep(wait_ms) { Ok(()) } else { Err(PassError::Aborted) }
    }
}
