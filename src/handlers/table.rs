//! The list of APIs that this broker serves. What is not here is neither advertised nor answered.

use super::dispatch::{Broker, Call, answer, answer_later, dispatch_with};
use super::{admin, client, groups, inter_broker};
use crate::network::Dispatch;
use crate::protocol::{ApiKey, Reader};
use std::sync::Arc;

/// Decodes the body and dispatches the request.
pub type Handle = fn(&Arc<Broker>, Call, &mut Reader) -> Dispatch;

/// One API.
pub struct Api {
    /// Its key.
    pub key: ApiKey,
    /// Oldest version served.
    pub min_version: i16,
    /// Newest version served.
    pub max_version: i16,
    /// What serves it.
    pub handle: Handle,
}

const fn api(key: ApiKey, max_version: i16, handle: Handle) -> Api {
    Api { key, min_version: 0, max_version, handle }
}

/// An entry whose handler takes an [`admin::AdminContext`]. A macro, because the context borrows from what the future
/// owns.
macro_rules! administration {
    ($key:ident, $max_version:literal, $handler:ident) => {
        api(ApiKey::$key, $max_version, |b, c, r| {
            let handle = |b: Arc<Broker>, c: Call, q| async move {
                admin::$handler::handle(b.admin_context(&c), q).await
            };
            answer_later(b, c, r, handle)
        })
    };
}

/// All of them, by key.
pub const TABLE: &[Api] = &[
    api(ApiKey::Produce, 9, |b, c, r| dispatch_with(b, c, r, client::produce::handle)),
    api(ApiKey::Fetch, 12, |b, c, r| dispatch_with(b, c, r, client::fetch::handle)),
    api(ApiKey::ListOffsets, 6, |b, c, r| answer(b, c, r, client::list_offsets::handle)),
    api(ApiKey::Metadata, 11, |b, c, r| dispatch_with(b, c, r, client::metadata::handle)),
    api(ApiKey::LeaderAndIsr, 5, |b, c, r| answer_later(b, c, r, inter_broker::leader_and_isr::handle)),
    api(ApiKey::StopReplica, 3, |b, c, r| answer_later(b, c, r, inter_broker::stop_replica::handle)),
    api(ApiKey::UpdateMetadata, 7, |b, c, r| answer_later(b, c, r, inter_broker::update_metadata::handle)),
    api(ApiKey::ControlledShutdown, 3, |b, c, r| {
        answer_later(b, c, r, |b, _, q| inter_broker::controlled_shutdown::apply(b, q))
    }),
    api(ApiKey::OffsetCommit, 8, |b, c, r| dispatch_with(b, c, r, groups::offset_commit::handle)),
    api(ApiKey::OffsetFetch, 7, |b, c, r| dispatch_with(b, c, r, groups::offset_fetch::handle)),
    api(ApiKey::FindCoordinator, 3, |b, c, r| dispatch_with(b, c, r, groups::find_coordinator::handle)),
    api(ApiKey::JoinGroup, 7, |b, c, r| dispatch_with(b, c, r, groups::join_group::handle)),
    api(ApiKey::Heartbeat, 4, |b, c, r| dispatch_with(b, c, r, groups::heartbeat::handle)),
    api(ApiKey::LeaveGroup, 4, |b, c, r| dispatch_with(b, c, r, groups::leave_group::handle)),
    api(ApiKey::SyncGroup, 5, |b, c, r| dispatch_with(b, c, r, groups::sync_group::handle)),
    api(ApiKey::DescribeGroups, 5, |b, c, r| answer_later(b, c, r, groups::describe_groups::handle)),
    api(ApiKey::ListGroups, 4, |b, c, r| answer_later(b, c, r, groups::list_groups::handle)),
    api(ApiKey::ApiVersions, 3, |b, c, r| answer(b, c, r, client::api_versions::handle)),
    administration!(CreateTopics, 7, create_topics),
    administration!(DeleteTopics, 6, delete_topics),
    api(ApiKey::DeleteRecords, 2, |b, c, r| answer_later(b, c, r, client::delete_records::handle)),
    api(ApiKey::InitProducerId, 4, |b, c, r| answer_later(b, c, r, client::init_producer_id::handle)),
    api(ApiKey::OffsetForLeaderEpoch, 4, |b, c, r| answer(b, c, r, client::offset_for_leader_epoch::handle)),
    api(ApiKey::AddPartitionsToTxn, 3, |b, c, r| answer_later(b, c, r, client::transactions::add_partitions)),
    api(ApiKey::AddOffsetsToTxn, 3, |b, c, r| answer_later(b, c, r, client::transactions::add_offsets)),
    api(ApiKey::EndTxn, 3, |b, c, r| answer_later(b, c, r, client::transactions::end)),
    api(ApiKey::WriteTxnMarkers, 1, |b, c, r| answer_later(b, c, r, inter_broker::write_txn_markers::handle)),
    api(ApiKey::TxnOffsetCommit, 3, |b, c, r| dispatch_with(b, c, r, groups::txn_offset_commit::handle)),
    api(ApiKey::DescribeAcls, 2, |b, c, r| answer(b, c, r, |_, _, q| admin::acls::describe(&q))),
    api(ApiKey::CreateAcls, 2, |b, c, r| answer(b, c, r, |_, _, q| admin::acls::create(&q))),
    api(ApiKey::DeleteAcls, 2, |b, c, r| answer(b, c, r, |_, _, q| admin::acls::delete(&q))),
    administration!(DescribeConfigs, 4, describe_configs),
    administration!(AlterConfigs, 2, alter_configs),
    api(ApiKey::AlterReplicaLogDirs, 2, |b, c, r| {
        answer_later(b, c, r, |b, _, q| admin::alter_replica_log_dirs::handle(b, q))
    }),
    api(ApiKey::DescribeLogDirs, 2, |b, c, r| {
        answer(b, c, r, |b, _, q| admin::describe_log_dirs::handle(b.log_dirs(), &q))
    }),
    administration!(CreatePartitions, 3, create_partitions),
    api(ApiKey::DeleteGroups, 2, |b, c, r| answer_later(b, c, r, groups::delete_groups::handle)),
    api(ApiKey::ElectLeaders, 2, |b, c, r| {
        answer_later(b, c, r, |b, _, q| admin::elect_leaders::handle(b, q))
    }),
    administration!(IncrementalAlterConfigs, 1, incremental_alter_configs),
    api(ApiKey::AlterPartitionReassignments, 0, |b, c, r| {
        answer_later(b, c, r, |b, _, q| admin::alter_partition_reassignments::handle(b, q))
    }),
    api(ApiKey::ListPartitionReassignments, 0, |b, c, r| {
        answer_later(b, c, r, |b, _, q| admin::list_partition_reassignments::handle(b, q))
    }),
    api(ApiKey::OffsetDelete, 0, |b, c, r| answer_later(b, c, r, groups::offset_delete::handle)),
    administration!(DescribeClientQuotas, 1, describe_client_quotas),
    administration!(AlterClientQuotas, 1, alter_client_quotas),
    administration!(DescribeUserScramCredentials, 0, describe_user_scram_credentials),
    administration!(AlterUserScramCredentials, 0, alter_user_scram_credentials),
    api(ApiKey::AlterIsr, 0, |b, c, r| answer_later(b, c, r, |b, _, q| inter_broker::alter_isr::apply(b, q))),
    api(ApiKey::UpdateFeatures, 0, |b, c, r| {
        answer_later(b, c, r, |b, _, q| admin::update_features::handle(b, q))
    }),
    api(ApiKey::DescribeCluster, 0, |b, c, r| answer(b, c, r, client::describe_cluster::handle)),
    api(ApiKey::DescribeProducers, 0, |b, c, r| answer(b, c, r, client::describe_producers::handle)),
];

/// The entry of a key.
pub fn find(key: ApiKey) -> Option<&'static Api> {
    TABLE.iter().find(|api| api.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_ascend_and_versions_exist() {
        for pair in TABLE.windows(2) {
            assert!((pair[0].key as i16) < (pair[1].key as i16), "{} is out of order", pair[1].key.name());
        }
        for api in TABLE {
            assert_eq!(api.max_version, api.key.max_version(), "{}", api.key.name());
        }
    }
}
