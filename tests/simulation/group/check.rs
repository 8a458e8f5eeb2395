//! What must be true, one file per property.

pub mod commits;
pub mod fencing;
pub mod generations;
pub mod owners;
pub mod rest;

/// What the checkers remember.
#[derive(Default)]
pub struct Checks {
    pub commits: commits::Commits,
    pub fencing: fencing::Fencing,
    pub generations: generations::Generations,
    pub owners: owners::Owners,
}
