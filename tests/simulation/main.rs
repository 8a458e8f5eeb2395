//! Machines of the broker in worlds that lose, repeat, delay and crash, all of it decided by a seed.
//!
//! `OTTLA_SEED=n` repeats one run; `OTTLA_RUNS=n` does that many, from there or from the first; `OTTLA_BUG=name` plants
//! one bug only.

#[path = "../support/rng.rs"]
#[allow(dead_code)]
mod rng;

// A world needs a clock of its own, which release builds do not have.
#[cfg(debug_assertions)]
mod cluster;
mod fence;
mod group;
mod harness;
mod transaction;
