//! Leader epochs (KIP-101, KIP-320): a partition that went through several, and then lost its leadership. The broker is
//! told so by requests of a controller that is not there.

use super::fetch::fetch_one;
use super::records::batch;
use super::script::{Script, produce, versions};
use ottla::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::protocol::messages::fetch::FetchRequest;
use ottla::protocol::messages::leader_and_isr::{
    LeaderAndIsrLiveLeader, LeaderAndIsrPartitionState, LeaderAndIsrRequest, LeaderAndIsrTopicState,
};
use ottla::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla::protocol::messages::produce::ProduceRequest;

/// Makes `leader` the leader of `t-0` in this epoch.
fn lead(script: &mut Script, step: &str, leader: i32, leader_epoch: i32) {
    let live = |broker_id: i32, port: i32| LeaderAndIsrLiveLeader {
        broker_id,
        host_name: "127.0.0.1".into(),
        port,
        ..Default::default()
    };
    let partition = LeaderAndIsrPartitionState {
        controller_epoch: 1,
        leader,
        leader_epoch,
        isr: vec![leader],
        replicas: vec![0, 99],
        zk_version: leader_epoch,
        ..Default::default()
    };
    let topic = LeaderAndIsrTopicState {
        topic_name: "t".into(),
        partition_states: vec![partition],
        ..Default::default()
    };
    let request = LeaderAndIsrRequest {
        controller_id: 0,
        controller_epoch: 1,
        broker_epoch: -1,
        topic_states: vec![topic],
        live_leaders: vec![live(leader, if leader == 0 { script.port() } else { 9 })],
        ..Default::default()
    };
    script.call(step, 3, &request);
}

fn list(replica_id: i32, timestamp: i64, epoch: i32) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition {
        timestamp,
        current_leader_epoch: epoch,
        max_num_offsets: 1,
        ..Default::default()
    };
    let topic = ListOffsetsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    ListOffsetsRequest { replica_id, topics: vec![topic], ..Default::default() }
}

fn epoch_end(replica_id: i32, current_leader_epoch: i32, leader_epoch: i32) -> OffsetForLeaderEpochRequest {
    let partition = OffsetForLeaderPartition { current_leader_epoch, leader_epoch, ..Default::default() };
    let topic = OffsetForLeaderTopic { topic: "t".into(), partitions: vec![partition], ..Default::default() };
    OffsetForLeaderEpochRequest { replica_id, topics: vec![topic], ..Default::default() }
}

fn fetch(offset: i64, current_leader_epoch: i32, last_fetched_epoch: i32) -> FetchRequest {
    let mut request = fetch_one("t", 0, offset, 50);
    request.topics[0].partitions[0].current_leader_epoch = current_leader_epoch;
    request.topics[0].partitions[0].last_fetched_epoch = last_fetched_epoch;
    request
}

fn delete(offset: i64) -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition { offset, ..Default::default() };
    let topic = DeleteRecordsTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() }
}

fn ask(script: &mut Script, when: &str) {
    for v in versions::<ListOffsetsRequest>() {
        for epoch in if v >= 4 { &[-1, 0, 5, 7, 8][..] } else { &[-1] } {
            for (name, timestamp) in [("latest", -1), ("earliest", -2), ("at a time", 1_700_000_000_002)] {
                script.call(&format!("{when}: {name}, epoch {epoch}"), v, &list(-1, timestamp, *epoch));
            }
        }
        script.call(&format!("{when}: latest for debugging"), v, &list(-2, -1, -1));
    }
    for v in versions::<OffsetForLeaderEpochRequest>() {
        for epoch in -2..=9 {
            script.call(&format!("{when}: end of epoch {epoch}"), v, &epoch_end(-1, -1, epoch));
        }
        for current in if v >= 2 { &[0, 6, 7, 8][..] } else { &[] } {
            script.call(&format!("{when}: end of epoch, current {current}"), v, &epoch_end(-1, *current, 5));
        }
        script.call(&format!("{when}: end of epoch for debugging"), v, &epoch_end(-2, -1, 5));
    }
    for v in versions::<FetchRequest>() {
        script.fetch(&format!("{when}: fetch"), v, &fetch(0, -1, -1));
        let debugging = FetchRequest { replica_id: -2, ..fetch(0, -1, -1) };
        script.fetch(&format!("{when}: fetch for debugging"), v, &debugging);
        for current in if v >= 9 { &[0, 6, 7, 8][..] } else { &[] } {
            script.fetch(&format!("{when}: fetch, epoch {current}"), v, &fetch(0, *current, -1));
        }
    }
    for (offset, last) in
        [(3, 0), (4, 0), (3, 3), (5, 5), (5, 6), (6, 5), (6, 7), (7, 7), (6, 9), (1, 0), (0, 7)]
    {
        script.fetch(&format!("{when}: fetch {offset} after epoch {last}"), 12, &fetch(offset, -1, last));
    }
    for v in versions::<ProduceRequest>().skip(3) {
        let records = batch(&[(None, Some("more"))]);
        if when == "follower" {
            script.call(&format!("{when}: produce"), v, &produce("t", 0, 1, records));
        }
    }
}

#[test]
fn answers() {
    let mut script = Script::start("epochs", &[("auto.create.topics.enable", "false")]);
    script.create_topics(&[("t", 1, &[])]);
    script.append("t", 0, batch(&[(None, Some("0")), (None, Some("1")), (None, Some("2"))]));
    lead(&mut script, "epoch 5", 0, 5);
    script.append("t", 0, batch(&[(None, Some("3")), (None, Some("4"))]));
    lead(&mut script, "epoch 7", 0, 7);
    script.append("t", 0, batch(&[(None, Some("5"))]));
    lead(&mut script, "epoch 7 again", 0, 7);
    lead(&mut script, "epoch 6", 0, 6);
    ask(&mut script, "leader");
    for v in versions::<DeleteRecordsRequest>() {
        script.call("delete records", v, &delete(i64::from(v) + 1));
    }
    ask(&mut script, "leader, records deleted");
    // A broker follows only whom it knows.
    super::not_leader::tell(&mut script);
    lead(&mut script, "leads no more", 99, 9);
    ask(&mut script, "follower");
    for v in versions::<DeleteRecordsRequest>() {
        script.call("follower: delete records", v, &delete(4));
    }
    script.finish();
}
