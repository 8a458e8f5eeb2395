//! A cluster in memory: machines copy from model leaders while brokers crash, leaders change, requests and answers
//! get lost or come late, and logs lose their beginnings. Checked all the time: no committed record is lost, and
//! replicas agree on what they know to be committed. In the end, when the disturbances are over: logs are identical,
//! and nobody asks for more than news.

use super::model::Sessions;
use super::*;
use crate::common::{BrokerId, random};
use std::collections::VecDeque;

const BROKERS: BrokerId = 3;
const PARTITIONS: i32 = 3;
const STEPS: usize = 600;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn broker(&mut self) -> BrokerId {
        self.below(BROKERS as usize) as BrokerId
    }

    fn partition(&mut self) -> i32 {
        self.below(PARTITIONS as usize) as i32
    }
}

/// What the controller decided of a partition; the state znode.
#[derive(Clone, Debug)]
struct Decision {
    leader: BrokerId,
    epoch: LeaderEpoch,
    isr: Vec<BrokerId>,
}

enum InFlight {
    Nothing,
    Epochs(Vec<EpochQuestion>),
    Offsets(Vec<OffsetQuestion>),
    Fetch(SessionFetch),
    EpochsAnswered(Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)>),
    OffsetsAnswered(Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)>),
    Fetched(FetchAnswer),
}

struct Fetcher {
    machine: FetcherMachine<Handle>,
    in_flight: InFlight,
}

#[derive(Default)]
struct Broker {
    alive: bool,
    logs: HashMap<i32, Handle>,
    checkpoints: HashMap<i32, Offset>,
    sessions: Sessions,
    fetchers: HashMap<BrokerId, Fetcher>,
    /// Decisions on their way.
    told: VecDeque<(i32, Decision)>,
}

struct Cluster {
    rng: Rng,
    settings: MachineSettings,
    now_ms: i64,
    brokers: Vec<Broker>,
    decided: HashMap<i32, Decision>,
    /// Values by partition and offset, as a leader has committed them.
    committed: HashMap<(i32, Offset), Record>,
    next_value: i64,
}

impl Cluster {
    fn new(seed: u64) -> Cluster {
        let mut rng = Rng(seed | 1);
        let settings = settings(rng.below(2) == 0, true);
        let mut cluster = Cluster {
            rng,
            settings,
            now_ms: 0,
            brokers: Vec::new(),
            decided: HashMap::new(),
            committed: HashMap::new(),
            next_value: 0,
        };
        for _ in 0..BROKERS {
            let logs = (0..PARTITIONS).map(|p| (p, log(-1, &[], 0))).collect();
            cluster.brokers.push(Broker { alive: true, logs, ..Default::default() });
        }
        for partition in 0..PARTITIONS {
            let leader = cluster.rng.broker();
            cluster.decide(partition, Decision { leader, epoch: 0, isr: (0..BROKERS).collect() });
        }
        cluster
    }

    fn replica(&self, broker: BrokerId, partition: i32) -> std::cell::RefMut<'_, Replica> {
        self.brokers[broker as usize].logs[&partition].0.borrow_mut()
    }

    /// Writes a decision and sends it to all that live.
    fn decide(&mut self, partition: i32, decision: Decision) {
        self.decided.insert(partition, decision.clone());
        for broker in self.brokers.iter_mut().filter(|broker| broker.alive) {
            broker.told.push_back((partition, decision.clone()));
        }
    }

    /// A broker hears of the next decision.
    fn hear(&mut self, id: BrokerId) {
        let broker = &mut self.brokers[id as usize];
        let Some((partition, decision)) = broker.told.pop_front() else { return };
        let handle = broker.logs[&partition].clone();
        let mut replica = handle.0.borrow_mut();
        if decision.epoch <= replica.leader_epoch {
            return;
        }
        replica.leader_epoch = decision.epoch;
        replica.leads = decision.leader == id;
        replica.remote.clear();
        replica.isr.clone_from(&decision.isr);
        if replica.leads {
            replica.epoch_start = replica.end();
            let end = replica.end();
            replica.assign(decision.epoch, end);
        }
        let leads = replica.leads;
        drop(replica);
        if leads {
            // One that hears so late that it is replaced already may lack what its successors committed.
            if self.decided[&partition].epoch == decision.epoch {
                self.check_leader(id, partition);
            }
            self.commit(id, partition);
        }
        let broker = &mut self.brokers[id as usize];
        for (leader, fetcher) in &mut broker.fetchers {
            if leads || *leader != decision.leader {
                fetcher.machine.remove(&name(partition));
            }
        }
        if !leads && decision.leader >= 0 {
            let settings = &self.settings;
            let fetcher = broker.fetchers.entry(decision.leader).or_insert_with(|| Fetcher {
                machine: FetcherMachine::new(settings.clone()),
                in_flight: InFlight::Nothing,
            });
            fetcher.machine.add(name(partition), decision.epoch, handle);
        }
    }

    /// Whoever takes office has everything that was ever committed and not deleted.
    fn check_leader(&self, id: BrokerId, partition: i32) {
        let replica = self.replica(id, partition);
        for ((_, offset), record) in self.committed.iter().filter(|((p, _), _)| *p == partition) {
            if *offset >= replica.start {
                assert_eq!(
                    replica.record(*offset),
                    Some(*record),
                    "{partition}@{offset} lost by leader {id}"
                );
            }
        }
    }

    fn commit(&mut self, id: BrokerId, partition: i32) {
        let mut replica = self.brokers[id as usize].logs[&partition].0.borrow_mut();
        replica.commit(id);
        for offset in replica.start..replica.high_watermark {
            let record = replica.record(offset).expect("below the high watermark");
            let known = *self.committed.entry((partition, offset)).or_insert(record);
            assert_eq!(known, record, "{partition}@{offset} was committed as another record");
        }
    }

    fn produce(&mut self) {
        let (id, partition) = (self.rng.broker(), self.rng.partition());
        // A leader that was replaced takes records, too, as long as it has not heard of it.
        if !self.brokers[id as usize].alive || !self.replica(id, partition).leads {
            return;
        }
        for _ in 0..1 + self.rng.below(4) {
            self.next_value += 1;
            let value = self.next_value;
            let mut replica = self.replica(id, partition);
            let epoch = replica.leader_epoch;
            replica.push((epoch, value));
        }
        self.commit(id, partition);
    }

    /// The leader drops its oldest records (retention, DeleteRecords).
    fn delete_records(&mut self) {
        let (id, partition) = (self.rng.broker(), self.rng.partition());
        let mut replica = self.brokers[id as usize].logs[&partition].0.borrow_mut();
        if replica.leads {
            let start = replica.start + self.rng.below(4) as Offset;
            let start = start.min(replica.high_watermark);
            replica.raise_start(start);
        }
    }

    /// Another leader, out of the in-sync replicas that live.
    fn elect(&mut self, partition: i32) {
        let now = self.decided[&partition].clone();
        let able: Vec<_> = now.isr.iter().copied().filter(|id| self.brokers[*id as usize].alive).collect();
        let leader = match able.len() {
            0 => -1,
            count => able[self.rng.below(count)],
        };
        let isr = if leader < 0 { now.isr } else { able };
        self.decide(partition, Decision { leader, epoch: now.epoch + 1, isr });
    }

    fn crash(&mut self, id: BrokerId) {
        let broker = &mut self.brokers[id as usize];
        if !std::mem::replace(&mut broker.alive, false) {
            return;
        }
        (broker.sessions, broker.fetchers) = Default::default();
        broker.told.clear();
        for (partition, handle) in &broker.logs {
            let mut replica = handle.0.borrow_mut();
            (replica.leads, replica.leader_epoch) = (false, -1);
            let checkpoint = broker.checkpoints.get(partition).copied().unwrap_or(0);
            replica.high_watermark = checkpoint.clamp(replica.start, replica.end());
        }
        for partition in 0..PARTITIONS {
            let decided = &self.decided[&partition];
            if decided.isr.contains(&id) || decided.leader == id {
                self.elect(partition);
            }
        }
    }

    fn restart(&mut self, id: BrokerId) {
        let broker = &mut self.brokers[id as usize];
        if std::mem::replace(&mut broker.alive, true) {
            return;
        }
        for partition in 0..PARTITIONS {
            let decided = self.decided[&partition].clone();
            match decided.leader {
                -1 => self.elect(partition),
                _ => self.brokers[id as usize].told.push_back((partition, decided)),
            }
        }
    }

    fn checkpoint(&mut self) {
        let id = self.rng.broker();
        let broker = &mut self.brokers[id as usize];
        for (partition, handle) in &broker.logs {
            broker.checkpoints.insert(*partition, handle.0.borrow().high_watermark);
        }
    }

    /// A leader writes another ISR, if the state is still its own.
    fn write_isr(&mut self, id: BrokerId, partition: i32, change: impl Fn(&mut Vec<BrokerId>)) {
        let epoch = self.replica(id, partition).leader_epoch;
        let decided = self.decided.get_mut(&partition).expect("every partition");
        if decided.leader == id && decided.epoch == epoch {
            change(&mut decided.isr);
            let isr = decided.isr.clone();
            self.replica(id, partition).isr = isr;
            self.commit(id, partition);
        }
    }

    fn shrink(&mut self) {
        let (id, partition) = (self.rng.broker(), self.rng.partition());
        if !self.brokers[id as usize].alive || !self.replica(id, partition).leads {
            return;
        }
        let behind: Vec<BrokerId> = {
            let replica = self.replica(id, partition);
            let is_behind = |other: &BrokerId| replica.remote.get(other) != Some(&replica.end());
            replica.isr.iter().copied().filter(|other| *other != id && is_behind(other)).collect()
        };
        self.write_isr(id, partition, |isr| isr.retain(|other| !behind.contains(other)));
    }

    /// One step of a fetcher: a question, its way, or the way of its answer.
    fn step(&mut self, id: BrokerId, leader: BrokerId, disturbed: bool) {
        let lost = disturbed && self.rng.below(12) == 0;
        let Some(fetcher) = self.brokers[id as usize].fetchers.get_mut(&leader) else { return };
        let in_flight = std::mem::replace(&mut fetcher.in_flight, InFlight::Nothing);
        let reachable = self.brokers[leader as usize].alive && !lost;
        let answered = match in_flight {
            InFlight::Nothing => self.question(id, leader),
            _ if !reachable => {
                let fetcher = self.brokers[id as usize].fetchers.get_mut(&leader).expect("found above");
                fetcher.machine.on_failed(self.now_ms);
                InFlight::Nothing
            }
            InFlight::Epochs(questions) => InFlight::EpochsAnswered(self.epoch_ends(leader, questions)),
            InFlight::Offsets(questions) => InFlight::OffsetsAnswered(self.offsets(leader, questions)),
            InFlight::Fetch(fetch) => InFlight::Fetched(self.answer_fetch(id, leader, &fetch)),
            answered => {
                let fetcher = self.brokers[id as usize].fetchers.get_mut(&leader).expect("found above");
                match answered {
                    InFlight::EpochsAnswered(ends) => fetcher.machine.on_epochs(ends, self.now_ms),
                    InFlight::OffsetsAnswered(found) => fetcher.machine.on_offsets(found, self.now_ms),
                    InFlight::Fetched(answer) => fetcher.machine.on_fetched(answer, self.now_ms),
                    _ => {}
                }
                InFlight::Nothing
            }
        };
        if let Some(fetcher) = self.brokers[id as usize].fetchers.get_mut(&leader) {
            fetcher.in_flight = answered;
        }
    }

    fn question(&mut self, id: BrokerId, leader: BrokerId) -> InFlight {
        let fetcher = self.brokers[id as usize].fetchers.get_mut(&leader).expect("the caller has it");
        match fetcher.machine.next(self.now_ms, &()) {
            Ask::Wait(_) => InFlight::Nothing,
            Ask::Epochs(questions) => InFlight::Epochs(questions),
            Ask::Offsets(questions) => InFlight::Offsets(questions),
            Ask::Fetch(question) => InFlight::Fetch(question.session),
        }
    }

    fn epoch_ends(
        &self,
        leader: BrokerId,
        questions: Vec<EpochQuestion>,
    ) -> Vec<(EpochQuestion, Option<(ErrorCode, EpochEnd)>)> {
        let answer = |question: EpochQuestion| {
            let replica = self.replica(leader, question.name.partition);
            let error = replica.check_epoch(question.current_leader_epoch);
            let (leader_epoch, end_offset) = replica.epoch_end(question.leader_epoch).unwrap_or((-1, -1));
            drop(replica);
            (question, Some((error, EpochEnd { leader_epoch, end_offset })))
        };
        questions.into_iter().map(answer).collect()
    }

    fn offsets(
        &self,
        leader: BrokerId,
        questions: Vec<OffsetQuestion>,
    ) -> Vec<(OffsetQuestion, Option<(ErrorCode, Offset)>)> {
        let answer = |question: OffsetQuestion| {
            let replica = self.replica(leader, question.name.partition);
            let error = replica.check_epoch(question.current_leader_epoch);
            let offset = if question.earliest { replica.start } else { replica.end() };
            drop(replica);
            (question, Some((error, offset)))
        };
        questions.into_iter().map(answer).collect()
    }

    fn answer_fetch(&mut self, id: BrokerId, leader: BrokerId, fetch: &SessionFetch) -> FetchAnswer {
        let mut seen = Vec::new();
        let mut sessions = std::mem::take(&mut self.brokers[leader as usize].sessions);
        let answer = sessions.fetch(fetch, |name, asked| {
            let mut replica = self.replica(leader, name.partition);
            let before = replica.fetch(name, asked);
            if before.error != ErrorCode::None || before.diverging.is_some() {
                return before;
            }
            replica.remote.insert(id, asked.fetch_offset);
            replica.commit(leader);
            seen.push((name.partition, asked.fetch_offset));
            replica.fetch(name, asked)
        });
        self.brokers[leader as usize].sessions = sessions;
        for (partition, offset) in seen {
            self.commit(leader, partition);
            let replica = self.replica(leader, partition);
            let joins = !replica.isr.contains(&id)
                && offset >= replica.high_watermark
                && offset >= replica.epoch_start;
            drop(replica);
            if joins {
                self.write_isr(leader, partition, |isr| isr.push(id));
            }
        }
        answer
    }

    /// What two replicas know to be committed is the same.
    fn check_agreement(&self) {
        for partition in 0..PARTITIONS {
            for id in 0..BROKERS {
                let replica = self.replica(id, partition);
                assert!(replica.start <= replica.high_watermark && replica.high_watermark <= replica.end());
                for offset in replica.start..replica.high_watermark {
                    let known = self.committed.get(&(partition, offset)).copied();
                    assert_eq!(replica.record(offset), known, "{partition}@{offset} of broker {id}");
                }
            }
        }
    }

    fn disturb(&mut self) {
        self.now_ms += self.rng.below(40) as i64;
        match self.rng.below(100) {
            0..22 => self.produce(),
            22..70 => {
                let (id, leader) = (self.rng.broker(), self.rng.broker());
                self.step(id, leader, true);
            }
            70..82 => {
                let id = self.rng.broker();
                self.hear(id);
            }
            82..86 => {
                let partition = self.rng.partition();
                self.elect(partition);
            }
            86..88 => {
                let id = self.rng.broker();
                self.crash(id);
            }
            88..91 => {
                let id = self.rng.broker();
                self.restart(id);
            }
            91..95 => self.shrink(),
            95..97 => self.delete_records(),
            _ => self.checkpoint(),
        }
        self.check_agreement();
    }

    /// The disturbances are over: everything arrives.
    fn heal(&mut self) {
        (0..BROKERS).for_each(|id| self.restart(id));
        for _ in 0..400 {
            self.now_ms += 50;
            for id in 0..BROKERS {
                while !self.brokers[id as usize].told.is_empty() {
                    self.hear(id);
                }
                for leader in 0..BROKERS {
                    self.step(id, leader, false);
                }
            }
            self.check_agreement();
        }
        for partition in 0..PARTITIONS {
            let decided = self.decided[&partition].clone();
            let leader = self.replica(decided.leader, partition).clone();
            assert_eq!(leader.high_watermark, leader.end(), "everything is committed: {leader:?}");
            for id in (0..BROKERS).filter(|id| *id != decided.leader) {
                let replica = self.replica(id, partition).clone();
                assert_eq!(replica.end(), leader.end(), "broker {id}");
                assert_eq!(replica.high_watermark, leader.end(), "broker {id}");
                let from = replica.start.max(leader.start);
                let tail = |r: &Replica| r.records[(from - r.start) as usize..].to_vec();
                assert_eq!(tail(&replica), tail(&leader), "broker {id}");
            }
        }
        let committed: Vec<_> = self.committed.keys().map(|(partition, _)| *partition).collect();
        for partition in committed {
            self.check_leader(self.decided[&partition].leader, partition);
        }
    }
}

#[test]
fn a_cluster_loses_nothing_that_is_committed_and_its_logs_become_the_same() {
    let given = std::env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("a number"));
    for _ in 0..if given.is_some() { 1 } else { 60 } {
        let seed = given.unwrap_or_else(random::next_u64);
        println!("OTTLA_SEED={seed}");
        let mut cluster = Cluster::new(seed);
        for _ in 0..STEPS {
            cluster.disturb();
        }
        cluster.heal();
    }
}
