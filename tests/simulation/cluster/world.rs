//! Everything there is, and what happens next. The files beside this one add verbs to the world: what arrives
//! ([`network`](super::network)), leaders, followers, controllers, clients, failures.

use super::broker::Broker;
use super::bug::Bug;
use super::check::Checks;
use super::client::Clients;
use super::disk::{self, Entry};
use super::ensemble::Ensemble;
use super::follower;
use super::isr::IsrStep;
use super::network::Message;
use super::setup::{Setup, TOPIC};
use crate::rng::Rng;
use ottla::common::{BrokerId, clock};
use ottla::controller::event::{Timer, Watch, ZkReply};
use ottla::controller::zk_requests::ArmedWatch;
use ottla::zk::ZkClient;
use ottla::zk::data::TopicAssignment;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// When the clock of a world begins: any time will do that is long after 1970.
const BEGIN_MS: i64 = 1_600_000_000_000;

pub enum Event {
    Deliver(Message),
    /// For one life of a broker.
    At(BrokerId, u64, Inner),
    Start(usize),
    /// A session times out whose owner was cut off, or is no more.
    Expire(i64, Option<ZkClient>),
    /// A broker reaches ZooKeeper again.
    Reconnect(i64),
    Mend(Vec<(BrokerId, BrokerId)>),
    Client(usize),
    Consumer(i32),
    Chaos,
}

/// What happens inside of a process.
pub enum Inner {
    /// The fetcher from this leader has something to do.
    Fetcher(BrokerId),
    /// Partitions came for a fetcher that waits.
    Grace(BrokerId, u64),
    /// No answer came to an exchange with this leader.
    ExchangeOver(BrokerId, u64),
    /// No answer came to this controller's request to a broker.
    ControlOver(BrokerId, u64),
    ZkStep(u64),
    ZkDone(u64, Box<ZkReply>, Vec<ArmedWatch>),
    Fired(Watch),
    Timer(Timer, u64),
    SessionLost,
    Isr(IsrStep),
    LookAtIsr,
    Checkpoint,
    RunBlocking,
    ParkedOver(u64),
}

/// One place for a broker: its directory stays, processes come and go.
pub struct Slot {
    pub directory: PathBuf,
    pub life: u64,
    pub broker: Option<Broker>,
    pub paused_until_ms: i64,
    /// The logs as the last crash left them, by partition.
    pub kept: Vec<Vec<Entry>>,
}

/// How often things go wrong on the way, in percent.
pub struct Weather {
    pub loss: u64,
    pub late: u64,
    pub twice: u64,
}

pub struct World {
    pub rng: Rng,
    pub setup: Setup,
    pub now_ms: i64,
    events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    pub slots: Vec<Slot>,
    pub ensemble: Ensemble,
    /// A client has come back, perhaps into another session.
    sessions_moved: bool,
    pub cut_links: BTreeSet<(BrokerId, BrokerId)>,
    pub weather: Weather,
    pub clients: Clients,
    pub checks: Checks,
    pub faults: bool,
    pub tokens: u64,
    /// Of everything that happened.
    pub hash: u64,
    pub traces: bool,
    pub trace: Vec<String>,
    runtime: Rc<Runtime>,
    _directory: tempfile::TempDir,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>, runtime: Rc<Runtime>) -> World {
        clock::simulate(Some(BEGIN_MS));
        let mut rng = Rng::new(seed);
        let setup = Setup::draw(&mut rng, bug);
        let directory = disk::root();
        let slot = |at: usize| Slot {
            directory: directory.path().join(at.to_string()),
            life: 0,
            broker: None,
            paused_until_ms: 0,
            kept: vec![Vec::new(); setup.replicas.len()],
        };
        let rough = rng.pick(&[0, 1, 1, 4]);
        let mut world = World {
            slots: (0..setup.brokers).map(slot).collect(),
            clients: Clients::new(&setup),
            checks: Checks::new(&setup),
            weather: Weather { loss: rough, late: rng.pick(&[1, 3, 8]), twice: rough },
            rng,
            setup,
            now_ms: BEGIN_MS,
            events: BTreeMap::new(),
            sequence: 0,
            ensemble: Ensemble::new(),
            sessions_moved: false,
            cut_links: BTreeSet::new(),
            faults: true,
            tokens: 0,
            hash: 0xcbf2_9ce4_8422_2325,
            traces: false,
            trace: Vec::new(),
            runtime,
            _directory: directory,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let replicas = self.setup.replicas.iter().cloned();
        let partitions = (0..).zip(replicas).collect();
        self.ensemble.create_topic(TOPIC, &TopicAssignment::of(None, partitions));
        for at in 0..self.slots.len() {
            let after_ms = self.rng.within(0..40) as i64;
            self.after(after_ms, Event::Start(at));
        }
        for client in 0..Clients::PRODUCERS {
            self.after(300, Event::Client(client));
        }
        for partition in self.setup.partitions() {
            self.after(400, Event::Consumer(partition));
        }
        self.after(600, Event::Chaos);
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.setup.bug == Some(bug)
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.rng.within(0..100) < percent
    }

    /// Something goes wrong, while things do.
    pub fn mishap(&mut self, percent: u64) -> bool {
        let strikes = self.chance(percent);
        strikes && self.faults
    }

    pub fn after(&mut self, ms: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now_ms + ms, self.sequence), event);
    }

    /// For the present life of a broker.
    pub fn later(&mut self, at: usize, ms: i64, inner: Inner) {
        let life = self.slots[at].life;
        self.after(ms, Event::At(at as BrokerId, life, inner));
    }

    pub fn token(&mut self) -> u64 {
        self.tokens += 1;
        self.tokens
    }

    /// Notes what happened: in the hash of the run, and in words if somebody wants to read them.
    pub fn trace(&mut self, words: impl FnOnce() -> String) {
        if self.traces {
            let line = format!("{} {}", self.now_ms - BEGIN_MS, words());
            self.trace.push(line);
        }
    }

    pub fn mix(&mut self, value: i64) {
        self.hash = (self.hash ^ value as u64).wrapping_mul(0x0100_0000_01b3).rotate_left(17);
    }

    pub fn since_begin_ms(&self) -> i64 {
        self.now_ms - BEGIN_MS
    }

    /// The next thing happens. False if nothing ever will.
    pub fn step(&mut self) -> Result<bool, String> {
        let Some(((at_ms, number), event)) = self.events.pop_first() else { return Ok(false) };
        if at_ms > self.now_ms {
            let passed = Duration::from_millis((at_ms - self.now_ms) as u64);
            self.runtime.block_on(tokio::time::advance(passed));
            self.now_ms = at_ms;
            clock::simulate(Some(at_ms));
        }
        self.mix(at_ms);
        self.mix(number as i64);
        match event {
            Event::Deliver(message) => self.deliver(message)?,
            Event::At(broker, life, inner) => self.happen(broker as usize, life, inner)?,
            Event::Start(at) => self.start(at)?,
            Event::Expire(session, owner) => {
                self.ensemble.server.expire(session);
                drop(owner);
            }
            Event::Reconnect(session) => {
                self.ensemble.server.reconnect(session);
                self.sessions_moved = true;
            }
            Event::Mend(links) => self.cut_links.retain(|link| !links.contains(link)),
            Event::Client(number) => self.act(number),
            Event::Consumer(partition) => self.read_on(partition),
            Event::Chaos => self.chaos()?,
        }
        self.watch_ensemble()?;
        Ok(true)
    }

    fn happen(&mut self, at: usize, life: u64, inner: Inner) -> Result<(), String> {
        let slot = &self.slots[at];
        if slot.broker.is_none() || slot.life != life {
            return Ok(());
        }
        if slot.paused_until_ms > self.now_ms {
            let wait_ms = slot.paused_until_ms - self.now_ms;
            self.after(wait_ms, Event::At(at as BrokerId, life, inner));
            return Ok(());
        }
        match inner {
            Inner::Fetcher(leader) => self.fetcher_is_due(at, leader),
            Inner::Grace(leader, exchange) => self.interrupt(at, leader, exchange),
            Inner::ExchangeOver(leader, exchange) => self.exchange_failed(at, leader, exchange),
            Inner::ControlOver(broker, token) => self.control_over(at, broker, token),
            Inner::ZkStep(id) => self.zk_step(at, id)?,
            Inner::ZkDone(id, reply, watches) => self.zk_done(at, id, *reply, watches)?,
            Inner::Fired(watch) => {
                self.step_controller(at, ottla::controller::event::Event::Changed(watch))?
            }
            Inner::Timer(timer, token) => self.timer(at, timer, token)?,
            Inner::SessionLost => self.session_lost(at)?,
            Inner::Isr(step) => self.isr_step(at, step)?,
            Inner::LookAtIsr => self.look_at_isr(at),
            Inner::Checkpoint => {
                self.broker(at).checkpoint();
                let after_ms = self.rng.within(100..600) as i64;
                self.later(at, after_ms, Inner::Checkpoint);
            }
            Inner::RunBlocking => self.run_blocking(at),
            Inner::ParkedOver(id) => self.broker(at).woken.lock().expect("one thread").push(id),
        }
        self.settle(at)
    }

    /// A broker that lives: the caller has looked.
    pub fn broker(&mut self, at: usize) -> &mut Broker {
        self.slots[at].broker.as_mut().expect("it lives")
    }

    fn run_blocking(&mut self, at: usize) {
        let broker = self.broker(at);
        broker.blocking_is_due = false;
        let work = broker.blocking.lock().expect("one thread").pop_front();
        if let Some(work) = work {
            work();
        }
    }

    /// What follows from what a broker was just given.
    pub fn settle(&mut self, at: usize) -> Result<(), String> {
        if self.slots[at].broker.is_none() {
            return Ok(());
        }
        self.take_wanted_isrs(at);
        self.answer_fetches(at)?;
        self.answer_produces(at)?;
        let broker = self.broker(at);
        let is_due = !broker.blocking_is_due && !broker.blocking.lock().expect("one thread").is_empty();
        if is_due {
            broker.blocking_is_due = true;
            let after_ms = self.rng.within(1..12) as i64;
            self.later(at, after_ms, Inner::RunBlocking);
        }
        if let Ok(failure) = self.broker(at).failures.try_recv() {
            return Err(format!("the directory of broker {at} failed: {failure}"));
        }
        follower::ask_all(self, at);
        self.register(at)?;
        self.check_broker(at)
    }

    /// What brokers see when something was written, or a session ended.
    fn watch_ensemble(&mut self) -> Result<(), String> {
        let is_same = !self.ensemble.was_written();
        if is_same && !std::mem::take(&mut self.sessions_moved) {
            return Ok(());
        }
        self.check_states()?;
        for at in 0..self.slots.len() {
            if self.slots[at].broker.is_none() {
                continue;
            }
            for watch in self.broker(at).control.fired() {
                let lost = self.has(Bug::BrokerWatchLost) && watch == Watch::Brokers;
                let after_ms = self.rng.within(1..20) as i64;
                if !lost {
                    self.later(at, after_ms, Inner::Fired(watch));
                }
            }
            let broker = self.broker(at);
            let sessions = broker.zk.status().sessions;
            if sessions != broker.sessions_seen {
                broker.sessions_seen = sessions;
                let after_ms = self.rng.within(1..60) as i64;
                self.later(at, after_ms, Inner::SessionLost);
            }
            if self.slots[at].paused_until_ms <= self.now_ms {
                self.register(at)?;
            }
        }
        Ok(())
    }

    /// Goes on with a registration that is under way; then the controller may run for office.
    fn register(&mut self, at: usize) -> Result<(), String> {
        let Some(session) = self.broker(at).poll_registration() else { return Ok(()) };
        let epoch = self.broker(at).epoch;
        self.trace(|| format!("broker {at} is registered with epoch {epoch}"));
        self.in_session(at, session)
    }
}
