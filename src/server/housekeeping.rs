//! What a broker does by the clock: checkpoints, flushes, retention, deletions; and what it does when a log directory
//! fails.

use super::cleaning::Cleaning;
use crate::common::clock;
use crate::config::BrokerConfig;
use crate::replication::ReplicaManager;
use crate::storage::{LogManager, StorageError};
use crate::zk::data::log_dir_event;
use crate::zk::{ZkClient, notifications, paths};
use log::{error, info, warn};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// Flushes after a roll, and deletions that are due, are looked for this often.
const LOOK_EVERY_MS: i64 = 1000;
/// Producers that were idle too long are forgotten this often, as in Kafka.
const PRODUCERS_EVERY_MS: i64 = 600_000;
/// Retention begins this long after the start, as in Kafka.
const RETENTION_DELAY_MS: i64 = 30_000;

/// The collaborators of housekeeping.
#[derive(Clone)]
pub struct Keeper {
    /// Periods.
    pub config: Arc<BrokerConfig>,
    /// For the notification of a failed directory.
    pub zk: ZkClient,
    /// Directories.
    pub logs: Arc<LogManager>,
    /// Partitions.
    pub replicas: Arc<ReplicaManager>,
    /// Compaction.
    pub cleaning: Arc<Cleaning>,
}

/// Open as long as one log directory works.
pub struct Alive(watch::Receiver<()>);

impl Alive {
    /// Ends when the last log directory has failed.
    pub async fn closed(&self) {
        let mut receiver = self.0.clone();
        while receiver.changed().await.is_ok() {}
    }
}

/// Starts all tasks.
pub fn start(
    keeper: Keeper,
    failures: mpsc::UnboundedReceiver<StorageError>,
) -> (Vec<JoinHandle<()>>, Alive) {
    let config = Arc::clone(&keeper.config);
    info!(target: "kafka.log.LogManager", "Starting log cleanup with a period of {} ms.", config.log_retention_check_interval_ms);
    info!(target: "kafka.log.LogManager", "Starting log flusher with a default period of {} ms.", config.log_flush_scheduler_interval_ms);
    let (alive, receiver) = watch::channel(());
    let period = |ms: i64| (ms.max(1), ms.max(1));
    let retention = (RETENTION_DELAY_MS, config.log_retention_check_interval_ms.max(1));
    let tasks = vec![
        every(
            &keeper,
            period(config.replica_high_watermark_checkpoint_interval_ms),
            checkpoint_high_watermarks,
        ),
        every(
            &keeper,
            period(i64::from(config.log_flush_offset_checkpoint_interval_ms)),
            checkpoint_recovery_points,
        ),
        every(
            &keeper,
            period(i64::from(config.log_flush_start_offset_checkpoint_interval_ms)),
            checkpoint_log_starts,
        ),
        every(&keeper, retention, apply_retention),
        every(&keeper, period(config.log_flush_scheduler_interval_ms.min(LOOK_EVERY_MS)), look_after),
        every(&keeper, period(PRODUCERS_EVERY_MS), forget_producers),
        tokio::spawn(follow_failures(keeper, failures, alive)),
    ];
    (tasks, Alive(receiver))
}

/// Runs `work` on a blocking thread, first after a delay, then in periods; never twice at a time.
fn every(keeper: &Keeper, (delay_ms, period_ms): (i64, i64), work: fn(&Keeper)) -> JoinHandle<()> {
    let keeper = keeper.clone();
    tokio::spawn(async move {
        let first = Instant::from_std(clock::deadline_after_ms(delay_ms));
        let mut ticks = interval_at(first, Duration::from_millis(period_ms as u64));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let keeper = keeper.clone();
            if let Err(failed) = tokio::task::spawn_blocking(move || work(&keeper)).await {
                error!(target: "kafka.utils.KafkaScheduler", "Uncaught exception in scheduled task: {failed}");
            }
        }
    })
}

impl Keeper {
    fn report<T>(&self, result: Result<T, StorageError>) -> Option<T> {
        result.map_err(|failure| self.replicas.report_failure(&failure)).ok()
    }
}

fn checkpoint_high_watermarks(keeper: &Keeper) {
    keeper.report(keeper.logs.write_high_watermarks(keeper.replicas.high_watermarks()));
}

fn checkpoint_recovery_points(keeper: &Keeper) {
    keeper.replicas.write_recovery_points();
}

fn checkpoint_log_starts(keeper: &Keeper) {
    keeper.replicas.write_log_starts();
}

fn apply_retention(keeper: &Keeper) {
    let now_ms = clock::now_ms();
    for partition in keeper.replicas.all() {
        if keeper.cleaning.is_busy(&partition.name) {
            // It applies retention itself, once it is done.
            continue;
        }
        let deleted = partition.with_state(|state| {
            let high_watermark = state.machine.high_watermark().offset;
            state.log.as_mut().map_or(Ok(0), |log| log.apply_retention(now_ms, high_watermark))
        });
        keeper.report(deleted);
    }
}

fn forget_producers(keeper: &Keeper) {
    let now_ms = clock::now_ms();
    for partition in keeper.replicas.all() {
        partition.with_state(|state| {
            if let Some(log) = state.log.as_mut() {
                log.remove_expired_producers(now_ms);
            }
        });
    }
}

/// Flushes logs that want it, removes files whose time has come.
fn look_after(keeper: &Keeper) {
    let now_ms = clock::now_ms();
    for partition in keeper.replicas.all() {
        keeper.report(partition.flush_if_wanted(now_ms));
    }
    keeper.report(keeper.logs.run_deletions(now_ms));
}

/// Takes failed directories offline, tells the controller, ends the process when none is left (KIP-112).
async fn follow_failures(
    keeper: Keeper,
    mut failures: mpsc::UnboundedReceiver<StorageError>,
    alive: watch::Sender<()>,
) {
    while let Some(failure) = failures.recv().await {
        let directory = Arc::clone(&failure.log_dir);
        if !keeper.logs.fail_directory(&directory) {
            continue;
        }
        error!(target: "kafka.server.LogDirFailureChannel", "{}", failure.log_text());
        take_offline(&keeper, &directory);
        if keeper.logs.online_directories() == 0 {
            // Kafka halts here, too: nothing can be flushed or marked any more.
            error!(target: "kafka.log.LogManager",
                "Shutdown broker because all log dirs in {} have failed", keeper.config.log_dirs.join(", "));
            drop(alive);
            return;
        }
        let event = log_dir_event::encode(keeper.config.broker_id);
        if let Err(error) = notifications::notify(&keeper.zk, &paths::log_dir_event(), event).await {
            warn!(target: "kafka.server.ReplicaManager", "Cannot tell the controller of the failed directory: {error}");
        }
    }
}

fn take_offline(keeper: &Keeper, directory: &Arc<Path>) {
    warn!(target: "kafka.server.ReplicaManager", "[ReplicaManager broker={0}] Stopping serving replicas in dir {1}",
        keeper.config.broker_id, directory.display());
    keeper.replicas.fail_directory(directory);
    warn!(target: "kafka.server.ReplicaManager", "[ReplicaManager broker={}] Stopped serving replicas in dir {}",
        keeper.config.broker_id, directory.display());
}
