//! The world and what can happen in it.

use super::super::rng::Rng;
use super::partition::Partition;
use super::processor::{Phase, Processor};
use bytestring::ByteString;
use ottla::common::{ErrorCode, TopicPartition};
use ottla::coordinator::transaction::event::{
    AddPartitions, Answer, AppendFailure, Effect, EndTransaction, Event, InitProducerId, Marker,
    MarkerOutcome, Place,
};
use ottla::coordinator::transaction::machine::{Machine, MachineConfig};
use ottla::coordinator::transaction::state::TransactionState;
use ottla::coordinator::transaction::status::Status;
use ottla::coordinator::transaction::{PartitionSet, Producer};
use std::collections::{BTreeMap, BTreeSet};

pub const TRANSACTIONAL_ID: &str = "tx";
/// Partitions of the output; one more holds positions.
pub const OUTPUTS: usize = 2;
const TOPIC: &str = "t";
const TIMEOUT_MS: i32 = 5_000;
const EXPIRATION_MS: i64 = 40_000;

/// Bugs of coordinator, partition or client, to see that the checkers see them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bug {
    /// The answer does not wait for the record.
    AnswerBeforeCommit,
    /// Markers go out with the decision's append, whatever comes of it.
    MarkersBeforeDecision,
    /// A new coordinator does not finish what it finds decided.
    NothingResumed,
    /// A marker that was not written counts as written.
    MarkerLost,
    /// Only the first partition gets its marker.
    OneMarkerOnly,
    /// Markers that end a fenced producer's transaction carry its own epoch.
    OldEpochInMarkers,
    /// Transactions do not time out.
    NoTimeouts,
    /// A new coordinator misses the newest record.
    LoadTooShort,
    /// A failed append is taken for a success.
    FailureIgnored,
    /// An answer is given twice.
    AnsweredTwice,
    /// The verdict is lost between decision and marker.
    VerdictFlipped,
    /// A partition takes batches of old epochs.
    EpochNotChecked,
    /// A partition writes what it has.
    DuplicatesWritten,
    /// A partition shows what was aborted.
    AbortedIsVisible,
    /// The coordinator takes whoever asks for the producer that it knows.
    ProducerNotChecked,
}

impl Bug {
    pub const ALL: [Bug; 15] = [
        Bug::AnswerBeforeCommit,
        Bug::MarkersBeforeDecision,
        Bug::NothingResumed,
        Bug::MarkerLost,
        Bug::OneMarkerOnly,
        Bug::OldEpochInMarkers,
        Bug::NoTimeouts,
        Bug::LoadTooShort,
        Bug::FailureIgnored,
        Bug::AnsweredTwice,
        Bug::VerdictFlipped,
        Bug::EpochNotChecked,
        Bug::DuplicatesWritten,
        Bug::AbortedIsVisible,
        Bug::ProducerNotChecked,
    ];
}

/// What a request asked for.
#[derive(Clone, Debug)]
pub enum Asked {
    Init,
    Add(PartitionSet),
    End { commit: bool },
}

/// A broker that coordinates, or believes so.
pub struct Coordinator {
    pub machine: Machine<u64>,
    epoch: i32,
    effects: Vec<Effect<u64>>,
    /// Requests that it has and has not answered.
    open: BTreeSet<u64>,
}

/// See the module.
pub struct World {
    rng: Rng,
    now_ms: i64,
    bug: Option<Bug>,
    /// The last one leads.
    coordinators: Vec<Coordinator>,
    /// The transaction log: every committed record, tombstones as none.
    log: Vec<Option<TransactionState>>,
    pub history: Vec<TransactionState>,
    pub partitions: Vec<Partition>,
    processors: Vec<Processor>,
    answers: BTreeMap<u64, Answer>,
    pub asked: BTreeMap<u64, Asked>,
    pub last_answer: Option<(u64, Answer)>,
    pub last_marker: Option<(Producer, bool)>,
    pub answered_twice: Option<u64>,
    pub zombie_commit: Option<(Producer, Producer)>,
    newest: Option<Producer>,
    next_reply: u64,
    next_id: i64,
    is_chaotic: bool,
    pub trace: Vec<String>,
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> World {
        let partition = Partition::new(bug);
        let mut world = World {
            rng: Rng::new(seed),
            now_ms: 1_000_000,
            bug,
            coordinators: Vec::new(),
            log: Vec::new(),
            history: Vec::new(),
            partitions: vec![partition; OUTPUTS + 1],
            processors: vec![Processor::new(), Processor::new()],
            answers: BTreeMap::new(),
            asked: BTreeMap::new(),
            last_answer: None,
            last_marker: None,
            answered_twice: None,
            zombie_commit: None,
            newest: None,
            next_reply: 0,
            next_id: 100,
            is_chaotic: true,
            trace: Vec::new(),
        };
        world.elect();
        world
    }

    /// The coordinator that leads.
    pub fn leader(&self) -> &Coordinator {
        self.coordinators.last().expect("there is always one")
    }

    /// The partition with the positions.
    pub fn positions(&self) -> &Partition {
        &self.partitions[OUTPUTS]
    }

    /// Requests that a coordinator still owes an answer to.
    pub fn unanswered(&self) -> impl Iterator<Item = u64> {
        self.coordinators.iter().flat_map(|coordinator| coordinator.open.iter().copied())
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.rng.within(0..100) < percent
    }

    /// A failure, while there is chaos.
    fn mishap(&mut self, percent: u64) -> bool {
        let strikes = self.chance(percent);
        strikes && self.is_chaotic
    }

    fn elect(&mut self) {
        let epoch = self.coordinators.last().map_or(0, |last| last.epoch + 1);
        let config =
            MachineConfig { broker_id: epoch, max_timeout_ms: 60_000, id_expiration_ms: EXPIRATION_MS };
        let machine = Machine::new(config);
        self.coordinators.push(Coordinator { machine, epoch, effects: Vec::new(), open: BTreeSet::new() });
        let at = self.coordinators.len() - 1;
        self.tell(at, Event::Elected(Place { partition: 0, coordinator_epoch: epoch }));
    }

    /// One thing happens.
    pub fn step(&mut self) {
        (self.last_answer, self.last_marker) = (None, None);
        match self.rng.within(0..100) {
            0..45 => self.perform_any(),
            45..85 => {
                let at = self.rng.within(0..self.processors.len() as u64) as usize;
                self.process(at);
            }
            85..93 => self.pass_time(),
            93..96 => {
                let at = self.any_coordinator();
                if self.bug != Some(Bug::NoTimeouts) {
                    self.tell(at, Event::AbortTimedOut);
                }
            }
            96..97 => {
                let at = self.any_coordinator();
                self.tell(at, Event::RemoveExpired);
            }
            _ if self.is_chaotic => self.lose_coordinator(),
            _ => {}
        }
    }

    /// No more failures; everything that was begun comes to its end.
    pub fn come_to_rest(&mut self) {
        self.is_chaotic = false;
        for processor in &mut self.processors {
            processor.waiting = Some((u64::MAX, u32::MAX));
        }
        self.retire_zombies();
        for _ in 0..40 {
            self.now_ms += 1_000;
            let at = self.coordinators.len() - 1;
            if self.bug != Some(Bug::NoTimeouts) {
                self.tell(at, Event::AbortTimedOut);
            }
            for _ in 0..10 {
                while !self.coordinators[at].effects.is_empty() {
                    self.perform(at, 0);
                }
            }
        }
    }

    fn any_coordinator(&mut self) -> usize {
        self.rng.within(0..self.coordinators.len() as u64) as usize
    }

    fn pass_time(&mut self) {
        let passed = match self.rng.within(0..100) {
            0..80 => self.rng.within(0..500) as i64,
            80..90 => i64::from(TIMEOUT_MS) + 1,
            90..95 => EXPIRATION_MS,
            // The clock is set back.
            _ => -(self.rng.within(0..3_000) as i64),
        };
        self.now_ms += passed;
    }

    /// The leader crashes, or is cut off and does not know it.
    fn lose_coordinator(&mut self) {
        let at = self.coordinators.len() - 1;
        let crashes = self.chance(60);
        self.trace.push(format!("coordinator {at} {}", if crashes { "crashes" } else { "is replaced" }));
        if crashes {
            // What it was appending may be in the log.
            while let Some(effect) = self.coordinators[at].effects.pop() {
                if let Effect::Append { state, .. } = effect
                    && self.chance(50)
                {
                    self.write(Some(*state));
                }
            }
            self.coordinators[at].open.clear();
        }
        self.elect();
        if crashes {
            self.coordinators.remove(at);
        }
        if self.coordinators.len() > 3 || self.chance(30) {
            self.retire_zombies();
        }
    }

    /// Those that do not lead hear of it.
    fn retire_zombies(&mut self) {
        while self.coordinators.len() > 1 {
            let epoch = self.coordinators[1].epoch;
            self.tell(0, Event::Resigned(0, Some(epoch)));
            while !self.coordinators[0].effects.is_empty() {
                self.perform(0, 0);
            }
            let zombie = self.coordinators.remove(0);
            // Whoever still waits there waits for nothing.
            if let Some(reply) = zombie.open.first() {
                panic!("request {reply} was not answered by a coordinator that resigned");
            }
        }
    }

    fn tell(&mut self, at: usize, event: Event<u64>) {
        let now_ms = self.now_ms;
        let coordinator = &mut self.coordinators[at];
        let is_load = matches!(event, Event::Loaded(..));
        let effects = coordinator.machine.step(now_ms, event);
        for effect in effects {
            self.trace.push(format!("{}: {effect:?}", self.coordinators[at].epoch));
            match effect {
                Effect::Answer(reply, answer) => self.answer(at, reply, answer),
                Effect::SendMarkers(..) if is_load && self.bug == Some(Bug::NothingResumed) => {}
                effect => {
                    self.corrupt(at, &effect);
                    self.coordinators[at].effects.push(effect);
                }
            }
        }
    }

    /// Bugs that act at once.
    fn corrupt(&mut self, at: usize, effect: &Effect<u64>) {
        let Effect::Append { place, state, .. } = effect else { return };
        let producer = Producer { id: state.producer_id, epoch: state.producer_epoch };
        match self.bug {
            Some(Bug::AnswerBeforeCommit) => {
                if let Some(reply) = self.coordinators[at].open.last().copied() {
                    self.answer(at, reply, Ok(producer));
                }
            }
            Some(Bug::MarkersBeforeDecision) if state.status.is_prepared() => {
                let marker = Marker {
                    place: *place,
                    transactional_id: ByteString::from_static(TRANSACTIONAL_ID),
                    producer,
                    commit: state.status == Status::PrepareCommit,
                    partitions: state.partitions.clone(),
                };
                self.write_markers(at, &marker);
            }
            _ => {}
        }
    }

    fn answer(&mut self, at: usize, reply: u64, answer: Answer) {
        self.coordinators[at].open.remove(&reply);
        let known = self.answers.insert(reply, answer);
        if known.is_some() && self.bug != Some(Bug::AnswerBeforeCommit)
            || self.bug == Some(Bug::AnsweredTwice)
        {
            self.answered_twice = Some(reply);
        }
        self.last_answer = Some((reply, answer));
        if let (Ok(producer), Some(Asked::Init)) = (answer, self.asked.get(&reply)) {
            self.newest = Some(producer);
        }
    }

    fn perform_any(&mut self) {
        let at = self.any_coordinator();
        let count = self.coordinators[at].effects.len() as u64;
        if count > 0 {
            let which = self.rng.within(0..count) as usize;
            self.perform(at, which);
        }
    }

    fn perform(&mut self, at: usize, which: usize) {
        let effect = self.coordinators[at].effects.remove(which);
        match effect {
            Effect::Answer(..) | Effect::Unload(_) => {}
            Effect::NewProducerId(request) => {
                self.next_id += 1;
                let id = match self.mishap(10) {
                    true => Err(ErrorCode::CoordinatorLoadInProgress),
                    false => Ok(self.next_id),
                };
                self.tell(at, Event::ProducerId(request, id));
            }
            Effect::Load(place) => {
                let states = self.read_log();
                self.tell(at, Event::Loaded(place, states));
            }
            Effect::Append { place, transactional_id, state, .. } => {
                let result = self.append(place, Some(*state));
                self.tell(at, Event::Appended(place, transactional_id, result));
            }
            Effect::AppendTombstones(place, ids) => {
                let result = self.append(place, None);
                self.tell(at, Event::TombstonesAppended(place, ids, result));
            }
            Effect::SendMarkers(marker, 0) => self.write_markers(at, &marker),
            Effect::SendMarkers(marker, _) => self.tell(at, Event::MarkersDue(marker)),
        }
    }

    fn read_log(&mut self) -> Vec<(ByteString, TransactionState)> {
        let missing = usize::from(self.bug == Some(Bug::LoadTooShort));
        let last = self.log[..self.log.len().saturating_sub(missing)].last().cloned().flatten();
        last.map(|state| (ByteString::from_static(TRANSACTIONAL_ID), state)).into_iter().collect()
    }

    fn append(&mut self, place: Place, state: Option<TransactionState>) -> Result<(), AppendFailure> {
        if place.coordinator_epoch != self.leader().epoch {
            return Err(AppendFailure::NotLeader);
        }
        if self.mishap(5) {
            return if self.bug == Some(Bug::FailureIgnored) {
                Ok(())
            } else {
                Err(AppendFailure::Unavailable)
            };
        }
        self.write(state);
        // In the log, but who waits is not told.
        if self.mishap(5) { Err(AppendFailure::Unavailable) } else { Ok(()) }
    }

    fn write(&mut self, state: Option<TransactionState>) {
        if let Some(state) = &state {
            if state.status == Status::PrepareCommit
                && let Some(newest) = self.newest
            {
                let old = Producer { id: state.producer_id, epoch: state.producer_epoch };
                if old.id == newest.id && old.epoch < newest.epoch {
                    self.zombie_commit = Some((old, newest));
                }
            }
            self.history.push(state.clone());
        }
        self.log.push(state);
    }

    fn write_markers(&mut self, at: usize, marker: &Marker) {
        let mut outcomes = Vec::new();
        for (count, (topic, partition)) in marker.partitions.iter().enumerate() {
            let name = TopicPartition::new(topic.clone(), partition);
            let skipped = count > 0 && self.bug == Some(Bug::OneMarkerOnly);
            let outcome = if skipped { MarkerOutcome::Written } else { self.write_marker(marker, &name) };
            outcomes.push((name, outcome));
        }
        self.tell(at, Event::Marked(marker.place, marker.transactional_id.clone(), outcomes));
    }

    fn write_marker(&mut self, marker: &Marker, name: &TopicPartition) -> MarkerOutcome {
        let lost =
            if self.bug == Some(Bug::MarkerLost) { MarkerOutcome::Written } else { MarkerOutcome::Retry };
        if self.mishap(15) {
            return lost;
        }
        let commit = marker.commit != (self.bug == Some(Bug::VerdictFlipped) && self.mishap(30));
        let mut producer = marker.producer;
        if self.bug == Some(Bug::OldEpochInMarkers) && !commit {
            producer.epoch = (producer.epoch - 1).max(0);
        }
        self.last_marker = Some((marker.producer, commit));
        let written =
            self.partitions[name.partition as usize].mark(producer, commit, marker.place.coordinator_epoch);
        match written {
            // Written, but the answer is lost: it comes twice.
            Ok(()) if self.mishap(10) => MarkerOutcome::Retry,
            Ok(()) => MarkerOutcome::Written,
            Err(ErrorCode::TransactionCoordinatorFenced) => MarkerOutcome::Fenced,
            Err(_) => MarkerOutcome::Skipped,
        }
    }

    /// A processor goes on, waits, or is paused for a while by not being chosen.
    fn process(&mut self, at: usize) {
        let mut processor = self.processors[at].clone();
        if self.mishap(1) {
            processor.restart();
        }
        match processor.waiting {
            Some((reply, patience)) => match self.answers.get(&reply).copied() {
                Some(answer) => {
                    processor.waiting = None;
                    self.answered(&mut processor, answer);
                }
                // The connection ends; the same request goes over a new one.
                None if patience == 0 => processor.waiting = None,
                None => processor.waiting = Some((reply, patience - 1)),
            },
            None => self.send(&mut processor),
        }
        self.processors[at] = processor;
    }

    fn answered(&mut self, processor: &mut Processor, answer: Answer) {
        let fatal = |code| {
            !matches!(
                code,
                ErrorCode::ConcurrentTransactions
                    | ErrorCode::NotCoordinator
                    | ErrorCode::CoordinatorLoadInProgress
                    | ErrorCode::CoordinatorNotAvailable
            )
        };
        match (processor.phase, answer) {
            (_, Err(code)) if fatal(code) => self.fail(processor),
            // Again.
            (_, Err(_)) => {}
            (Phase::Init, Ok(producer)) => processor.initialized(producer),
            (Phase::Add, Ok(_)) => processor.phase = Phase::Produce(processor.position),
            (Phase::End { commit: true }, Ok(_)) => {
                processor.position = processor.batch_end;
                processor.phase = Phase::Add;
            }
            (Phase::End { commit: false }, Ok(_)) => {
                processor.phase = if self.chance(30) { Phase::Init } else { Phase::Add };
            }
            (phase, Ok(_)) => panic!("nothing is asked in {phase:?}"),
        }
    }

    /// Fenced, or out of step: starts again after a while, so that the other one gets on.
    fn fail(&mut self, processor: &mut Processor) {
        processor.restart();
        processor.waiting = Some((u64::MAX, self.rng.within(5..100) as u32));
    }

    fn send(&mut self, processor: &mut Processor) {
        match processor.phase {
            Phase::Init => self.ask(processor, Asked::Init),
            Phase::ReadPosition => {
                // requireStable: not while a transaction has positions pending.
                if !self.positions().is_open() {
                    processor.position = self.positions().position();
                    processor.phase = Phase::Add;
                }
            }
            Phase::Add => {
                processor.batch_end = processor.position + 1 + self.rng.within(0..3) as i64;
                let partitions = 0..=OUTPUTS as i32;
                let partitions = partitions.map(|partition| TopicPartition::new(TOPIC, partition)).collect();
                self.ask(processor, Asked::Add(partitions));
            }
            Phase::Produce(input) if input == processor.batch_end => processor.phase = Phase::CommitPosition,
            Phase::Produce(input) => self.produce(processor, input),
            Phase::CommitPosition => {
                let Some(producer) = processor.producer else { return };
                if self.mishap(10) {
                    return;
                }
                match self.partitions[OUTPUTS].commit_position(producer, processor.batch_end) {
                    Ok(()) if self.mishap(5) => {}
                    Ok(()) => processor.phase = Phase::End { commit: !self.chance(20) },
                    Err(_) => self.fail(processor),
                }
            }
            Phase::End { commit } => self.ask(processor, Asked::End { commit }),
        }
    }

    fn produce(&mut self, processor: &mut Processor, input: i64) {
        let Some(producer) = processor.producer else { return };
        if self.mishap(10) {
            return;
        }
        let partition = input as usize % OUTPUTS;
        let sequence = processor.sequences.get(&partition).copied().unwrap_or(0);
        match self.partitions[partition].produce(producer, sequence, input) {
            // Written, the answer is lost: the same comes again.
            Ok(()) if self.mishap(10) => {}
            Ok(()) => {
                processor.sequences.insert(partition, sequence + 1);
                processor.phase = Phase::Produce(input + 1);
            }
            Err(_) => self.fail(processor),
        }
    }

    /// Sends a request to the coordinator, or to one that was: it may get lost, or come twice.
    fn ask(&mut self, processor: &mut Processor, asked: Asked) {
        let times = match self.rng.within(0..100) {
            0..10 if self.is_chaotic => 0,
            10..20 if self.is_chaotic => 2,
            _ => 1,
        };
        let patience = self.rng.within(1..12) as u32;
        processor.waiting = Some((self.next_reply, patience));
        let at = if self.chance(85) { self.coordinators.len() - 1 } else { self.any_coordinator() };
        for _ in 0..times {
            let reply = self.next_reply;
            self.next_reply += 1;
            self.asked.insert(reply, asked.clone());
            self.coordinators[at].open.insert(reply);
            let known =
                self.coordinators[at].machine.transaction(0, TRANSACTIONAL_ID).map(|known| known.producer());
            let producer = match self.bug {
                Some(Bug::ProducerNotChecked) if !matches!(asked, Asked::Init) => known,
                _ => processor.producer,
            };
            let event = request(producer, reply, &asked);
            self.tell(at, event);
        }
        self.next_reply += u64::from(times == 0);
    }
}

fn request(expected: Option<Producer>, reply: u64, asked: &Asked) -> Event<u64> {
    let transactional_id = ByteString::from_static(TRANSACTIONAL_ID);
    let producer = expected.unwrap_or(Producer { id: -1, epoch: -1 });
    let partition = 0;
    match asked {
        Asked::Init => Event::InitProducerId(InitProducerId {
            reply,
            partition,
            transactional_id,
            timeout_ms: TIMEOUT_MS,
            expected,
            fresh_id: None,
        }),
        Asked::Add(partitions) => Event::AddPartitions(AddPartitions {
            reply,
            partition,
            transactional_id,
            producer,
            partitions: partitions.clone(),
        }),
        Asked::End { commit } => Event::EndTransaction(EndTransaction {
            reply,
            partition,
            transactional_id,
            producer,
            commit: *commit,
        }),
    }
}
