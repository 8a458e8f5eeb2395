//! What simulations share: which seeds they run, how failures are told, how planted bugs are counted.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// The seeds of a test: `OTTLA_SEED` and `OTTLA_RUNS` decide, else the first `runs`.
pub fn seeds(runs: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("OTTLA_SEED");
    let runs = number("OTTLA_RUNS").unwrap_or(if first.is_some() { 1 } else { runs });
    let first = first.unwrap_or(0);
    first..first + runs
}

/// Runs every seed, on as many threads as there are cores, and fails with all that was violated. What the runs came
/// to, by seed.
pub fn every_seed<T: Send>(runs: u64, run: impl Fn(u64) -> Result<T, String> + Sync) -> Vec<T> {
    let seeds = seeds(runs);
    let next = AtomicU64::new(seeds.start);
    let outcomes = Mutex::new(BTreeMap::new());
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= seeds.end {
            return;
        }
        let outcome = guarded(seed, || run(seed));
        outcomes.lock().expect("no panic in here").insert(seed, outcome);
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (1..cores).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for (seed, outcome) in outcomes.into_inner().expect("no panic in here") {
        match outcome {
            Ok(outcome) => passed.push(outcome),
            Err(what) => failed.push(format!("seed {seed}: {what}")),
        }
    }
    assert!(
        failed.is_empty(),
        "{} runs failed (OTTLA_SEED repeats one):\n{}",
        failed.len(),
        failed.join("\n")
    );
    passed
}

/// Every bug is caught by some seed.
pub fn planted_bugs<B: Copy + Debug + Send + Sync>(
    bugs: &[B],
    seeds: u64,
    run: impl Fn(u64, B) -> Result<(), String> + Sync,
) {
    let only = std::env::var("OTTLA_BUG").ok();
    let bugs: Vec<B> = bugs
        .iter()
        .copied()
        .filter(|bug| only.as_ref().is_none_or(|only| format!("{bug:?}") == *only))
        .collect();
    let (next, missed) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed) as usize).copied() {
            let caught = |seed| guarded(seed, || run(seed, bug)).err().map(|what| (seed, what));
            match (0..seeds).find_map(caught) {
                Some((seed, what)) => println!("{bug:?}: seed {seed}: {what}"),
                None => missed.lock().expect("no panic in here").push(bug),
            }
        }
    };
    std::thread::scope(|scope| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        (1..cores).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    let missed = missed.into_inner().expect("no panic in here");
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// A broken assertion of a machine is a violation, too. One that halts the process leaves the seed behind.
fn guarded<T>(seed: u64, run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
        Err(format!("seed {seed} panicked: {text}"))
    })
}
