//! Markers tell what was decided: never before it is in the log, and never both ways.

use super::super::world::World;
use ottla::coordinator::transaction::status::Status;

pub fn check(world: &World) -> Result<(), String> {
    let Some((producer, commit)) = world.last_marker else { return Ok(()) };
    let decided = if commit { Status::PrepareCommit } else { Status::PrepareAbort };
    let is_decided = world.history.iter().any(|state| {
        state.status == decided && (state.producer_id, state.producer_epoch) == (producer.id, producer.epoch)
    });
    match is_decided {
        true => Ok(()),
        false => Err(format!(
            "a marker ({}) of {producer:?} without a decision",
            if commit { "commit" } else { "abort" }
        )),
    }
}
