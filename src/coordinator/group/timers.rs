//! When groups want to be woken. A group that was woken says when it wants to be woken next; a time that it does not
//! wait for any more costs one look.

use crate::common::clock;
use bytestring::ByteString;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Mutex;
use tokio::sync::Notify;

/// A time (monotonic), a partition of `__consumer_offsets`, a group.
pub(super) type Entry = (i64, i32, ByteString);

#[derive(Default)]
pub(super) struct Timers {
    entries: Mutex<BinaryHeap<Reverse<Entry>>>,
    earlier: Notify,
}

impl Timers {
    /// Remembers wishes of groups of one partition.
    pub(super) fn add(&self, partition: i32, wakes: Vec<(ByteString, i64)>) {
        let mut entries = self.entries.lock().expect("no panic while timers are locked");
        let first_ms = entries.peek().map_or(i64::MAX, |Reverse((at_ms, ..))| *at_ms);
        let mut is_earlier = false;
        for (group, at_ms) in wakes {
            is_earlier |= at_ms < first_ms;
            entries.push(Reverse((at_ms, partition, group)));
        }
        drop(entries);
        if is_earlier {
            self.earlier.notify_one();
        }
    }

    /// Waits until something is due, and gives it.
    pub(super) async fn due(&self) -> Vec<Entry> {
        loop {
            let first_ms = {
                let mut entries = self.entries.lock().expect("no panic while timers are locked");
                let now_ms = clock::monotonic_ms();
                let mut due = Vec::new();
                while entries.peek().is_some_and(|Reverse((at_ms, ..))| *at_ms <= now_ms) {
                    due.extend(entries.pop().map(|Reverse(entry)| entry));
                }
                if !due.is_empty() {
                    return due;
                }
                entries.peek().map(|Reverse((at_ms, ..))| *at_ms - now_ms)
            };
            let earlier = self.earlier.notified();
            match first_ms {
                None => earlier.await,
                Some(wait_ms) => {
                    let deadline = clock::deadline_after_ms(wait_ms).into();
                    // Late or early, the entries decide.
                    let _ = tokio::time::timeout_at(deadline, earlier).await.is_ok();
                }
            }
        }
    }
}
