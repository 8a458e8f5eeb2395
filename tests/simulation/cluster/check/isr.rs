//! The ISR is a part of the replicas, and the leader one of it, or nobody.

use ottla::common::BrokerId;
use ottla::zk::data::PartitionState;

pub fn check(partition: i32, state: &PartitionState, replicas: &[BrokerId]) -> Result<(), String> {
    let mut members = state.isr.clone();
    members.sort_unstable();
    members.dedup();
    let is_legal = !members.is_empty()
        && members.len() == state.isr.len()
        && members.iter().all(|id| replicas.contains(id))
        && (state.leader == -1 || members.contains(&state.leader));
    if is_legal { Ok(()) } else { Err(format!("partition {partition} of {replicas:?}: {state:?}")) }
}
