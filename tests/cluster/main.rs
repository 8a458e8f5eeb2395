//! Real processes: brokers of this package on a real ZooKeeper, killed, stopped and restarted.

#[path = "../support/mod.rs"]
mod support;

mod compaction;
mod disks;
mod harness;
mod kill;
mod lab;
mod progress;
mod replicas;
mod several;
mod starts;
mod transactions;
