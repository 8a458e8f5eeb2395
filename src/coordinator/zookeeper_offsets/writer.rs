//! The task that writes commits, all that wait at a time.

use crate::zk::offsets::{self, Commit, Fences, WriteError};
use crate::zk::{ZkClient, ZkError};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Commits that may wait: beyond them ZooKeeper is as good as away.
const WAITING_MAX: usize = 256 * 1024;
/// Commits of one round, about: a client does not wait for more than these before its own.
const ROUND_MAX: usize = 16 * 1024;

type Results = Vec<Result<(), WriteError>>;

struct Job {
    commits: Vec<Commit>,
    done: oneshot::Sender<Results>,
}

/// The way to the task; it ends when this is dropped.
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Job>,
    /// Commits in line or under way.
    waiting: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the task on the runtime of the caller.
    pub(super) fn start(zk: ZkClient, fences: Arc<Fences>) -> Writer {
        let (jobs, receiver) = mpsc::unbounded_channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        tokio::spawn(run((zk, fences), receiver, Arc::clone(&waiting)));
        Writer { jobs, waiting }
    }

    /// Puts commits in line, before this returns; they are written whether or not anybody waits for the results. A
    /// result for each, in order.
    pub(super) fn write(
        &self,
        commits: Vec<Commit>,
    ) -> impl Future<Output = Result<Results, ZkError>> + use<> {
        let count = commits.len();
        let (done, results) = oneshot::channel();
        let is_full = self.waiting.fetch_add(count, Ordering::Relaxed) + count > WAITING_MAX && count > 0;
        let is_in_line = !is_full && self.jobs.send(Job { commits, done }).is_ok();
        if !is_in_line {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
        }
        async move {
            match is_full {
                true => Err(ZkError::RequestTimeout),
                false => results.await.map_err(|_| ZkError::Closed),
            }
        }
    }
}

async fn run(
    (zk, fences): (ZkClient, Arc<Fences>),
    mut jobs: mpsc::UnboundedReceiver<Job>,
    waiting: Arc<AtomicUsize>,
) {
    while let Some(first) = jobs.recv().await {
        let mut round = first.commits;
        let mut parts = vec![(round.len(), first.done)];
        while round.len() < ROUND_MAX
            && let Ok(Job { commits, done }) = jobs.try_recv()
        {
            parts.push((commits.len(), done));
            round.extend(commits);
        }
        let mut results = offsets::write(&zk, &fences, &round).await.into_iter();
        waiting.fetch_sub(round.len(), Ordering::Relaxed);
        for (count, done) in parts {
            // Whoever asked may have gone.
            let _ = done.send(results.by_ref().take(count).collect());
        }
    }
}
