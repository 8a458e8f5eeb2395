//! A produce request's wait for its partitions.

use super::error::PartitionError;
use crate::common::Offset;
use smallvec::SmallVec;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::Sleep;

/// Where a partition's records went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Offset of the first record.
    pub base_offset: Offset,
    /// The broker's timestamp under `LogAppendTime`, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log.
    pub log_start_offset: Offset,
}

/// A partition's answer.
pub type AppendResult = Result<Appended, PartitionError>;

/// Answers of all partitions, in the order of the request.
pub type AppendResults = SmallVec<[Option<AppendResult>; 1]>;

#[derive(Debug)]
struct State {
    missing: usize,
    results: AppendResults,
    waker: Option<Waker>,
}

/// Shared between a request and the partitions that it waits for.
#[derive(Debug)]
pub struct Ticket {
    state: Mutex<State>,
}

impl Ticket {
    /// A ticket for `partitions` answers.
    pub fn new(partitions: usize) -> Arc<Ticket> {
        let results = (0..partitions).map(|_| None).collect();
        Arc::new(Ticket { state: Mutex::new(State { missing: partitions, results, waker: None }) })
    }

    /// Notes the answer of one partition; the last one wakes the request.
    pub fn complete(&self, slot: usize, result: AppendResult) {
        let mut state = self.lock();
        if state.results[slot].is_some() {
            return;
        }
        state.results[slot] = Some(result);
        state.missing -= 1;
        if state.missing > 0 {
            return;
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while a ticket is locked")
    }
}

/// Resolves once every partition has answered, or the timeout is over; who has not answered by then has
/// timed out.
pub struct TicketWait {
    ticket: Arc<Ticket>,
    timeout_ms: Option<i64>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl TicketWait {
    /// Waits without limit if `timeout_ms` is none: for answers that depend on this broker alone.
    pub fn new(ticket: Arc<Ticket>, timeout_ms: Option<i64>) -> TicketWait {
        TicketWait { ticket, timeout_ms, timer: None }
    }

    fn timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(timeout_ms) = self.timeout_ms else { return false };
        let wait = Duration::from_millis(timeout_ms.max(0) as u64);
        // Made at the first wait only: most requests never come here.
        self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(wait))).as_mut().poll(cx).is_ready()
    }
}

impl Future for TicketWait {
    type Output = AppendResults;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<AppendResults> {
        {
            let mut state = self.ticket.lock();
            if state.missing == 0 {
                return Poll::Ready(std::mem::take(&mut state.results));
            }
            if !state.waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                state.waker = Some(cx.waker().clone());
            }
        }
        if !self.timed_out(cx) {
            return Poll::Pending;
        }
        let mut state = self.ticket.lock();
        let mut results = state.results.clone();
        state.waker = None;
        for result in &mut results {
            result.get_or_insert(Err(PartitionError::TimedOut));
        }
        Poll::Ready(results)
    }
}
