//! Which log is compacted next, how far, and which of its segments become one. Pure: no files, no clock.
//!
//! - The dirty part begins where the last pass ended and ends before the first segment that may not be touched: the
//!   active one, one with records that are undecided, not committed or not on disk, one with records that are too
//!   young.
//! - A log is due if its dirty part is large enough, or if a record of it waits for longer than it may; the dirtiest
//!   one is next.
//! - Neighbours become one segment as long as together they are no larger than one may be.
//!
//! Source: Kafka 2.8.2, `LogCleanerManager.scala`; `LogCleaner.scala`, `groupSegmentsBySize`.

use crate::common::Offset;
use std::ops::Range;

/// What is known of a sealed segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SegmentFacts {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
}

/// What is known of a log.
#[derive(Clone, Debug)]
pub(crate) struct LogFacts {
    /// Sealed ones, rising.
    pub(crate) segments: Vec<SegmentFacts>,
    pub(crate) active_base_offset: Offset,
    pub(crate) log_start_offset: Offset,
    pub(crate) log_end_offset: Offset,
    /// From here on records are undecided, not committed, or not on disk.
    pub(crate) stable_offset: Offset,
}

/// Where the dirty part begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum FirstDirty {
    /// As the checkpoint says, or at the log start if it says nothing.
    At(Offset),
    /// At the log start: what the checkpoint says is below it.
    StartAbove(Offset),
    /// At the log start: what the checkpoint says is above the log end. The log was damaged.
    EndBelow(Offset),
}

impl FirstDirty {
    pub(crate) fn offset(self) -> Offset {
        let (FirstDirty::At(offset) | FirstDirty::StartAbove(offset) | FirstDirty::EndBelow(offset)) = self;
        offset
    }
}

/// The dirty part of a log, and what stands before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Dirty {
    pub(crate) first_offset: Offset,
    /// Base offset of the first segment that is not touched.
    pub(crate) end_offset: Offset,
    pub(crate) clean_bytes: u64,
    pub(crate) dirty_bytes: u64,
}

/// A log that may be compacted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Candidate {
    pub(crate) dirty: Dirty,
    /// For so long its oldest dirty record waits beyond `max.compaction.lag.ms`.
    pub(crate) overdue_ms: i64,
    /// `min.cleanable.dirty.ratio`.
    pub(crate) min_ratio: f64,
}

impl LogFacts {
    /// Where the dirty part begins if the checkpoint says so.
    pub(crate) fn first_dirty(&self, checkpoint: Option<Offset>) -> FirstDirty {
        match checkpoint.unwrap_or(self.log_start_offset) {
            offset if offset < self.log_start_offset => FirstDirty::StartAbove(self.log_start_offset),
            offset if offset > self.log_end_offset => FirstDirty::EndBelow(self.log_start_offset),
            offset => FirstDirty::At(offset),
        }
    }

    /// The sealed segments that hold offsets of `from..to`.
    pub(crate) fn covering(&self, from: Offset, to: Offset) -> Range<usize> {
        if from >= to {
            return 0..0;
        }
        let first = self.segments.partition_point(|s| s.base_offset <= from).saturating_sub(1);
        let end = self.segments.partition_point(|s| s.base_offset < to);
        first..end.max(first)
    }

    fn bytes(&self, segments: Range<usize>) -> u64 {
        self.segments[segments].iter().map(|segment| segment.size_bytes).sum()
    }

    /// The dirty part; `too_young` is the base of the first segment with records below `min.compaction.lag.ms`.
    pub(crate) fn dirty(&self, first_offset: Offset, too_young: Option<Offset>) -> Dirty {
        let limit = self.stable_offset.min(self.active_base_offset).min(too_young.unwrap_or(Offset::MAX));
        let limit = limit.max(first_offset);
        let untouched = self.covering(limit, self.active_base_offset);
        let end_offset = match untouched.is_empty() {
            true => self.active_base_offset,
            false => self.segments[untouched.start].base_offset,
        };
        Dirty {
            first_offset,
            end_offset,
            clean_bytes: self.bytes(0..self.segments.partition_point(|s| s.base_offset < first_offset)),
            dirty_bytes: self.bytes(self.covering(first_offset.min(end_offset), end_offset)),
        }
    }
}

/// For how long a record waits beyond `max_lag_ms`; `first_timestamps` are those of the dirty segments' first batches.
pub(crate) fn overdue_ms(first_timestamps: impl Iterator<Item = i64>, max_lag_ms: i64, now_ms: i64) -> i64 {
    let until_ms = now_ms.saturating_sub(max_lag_ms.max(0));
    match first_timestamps.filter(|timestamp| *timestamp > 0).min() {
        Some(oldest) if oldest < until_ms => until_ms - oldest,
        _ => 0,
    }
}

impl Candidate {
    fn total_bytes(&self) -> u64 {
        self.dirty.clean_bytes + self.dirty.dirty_bytes
    }

    /// Dirty part of the whole.
    pub(crate) fn ratio(&self) -> f64 {
        if self.total_bytes() == 0 { 0.0 } else { self.dirty.dirty_bytes as f64 / self.total_bytes() as f64 }
    }

    /// True if it is to be compacted.
    pub(crate) fn is_due(&self) -> bool {
        let must = self.overdue_ms > 0 && self.dirty.dirty_bytes > 0;
        self.total_bytes() > 0 && (must || self.ratio() > self.min_ratio)
    }
}

/// The one of `candidates` that is next.
pub(crate) fn choose(candidates: &[Candidate]) -> Option<usize> {
    let due = candidates.iter().enumerate().filter(|(_, candidate)| candidate.is_due());
    let dirtiest = due.max_by(|(_, a), (_, b)| {
        let by_bytes = a.dirty.dirty_bytes.cmp(&b.dirty.dirty_bytes);
        a.ratio().total_cmp(&b.ratio()).then(by_bytes)
    });
    dirtiest.map(|(at, _)| at)
}

/// What counts when segments become one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupFacts {
    pub(crate) base_offset: Offset,
    pub(crate) size_bytes: u64,
    pub(crate) offset_index_bytes: u64,
    pub(crate) time_index_bytes: u64,
}

/// How large a segment and each of its indexes may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct GroupLimits {
    pub(crate) size_bytes: u64,
    pub(crate) index_bytes: u64,
    /// Where the last of the segments ends at the latest.
    pub(crate) end_offset: Offset,
}

/// Runs of `segments` that become one each.
pub(crate) fn group(segments: &[GroupFacts], limits: &GroupLimits) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    let mut sum = (0, 0, 0);
    for (at, segment) in segments.iter().enumerate() {
        let with = (
            sum.0 + segment.size_bytes,
            sum.1 + segment.offset_index_bytes,
            sum.2 + segment.time_index_bytes,
        );
        let end = segments.get(at + 1).map_or(limits.end_offset, |next| next.base_offset);
        let fits = |group: &&mut Range<usize>| {
            with.0 <= limits.size_bytes
                && with.1 <= limits.index_bytes
                && with.2 <= limits.index_bytes
                && end - 1 - segments[group.start].base_offset <= i64::from(i32::MAX)
        };
        match groups.last_mut().filter(fits) {
            Some(group) => {
                group.end = at + 1;
                sum = with;
            }
            None => {
                groups.push(at..at + 1);
                sum = (segment.size_bytes, segment.offset_index_bytes, segment.time_index_bytes);
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Segments of ten offsets and a hundred bytes; the active one is the last.
    fn log(segments: i64, stable_offset: Offset) -> LogFacts {
        let of = |n: i64| SegmentFacts { base_offset: n * 10, size_bytes: 100 };
        LogFacts {
            segments: (0..segments - 1).map(of).collect(),
            active_base_offset: (segments - 1) * 10,
            log_start_offset: 0,
            log_end_offset: segments * 10 - 5,
            stable_offset,
        }
    }

    fn dirty(log: &LogFacts, from: Offset, too_young: Option<Offset>) -> (Offset, u64, u64) {
        let Dirty { end_offset, clean_bytes, dirty_bytes, .. } = log.dirty(from, too_young);
        (end_offset, clean_bytes, dirty_bytes)
    }

    #[test]
    fn a_checkpoint_outside_of_the_log_is_none() {
        let log = LogFacts { log_start_offset: 20, ..log(6, 55) };
        assert_eq!(log.first_dirty(None), FirstDirty::At(20));
        assert_eq!(log.first_dirty(Some(20)), FirstDirty::At(20));
        assert_eq!(log.first_dirty(Some(55)), FirstDirty::At(55));
        assert_eq!(log.first_dirty(Some(19)), FirstDirty::StartAbove(20));
        assert_eq!(log.first_dirty(Some(56)), FirstDirty::EndBelow(20));
    }

    #[test]
    fn whole_segments_below_every_limit_are_dirty() {
        let all = log(6, 55);
        assert_eq!(dirty(&all, 0, None), (50, 0, 500), "up to the active one");
        assert_eq!(dirty(&all, 20, None), (50, 200, 300));
        assert_eq!(dirty(&all, 25, None), (50, 300, 300), "the segment in the middle counts on both sides");
        assert_eq!(dirty(&all, 50, None), (50, 500, 0));
        assert_eq!(dirty(&all, 52, None), (50, 500, 0), "in the active one");
        assert_eq!(dirty(&all, 0, Some(30)), (30, 0, 300));
        assert_eq!(
            dirty(&log(6, 34), 0, None),
            (30, 0, 300),
            "not the segment with the first unstable record"
        );
        assert_eq!(dirty(&log(6, 34), 32, None), (30, 400, 0));
        assert_eq!(dirty(&log(6, 0), 0, None), (0, 0, 0));
        assert_eq!(dirty(&log(1, 5), 0, None), (0, 0, 0), "nothing is sealed");
    }

    fn candidate(clean_bytes: u64, dirty_bytes: u64, overdue_ms: i64) -> Candidate {
        let dirty = Dirty { first_offset: 0, end_offset: 10, clean_bytes, dirty_bytes };
        Candidate { dirty, overdue_ms, min_ratio: 0.5 }
    }

    #[test]
    fn the_dirtiest_is_next() {
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[candidate(0, 0, 5), candidate(50, 50, 0), candidate(10, 0, 7)]), None);
        assert_eq!(choose(&[candidate(50, 51, 0), candidate(0, 1, 0), candidate(10, 90, 0)]), Some(1));
        assert_eq!(choose(&[candidate(90, 1, 1), candidate(50, 50, 0)]), Some(0), "it waits for too long");
        assert_eq!(choose(&[candidate(0, 5, 0), candidate(0, 7, 0)]), Some(1));
        assert_eq!(overdue_ms([900, 0, -1, 700].into_iter(), 100, 1000), 200);
        assert_eq!(overdue_ms([900].into_iter(), 100, 1000), 0);
        assert_eq!(overdue_ms([1].into_iter(), i64::MAX, 1000), 0);
        assert_eq!(overdue_ms(std::iter::empty(), 0, 1000), 0);
    }

    #[test]
    fn neighbours_become_one_within_every_limit() {
        let of = |base_offset, size_bytes| GroupFacts {
            base_offset,
            size_bytes,
            offset_index_bytes: 8,
            time_index_bytes: 12,
        };
        let limits = GroupLimits { size_bytes: 100, index_bytes: 100, end_offset: 1000 };
        let sizes = |sizes: &[u64]| -> Vec<GroupFacts> {
            sizes.iter().enumerate().map(|(n, size)| of(n as i64 * 10, *size)).collect()
        };
        assert!(group(&[], &limits).is_empty());
        assert_eq!(group(&sizes(&[50, 50, 1, 120, 0, 99]), &limits), [0..2, 2..3, 3..4, 4..6]);
        let small = GroupLimits { index_bytes: 24, ..limits };
        assert_eq!(group(&sizes(&[1, 1, 1, 1, 1]), &small), [0..2, 2..4, 4..5], "time indexes");
        let small = GroupLimits { index_bytes: 36, ..limits };
        assert_eq!(group(&sizes(&[1, 1, 1, 1]), &small), [0..3, 3..4]);
        let far = i64::from(i32::MAX);
        let spread = [of(0, 1), of(far - 1, 1), of(far + 1, 1), of(far + 2, 1)];
        assert_eq!(group(&spread, &GroupLimits { end_offset: far + 3, ..limits }), [0..2, 2..4]);
        assert_eq!(group(&spread[..2], &GroupLimits { end_offset: far + 1, ..limits }).len(), 1);
        assert_eq!(group(&spread[..2], &GroupLimits { end_offset: far + 2, ..limits }), [0..1, 1..2]);
    }
}
