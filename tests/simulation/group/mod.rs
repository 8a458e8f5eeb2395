//! Consumers of one group, plain and static, some of them transactional, against the group coordinator's machine.
//!
//! The world: one shard at a time, the log that outlives it, a network that loses, repeats and delays, consumers that
//! join, work, commit, pause for longer than their session, crash and come back, and a wall clock that jumps. What can
//! happen is in [`world`] and [`consumer`], what must be true in the files of `check`.

mod bug;
mod check;
mod consumer;
mod journal;
mod world;

use crate::harness;
use bug::Bug;
use world::World;

const STEPS: usize = 600;

/// Runs one seed to its end; what was violated.
fn run(seed: u64, bug: Option<Bug>) -> Result<(), String> {
    let mut world = World::new(seed, bug);
    for _ in 0..STEPS {
        world.step()?;
    }
    world.come_to_rest()?;
    check::rest::all_work(&world)
}

#[test]
fn every_run_keeps_its_promises() {
    harness::every_seed(1000, |seed| run(seed, None));
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..20 {
        let trace = |seed| {
            let mut world = World::new(seed, None);
            world.traces = true;
            (0..STEPS).for_each(|_| world.step().expect("no violation"));
            world.trace
        };
        let (first, second) = (trace(seed), trace(seed));
        let difference = first.iter().zip(&second).find(|(a, b)| a != b);
        assert!(difference.is_none() && first.len() == second.len(), "seed {seed}: {difference:?}");
    }
}

/// Checkers that find nothing prove nothing.
#[test]
fn planted_bugs_are_caught() {
    harness::planted_bugs(&Bug::ALL, 300, |seed, bug| run(seed, Some(bug)));
}

/// The story of one seed.
#[test]
#[ignore = "for people who read"]
fn story() {
    let seed = harness::seeds(1).start;
    let mut world = World::new(seed, None);
    world.traces = true;
    let mut outcome = Ok(());
    for _ in 0..STEPS {
        outcome = world.step();
        if outcome.is_err() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| world.come_to_rest());
    world.trace.iter().for_each(|line| println!("{line}"));
    println!("{outcome:?}");
}
