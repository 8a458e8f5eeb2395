//! Who may write the offsets of a group: the leader of the group's partition of `__consumer_offsets`, in its epoch.
//!
//! A leader that was replaced, and does not know it yet, must not write a number over its successor's. So every
//! transaction with its commits checks the version of the partition's state node. The successor does not begin before
//! that node names its epoch, so whatever the one before has not written by then fails.
//!
//! ISRs change that version, too. A check that fails therefore only says: look again. As long as the node names our
//! epoch, the new version is as good as the one before; with another epoch, or none, the fence is down for good. The
//! version is remembered, so that in the steady state a fence costs one more operation in a transaction, and no trip.
//!
//! What this cannot tell apart is a topic that was deleted and created again under the same epoch and version.

use super::super::client::ZkClient;
use super::super::data::{NodeError, PartitionState};
use super::super::error::ZkError;
use super::super::paths;
use super::super::types::Op;
use crate::common::LeaderEpoch;
use crate::common::topic_name::GROUP_METADATA_TOPIC;
use log::warn;
use std::collections::HashMap;
use std::fmt;
use std::sync::Mutex;

/// How often one piece of work looks again because the node's version has changed.
pub(super) const LOOKS_MAX: usize = 8;

/// A leader of a partition of `__consumer_offsets`, in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence {
    /// Of `__consumer_offsets`.
    pub partition: i32,
    /// In which the writer leads it.
    pub leader_epoch: LeaderEpoch,
}

/// Why offsets were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteError {
    /// Another leader, or none, has followed: the writer is not the group's coordinator any more.
    Fenced,
    /// ZooKeeper's.
    Zk(ZkError),
}

impl From<ZkError> for WriteError {
    fn from(error: ZkError) -> WriteError {
        WriteError::Zk(error)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteError::Fenced => {
                f.write_str("another broker leads the group's partition of __consumer_offsets")
            }
            WriteError::Zk(error) => error.fmt(f),
        }
    }
}

/// The check that goes with one transaction of `fence`, read now.
pub async fn current_check(zk: &ZkClient, fence: Fence) -> Result<Op, WriteError> {
    let path = paths::partition_state(GROUP_METADATA_TOPIC, fence.partition);
    // What the leader knows from the controller, the server that answers us may not know yet.
    zk.sync().await?;
    let Some((data, stat)) = zk.get(&path).await? else { return Err(WriteError::Fenced) };
    match PartitionState::decode(&data) {
        Ok(state) if state.leader_epoch == fence.leader_epoch => Ok(Op::check(path, stat.version)),
        Ok(_) => Err(WriteError::Fenced),
        Err(error) => {
            warn!(target: super::super::LOG, "{path} cannot be read: {}", NodeError::Data(error));
            Err(WriteError::Fenced)
        }
    }
}

/// The checks of all fences of this broker, as they were last.
#[derive(Default)]
pub struct Fences {
    /// By partition: of one epoch.
    known: Mutex<HashMap<i32, (LeaderEpoch, Op)>>,
}

impl Fences {
    /// The check for `fence`, from memory if it is known.
    pub(super) async fn check(&self, zk: &ZkClient, fence: Fence) -> Result<Op, WriteError> {
        let known = self.lock().get(&fence.partition).cloned();
        if let Some((epoch, check)) = known
            && epoch == fence.leader_epoch
        {
            return Ok(check);
        }
        let check = current_check(zk, fence).await?;
        self.lock().insert(fence.partition, (fence.leader_epoch, check.clone()));
        Ok(check)
    }

    /// The same as a list of checks; none without a fence.
    pub(super) async fn checks(&self, zk: &ZkClient, fence: Option<Fence>) -> Result<Vec<Op>, WriteError> {
        match fence {
            Some(fence) => Ok(vec![self.check(zk, fence).await?]),
            None => Ok(Vec::new()),
        }
    }

    /// True if `error` says that one of the first operations, the `checks`, has failed: those are forgotten then, and
    /// it is worth while to look again.
    pub(super) fn is_stale(&self, checks: &[Op], error: &ZkError) -> bool {
        let Some(failed) = error.failed_index().and_then(|index| checks.get(index)) else { return false };
        self.lock().retain(|_, (_, check)| check != failed);
        error.is_bad_version() || error.is_no_node()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<i32, (LeaderEpoch, Op)>> {
        self.known.lock().expect("no panic while the fences are locked")
    }
}
