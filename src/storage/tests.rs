//! Tests of whole logs: what they do, what they leave on disk, what a crash leaves of it.

mod checkpoints;
mod crash;
mod epochs;
mod faults;
mod retention;
mod roll;
mod simple;
pub(crate) mod world;
