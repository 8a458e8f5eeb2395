//! Producers that send and forget who answered, and a consumer for each partition.

use super::disk::Entry;
use super::network::{Body, CLIENTS};
use super::setup::{Setup, TOPIC};
use super::world::{Event, World};
use bytes::Bytes;
use ottla::common::{BrokerId, ErrorCode};
use ottla::record::builder::{BatchBuilder, BatchOptions};

pub struct Clients {
    values: u64,
    /// Where each consumer reads on.
    pub positions: Vec<i64>,
    pub acknowledged: u64,
    pub consumed: u64,
    /// No more records.
    pub silent: bool,
}

impl Clients {
    pub const PRODUCERS: usize = 2;

    pub fn new(setup: &Setup) -> Clients {
        let positions = vec![0; setup.replicas.len()];
        Clients { values: 0, positions, acknowledged: 0, consumed: 0, silent: false }
    }
}

impl World {
    /// A batch that never was before.
    fn records(&mut self) -> Bytes {
        let mut batch = BatchBuilder::new(BatchOptions::default()).expect("valid options");
        for _ in 0..self.rng.pick(&[1, 1, 2, 3]) {
            self.clients.values += 1;
            let value = format!("{:08}", self.clients.values);
            batch.append(self.now_ms, None, Some(value.as_bytes()), &[]).expect("small");
        }
        batch.build().expect("a batch")
    }

    /// A broker that a client takes for the leader: mostly the one that ZooKeeper names.
    fn believed_leader(&mut self, partition: i32) -> BrokerId {
        let known = self.ensemble.state(TOPIC, partition).map(|(state, _)| state.leader);
        match known {
            Some(leader) if leader >= 0 && !self.mishap(25) => leader,
            _ => self.rng.within(0..self.slots.len() as u64) as BrokerId,
        }
    }

    pub fn act(&mut self, number: usize) {
        if self.clients.silent {
            return;
        }
        let partition = self.rng.within(0..self.setup.replicas.len() as u64) as i32;
        let to = self.believed_leader(partition);
        let records = self.records();
        let all = self.chance(75);
        self.send(CLIENTS, to, Body::Produce { partition, all, records });
        let after_ms = self.rng.within(5..90) as i64;
        self.after(after_ms, Event::Client(number));
    }

    pub fn read_on(&mut self, partition: i32) {
        let to = self.believed_leader(partition);
        let offset = self.clients.positions[partition as usize];
        // Metadata say which leader it is (KIP-320): one that was replaced has less, or more.
        let epoch = self.ensemble.state(TOPIC, partition).map_or(-1, |(state, _)| state.leader_epoch);
        self.send(CLIENTS, to, Body::Consume { partition, epoch, offset });
        let after_ms = self.rng.within(20..120) as i64;
        self.after(after_ms, Event::Consumer(partition));
    }

    /// An answer to a client.
    pub fn hear(&mut self, body: Body) -> Result<(), String> {
        let Body::Consumed { partition, offset, found } = body else { return Ok(()) };
        if offset != self.clients.positions[partition as usize] {
            return Ok(());
        }
        match found {
            Ok(entries) => self.consumed(partition, &entries),
            Err(ErrorCode::OffsetOutOfRange) => {
                Err(format!("partition {partition}: what a consumer had read up to {offset} is gone"))
            }
            Err(_) => Ok(()),
        }
    }

    fn consumed(&mut self, partition: i32, entries: &[Entry]) -> Result<(), String> {
        for entry in entries {
            self.checks.committed.read(partition, entry)?;
            self.clients.positions[partition as usize] = entry.next_offset;
            self.clients.consumed += 1;
        }
        Ok(())
    }
}
