//! Collects what brokers are to be told, and makes one request of a kind per broker of it.
//!
//! The batch remembers names only; states are taken from the context when it is flushed, so that every
//! broker gets the newest. Per broker the order is LeaderAndIsr, UpdateMetadata, StopReplica; every
//! LeaderAndIsr entry also tells all brokers of that partition.
//!
//! Source: `ControllerBrokerRequestBatch` in `ControllerChannelManager.scala`.

use super::config::{ControlVersions, ControllerConfig};
use super::context::{Broker, Context, Partition};
use super::effect::{ControlBody, ControlRequest, Effect};
use super::logging::{Listed, state_change_log};
use crate::common::{BrokerId, ControllerEpoch, TopicPartition, Uuid};
use crate::protocol::messages::leader_and_isr::{
    LeaderAndIsrLiveLeader, LeaderAndIsrPartitionState, LeaderAndIsrRequest, LeaderAndIsrTopicState,
};
use crate::protocol::messages::stop_replica::{
    StopReplicaPartitionState, StopReplicaPartitionV0, StopReplicaRequest, StopReplicaTopicState,
    StopReplicaTopicV1,
};
use crate::protocol::messages::update_metadata::{
    UpdateMetadataBroker, UpdateMetadataEndpoint, UpdateMetadataPartitionState, UpdateMetadataRequest,
    UpdateMetadataTopicState,
};
use bytestring::ByteString;
use std::collections::{BTreeMap, BTreeSet};

/// In place of the leader in UpdateMetadata: the partition is being deleted.
const LEADER_DURING_DELETE: BrokerId = -2;
/// In place of the leader epoch in StopReplica: the topic is being deleted, so whatever you have is older.
const EPOCH_DURING_DELETE: i32 = -2;
/// The partition never had a leader.
const NO_EPOCH: i32 = -1;
/// Leader epoch and znode version in UpdateMetadata of a partition that is being deleted.
const METADATA_DURING_DELETE: i32 = 0;

/// What waits to be sent.
pub struct RequestBatch {
    controller_id: BrokerId,
    versions: ControlVersions,
    inter_broker_listener: ByteString,
    /// With the flag "is new": the replica may be created also if a log directory is offline.
    leader_and_isr: BTreeMap<BrokerId, BTreeMap<TopicPartition, bool>>,
    /// With the flag "delete".
    stop_replica: BTreeMap<BrokerId, BTreeMap<TopicPartition, bool>>,
    update_metadata_brokers: BTreeSet<BrokerId>,
    update_metadata_all: bool,
    update_metadata_partitions: BTreeSet<TopicPartition>,
}

/// Collecting.
impl RequestBatch {
    /// An empty batch.
    pub fn new(config: &ControllerConfig) -> Self {
        RequestBatch {
            controller_id: config.broker_id,
            versions: config.versions,
            inter_broker_listener: config.inter_broker_listener.clone(),
            leader_and_isr: BTreeMap::new(),
            stop_replica: BTreeMap::new(),
            update_metadata_brokers: BTreeSet::new(),
            update_metadata_all: false,
            update_metadata_partitions: BTreeSet::new(),
        }
    }

    /// True if nothing waits.
    pub fn is_empty(&self) -> bool {
        self.leader_and_isr.is_empty()
            && self.stop_replica.is_empty()
            && self.update_metadata_brokers.is_empty()
            && !self.update_metadata_all
    }

    /// Drops what waits.
    pub fn clear(&mut self) {
        self.leader_and_isr.clear();
        self.stop_replica.clear();
        self.update_metadata_brokers.clear();
        self.update_metadata_all = false;
        self.update_metadata_partitions.clear();
    }

    /// Tells `brokers` to lead or follow `tp`, and everybody that they do.
    pub fn add_leader_and_isr(&mut self, brokers: &[BrokerId], tp: &TopicPartition, is_new: bool) {
        for broker in brokers.iter().filter(|b| **b >= 0) {
            *self.leader_and_isr.entry(*broker).or_default().entry(tp.clone()).or_default() |= is_new;
        }
        self.add_update_metadata_everywhere(tp);
    }

    /// Tells `broker` to stop `tp`.
    pub fn add_stop_replica(&mut self, broker: BrokerId, tp: &TopicPartition, delete: bool) {
        *self.stop_replica.entry(broker).or_default().entry(tp.clone()).or_default() |= delete;
    }

    /// Tells `brokers` about all brokers and about `partitions`.
    pub fn add_update_metadata(&mut self, brokers: &[BrokerId], partitions: &[TopicPartition]) {
        self.update_metadata_brokers.extend(brokers);
        self.update_metadata_partitions.extend(partitions.iter().cloned());
    }

    /// Tells everybody about `tp`.
    pub fn add_update_metadata_everywhere(&mut self, tp: &TopicPartition) {
        self.update_metadata_all = true;
        self.update_metadata_partitions.insert(tp.clone());
    }

    /// Makes requests of what waits. Brokers that are not registered are left out.
    pub fn flush(&mut self, context: &Context, epoch: ControllerEpoch, effects: &mut Vec<Effect>) {
        for (id, partitions) in std::mem::take(&mut self.leader_and_isr) {
            let Some(broker) = context.broker(id) else { continue };
            let request = self.leader_and_isr_request(context, epoch, broker, &partitions);
            let leads = |tp: &&TopicPartition| context.leader_and_isr(tp).is_some_and(|s| s.leader == id);
            let leaders = partitions.keys().filter(leads).count();
            state_change_log!(
                info,
                (self.controller_id, epoch),
                "Sending LeaderAndIsr request to broker {id} with {leaders} become-leader and {} become-follower \
                 partitions",
                partitions.len() - leaders
            );
            let body = ControlBody::LeaderAndIsr(request);
            effects.push(send(broker, self.versions.leader_and_isr, body));
        }
        self.flush_update_metadata(context, epoch, effects);
        for (id, partitions) in std::mem::take(&mut self.stop_replica) {
            let Some(broker) = context.broker(id) else { continue };
            state_change_log!(
                info,
                (self.controller_id, epoch),
                "Sending StopReplica request for {} replicas to broker {id}",
                partitions.len()
            );
            for request in self.stop_replica_requests(context, epoch, broker, &partitions) {
                effects.push(send(broker, self.versions.stop_replica, ControlBody::StopReplica(request)));
            }
        }
    }
}

fn send(broker: &Broker, version: i16, body: ControlBody) -> Effect {
    let request = ControlRequest { version, body };
    Effect::Send { broker: broker.id, broker_epoch: broker.epoch, request }
}

/// LeaderAndIsr.
impl RequestBatch {
    fn leader_and_isr_request(
        &self,
        context: &Context,
        epoch: ControllerEpoch,
        broker: &Broker,
        partitions: &BTreeMap<TopicPartition, bool>,
    ) -> LeaderAndIsrRequest {
        let mut request = LeaderAndIsrRequest {
            controller_id: self.controller_id,
            controller_epoch: epoch,
            broker_epoch: broker.epoch,
            ..Default::default()
        };
        let grouped = self.versions.leader_and_isr_by_topic();
        let mut leaders = BTreeSet::new();
        for (tp, is_new) in partitions {
            let Some(state) = leader_and_isr_state(context, tp, *is_new, !grouped) else { continue };
            leaders.insert(state.leader);
            if !grouped {
                request.ungrouped_partition_states.push(state);
                continue;
            }
            match request.topic_states.last_mut().filter(|t| t.topic_name == tp.topic) {
                Some(topic) => topic.partition_states.push(state),
                None => request.topic_states.push(LeaderAndIsrTopicState {
                    topic_name: tp.topic.clone(),
                    topic_id: topic_id(context, &tp.topic),
                    partition_states: vec![state],
                    ..Default::default()
                }),
            }
        }
        request.live_leaders =
            leaders.iter().filter_map(|id| self.live_leader(context.broker(*id)?)).collect();
        request
    }

    fn live_leader(&self, broker: &Broker) -> Option<LeaderAndIsrLiveLeader> {
        let endpoint = broker.endpoint(&self.inter_broker_listener)?;
        Some(LeaderAndIsrLiveLeader {
            broker_id: broker.id,
            host_name: endpoint.host.clone(),
            port: endpoint.port,
            ..Default::default()
        })
    }
}

fn leader_and_isr_state(
    context: &Context,
    tp: &TopicPartition,
    is_new: bool,
    with_name: bool,
) -> Option<LeaderAndIsrPartitionState> {
    let partition = context.partition(tp)?;
    let state = partition.leader_and_isr.as_ref()?;
    Some(LeaderAndIsrPartitionState {
        topic_name: if with_name { tp.topic.clone() } else { ByteString::new() },
        partition_index: tp.partition,
        controller_epoch: state.controller_epoch,
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        isr: state.isr.to_vec(),
        zk_version: state.zk_version,
        replicas: partition.assignment.replicas.to_vec(),
        adding_replicas: partition.assignment.adding.to_vec(),
        removing_replicas: partition.assignment.removing.to_vec(),
        is_new,
        ..Default::default()
    })
}

fn topic_id(context: &Context, name: &str) -> Uuid {
    context.topic(name).and_then(|t| t.id).unwrap_or(Uuid::ZERO)
}

/// UpdateMetadata.
impl RequestBatch {
    fn flush_update_metadata(
        &mut self,
        context: &Context,
        epoch: ControllerEpoch,
        effects: &mut Vec<Effect>,
    ) {
        let mut brokers = std::mem::take(&mut self.update_metadata_brokers);
        let partitions = std::mem::take(&mut self.update_metadata_partitions);
        if std::mem::take(&mut self.update_metadata_all) {
            brokers.extend(context.broker_ids());
        }
        if brokers.is_empty() {
            return;
        }
        let version = self.versions.update_metadata;
        let mut request = UpdateMetadataRequest {
            controller_id: self.controller_id,
            controller_epoch: epoch,
            live_brokers: context.brokers().map(|b| metadata_broker(b, self.versions)).collect(),
            ..Default::default()
        };
        let grouped = self.versions.update_metadata_by_topic();
        for tp in &partitions {
            let Some(state) = metadata_state(context, tp, !grouped) else { continue };
            if !grouped {
                request.ungrouped_partition_states.push(state);
                continue;
            }
            match request.topic_states.last_mut().filter(|t| t.topic_name == tp.topic) {
                Some(topic) => topic.partition_states.push(state),
                None => request.topic_states.push(UpdateMetadataTopicState {
                    topic_name: tp.topic.clone(),
                    topic_id: topic_id(context, &tp.topic),
                    partition_states: vec![state],
                    ..Default::default()
                }),
            }
        }
        state_change_log!(
            info,
            (self.controller_id, epoch),
            "Sending UpdateMetadata request to brokers Set({}) for {} partitions",
            Listed(&brokers),
            partitions.len()
        );
        for broker in brokers.iter().filter_map(|id| context.broker(*id)) {
            let request = UpdateMetadataRequest { broker_epoch: broker.epoch, ..request.clone() };
            effects.push(send(broker, version, ControlBody::UpdateMetadata(request)));
        }
    }
}

fn metadata_broker(broker: &Broker, versions: ControlVersions) -> UpdateMetadataBroker {
    let mut entry = UpdateMetadataBroker { id: broker.id, rack: broker.rack.clone(), ..Default::default() };
    if versions.update_metadata_has_one_address() {
        if let Some(plaintext) = broker.endpoint("PLAINTEXT") {
            entry.v0_host = plaintext.host.clone();
            entry.v0_port = plaintext.port;
        }
        return entry;
    }
    entry.endpoints = broker
        .endpoints
        .iter()
        .map(|e| UpdateMetadataEndpoint {
            port: e.port,
            host: e.host.clone(),
            listener: e.listener.clone(),
            security_protocol: e.security_protocol,
            ..Default::default()
        })
        .collect();
    entry
}

fn metadata_state(
    context: &Context,
    tp: &TopicPartition,
    with_name: bool,
) -> Option<UpdateMetadataPartitionState> {
    let partition: &Partition = context.partition(tp)?;
    let state = partition.leader_and_isr.as_ref()?;
    let deleted = context.is_queued_for_deletion(&tp.topic);
    let replicas = &partition.assignment.replicas;
    Some(UpdateMetadataPartitionState {
        topic_name: if with_name { tp.topic.clone() } else { ByteString::new() },
        partition_index: tp.partition,
        controller_epoch: state.controller_epoch,
        leader: if deleted { LEADER_DURING_DELETE } else { state.leader },
        leader_epoch: if deleted { METADATA_DURING_DELETE } else { state.leader_epoch },
        isr: state.isr.to_vec(),
        zk_version: if deleted { METADATA_DURING_DELETE } else { state.zk_version },
        replicas: replicas.to_vec(),
        offline_replicas: replicas.iter().copied().filter(|r| !context.is_replica_online(tp, *r)).collect(),
        ..Default::default()
    })
}

/// StopReplica.
impl RequestBatch {
    fn stop_replica_requests(
        &self,
        context: &Context,
        epoch: ControllerEpoch,
        broker: &Broker,
        partitions: &BTreeMap<TopicPartition, bool>,
    ) -> Vec<StopReplicaRequest> {
        let empty = StopReplicaRequest {
            controller_id: self.controller_id,
            controller_epoch: epoch,
            broker_epoch: broker.epoch,
            ..Default::default()
        };
        if self.versions.stop_replica_per_partition() {
            let mut request = empty;
            for (tp, delete) in partitions {
                add_stop_state(&mut request, context, tp, *delete);
            }
            return vec![request];
        }
        let mut requests = Vec::new();
        for delete in [true, false] {
            let mut request = StopReplicaRequest { delete_partitions: delete, ..empty.clone() };
            let chosen: Vec<_> = partitions.iter().filter(|(_, d)| **d == delete).map(|(tp, _)| tp).collect();
            for tp in &chosen {
                add_stop_name(&mut request, tp, self.versions.stop_replica_by_topic());
            }
            if !chosen.is_empty() {
                requests.push(request);
            }
        }
        requests
    }
}

fn add_stop_state(request: &mut StopReplicaRequest, context: &Context, tp: &TopicPartition, delete: bool) {
    let leader_epoch = if context.is_queued_for_deletion(&tp.topic) {
        EPOCH_DURING_DELETE
    } else {
        context.leader_and_isr(tp).map_or(NO_EPOCH, |s| s.leader_epoch)
    };
    let state = StopReplicaPartitionState {
        partition_index: tp.partition,
        leader_epoch,
        delete_partition: delete,
        ..Default::default()
    };
    match request.topic_states.last_mut().filter(|t| t.topic_name == tp.topic) {
        Some(topic) => topic.partition_states.push(state),
        None => request.topic_states.push(StopReplicaTopicState {
            topic_name: tp.topic.clone(),
            partition_states: vec![state],
            ..Default::default()
        }),
    }
}

fn add_stop_name(request: &mut StopReplicaRequest, tp: &TopicPartition, by_topic: bool) {
    if !by_topic {
        request.ungrouped_partitions.push(StopReplicaPartitionV0 {
            topic_name: tp.topic.clone(),
            partition_index: tp.partition,
            ..Default::default()
        });
        return;
    }
    match request.topics.last_mut().filter(|t| t.name == tp.topic) {
        Some(topic) => topic.partition_indexes.push(tp.partition),
        None => request.topics.push(StopReplicaTopicV1 {
            name: tp.topic.clone(),
            partition_indexes: vec![tp.partition],
            ..Default::default()
        }),
    }
}

/// The partitions that a StopReplica request says to delete.
pub fn deleted_by(request: &StopReplicaRequest) -> BTreeSet<TopicPartition> {
    let mut deleted = BTreeSet::new();
    for topic in &request.topic_states {
        for state in topic.partition_states.iter().filter(|s| s.delete_partition) {
            deleted
                .insert(TopicPartition { topic: topic.topic_name.clone(), partition: state.partition_index });
        }
    }
    if request.delete_partitions {
        for topic in &request.topics {
            for partition in &topic.partition_indexes {
                deleted.insert(TopicPartition { topic: topic.name.clone(), partition: *partition });
            }
        }
        for p in &request.ungrouped_partitions {
            deleted.insert(TopicPartition { topic: p.topic_name.clone(), partition: p.partition_index });
        }
    }
    deleted
}
