//! Random runs: three machines and one plain broker, everything that can happen in any order, and after every step
//! what must always hold; at the end, when the chaos stops, what must come about.
//!
//! `OTTLA_SEED=n` repeats one run; `OTTLA_RUNS=n` does more of them, from there or from anywhere.

use crate::cluster::{Cluster, config};
use crate::world::{name, partition};
use ottla::common::{BrokerId, TopicPartition, Uuid};
use ottla::controller::context::{BrokerIds, LeaderAndIsr, ReplicaAssignment};
use ottla::controller::effect::ZkRequest;
use ottla::controller::event::{Call, ElectionKind, Event, IsrChange, Timer, TopicNode, Watch, ZkReply};
use std::collections::{BTreeMap, BTreeSet};

const MACHINES: [BrokerId; 3] = [1, 2, 3];
const BROKERS: [BrokerId; 4] = [1, 2, 3, 4];
const STEPS: usize = 600;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        if of.is_empty() { None } else { Some(of[self.below(of.len())]) }
    }

    fn replicas(&mut self) -> ReplicaAssignment {
        let mut ids = BROKERS.to_vec();
        let count = 1 + self.below(3);
        while ids.len() > count {
            ids.remove(self.below(ids.len()));
        }
        let turn = self.below(ids.len());
        ids.rotate_left(turn);
        ReplicaAssignment::new(ids)
    }
}

struct Run {
    random: Random,
    cluster: Cluster,
    /// Machines whose session ended without their knowing.
    zombies: BTreeSet<BrokerId>,
    /// Machines that know, and have no session.
    expired: BTreeSet<BrokerId>,
    /// The states before the last step, to compare.
    before: BTreeMap<TopicPartition, LeaderAndIsr>,
    /// Who led under an epoch, as brokers accepted it; reset when a topic is deleted.
    leaders: BTreeMap<(TopicPartition, i32), BrokerId>,
    unclean: bool,
    topics_made: u8,
    /// Partitions that were reassigned.
    moved: BTreeSet<TopicPartition>,
}

/// What must always hold.
impl Run {
    fn check(&mut self) {
        let world = &self.cluster.world;
        for (tp, state) in &world.states {
            assert!(!state.isr.is_empty(), "{tp}: empty ISR");
            assert!(state.leader == -1 || state.isr.contains(&state.leader), "{tp}: {state:?}");
            let node = &world.topics[&*tp.topic].0;
            let replicas = &node.partitions[&tp.partition].replicas;
            assert!(state.isr.iter().all(|id| replicas.contains(id)), "{tp}: {state:?} outside {replicas:?}");
            let controller_epoch = world.controller_epoch.map_or(0, |(epoch, _)| epoch);
            assert!(state.controller_epoch <= controller_epoch, "{tp}: {state:?}");
            let Some(before) = self.before.get(tp) else { continue };
            assert!(state.leader_epoch >= before.leader_epoch, "{tp}: {before:?} to {state:?}");
            assert!(state.controller_epoch >= before.controller_epoch, "{tp}: {before:?} to {state:?}");
            if state.leader_epoch == before.leader_epoch {
                assert_eq!(state.leader, before.leader, "{tp}: another leader in the same epoch");
            } else if state.leader != -1 && !self.unclean {
                assert!(before.isr.contains(&state.leader), "{tp}: unclean: {before:?} to {state:?}");
            }
        }
        self.before = world.states.clone();
        for broker in self.cluster.brokers.values() {
            for (tp, (epoch, leader, isr)) in &broker.partitions {
                assert!(*leader == -1 || isr.contains(leader), "{tp}: {leader} leads outside {isr:?}");
                let known = *self.leaders.entry((tp.clone(), *epoch)).or_insert(*leader);
                assert_eq!(known, *leader, "{tp}: two leaders in epoch {epoch}");
            }
        }
        let topics = &world.topics;
        self.leaders.retain(|(tp, _), _| topics.contains_key(&*tp.topic));
    }

    fn answer_zk(&mut self, id: BrokerId) {
        let elects = matches!(self.cluster.asked.get(&id), Some((_, ZkRequest::Elect)));
        assert!(!(elects && self.expired.contains(&id)), "{id} runs without being registered");
        if elects && (self.zombies.contains(&id) || self.expired.contains(&id)) {
            // A dead session cannot create ephemerals.
            let Some((request, _)) = self.cluster.asked.remove(&id) else { return };
            let reply = ZkReply::Failed("session expired".to_string());
            return self.cluster.step(id, Event::Zk { id: request, reply });
        }
        self.cluster.answer_zk(id);
    }
}

/// What can happen.
impl Run {
    fn act(&mut self) {
        match self.random.below(100) {
            0..=34 => {
                let asked: Vec<_> = self.cluster.asked.keys().copied().collect();
                if let Some(id) = self.random.pick(&asked) {
                    self.answer_zk(id);
                }
            }
            35..=49 => self.cluster.deliver_watch(),
            50..=69 => {
                let queues = self.cluster.deliverable();
                if let Some((from, to)) = self.random.pick(&queues) {
                    self.cluster.deliver_request(from, to);
                }
            }
            70..=79 => self.touch_brokers(),
            80..=88 => self.touch_topics(),
            89..=95 => self.call(),
            _ => self.disturb(),
        }
        self.check();
    }

    fn is_up(&self, id: BrokerId) -> bool {
        self.cluster.world.brokers.contains_key(&id)
    }

    fn touch_brokers(&mut self) {
        let id = BROKERS[self.random.below(BROKERS.len())];
        match self.random.below(5) {
            0 if self.is_up(id) && self.cluster.world.brokers.len() > 1 => self.stop(id),
            1 if self.is_up(id) => {
                self.stop(id);
                self.start(id);
            }
            // Its session ends; the process hears of it later.
            2 if self.is_up(id) && self.cluster.machines.contains_key(&id) => {
                self.cluster.world.disarm(id);
                self.cluster.world.end_session(id);
                self.zombies.insert(id);
            }
            3 if self.zombies.remove(&id) => {
                self.cluster.asked.remove(&id);
                self.cluster.step(id, Event::SessionExpired);
                self.expired.insert(id);
            }
            _ if self.expired.remove(&id) => {
                self.cluster.start_broker(id);
                self.cluster.step(id, Event::SessionEstablished);
            }
            _ if !self.is_up(id) && !self.zombies.contains(&id) => self.start(id),
            _ => {}
        }
    }

    fn start(&mut self, id: BrokerId) {
        if MACHINES.contains(&id) {
            self.cluster.start_machine(config(id, "2.8"));
        } else {
            self.cluster.start_broker(id);
        }
    }

    fn stop(&mut self, id: BrokerId) {
        self.cluster.kill(id);
        self.cluster.timers.retain(|(machine, _)| *machine != id);
    }

    fn touch_topics(&mut self) {
        let topics: Vec<_> = self.cluster.world.topics.keys().cloned().collect();
        let at = self.random.below(topics.len().max(1));
        match self.random.below(6) {
            0..=2 if topics.len() < 5 => {
                self.topics_made += 1;
                let topic = format!("t{}", self.random.below(6));
                if self.cluster.world.topics.contains_key(&topic) {
                    return;
                }
                let count = 1 + self.random.below(3) as i32;
                let partitions = (0..count).map(|n| (n, self.random.replicas())).collect();
                let id = self.topics_made.is_multiple_of(2).then_some(Uuid([self.topics_made; 16]));
                self.cluster.world.create_topic(&topic, TopicNode { id, partitions });
            }
            3 if !topics.is_empty() => {
                let next = self.cluster.world.topics[&topics[at]].0.partitions.len() as i32;
                let added = [(next, self.random.replicas())].into();
                self.cluster.world.add_partitions(&topics[at], added);
            }
            4 if !topics.is_empty() && self.random.below(3) == 0 => {
                self.cluster.world.delete_topic(&topics[at]);
            }
            5 if self.random.below(4) == 0 => self.cluster.world.delete_topic("never-was"),
            _ => {}
        }
    }

    fn partitions(&self) -> Vec<TopicPartition> {
        self.cluster.world.states.keys().cloned().collect()
    }

    fn call(&mut self) {
        let Some(active) = self.cluster.active() else { return };
        let partitions = self.partitions();
        if partitions.is_empty() {
            return;
        }
        let tp = partitions[self.random.below(partitions.len())].clone();
        match self.random.below(9) {
            0..=3 => self.alter_isr(active, tp),
            6 => {
                self.moved.insert(tp.clone());
                let target = (self.random.below(4) > 0).then(|| self.random.replicas().replicas.to_vec());
                self.cluster.call(active, Call::AlterReassignments(vec![(tp, target)]));
            }
            7 => {
                let mut wanted = vec![(tp, self.random.replicas().replicas.to_vec())];
                let other = partitions[self.random.below(partitions.len())].clone();
                if wanted[0].0 != other {
                    wanted.push((other, self.random.replicas().replicas.to_vec()));
                }
                self.moved.extend(wanted.iter().map(|(tp, _)| tp.clone()));
                self.cluster.world.reassign(wanted);
            }
            8 => self.cluster.call(active, Call::ListReassignments(None)),
            4 => {
                let kind = ElectionKind::Preferred;
                self.cluster.call(active, Call::ElectLeaders { partitions: vec![tp], kind });
            }
            5 if self.random.below(2) == 0 => self.cluster.world.prefer(partitions),
            _ => {
                let broker = BROKERS[self.random.below(BROKERS.len())];
                let epoch = self.cluster.world.brokers.get(&broker).map_or(-1, |b| b.epoch);
                self.cluster.call(active, Call::ControlledShutdown { broker, broker_epoch: epoch });
            }
        }
    }

    /// The leader wants some ISR of live replicas, itself among them.
    fn alter_isr(&mut self, active: BrokerId, tp: TopicPartition) {
        let state = self.cluster.world.states[&tp].clone();
        let leader = state.leader;
        let knows =
            |b: &crate::cluster::FakeBroker| b.partitions.get(&tp).map(|p| p.0) == Some(state.leader_epoch);
        if !self.is_up(leader) || !self.cluster.brokers.get(&leader).is_some_and(knows) {
            return;
        }
        let replicas = self.cluster.world.topics[&*tp.topic].0.partitions[&tp.partition].replicas.clone();
        let isr: BrokerIds = replicas
            .into_iter()
            .filter(|id| *id == leader || (self.is_up(*id) && self.random.below(3) > 0))
            .collect();
        // Mostly through the controller, sometimes (an older broker) past it.
        if self.random.below(5) == 0 {
            let notify = self.random.below(2) == 0;
            return self.cluster.world.change_isr(&tp, isr, notify);
        }
        let (leader_epoch, zk_version) = (state.leader_epoch, state.zk_version);
        let change = IsrChange { partition: tp, leader_epoch, isr: isr.to_vec(), zk_version };
        let broker_epoch = self.cluster.world.brokers[&leader].epoch;
        self.cluster.call(active, Call::AlterIsr { broker: leader, broker_epoch, changes: vec![change] });
    }

    fn disturb(&mut self) {
        let id = MACHINES[self.random.below(MACHINES.len())];
        match self.random.below(6) {
            // The end of a session fires all watches, before or after its owner is told.
            5 => {
                let lost: Vec<_> = self.zombies.union(&self.expired).copied().collect();
                if let Some(id) = self.random.pick(&lost) {
                    self.cluster.step(id, Event::Changed(Watch::Controller));
                }
            }
            0 => {
                self.cluster.failing.insert(id, 1);
            }
            4 => self.cluster.world.tell_isr_changes(BROKERS[self.random.below(BROKERS.len())]),
            1 => {
                let timers: Vec<_> = self.cluster.timers.iter().copied().collect();
                if let Some((machine, timer)) = self.random.pick(&timers) {
                    self.fire(machine, timer);
                }
            }
            2 => {
                let partitions = self.partitions();
                if !partitions.is_empty() {
                    let tp = partitions[self.random.below(partitions.len())].clone();
                    let broker = BROKERS[self.random.below(BROKERS.len())];
                    self.cluster.brokers.entry(broker).or_default().offline.insert(tp);
                    self.cluster.world.lose_log_dir(broker);
                }
            }
            _ => {
                if self.unclean
                    && let Some(active) = self.cluster.active()
                {
                    let topic = format!("t{}", self.random.below(6));
                    self.cluster.world.topic_configs.insert(topic.clone(), Some(true));
                    self.cluster.step(active, Event::UncleanElectionEnabled(name(&topic)));
                }
            }
        }
    }

    fn fire(&mut self, machine: BrokerId, timer: &'static str) {
        self.cluster.timers.remove(&(machine, timer));
        let timer = if timer == "Reelect" { Timer::Reelect } else { Timer::AutoRebalance };
        self.cluster.step(machine, Event::Timer(timer));
    }
}

/// The chaos stops: nothing fails any more, everybody is there. Only half of the runs start all brokers anew.
impl Run {
    fn calm_down(&mut self, all: bool) {
        self.cluster.failing.clear();
        for id in std::mem::take(&mut self.zombies) {
            self.cluster.asked.remove(&id);
            self.cluster.step(id, Event::SessionExpired);
            self.expired.insert(id);
        }
        for id in std::mem::take(&mut self.expired) {
            self.cluster.start_broker(id);
            self.cluster.step(id, Event::SessionEstablished);
        }
        self.settle();
        for id in BROKERS {
            self.cluster.world.tell_isr_changes(id);
        }
        for id in BROKERS {
            let leaving = self.cluster.machines.values().any(|m| m.context().is_shutting_down(id));
            let broken = self.cluster.brokers.get(&id).is_some_and(|b| !b.offline.is_empty());
            if self.is_up(id) && (all || leaving || broken) {
                self.stop(id);
            }
            if !self.is_up(id) {
                self.start(id);
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            while self.cluster.settle_one() {
                self.check();
            }
            let Some((machine, timer)) = self.cluster.timers.iter().find(|(_, t)| *t == "Reelect").copied()
            else {
                return;
            };
            self.fire(machine, timer);
        }
    }

    fn check_calm(&mut self) {
        let world = &self.cluster.world;
        let active: Vec<_> =
            self.cluster.machines.iter().filter(|(_, m)| m.is_active()).map(|(id, _)| *id).collect();
        assert_eq!(active, vec![world.controller.expect("a controller")]);
        let context = self.cluster.machines[&active[0]].context();
        // A deletion waits for reassignments, and nobody lets the new replicas catch up here.
        let moves = |topic: &String| context.reassigning().any(|tp| tp.topic == topic.as_str());
        assert!(world.deletions.iter().all(moves), "not deleted: {:?}", world.deletions);
        assert!(world.isr_changes.is_empty() && world.log_dir_events.is_empty());
        assert!(world.preferred_election.is_none());
        for (tp, target) in world.reassignments.iter().flatten() {
            let assignment = context.partition(tp).map(|p| p.assignment.clone()).unwrap_or_default();
            let is_ongoing = assignment.is_being_reassigned() && assignment.target().as_slice() == target;
            assert!(is_ongoing, "the znode asks for {tp} on {target:?}: {assignment:?}");
        }
        for (topic, (node, _)) in world.topics.iter().filter(|(t, _)| !world.deletions.contains(*t)) {
            assert!(node.id.is_some(), "{topic} has no id");
            for number in node.partitions.keys() {
                let tp = partition(&format!("{topic}-{number}"));
                let state = world.states.get(&tp).unwrap_or_else(|| panic!("{tp} has no state"));
                assert!(state.leader != -1, "{tp} has no leader though everybody is there: {state:?}");
                assert_eq!(context.leader_and_isr(&tp), Some(state), "{tp}");
                let assignment = &node.partitions[number];
                let in_sync = assignment.target().iter().all(|id| state.isr.contains(id));
                assert!(
                    !assignment.is_being_reassigned() || !in_sync,
                    "{tp} is still being moved: {assignment:?} {state:?}"
                );
                for replica in &node.partitions[number].replicas {
                    let known = self.cluster.brokers[replica].partitions.get(&tp);
                    let expected = (state.leader_epoch, state.leader);
                    assert_eq!(known.map(|(e, l, _)| (*e, *l)), Some(expected), "{tp} at {replica}");
                }
            }
        }
        for (id, broker) in &self.cluster.brokers {
            for tp in broker.partitions.keys() {
                // A replica that a reassignment removed may be left behind, as in Kafka: if the controller falls before
                // its StopReplica arrives, nobody repeats it.
                let is_excused = self.moved.contains(tp);
                assert!(is_excused || world.topics.contains_key(&*tp.topic), "broker {id} still has {tp}");
            }
        }
    }
}

fn run(seed: u64) {
    let mut run = Run {
        random: Random(seed),
        cluster: Cluster::default(),
        zombies: BTreeSet::new(),
        expired: BTreeSet::new(),
        before: BTreeMap::new(),
        leaders: BTreeMap::new(),
        unclean: seed.is_multiple_of(4),
        topics_made: 0,
        moved: BTreeSet::new(),
    };
    for id in BROKERS {
        run.start(id);
    }
    for _ in 0..STEPS {
        run.act();
        run.cluster.out.clear();
    }
    run.calm_down(seed.is_multiple_of(2));
    run.check_calm();
}

#[test]
fn machines_keep_their_promises_in_random_runs() {
    let number = |key: &str| std::env::var(key).ok().and_then(|v| v.parse::<u64>().ok());
    let first = number("OTTLA_SEED");
    let count = number("OTTLA_RUNS").unwrap_or(if first.is_some() { 1 } else { 100 });
    let first = first.unwrap_or_else(ottla::common::random::next_u64);
    for seed in (0..count).map(|n| first.wrapping_add(n)) {
        println!("random run: OTTLA_SEED={seed}");
        run(seed);
    }
}
