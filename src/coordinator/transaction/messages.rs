//! What the coordinator says in the log, in Kafka's words.

use super::event::{AppendFailure, Place};
use super::machine::MachineConfig;
use super::state::TransactionState;
use crate::common::LeaderEpoch;
use log::{info, warn};

const COORDINATOR: &str = "kafka.coordinator.transaction.TransactionCoordinator";
const STATE_MANAGER: &str = "kafka.coordinator.transaction.TransactionStateManager";

pub(super) fn elected(config: &MachineConfig, place: Place) {
    info!(target: COORDINATOR,
        "[TransactionCoordinator id={}] Elected as the txn coordinator for partition {} at epoch {}",
        config.broker_id, place.partition, place.coordinator_epoch);
}

pub(super) fn resigned(config: &MachineConfig, partition: i32, epoch: Option<LeaderEpoch>) {
    let epoch = epoch.map_or("None".to_string(), |epoch| format!("Some({epoch})"));
    info!(target: COORDINATOR,
        "[TransactionCoordinator id={}] Resigned as the txn coordinator for partition {partition} at epoch {epoch}",
        config.broker_id);
}

pub(super) fn loaded(config: &MachineConfig, place: Place, transactions: usize) {
    info!(target: STATE_MANAGER,
        "[Transaction State Manager {}]: Finished loading {transactions} transaction metadata from __transaction_state-{} for \
         coordinator epoch {}",
        config.broker_id, place.partition, place.coordinator_epoch);
}

pub(super) fn not_appended(id: &str, state: &TransactionState, failure: AppendFailure) {
    info!(target: STATE_MANAGER,
        "TransactionalId {id} append transaction log for {:?} (producer id {}, epoch {}) failed due to {}",
        state.status, state.producer_id, state.producer_epoch, failure.code().name());
}

pub(super) fn timed_out(id: &str, state: &TransactionState) {
    warn!(target: COORDINATOR,
        "Transaction of transactionalId {id} (producer id {}, epoch {}) was open for more than {} ms: it is rolled back",
        state.producer_id, state.producer_epoch, state.timeout_ms);
}
