//! The threads that copy logs to other directories (KIP-113): `num.replica.alter.log.dirs.threads` of them at most, and
//! none while nothing moves. Each copies one partition to its end before it takes the next, in the order of their names.
//!
//! Source: Kafka 2.8.2, `ReplicaAlterLogDirsThread.scala`.

use super::partition::Partition;
use super::partition::future::CopyStep;
use crate::common::{TopicPartition, clock};
use crate::quota::replication::ReplicationQuota;
use crate::storage::LogManager;
use log::{error, info};
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

const TARGET: &str = "kafka.server.ReplicaAlterLogDirsManager";

/// What the threads share.
pub struct MoverContext {
    /// The directories.
    pub logs: Arc<LogManager>,
    /// `replica.alter.log.dirs.io.max.bytes.per.second`
    pub quota: Arc<ReplicationQuota>,
    /// Most threads at a time.
    pub threads_max: usize,
    /// Bytes that are copied at once, `replica.fetch.max.bytes`.
    pub bytes_max: usize,
    /// Pause where nothing can be copied, `replica.fetch.backoff.ms`.
    pub backoff: Duration,
    /// Writes the checkpoints of all logs, after some were cut or moved.
    pub write_checkpoints: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<TopicPartition, Arc<Partition>>,
    running: usize,
    started: usize,
    stopped: bool,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    context: MoverContext,
    state: Mutex<State>,
    /// The end, for those who pause.
    ended: Condvar,
}

/// See the module.
pub struct Mover {
    shared: Arc<Shared>,
}

impl Mover {
    /// Without threads.
    pub fn new(context: MoverContext) -> Mover {
        Mover { shared: Arc::new(Shared { context, state: Mutex::default(), ended: Condvar::new() }) }
    }

    /// Has a partition copied that has a future log.
    pub fn add(&self, partition: Arc<Partition>) {
        let mut state = self.shared.lock();
        if state.stopped {
            return;
        }
        state.waiting.insert(partition.name.clone(), partition);
        if state.running >= self.shared.context.threads_max.max(1) {
            return;
        }
        let (shared, number) = (Arc::clone(&self.shared), state.started);
        let thread = std::thread::Builder::new().name(format!("ReplicaAlterLogDirsThread-{number}"));
        match thread.spawn(move || shared.work()) {
            Ok(thread) => {
                state.running += 1;
                state.started += 1;
                // Those that have ended need nobody to wait for them.
                state.threads.retain(|thread| !thread.is_finished());
                state.threads.push(thread);
            }
            Err(failed) => error!(target: TARGET, "Cannot start a thread that moves logs: {failed}"),
        }
    }

    /// Ends all threads and waits until they have: nothing is copied any more.
    pub fn stop(&self) {
        let threads = {
            let mut state = self.shared.lock();
            state.stopped = true;
            state.waiting.clear();
            std::mem::take(&mut state.threads)
        };
        self.shared.ended.notify_all();
        for thread in threads {
            if thread.join().is_err() {
                error!(target: TARGET, "A thread that moves logs ended with a panic");
            }
        }
    }
}

impl Shared {
    fn work(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                let next = state.waiting.pop_first();
                if next.is_none() {
                    state.running -= 1;
                }
                next
            };
            let Some((name, partition)) = next else { return };
            info!(target: TARGET, "Beginning or resuming the copy of partition {name}");
            self.copy(&partition);
        }
    }

    fn copy(&self, partition: &Partition) {
        let context = &self.context;
        while !self.lock().stopped {
            if context.quota.is_exceeded(clock::monotonic_ms()) {
                self.pause();
                continue;
            }
            match partition.copy_step(&context.logs, context.bytes_max) {
                CopyStep::Copied(bytes) => context.quota.record(bytes, clock::monotonic_ms()),
                CopyStep::Cut => (context.write_checkpoints)(),
                CopyStep::Nothing => self.pause(),
                CopyStep::Done => return (context.write_checkpoints)(),
                CopyStep::Gone | CopyStep::Failed => return,
            }
        }
    }

    /// Until the end, but not for long.
    fn pause(&self) {
        let state = self.lock();
        if !state.stopped {
            let waited = self.ended.wait_timeout(state, self.context.backoff);
            drop(waited.expect("no panic while the moves are locked"));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the moves are locked")
    }
}
