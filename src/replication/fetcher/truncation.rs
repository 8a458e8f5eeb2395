//! How far a follower cuts its log back, by what the leader says of an epoch's end (KIP-101, KIP-279, KIP-595). Pure.
//!
//! Source: Kafka 2.8.2, `AbstractFetcherThread.getOffsetTruncationState`.

use crate::common::{LeaderEpoch, Offset};

/// "Undefined" in an answer, for epoch and offset alike.
const UNDEFINED: i64 = -1;

/// The leader's answer: the largest epoch not above the asked one, and where it ends in the leader's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochEnd {
    /// -1 in answers of version 0, and if the leader does not know.
    pub leader_epoch: LeaderEpoch,
    /// -1 if the leader does not know.
    pub end_offset: Offset,
}

/// Where to cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Truncation {
    /// Everything at and above goes.
    pub offset: Offset,
    /// False if the leader has to be asked again, about an older epoch.
    pub complete: bool,
    /// Why the rule is not the usual one, for the log.
    pub remark: Option<Remark>,
}

/// Why an answer led to another rule than "the smaller end of the common epoch".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Remark {
    /// The leader does not know the epoch: cut to the high watermark.
    UnknownToLeader,
    /// The leader is too old to name epochs: cut to its end.
    WithoutEpoch,
    /// This replica does not know the leader's epoch: cut to the end of an older one and ask again.
    UnknownToFollower,
    /// It knows none that is old enough: cut to the leader's end.
    OlderThanAll,
}

/// The cut that follows from `answer`. `high_watermark` is where the follower began; `own_end` is what its log says of
/// the epoch in the answer: the largest epoch not above it, and its end.
pub fn truncation(
    answer: EpochEnd,
    high_watermark: Offset,
    log_end_offset: Offset,
    own_end: Option<(LeaderEpoch, Offset)>,
) -> Truncation {
    let done =
        |offset: Offset, remark| Truncation { offset: offset.min(log_end_offset), complete: true, remark };
    if answer.end_offset == UNDEFINED {
        return done(high_watermark, Some(Remark::UnknownToLeader));
    }
    if i64::from(answer.leader_epoch) == UNDEFINED {
        return done(answer.end_offset, Some(Remark::WithoutEpoch));
    }
    match own_end {
        None => done(answer.end_offset, Some(Remark::OlderThanAll)),
        Some((epoch, end)) if epoch == answer.leader_epoch => done(end.min(answer.end_offset), None),
        Some((_, end)) => Truncation { complete: false, ..done(end, Some(Remark::UnknownToFollower)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(leader: (i32, i64), own: Option<(i32, i64)>) -> (i64, bool) {
        let answer = EpochEnd { leader_epoch: leader.0, end_offset: leader.1 };
        let found = truncation(answer, 10, 100, own);
        (found.offset, found.complete)
    }

    #[test]
    fn every_rule() {
        assert_eq!(cut((-1, -1), Some((3, 50))), (10, true), "the leader does not know: high watermark");
        assert_eq!(cut((5, -1), Some((5, 50))), (10, true));
        assert_eq!(cut((-1, 70), Some((3, 50))), (70, true), "version 0: the leader's end");
        assert_eq!(cut((-1, 170), None), (100, true), "never beyond the own end");
        assert_eq!(cut((3, 70), Some((3, 50))), (50, true), "same epoch: the smaller end");
        assert_eq!(cut((3, 40), Some((3, 50))), (40, true));
        assert_eq!(cut((3, 170), Some((3, 150))), (100, true));
        assert_eq!(cut((4, 70), Some((3, 50))), (50, false), "KIP-279: ask again about epoch 3");
        assert_eq!(cut((1, 70), None), (70, true), "nothing cached so old");
    }
}
