//! Administration: topics, partitions, configurations, log directories.
//!
//! CreateTopics, DeleteTopics and CreatePartitions are served by the controller only, so that a client has one place
//! to ask; all they do is write znodes and wait until this broker sees the effect. Configurations are served by any
//! broker. Left out of all until there is an authorizer: authorization.

pub mod acls;
pub mod alter_client_quotas;
pub mod alter_configs;
pub mod alter_partition_reassignments;
pub mod alter_replica_log_dirs;
pub mod alter_user_scram_credentials;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_topics;
pub mod describe_client_quotas;
pub mod describe_configs;
pub mod describe_log_dirs;
pub mod describe_user_scram_credentials;
pub mod elect_leaders;
pub mod incremental_alter_configs;
pub mod list_partition_reassignments;
pub mod update_features;

use crate::admin::{Admin, AdminError};
use crate::common::{ErrorCode, clock};
use crate::metadata::{ClusterSnapshot, MetadataCache};
use crate::quota::client::{Client, ClientQuotas, MutationQuota};
use bytestring::ByteString;

/// Topics of one request whose znodes are written at the same time, so that ZooKeeper syncs its log once for many.
const TOPICS_AT_ONCE: usize = 64;
/// "No leader" in a partition's metadata.
const NO_LEADER: i32 = -1;

/// What these handlers need of the broker, and what they know about the request besides the message.
#[derive(Clone, Copy)]
pub struct AdminContext<'a> {
    /// Topics and configurations.
    pub admin: &'a Admin,
    /// What the controller said.
    pub metadata: &'a MetadataCache,
    /// True if this broker is the controller.
    pub is_controller: bool,
    /// Version of the request.
    pub version: i16,
    /// What clients may take.
    pub quotas: &'a ClientQuotas,
    /// Who asks.
    pub client: Client<'a>,
}

impl<'a> AdminContext<'a> {
    /// The quota of topic changes (KIP-599), which versions from `strict_version_min` on know to be refused by.
    fn mutations(&self, strict_version_min: i16) -> MutationQuota<'a> {
        MutationQuota::of(&self.quotas.mutations, self.client, self.version >= strict_version_min)
    }
}

/// Code and message of an answer; NONE without message for a success.
fn outcome<T>(result: &Result<T, AdminError>) -> (i16, Option<ByteString>) {
    match result {
        Ok(_) => (ErrorCode::None.code(), None),
        Err(error) => (error.code.code(), error.message.as_deref().map(ByteString::from)),
    }
}

/// Waits until the cluster is as `holds` says. False if it is not so after `timeout_ms`.
async fn wait_until(
    metadata: &MetadataCache,
    timeout_ms: i32,
    holds: impl Fn(&ClusterSnapshot) -> bool,
) -> bool {
    let mut updates = metadata.subscribe();
    let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(i64::from(timeout_ms)));
    loop {
        if holds(&metadata.current()) {
            return true;
        }
        match tokio::time::timeout_at(deadline, updates.changed()).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return holds(&metadata.current()),
        }
    }
}

/// True if every partition of a topic has a leader.
fn has_leaders(cluster: &ClusterSnapshot, topic: &str, partitions: i32) -> bool {
    (0..partitions)
        .all(|p| cluster.partition(topic, p).is_some_and(|partition| partition.leader != NO_LEADER))
}

#[cfg(test)]
mod tests;
