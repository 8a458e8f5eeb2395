//! How much replication may take of the network (KIP-73): a rate for all partitions that are listed as throttled, one
//! of these for what is sent as leader, one for what is fetched as follower.
//!
//! Source: Kafka 2.8.2, `ReplicationQuotaManager.scala`, `SimpleRate.java`: bytes over the time since the oldest of
//! `replication.quota.window.num` windows began, at least one window.

use crate::common::{BrokerId, TopicPartition};
use bytestring::ByteString;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, RwLock};

/// No bound.
pub const UNBOUNDED: i64 = i64::MAX;

/// Replicas of one topic on this broker.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Throttled {
    All,
    Some(HashSet<i32>),
}

/// Bytes since a moment.
#[derive(Clone, Copy, Debug)]
struct Window {
    began_ms: i64,
    bytes: i64,
}

/// See the module.
#[derive(Debug)]
pub struct ReplicationQuota {
    windows_max: usize,
    window_ms: i64,
    windows: Mutex<VecDeque<Window>>,
    bytes_per_second: AtomicI64,
    throttled: RwLock<HashMap<ByteString, Throttled>>,
    /// Something is throttled: asked first, as mostly nothing is.
    in_use: AtomicBool,
}

impl Default for ReplicationQuota {
    fn default() -> Self {
        ReplicationQuota::new(11, 1)
    }
}

impl ReplicationQuota {
    /// Without a bound, and nothing throttled: `replication.quota.window.num`, `replication.quota.window.size.seconds`.
    pub fn new(windows_max: i32, window_seconds: i32) -> ReplicationQuota {
        ReplicationQuota {
            windows_max: windows_max.max(1) as usize,
            window_ms: i64::from(window_seconds.max(1)) * 1000,
            windows: Mutex::default(),
            bytes_per_second: AtomicI64::new(UNBOUNDED),
            throttled: RwLock::default(),
            in_use: AtomicBool::new(false),
        }
    }

    /// The bound from now on; [`UNBOUNDED`] for none.
    pub fn set_rate(&self, bytes_per_second: i64) {
        self.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// The replicas of a topic that are throttled, as the topic's configuration lists them: `PARTITION:BROKER`
    /// elements, or `*`. An empty list throttles none.
    pub fn set_throttled(&self, topic: &ByteString, listed: &[String], broker_id: BrokerId) {
        let mut throttled = self.throttled.write().expect("no panic while the list is locked");
        let own = |element: &String| {
            let (partition, broker) = element.trim().split_once(':')?;
            let broker: BrokerId = broker.parse().ok()?;
            (broker == broker_id).then(|| partition.parse().ok()).flatten()
        };
        let partitions = match listed {
            [all] if all.trim() == "*" => Throttled::All,
            listed => Throttled::Some(listed.iter().filter_map(own).collect()),
        };
        if partitions == Throttled::Some(HashSet::new()) {
            throttled.remove(topic);
        } else {
            throttled.insert(topic.clone(), partitions);
        }
        self.in_use.store(!throttled.is_empty(), Ordering::Release);
    }

    /// True if anything is listed.
    pub fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Acquire)
    }

    /// True if a replica is listed.
    pub fn is_throttled(&self, name: &TopicPartition) -> bool {
        if !self.is_in_use() {
            return false;
        }
        let throttled = self.throttled.read().expect("no panic while the list is locked");
        match throttled.get(&name.topic) {
            None => false,
            Some(Throttled::All) => true,
            Some(Throttled::Some(partitions)) => partitions.contains(&name.partition),
        }
    }

    /// Counts bytes of a throttled replica.
    pub fn record(&self, bytes: usize, now_ms: i64) {
        let mut windows = self.windows.lock().expect("no panic while the windows are locked");
        self.purge(&mut windows, now_ms);
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        match windows.back_mut() {
            Some(last) if now_ms - last.began_ms < self.window_ms => {
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ => windows.push_back(Window { began_ms: now_ms, bytes }),
        }
    }

    /// True if more was counted lately than is allowed.
    pub fn is_exceeded(&self, now_ms: i64) -> bool {
        let bound = self.bytes_per_second.load(Ordering::Relaxed);
        if bound == UNBOUNDED {
            return false;
        }
        let mut windows = self.windows.lock().expect("no panic while the windows are locked");
        self.purge(&mut windows, now_ms);
        let Some(first) = windows.front() else { return false };
        let elapsed_ms = (now_ms - first.began_ms).max(self.window_ms);
        let bytes: i64 = windows.iter().fold(0, |sum, window| sum.saturating_add(window.bytes));
        i128::from(bytes) * 1000 > i128::from(bound) * i128::from(elapsed_ms)
    }

    fn purge(&self, windows: &mut VecDeque<Window>, now_ms: i64) {
        let expires_ms = self.window_ms * self.windows_max as i64;
        while windows.front().is_some_and(|window| now_ms - window.began_ms >= expires_ms) {
            windows.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_windows() {
        let quota = ReplicationQuota::new(3, 1);
        quota.record(1 << 40, 0);
        assert!(!quota.is_exceeded(0), "no bound");
        let quota = ReplicationQuota::new(3, 1);
        quota.set_rate(1000);
        assert!(!quota.is_exceeded(5000));
        quota.record(1000, 5000);
        assert!(!quota.is_exceeded(5000), "the first window counts as a whole one");
        quota.record(500, 5100);
        assert!(quota.is_exceeded(5100));
        assert!(!quota.is_exceeded(6500));
        quota.record(5000, 6500);
        assert!(quota.is_exceeded(7999), "6500 bytes in three seconds");
        assert!(quota.is_exceeded(8000), "the first window is over: 5000 in a second and a half");
        assert!(!quota.is_exceeded(9500));
    }

    #[test]
    fn listed_replicas_are_throttled() {
        let quota = ReplicationQuota::default();
        let (topic, listed) = (ByteString::from_static("t"), |text: &str| {
            text.split(',').map(str::to_string).collect::<Vec<_>>()
        });
        let throttled = |quota: &ReplicationQuota| {
            (0..3).map(|p| quota.is_throttled(&TopicPartition::new("t", p))).collect::<Vec<_>>()
        };
        assert_eq!(throttled(&quota), [false; 3]);
        quota.set_throttled(&topic, &listed("0:1, 1:2,2:1"), 1);
        assert_eq!(throttled(&quota), [true, false, true]);
        assert!(!quota.is_throttled(&TopicPartition::new("other", 0)));
        quota.set_throttled(&topic, &listed("*"), 1);
        assert_eq!(throttled(&quota), [true; 3]);
        quota.set_throttled(&topic, &[], 1);
        assert_eq!(throttled(&quota), [false; 3]);
    }
}
