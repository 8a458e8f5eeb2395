//! An immutable picture of the cluster, and how UpdateMetadata changes it.
//!
//! Source of the rules: Kafka 2.8.2 `kafka.server.MetadataCache`. A request replaces the list of live brokers
//! as a whole and merges partitions; leader -2 removes a partition.

use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch, Uuid};
use crate::config::SecurityProtocol;
use crate::protocol::messages::update_metadata::{
    UpdateMetadataBroker, UpdateMetadataPartitionState, UpdateMetadataRequest,
};
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Leader of a partition that is being deleted.
pub const LEADER_DURING_DELETE: BrokerId = -2;

/// Where a broker can be reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// Listener name.
    pub listener: ByteString,
    /// Advertised host.
    pub host: ByteString,
    /// Advertised port.
    pub port: i32,
    /// Number of the security protocol (0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL).
    pub security_protocol: i16,
}

/// A live broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BrokerNode {
    /// `broker.id`.
    pub id: BrokerId,
    /// `broker.rack`.
    pub rack: Option<ByteString>,
    /// Its listeners.
    pub endpoints: Vec<Endpoint>,
}

impl BrokerNode {
    /// The endpoint of a listener.
    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == listener)
    }
}

/// A partition's state.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionMetadata {
    /// Epoch of the controller that decided.
    pub controller_epoch: ControllerEpoch,
    /// The leader, -1 if none.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// In-sync replicas.
    pub in_sync_replicas: Vec<BrokerId>,
    /// Version of the state znode.
    pub zk_version: i32,
    /// All replicas, the preferred leader first.
    pub replicas: Vec<BrokerId>,
    /// Replicas whose log directory failed.
    pub offline_replicas: Vec<BrokerId>,
}

/// A topic's partitions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TopicMetadata {
    /// The topic's id; zero if it has none.
    pub topic_id: Uuid,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionMetadata>,
}

/// The cluster as of one moment.
#[derive(Clone, Debug, Default)]
pub struct ClusterSnapshot {
    /// The controller, none before the first update.
    pub controller_id: Option<BrokerId>,
    /// Live brokers by id.
    pub brokers: BTreeMap<BrokerId, Arc<BrokerNode>>,
    /// Topics by name.
    pub topics: HashMap<ByteString, Arc<TopicMetadata>>,
}

impl ClusterSnapshot {
    /// A topic.
    pub fn topic(&self, name: &str) -> Option<&Arc<TopicMetadata>> {
        self.topics.get(name)
    }

    /// A partition.
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topic(topic)?.partitions.get(&partition)
    }

    /// Name and metadata of the topic with an id.
    pub fn topic_by_id(&self, id: Uuid) -> Option<(&ByteString, &Arc<TopicMetadata>)> {
        self.topics.iter().find(|(_, topic)| topic.topic_id == id)
    }

    /// The picture after `request`, and the names of topics that it removes.
    pub fn updated(&self, request: &UpdateMetadataRequest) -> (ClusterSnapshot, Vec<ByteString>) {
        let mut next = self.clone();
        next.controller_id = (request.controller_id >= 0).then_some(request.controller_id);
        next.brokers = request.live_brokers.iter().map(|b| (b.id, Arc::new(node(b)))).collect();
        let mut removed = Vec::new();
        for state in &request.ungrouped_partition_states {
            next.merge(&state.topic_name, None, std::slice::from_ref(state), &mut removed);
        }
        for topic in &request.topic_states {
            next.merge(&topic.topic_name, Some(topic.topic_id), &topic.partition_states, &mut removed);
        }
        (next, removed)
    }

    fn merge(
        &mut self,
        name: &ByteString,
        id: Option<Uuid>,
        states: &[UpdateMetadataPartitionState],
        removed: &mut Vec<ByteString>,
    ) {
        if states.is_empty() {
            return;
        }
        if !self.topics.contains_key(name) {
            // A name of its own: the request's names keep its whole frame in memory.
            self.topics.insert(ByteString::from(&**name), Arc::default());
        }
        let Some(slot) = self.topics.get_mut(name) else { return };
        let topic = Arc::make_mut(slot);
        if let Some(id) = id.filter(|id| !id.is_zero()) {
            topic.topic_id = id;
        }
        for state in states {
            if state.leader == LEADER_DURING_DELETE {
                topic.partitions.remove(&state.partition_index);
            } else {
                topic.partitions.insert(state.partition_index, partition(state));
            }
        }
        if topic.partitions.is_empty() {
            self.topics.remove(name);
            removed.push(ByteString::from(&**name));
        }
    }
}

fn node(broker: &UpdateMetadataBroker) -> BrokerNode {
    let copy = |text: &ByteString| ByteString::from(&**text);
    let mut endpoints: Vec<Endpoint> = broker
        .endpoints
        .iter()
        .map(|e| Endpoint {
            listener: if e.listener.is_empty() {
                protocol_name(e.security_protocol)
            } else {
                copy(&e.listener)
            },
            host: copy(&e.host),
            port: e.port,
            security_protocol: e.security_protocol,
        })
        .collect();
    if endpoints.is_empty() && !broker.v0_host.is_empty() {
        let (host, port) = (copy(&broker.v0_host), broker.v0_port);
        endpoints.push(Endpoint { listener: protocol_name(0), host, port, security_protocol: 0 });
    }
    BrokerNode { id: broker.id, rack: broker.rack.as_ref().map(copy), endpoints }
}

/// Before listener names (request version 3) a listener was its protocol.
fn protocol_name(security_protocol: i16) -> ByteString {
    let known = usize::try_from(security_protocol).ok().and_then(|id| SecurityProtocol::ALL.get(id));
    ByteString::from_static(known.unwrap_or(&SecurityProtocol::Plaintext).name())
}

fn partition(state: &UpdateMetadataPartitionState) -> PartitionMetadata {
    PartitionMetadata {
        controller_epoch: state.controller_epoch,
        leader: state.leader,
        leader_epoch: state.leader_epoch,
        in_sync_replicas: state.isr.clone(),
        zk_version: state.zk_version,
        replicas: state.replicas.clone(),
        offline_replicas: state.offline_replicas.clone(),
    }
}
