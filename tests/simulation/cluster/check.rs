//! What must be true, one file per property.

pub mod acknowledged;
pub mod committed;
pub mod epochs;
pub mod fencing;
pub mod isr;
pub mod leaders;
pub mod rest;

use super::setup::{Setup, TOPIC};
use super::world::World;

/// What the checkers remember.
pub struct Checks {
    pub acknowledged: acknowledged::Acknowledged,
    pub committed: committed::Committed,
    pub epochs: epochs::Epochs,
    pub fencing: fencing::Fencing,
    pub leaders: leaders::Leaders,
}

impl Checks {
    pub fn new(setup: &Setup) -> Checks {
        let partitions = setup.replicas.len();
        Checks {
            acknowledged: acknowledged::Acknowledged::new(partitions),
            committed: committed::Committed::new(partitions, setup.brokers),
            epochs: epochs::Epochs::default(),
            fencing: fencing::Fencing::default(),
            leaders: leaders::Leaders::default(),
        }
    }

    /// A broker's process is new.
    pub fn started(&mut self, at: usize) {
        self.committed.started(at);
        self.epochs.started(at);
    }
}

impl World {
    /// A broker has done something.
    pub fn check_broker(&mut self, at: usize) -> Result<(), String> {
        for partition in self.setup.partitions() {
            let Some(broker) = self.slots[at].broker.as_ref() else { return Ok(()) };
            let Some(hosted) = broker.partition(partition) else { continue };
            let (high_watermark, epoch) = hosted
                .with_state(|state| (state.machine.high_watermark().offset, state.machine.leader_epoch()));
            if self.checks.committed.is_news(at, partition, high_watermark) {
                let from = self.checks.committed.seen_by(at, partition);
                let entries = broker.entries(partition, from);
                self.checks.committed.seen(at, partition, (high_watermark, epoch), &entries)?;
                self.mix(high_watermark);
            }
        }
        Ok(())
    }

    /// A broker has taken a role in a partition.
    pub fn check_role(&mut self, at: usize, partition: i32) -> Result<(), String> {
        let Some(hosted) = self.broker(at).partition(partition) else { return Ok(()) };
        let (epoch, leads) =
            hosted.with_state(|state| (state.machine.leader_epoch(), state.machine.is_leader()));
        self.checks.epochs.of_broker(at, partition, epoch)?;
        if leads {
            self.checks.leaders.leads(partition, epoch, at as i32)?;
            let entries = self.broker(at).entries(partition, 0);
            self.checks.committed.elected(at, partition, epoch, &entries)?;
            self.checks.acknowledged.elected(at, partition, epoch, &entries)?;
        }
        Ok(())
    }

    /// Something stands in ZooKeeper that did not.
    pub fn check_states(&mut self) -> Result<(), String> {
        for partition in self.setup.partitions() {
            let Some((state, version)) = self.ensemble.state(TOPIC, partition) else { continue };
            if self.checks.epochs.of_state(partition, &state, version)? {
                isr::check(partition, &state, &self.setup.replicas[partition as usize])?;
                if state.leader >= 0 {
                    self.checks.leaders.leads(partition, state.leader_epoch, state.leader)?;
                }
                let (leader, epoch, members) = (state.leader, state.leader_epoch, state.isr);
                self.trace(|| {
                    format!("state of {partition}: leader {leader}, epoch {epoch}, ISR {members:?}")
                });
                self.mix(i64::from(leader) << 32 | i64::from(epoch));
            }
        }
        Ok(())
    }
}
