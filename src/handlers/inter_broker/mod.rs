//! What the controller asks, and what brokers ask of it; over the wire or, within this process, directly.

pub mod alter_isr;
pub mod controlled_shutdown;
pub mod leader_and_isr;
pub mod stop_replica;
pub mod update_metadata;
pub mod write_txn_markers;

use super::dispatch::Broker;
use crate::common::{ControllerEpoch, ErrorCode};
use crate::replication::ReplicaManager;
use log::info;
use std::sync::atomic::Ordering;

/// The fences of KIP-380 and of the controller epoch, in Kafka's order. An epoch that passes is remembered.
fn fence(broker: &Broker, broker_epoch: i64, controller_epoch: ControllerEpoch) -> Result<(), ErrorCode> {
    admit(&broker.replicas, broker.epoch.load(Ordering::Acquire), broker_epoch, controller_epoch)
}

/// [`fence`] of a broker whose registration has the epoch `own`.
pub fn admit(
    replicas: &ReplicaManager,
    own: i64,
    broker_epoch: i64,
    controller_epoch: ControllerEpoch,
) -> Result<(), ErrorCode> {
    if broker_epoch != -1 && broker_epoch < own {
        info!(target: "state.change.logger", "Received a controller request with broker epoch {broker_epoch} smaller than the current broker epoch {own}");
        return Err(ErrorCode::StaleBrokerEpoch);
    }
    if !replicas.note_controller_epoch(controller_epoch) {
        return Err(ErrorCode::StaleControllerEpoch);
    }
    Ok(())
}
