//! Which logs are being compacted, and which are left alone for a while because that failed.
//!
//! A log that cannot be compacted is tried again, each time after twice as long, and each time the log says why. (Kafka
//! 2.8.2 gives it up until the broker is started anew.)

use crate::common::TopicPartition;
use std::collections::{HashMap, HashSet};

const RETRY_FIRST_MS: i64 = 60_000;
const RETRY_MAX_MS: i64 = 3_600_000;

#[derive(Clone, Copy, Debug)]
struct Failed {
    wait_ms: i64,
    until_ms: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Progress {
    busy: HashSet<TopicPartition>,
    failed: HashMap<TopicPartition, Failed>,
}

impl Progress {
    /// True if a log is neither busy nor to be left alone at `now_ms`.
    pub(super) fn is_free(&self, name: &TopicPartition, now_ms: i64) -> bool {
        !self.busy.contains(name) && self.failed.get(name).is_none_or(|failed| failed.until_ms <= now_ms)
    }

    /// True while a log is being compacted.
    pub(super) fn is_busy(&self, name: &TopicPartition) -> bool {
        self.busy.contains(name)
    }

    pub(super) fn begin(&mut self, name: TopicPartition) {
        self.busy.insert(name);
    }

    /// It is over, and no failure.
    pub(super) fn end(&mut self, name: &TopicPartition) {
        self.busy.remove(name);
        self.failed.remove(name);
    }

    /// It failed; for so long the log is left alone.
    pub(super) fn fail(&mut self, name: &TopicPartition, now_ms: i64) -> i64 {
        self.busy.remove(name);
        let wait_ms =
            self.failed.get(name).map_or(RETRY_FIRST_MS, |before| (before.wait_ms * 2).min(RETRY_MAX_MS));
        self.failed.insert(name.clone(), Failed { wait_ms, until_ms: now_ms + wait_ms });
        wait_ms
    }

    /// Logs that are left alone.
    pub(super) fn failed(&self) -> impl Iterator<Item = &TopicPartition> {
        self.failed.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_fails_is_tried_again_less_and_less_often() {
        let mut progress = Progress::default();
        let name = TopicPartition::new("t", 0);
        assert!(progress.is_free(&name, 0));
        progress.begin(name.clone());
        assert!(progress.is_busy(&name) && !progress.is_free(&name, 0));
        assert_eq!(progress.fail(&name, 1000), 60_000);
        assert!(
            !progress.is_busy(&name) && !progress.is_free(&name, 60_999) && progress.is_free(&name, 61_000)
        );
        let waits: Vec<_> = (0..7).map(|_| progress.fail(&name, 0)).collect();
        assert_eq!(waits, [120_000, 240_000, 480_000, 960_000, 1_920_000, 3_600_000, 3_600_000]);
        assert_eq!(progress.failed().count(), 1);
        progress.begin(name.clone());
        progress.end(&name);
        assert_eq!(progress.fail(&name, 0), 60_000, "what succeeded is forgotten");
    }
}
