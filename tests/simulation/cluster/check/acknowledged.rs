//! What was acknowledged to `acks=all` is in the log of every member of the ISR, so at least in `min.insync.replicas` of
//! them, and of every later leader: a zombie never acknowledges alone, and nothing is lost.

use crate::cluster::disk::Entry;
use crate::cluster::setup::{MIN_IN_SYNC, TOPIC};
use crate::cluster::world::World;
use std::collections::BTreeMap;

/// By partition and offset: checksum, and the epoch of the leader that acknowledged.
pub struct Acknowledged(Vec<BTreeMap<i64, (u32, i32)>>);

impl Acknowledged {
    pub fn new(partitions: usize) -> Acknowledged {
        Acknowledged(vec![BTreeMap::new(); partitions])
    }

    /// This is the log of a new leader, or of any replica at the end.
    pub fn elected(&self, at: usize, partition: i32, epoch: i32, entries: &[Entry]) -> Result<(), String> {
        let found: BTreeMap<i64, u32> = entries.iter().map(|entry| (entry.offset, entry.crc)).collect();
        for (offset, (crc, reign)) in &self.0[partition as usize] {
            if *reign < epoch && found.get(offset) != Some(crc) {
                return Err(format!(
                    "partition {partition}: broker {at} lacks what was acknowledged at {offset}"
                ));
            }
        }
        Ok(())
    }
}

impl World {
    pub fn check_acknowledged(
        &mut self,
        at: usize,
        partition: i32,
        offset: i64,
        crc: u32,
    ) -> Result<(), String> {
        let hosted = self.broker(at).partition(partition);
        let epoch = hosted.map_or(0, |hosted| hosted.with_state(|state| state.machine.leader_epoch()));
        let replicas = self.setup.replicas[partition as usize].clone();
        let has = |id: i32| {
            let slot = &self.slots[id as usize];
            let found = match &slot.broker {
                Some(broker) if broker.partition(partition).is_some() => {
                    broker.entries(partition, offset).first().copied()
                }
                _ => slot.kept[partition as usize].iter().find(|entry| entry.offset == offset).copied(),
            };
            found.is_some_and(|entry| (entry.offset, entry.crc) == (offset, crc))
        };
        let holders: Vec<i32> = replicas.into_iter().filter(|id| has(*id)).collect();
        let what = format!("partition {partition}: broker {at} acknowledged {offset}");
        if holders.len() < MIN_IN_SYNC {
            return Err(format!("{what}, which only {holders:?} have"));
        }
        if let Some((state, _)) = self.ensemble.state(TOPIC, partition)
            && let Some(lacks) = state.isr.iter().find(|id| !holders.contains(id))
        {
            return Err(format!("{what}, which {lacks} of the ISR {:?} lacks", state.isr));
        }
        self.checks.acknowledged.0[partition as usize].insert(offset, (crc, epoch));
        Ok(())
    }
}
