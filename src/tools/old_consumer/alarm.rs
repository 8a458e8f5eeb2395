//! What wakes a consumer between two fetches: its group changed, its session was lost, it shall end.

use crate::common::clock;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Set by watches and signals, read by the consumer's thread.
#[derive(Default)]
pub struct Alarm {
    flags: Mutex<Flags>,
    changed: Condvar,
}

/// What has happened since it was last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// The group, a topic, or the brokers are not what they were.
    pub must_rebalance: bool,
    /// The session and its ephemerals are gone; another is open.
    pub has_new_session: bool,
    /// The consumer shall end.
    pub must_stop: bool,
}

impl Alarm {
    fn lock(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something happened.
    pub fn ring(&self, set: impl FnOnce(&mut Flags)) {
        set(&mut self.lock());
        self.changed.notify_all();
    }

    /// Everything that happened; afterwards only the wish to stop still stands.
    pub fn take(&self) -> Flags {
        let mut flags = self.lock();
        let taken = *flags;
        *flags = Flags { must_stop: taken.must_stop, ..Flags::default() };
        taken
    }

    /// True once the consumer shall end.
    pub fn must_stop(&self) -> bool {
        self.lock().must_stop
    }

    /// Waits until something happens, at most for `limit`.
    pub fn wait(&self, limit: Duration) {
        let end_ms = clock::monotonic_ms() + limit.as_millis() as i64;
        let mut flags = self.lock();
        while *flags == Flags::default() {
            let left_ms = end_ms - clock::monotonic_ms();
            if left_ms <= 0 {
                return;
            }
            let left = Duration::from_millis(left_ms as u64);
            flags = self.changed.wait_timeout(flags, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
