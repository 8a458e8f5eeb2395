//! Parents of sequential nodes that tell all brokers "read that again": configuration, ACL and token changes. Kafka's
//! `ZkNodeChangeNotificationListener`.
//!
//! Each broker remembers the highest number it has seen and takes what is above it. Nodes older than 15 minutes are
//! deleted by whoever sees them, so a broker that starts must also read all entities once.

use super::client::ZkClient;
use super::error::ZkError;
use super::paths::sequence_number;
use super::types::{ANY_VERSION, CreateMode, Watch};
use bytes::Bytes;
use std::collections::BTreeMap;

/// Logger of notifications.
pub(super) const LOG: &str = "kafka.common.ZkNodeChangeNotificationListener";
/// Age at which a notification is deleted.
pub const EXPIRATION_MS: i64 = 15 * 60 * 1000;

/// A notification not seen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its number.
    pub sequence: i64,
    /// Its data.
    pub data: Bytes,
}

/// Follows the notifications below one node.
pub struct NotificationListener {
    parent: &'static str,
    prefix: &'static str,
    last_seen: i64,
    /// Times of creation by the server's clock, of what is not deleted yet.
    created_ms: BTreeMap<i64, i64>,
}

/// What to do with a list of children.
#[derive(Debug, PartialEq, Eq, Default)]
struct Plan {
    /// To read: numbers above the last seen, and those whose age is unknown.
    read: Vec<i64>,
    /// To delete.
    expired: Vec<i64>,
}

impl NotificationListener {
    /// Listens to the children `prefix...` of `parent`.
    pub fn new(parent: &'static str, prefix: &'static str) -> NotificationListener {
        NotificationListener { parent, prefix, last_seen: -1, created_ms: BTreeMap::new() }
    }

    /// What is new, in order, and a watch on what comes: when it fires (also with a reset), call again. Deletes what
    /// is too old.
    ///
    /// # Errors
    /// Nothing counts as seen if it fails.
    pub async fn read_new(
        &mut self,
        client: &ZkClient,
        now_ms: i64,
    ) -> Result<(Vec<Notification>, Watch), ZkError> {
        let (names, watch) = client.children_and_watch(self.parent).await?;
        let present = self.numbers(&names);
        let plan = self.plan(&present, now_ms);
        let path = |number: &i64| format!("{}/{}", self.parent, present[number]);
        let found = client.get_many(plan.read.iter().map(path).collect()).await?;
        let mut new = Vec::new();
        for (sequence, found) in plan.read.into_iter().zip(found) {
            // One that is gone has expired by another's clock; whoever missed it reads all entities.
            let Some((data, stat)) = found else { continue };
            self.created_ms.insert(sequence, stat.ctime_ms);
            if sequence > self.last_seen {
                new.push(Notification { sequence, data });
            }
        }
        self.created_ms.retain(|number, _| present.contains_key(number));
        let expired = self.plan(&present, now_ms).expired;
        for number in expired {
            let path = format!("{}/{}", self.parent, present[&number]);
            log::debug!(target: LOG, "Purging change notification {path}");
            match client.delete(&path, ANY_VERSION).await {
                // Every broker does this.
                Ok(()) | Err(ZkError::NoNode { .. }) => {}
                Err(error) => log::warn!(target: LOG, "cannot delete {path}: {error}"),
            }
        }
        self.last_seen = present.keys().next_back().map_or(self.last_seen, |last| self.last_seen.max(*last));
        Ok((new, watch))
    }

    fn numbers(&self, names: &[String]) -> BTreeMap<i64, String> {
        let number = |name: &String| match sequence_number(name, self.prefix) {
            Some(number) => Some((number, name.clone())),
            None => {
                log::warn!(target: LOG, "{}/{name} is not a notification", self.parent);
                None
            }
        };
        names.iter().filter_map(number).collect()
    }

    fn plan(&self, present: &BTreeMap<i64, String>, now_ms: i64) -> Plan {
        let mut plan = Plan::default();
        for number in present.keys() {
            match self.created_ms.get(number) {
                Some(created_ms) if now_ms.saturating_sub(*created_ms) > EXPIRATION_MS => {
                    plan.expired.push(*number);
                }
                Some(_) => {}
                None => plan.read.push(*number),
            }
        }
        plan
    }
}

/// Sends a notification; `prefix_path` as [`super::paths::config_change`] gives it.
pub async fn notify(client: &ZkClient, prefix_path: &str, data: Bytes) -> Result<(), ZkError> {
    client.create_with_parents(prefix_path, data, CreateMode::PersistentSequential).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;
    use crate::zk::paths;
    use crate::zk::types::WatchKind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    fn listener() -> NotificationListener {
        NotificationListener::new(paths::CONFIG_CHANGES, paths::CONFIG_CHANGE_PREFIX)
    }

    fn texts(new: &[Notification]) -> Vec<String> {
        new.iter().map(|n| format!("{} {}", n.sequence, String::from_utf8_lossy(&n.data))).collect()
    }

    #[tokio::test]
    async fn each_notification_is_seen_once_and_in_order() {
        let now = Arc::new(AtomicI64::new(1_000_000));
        let clock = now.clone();
        let zookeeper = MemoryZooKeeper::with_clock(Arc::new(move || clock.load(Ordering::Relaxed)));
        let client = zookeeper.connect();
        let mut listener = listener();
        let (new, watch) = listener.read_new(&client, 0).await.unwrap();
        assert!(new.is_empty());
        for data in ["a", "b"] {
            notify(&client, &paths::config_change(), data.into()).await.unwrap();
        }
        // The parent did not exist.
        assert_eq!(watch.changed().await.kind, WatchKind::Created);
        let (new, watch) = listener.read_new(&client, 1_000_000).await.unwrap();
        assert_eq!(texts(&new), ["0 a", "1 b"]);
        client.create("/config/changes/stranger", "", CreateMode::Persistent).await.unwrap();
        assert_eq!(watch.changed().await.kind, WatchKind::ChildrenChanged);
        now.fetch_add(EXPIRATION_MS, Ordering::Relaxed);
        notify(&client, &paths::config_change(), "c".into()).await.unwrap();
        let (new, _) = listener.read_new(&client, 1_000_000 + EXPIRATION_MS).await.unwrap();
        assert_eq!(texts(&new), ["3 c"], "the stranger has number 2");
        assert_eq!(client.children("/config/changes").await.unwrap().len(), 4);
        let (new, _) = listener.read_new(&client, 1_000_000 + EXPIRATION_MS + 1).await.unwrap();
        assert!(new.is_empty());
        let mut left = client.children("/config/changes").await.unwrap();
        left.sort();
        assert_eq!(left, ["config_change_0000000003", "stranger"]);
        // A broker that starts sees what is left.
        let (new, _) = self::listener().read_new(&client, 0).await.unwrap();
        assert_eq!(texts(&new), ["3 c"]);
    }

    #[tokio::test]
    async fn a_new_session_resets_the_watch_and_nothing_is_missed() {
        let zookeeper = MemoryZooKeeper::new();
        let (client, other) = (zookeeper.connect(), zookeeper.connect());
        client.ensure_path(paths::CONFIG_CHANGES).await.unwrap();
        let mut listener = listener();
        let (_, watch) = listener.read_new(&client, 0).await.unwrap();
        zookeeper.disconnect(client.session_id());
        notify(&other, &paths::config_change(), "a".into()).await.unwrap();
        zookeeper.resume(client.session_id());
        watch.changed().await;
        let (new, _) = listener.read_new(&client, 0).await.unwrap();
        assert_eq!(texts(&new), ["0 a"]);
    }

    #[test]
    fn ages_are_read_once() {
        let mut listener = listener();
        listener.created_ms = BTreeMap::from([(1, 0), (2, 100)]);
        let present = (1..4).map(|n| (n, n.to_string())).collect();
        let plan = listener.plan(&present, EXPIRATION_MS + 1);
        assert_eq!(plan, Plan { read: vec![3], expired: vec![1] });
    }
}
