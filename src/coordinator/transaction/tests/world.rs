//! A machine, and its effects as text.

use super::super::event::*;
use super::super::machine::{Machine, MachineConfig};
use super::super::partition_set::PartitionSet;
use super::super::state::TransactionState;
use crate::common::TopicPartition;
use bytestring::ByteString;

pub const PARTITION: i32 = 3;
pub const EPOCH: i32 = 10;
pub const TIMEOUT_MS: i32 = 60_000;
pub const EXPIRATION_MS: i64 = 1_000_000;

/// A machine at a time; requests are called by a name of the test.
pub struct World {
    pub machine: Machine<&'static str>,
    pub now_ms: i64,
    fresh_id: i64,
    asking: Vec<InitProducerId<&'static str>>,
}

pub fn place() -> Place {
    Place { partition: PARTITION, coordinator_epoch: EPOCH }
}

pub fn names(text: &str) -> PartitionSet {
    let name = |part: &str| {
        let (topic, partition) = part.rsplit_once('-').expect("topic-partition");
        TopicPartition::new(topic, partition.parse::<i32>().expect("a number"))
    };
    text.split_whitespace().map(name).collect()
}

impl World {
    /// A machine that leads one empty partition.
    pub fn new() -> World {
        let mut world = World::unelected();
        assert_eq!(world.step(Event::Elected(place())), "load 3@10");
        assert_eq!(world.step(Event::Loaded(place(), Vec::new())), "");
        world
    }

    pub fn unelected() -> World {
        let config = MachineConfig { broker_id: 1, max_timeout_ms: 900_000, id_expiration_ms: EXPIRATION_MS };
        World { machine: Machine::new(config), now_ms: 1000, fresh_id: 7, asking: Vec::new() }
    }

    /// A machine that found `states` in its log; and what that leads to.
    pub fn loaded(states: Vec<(&'static str, TransactionState)>) -> (World, String) {
        let mut world = World::unelected();
        world.step(Event::Elected(place()));
        let states = states.into_iter().map(|(id, state)| (ByteString::from_static(id), state)).collect();
        let out = world.step(Event::Loaded(place(), states));
        (world, out)
    }

    /// What comes out, one effect after the other.
    pub fn step(&mut self, event: Event<&'static str>) -> String {
        let effects = self.machine.step(self.now_ms, event);
        effects.into_iter().map(|effect| self.show(effect)).collect::<Vec<_>>().join("; ")
    }

    /// InitProducerId; the producer id that it may need follows at once.
    pub fn init(&mut self, id: &'static str, expected: Option<(i64, i16)>) -> String {
        let out = self.init_only(id, expected);
        match self.asking.pop() {
            Some(request) => {
                self.fresh_id += 1;
                assert_eq!(out, "new producer id");
                self.step(Event::ProducerId(request, Ok(self.fresh_id - 1)))
            }
            None => out,
        }
    }

    pub fn init_only(&mut self, id: &'static str, expected: Option<(i64, i16)>) -> String {
        self.step(Event::InitProducerId(InitProducerId {
            reply: "init",
            partition: PARTITION,
            transactional_id: ByteString::from_static(id),
            timeout_ms: TIMEOUT_MS,
            expected: expected.map(|(id, epoch)| Producer { id, epoch }),
            fresh_id: None,
        }))
    }

    pub fn asking(&mut self) -> InitProducerId<&'static str> {
        self.asking.pop().expect("the machine asked for a producer id")
    }

    pub fn add(&mut self, id: &'static str, (pid, epoch): (i64, i16), partitions: &str) -> String {
        self.step(Event::AddPartitions(AddPartitions {
            reply: "add",
            partition: PARTITION,
            transactional_id: ByteString::from_static(id),
            producer: Producer { id: pid, epoch },
            partitions: names(partitions),
        }))
    }

    pub fn end(&mut self, id: &'static str, (pid, epoch): (i64, i16), commit: bool) -> String {
        self.step(Event::EndTransaction(EndTransaction {
            reply: "end",
            partition: PARTITION,
            transactional_id: ByteString::from_static(id),
            producer: Producer { id: pid, epoch },
            commit,
        }))
    }

    pub fn appended(&mut self, id: &'static str) -> String {
        self.step(Event::Appended(place(), ByteString::from_static(id), Ok(())))
    }

    pub fn not_appended(&mut self, id: &'static str, failure: AppendFailure) -> String {
        self.step(Event::Appended(place(), ByteString::from_static(id), Err(failure)))
    }

    pub fn marked(&mut self, id: &'static str, partitions: &str, outcome: MarkerOutcome) -> String {
        let outcomes = names(partitions)
            .iter()
            .map(|(topic, partition)| (TopicPartition::new(topic.clone(), partition), outcome))
            .collect();
        self.step(Event::Marked(place(), ByteString::from_static(id), outcomes))
    }

    /// A producer with epoch 0 of a new id.
    pub fn with_producer(id: &'static str) -> World {
        let mut world = World::new();
        assert_eq!(world.init(id, None), format!("append {id} Empty 7/0 {{}}"));
        assert_eq!(world.appended(id), "init = 7/0");
        world
    }

    /// A producer with an open transaction.
    pub fn with_transaction(id: &'static str, partitions: &str) -> World {
        let mut world = World::with_producer(id);
        world.add(id, (7, 0), partitions);
        assert_eq!(world.appended(id), "add = 7/0");
        world
    }

    fn show(&mut self, effect: Effect<&'static str>) -> String {
        let at = |place: Place| format!("{}@{}", place.partition, place.coordinator_epoch);
        match effect {
            Effect::Answer(reply, Ok(producer)) => format!("{reply} = {}/{}", producer.id, producer.epoch),
            Effect::Answer(reply, Err(code)) => format!("{reply} = {}", code.name()),
            Effect::NewProducerId(request) => {
                self.asking.push(request);
                "new producer id".to_string()
            }
            Effect::Load(place) => format!("load {}", at(place)),
            Effect::Unload(place) => format!("unload {}", at(place)),
            Effect::Append { transactional_id, state, after_ms, .. } => {
                let wait = if after_ms > 0 { format!(" after {after_ms}") } else { String::new() };
                format!(
                    "append {transactional_id} {:?} {}/{} {:?}{wait}",
                    state.status, state.producer_id, state.producer_epoch, state.partitions
                )
            }
            Effect::AppendTombstones(_, ids) => format!("tombstones {}", ids.join(" ")),
            Effect::SendMarkers(marker, after_ms) => {
                let verdict = if marker.commit { "commit" } else { "abort" };
                let wait = if after_ms > 0 { format!(" after {after_ms}") } else { String::new() };
                format!(
                    "{verdict} {} {}/{} {:?} by {}{wait}",
                    marker.transactional_id,
                    marker.producer.id,
                    marker.producer.epoch,
                    marker.partitions,
                    at(marker.place)
                )
            }
        }
    }
}
