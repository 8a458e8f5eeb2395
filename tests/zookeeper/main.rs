//! `ottla::zk` against a real ZooKeeper, and the one in memory against the real one.

// A test may end by a panic.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod same;
mod session;
mod suite;

use ottla::zk::memory::MemoryZooKeeper;
use ottla::zk::{ZkClient, ZkConfig, ZkError};
use support::ZooKeeper;

/// Long enough for a busy machine to reconnect.
const SESSION_TIMEOUT_MS: i32 = 4_000;
/// Shortest that a server with ticks of 500 ms grants, for sessions to be lost.
const SESSION_TIMEOUT_MS_MIN: i32 = 1_000;

fn config(connect: String) -> ZkConfig {
    let session_timeout_ms = SESSION_TIMEOUT_MS;
    ZkConfig { session_timeout_ms, connection_timeout_ms: 30_000, ..ZkConfig::new(connect) }
}

async fn connect(connect: String) -> ZkClient {
    ZkClient::connect(config(connect)).await.expect("a session")
}

/// Where a case of the suite runs: every call is a session of its own.
enum Ensemble<'a> {
    Memory(MemoryZooKeeper),
    Real(&'a ZooKeeper, &'static str),
}

impl Ensemble<'_> {
    async fn connect(&self) -> ZkClient {
        match self {
            Ensemble::Memory(zookeeper) => zookeeper.connect(),
            Ensemble::Real(zookeeper, chroot) => connect(format!("{}{chroot}", zookeeper.address())).await,
        }
    }
}

/// Runs a case in memory and in a chroot of its own on the real server.
macro_rules! everywhere {
    ($zookeeper:expr, $($case:ident),* $(,)?) => {
        $(
            suite::$case(Ensemble::Memory(MemoryZooKeeper::new())).await;
            suite::$case(Ensemble::Real(&$zookeeper, concat!("/suite/", stringify!($case)))).await;
        )*
    };
}

#[tokio::test]
async fn the_suite() {
    let zookeeper = ZooKeeper::start();
    everywhere!(
        zookeeper,
        nodes,
        errors,
        multis,
        watches,
        batches,
        recursion,
        brokers,
        elections,
        configurations,
        committed_offsets,
        old_consumers,
    );
}

#[tokio::test]
async fn nobody_answers() {
    let port = support::free_port();
    let config = ZkConfig { connection_timeout_ms: 300, ..config(format!("127.0.0.1:{port}")) };
    let Err(error) = ZkClient::connect(config).await else { panic!("connected to nothing") };
    assert_eq!(error, ZkError::ConnectionTimeout);
    assert_eq!(error.to_string(), "Timed out waiting for connection while in state: CONNECTING");
}

#[tokio::test]
async fn a_dead_server_in_the_connect_string_does_not_matter() {
    let zookeeper = ZooKeeper::start();
    let client = connect(format!("127.0.0.1:{},{}/a/b", support::free_port(), zookeeper.address())).await;
    client.create("/c", "x", ottla::zk::CreateMode::Persistent).await.unwrap();
    let root = connect(zookeeper.address()).await;
    assert_eq!(root.get("/a/b/c").await.unwrap().unwrap().0, "x");
}
