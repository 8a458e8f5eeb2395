//! Epochs and versions only rise: in ZooKeeper, and in the life of a broker. Another leader is another leader epoch.

use ottla::zk::data::PartitionState;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Epochs {
    /// By partition.
    states: BTreeMap<i32, (PartitionState, i32)>,
    /// By broker and partition.
    of_brokers: BTreeMap<(usize, i32), i32>,
}

impl Epochs {
    pub fn started(&mut self, at: usize) {
        self.of_brokers.retain(|(broker, _), _| *broker != at);
    }

    /// True if the state is another than before.
    pub fn of_state(&mut self, partition: i32, state: &PartitionState, version: i32) -> Result<bool, String> {
        let Some((before, version_before)) = self.states.insert(partition, (state.clone(), version)) else {
            return Ok(true);
        };
        let elected = state.leader != before.leader && before.leader >= 0 && state.leader >= 0;
        let falls = state.leader_epoch < before.leader_epoch
            || state.controller_epoch < before.controller_epoch
            || version < version_before
            || elected && state.leader_epoch == before.leader_epoch;
        if falls {
            return Err(format!(
                "partition {partition}: {state:?} (version {version}) followed {before:?} ({version_before})"
            ));
        }
        Ok(version != version_before)
    }

    /// A broker has taken a role.
    pub fn of_broker(&mut self, at: usize, partition: i32, epoch: i32) -> Result<(), String> {
        let before = self.of_brokers.insert((at, partition), epoch);
        match before.filter(|before| *before >= epoch) {
            None => Ok(()),
            Some(before) => {
                Err(format!("partition {partition}: broker {at} went from leader epoch {before} to {epoch}"))
            }
        }
    }
}
