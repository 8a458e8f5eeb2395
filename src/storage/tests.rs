//! Tests of whole logs: what they do, what they leave on disk, what a crash leaves of it.

mod crash;
mod epochs;
mod faults;
mod world;
