//! (zk)

pub mod replica_placement;
