//! No transaction stays open for ever: neither at the coordinator nor in a partition.

use super::super::world::{TRANSACTIONAL_ID, World};
use ottla::coordinator::transaction::status::Status;

pub fn check(world: &World) -> Result<(), String> {
    for (number, partition) in world.partitions.iter().enumerate() {
        if partition.is_open() {
            return Err(format!("partition {number} has an open transaction"));
        }
    }
    let Some(transaction) = world.leader().machine.transaction(0, TRANSACTIONAL_ID) else { return Ok(()) };
    let status = transaction.state.status;
    if status == Status::Ongoing || status.is_prepared() || transaction.pending.is_some() {
        return Err(format!("the coordinator holds {transaction:?}"));
    }
    Ok(())
}
