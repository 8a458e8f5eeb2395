//! One broker process and ZooKeeper: outages, lost sessions, contested ids, and the znodes that both sides write.

#[path = "../support/mod.rs"]
mod support;

mod commits;
mod identity;
mod interrupted;
mod offsets;
mod outage;
mod session;
mod several;
mod znodes;
