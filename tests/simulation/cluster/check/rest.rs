//! When nothing fails any more, every partition has a leader and all its replicas in sync, with the same log, all of it
//! committed and read; and somebody is controller.

use crate::cluster::disk::Entry;
use crate::cluster::setup::TOPIC;
use crate::cluster::world::World;

pub fn check(world: &World) -> Result<(), String> {
    if world.active_controller().is_none() {
        return Err("nobody is controller".to_string());
    }
    world.setup.partitions().try_for_each(|partition| check_partition(world, partition))
}

fn check_partition(world: &World, partition: i32) -> Result<(), String> {
    let of = |what: String| format!("partition {partition}: {what}");
    let (state, _) =
        world.ensemble.state(TOPIC, partition).ok_or_else(|| of("it was never made".to_string()))?;
    let replicas = &world.setup.replicas[partition as usize];
    if state.leader < 0 {
        return Err(of(format!("no leader, ISR {:?}", state.isr)));
    }
    if state.isr.len() != replicas.len() {
        return Err(of(format!("ISR {:?} of {replicas:?}", state.isr)));
    }
    let mut logs: Vec<(i32, Vec<Entry>)> = Vec::new();
    for id in replicas {
        let broker = world.slots[*id as usize].broker.as_ref().ok_or_else(|| of(format!("{id} is down")))?;
        let hosted = broker.partition(partition).ok_or_else(|| of(format!("{id} does not host it")))?;
        let (leads, epoch, high_watermark) = hosted.with_state(|state| {
            (state.machine.is_leader(), state.machine.leader_epoch(), state.machine.high_watermark().offset)
        });
        if leads != (*id == state.leader) || epoch != state.leader_epoch {
            return Err(of(format!("broker {id} in epoch {epoch}, leads: {leads}; in ZooKeeper {state:?}")));
        }
        let entries = broker.entries(partition, 0);
        let end = entries.last().map_or(0, |entry| entry.next_offset);
        if high_watermark != end {
            return Err(of(format!("broker {id}: high watermark {high_watermark}, log end {end}")));
        }
        world.checks.acknowledged.elected(*id as usize, partition, i32::MAX, &entries)?;
        world.checks.committed.elected(*id as usize, partition, i32::MAX, &entries)?;
        logs.push((*id, entries));
    }
    let (first, log) = &logs[0];
    if let Some((other, _)) = logs.iter().find(|(_, other)| other != log) {
        return Err(of(format!("the logs of {first} and {other} differ")));
    }
    let (end, position) =
        (log.last().map_or(0, |entry| entry.next_offset), world.clients.positions[partition as usize]);
    if position != end {
        return Err(of(format!("the consumer stands at {position} of {end}")));
    }
    Ok(())
}
