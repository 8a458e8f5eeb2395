//! Once a producer has its epoch, nobody with an older one commits.

use super::super::world::World;

pub fn check(world: &World) -> Result<(), String> {
    match &world.zombie_commit {
        None => Ok(()),
        Some((old, new)) => Err(format!("{old:?} committed although {new:?} was given out")),
    }
}
