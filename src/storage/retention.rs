//! Which segments may go: too old, too many bytes, or below the log start.
//!
//! Always the oldest first, stopping at the first that stays, and only below the high watermark. The active
//! segment goes too if it qualifies and holds something: a new one is rolled first. Source: Kafka 2.8.2,
//! `Log.scala`, `deleteOldSegments`.

use super::error::StorageError;
use super::log::Log;
use super::loggers;
use crate::common::Offset;
use std::io;
use std::sync::Arc;

/// What a predicate sees of a segment.
struct Candidate {
    size: u64,
    largest_timestamp: i64,
    /// Base offset of the next segment, if there is one.
    next_base: Option<Offset>,
}

/// Why segments go.
#[derive(Clone, Copy)]
enum Breach {
    Time,
    Size,
    Start,
}

impl Log {
    /// Deletes segments that retention allows to. Returns how many; their files keep a `.deleted` name for
    /// `file.delete.delay.ms`, until `LogManager::run_deletions` removes them. Topics without the `delete`
    /// policy lose only what is below the log start.
    pub fn apply_retention(&mut self, now_ms: i64, high_watermark: Offset) -> Result<usize, StorageError> {
        self.check_not_failed()?;
        let mut deleted = 0;
        if self.config.delete {
            let retention_ms = self.config.retention_ms;
            if retention_ms >= 0 {
                let old = |c: &Candidate| now_ms.saturating_sub(c.largest_timestamp) > retention_ms;
                deleted += self.delete_oldest(Breach::Time, now_ms, high_watermark, old)?;
            }
            let retention_bytes = self.config.retention_bytes;
            if retention_bytes >= 0 && self.size_bytes() >= retention_bytes as u64 {
                let mut surplus = self.size_bytes() - retention_bytes as u64;
                let superfluous = |c: &Candidate| {
                    let goes = surplus >= c.size;
                    surplus -= if goes { c.size } else { 0 };
                    goes
                };
                deleted += self.delete_oldest(Breach::Size, now_ms, high_watermark, superfluous)?;
            }
        }
        let start = self.log_start_offset;
        let below = |c: &Candidate| c.next_base.is_some_and(|base| base <= start);
        Ok(deleted + self.delete_oldest(Breach::Start, now_ms, high_watermark, below)?)
    }

    fn delete_oldest(
        &mut self,
        why: Breach,
        now_ms: i64,
        high_watermark: Offset,
        goes: impl FnMut(&Candidate) -> bool,
    ) -> Result<usize, StorageError> {
        let count = self.count_deletable(high_watermark, goes);
        let count = count.map_err(|error| self.fail("deleting segments", error))?;
        if count == 0 {
            return Ok(0);
        }
        self.log_deletion(why, count);
        self.delete_first(count, now_ms).map_err(|error| self.fail("deleting segments", error))?;
        self.move_log_start(self.first_base_offset(), "segment deletion")?;
        Ok(count)
    }

    /// Kafka's lines for the first `count` segments.
    fn log_deletion(&self, why: Breach, count: usize) {
        let ident = self.dir.ident();
        let all = self.sealed.iter().map(|s| (s.base_offset(), s.size, s.largest()));
        let active = (self.active.base_offset(), self.active.size, Ok(self.active.largest()));
        let mut size_after = self.size_bytes();
        let mut names = Vec::new();
        for (base_offset, size, largest) in all.chain([active]).take(count) {
            size_after -= u64::from(size);
            let largest = largest.map_or(-1, |entry| entry.timestamp);
            let of = if largest >= 0 { format!("Some({largest})") } else { "None".into() };
            let name =
                format!("LogSegment(baseOffset={base_offset}, size={size}, largestRecordTimestamp={of})");
            match why {
                Breach::Time => {
                    let by =
                        if largest >= 0 { "largest record timestamp in" } else { "last modified time of" };
                    let retention_ms = self.config.retention_ms;
                    log::info!(target: loggers::LOG, "{ident}Deleting segment {name} due to retention time {retention_ms}ms breach based on the {by} the segment");
                }
                Breach::Size => {
                    let retention_bytes = self.config.retention_bytes;
                    log::info!(target: loggers::LOG, "{ident}Deleting segment {name} due to retention size {retention_bytes} breach. Log size after deletion will be {size_after}.");
                }
                Breach::Start => names.push(name),
            }
        }
        if !names.is_empty() {
            let start = self.log_start_offset;
            log::info!(target: loggers::LOG, "{ident}Deleting segments due to log start offset {start} breach: {}", names.join(","));
        }
    }

    fn count_deletable(
        &self,
        high_watermark: Offset,
        mut goes: impl FnMut(&Candidate) -> bool,
    ) -> io::Result<usize> {
        for at in 0..=self.sealed.len() {
            let next = self.sealed.get(at + 1).map(|segment| segment.base_offset());
            let next_base = next.or((at < self.sealed.len()).then_some(self.active.base_offset()));
            if high_watermark < next_base.unwrap_or(self.end_offset) {
                return Ok(at);
            }
            let (size, largest_timestamp) = match self.sealed.get(at) {
                Some(segment) => (segment.size, segment.largest_timestamp()?),
                None => (self.active.size, self.active.largest_timestamp()?),
            };
            let empty_active = next_base.is_none() && size == 0;
            if empty_active || !goes(&Candidate { size: u64::from(size), largest_timestamp, next_base }) {
                return Ok(at);
            }
        }
        Ok(self.sealed.len() + 1)
    }

    fn delete_first(&mut self, count: usize, now_ms: i64) -> io::Result<()> {
        if count > self.sealed.len() {
            self.roll(self.end_offset, now_ms)?;
        }
        let gone: Vec<_> = Arc::make_mut(&mut self.sealed).drain(..count).collect();
        self.delete_segments(&gone)
    }
}
