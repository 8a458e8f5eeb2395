//! The client over the ZooKeeper in memory.
