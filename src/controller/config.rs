//! What the controller needs of the configuration, and the versions of its requests.

use crate::common::BrokerId;
use crate::config::BrokerConfig;
use bytestring::ByteString;

/// Versions of the controller's requests.
///
/// Inter-broker requests are not negotiated: `inter.broker.protocol.version` of the sender decides
/// (`ControllerChannelManager.scala`). This is the only place that does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ControlVersions {
    /// LeaderAndIsr, 0 to 5.
    pub leader_and_isr: i16,
    /// UpdateMetadata, 0 to 7.
    pub update_metadata: i16,
    /// StopReplica, 0 to 3.
    pub stop_replica: i16,
}

impl ControlVersions {
    /// LeaderAndIsr groups partitions by topic.
    pub fn leader_and_isr_by_topic(self) -> bool {
        self.leader_and_isr >= 2
    }

    /// UpdateMetadata groups partitions by topic.
    pub fn update_metadata_by_topic(self) -> bool {
        self.update_metadata >= 5
    }

    /// UpdateMetadata has room for one plaintext address per broker only.
    pub fn update_metadata_has_one_address(self) -> bool {
        self.update_metadata == 0
    }

    /// StopReplica groups partitions by topic.
    pub fn stop_replica_by_topic(self) -> bool {
        self.stop_replica >= 1
    }

    /// StopReplica says per partition whether to delete it.
    pub fn stop_replica_per_partition(self) -> bool {
        self.stop_replica >= 3
    }
}

/// The controller's part of the configuration.
#[derive(Clone, Debug)]
pub struct ControllerConfig {
    /// `broker.id`.
    pub broker_id: BrokerId,
    /// Versions of the requests to brokers.
    pub versions: ControlVersions,
    /// Topics get ids (from `inter.broker.protocol.version` 2.8-IV0).
    pub uses_topic_ids: bool,
    /// Leaders change ISRs through the controller (from `inter.broker.protocol.version` 2.7-IV2).
    pub uses_alter_isr: bool,
    /// `/feature` is enabled (from `inter.broker.protocol.version` 2.7-IV0).
    pub feature_versioning: bool,
    /// `inter.broker.listener.name`, or the listener that `security.inter.broker.protocol` implies.
    pub inter_broker_listener: ByteString,
    /// `delete.topic.enable`.
    pub delete_topic_enable: bool,
    /// `unclean.leader.election.enable`, for topics without their own.
    pub unclean_leader_election_enable: bool,
    /// `auto.leader.rebalance.enable`.
    pub auto_leader_rebalance_enable: bool,
    /// `leader.imbalance.check.interval.seconds`, in milliseconds.
    pub leader_imbalance_check_interval_ms: i64,
    /// `leader.imbalance.per.broker.percentage`.
    pub leader_imbalance_per_broker_percentage: i32,
}

impl ControllerConfig {
    /// Takes the controller's part out of a broker's configuration.
    pub fn new(config: &BrokerConfig) -> Self {
        let version = config.inter_broker_protocol_version;
        ControllerConfig {
            broker_id: config.broker_id,
            versions: ControlVersions {
                leader_and_isr: version.leader_and_isr_version(),
                update_metadata: version.update_metadata_version(),
                stop_replica: version.stop_replica_version(),
            },
            uses_topic_ids: version.has_topic_ids(),
            uses_alter_isr: version.has_alter_isr(),
            feature_versioning: version.has_feature_versioning(),
            inter_broker_listener: config.inter_broker_listener_name.clone().into(),
            delete_topic_enable: config.delete_topic_enable,
            unclean_leader_election_enable: config.unclean_leader_election_enable,
            auto_leader_rebalance_enable: config.auto_leader_rebalance_enable,
            leader_imbalance_check_interval_ms: config.leader_imbalance_check_interval_seconds * 1_000,
            leader_imbalance_per_broker_percentage: config.leader_imbalance_per_broker_percentage,
        }
    }
}
