//! Appends are written by turns of the event loop, not one by one.
//!
//! A connection that dispatches a produce puts its batches into the partition's inbox. The first one to do
//! so in a turn notes the partition here; the drain task of the worker runs after every connection that was
//! ready in this turn has been served (tasks run in the order in which they became ready) and writes all
//! inboxes, each with one system call. Off the workers there is no turn: the caller drains at once.

use super::partition::Partition;
use crate::common::halt::HaltOnPanic;
use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

#[derive(Default)]
struct DrainQueue {
    partitions: Mutex<Vec<Arc<Partition>>>,
    notify: Notify,
}

thread_local! {
    static QUEUE: RefCell<Option<Arc<DrainQueue>>> = const { RefCell::new(None) };
}

/// Starts the drain task of this worker thread. Called once, inside its runtime.
pub fn start_on_this_worker() {
    let queue = Arc::new(DrainQueue::default());
    QUEUE.with(|slot| *slot.borrow_mut() = Some(Arc::clone(&queue)));
    tokio::spawn(async move {
        loop {
            queue.notify.notified().await;
            let partitions = std::mem::take(&mut *queue.partitions.lock().expect("drain queue"));
            let _halt = HaltOnPanic::new("appends are written");
            for partition in partitions {
                partition.drain();
            }
        }
    });
}

/// Has `partition` drained at the end of this turn, or at once off the workers.
pub fn schedule(partition: &Arc<Partition>) {
    let queue = QUEUE.with(|slot| slot.borrow().clone());
    match queue {
        Some(queue) => {
            queue.partitions.lock().expect("drain queue").push(Arc::clone(partition));
            queue.notify.notify_one();
        }
        None => partition.drain(),
    }
}
