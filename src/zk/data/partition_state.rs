//! `/brokers/topics/T/partitions/P/state`.
//!
//! ```text
//! {"controller_epoch":7,"leader":1,"version":1,"leader_epoch":3,"isr":[1,2]}
//! ```
//! Kafka 3.2 adds `leader_recovery_state` while recovering; 2.8.2 and we ignore it.

use super::{Bytes, DataError, from_json, to_json};
use crate::common::{BrokerId, ControllerEpoch, LeaderEpoch};
use serde::{Deserialize, Serialize};

/// Leader and in-sync replicas of a partition.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PartitionState {
    /// Epoch of the controller that wrote it, or whose LeaderAndIsr the writing leader followed.
    pub controller_epoch: ControllerEpoch,
    /// The leader, -1 for none.
    pub leader: BrokerId,
    /// Its epoch.
    pub leader_epoch: LeaderEpoch,
    /// In-sync replicas.
    pub isr: Vec<BrokerId>,
}

#[derive(Serialize)]
struct Written<'a> {
    controller_epoch: ControllerEpoch,
    leader: BrokerId,
    version: i32,
    leader_epoch: LeaderEpoch,
    isr: &'a [BrokerId],
}

impl PartitionState {
    /// Writes it.
    pub fn encode(&self) -> Bytes {
        let PartitionState { controller_epoch, leader, leader_epoch, ref isr } = *self;
        to_json(&Written { controller_epoch, leader, version: 1, leader_epoch, isr })
    }

    /// Reads it.
    pub fn decode(data: &[u8]) -> Result<PartitionState, DataError> {
        from_json("partition state", data)
    }
}
