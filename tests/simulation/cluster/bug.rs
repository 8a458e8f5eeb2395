//! Bugs that the world plants at the seams: between machines and logs, network, ZooKeeper, configuration.

/// A mistake that a broker or a controller could make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// A follower does not cut its log before it copies.
    TruncationDropped,
    /// A follower cuts its log to its high watermark, as before KIP-101.
    TruncationToHighWatermark,
    /// While an ISR grows only the old members count.
    AcksFromOldIsr,
    /// While an ISR shrinks only the members that stay count.
    AcksFromNewIsr,
    /// A broker obeys any controller.
    ControllerEpochIgnored,
    /// A leader serves followers of any leader epoch.
    LeaderEpochIgnoredInFetch,
    /// A broker obeys orders for its life before.
    BrokerEpochIgnored,
    /// A follower is in sync although it lacks committed records.
    IsrGrowsBelowHighWatermark,
    /// A follower believes the leader's high watermark before it cuts its log (KAFKA-14704).
    HighWatermarkBeforeTruncation,
    /// Replicas that are not in sync become leaders.
    UncleanElection,
    /// An ISR is written whatever stands there.
    IsrWrittenUnconditionally,
    /// The writes of a controller do not check the controller epoch, nor in which session they are.
    ControllerNotFenced,
    /// A new leader gets the leader epoch of the one before.
    LeaderEpochReused,
    /// The file of leader epochs is not synced although the recovery point says so.
    EpochFileNotSynced,
    /// Records count before they are synced, and the power fails.
    FlushSkipped,
    /// A leader without a session acknowledges what is in its own log.
    ZombieAcksAlone,
    /// A follower takes an answer in that an earlier leader gave.
    OldAnswersAccepted,
    /// A leader takes what it sent for what the follower has.
    SentCountsAsFetched,
    /// Consumers see what is not committed.
    UncommittedRead,
    /// `min.insync.replicas` is not looked at.
    MinIsrIgnored,
    /// A controller does not hear of brokers that come and go.
    BrokerWatchLost,
    /// A follower that has caught up stays out of the ISR.
    IsrNeverGrows,
    /// A leader never asks twice whether its change of the ISR was written.
    IsrOutcomeLost,
}

impl Bug {
    pub const ALL: [Bug; 23] = [
        Bug::TruncationDropped,
        Bug::TruncationToHighWatermark,
        Bug::AcksFromOldIsr,
        Bug::AcksFromNewIsr,
        Bug::ControllerEpochIgnored,
        Bug::LeaderEpochIgnoredInFetch,
        Bug::BrokerEpochIgnored,
        Bug::IsrGrowsBelowHighWatermark,
        Bug::HighWatermarkBeforeTruncation,
        Bug::UncleanElection,
        Bug::IsrWrittenUnconditionally,
        Bug::ControllerNotFenced,
        Bug::LeaderEpochReused,
        Bug::EpochFileNotSynced,
        Bug::FlushSkipped,
        Bug::ZombieAcksAlone,
        Bug::OldAnswersAccepted,
        Bug::SentCountsAsFetched,
        Bug::UncommittedRead,
        Bug::MinIsrIgnored,
        Bug::BrokerWatchLost,
        Bug::IsrNeverGrows,
        Bug::IsrOutcomeLost,
    ];
}
