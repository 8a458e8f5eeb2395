//! The threads of the log cleaner (`log.cleaner.threads`), and the logs that they find.

use crate::common::TopicPartition;
use crate::config::BrokerConfig;
use crate::replication::ReplicaManager;
use crate::replication::partition::PartitionState;
use crate::storage::cleaner::{Cleaner, CleanerConfig, ServedLogs};
use crate::storage::{Log, LogManager, LogPosition, StorageError};
use log::{error, info};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

const TARGET: &str = "kafka.log.LogCleaner";

struct Served(Arc<ReplicaManager>);

impl ServedLogs for Served {
    fn for_each(&self, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        self.0.all().iter().for_each(|partition| partition.with_state(|state| show(state, visit)));
    }

    fn with_log(&self, name: &TopicPartition, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
        let Some(partition) = self.0.find(&name.topic, name.partition) else { return };
        partition.with_state(|state| show(state, visit));
    }

    fn failed(&self, error: &StorageError) {
        self.0.report_failure(error);
    }
}

/// A log that moves to another directory is left alone: what is compacted behind the copy would count as compacted
/// there, too.
fn show(state: &mut PartitionState, visit: &mut dyn FnMut(&mut Log, LogPosition)) {
    if state.future_log().is_some() {
        return;
    }
    let high_watermark = state.machine.high_watermark();
    if let Some(log) = state.log.as_mut() {
        visit(log, high_watermark);
    }
}

#[derive(Default)]
struct Running {
    cleaner: Option<Arc<Cleaner>>,
    threads: Vec<JoinHandle<()>>,
    stopped: bool,
}

/// The running cleaner. A change of its settings ends the threads and starts others, as in Kafka.
pub struct Cleaning {
    replicas: Arc<ReplicaManager>,
    logs: Arc<LogManager>,
    running: Mutex<Running>,
}

impl Cleaning {
    /// Nothing runs yet: [`Cleaning::configure`] starts it.
    pub fn new(replicas: Arc<ReplicaManager>, logs: Arc<LogManager>) -> Arc<Cleaning> {
        Arc::new(Cleaning { replicas, logs, running: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works as `config` says from now on. Waits for the threads of before: blocks.
    pub fn configure(&self, config: &BrokerConfig) {
        let config = CleanerConfig::of(config);
        let mut running = self.lock();
        let same = running.cleaner.as_ref().is_some_and(|cleaner| *cleaner.config() == config);
        if running.stopped || same {
            return;
        }
        running.end_threads();
        let cleaner = Arc::new(Cleaner::new(
            Arc::new(Served(Arc::clone(&self.replicas))),
            Arc::clone(&self.logs),
            config,
        ));
        if cleaner.config().threads > 0 {
            info!(target: TARGET, "Starting the log cleaner");
        }
        for id in 0..cleaner.config().threads {
            let cleaner = Arc::clone(&cleaner);
            let thread = Builder::new().name(format!("kafka-log-cleaner-thread-{id}"));
            match thread.spawn(move || cleaner.run(id)) {
                Ok(thread) => running.threads.push(thread),
                Err(failed) => error!(target: TARGET, "Cannot start a cleaner thread: {failed}"),
            }
        }
        running.cleaner = Some(cleaner);
    }

    /// True while a log is being compacted.
    pub fn is_busy(&self, name: &TopicPartition) -> bool {
        self.lock().cleaner.as_ref().is_some_and(|cleaner| cleaner.is_busy(name))
    }

    /// Ends it for good. Blocks until passes that are under way have ended.
    pub fn stop(&self) {
        let mut running = self.lock();
        running.stopped = true;
        if running.cleaner.is_some() {
            info!(target: TARGET, "Shutting down the log cleaner.");
        }
        running.end_threads();
    }
}

impl Running {
    fn end_threads(&mut self) {
        if let Some(cleaner) = &self.cleaner {
            cleaner.stop();
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                error!(target: TARGET, "A cleaner thread ended by a panic");
            }
        }
    }
}
