//! Real processes: brokers of this package on a real ZooKeeper, killed, stopped and restarted.

#[path = "../support/mod.rs"]
mod support;

mod compaction;
mod disks;
mod harness;
mod kill;
mod progress;
mod replicas;
mod starts;
mod transactions;
