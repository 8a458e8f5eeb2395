//! InitProducerId with a transactional id, AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, WriteTxnMarkers,
//! DescribeProducers (keys 22, 24-27, 61), and what readers see of it.

use super::fetch::fetch_one;
use super::records::batch_with;
use super::script::{self, Script, versions};
use bytes::Bytes;
use ottla::common::ErrorCode;
use ottla::protocol::messages::add_offsets_to_txn::AddOffsetsToTxnRequest;
use ottla::protocol::messages::add_partitions_to_txn::{AddPartitionsToTxnRequest, AddPartitionsToTxnTopic};
use ottla::protocol::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use ottla::protocol::messages::end_txn::EndTxnRequest;
use ottla::protocol::messages::fetch::FetchRequest;
use ottla::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla::protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use ottla::protocol::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use ottla::protocol::messages::produce::ProduceRequest;
use ottla::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use ottla::record::builder::BatchOptions;
use std::thread::sleep;
use std::time::{Duration, Instant};

const UNORDERED: &[&str] =
    &["results", "topics", "partitions", "markers", "activeProducers", "abortedTransactions"];
const CONCURRENT: i16 = ErrorCode::ConcurrentTransactions as i16;
const PATIENCE: Duration = Duration::from_secs(30);

/// A producer as InitProducerId made it.
#[derive(Clone, Copy)]
struct Producer {
    id: i64,
    epoch: i16,
}

fn init(transactional_id: &str, expected: Option<Producer>) -> InitProducerIdRequest {
    let expected = expected.unwrap_or(Producer { id: -1, epoch: -1 });
    InitProducerIdRequest {
        transactional_id: Some(transactional_id.into()),
        transaction_timeout_ms: 60_000,
        producer_id: expected.id,
        producer_epoch: expected.epoch,
        ..Default::default()
    }
}

fn add(transactional_id: &str, producer: Producer, topics: &[(&str, &[i32])]) -> AddPartitionsToTxnRequest {
    AddPartitionsToTxnRequest {
        transactional_id: transactional_id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        topics: topics
            .iter()
            .map(|(name, partitions)| AddPartitionsToTxnTopic {
                name: (*name).into(),
                partitions: partitions.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn add_offsets(transactional_id: &str, producer: Producer, group: &str) -> AddOffsetsToTxnRequest {
    AddOffsetsToTxnRequest {
        transactional_id: transactional_id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        group_id: group.into(),
        ..Default::default()
    }
}

fn end(transactional_id: &str, producer: Producer, committed: bool) -> EndTxnRequest {
    EndTxnRequest {
        transactional_id: transactional_id.into(),
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        committed,
        ..Default::default()
    }
}

fn transactional(producer: Producer, base_sequence: i32, values: &[&str]) -> Bytes {
    let records: Vec<_> = values.iter().map(|value| (None, Some(*value))).collect();
    let options = BatchOptions {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        base_sequence,
        transactional: true,
        ..Default::default()
    };
    batch_with(options, &records)
}

/// A produce request of a transactional producer.
fn produce(topic: &str, partition: i32, records: Bytes) -> ProduceRequest {
    let transactional_id = Some("any".into());
    ProduceRequest { transactional_id, ..script::produce(topic, partition, -1, records) }
}

/// A marker by the coordinator with this epoch.
fn marker(
    producer: Producer,
    committed: bool,
    coordinator_epoch: i32,
    topics: &[(&str, &[i32])],
) -> WritableTxnMarker {
    WritableTxnMarker {
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        transaction_result: committed,
        topics: topics
            .iter()
            .map(|(name, partitions)| WritableTxnMarkerTopic {
                name: (*name).into(),
                partition_indexes: partitions.to_vec(),
                ..Default::default()
            })
            .collect(),
        coordinator_epoch,
        ..Default::default()
    }
}

fn markers(markers: Vec<WritableTxnMarker>) -> WriteTxnMarkersRequest {
    WriteTxnMarkersRequest { markers, ..Default::default() }
}

/// A broker with topics, and with `__transaction_state`.
fn start(name: &'static str) -> Script {
    let mut script = Script::start(name, &[]);
    script.create_topics(&[
        ("t", 3, &[]),
        ("u", 1, &[]),
        ("old", 1, &[("message.format.version", "0.10.2")]),
    ]);
    let find = FindCoordinatorRequest { key: "any".into(), key_type: 1, ..Default::default() };
    script.until("a transaction coordinator", |script| {
        let found = script.exchange(1, &find).expect("an answer");
        let asked = script.exchange(0, &end("any", Producer { id: 0, epoch: 0 }, true)).expect("an answer");
        let unknown = ErrorCode::InvalidProducerIdMapping as i16;
        (found.error_code == 0 && asked.error_code == unknown).then_some(())
    });
    script
}

impl Script {
    fn until<T>(&mut self, what: &str, mut probe: impl FnMut(&mut Script) -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = probe(self) {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "no {what} within {PATIENCE:?}");
            sleep(Duration::from_millis(20));
        }
    }

    /// InitProducerId until no transaction is in the way.
    fn producer(&mut self, transactional_id: &str) -> Producer {
        let request = init(transactional_id, None);
        let answer: InitProducerIdResponse = self.until("producer", |script| {
            let answer = script.exchange(4, &request).expect("an answer");
            (answer.error_code != CONCURRENT).then_some(answer)
        });
        assert_eq!(answer.error_code, 0);
        Producer { id: answer.producer_id, epoch: answer.producer_epoch }
    }

    /// Waits until the markers of an ended transaction are written.
    fn settle(&mut self, transactional_id: &str, producer: Producer, committed: bool) {
        self.until("end of the transaction", |script| {
            let answer = script.exchange(2, &end(transactional_id, producer, committed)).expect("an answer");
            (answer.error_code != CONCURRENT).then_some(())
        });
    }

    /// Appends records of a transaction, which must succeed.
    fn write(&mut self, topic: &str, partition: i32, records: Bytes) {
        let answer = self.exchange(7, &produce(topic, partition, records)).expect("an answer");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0, "append to {topic}");
    }

    fn add(&mut self, transactional_id: &str, producer: Producer, topics: &[(&str, &[i32])]) {
        let answer = self.until("partitions", |script| {
            let answer = script.exchange(3, &add(transactional_id, producer, topics)).expect("an answer");
            (answer.results[0].results[0].error_code != CONCURRENT).then_some(answer)
        });
        assert_eq!(answer.results[0].results[0].error_code, 0);
    }
}

#[test]
fn producers() {
    let mut script = start("init_producer_id_transactional");
    for v in versions::<InitProducerIdRequest>() {
        let id = format!("id-{v}");
        let mut call = |step: &str, request: InitProducerIdRequest| {
            let answer = script.call(step, v, &request).expect("an answer");
            Producer { id: answer.producer_id, epoch: answer.producer_epoch }
        };
        for timeout_ms in [0, -1, 900_001] {
            let request = InitProducerIdRequest { transaction_timeout_ms: timeout_ms, ..init(&id, None) };
            call(&format!("timeout {timeout_ms}"), request);
        }
        let first = call("first", init(&id, None));
        let mut last = call("again", init(&id, None));
        if v >= 3 {
            call("epoch before", init(&id, Some(first)));
            let bumped = call("bump", init(&id, Some(last)));
            call("bump, answer lost", init(&id, Some(last)));
            call("bump with the first epoch", init(&id, Some(first)));
            call("bump with a future epoch", init(&id, Some(Producer { epoch: 100, ..bumped })));
            call("bump with another id", init(&id, Some(Producer { id: 999_999, ..bumped })));
            call("unknown transactional id", init(&format!("new-{v}"), Some(Producer { id: 77, epoch: 3 })));
            last = bumped;
        }
        script.add(&id, last, &[("t", &[0])]);
        script.call("open transaction", v, &init(&id, None));
        script.until("end of the transaction", |script| {
            let answer = script.exchange(v, &init(&id, None)).expect("an answer");
            (answer.error_code != CONCURRENT).then_some(())
        });
        script.call("after the fence", v, &init(&id, None));
        // The fenced one.
        script.call(&format!("add, fenced by v{v}"), 3.min(v), &add(&id, last, &[("t", &[0])]));
        script.call(&format!("end, fenced by v{v}"), 3.min(v), &end(&id, last, true));
    }
    script.finish();
}

#[test]
fn transactions() {
    let mut script = start("transactions");
    for v in versions::<EndTxnRequest>() {
        let id = &format!("tx-{v}");
        let producer = script.producer(id);
        let (stale, newer) = (Producer { epoch: -1, ..producer }, Producer { epoch: 1, ..producer });
        let other = Producer { id: 999_999, ..producer };
        let t = ("t", &[0, 1][..]);
        script.call("end of nothing", v, &end(id, producer, true));
        script.call("abort of nothing", v, &end(id, producer, false));
        let mut call = |step: &str, request: &AddPartitionsToTxnRequest| {
            script.call_sorted(step, v, request, UNORDERED);
        };
        call("add: no id", &add("", producer, &[t]));
        call("add: unknown id", &add("unknown", producer, &[t]));
        call("add: other producer", &add(id, other, &[t]));
        call("add: old epoch", &add(id, stale, &[t]));
        call("add: new epoch", &add(id, newer, &[t]));
        call("add: unknown topic", &add(id, producer, &[t, ("nope", &[0])]));
        call("add: unknown partition", &add(id, producer, &[("t", &[0, 9])]));
        call("add: internal topic", &add(id, producer, &[t, ("__transaction_state", &[0])]));
        call("add: format without transactions", &add(id, producer, &[("old", &[0])]));
        call("add", &add(id, producer, &[t, ("u", &[0])]));
        call("add: again", &add(id, producer, &[t]));
        call("add: one more", &add(id, producer, &[("t", &[2])]));
        call("add: twice in one", &add(id, producer, &[("t", &[2, 2])]));
        call("add: nothing", &add(id, producer, &[]));
        script.call("offsets: no id", v, &add_offsets("", producer, "g"));
        script.call("offsets: unknown id", v, &add_offsets("unknown", producer, "g"));
        script.call("offsets: other producer", v, &add_offsets(id, other, "g"));
        script.call("offsets: new epoch", v, &add_offsets(id, newer, "g"));
        script.call("end: no id", v, &end("", producer, true));
        script.call("end: unknown id", v, &end("unknown", producer, true));
        script.call("end: other producer", v, &end(id, other, true));
        script.call("end: old epoch", v, &end(id, stale, true));
        script.call("end: new epoch", v, &end(id, newer, true));
        script.call("commit", v, &end(id, producer, true));
        script.settle(id, producer, true);
        script.call("commit again", v, &end(id, producer, true));
        script.call("abort after commit", v, &end(id, producer, false));
        script.add(id, producer, &[("u", &[0])]);
        script.call("abort", v, &end(id, producer, false));
        script.settle(id, producer, false);
        script.call("abort again", v, &end(id, producer, false));
        script.call("commit after abort", v, &end(id, producer, true));
    }
    script.finish();
}

fn describe(topics: &[(&str, &[i32])]) -> DescribeProducersRequest {
    DescribeProducersRequest {
        topics: topics
            .iter()
            .map(|(name, partitions)| TopicRequest {
                name: (*name).into(),
                partition_indexes: partitions.to_vec(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

#[test]
fn write_markers() {
    let mut script = start("write_txn_markers");
    for v in versions::<WriteTxnMarkersRequest>() {
        let topic = &format!("m{v}");
        script.create_topics(&[(topic, 2, &[])]);
        let p = Producer { id: 5000, epoch: 5 };
        let q = Producer { id: 5001, epoch: 0 };
        let all: &[(&str, &[i32])] = &[(topic, &[0, 1])];
        let first: &[(&str, &[i32])] = &[(topic, &[0])];
        let mut call = |step: &str, request: WriteTxnMarkersRequest| {
            script.call_sorted(step, v, &request, UNORDERED);
        };
        call("no markers", markers(Vec::new()));
        call("no partitions", markers(vec![marker(p, true, 1, &[])]));
        call("without a transaction", markers(vec![marker(p, true, 1, all)]));
        call(
            "refused partitions",
            markers(vec![marker(p, true, 1, &[("nope", &[0]), ("old", &[0]), ("t", &[9])])]),
        );
        script.write(topic, 0, transactional(p, 0, &["a", "b"]));
        script.write(topic, 1, transactional(q, 0, &["c"]));
        let step = format!("producers, open v{v}");
        script.call_sorted(&step, 0, &describe(&[(topic, &[0, 1, 7]), ("nope", &[0])]), UNORDERED);
        let mut call = |step: &str, request: WriteTxnMarkersRequest| {
            script.call_sorted(step, v, &request, UNORDERED);
        };
        call("old coordinator", markers(vec![marker(p, true, 0, first)]));
        call("old producer epoch", markers(vec![marker(Producer { epoch: 4, ..p }, true, 2, first)]));
        call(
            "commit and abort",
            markers(vec![marker(p, true, 2, first), marker(q, false, 0, &[(topic, &[1])])]),
        );
        call("again", markers(vec![marker(p, true, 2, first)]));
        let newer = Producer { epoch: 6, ..p };
        call("newer epoch", markers(vec![marker(newer, false, 2, first)]));
        call(
            "twice the same producer",
            markers(vec![marker(newer, false, 2, first), marker(newer, true, 3, &[(topic, &[1])])]),
        );
        let step = format!("producers after v{v}");
        script.call_sorted(&step, 0, &describe(&[(topic, &[0, 1])]), UNORDERED);
        script.fetch(&format!("log 0 after v{v}"), 11, &fetch_one(topic, 0, 0, 100));
        script.fetch(&format!("log 1 after v{v}"), 11, &committed(topic, 1, 0));
    }
    script.finish();
}

fn committed(topic: &str, partition: i32, offset: i64) -> FetchRequest {
    FetchRequest { isolation_level: 1, ..fetch_one(topic, partition, offset, 100) }
}

fn list(topic: &str, timestamp: i64, isolation_level: i8) -> ListOffsetsRequest {
    let partition = ListOffsetsPartition { timestamp, ..Default::default() };
    let topic = ListOffsetsTopic { name: topic.into(), partitions: vec![partition], ..Default::default() };
    ListOffsetsRequest { replica_id: -1, isolation_level, topics: vec![topic], ..Default::default() }
}

/// Two transactions that overlap, and what each kind of reader sees while they are open and afterwards.
#[test]
fn readers() {
    let mut script = start("read_committed");
    let p = script.producer("p");
    let q = script.producer("q");
    script.add("p", p, &[("u", &[0])]);
    script.add("q", q, &[("u", &[0])]);
    script.append("u", 0, batch_with(BatchOptions::default(), &[(None, Some("plain"))]));
    script.write("u", 0, transactional(p, 0, &["p1", "p2"]));
    script.write("u", 0, transactional(q, 0, &["q1"]));
    script.append("u", 0, batch_with(BatchOptions::default(), &[(None, Some("plain 2"))]));
    script.write("u", 0, transactional(p, 2, &["p3"]));
    let look = |script: &mut Script, when: &str| {
        for (name, timestamp) in
            [("latest", -1), ("earliest", -2), ("first of time", 1), ("late", 1_700_000_000_002)]
        {
            for isolation in [0, 1] {
                let step = format!("{when}: {name}, isolation {isolation}");
                script.call(&step, 5, &list("u", timestamp, isolation));
            }
        }
        for offset in [0, 1, 3, 5] {
            script.fetch(&format!("{when}: committed from {offset}"), 11, &committed("u", 0, offset));
        }
        script.fetch(&format!("{when}: all"), 11, &fetch_one("u", 0, 0, 100));
        script.fetch(&format!("{when}: old client"), 3, &fetch_one("u", 0, 0, 100));
    };
    look(&mut script, "open");
    let request = produce("u", 0, transactional(Producer { epoch: 7, ..p }, 1, &["x"]));
    script.call("newer epoch from the middle", 7, &request);
    let plain =
        BatchOptions { producer_id: p.id, producer_epoch: p.epoch, base_sequence: 3, ..Default::default() };
    let request = produce("u", 0, batch_with(plain, &[(None, Some("x"))]));
    script.call("without the transaction", 7, &request);
    script.call("commit q", 3, &end("q", q, true));
    script.settle("q", q, true);
    look(&mut script, "q committed");
    script.call("abort p", 3, &end("p", p, false));
    script.settle("p", p, false);
    look(&mut script, "both ended");
    let request = produce("u", 0, transactional(Producer { epoch: -1, ..p }, 3, &["x"]));
    script.call("older epoch", 7, &request);
    script.finish();
}
