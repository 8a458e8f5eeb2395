//! A partition that the cluster has, but not this broker.

use super::fetch::fetch_one;
use super::records::batch_with;
use super::script::{Script, produce, versions};
use ottla::protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use ottla::protocol::messages::fetch::FetchRequest;
use ottla::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla::protocol::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use ottla::protocol::messages::offset_for_leader_epoch::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use ottla::protocol::messages::produce::ProduceRequest;
use ottla::protocol::messages::update_metadata::{
    UpdateMetadataBroker, UpdateMetadataEndpoint, UpdateMetadataPartitionState, UpdateMetadataRequest,
    UpdateMetadataTopicState,
};
use ottla::record::builder::BatchOptions;

const AWAY: &str = "away";

/// Tells the broker what a controller would say, were there a second broker that leads the partition.
pub fn tell(script: &mut Script) {
    let port = script.port();
    let live = |id: i32, port: i32| UpdateMetadataBroker {
        id,
        endpoints: vec![UpdateMetadataEndpoint {
            port,
            host: "127.0.0.1".into(),
            listener: "PLAINTEXT".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let partition = UpdateMetadataPartitionState {
        controller_epoch: 1,
        leader: 99,
        isr: vec![99],
        replicas: vec![99],
        ..Default::default()
    };
    let topic = UpdateMetadataTopicState {
        topic_name: AWAY.into(),
        partition_states: vec![partition],
        ..Default::default()
    };
    let request = UpdateMetadataRequest {
        controller_id: 0,
        controller_epoch: 1,
        broker_epoch: -1,
        topic_states: vec![topic],
        live_brokers: vec![live(0, port), live(99, 9)],
        ..Default::default()
    };
    let response = script.exchange(6, &request).expect("an answer");
    assert_eq!(response.error_code, 0);
}

fn named() -> MetadataRequestTopic {
    MetadataRequestTopic { name: Some(AWAY.into()), ..Default::default() }
}

fn list(replica_id: i32, timestamp: i64) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition { timestamp, max_num_offsets: 1, ..Default::default() };
    let topic = ListOffsetsTopic { name: AWAY.into(), partitions: vec![partition], ..Default::default() };
    ListOffsetsRequest { replica_id, topics: vec![topic], ..Default::default() }
}

fn epoch_end(replica_id: i32) -> OffsetForLeaderEpochRequest {
    let partition = OffsetForLeaderPartition { current_leader_epoch: -1, ..Default::default() };
    let topic =
        OffsetForLeaderTopic { topic: AWAY.into(), partitions: vec![partition], ..Default::default() };
    OffsetForLeaderEpochRequest { replica_id, topics: vec![topic], ..Default::default() }
}

fn delete() -> DeleteRecordsRequest {
    let partition = DeleteRecordsPartition { offset: 0, ..Default::default() };
    let topic = DeleteRecordsTopic { name: AWAY.into(), partitions: vec![partition], ..Default::default() };
    DeleteRecordsRequest { topics: vec![topic], timeout_ms: 1000, ..Default::default() }
}

#[test]
fn answers() {
    let mut script = Script::start("not_leader", &[("auto.create.topics.enable", "false")]);
    tell(&mut script);
    for v in versions::<ProduceRequest>() {
        let options = BatchOptions { magic: v.min(2) as i8, ..Default::default() };
        let records = batch_with(options, &[(None, Some("v"))]);
        for acks in [1, -1] {
            script.call(&format!("produce acks {acks}"), v, &produce(AWAY, 0, acks, records.clone()));
        }
        script.call_silent("produce acks 0", v, &produce(AWAY, 0, 0, records));
    }
    for v in versions::<FetchRequest>() {
        script.call("fetch", v, &fetch_one(AWAY, 0, 0, 100));
        let debugging = FetchRequest { replica_id: -2, ..fetch_one(AWAY, 0, 0, 100) };
        script.call("fetch for debugging", v, &debugging);
    }
    for v in versions::<ListOffsetsRequest>() {
        script.call("latest", v, &list(-1, -1));
        script.call("at a time", v, &list(-1, 5));
        script.call("latest for debugging", v, &list(-2, -1));
    }
    for v in versions::<OffsetForLeaderEpochRequest>() {
        script.call("end of epoch", v, &epoch_end(-1));
        script.call("end of epoch for debugging", v, &epoch_end(-2));
    }
    for v in versions::<DeleteRecordsRequest>() {
        script.call("delete records", v, &delete());
    }
    for v in versions::<MetadataRequest>() {
        let wanted = MetadataRequest { topics: Some(vec![named()]), ..Default::default() };
        script.call_sorted("metadata", v, &wanted, &["brokers"]);
    }
    script.finish();
}
