//! Bugs that the world plants at the edge of the machine.

/// A mistake that a coordinator could make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A commit of any generation passes for one of the current.
    StaleGenerationPasses,
    /// Offsets are acknowledged and never written.
    OffsetsNotWritten,
    /// Groups are taken for stored and never written.
    GroupsNotWritten,
    /// Nothing is ever due.
    NoTimers,
    /// A load misses the last batch.
    LoadMissesTheEnd,
    /// A load does not see the ends of transactions.
    LoadMissesMarkers,
    /// Committed transactions are taken for aborted, and the other way round.
    TransactionsInverted,
    /// Static members are not told apart from their successors.
    NoFencing,
    /// Two members are assigned the same.
    AssignedTwice,
    /// Join answers name the generation before.
    OldGenerationTold,
    /// Answers to SyncGroup are lost.
    NoSyncAnswers,
    /// Offsets are placed at the start of the log.
    OffsetsPlacedWrong,
    /// Tombstones and offsets of a group that is loaded are forgotten.
    LoadForgetsOffsets,
}

impl Bug {
    pub const ALL: [Bug; 13] = [
        Bug::StaleGenerationPasses,
        Bug::OffsetsNotWritten,
        Bug::GroupsNotWritten,
        Bug::NoTimers,
        Bug::LoadMissesTheEnd,
        Bug::LoadMissesMarkers,
        Bug::TransactionsInverted,
        Bug::NoFencing,
        Bug::AssignedTwice,
        Bug::OldGenerationTold,
        Bug::NoSyncAnswers,
        Bug::OffsetsPlacedWrong,
        Bug::LoadForgetsOffsets,
    ];
}
