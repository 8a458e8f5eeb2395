//! The list of all APIs.

use super::{ApiRequest, Message};
use std::fmt;

/// Hands the list of all APIs to the macro `callback`, as `Name = key, module::{Request, Response};` rows in
/// ascending order, modules being those of [`crate::protocol::messages`]. Everything that exists once per API
/// comes from this list.
///
/// Kafka's keys 52 to 55, 58, 59 and from 62 on belong to KRaft and are not served with ZooKeeper.
#[macro_export]
macro_rules! for_each_api {
    ($callback:ident) => {
        $callback! {
            Produce = 0, produce::{ProduceRequest, ProduceResponse};
            Fetch = 1, fetch::{FetchRequest, FetchResponse};
            ListOffsets = 2, list_offsets::{ListOffsetsRequest, ListOffsetsResponse};
            Metadata = 3, metadata::{MetadataRequest, MetadataResponse};
            LeaderAndIsr = 4, leader_and_isr::{LeaderAndIsrRequest, LeaderAndIsrResponse};
            StopReplica = 5, stop_replica::{StopReplicaRequest, StopReplicaResponse};
            UpdateMetadata = 6, update_metadata::{UpdateMetadataRequest, UpdateMetadataResponse};
            ControlledShutdown = 7, controlled_shutdown::{ControlledShutdownRequest, ControlledShutdownResponse};
            OffsetCommit = 8, offset_commit::{OffsetCommitRequest, OffsetCommitResponse};
            OffsetFetch = 9, offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
            FindCoordinator = 10, find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
            JoinGroup = 11, join_group::{JoinGroupRequest, JoinGroupResponse};
            Heartbeat = 12, heartbeat::{HeartbeatRequest, HeartbeatResponse};
            LeaveGroup = 13, leave_group::{LeaveGroupRequest, LeaveGroupResponse};
            SyncGroup = 14, sync_group::{SyncGroupRequest, SyncGroupResponse};
            DescribeGroups = 15, describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
            ListGroups = 16, list_groups::{ListGroupsRequest, ListGroupsResponse};
            SaslHandshake = 17, sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
            ApiVersions = 18, api_versions::{ApiVersionsRequest, ApiVersionsResponse};
            CreateTopics = 19, create_topics::{CreateTopicsRequest, CreateTopicsResponse};
            DeleteTopics = 20, delete_topics::{DeleteTopicsRequest, DeleteTopicsResponse};
            DeleteRecords = 21, delete_records::{DeleteRecordsRequest, DeleteRecordsResponse};
            InitProducerId = 22, init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
            OffsetForLeaderEpoch = 23, offset_for_leader_epoch::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};
            AddPartitionsToTxn = 24, add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};
            AddOffsetsToTxn = 25, add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
            EndTxn = 26, end_txn::{EndTxnRequest, EndTxnResponse};
            WriteTxnMarkers = 27, write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
            TxnOffsetCommit = 28, txn_offset_commit::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};
            DescribeAcls = 29, describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
            CreateAcls = 30, create_acls::{CreateAclsRequest, CreateAclsResponse};
            DeleteAcls = 31, delete_acls::{DeleteAclsRequest, DeleteAclsResponse};
            DescribeConfigs = 32, describe_configs::{DescribeConfigsRequest, DescribeConfigsResponse};
            AlterConfigs = 33, alter_configs::{AlterConfigsRequest, AlterConfigsResponse};
            AlterReplicaLogDirs = 34, alter_replica_log_dirs::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};
            DescribeLogDirs = 35, describe_log_dirs::{DescribeLogDirsRequest, DescribeLogDirsResponse};
            SaslAuthenticate = 36, sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
            CreatePartitions = 37, create_partitions::{CreatePartitionsRequest, CreatePartitionsResponse};
            CreateDelegationToken = 38, create_delegation_token::{CreateDelegationTokenRequest, CreateDelegationTokenResponse};
            RenewDelegationToken = 39, renew_delegation_token::{RenewDelegationTokenRequest, RenewDelegationTokenResponse};
            ExpireDelegationToken = 40, expire_delegation_token::{ExpireDelegationTokenRequest, ExpireDelegationTokenResponse};
            DescribeDelegationToken = 41, describe_delegation_token::{DescribeDelegationTokenRequest, DescribeDelegationTokenResponse};
            DeleteGroups = 42, delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
            ElectLeaders = 43, elect_leaders::{ElectLeadersRequest, ElectLeadersResponse};
            IncrementalAlterConfigs = 44, incremental_alter_configs::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};
            AlterPartitionReassignments = 45, alter_partition_reassignments::{AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse};
            ListPartitionReassignments = 46, list_partition_reassignments::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse};
            OffsetDelete = 47, offset_delete::{OffsetDeleteRequest, OffsetDeleteResponse};
            DescribeClientQuotas = 48, describe_client_quotas::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};
            AlterClientQuotas = 49, alter_client_quotas::{AlterClientQuotasRequest, AlterClientQuotasResponse};
            DescribeUserScramCredentials = 50, describe_user_scram_credentials::{DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse};
            AlterUserScramCredentials = 51, alter_user_scram_credentials::{AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse};
            AlterIsr = 56, alter_isr::{AlterIsrRequest, AlterIsrResponse};
            UpdateFeatures = 57, update_features::{UpdateFeaturesRequest, UpdateFeaturesResponse};
            DescribeCluster = 60, describe_cluster::{DescribeClusterRequest, DescribeClusterResponse};
            DescribeProducers = 61, describe_producers::{DescribeProducersRequest, DescribeProducersResponse};
        }
    };
}

macro_rules! api_keys {
    ($($name:ident = $key:literal, $module:ident::{$request:ident, $response:ident};)*) => {
        /// A kind of request.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("See [`crate::protocol::messages::", stringify!($module), "`].")]
                $name = $key,
            )*
        }

        impl ApiKey {
            /// Every key, ascending.
            pub const ALL: &[ApiKey] = &[$(ApiKey::$name),*];

            /// The API of a number on the wire, if it is served.
            pub fn from_i16(key: i16) -> Option<ApiKey> {
                match key {
                    $($key => Some(ApiKey::$name),)*
                    _ => None,
                }
            }

            /// The name in Kafka's documentation, metrics and tools: `LeaderAndIsr`.
            pub fn name(self) -> &'static str {
                match self {
                    $(ApiKey::$name => stringify!($name),)*
                }
            }

            /// The oldest version served.
            pub fn min_version(self) -> i16 {
                *self.versions().start()
            }

            /// The newest version served, which is Kafka 2.8.2's.
            pub fn max_version(self) -> i16 {
                *self.versions().end()
            }

            /// The versions served.
            pub fn versions(self) -> std::ops::RangeInclusive<i16> {
                match self {
                    $(ApiKey::$name => super::messages::$module::$request::VERSIONS,)*
                }
            }

            /// The first version with compact lengths and tags (KIP-482); `i16::MAX`: none.
            #[inline]
            pub fn first_flexible_version(self) -> i16 {
                match self {
                    $(ApiKey::$name => super::messages::$module::$request::FIRST_FLEXIBLE_VERSION,)*
                }
            }
        }

        $(
            impl ApiRequest for super::messages::$module::$request {
                const KEY: ApiKey = ApiKey::$name;
                type Response = super::messages::$module::$response;
            }
        )*

        // A request and its response have the same versions and become flexible together.
        $(
            const _: () = {
                use super::messages::$module::{$request, $response};
                assert!(*$request::VERSIONS.start() == *$response::VERSIONS.start());
                assert!(*$request::VERSIONS.end() == *$response::VERSIONS.end());
                assert!($request::FIRST_FLEXIBLE_VERSION == $response::FIRST_FLEXIBLE_VERSION);
            };
        )*
    };
}

for_each_api!(api_keys);

/// The name in Kafka's logs: `LEADER_AND_ISR`.
impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, c) in self.name().char_indices() {
            if at > 0 && c.is_ascii_uppercase() {
                f.write_str("_")?;
            }
            write!(f, "{}", c.to_ascii_uppercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_map_back() {
        for &key in ApiKey::ALL {
            assert_eq!(ApiKey::from_i16(key as i16), Some(key));
            assert_eq!(key.min_version(), 0);
        }
        assert_eq!(ApiKey::ALL.len(), 56);
        for absent in [-1, 52, 55, 58, 59, 62, 64, 999] {
            assert_eq!(ApiKey::from_i16(absent), None);
        }
    }

    #[test]
    fn names_are_kafkas() {
        assert_eq!(ApiKey::LeaderAndIsr.name(), "LeaderAndIsr");
        assert_eq!(ApiKey::LeaderAndIsr.to_string(), "LEADER_AND_ISR");
        assert_eq!(ApiKey::AddOffsetsToTxn.to_string(), "ADD_OFFSETS_TO_TXN");
    }
}
