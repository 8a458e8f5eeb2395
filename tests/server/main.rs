//! One broker process and ZooKeeper: outages, lost sessions, contested ids, and the znodes that both sides write.

#[path = "../support/mod.rs"]
mod support;

mod commits;
mod connections;
mod coordinators;
mod identity;
mod interrupted;
mod moves;
mod offsets;
mod outage;
mod quotas;
mod session;
mod several;
mod znodes;
