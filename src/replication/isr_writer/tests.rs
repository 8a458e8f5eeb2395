//! Broker 0 leads partition `t-0` of brokers 0, 1 and 2 alone in its ISR; 1 has caught up, so [0, 1] is wanted.

use super::*;
use crate::common::{ErrorCode, Offset};
use crate::protocol::messages::alter_isr::{
    AlterIsrRequest, AlterIsrResponse, AlterIsrResponsePartitionData, AlterIsrResponseTopicData,
};
use crate::replication::Partition;
use crate::replication::testing::{self, LONG_MS};
use crate::zk::data::partition_state::PartitionState;
use crate::zk::memory::MemoryZooKeeper;
use crate::zk::{ANY_VERSION, CreateMode, paths};
use std::sync::Mutex;

const EPOCH: i32 = 5;

fn state(leader: i32, leader_epoch: i32, isr: &[i32]) -> bytes::Bytes {
    PartitionState { controller_epoch: 1, leader, leader_epoch, isr: isr.to_vec() }.encode()
}

struct World {
    zk: ZkClient,
    partition: Arc<Partition>,
    writer: Option<IsrWriter>,
    wanted: mpsc::UnboundedReceiver<WantedIsr>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new(controller: Option<Arc<dyn AskController>>) -> World {
        let zk = MemoryZooKeeper::new().connect();
        let path = paths::partition_state("t", 0);
        zk.create_with_parents(&path, state(0, EPOCH, &[0]), CreateMode::Persistent).await.expect("created");
        let (replicas, wanted, _dir) = testing::replicas("");
        testing::decide(&replicas, 0, (0, EPOCH), &[0], &[0, 1, 2]);
        let partition = replicas.find("t", 0).expect("hosted");
        let writer = IsrWriter { zk: zk.clone(), replicas, controller };
        World { zk, partition, writer: Some(writer), wanted, _dir }
    }

    /// Follower `id` asks for what comes after `offset`.
    fn fetch(&self, id: i32, offset: Offset) {
        testing::follower_fetches(&self.partition, id, offset);
    }

    async fn write_state(&self, leader: i32, leader_epoch: i32, isr: &[i32]) {
        let path = paths::partition_state("t", 0);
        self.zk.set(&path, state(leader, leader_epoch, isr), ANY_VERSION).await.expect("written");
    }

    /// Runs the writer until all that is wanted now is decided.
    async fn settle(&mut self) {
        let (sender, queue) = mpsc::unbounded_channel();
        while let Ok(one) = self.wanted.try_recv() {
            assert!(sender.send(one).is_ok());
        }
        drop(sender);
        self.writer.take().expect("once").run(queue, std::time::Duration::from_millis(LONG_MS as u64)).await;
    }

    fn in_sync(&self) -> Vec<i32> {
        self.partition.with_state(|state| state.machine.in_sync_replicas().to_vec())
    }

    fn maximal_in_sync(&self) -> usize {
        self.partition.with_state(|state| state.machine.maximal_in_sync())
    }
}

/// Answers with these codes, one after the other, then with success.
#[derive(Default)]
struct Controller {
    codes: Mutex<Vec<(ErrorCode, ErrorCode)>>,
    asked: Mutex<Vec<AlterIsrRequest>>,
}

impl AskController for Controller {
    fn alter_isr(&self, request: AlterIsrRequest) -> AlterIsrFuture {
        let next = self.codes.lock().expect("no panic").pop();
        let (whole, code) = next.unwrap_or((ErrorCode::None, ErrorCode::None));
        let asked = &request.topics[0].partitions[0];
        let partition = AlterIsrResponsePartitionData {
            error_code: code.code(),
            leader_id: 0,
            leader_epoch: asked.leader_epoch,
            isr: asked.new_isr.clone(),
            current_isr_version: asked.current_isr_version + 1,
            ..Default::default()
        };
        let topic = AlterIsrResponseTopicData {
            name: request.topics[0].name.clone(),
            partitions: vec![partition],
            ..Default::default()
        };
        self.asked.lock().expect("no panic").push(request);
        let response =
            AlterIsrResponse { error_code: whole.code(), topics: vec![topic], ..Default::default() };
        Box::pin(async move { Ok(response) })
    }
}

#[tokio::test(start_paused = true)]
async fn the_leader_writes() {
    let mut world = World::new(None).await;
    world.fetch(1, 0);
    world.settle().await;
    assert_eq!(world.in_sync(), [0, 1]);
    let told = world.zk.children(paths::ISR_CHANGES).await.expect("read");
    assert_eq!(told.len(), 1, "the controller is told");
}

#[tokio::test(start_paused = true)]
async fn what_stands_there_in_the_same_epoch_counts() {
    let mut world = World::new(None).await;
    world.write_state(0, EPOCH, &[0, 2]).await;
    world.fetch(1, 0);
    world.settle().await;
    assert_eq!(world.in_sync(), [0, 2]);
}

#[tokio::test(start_paused = true)]
async fn after_another_decision_both_count() {
    let mut world = World::new(None).await;
    // An attempt whose answer was lost, then the controller chose the follower.
    world.write_state(0, EPOCH, &[0, 1]).await;
    world.write_state(1, EPOCH + 1, &[0, 1]).await;
    world.fetch(1, 0);
    world.settle().await;
    assert_eq!((world.in_sync(), world.maximal_in_sync()), (vec![0], 2));
}

#[tokio::test(start_paused = true)]
async fn the_controller_writes_as_soon_as_it_can() {
    let none = ErrorCode::None;
    let controller = Arc::new(Controller {
        codes: Mutex::new(vec![(none, ErrorCode::UnknownTopicOrPartition), (ErrorCode::NotController, none)]),
        ..Default::default()
    });
    let mut world = World::new(Some(Arc::clone(&controller) as Arc<dyn AskController>)).await;
    world.fetch(1, 0);
    world.settle().await;
    assert_eq!(world.in_sync(), [0, 1]);
    let asked = std::mem::take(&mut *controller.asked.lock().expect("no panic"));
    assert_eq!(asked.len(), 3);
    let change = &asked[0].topics[0].partitions[0];
    assert_eq!(
        (change.leader_epoch, &change.new_isr[..], change.current_isr_version),
        (EPOCH, &[0, 1][..], 0)
    );
    let told = world.zk.exists(paths::ISR_CHANGES).await.expect("read");
    assert!(told.is_none(), "it knows");
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_the_controller_that_was_lost_is_found() {
    let codes = Mutex::new(vec![(ErrorCode::None, ErrorCode::InvalidUpdateVersion)]);
    let controller = Arc::new(Controller { codes, ..Default::default() });
    let mut world = World::new(Some(controller)).await;
    world.write_state(0, EPOCH, &[0, 1]).await;
    world.fetch(1, 0);
    world.settle().await;
    assert_eq!(world.in_sync(), [0, 1]);
}
