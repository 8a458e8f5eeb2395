//! A request is answered once, and not before what it asked for is in the log.

use super::super::world::{Asked, World};
use ottla::coordinator::transaction::status::Status;

pub fn check(world: &World) -> Result<(), String> {
    if let Some(reply) = world.answered_twice {
        return Err(format!("request {reply} was answered twice"));
    }
    let Some((reply, answer)) = world.last_answer else { return Ok(()) };
    let (Ok(producer), Some(asked)) = (answer, world.asked.get(&reply)) else { return Ok(()) };
    let is_there = world.history.iter().any(|state| match asked {
        Asked::Init => (state.producer_id, state.producer_epoch) == (producer.id, producer.epoch),
        Asked::Add(partitions) => {
            state.producer_id == producer.id && state.partitions.is_superset(partitions)
        }
        Asked::End { commit } => {
            let decided = if *commit { Status::PrepareCommit } else { Status::PrepareAbort };
            state.status == decided && state.producer_id == producer.id
        }
    });
    if is_there { Ok(()) } else { Err(format!("{asked:?} was answered {answer:?} before it was in the log")) }
}

pub fn check_at_rest(world: &World) -> Result<(), String> {
    match world.unanswered().next() {
        None => Ok(()),
        Some(reply) => Err(format!("request {reply} was never answered")),
    }
}
