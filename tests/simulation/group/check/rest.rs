//! When the world has come to rest, everybody works, in one generation, and everything has an owner.

use crate::group::world::{PARTITIONS, World};

pub fn all_work(world: &World) -> Result<(), String> {
    let alive: Vec<_> = world.consumers.iter().filter(|consumer| consumer.is_alive()).collect();
    let mut owned: Vec<i32> = Vec::new();
    for consumer in &alive {
        if !consumer.works() {
            return Err(format!("{} does not work: {:?}", consumer.name, consumer.phase));
        }
        if consumer.generation != alive[0].generation {
            return Err(format!("generations {} and {}", consumer.generation, alive[0].generation));
        }
        owned.extend(&consumer.assignment);
    }
    owned.sort_unstable();
    if !alive.is_empty() && owned != (0..PARTITIONS).collect::<Vec<_>>() {
        return Err(format!("owned: {owned:?}"));
    }
    if world.waiting() > 0 {
        return Err(format!("{} requests were never answered", world.waiting()));
    }
    Ok(())
}
