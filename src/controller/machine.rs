//! The controller as a pure machine: `step(now, event) -> effects`.
//!
//! It works off one event at a time. Handling an event is a plan, a stack of steps; a step may change the
//! context, collect requests, push further steps, or ask ZooKeeper and name the step that takes the answer.
//! Only when the plan is empty is the next event begun, so every event sees the result of all before it,
//! exactly as with Kafka's single controller thread, yet nothing here waits.
//!
//! Invariants:
//! - at most one ZooKeeper request is under way, and while it is, no step runs;
//! - all writes but `/feature` carry the version of `/controller_epoch` that this controller won. If that
//!   check fails, everything is dropped and the machine is a bystander again;
//! - what a failed request leaves is unknown, so the controller resigns: whoever is elected loads afresh;
//! - between events no request is left in the batch, and a call taken up was answered exactly once;
//! - a leader that the machine writes is in the ISR that it writes, or -1, and each write raises the
//!   leader epoch by one.
//!
//! Source: `KafkaController.scala`, `ControllerEventManager.scala`.

use super::config::ControllerConfig;
use super::context::Context;
use super::effect::{Effect, ReassignmentError, Reply, ZkRead, ZkRequest, ZkWrite};
use super::event::{Call, CallId, Event, Timer, Watch, WriteOutcome, ZkReply, ZkValue};
use super::logging::controller_log;
use super::request_batch::RequestBatch;
use crate::common::{BrokerId, ControllerEpoch, ErrorCode, TopicPartition, Uuid};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How long a controller that failed leaves the election to others.
const HOLD_OFF_MS: i64 = 1_000;

type Step = Box<dyn FnOnce(&mut Machine) + Send>;
type FailCall = fn(ErrorCode) -> Reply;
type Continuation = Box<dyn FnOnce(&mut Machine, ZkReply) + Send>;

/// Makes a step of a plan.
pub(super) fn step(f: impl FnOnce(&mut Machine) + Send + 'static) -> Step {
    Box::new(f)
}

/// What this broker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Another broker is controller, or nobody.
    Standby,
    /// This one is.
    Active { epoch: ControllerEpoch, epoch_zk_version: i32, loading: bool },
}

/// The controller of one broker.
pub struct Machine {
    pub(super) config: ControllerConfig,
    pub(super) context: Context,
    pub(super) batch: RequestBatch,
    /// Outcome of the elections of the event in hand.
    pub(super) elections: BTreeMap<TopicPartition, Result<BrokerId, ErrorCode>>,
    /// What went wrong with reassignments of the event in hand.
    pub(super) failed_reassignments: BTreeMap<TopicPartition, ReassignmentError>,
    /// Partitions being reassigned whose ISR changed: they may be done.
    pub(super) reassignments_to_check: Vec<TopicPartition>,
    /// Partitions that a controller finds with a leader that has registered since.
    pub(super) restarted_leaders: BTreeSet<TopicPartition>,
    /// Counts events; see `Partition::confirmed_in`.
    pub(super) event_number: u64,
    new_topic_id: Box<dyn FnMut() -> Uuid + Send>,
    role: Role,
    /// The broker has a session and is registered in it; until then others have to govern.
    registered: bool,
    held_off: bool,
    /// The fence under which `/controller` may still be ours although this broker resigned.
    abandoned: Option<i32>,
    inbox: VecDeque<Event>,
    plan: Vec<Step>,
    waiting: Option<(u64, Continuation)>,
    zk_requests: u64,
    call: Option<(CallId, FailCall)>,
    effects: Vec<Effect>,
}

impl Machine {
    /// A bystander that knows nothing. `new_topic_id` supplies random topic ids.
    pub fn new(config: ControllerConfig, new_topic_id: Box<dyn FnMut() -> Uuid + Send>) -> Self {
        Machine {
            batch: RequestBatch::new(&config),
            config,
            context: Context::default(),
            elections: BTreeMap::new(),
            failed_reassignments: BTreeMap::new(),
            reassignments_to_check: Vec::new(),
            restarted_leaders: BTreeSet::new(),
            event_number: 0,
            new_topic_id,
            role: Role::Standby,
            registered: false,
            held_off: false,
            abandoned: None,
            inbox: VecDeque::new(),
            plan: Vec::new(),
            waiting: None,
            zk_requests: 0,
            call: None,
            effects: Vec::new(),
        }
    }

    /// Takes one event, works as far as possible, and returns what is to be done, in order.
    pub fn step(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Zk { id, reply } => self.resume(id, reply),
            Event::SessionExpired => self.expire(),
            other => self.inbox.push_back(other),
        }
        self.run();
        std::mem::take(&mut self.effects)
    }

    /// True if the machine would begin a new event at once.
    pub fn is_idle(&self) -> bool {
        self.waiting.is_none()
    }

    /// True if this broker is the controller.
    pub fn is_active(&self) -> bool {
        self.role != Role::Standby
    }

    /// The epoch of this controller, 0 for a bystander.
    pub fn epoch(&self) -> ControllerEpoch {
        match self.role {
            Role::Active { epoch, .. } => epoch,
            Role::Standby => 0,
        }
    }

    pub(super) fn broker_id(&self) -> BrokerId {
        self.config.broker_id
    }

    /// Id and epoch, for state-change.log.
    pub(super) fn id_and_epoch(&self) -> (BrokerId, ControllerEpoch) {
        (self.broker_id(), self.epoch())
    }

    /// What the controller knows; empty for a bystander.
    pub fn context(&self) -> &Context {
        &self.context
    }

    fn run(&mut self) {
        while self.waiting.is_none() {
            if let Some(next) = self.plan.pop() {
                next(self);
                continue;
            }
            if !self.reassignments_to_check.is_empty() {
                self.check_reassignments();
                continue;
            }
            assert!(self.batch.is_empty(), "requests left in the batch at the end of an event");
            assert!(self.call.is_none(), "a call was not answered");
            let Some(event) = self.inbox.pop_front() else { break };
            self.event_number += 1;
            self.elections.clear();
            self.failed_reassignments.clear();
            self.begin(event);
        }
    }

    fn resume(&mut self, id: u64, reply: ZkReply) {
        // An answer to a request that was given up has no taker.
        if self.waiting.as_ref().is_none_or(|(expected, _)| *expected != id) {
            return;
        }
        let Some((_, continuation)) = self.waiting.take() else { return };
        match reply {
            ZkReply::Moved => {
                controller_log!(info, self, "Controller moved to another broker");
                self.resign();
                self.abandoned = None;
                self.plan.push(step(Machine::check_controller));
            }
            ZkReply::Failed(reason) => self.give_up(&reason),
            reply => continuation(self, reply),
        }
    }

    fn begin(&mut self, event: Event) {
        match event {
            Event::Start | Event::SessionEstablished => {
                self.registered = true;
                self.check_controller();
            }
            Event::Changed(Watch::Controller) => self.check_controller(),
            Event::Timer(Timer::Reelect) => {
                self.held_off = false;
                self.check_controller();
            }
            Event::Call { id, call } => self.take_call(id, call),
            Event::UncleanElectionDefault(enabled) => self.unclean_election_default(enabled),
            _ if !self.is_active() => {}
            Event::Changed(Watch::Brokers) => self.brokers_changed(),
            Event::Changed(Watch::Topics) => self.topics_changed(),
            Event::Changed(Watch::Topic(name)) => self.topic_changed(name),
            Event::Changed(Watch::TopicDeletions) => self.topic_deletions_changed(),
            Event::Changed(Watch::IsrChanges) => self.isr_changes_arrived(),
            Event::Changed(Watch::LogDirEvents) => self.log_dir_events_arrived(),
            Event::Changed(Watch::PreferredElection) => self.preferred_election_changed(),
            Event::Changed(Watch::Reassignments) => self.reassignments_changed(false),
            Event::Changed(Watch::PartitionState(tp)) => self.reassigned_state_changed(tp),
            Event::Response(response) => self.response_received(*response),
            Event::Timer(Timer::AutoRebalance) => self.auto_rebalance(),
            Event::UncleanElectionEnabled(topic) => self.trigger_online(Some(&topic)),
            Event::Zk { .. } | Event::SessionExpired => unreachable!("never queued"),
        }
    }

    /// Switched on, it may give leaders to partitions that wait for one.
    fn unclean_election_default(&mut self, enabled: bool) {
        let was_enabled = std::mem::replace(&mut self.config.unclean_leader_election_enable, enabled);
        if enabled && !was_enabled && self.is_active() {
            self.trigger_online(None);
        }
    }

    fn take_call(&mut self, id: CallId, call: Call) {
        let fail: FailCall = match &call {
            Call::ControlledShutdown { .. } => |e| Reply::ControlledShutdown(Err(e)),
            Call::ElectLeaders { .. } => |e| Reply::ElectLeaders(Err(e)),
            Call::AlterIsr { .. } => |e| Reply::AlterIsr(Err(e)),
            Call::AlterReassignments(_) => |e| Reply::AlterReassignments(Err(e)),
            Call::ListReassignments(_) => |e| Reply::ListReassignments(Err(e)),
        };
        self.call = Some((id, fail));
        if !self.is_active() {
            return self.fail_call();
        }
        match call {
            Call::ControlledShutdown { broker, broker_epoch } => {
                self.controlled_shutdown(broker, broker_epoch)
            }
            Call::ElectLeaders { partitions, kind } => self.elect_for_caller(partitions, kind),
            Call::AlterIsr { broker, broker_epoch, changes } => self.alter_isr(broker, broker_epoch, changes),
            Call::AlterReassignments(asked) => self.alter_reassignments(asked),
            Call::ListReassignments(partitions) => self.list_reassignments(partitions),
        }
    }
}

/// Roles.
impl Machine {
    /// Looks who is controller; runs for it if nobody is.
    fn check_controller(&mut self) {
        self.read(vec![ZkRead::Controller], |m, values| {
            let ZkValue::Controller { holder, is_of_session } = one(values) else {
                unreachable!("asked for /controller")
            };
            let mine = holder == Some(m.config.broker_id);
            if m.is_active() && !mine {
                m.resign();
            }
            if !mine {
                m.abandoned = None;
            } else if let Some(epoch_zk_version) = m.abandoned.filter(|_| !m.held_off) {
                return m.delete_controller(epoch_zk_version);
            }
            // A seat that was taken in this session, and given up for the end of the one before, of which the word came
            // late: nobody else can take it.
            let is_vacant = holder.is_none() || (mine && is_of_session && !m.is_active());
            if is_vacant && m.registered && !m.held_off {
                m.ask(ZkRequest::Elect, Machine::election_done);
            }
        });
    }

    fn election_done(&mut self, reply: ZkReply) {
        let ZkReply::Elected { epoch, epoch_zk_version } = reply else {
            // Look again: it arms the watch, and the winner may be gone already.
            return self.check_controller();
        };
        controller_log!(
            info,
            self,
            "{} successfully elected as the controller. Epoch incremented to {epoch} and epoch zk version is now \
             {epoch_zk_version}",
            self.broker_id()
        );
        self.role = Role::Active { epoch, epoch_zk_version, loading: true };
        self.effect(Effect::Activated(epoch));
        self.fail_over();
    }

    /// The cluster is loaded.
    pub(super) fn loaded(&mut self) {
        if let Role::Active { loading, .. } = &mut self.role {
            *loading = false;
            controller_log!(info, self, "Ready to serve as the new controller with epoch {}", self.epoch());
        }
    }

    /// Drops everything that a controller knows and plans.
    fn resign(&mut self) {
        self.drop_plan();
        if self.is_active() {
            self.role = Role::Standby;
            self.context = Context::default();
            self.effect(Effect::Resigned);
            controller_log!(info, self, "Resigned");
        }
    }

    fn drop_plan(&mut self) {
        self.plan.clear();
        self.batch.clear();
        self.reassignments_to_check.clear();
        self.restarted_leaders.clear();
        self.fail_call();
    }

    fn fail_call(&mut self) {
        if let Some((_, fail)) = self.call {
            self.reply(fail(ErrorCode::NotController));
        }
    }

    /// ZooKeeper did not do what was asked: leave the office, and the election to others for a while.
    fn give_up(&mut self, reason: &str) {
        controller_log!(
            error,
            self,
            "Forcing the controller to resign: a ZooKeeper request failed: {reason}"
        );
        self.held_off = true;
        self.effect(Effect::SetTimer { timer: Timer::Reelect, after_ms: HOLD_OFF_MS });
        let Role::Active { epoch_zk_version, .. } = self.role else { return self.drop_plan() };
        self.resign();
        self.abandoned = Some(epoch_zk_version);
        self.delete_controller(epoch_zk_version);
    }

    /// Gives the office up, unless somebody took it already.
    fn delete_controller(&mut self, epoch_zk_version: i32) {
        let request = ZkRequest::Write { epoch_zk_version, writes: vec![ZkWrite::DeleteController] };
        self.ask(request, |m, _| {
            m.abandoned = None;
            m.check_controller();
        });
    }

    fn expire(&mut self) {
        self.waiting = None;
        self.resign();
        self.registered = false;
        self.held_off = false;
        self.abandoned = None;
        for event in std::mem::take(&mut self.inbox) {
            // Calls are answered; the rest is about the old reign, or about a session that is over as well.
            if matches!(event, Event::Call { .. }) {
                self.begin(event);
            }
        }
    }
}

/// What steps use.
impl Machine {
    /// The steps run next, in this order, before anything planned earlier.
    pub(super) fn plan<const N: usize>(&mut self, steps: [Step; N]) {
        self.plan.extend(steps.into_iter().rev());
    }

    /// One more step to run next.
    pub(super) fn plan_next(&mut self, step: Step) {
        self.plan.push(step);
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Answers the call in hand.
    pub(super) fn reply(&mut self, reply: Reply) {
        let (id, _) = self.call.take().expect("a call is answered once, while it is in hand");
        self.effect(Effect::Reply { id, reply });
    }

    pub(super) fn topic_id(&mut self) -> Uuid {
        (self.new_topic_id)()
    }

    fn ask(&mut self, request: ZkRequest, then: impl FnOnce(&mut Machine, ZkReply) + Send + 'static) {
        assert!(self.waiting.is_none(), "one ZooKeeper request at a time");
        self.zk_requests += 1;
        self.waiting = Some((self.zk_requests, Box::new(then)));
        self.effect(Effect::Zk { id: self.zk_requests, request });
    }

    /// Reads; `then` gets as many values as were asked for. Nothing to read: `then` runs at once.
    pub(super) fn read(
        &mut self,
        reads: Vec<ZkRead>,
        then: impl FnOnce(&mut Machine, Vec<ZkValue>) + Send + 'static,
    ) {
        if reads.is_empty() {
            return then(self, Vec::new());
        }
        let expected = reads.len();
        self.ask(ZkRequest::Read(reads), move |m, reply| match reply {
            ZkReply::Read(values) if values.len() == expected => then(m, values),
            other => m.give_up(&format!("{expected} reads were answered by {other:?}")),
        });
    }

    /// Writes under the controller's epoch; `then` gets as many outcomes as there were writes. Nothing to
    /// write: `then` runs at once.
    pub(super) fn write(
        &mut self,
        writes: Vec<ZkWrite>,
        then: impl FnOnce(&mut Machine, Vec<WriteOutcome>) + Send + 'static,
    ) {
        if writes.is_empty() {
            return then(self, Vec::new());
        }
        let Role::Active { epoch_zk_version, .. } = self.role else {
            unreachable!("only the controller writes")
        };
        let expected = writes.len();
        self.ask(ZkRequest::Write { epoch_zk_version, writes }, move |m, reply| match reply {
            ZkReply::Written(outcomes) if outcomes.len() == expected => then(m, outcomes),
            other => m.give_up(&format!("{expected} writes were answered by {other:?}")),
        });
    }

    /// Writes `/feature`, unfenced as in Kafka.
    pub(super) fn write_feature(
        &mut self,
        create: bool,
        node: super::event::FeatureNode,
        then: impl FnOnce(&mut Machine) + Send + 'static,
    ) {
        self.ask(ZkRequest::WriteFeature { create, node }, move |m, _| then(m));
    }

    /// Sends what the batch collected.
    pub(super) fn flush_batch(&mut self) {
        let epoch = self.epoch();
        self.batch.flush(&self.context, epoch, &mut self.effects);
    }

    /// Tells `brokers` about `partitions` and about all brokers.
    pub(super) fn send_update_metadata(&mut self, brokers: &[BrokerId], partitions: &[TopicPartition]) {
        self.batch.add_update_metadata(brokers, partitions);
        self.flush_batch();
    }
}

/// The only value of a reply to one read.
pub(super) fn one(values: Vec<ZkValue>) -> ZkValue {
    values.into_iter().next().expect("read() checks the number of values")
}
