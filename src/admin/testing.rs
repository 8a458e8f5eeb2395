//! A small cluster for the tests of this floor and of the handlers.

use super::Admin;
use crate::config::{BrokerConfig, Properties};
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::update_metadata::{
    UpdateMetadataBroker, UpdateMetadataPartitionState, UpdateMetadataRequest, UpdateMetadataTopicState,
};
use crate::zk::ZkClient;
use bytestring::ByteString;
use std::sync::Arc;

/// Broker 1 with these lines in its file.
pub(crate) fn admin(zk: ZkClient, lines: &str) -> Admin {
    let text = format!("broker.id=1\nzookeeper.connect=zk:2181\n{lines}");
    let properties = Properties::parse(&text).expect("well formed");
    Admin::new(zk, Arc::new(BrokerConfig::from_properties(&properties).expect("valid").0))
}

/// What the controller says of live brokers and of topics with one partition each, led by `leader`.
pub(crate) fn update(brokers: &[i32], topics: &[&str], leader: i32) -> UpdateMetadataRequest {
    let partition =
        UpdateMetadataPartitionState { leader, isr: vec![1], replicas: vec![1], ..Default::default() };
    let topic = |name: &&str| UpdateMetadataTopicState {
        topic_name: ByteString::from(*name),
        partition_states: vec![partition.clone()],
        ..Default::default()
    };
    UpdateMetadataRequest {
        controller_id: 1,
        live_brokers: brokers
            .iter()
            .map(|id| UpdateMetadataBroker { id: *id, ..Default::default() })
            .collect(),
        topic_states: topics.iter().map(topic).collect(),
        ..Default::default()
    }
}

/// The cluster after [`update`].
pub(crate) fn cluster(brokers: &[i32], topics: &[&str]) -> ClusterSnapshot {
    ClusterSnapshot::default().updated(&update(brokers, topics, 1)).0
}
