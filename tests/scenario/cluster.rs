//! Machines, a world, and brokers that obey: everything a scenario or a random run moves.

use crate::render;
use crate::world::World;
use ottla::common::{BrokerId, ErrorCode, TopicPartition, Uuid};
use ottla::config::IbpVersion;
use ottla::controller::config::{ControlVersions, ControllerConfig};
use ottla::controller::effect::{ControlBody, ControlRequest, ControlResponse, Effect, Reply, ZkRequest};
use ottla::controller::event::{BrokerResponse, Call, Event, Timer, ZkReply};
use ottla::controller::machine::Machine;
use ottla::protocol::messages::leader_and_isr::{
    LeaderAndIsrPartitionError, LeaderAndIsrPartitionState, LeaderAndIsrRequest, LeaderAndIsrResponse,
    LeaderAndIsrTopicError,
};
use ottla::protocol::messages::stop_replica::{
    StopReplicaPartitionError, StopReplicaRequest, StopReplicaResponse,
};
use ottla::protocol::messages::update_metadata::UpdateMetadataResponse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The configuration of a machine at a release of the inter-broker protocol.
pub fn config(id: BrokerId, version: &str) -> ControllerConfig {
    let version = IbpVersion::parse(version).expect("a release");
    ControllerConfig {
        broker_id: id,
        versions: ControlVersions {
            leader_and_isr: version.leader_and_isr_version(),
            update_metadata: version.update_metadata_version(),
            stop_replica: version.stop_replica_version(),
        },
        uses_topic_ids: version.has_topic_ids(),
        uses_alter_isr: version.has_alter_isr(),
        feature_versioning: version.has_feature_versioning(),
        inter_broker_listener: "PLAINTEXT".into(),
        delete_topic_enable: true,
        unclean_leader_election_enable: false,
        auto_leader_rebalance_enable: true,
        leader_imbalance_check_interval_ms: 300_000,
        leader_imbalance_per_broker_percentage: 10,
    }
}

/// A broker as far as controllers see it.
#[derive(Default)]
pub struct FakeBroker {
    pub epoch: i64,
    pub controller_epoch: i32,
    /// Leader epoch, leader, ISR of each partition as last accepted.
    pub partitions: BTreeMap<TopicPartition, (i32, BrokerId, Vec<BrokerId>)>,
    /// Logs on disk.
    pub logs: BTreeSet<TopicPartition>,
    /// Partitions on a failed log directory.
    pub offline: BTreeSet<TopicPartition>,
}

impl FakeBroker {
    fn fence(&mut self, broker_epoch: i64, controller_epoch: i32) -> i16 {
        if broker_epoch != -1 && broker_epoch < self.epoch {
            return ErrorCode::StaleBrokerEpoch.code();
        }
        if controller_epoch < self.controller_epoch {
            return ErrorCode::StaleControllerEpoch.code();
        }
        self.controller_epoch = controller_epoch;
        0
    }

    pub fn answer(&mut self, id: BrokerId, request: &ControlRequest) -> ControlResponse {
        match &request.body {
            ControlBody::LeaderAndIsr(r) => ControlResponse::LeaderAndIsr(self.lead(id, r)),
            ControlBody::StopReplica(r) => ControlResponse::StopReplica(self.stop(r)),
            ControlBody::UpdateMetadata(r) => {
                let error_code = self.fence(r.broker_epoch, r.controller_epoch);
                ControlResponse::UpdateMetadata(UpdateMetadataResponse { error_code, ..Default::default() })
            }
        }
    }

    fn lead(&mut self, id: BrokerId, request: &LeaderAndIsrRequest) -> LeaderAndIsrResponse {
        let error_code = self.fence(request.broker_epoch, request.controller_epoch);
        let mut response = LeaderAndIsrResponse { error_code, ..Default::default() };
        if error_code != 0 {
            return response;
        }
        for topic in &request.topic_states {
            let mut errors = Vec::new();
            for s in &topic.partition_states {
                let tp = TopicPartition { topic: topic.topic_name.clone(), partition: s.partition_index };
                let error_code = self.lead_one(id, tp, s).code();
                let partition_index = s.partition_index;
                errors.push(LeaderAndIsrPartitionError { partition_index, error_code, ..Default::default() });
            }
            // By id from version 5 on; without an id the name stands in, as no version 5 goes without.
            if topic.topic_id.is_zero() {
                for error in &mut errors {
                    error.topic_name = topic.topic_name.clone();
                }
                response.partition_errors.extend(errors);
            } else {
                let mut answer = LeaderAndIsrTopicError { topic_id: topic.topic_id, ..Default::default() };
                answer.partition_errors = errors;
                response.topics.push(answer);
            }
        }
        response
    }

    fn lead_one(&mut self, id: BrokerId, tp: TopicPartition, s: &LeaderAndIsrPartitionState) -> ErrorCode {
        if self.offline.contains(&tp) {
            return ErrorCode::KafkaStorageError;
        }
        if self.partitions.get(&tp).is_some_and(|(epoch, _, _)| s.leader_epoch <= *epoch) {
            return ErrorCode::StaleControllerEpoch;
        }
        assert!(s.replicas.contains(&id), "{tp}: broker {id} was sent a partition that it does not host");
        self.partitions.insert(tp.clone(), (s.leader_epoch, s.leader, s.isr.clone()));
        self.logs.insert(tp);
        ErrorCode::None
    }

    fn stop(&mut self, request: &StopReplicaRequest) -> StopReplicaResponse {
        let error_code = self.fence(request.broker_epoch, request.controller_epoch);
        let mut response = StopReplicaResponse { error_code, ..Default::default() };
        for topic in &request.topic_states {
            for s in &topic.partition_states {
                let tp = TopicPartition { topic: topic.topic_name.clone(), partition: s.partition_index };
                let known = self.partitions.get(&tp).map(|(epoch, _, _)| *epoch);
                let code = if self.offline.contains(&tp) {
                    ErrorCode::KafkaStorageError
                } else if s.leader_epoch >= 0 && known.is_some_and(|k| s.leader_epoch <= k) {
                    ErrorCode::FencedLeaderEpoch
                } else {
                    self.partitions.remove(&tp);
                    if s.delete_partition {
                        self.logs.remove(&tp);
                    }
                    ErrorCode::None
                };
                response.partition_errors.push(StopReplicaPartitionError {
                    topic_name: tp.topic,
                    partition_index: tp.partition,
                    error_code: code.code(),
                    ..Default::default()
                });
            }
        }
        response
    }
}

/// A request on its way: epoch of the broker, epoch of the controller, the request.
type Queued = (i64, i32, ControlRequest);

/// Everything.
#[derive(Default)]
pub struct Cluster {
    pub world: World,
    pub machines: BTreeMap<BrokerId, Machine>,
    pub brokers: BTreeMap<BrokerId, FakeBroker>,
    /// By controller and broker.
    pub queues: BTreeMap<(BrokerId, BrokerId), VecDeque<Queued>>,
    /// Brokers that do not answer.
    pub held: BTreeSet<BrokerId>,
    /// Requests of machines to ZooKeeper.
    pub asked: BTreeMap<BrokerId, (u64, ZkRequest)>,
    pub timers: BTreeSet<(BrokerId, &'static str)>,
    pub replies: Vec<Reply>,
    /// Machines whose next so many requests to ZooKeeper fail.
    pub failing: BTreeMap<BrokerId, u32>,
    /// What happened, for scripts.
    pub out: Vec<String>,
    calls: u64,
}

impl Cluster {
    /// Starts a broker without a machine: one that only obeys.
    pub fn start_broker(&mut self, id: BrokerId) {
        self.world.register(id);
        let broker = self.brokers.entry(id).or_default();
        broker.epoch = self.world.brokers[&id].epoch;
        // What a process knew is gone, its logs are not.
        broker.partitions.clear();
        broker.offline.clear();
        broker.controller_epoch = 0;
    }

    /// Starts a broker with a machine.
    pub fn start_machine(&mut self, config: ControllerConfig) {
        let id = config.broker_id;
        self.start_broker(id);
        let mut made = 0u64;
        let next_id = move || {
            made += 1;
            let mut bytes = [0u8; 16];
            bytes[0] = id as u8;
            bytes[8..].copy_from_slice(&made.to_be_bytes());
            Uuid(bytes)
        };
        self.machines.insert(id, Machine::new(config, Box::new(next_id)));
        self.step(id, Event::Start);
    }

    /// A broker dies, with its machine.
    pub fn kill(&mut self, id: BrokerId) {
        self.machines.remove(&id);
        self.asked.remove(&id);
        self.queues.retain(|(from, _), _| *from != id);
        self.world.disarm(id);
        self.world.end_session(id);
        self.world.untold_isr_changes.remove(&id);
    }

    /// The machine that is controller by the znode, or else any that thinks so.
    pub fn active(&self) -> Option<BrokerId> {
        let by_znode =
            self.world.controller.filter(|id| self.machines.get(id).is_some_and(Machine::is_active));
        by_znode.or_else(|| self.machines.iter().find(|(_, m)| m.is_active()).map(|(id, _)| *id))
    }

    /// Calls a machine.
    pub fn call(&mut self, id: BrokerId, call: Call) {
        self.calls += 1;
        let event = Event::Call { id: self.calls, call };
        self.step(id, event);
    }

    /// Gives a machine an event and takes its effects.
    pub fn step(&mut self, id: BrokerId, event: Event) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let effects = machine.step(event);
        if machine.is_idle() {
            machine.context().assert_consistent();
        }
        let epoch = machine.epoch();
        for effect in effects {
            if let Some(text) = render::effect(&effect) {
                self.out.push(format!("{id}> {text}"));
            }
            match effect {
                Effect::Zk { id: request, request: what } => {
                    self.asked.insert(id, (request, what));
                }
                Effect::AddBroker(b) => {
                    self.queues.entry((id, b.id)).or_default();
                }
                Effect::RemoveBroker(b) => {
                    self.queues.remove(&(id, b));
                }
                Effect::Send { broker, broker_epoch, request } => {
                    let queue = self.queues.get_mut(&(id, broker)).expect("a queue to the broker is open");
                    queue.push_back((broker_epoch, epoch, request));
                }
                Effect::SetTimer { timer, .. } => {
                    self.timers.insert((id, timer_name(timer)));
                }
                Effect::Resigned => self.queues.retain(|(from, _), _| *from != id),
                Effect::Reply { reply, .. } => self.replies.push(reply),
                Effect::Activated(_) => {}
            }
        }
    }

    /// ZooKeeper answers a machine.
    pub fn answer_zk(&mut self, id: BrokerId) {
        let Some((request, what)) = self.asked.remove(&id) else { return };
        let failing = self.failing.get_mut(&id).filter(|count| **count > 0);
        let reply = match failing {
            Some(count) => {
                *count -= 1;
                self.out.push(format!("{id}> failed"));
                ZkReply::Failed("a fault".to_string())
            }
            None => self.world.perform(id, what),
        };
        for line in std::mem::take(&mut self.world.log) {
            self.out.push(format!("{id}> {line}"));
        }
        self.step(id, Event::Zk { id: request, reply });
    }

    /// A machine hears of the oldest watch that fired.
    pub fn deliver_watch(&mut self) {
        if !self.world.fired.is_empty() {
            let (id, watch) = self.world.fired.remove(0);
            self.step(id, Event::Changed(watch));
        }
    }

    /// A broker gets the oldest request of a controller, and answers.
    pub fn deliver_request(&mut self, from: BrokerId, to: BrokerId) {
        let alive = self.world.brokers.contains_key(&to) && self.brokers.contains_key(&to);
        if !alive || self.held.contains(&to) {
            return;
        }
        let Some((broker_epoch, controller_epoch, request)) =
            self.queues.get_mut(&(from, to)).and_then(VecDeque::pop_front)
        else {
            return;
        };
        let broker = self.brokers.get_mut(&to).expect("checked");
        let response = broker.answer(to, &request);
        let request = Arc::new(request);
        let response = BrokerResponse { broker: to, broker_epoch, controller_epoch, request, response };
        self.step(from, Event::Response(Box::new(response)));
    }

    /// A machine hears that a replica has no log directory, from a life of the broker that has that epoch.
    pub fn answer_late(&mut self, to: BrokerId, broker: BrokerId, broker_epoch: i64, tp: &TopicPartition) {
        let controller_epoch = self.machines[&to].epoch();
        let error = LeaderAndIsrPartitionError {
            topic_name: tp.topic.clone(),
            partition_index: tp.partition,
            error_code: ErrorCode::KafkaStorageError.code(),
            ..Default::default()
        };
        let response = LeaderAndIsrResponse { partition_errors: vec![error], ..Default::default() };
        let body = ControlBody::LeaderAndIsr(LeaderAndIsrRequest::default());
        let event = BrokerResponse {
            broker,
            broker_epoch,
            controller_epoch,
            request: Arc::new(ControlRequest { version: 4, body }),
            response: ControlResponse::LeaderAndIsr(response),
        };
        self.step(to, Event::Response(Box::new(event)));
    }

    /// Queues with something that can be delivered.
    pub fn deliverable(&self) -> Vec<(BrokerId, BrokerId)> {
        let ready = |to: &BrokerId| self.world.brokers.contains_key(to) && !self.held.contains(to);
        self.queues.iter().filter(|((_, to), q)| !q.is_empty() && ready(to)).map(|(key, _)| *key).collect()
    }

    /// Runs until nothing moves.
    pub fn settle(&mut self) {
        while self.settle_one() {}
    }

    /// One thing that is due: ZooKeeper first, then watches, then brokers. False if nothing is.
    pub fn settle_one(&mut self) -> bool {
        if let Some(id) = self.asked.keys().next().copied() {
            self.answer_zk(id);
        } else if !self.world.fired.is_empty() {
            self.deliver_watch();
        } else if let Some((from, to)) = self.deliverable().first().copied() {
            self.deliver_request(from, to);
        } else {
            return false;
        }
        true
    }
}

/// Names a timer.
pub fn timer_name(timer: Timer) -> &'static str {
    match timer {
        Timer::AutoRebalance => "AutoRebalance",
        Timer::Reelect => "Reelect",
    }
}
