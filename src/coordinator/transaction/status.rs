//! Where a transaction stands, and what may follow what.
//!
//! ```text
//!  Empty ----> Ongoing ----> PrepareCommit ----> CompleteCommit --.
//!    ^         |  ^  |                                             |
//!    |         `--'  +-----> PrepareAbort -----> CompleteAbort ----+---> Empty, Ongoing, Dead
//!    |               |            ^                                |
//!    |               `--> PrepareEpochFence                        |
//!    `-------------------------------------------------------------'
//! ```

/// Where a transaction stands; the numbers are those of the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(i8)]
pub enum Status {
    /// The producer has an epoch, and no transaction since it got it.
    Empty = 0,
    /// Partitions have been added.
    Ongoing = 1,
    /// It is decided that the transaction commits; its markers are being written.
    PrepareCommit = 2,
    /// It is decided that the transaction aborts; its markers are being written.
    PrepareAbort = 3,
    /// Committed, all markers are written.
    CompleteCommit = 4,
    /// Aborted, all markers are written.
    CompleteAbort = 5,
    /// The transactional id expires. Never stored: the record is a tombstone.
    Dead = 6,
    /// The epoch has been raised to fence the producer of an ongoing transaction, which aborts next. Never
    /// stored.
    PrepareEpochFence = 7,
}

impl Status {
    /// All of them.
    pub const ALL: [Status; 8] = [
        Status::Empty,
        Status::Ongoing,
        Status::PrepareCommit,
        Status::PrepareAbort,
        Status::CompleteCommit,
        Status::CompleteAbort,
        Status::Dead,
        Status::PrepareEpochFence,
    ];

    /// The status of a number in the log.
    pub fn from_code(code: i8) -> Option<Status> {
        Status::ALL.into_iter().find(|status| *status as i8 == code)
    }

    /// True for what a record may say.
    pub fn is_stored(self) -> bool {
        !matches!(self, Status::Dead | Status::PrepareEpochFence)
    }

    /// True if this may come right after `previous`.
    pub fn may_follow(self, previous: Status) -> bool {
        use Status::*;
        match self {
            Empty => matches!(previous, Empty | CompleteCommit | CompleteAbort),
            Ongoing => matches!(previous, Ongoing | Empty | CompleteCommit | CompleteAbort),
            PrepareCommit | PrepareEpochFence => previous == Ongoing,
            PrepareAbort => matches!(previous, Ongoing | PrepareEpochFence),
            CompleteCommit => previous == PrepareCommit,
            CompleteAbort => previous == PrepareAbort,
            Dead => previous.may_expire(),
        }
    }

    /// True if a transactional id in this status may be forgotten.
    pub fn may_expire(self) -> bool {
        matches!(self, Status::Empty | Status::CompleteCommit | Status::CompleteAbort)
    }

    /// True while markers are being written.
    pub fn is_prepared(self) -> bool {
        matches!(self, Status::PrepareCommit | Status::PrepareAbort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of Kafka's `TransactionMetadata.validPreviousStates`.
    #[test]
    fn transitions_are_those_of_kafka() {
        use Status::*;
        let allowed =
            |next| Status::ALL.into_iter().filter(move |previous| Status::may_follow(next, *previous));
        let table: [(Status, &[Status]); 8] = [
            (Empty, &[Empty, CompleteCommit, CompleteAbort]),
            (Ongoing, &[Empty, Ongoing, CompleteCommit, CompleteAbort]),
            (PrepareCommit, &[Ongoing]),
            (PrepareAbort, &[Ongoing, PrepareEpochFence]),
            (CompleteCommit, &[PrepareCommit]),
            (CompleteAbort, &[PrepareAbort]),
            (Dead, &[Empty, CompleteCommit, CompleteAbort]),
            (PrepareEpochFence, &[Ongoing]),
        ];
        for (next, previous) in table {
            assert_eq!(allowed(next).collect::<Vec<_>>(), previous, "{next:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_the_log() {
        for (code, status) in (0..).zip(Status::ALL) {
            assert_eq!(Status::from_code(code), Some(status));
        }
        assert_eq!(Status::from_code(8), None);
        assert_eq!(Status::from_code(-1), None);
    }
}
