//! (replication)
