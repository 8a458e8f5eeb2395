//! The current snapshot, swapped whole: readers never wait.

use super::snapshot::ClusterSnapshot;
use crate::protocol::messages::update_metadata::UpdateMetadataRequest;
use arc_swap::ArcSwap;
use bytestring::ByteString;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

/// Holds what the controller said last.
pub struct MetadataCache {
    current: ArcSwap<ClusterSnapshot>,
    /// Updates come one after the other.
    writer: Mutex<()>,
    version: watch::Sender<u64>,
}

impl Default for MetadataCache {
    fn default() -> Self {
        MetadataCache { current: ArcSwap::default(), writer: Mutex::new(()), version: watch::Sender::new(0) }
    }
}

impl MetadataCache {
    /// The cluster now.
    pub fn current(&self) -> Arc<ClusterSnapshot> {
        self.current.load_full()
    }

    /// False until the controller has spoken for the first time.
    pub fn is_known(&self) -> bool {
        *self.version.borrow() > 0
    }

    /// Applies a request of the controller; gives the names of topics that are gone.
    pub fn update(&self, request: &UpdateMetadataRequest) -> Vec<ByteString> {
        let _guard = self.writer.lock().expect("no panic during an update");
        let (next, removed) = self.current.load().updated(request);
        self.current.store(Arc::new(next));
        self.version.send_modify(|version| *version += 1);
        removed
    }

    /// Tells of every update: for those who wait until a topic has leaders.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::Uuid;
    use crate::protocol::messages::update_metadata::*;

    fn request(topic: &str, leader: i32) -> UpdateMetadataRequest {
        let state = UpdateMetadataPartitionState {
            partition_index: 0,
            leader,
            isr: vec![1],
            replicas: vec![1],
            ..Default::default()
        };
        let topic = UpdateMetadataTopicState {
            topic_name: ByteString::from(topic),
            topic_id: Uuid([1; 16]),
            partition_states: vec![state],
            ..Default::default()
        };
        UpdateMetadataRequest { controller_id: 1, topic_states: vec![topic], ..Default::default() }
    }

    #[test]
    fn partitions_merge_and_go() {
        let cache = MetadataCache::default();
        let before = cache.current();
        assert!(cache.update(&request("a", 1)).is_empty());
        assert!(cache.update(&request("b", 1)).is_empty());
        assert!(before.topics.is_empty(), "a snapshot does not change");
        assert_eq!(cache.current().topics.len(), 2);
        assert_eq!(cache.current().partition("a", 0).map(|p| p.leader), Some(1));
        assert_eq!(cache.update(&request("a", -2)), ["a"]);
        assert!(cache.current().topic("a").is_none());
        assert_eq!(cache.current().topic_by_id(Uuid([1; 16])).map(|(n, _)| n.to_string()), Some("b".into()));
    }
}
