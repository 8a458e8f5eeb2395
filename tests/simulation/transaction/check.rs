//! What must be true; one file for each property.

mod answers;
mod decisions;
mod exactly_once;
mod fencing;
mod no_open_transaction;

use super::world::World;

/// After every step.
pub fn always(world: &World) -> Result<(), String> {
    answers::check(world)?;
    decisions::check(world)?;
    fencing::check(world)
}

/// When the chaos is over.
pub fn at_rest(world: &World) -> Result<(), String> {
    always(world)?;
    answers::check_at_rest(world)?;
    no_open_transaction::check(world)?;
    exactly_once::check(world)
}
