//! Runs the machine: one task that feeds it events and carries out its effects.
//!
//! - ZooKeeper requests run in a task of their own, one at a time; giving a request up aborts the task.
//! - Watches are armed by reads and fire once; a watch that is armed again replaces the earlier one. The machine
//!   compares whole states, so a watch that fires once too often does no harm.
//! - Each broker has a [`BrokerChannel`]; answers come back as events.
//! - Calls wait outside (their channel is bounded) until the machine is idle; all else goes in at once.

use super::channel::{BrokerChannel, BrokerTransport, OnResponse};
use super::config::ControllerConfig;
use super::context::{LeaderAndIsr, ReplicaAssignment};
use super::effect::{Effect, PartitionResults, ReassignmentResults, Reply};
use super::event::{Call, CallId, ElectionKind, Event, IsrChange, Timer, Watch};
use super::machine::Machine;
use super::zk_requests::{ArmedWatch, ZkRequests};
use crate::common::{BrokerId, ControllerEpoch, ErrorCode, TopicPartition, Uuid, clock};
use crate::zk::{ZkClient, paths};
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinHandle};

/// Calls that wait for the machine before callers have to.
const CALLS_MAX: usize = 128;

/// What a controller needs.
pub struct ControllerDeps {
    /// The controller's part of the configuration.
    pub config: ControllerConfig,
    /// The broker's session: a clone [in the session](ZkClient::in_this_session) in which the broker is registered.
    pub zk: ZkClient,
    /// The way to the brokers.
    pub transport: Arc<dyn BrokerTransport>,
}

/// Starts controllers.
pub struct Controller;

/// What others see of the controller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Status {
    /// The epoch while active.
    epoch: Option<ControllerEpoch>,
}

/// Talks to the controller of this broker, whether it is active or not. Clones share it.
#[derive(Clone)]
pub struct ControllerHandle {
    inputs: mpsc::UnboundedSender<Input>,
    calls: mpsc::Sender<(Call, oneshot::Sender<Reply>)>,
    status: watch::Receiver<Status>,
}

/// What wakes the driver besides calls.
enum Input {
    /// An event; the sender is told when the machine has taken it.
    Event(Box<Event>, Option<oneshot::Sender<()>>),
    /// The answer to a ZooKeeper request, and the watches that it armed.
    Zk { id: u64, reply: super::event::ZkReply, watches: Vec<ArmedWatch> },
    /// The broker is registered in a new session.
    NewSession(ZkClient),
    /// A watch fired.
    Fired { path: String, watch: Watch },
    /// End.
    Stop(oneshot::Sender<()>),
}

impl Controller {
    /// Starts the controller task; the broker must be registered, since the task runs for controller at once.
    pub fn start(deps: ControllerDeps) -> ControllerHandle {
        let (inputs, queue) = mpsc::unbounded_channel();
        let (calls, waiting_calls) = mpsc::channel(CALLS_MAX);
        let status = watch::Sender::new(Status::default());
        let handle = ControllerHandle { inputs: inputs.clone(), calls, status: status.subscribe() };
        let driver = Driver {
            zk: Arc::new(ZkRequests::new(deps.zk, &deps.config)),
            machine: Machine::new(deps.config.clone(), Box::new(Uuid::random)),
            config: deps.config,
            transport: deps.transport,
            inputs: inputs.downgrade(),
            status,
            zk_task: None,
            watches: HashMap::new(),
            channels: BTreeMap::new(),
            timers: Vec::new(),
            replies: BTreeMap::new(),
            next_call: 0,
        };
        tokio::spawn(driver.run(queue, waiting_calls));
        handle.put(Event::Start);
        handle
    }
}

/// Questions and requests.
impl ControllerHandle {
    /// True if this broker is the controller.
    pub fn is_active(&self) -> bool {
        self.status.borrow().epoch.is_some()
    }

    /// The epoch of this controller, if it is active.
    pub fn controller_epoch(&self) -> Option<ControllerEpoch> {
        self.status.borrow().epoch
    }

    /// Waits until this broker is the controller. For tests and start-up.
    pub async fn until_active(&self) {
        let mut status = self.status.clone();
        // An error means that the controller stopped: then it never will be.
        if status.wait_for(|s| s.epoch.is_some()).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Moves leaderships off a broker that wants to leave; gives what it still leads.
    ///
    /// # Errors
    /// NOT_CONTROLLER (the handler answers STALE_CONTROLLER_EPOCH), STALE_BROKER_EPOCH, BROKER_NOT_AVAILABLE,
    /// UNKNOWN_SERVER_ERROR (an unknown broker that sent its epoch).
    pub async fn controlled_shutdown(
        &self,
        broker: BrokerId,
        broker_epoch: i64,
    ) -> Result<Vec<TopicPartition>, ErrorCode> {
        match self.call(Call::ControlledShutdown { broker, broker_epoch }).await {
            Some(Reply::ControlledShutdown(result)) => result,
            _ => Err(ErrorCode::NotController),
        }
    }

    /// Elects leaders; per partition the new one, or ELECTION_NOT_NEEDED, PREFERRED_LEADER_NOT_AVAILABLE,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE, UNKNOWN_TOPIC_OR_PARTITION, INVALID_TOPIC_EXCEPTION (being deleted).
    ///
    /// # Errors
    /// NOT_CONTROLLER.
    pub async fn elect_leaders(
        &self,
        partitions: Vec<TopicPartition>,
        kind: ElectionKind,
    ) -> PartitionResults<BrokerId> {
        match self.call(Call::ElectLeaders { partitions, kind }).await {
            Some(Reply::ElectLeaders(result)) => result,
            _ => Err(ErrorCode::NotController),
        }
    }

    /// Changes ISRs for their leader; per partition the state as it is now, or FENCED_LEADER_EPOCH,
    /// INVALID_UPDATE_VERSION, UNKNOWN_TOPIC_OR_PARTITION, INVALID_REQUEST.
    ///
    /// # Errors
    /// NOT_CONTROLLER, STALE_BROKER_EPOCH.
    pub async fn alter_isr(
        &self,
        broker: BrokerId,
        broker_epoch: i64,
        changes: Vec<IsrChange>,
    ) -> PartitionResults<LeaderAndIsr> {
        match self.call(Call::AlterIsr { broker, broker_epoch, changes }).await {
            Some(Reply::AlterIsr(result)) => result,
            _ => Err(ErrorCode::NotController),
        }
    }

    /// Moves replicas (no replicas: cancels); per partition whether that is under way.
    ///
    /// # Errors
    /// NOT_CONTROLLER.
    pub async fn alter_reassignments(
        &self,
        asked: Vec<(TopicPartition, Option<Vec<BrokerId>>)>,
    ) -> Result<ReassignmentResults, ErrorCode> {
        match self.call(Call::AlterReassignments(asked)).await {
            Some(Reply::AlterReassignments(result)) => result,
            _ => Err(ErrorCode::NotController),
        }
    }

    /// The reassignments under way, of these partitions or (`None`) of all.
    ///
    /// # Errors
    /// NOT_CONTROLLER.
    pub async fn list_reassignments(
        &self,
        partitions: Option<Vec<TopicPartition>>,
    ) -> Result<Vec<(TopicPartition, ReplicaAssignment)>, ErrorCode> {
        match self.call(Call::ListReassignments(partitions)).await {
            Some(Reply::ListReassignments(result)) => result,
            _ => Err(ErrorCode::NotController),
        }
    }

    /// `unclean.leader.election.enable` of a topic was switched on.
    pub fn unclean_election_enabled(&self, topic: ByteString) {
        self.put(Event::UncleanElectionEnabled(topic));
    }

    /// The default of `unclean.leader.election.enable` is now this.
    pub fn set_unclean_election_default(&self, enabled: bool) {
        self.put(Event::UncleanElectionDefault(enabled));
    }

    /// The session is over. When this returns, the controller has resigned; then register again and call
    /// [`ControllerHandle::session_established`].
    pub async fn session_expired(&self) {
        let (done, taken) = oneshot::channel();
        let _ = self.inputs.send(Input::Event(Box::new(Event::SessionExpired), Some(done)));
        let _ = taken.await;
    }

    /// The broker is registered in a new session; run for controller again. `zk` is a clone
    /// [in that session](ZkClient::in_this_session), taken before registering.
    pub fn session_established(&self, zk: ZkClient) {
        // Nobody listens after stop().
        let _ = self.inputs.send(Input::NewSession(zk));
    }

    /// Stops the controller without touching ZooKeeper: the end of the session gives the office up.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        let _ = self.inputs.send(Input::Stop(done));
        let _ = stopped.await;
    }

    fn put(&self, event: Event) {
        // Nobody listens after stop().
        let _ = self.inputs.send(Input::Event(Box::new(event), None));
    }

    async fn call(&self, call: Call) -> Option<Reply> {
        let (reply, answer) = oneshot::channel();
        self.calls.send((call, reply)).await.ok()?;
        answer.await.ok()
    }
}

struct Driver {
    machine: Machine,
    zk: Arc<ZkRequests>,
    transport: Arc<dyn BrokerTransport>,
    config: ControllerConfig,
    inputs: mpsc::WeakUnboundedSender<Input>,
    status: watch::Sender<Status>,
    zk_task: Option<JoinHandle<()>>,
    watches: HashMap<String, AbortHandle>,
    channels: BTreeMap<BrokerId, BrokerChannel>,
    timers: Vec<(Timer, AbortHandle)>,
    replies: BTreeMap<CallId, oneshot::Sender<Reply>>,
    next_call: CallId,
}

impl Driver {
    async fn run(
        mut self,
        mut queue: mpsc::UnboundedReceiver<Input>,
        mut calls: mpsc::Receiver<(Call, oneshot::Sender<Reply>)>,
    ) {
        loop {
            tokio::select! {
                biased;
                input = queue.recv() => match input {
                    Some(Input::Stop(done)) => {
                        self.stop();
                        let _ = done.send(());
                        return;
                    }
                    Some(input) => self.take(input),
                    // All handles are gone.
                    None => return self.stop(),
                },
                Some((call, reply)) = calls.recv(), if self.machine.is_idle() => {
                    self.next_call += 1;
                    self.replies.insert(self.next_call, reply);
                    self.step(Event::Call { id: self.next_call, call });
                }
            }
        }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Event(event, done) => {
                self.step(*event);
                if let Some(done) = done {
                    let _ = done.send(());
                }
            }
            Input::Zk { id, reply, watches } => {
                for armed in watches {
                    self.arm(armed);
                }
                self.step(Event::Zk { id, reply });
            }
            Input::NewSession(zk) => {
                self.zk = Arc::new(ZkRequests::new(zk, &self.config));
                self.step(Event::SessionEstablished);
            }
            Input::Fired { path, watch } => {
                self.watches.remove(&path);
                self.step(Event::Changed(watch));
            }
            Input::Stop(_) => unreachable!("run() takes these"),
        }
    }

    fn step(&mut self, event: Event) {
        for effect in self.machine.step(event) {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Zk { id, request } => {
                let (zk, inputs) = (self.zk.clone(), self.inputs.clone());
                let task = tokio::spawn(async move {
                    let (reply, watches) = zk.perform(request).await;
                    send(&inputs, Input::Zk { id, reply, watches });
                });
                if let Some(given_up) = self.zk_task.replace(task) {
                    given_up.abort();
                }
            }
            Effect::AddBroker(broker) => {
                if let Some(channel) = self.channels.get(&broker.id).filter(|c| c.epoch() == broker.epoch) {
                    return channel.set_address(&broker, &self.config.inter_broker_listener);
                }
                let inputs = self.inputs.clone();
                let on_response: OnResponse = Arc::new(move |response| {
                    send(&inputs, Input::Event(Box::new(Event::Response(Box::new(response))), None));
                });
                let (reign, transport) = (self.machine.id_and_epoch(), self.transport.clone());
                let channel = BrokerChannel::open(
                    &broker,
                    &self.config.inter_broker_listener,
                    reign,
                    transport,
                    on_response,
                );
                self.channels.insert(broker.id, channel);
            }
            Effect::RemoveBroker(id) => {
                self.channels.remove(&id);
            }
            Effect::Send { broker, broker_epoch, request } => {
                if let Some(channel) = self.channels.get(&broker).filter(|c| c.epoch() == broker_epoch) {
                    channel.send(request);
                }
            }
            Effect::SetTimer { timer, after_ms } => self.set_timer(timer, after_ms),
            Effect::Activated(epoch) => {
                self.status.send_replace(Status { epoch: Some(epoch) });
            }
            Effect::Resigned => self.leave_office(),
            Effect::Reply { id, reply } => {
                if let Some(caller) = self.replies.remove(&id) {
                    // The caller may have given up.
                    let _ = caller.send(reply);
                }
            }
        }
    }

    fn arm(&mut self, armed: ArmedWatch) {
        let ArmedWatch { zk_watch, watch } = armed;
        let path = zk_watch.path().to_string();
        let inputs = self.inputs.clone();
        let key = path.clone();
        let task = tokio::spawn(async move {
            zk_watch.changed().await;
            send(&inputs, Input::Fired { path, watch });
        });
        if let Some(earlier) = self.watches.insert(key, task.abort_handle()) {
            earlier.abort();
        }
    }

    fn set_timer(&mut self, timer: Timer, after_ms: i64) {
        let inputs = self.inputs.clone();
        let deadline = clock::deadline_after_ms(after_ms);
        let task = tokio::spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            send(&inputs, Input::Event(Box::new(Event::Timer(timer)), None));
        });
        self.timers.retain(|(kind, handle)| {
            if *kind == timer {
                handle.abort();
            }
            *kind != timer
        });
        self.timers.push((timer, task.abort_handle()));
    }

    fn leave_office(&mut self) {
        self.status.send_replace(Status::default());
        self.channels.clear();
        if let Some(task) = self.zk_task.take() {
            task.abort();
        }
        for (path, watch) in &self.watches {
            if path != paths::CONTROLLER {
                watch.abort();
            }
        }
        self.watches.retain(|path, _| path == paths::CONTROLLER);
        self.timers.retain(|(timer, handle)| {
            if *timer == Timer::AutoRebalance {
                handle.abort();
            }
            *timer != Timer::AutoRebalance
        });
    }

    fn stop(&mut self) {
        self.leave_office();
        for (_, watch) in self.watches.drain() {
            watch.abort();
        }
        for (_, timer) in self.timers.drain(..) {
            timer.abort();
        }
    }
}

/// Sends to the driver, if it still listens.
fn send(inputs: &mpsc::WeakUnboundedSender<Input>, input: Input) {
    if let Some(inputs) = inputs.upgrade() {
        let _ = inputs.send(input);
    }
}
