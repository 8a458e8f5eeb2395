//! ZooKeeper as the world sees it: the ensemble in memory, whose requests end at once, and how to ask it without a task.

use ottla::zk::data::{PartitionState, TopicAssignment};
use ottla::zk::memory::MemoryZooKeeper;
use ottla::zk::{CreateMode, ZkClient, paths, skeleton};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// The outcome of a future that waits for nothing but ZooKeeper; none while the client has no connection.
pub fn at_once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    // Pipelined requests wake each other.
    for _ in 0..16 {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
    }
    None
}

pub struct Ensemble {
    pub server: MemoryZooKeeper,
    /// Sees everything, is never cut off.
    observer: ZkClient,
}

impl Ensemble {
    pub fn new() -> Ensemble {
        let server = MemoryZooKeeper::new();
        let observer = server.connect();
        at_once(skeleton::create(&observer)).expect("connected").expect("an empty ensemble");
        Ensemble { server, observer }
    }

    /// A tool makes the topic.
    pub fn create_topic(&self, topic: &str, assignment: &TopicAssignment) {
        let path = paths::topic(topic);
        let created = self.observer.create(&path, assignment.encode(), CreateMode::Persistent);
        at_once(created).expect("connected").expect("it is new");
    }

    /// A partition's state with its version.
    pub fn state(&self, topic: &str, partition: i32) -> Option<(PartitionState, i32)> {
        let path = paths::partition_state(topic, partition);
        let (data, stat) = at_once(self.observer.get(&path)).expect("connected").expect("readable")?;
        Some((PartitionState::decode(&data).expect("well formed"), stat.version))
    }

    /// Version of `/controller_epoch`.
    pub fn controller_epoch_version(&self) -> i32 {
        let found =
            at_once(self.observer.get(paths::CONTROLLER_EPOCH)).expect("connected").expect("readable");
        found.map_or(-1, |(_, stat)| stat.version)
    }

    /// True if something was written since the last call.
    pub fn was_written(&self) -> bool {
        !self.server.take_log().is_empty()
    }
}
