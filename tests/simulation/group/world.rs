//! Everything around the machine, decided by a seed.

use super::bug::Bug;
use super::check::Checks;
use super::consumer::{Ask, Consumer, Phase, REBALANCE_TIMEOUT_MS, SESSION_TIMEOUT_MS, decode};
use super::journal::Journal;
use crate::rng::Rng;
use bytes::Bytes;
use bytestring::ByteString;
use ottla::common::{ErrorCode, TopicPartition};
use ottla::config::IbpVersion;
use ottla::coordinator::group::join::JoinRequest;
use ottla::coordinator::group::membership::MemberRef;
use ottla::coordinator::group::offsets::{CommittedOffset, OffsetsStorage};
use ottla::coordinator::group::records::RecordFormat;
use ottla::coordinator::group::shard::{CommitRequest, Shard};
use ottla::coordinator::group::step::{
    Answer, Caller, Effect, GroupSettings, Now, OffsetsToStore, Purpose, Step, StoreFailure, StoreResult,
};
use ottla::coordinator::group::sync::SyncRequest;
use ottla::record::control::end_transaction_marker;
use std::collections::{BTreeMap, HashMap};

pub const PARTITIONS: i32 = 6;
const GROUP: ByteString = ByteString::from_static("g");
const FORMAT: RecordFormat =
    RecordFormat { ibp: IbpVersion::LATEST, compression: ottla::record::Compression::None };
const SETTINGS: GroupSettings = GroupSettings {
    session_timeout_ms_min: 1_000,
    session_timeout_ms_max: 60_000,
    initial_rebalance_delay_ms: 1_000,
    group_size_max: 100,
    metadata_size_max: 16,
    offsets_retention_ms: i64::MAX,
};

/// A request on its way.
#[derive(Clone)]
struct Request {
    id: u64,
    from: usize,
    member_id: ByteString,
    generation: i32,
    ask: Ask,
}

/// An answer on its way.
#[derive(Clone)]
enum Response {
    Join(Box<ottla::protocol::messages::join_group::JoinGroupResponse>),
    Sync(ottla::protocol::messages::sync_group::SyncGroupResponse),
    Code(ErrorCode),
    Committed(ErrorCode),
}

enum Event {
    Deliver(Request),
    Hear(usize, u64, Response),
    /// An effect that stores something ends, in the life of the shard that wanted it.
    Stored(u64, Box<Effect>, StoreResult, Option<usize>),
    Tick(u64, i64),
    Act(usize),
    Load,
    Chaos,
}

/// Who waits for an answer of the shard.
struct Waiting {
    request: Request,
}

pub struct World {
    rng: Rng,
    bug: Option<Bug>,
    now_ms: i64,
    wall_ms: i64,
    events: BTreeMap<(i64, u64), Event>,
    sequence: u64,
    shard: Option<Shard>,
    life: u64,
    journal: Journal,
    waiting: HashMap<usize, Waiting>,
    callers: usize,
    pub consumers: Vec<Consumer>,
    values: i64,
    faults: bool,
    checks: Checks,
    pub traces: bool,
    pub trace: Vec<String>,
}

fn partition(number: i32) -> TopicPartition {
    TopicPartition::new("t", number)
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> World {
        let mut world = World {
            rng: Rng::new(seed),
            bug,
            now_ms: 0,
            wall_ms: 1_000_000,
            events: BTreeMap::new(),
            sequence: 0,
            shard: Some(Shard::new(OffsetsStorage::Kafka)),
            life: 0,
            journal: Journal::default(),
            waiting: HashMap::new(),
            callers: 0,
            consumers: Vec::new(),
            values: 0,
            faults: true,
            checks: Checks::default(),
            traces: false,
            trace: Vec::new(),
        };
        for number in 0..3 {
            world.add_consumer((number == 0).then_some("i0"));
        }
        world.after(500, Event::Chaos);
        world
    }

    /// Requests that the shard has neither answered nor lost in a crash.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn add_consumer(&mut self, instance: Option<&str>) {
        let number = self.consumers.len();
        let range_first = self.chance(70);
        self.consumers.push(Consumer::new(format!("c{number}"), instance, number as i64, range_first));
        self.after(1, Event::Act(number));
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.within(0..100) < percent
    }

    fn after(&mut self, ms: i64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now_ms + ms, self.sequence), event);
    }

    fn delay(&mut self) -> i64 {
        if self.faults && self.chance(5) {
            self.rng.within(1..4_000) as i64
        } else {
            self.rng.within(1..30) as i64
        }
    }

    /// The next thing that happens.
    pub fn step(&mut self) -> Result<(), String> {
        let Some(((at_ms, _), event)) = self.events.pop_first() else { return Ok(()) };
        self.wall_ms += at_ms - self.now_ms;
        self.now_ms = at_ms;
        match event {
            Event::Deliver(request) => self.deliver(request)?,
            Event::Hear(to, id, response) => self.hear(to, id, response)?,
            Event::Stored(life, effect, result, place) => self.stored(life, *effect, result, place)?,
            Event::Tick(life, at_ms) if life == self.life && self.bug != Some(Bug::NoTimers) => {
                self.on_shard(|shard, step| shard.tick(&GROUP, at_ms, step))?;
            }
            Event::Tick(..) => {}
            Event::Act(number) => self.act(number),
            Event::Load => self.load()?,
            Event::Chaos => self.chaos(),
        }
        if let Some(shard) = &self.shard {
            shard.check();
        }
        self.read_something()
    }

    /// No more faults; everything gets the time that it needs.
    pub fn come_to_rest(&mut self) -> Result<(), String> {
        self.faults = false;
        let until_ms = self.now_ms + 400_000;
        while self.now_ms < until_ms {
            for _ in 0..50 {
                self.step()?;
            }
            // Consumers that pause still believe in their old assignment.
            let awake = self.consumers.iter().all(|consumer| consumer.paused_until_ms < self.now_ms);
            if awake && super::check::rest::all_work(self).is_ok() {
                break;
            }
        }
        Ok(())
    }

    fn on_shard(&mut self, act: impl FnOnce(&mut Shard, &mut Step<'_>)) -> Result<(), String> {
        let Some(shard) = &mut self.shard else { return Ok(()) };
        let mut effects = Vec::new();
        let now = Now { monotonic_ms: self.now_ms, wall_ms: self.wall_ms };
        act(shard, &mut Step { now, settings: &SETTINGS, effects: &mut effects });
        if self.traces {
            self.trace.push(format!("{} {effects:?}", self.now_ms));
        }
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn perform(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Answer(caller, answer) => self.answer(caller, answer)?,
            Effect::Wake { at_ms, .. } => {
                let (life, wait_ms) = (self.life, (at_ms - self.now_ms).max(0));
                self.after(wait_ms, Event::Tick(life, at_ms));
            }
            Effect::StoreGroup { ref group, ref value, ref purpose } => {
                let batch = FORMAT.group_batch(&group.id, value, self.now_ms).expect("a batch");
                let written = self.bug != Some(Bug::GroupsNotWritten);
                let doubled =
                    (self.bug == Some(Bug::AssignedTwice)).then(|| assigned_twice(purpose)).flatten();
                let effect = match doubled {
                    Some(purpose) => {
                        Effect::StoreGroup { group: group.clone(), value: value.clone(), purpose }
                    }
                    None => effect,
                };
                self.write(&batch, written, effect);
            }
            Effect::StoreOffsets(ref store) => {
                let batch = FORMAT
                    .offsets_batch(&store.group.id, &store.offsets, store.producer, self.now_ms)
                    .expect("a batch");
                let written = self.bug != Some(Bug::OffsetsNotWritten);
                self.write(&batch, written, effect);
            }
            Effect::Tombstones { ref group, ref partitions, group_is_gone } => {
                let batch =
                    FORMAT.tombstones_batch(group, partitions, group_is_gone, self.now_ms).expect("a batch");
                self.journal.append(&batch);
            }
            Effect::HandOver { .. } => return Err("offsets were handed over".to_string()),
        }
        Ok(())
    }

    /// Appends, and reports later; sometimes it fails, before or after the record is in the log.
    fn write(&mut self, batch: &Bytes, written: bool, effect: Effect) {
        let fails = self.faults && self.chance(4);
        let (life, delay) = (self.life, self.delay());
        if fails && self.chance(50) {
            return self.after(
                delay,
                Event::Stored(life, Box::new(effect), Err(StoreFailure::NotCoordinator), None),
            );
        }
        let (place, offset) = if written { self.journal.append(batch) } else { (0, 0) };
        if let (Effect::StoreOffsets(store), true) = (&effect, written) {
            for (_, committed) in &store.offsets {
                self.checks.commits.written(committed.offset, offset);
            }
        }
        let told = if self.bug == Some(Bug::OffsetsPlacedWrong) { -offset } else { offset };
        let result = if fails { Err(StoreFailure::TimedOut) } else { Ok(told) };
        self.after(delay, Event::Stored(life, Box::new(effect), result, written.then_some(place)));
    }

    fn stored(
        &mut self,
        life: u64,
        effect: Effect,
        result: StoreResult,
        place: Option<usize>,
    ) -> Result<(), String> {
        if life != self.life {
            return Ok(());
        }
        if let (Some(place), Ok(_)) = (place, result) {
            self.journal.commit(place);
        }
        match effect {
            Effect::StoreGroup { group, purpose, .. } => {
                self.on_shard(|shard, step| shard.group_stored(&group, purpose, result, step))
            }
            Effect::StoreOffsets(store) => self.offsets_stored(store, result),
            _ => Ok(()),
        }
    }

    fn offsets_stored(&mut self, store: OffsetsToStore, result: StoreResult) -> Result<(), String> {
        if let (Ok(told), None) = (result, store.producer) {
            for (_, committed) in &store.offsets {
                self.checks.commits.acknowledged(committed.offset, told.abs());
            }
        }
        if let (Ok(_), Some((producer, _))) = (result, store.producer) {
            self.consumers[producer as usize].unconfirmed -= 1;
        }
        self.on_shard(|shard, step| shard.offsets_stored(store, result, step))
    }

    fn answer(&mut self, caller: Caller, answer: Answer) -> Result<(), String> {
        let Some(waiting) = self.waiting.remove(&caller.0) else {
            return Err(format!("{caller:?} was answered twice, or never asked"));
        };
        let from = waiting.request.from;
        let response = match answer {
            Answer::Join(mut response) => {
                if response.error_code == 0 {
                    self.checks.generations.joined(response.generation_id)?;
                    if let Some(instance) = &self.consumers[from].instance {
                        self.checks.fencing.joined(instance, &response.member_id);
                    }
                    if self.bug == Some(Bug::OldGenerationTold) {
                        response.generation_id -= 1;
                    }
                }
                Response::Join(response)
            }
            Answer::Sync(_) if self.bug == Some(Bug::NoSyncAnswers) => return Ok(()),
            Answer::Sync(response) => Response::Sync(response),
            Answer::Commit(code) => Response::Committed(code),
        };
        self.respond(&waiting.request, response);
        Ok(())
    }

    fn respond(&mut self, request: &Request, response: Response) {
        let delay = self.delay();
        if self.faults && self.chance(2) {
            return;
        }
        self.after(delay, Event::Hear(request.from, request.id, response));
    }

    fn deliver(&mut self, request: Request) -> Result<(), String> {
        if self.shard.is_none() {
            let code = ErrorCode::NotCoordinator;
            let response = match request.ask {
                Ask::Commit(_) | Ask::TransactionalCommit(_) => Response::Committed(code),
                _ => Response::Code(code),
            };
            self.respond(&request, response);
            return Ok(());
        }
        let instance = self.consumers[request.from].instance.clone();
        let mut member = MemberRef { member_id: request.member_id.clone(), instance_id: instance.clone() };
        if self.bug == Some(Bug::NoFencing) && !matches!(request.ask, Ask::Join) {
            self.pass_for_successor(&mut member);
        }
        self.callers += 1;
        let caller = Caller(self.callers);
        match request.ask.clone() {
            Ask::Join => {
                let join = self.join_request(&request);
                self.waiting.insert(caller.0, Waiting { request });
                self.on_shard(|shard, step| shard.join(&GROUP, join, caller, step))
            }
            Ask::Sync(assignments) => {
                let sync = SyncRequest {
                    member_id: member.member_id,
                    instance_id: member.instance_id,
                    generation: request.generation,
                    protocol_type: None,
                    protocol_name: None,
                    assignments,
                };
                self.waiting.insert(caller.0, Waiting { request });
                self.on_shard(|shard, step| shard.sync(&GROUP, sync, caller, step))
            }
            Ask::Heartbeat => {
                let mut answered = Ok(());
                self.on_shard(|shard, step| {
                    answered = shard.heartbeat(&GROUP, &member, request.generation, step);
                })?;
                if answered.is_ok() {
                    self.check_fencing(&request)?;
                }
                self.respond(&request, Response::Code(answered.err().unwrap_or(ErrorCode::None)));
                Ok(())
            }
            Ask::Leave => self.on_shard(|shard, step| drop(shard.leave(&GROUP, &[member], step))),
            Ask::Commit(values) => self.commit(request, member, values, None, caller),
            Ask::TransactionalCommit(values) => {
                let producer = self.consumers[request.from].producer_id;
                self.commit(request, member, values, Some((producer, 0)), caller)
            }
        }
    }

    fn pass_for_successor(&self, member: &mut MemberRef) {
        let Some(instance) = member.instance_id.take() else { return };
        let group = self.shard.as_ref().and_then(|shard| shard.group(&GROUP));
        let found = group.and_then(|group| {
            group
                .members()
                .iter()
                .find(|(_, m)| m.instance_id.as_ref() == Some(&instance))
                .map(|(id, _)| id.clone())
        });
        member.member_id = found.unwrap_or_else(|| member.member_id.clone());
    }

    fn check_fencing(&self, request: &Request) -> Result<(), String> {
        match &self.consumers[request.from].instance {
            Some(instance) => self.checks.fencing.accepted(instance, &request.member_id),
            None => Ok(()),
        }
    }

    fn join_request(&mut self, request: &Request) -> JoinRequest {
        let consumer = &self.consumers[request.from];
        let fresh = format!("{}-{}", consumer.name, self.callers);
        JoinRequest {
            member_id: request.member_id.clone(),
            instance_id: consumer.instance.clone(),
            fresh_member_id: ByteString::from(fresh),
            needs_known_member_id: consumer.is_new_style,
            client_id: ByteString::from(consumer.name.as_str()),
            client_host: ByteString::from_static("/127.0.0.1"),
            rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
            session_timeout_ms: SESSION_TIMEOUT_MS,
            protocol_type: ByteString::from_static("consumer"),
            protocols: consumer.protocols.clone(),
        }
    }

    fn commit(
        &mut self,
        request: Request,
        member: MemberRef,
        values: Vec<(i32, i64)>,
        producer: Option<(i64, i16)>,
        caller: Caller,
    ) -> Result<(), String> {
        let group = self.shard.as_ref().and_then(|shard| shard.group(&GROUP));
        let current = group.map_or(-1, |group| group.generation());
        let generation =
            if self.bug == Some(Bug::StaleGenerationPasses) { current } else { request.generation };
        let offset = |(number, value): &(i32, i64)| {
            let committed = CommittedOffset {
                offset: *value,
                leader_epoch: None,
                metadata: ByteString::new(),
                commit_timestamp_ms: self.wall_ms,
                expire_timestamp_ms: None,
            };
            (partition(*number), committed)
        };
        let offsets = values.iter().map(offset).collect();
        let commit = CommitRequest { member, generation, producer, offsets };
        self.waiting.insert(caller.0, Waiting { request: request.clone() });
        let mut codes = Vec::new();
        self.on_shard(|shard, step| codes = shard.commit(&GROUP, commit, caller, step))?;
        if codes.iter().all(|code| code.is_none()) {
            self.checks.generations.accepted(request.generation)?;
            return self.check_fencing(&request);
        }
        self.waiting.remove(&caller.0);
        self.respond(&request, Response::Committed(codes[0]));
        Ok(())
    }

    fn hear(&mut self, to: usize, id: u64, response: Response) -> Result<(), String> {
        let now_ms = self.now_ms;
        let consumer = &mut self.consumers[to];
        let expected = consumer.waits_for == Some(id);
        match response {
            _ if !consumer.is_alive() => {}
            Response::Join(response) if expected => consumer.hear_join(&response),
            Response::Sync(response) if expected => {
                consumer.hear_sync(&response, now_ms);
                if response.error_code == 0 {
                    let (generation, owner) = (consumer.generation, consumer.owner());
                    self.checks.owners.told(generation, &owner, &decode(&response.assignment))?;
                }
            }
            Response::Code(code) if expected || consumer.works() => {
                consumer.waits_for = None;
                consumer.hear_code(code);
            }
            Response::Committed(code) if consumer.works() && !code.is_none() => consumer.hear_code(code),
            _ => {}
        }
        Ok(())
    }

    fn act(&mut self, number: usize) {
        if !self.consumers[number].is_alive() {
            return;
        }
        let now_ms = self.now_ms;
        if let Some(ask) = self.consumers[number].wants(now_ms) {
            self.send(number, ask);
        }
        let consumer = &self.consumers[number];
        if consumer.works() && now_ms >= consumer.paused_until_ms && self.chance(30) {
            self.commit_something(number);
        }
        if self.faults && self.chance(1) {
            let pause_ms = self.rng.within(1..20_000) as i64;
            self.consumers[number].paused_until_ms = now_ms + pause_ms;
        }
        let next_ms = self.rng.within(100..600) as i64;
        self.after(next_ms, Event::Act(number));
    }

    fn commit_something(&mut self, number: usize) {
        let owned = self.consumers[number].assignment.clone();
        if owned.is_empty() {
            return;
        }
        let transactional = number % 2 == 1;
        if transactional && self.chance(40) {
            return self.end_transaction(number);
        }
        let values: Vec<(i32, i64)> = owned
            .iter()
            .map(|partition| {
                self.values += 1;
                self.checks.commits.sent(self.values, *partition, transactional);
                (*partition, self.values)
            })
            .collect();
        if !transactional {
            return self.send(number, Ask::Commit(values));
        }
        // Over a connection that breaks or not: what arrives after the end of its transaction is another story
        // (KIP-890).
        if self.faults && self.chance(5) {
            return;
        }
        self.sequence += 1;
        let consumer = &self.consumers[number];
        let request = Request {
            id: self.sequence,
            from: number,
            member_id: consumer.member_id.clone(),
            generation: consumer.generation,
            ask: Ask::TransactionalCommit(values.clone()),
        };
        self.consumers[number].open.extend(values.iter().map(|(_, value)| value));
        self.consumers[number].unconfirmed += 1;
        self.after(0, Event::Deliver(request));
    }

    /// Writes a marker, as the transaction coordinator does once all partitions have what they were sent.
    fn end_transaction(&mut self, number: usize) {
        let producer = self.consumers[number].producer_id;
        let still_waits = self
            .waiting
            .values()
            .any(|w| w.request.from == number && matches!(w.request.ask, Ask::TransactionalCommit(_)));
        if self.shard.is_none() || still_waits {
            return;
        }
        // A producer whose commit failed cannot but abort.
        let commits = self.chance(60) && self.consumers[number].unconfirmed == 0;
        self.consumers[number].unconfirmed = 0;
        let marker = end_transaction_marker(producer, 0, commits, 0, self.wall_ms);
        let (place, _) = self.journal.append(&marker.bytes);
        self.journal.commit(place);
        let values = std::mem::take(&mut self.consumers[number].open);
        let told = commits != (self.bug == Some(Bug::TransactionsInverted));
        let completed = self.on_shard(|shard, step| shard.complete_transaction(producer, told, step));
        assert_eq!(completed, Ok(()));
        self.checks.commits.ended(&values, commits);
    }

    fn send(&mut self, number: usize, ask: Ask) {
        self.sequence += 1;
        let (id, now_ms) = (self.sequence, self.now_ms);
        let consumer = &mut self.consumers[number];
        consumer.sent(id, &ask, now_ms);
        let request = Request {
            id,
            from: number,
            member_id: consumer.member_id.clone(),
            generation: consumer.generation,
            ask,
        };
        if self.faults && self.chance(2) {
            return;
        }
        if self.faults && self.chance(3) {
            let delay = self.delay();
            self.after(delay, Event::Deliver(request.clone()));
        }
        let delay = self.delay();
        self.after(delay, Event::Deliver(request));
    }

    fn chaos(&mut self) {
        if !self.faults {
            return;
        }
        match self.rng.within(0..100) {
            0..=5 => self.crash(),
            6..=12 => {
                let number = self.rng.within(0..self.consumers.len() as u64) as usize;
                self.consumers[number].phase = Phase::Gone;
            }
            13..=16 => {
                let number = self.rng.within(0..self.consumers.len() as u64) as usize;
                if self.consumers[number].works() {
                    self.send(number, Ask::Leave);
                    self.consumers[number].phase = Phase::Gone;
                }
            }
            17..=30 if self.consumers.iter().filter(|c| c.is_alive()).count() < 6 => {
                let instance = self.rng.pick(&[None, None, Some("i0"), Some("i1")]);
                self.add_consumer(instance);
            }
            31..=35 => self.wall_ms += self.rng.within(0..7_200_000) as i64 - 3_600_000,
            _ => {}
        }
        let next_ms = self.rng.within(200..1_500) as i64;
        self.after(next_ms, Event::Chaos);
    }

    fn crash(&mut self) {
        if self.shard.take().is_none() {
            return;
        }
        self.life += 1;
        self.waiting.clear();
        let lost = self.rng.within(0..self.journal.uncommitted() as u64 + 1) as usize;
        self.journal.lose(lost);
        let delay = self.rng.within(10..3_000) as i64;
        self.after(delay, Event::Load);
    }

    fn load(&mut self) -> Result<(), String> {
        let loader = self.journal.load(self.bug);
        let mut effects = Vec::new();
        let now = Now { monotonic_ms: self.now_ms, wall_ms: self.wall_ms };
        let mut step = Step { now, settings: &SETTINGS, effects: &mut effects };
        let shard = loader.finish(OffsetsStorage::Kafka, &mut step);
        let group = shard.group(&GROUP);
        self.checks.generations.loaded(group.map_or(0, |group| group.generation()));
        self.checks.fencing.forget();
        self.shard = Some(shard);
        effects.into_iter().try_for_each(|effect| self.perform(effect))
    }

    fn read_something(&mut self) -> Result<(), String> {
        let number = self.rng.within(0..PARTITIONS as u64) as i32;
        let Some(shard) = &self.shard else { return Ok(()) };
        let found = shard.fetch(&GROUP, &[partition(number)], false);
        let found = found[0].as_ref().map_err(|code| format!("a fetch was refused with {code}"))?;
        self.checks.commits.read(number, found.as_ref().map(|committed| committed.offset))
    }
}

/// The assignments with those of the first member for the second, too.
fn assigned_twice(purpose: &Purpose) -> Option<Purpose> {
    let Purpose::Assignment { generation, assignments } = purpose else { return None };
    let ids: Vec<&ByteString> = assignments.keys().collect();
    let [first, second, ..] = ids[..] else { return None };
    let mut doubled = assignments.clone();
    doubled.insert(second.clone(), assignments[first].clone());
    Some(Purpose::Assignment { generation: *generation, assignments: doubled })
}
