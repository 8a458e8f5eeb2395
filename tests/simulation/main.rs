//! Machines of the broker in worlds that lose, repeat, delay and crash, all of it decided by a seed.
//!
//! `OTTLA_SEED=n` repeats one run; `OTTLA_RUNS=n` does that many, from there or from the first.

#[path = "../support/rng.rs"]
#[allow(dead_code)]
mod rng;

mod group;
mod transaction;

/// The seeds of a test: `OTTLA_SEED` and `OTTLA_RUNS` decide, else the first `runs`.
fn seeds(runs: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("OTTLA_SEED");
    let runs = number("OTTLA_RUNS").unwrap_or(if first.is_some() { 1 } else { runs });
    let first = first.unwrap_or(0);
    first..first + runs
}
