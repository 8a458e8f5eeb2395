//! Finalized features of the cluster (KIP-584), as ApiVersions tells them. Followed in `/feature`, which the controller
//! makes; 2.8.2 knows no feature, but the epoch is told all the same.

use crate::zk::data::FeatureZNode;
use crate::zk::data::feature::FinalizedLevels;
use crate::zk::{ZkClient, paths};
use arc_swap::ArcSwapOption;
use log::{error, warn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const TARGET: &str = "kafka.server.FinalizedFeatureChangeListener";
const RETRY: Duration = Duration::from_millis(500);

/// The features at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finalized {
    /// Version of the znode.
    pub epoch: i64,
    /// By name.
    pub features: BTreeMap<String, FinalizedLevels>,
}

/// Holds what `/feature` said last.
#[derive(Debug, Default)]
pub struct FinalizedFeatures {
    current: ArcSwapOption<Finalized>,
    changed: Notify,
}

impl FinalizedFeatures {
    /// The features; none while feature versioning is off.
    pub fn current(&self) -> Option<Arc<Finalized>> {
        self.current.load_full()
    }

    /// Follows the znode. Never ends.
    pub async fn follow(&self, zk: ZkClient) {
        loop {
            match zk.get_and_watch(paths::FEATURE).await {
                Ok((found, watch)) => {
                    let found = found.map(|(data, stat)| (FeatureZNode::decode(&data), stat.version));
                    self.take(found);
                    watch.changed().await;
                }
                Err(failed) => {
                    warn!(target: TARGET, "Cannot read {}: {failed}", paths::FEATURE);
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn take(&self, found: Option<(Result<FeatureZNode, impl std::fmt::Display>, i32)>) {
        let current = match found {
            Some((Ok(node), version)) if node.enabled => {
                Some(Arc::new(Finalized { epoch: i64::from(version), features: node.features }))
            }
            Some((Err(unreadable), _)) => {
                error!(target: TARGET, "Cannot understand {}: {unreadable}", paths::FEATURE);
                None
            }
            Some((Ok(_), _)) | None => None,
        };
        self.current.store(current);
        self.changed.notify_waiters();
    }

    /// Waits until the node is known as of this version, or a later one. False if it is not at the deadline.
    pub async fn wait_for(&self, epoch: i64, deadline: Instant) -> bool {
        let known = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                // Before the look, so that nothing is missed.
                changed.as_mut().enable();
                if self.current().is_some_and(|current| current.epoch >= epoch) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout_at(deadline.into(), known).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disabled_or_unreadable_node_has_no_features() {
        let features = FinalizedFeatures::default();
        let node = |enabled| FeatureZNode { enabled, features: BTreeMap::new() };
        features.take(Some((Ok::<_, String>(node(true)), 4)));
        assert_eq!(features.current().expect("enabled").epoch, 4);
        features.take(Some((Ok::<_, String>(node(false)), 5)));
        assert_eq!(features.current(), None);
        features.take(Some((Ok::<_, String>(node(true)), 6)));
        features.take(Some((Err("not JSON".to_string()), 7)));
        assert_eq!(features.current(), None);
        features.take(None::<(Result<_, String>, i32)>);
        assert_eq!(features.current(), None);
    }
}
