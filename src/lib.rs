#![doc = include_str!("ARCHITECTURE.md")]

// Floor 0
pub mod common;
// Floor 1
pub mod config;
pub mod protocol;
pub mod record;
// Floor 2
pub mod network;
pub mod storage;
pub mod zk;
// Floor 3
pub mod metadata;
pub mod quota;
// Floor 4
pub mod admin;
pub mod controller;
pub mod replication;
// Floor 5
pub mod coordinator;
// Floor 6
pub mod handlers;
// Floor 7
pub mod server;
// Sees floors 0-2 only
pub mod tools;
