//! Scenarios of the machine: each step shows all that comes out of it.

mod failures;
mod leadership;
mod life;
mod records;
mod world;
