//! A cluster on one thread: partitions on real logs, fetchers, controllers and ZooKeeper, a network and clients, all under
//! one seed.
//!
//! What runs is the production code from the request's meaning down to the files: `ReplicaManager`, `Partition`, `Log`,
//! fetch sessions, the fetchers' machine, the controllers' machine with its ZooKeeper requests, registration; around them
//! the world does what drivers, connections and clients would do. What can go wrong is in [`chaos`] and [`network`], what
//! must be true in the files of `check`. Two phases: first things fail and only safety counts, then they do not and
//! everything must come to rest.

mod broker;
mod bug;
mod chaos;
mod check;
mod client;
mod control;
mod disk;
mod ensemble;
mod follower;
mod isr;
mod leader;
mod network;
mod obey;
mod setup;
mod world;

use crate::harness;
use bug::Bug;
use std::rc::Rc;
use tokio::runtime::{Builder, Runtime};
use world::World;

/// For how long things fail.
const CHAOS_MS: i64 = 4_500;
/// For how long the world may take to come to rest.
const REST_MS: i64 = 20_000;

/// What a run came to.
#[derive(PartialEq, Eq, Debug)]
struct Outcome {
    hash: u64,
    acknowledged: u64,
    consumed: u64,
}

thread_local! {
    /// Its time stands still but for what worlds say.
    static RUNTIME: Rc<Runtime> =
        Rc::new(Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime"));
}

fn run(seed: u64, bug: Option<Bug>) -> Result<Outcome, String> {
    run_traced(seed, bug, false).0
}

fn run_traced(seed: u64, bug: Option<Bug>, traces: bool) -> (Result<Outcome, String>, Vec<String>) {
    let runtime = RUNTIME.with(Rc::clone);
    let _inside = runtime.enter();
    let mut world = World::new(seed, bug, Rc::clone(&runtime));
    world.traces = traces;
    let outcome = live(&mut world);
    let outcome = outcome.map(|()| Outcome {
        hash: world.hash,
        acknowledged: world.clients.acknowledged,
        consumed: world.clients.consumed,
    });
    (outcome, std::mem::take(&mut world.trace))
}

fn live(world: &mut World) -> Result<(), String> {
    while world.since_begin_ms() < CHAOS_MS {
        world.step()?;
    }
    world.heal();
    let until_ms = world.since_begin_ms() + REST_MS;
    // Who writes while the world heals is served; then nobody writes.
    while world.since_begin_ms() < CHAOS_MS + 500 {
        world.step()?;
    }
    world.clients.silent = true;
    loop {
        for _ in 0..50 {
            world.step()?;
        }
        match check::rest::check(world) {
            Ok(()) => return Ok(()),
            Err(what) if world.since_begin_ms() > until_ms => return Err(format!("no rest: {what}")),
            Err(_) => {}
        }
    }
}

#[test]
fn every_run_keeps_its_promises() {
    let outcomes = harness::every_seed(1000, |seed| run(seed, None));
    let acknowledged: u64 = outcomes.iter().map(|outcome| outcome.acknowledged).sum();
    let consumed: u64 = outcomes.iter().map(|outcome| outcome.consumed).sum();
    println!("{acknowledged} acknowledged, {consumed} consumed in {} runs", outcomes.len());
    let runs = outcomes.len() as u64;
    assert!(runs < 100 || acknowledged > 20 * runs, "a world in which nothing works proves nothing");
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..8 {
        let (first, second) = (run_traced(seed, None, true), run_traced(seed, None, true));
        let difference = first.1.iter().zip(&second.1).find(|(a, b)| a != b);
        assert!(difference.is_none() && first.1.len() == second.1.len(), "seed {seed}: {difference:?}");
        assert_eq!(first.0, second.0, "seed {seed}");
    }
}

/// Checkers that find nothing prove nothing.
#[test]
fn planted_bugs_are_caught() {
    harness::planted_bugs(&Bug::ALL, 120, |seed, bug| run(seed, Some(bug)).map(drop));
}

/// The story of one seed: `OTTLA_SEED=n cargo test --test simulation cluster::story -- --ignored --nocapture`.
#[test]
#[ignore = "for people who read"]
fn story() {
    let seed = harness::seeds(1).start;
    let bug = std::env::var("OTTLA_BUG").ok();
    let bug = bug.map(|name| *Bug::ALL.iter().find(|bug| format!("{bug:?}") == name).expect("a bug"));
    let (outcome, trace) = run_traced(seed, bug, true);
    trace.iter().for_each(|line| println!("{line}"));
    println!("{outcome:?}");
}
