//! The driver of a broker's controller: carries effects out piece by piece, so that anything may happen in between.

use super::bug::Bug;
use super::ensemble::at_once;
use super::network::Body;
use super::world::{Inner, World};
use ottla::common::{BrokerId, ErrorCode, Uuid};
use ottla::config::BrokerConfig;
use ottla::controller::context::LeaderAndIsr;
use ottla::controller::effect::{Effect, Reply, ZkRequest, ZkWrite};
use ottla::controller::event::{BrokerResponse, Call, Event, Timer, Watch, WriteOutcome, ZkReply, ZkValue};
use ottla::controller::machine::Machine;
use ottla::controller::zk_requests::{ArmedWatch, ZkRequests};
use ottla::controller::{ControlRequest, ControlResponse, ControllerConfig, IsrChange};
use ottla::replication::replica_manager::WantedIsr;
use ottla::zk::{ZkClient, paths};
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

/// How long a controller waits for a broker's answer.
const ANSWER_MS: i64 = 250;
const ZK_RETRY_MS: i64 = 30;

/// A request to ZooKeeper that is under way.
struct Task {
    id: u64,
    /// The version of `/controller_epoch` under which it writes.
    fence: Option<i32>,
    pieces: VecDeque<ZkRequest>,
    values: Vec<ZkValue>,
    outcomes: Vec<WriteOutcome>,
    watches: Vec<ArmedWatch>,
}

/// The queue to one broker.
struct Channel {
    epoch: i64,
    queue: VecDeque<Arc<ControlRequest>>,
    /// Of the attempt that is under way.
    token: u64,
}

/// Who waits for the answer to a call.
struct Caller {
    broker: BrokerId,
    token: u64,
}

pub struct Control {
    pub machine: Machine,
    config: ControllerConfig,
    zk: ZkRequests,
    has_started: bool,
    task: Option<Task>,
    watches: Vec<(String, ottla::zk::Watch, Watch)>,
    channels: BTreeMap<BrokerId, Channel>,
    timers: Vec<(Timer, u64)>,
    calls: VecDeque<(u64, Call)>,
    callers: BTreeMap<u64, Caller>,
}

impl Control {
    pub fn new(config: &BrokerConfig, zk: &ZkClient) -> Control {
        let config = ControllerConfig::new(config);
        let (id, mut made) = (config.broker_id as u8, 0u64);
        let new_topic_id = move || {
            made += 1;
            let mut bytes = [0; 16];
            bytes[0] = id + 1;
            bytes[8..].copy_from_slice(&made.to_be_bytes());
            Uuid(bytes)
        };
        Control {
            machine: Machine::new(config.clone(), Box::new(new_topic_id)),
            zk: ZkRequests::new(zk.clone(), &config),
            config,
            has_started: false,
            task: None,
            watches: Vec::new(),
            channels: BTreeMap::new(),
            timers: Vec::new(),
            calls: VecDeque::new(),
            callers: BTreeMap::new(),
        }
    }

    /// True if the attempt with this token is under way.
    pub fn is_sending(&self, to: BrokerId, token: u64) -> bool {
        self.channels.get(&to).is_some_and(|channel| channel.token == token)
    }

    /// The watches that have fired since the last call.
    pub fn fired(&mut self) -> Vec<Watch> {
        let mut fired = Vec::new();
        self.watches.retain_mut(|(_, watch, means)| {
            let is_over = Pin::new(watch).poll(&mut Context::from_waker(Waker::noop())).is_ready();
            if is_over {
                fired.push(means.clone());
            }
            !is_over
        });
        fired
    }
}

impl World {
    /// The broker is registered in this session: it runs for controller.
    pub fn in_session(&mut self, at: usize, session: ZkClient) -> Result<(), String> {
        let unfenced = self.has(Bug::ControllerNotFenced);
        let broker = self.broker(at);
        let session = if unfenced { broker.zk.clone() } else { session };
        let control = &mut broker.control;
        control.zk = ZkRequests::new(session, &control.config);
        let first = !std::mem::replace(&mut control.has_started, true);
        self.step_controller(at, if first { Event::Start } else { Event::SessionEstablished })
    }

    pub fn session_lost(&mut self, at: usize) -> Result<(), String> {
        self.trace(|| format!("broker {at} learns that its session is over"));
        self.step_controller(at, Event::SessionExpired)?;
        self.broker(at).register();
        Ok(())
    }

    pub fn step_controller(&mut self, at: usize, event: Event) -> Result<(), String> {
        let control = &mut self.broker(at).control;
        let mut effects = control.machine.step(event);
        // Calls wait outside while the machine is busy.
        while control.machine.is_idle()
            && let Some((id, call)) = control.calls.pop_front()
        {
            effects.extend(control.machine.step(Event::Call { id, call }));
        }
        if control.machine.is_idle() {
            control.machine.context().assert_consistent();
        }
        effects.into_iter().try_for_each(|effect| self.perform(at, effect))
    }

    fn perform(&mut self, at: usize, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Zk { id, request } => {
                let fence = match &request {
                    ZkRequest::Write { epoch_zk_version, .. } => Some(*epoch_zk_version),
                    _ => None,
                };
                let pieces = self.pieces(request);
                let (values, outcomes, watches) = Default::default();
                self.broker(at).control.task = Some(Task { id, fence, pieces, values, outcomes, watches });
                let after_ms = self.rng.within(1..6) as i64;
                self.later(at, after_ms, Inner::ZkStep(id));
            }
            Effect::AddBroker(broker) => {
                let channels = &mut self.broker(at).control.channels;
                if channels.get(&broker.id).is_none_or(|channel| channel.epoch != broker.epoch) {
                    let channel = Channel { epoch: broker.epoch, queue: VecDeque::new(), token: 0 };
                    channels.insert(broker.id, channel);
                }
            }
            Effect::RemoveBroker(id) => drop(self.broker(at).control.channels.remove(&id)),
            Effect::Send { broker, broker_epoch, request } => {
                let channels = &mut self.broker(at).control.channels;
                let Some(channel) = channels.get_mut(&broker).filter(|c| c.epoch == broker_epoch) else {
                    return Ok(());
                };
                channel.queue.push_back(Arc::new(request));
                if channel.queue.len() == 1 {
                    self.send_next(at, broker);
                }
            }
            Effect::SetTimer { timer, after_ms } => {
                let token = self.token();
                let timers = &mut self.broker(at).control.timers;
                timers.retain(|(kind, _)| *kind != timer);
                timers.push((timer, token));
                self.later(at, after_ms, Inner::Timer(timer, token));
            }
            Effect::Activated(epoch) => {
                self.trace(|| format!("broker {at} is controller with epoch {epoch}"));
                self.checks.fencing.elected(epoch, at as BrokerId)?;
            }
            Effect::Resigned => {
                let control = &mut self.broker(at).control;
                control.channels.clear();
                control.task = None;
                control.watches.retain(|(path, _, _)| path == paths::CONTROLLER);
                control.timers.retain(|(kind, _)| *kind == Timer::Reelect);
            }
            Effect::Reply { id, reply } => self.reply(at, id, reply),
        }
        Ok(())
    }

    /// A request as it reaches ZooKeeper: many go out one after the other, and others come in between.
    fn pieces(&mut self, request: ZkRequest) -> VecDeque<ZkRequest> {
        let split = self.chance(40);
        match request {
            ZkRequest::Read(reads) if split && reads.len() > 1 => {
                let at = 1 + self.rng.within(0..reads.len() as u64 - 1) as usize;
                let (first, second) = reads.split_at(at);
                [first, second].map(|part| ZkRequest::Read(part.to_vec())).into()
            }
            ZkRequest::Write { epoch_zk_version, writes } => {
                let epoch_zk_version = if self.has(Bug::ControllerNotFenced) { -1 } else { epoch_zk_version };
                let writes: Vec<_> = writes.into_iter().map(|write| self.spoil(write)).collect();
                let size = if split { 1 } else { writes.len().max(1) };
                let part = |part: &[ZkWrite]| ZkRequest::Write { epoch_zk_version, writes: part.to_vec() };
                writes.chunks(size).map(part).collect()
            }
            request => [request].into(),
        }
    }

    fn spoil(&self, write: ZkWrite) -> ZkWrite {
        match write {
            ZkWrite::SetState(name, state) if self.has(Bug::LeaderEpochReused) => {
                let leader_epoch = state.leader_epoch - 1;
                ZkWrite::SetState(name, LeaderAndIsr { leader_epoch, ..state })
            }
            write => write,
        }
    }

    pub fn zk_step(&mut self, at: usize, id: u64) -> Result<(), String> {
        let fence = self.ensemble.controller_epoch_version();
        let control = &mut self.broker(at).control;
        let Some(task) = control.task.as_mut().filter(|task| task.id == id) else { return Ok(()) };
        let Some(piece) = task.pieces.front().cloned() else { return Ok(()) };
        let Some((reply, watches)) = at_once(control.zk.perform(piece)) else {
            self.later(at, ZK_RETRY_MS, Inner::ZkStep(id));
            return Ok(());
        };
        let task = control.task.as_mut().expect("looked at above");
        task.pieces.pop_front();
        task.watches.extend(watches);
        let is_last = task.pieces.is_empty();
        let reply = match reply {
            ZkReply::Read(values) => {
                task.values.extend(values);
                is_last.then(|| ZkReply::Read(std::mem::take(&mut task.values)))
            }
            ZkReply::Written(outcomes) => {
                let any = outcomes.iter().any(|outcome| matches!(outcome, WriteOutcome::Done(_)));
                task.outcomes.extend(outcomes);
                if any && task.fence.is_some_and(|own| own != fence) {
                    return Err(format!("controller {at}, fenced by {fence}, wrote with {:?}", task.fence));
                }
                is_last.then(|| ZkReply::Written(std::mem::take(&mut task.outcomes)))
            }
            // The rest is given up.
            reply => Some(reply),
        };
        if let ZkReply::Elected { epoch, .. } = &reply.as_ref().unwrap_or(&ZkReply::NotElected) {
            self.checks.fencing.began(*epoch);
        }
        let after_ms = self.rng.within(0..6) as i64;
        match reply {
            None => self.later(at, after_ms, Inner::ZkStep(id)),
            Some(reply) => {
                let task = self.broker(at).control.task.take().expect("looked at above");
                self.later(at, after_ms, Inner::ZkDone(id, Box::new(reply), task.watches));
            }
        }
        Ok(())
    }

    pub fn zk_done(
        &mut self,
        at: usize,
        id: u64,
        reply: ZkReply,
        watches: Vec<ArmedWatch>,
    ) -> Result<(), String> {
        let armed = &mut self.broker(at).control.watches;
        for ArmedWatch { zk_watch, watch } in watches {
            let path = zk_watch.path().to_string();
            armed.retain(|(known, _, _)| *known != path);
            armed.push((path, zk_watch, watch));
        }
        // One may have fired before it was armed here.
        for watch in self.broker(at).control.fired() {
            self.later(at, 1, Inner::Fired(watch));
        }
        self.step_controller(at, Event::Zk { id, reply })
    }

    pub fn timer(&mut self, at: usize, timer: Timer, token: u64) -> Result<(), String> {
        let timers = &mut self.broker(at).control.timers;
        let Some(found) = timers.iter().position(|known| *known == (timer, token)) else { return Ok(()) };
        timers.remove(found);
        self.step_controller(at, Event::Timer(timer))
    }

    /// Sends the oldest request of a queue, (again).
    fn send_next(&mut self, at: usize, to: BrokerId) {
        let token = self.token();
        let Some(channel) = self.broker(at).control.channels.get_mut(&to) else { return };
        let Some(request) = channel.queue.front().cloned() else { return };
        channel.token = token;
        self.send(at as BrokerId, to, Body::Control { token, request });
        self.later(at, ANSWER_MS, Inner::ControlOver(to, token));
    }

    pub fn control_over(&mut self, at: usize, to: BrokerId, token: u64) {
        let channel = self.broker(at).control.channels.get(&to);
        if channel.is_some_and(|channel| channel.token == token) {
            self.send_next(at, to);
        }
    }

    pub fn controlled(
        &mut self,
        at: usize,
        from: BrokerId,
        token: u64,
        response: ControlResponse,
    ) -> Result<(), String> {
        let control = &mut self.broker(at).control;
        let controller_epoch = control.machine.epoch();
        let Some(channel) = control.channels.get_mut(&from).filter(|c| c.token == token) else {
            return Ok(());
        };
        let Some(request) = channel.queue.pop_front() else { return Ok(()) };
        let broker_epoch = channel.epoch;
        channel.token = 0;
        self.send_next(at, from);
        let response = BrokerResponse { broker: from, broker_epoch, controller_epoch, request, response };
        self.step_controller(at, Event::Response(Box::new(response)))
    }

    /// A leader asks for a change of an ISR.
    pub fn alter_isr(
        &mut self,
        at: usize,
        from: BrokerId,
        (token, broker_epoch): (u64, i64),
        wanted: WantedIsr,
    ) -> Result<(), String> {
        let id = self.token();
        let change = IsrChange {
            partition: wanted.name,
            leader_epoch: wanted.change.leader_epoch,
            isr: wanted.change.in_sync_replicas,
            zk_version: wanted.change.zk_version,
        };
        let call = Call::AlterIsr { broker: from, broker_epoch, changes: vec![change] };
        let control = &mut self.broker(at).control;
        control.callers.insert(id, Caller { broker: from, token });
        control.calls.push_back((id, call));
        if !control.machine.is_idle() {
            return Ok(());
        }
        let (id, call) = control.calls.pop_front().expect("just pushed");
        self.step_controller(at, Event::Call { id, call })
    }

    fn reply(&mut self, at: usize, id: u64, reply: Reply) {
        let Some(Caller { broker, token }) = self.broker(at).control.callers.remove(&id) else { return };
        let result = match reply {
            Reply::AlterIsr(Ok(results)) => match results.into_iter().next() {
                Some((_, result)) => result,
                None => Err(ErrorCode::UnknownTopicOrPartition),
            },
            Reply::AlterIsr(Err(code)) => Err(code),
            _ => Err(ErrorCode::UnknownServerError),
        };
        self.send(at as BrokerId, broker, Body::IsrAltered { token, result });
    }

    /// The broker that ZooKeeper calls the controller, if it lives and knows it.
    pub fn active_controller(&self) -> Option<usize> {
        let active = |slot: &super::world::Slot| {
            slot.broker.as_ref().is_some_and(|broker| {
                broker.control.machine.is_active()
                    && broker.control.machine.epoch() == self.checks.fencing.reign()
            })
        };
        self.slots.iter().position(active)
    }
}
