//! The shared harness: real ZooKeeper, real brokers, a raw wire client. Include it from a test binary with
//! `#[path = "../support/mod.rs"] mod support;`.
//!
//! Everything a test starts is its own (free loopback ports below the ephemeral range, a temporary directory) and
//! ends with the value that owns it. With `OTTLA_KEEP=1` the directories of failed tests stay and are named.

// Each test binary uses a part of this.
#![allow(dead_code, unused_imports)]

mod broker;
pub mod client;
mod dir;
mod ensemble;
pub mod net;
mod port;
mod proxy;
mod records;
mod rng;
mod small_disk;
mod wire;
mod zookeeper;

pub use broker::Broker;
pub use dir::TestDir;
pub use ensemble::Ensemble;
pub use port::free_port;
pub use proxy::Proxy;
pub use records::{ProducerId, idempotent_batch, read_batches};
pub use rng::Rng;
pub use small_disk::SmallDisk;
pub use wire::Wire;
pub use zookeeper::ZooKeeper;

use std::time::{Duration, Instant};

/// Longest wait for anything that a healthy machine does in a second or two. A busy one has been seen to take a minute.
pub const PATIENCE: Duration = Duration::from_secs(150);

/// Asks `ready` until it gives a value; panics with `what` after [`PATIENCE`].
pub fn wait_for<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = ready() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "no {what} after {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A number from the environment, such as `SEEDS=200`.
pub fn number_from(variable: &str, default: u64) -> u64 {
    std::env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}")))
}

/// The last `count` lines of a text.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
