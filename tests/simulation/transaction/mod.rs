//! Read-process-write loops under one transactional id, against the transaction coordinator's machine.
//!
//! The world: coordinators (one that leads, others that do not know yet that they are replaced), the transaction log
//! that outlives them, partitions with producer state, and processors that read an input, write an output and commit
//! their position, in transactions. What can happen is in [`world`], what must be true in the files of `check`.

mod check;
mod partition;
mod processor;
mod world;

use crate::harness;
use world::{Bug, World};

const STEPS: usize = 400;

/// Runs one seed to its end; gives how far the processors came, or what was violated.
fn run(seed: u64, bug: Option<Bug>) -> Result<i64, String> {
    let mut world = World::new(seed, bug);
    for _ in 0..STEPS {
        world.step();
        check::always(&world)?;
    }
    world.come_to_rest();
    check::at_rest(&world)?;
    Ok(world.positions().position())
}

#[test]
fn every_run_is_exactly_once() {
    let positions = harness::every_seed(1000, |seed| run(seed, None));
    let (runs, processed) = (positions.len() as i64, positions.iter().sum::<i64>());
    println!("{processed} inputs processed in {runs} runs");
    assert!(runs < 100 || processed > 3 * runs, "a world in which nothing works proves nothing: {processed}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let trace = |seed| {
            let mut world = World::new(seed, None);
            (0..STEPS).for_each(|_| world.step());
            world.come_to_rest();
            world.trace
        };
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

/// Checkers that find nothing prove nothing.
#[test]
fn planted_bugs_are_caught() {
    harness::planted_bugs(&Bug::ALL, 300, |seed, bug| run(seed, Some(bug)).map(drop));
}
