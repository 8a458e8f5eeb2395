//! A broker is killed (SIGKILL) at random moments while a processor reads an input, writes an output and commits its
//! position, in transactions; some of them it aborts, and now and then it begins anew in the middle of one. At the end
//! a read_committed consumer finds every input in the output once and in order.
//!
//! `SEEDS` runs that many seeds (5), `OTTLA_SEED` is the first (1). A seed fixes what the processor does and the number
//! of answers before a kill; the operating system decides the rest.

use std::collections::{HashMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, BrokerId, EndTxnRequest, FindCoordinatorRequest,
    GroupId, InitProducerIdRequest, OffsetFetchRequest, TransactionalId, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Request, StrBytes};
use kafka_protocol::records::Record;
use ottla::record::builder::{BatchBuilder, BatchOptions};

use crate::progress::Progress;
use crate::support::client::{create_topic, produce_request, topic_name};
use crate::support::{Broker, Rng, Wire, ZooKeeper, number_from, read_batches, wait_for};

const INPUT: &str = "input";
const OUTPUT: &str = "output";
const PARTITIONS: i32 = 2;
const INPUTS: usize = 120;
const BATCH_MAX: u64 = 6;
/// For one answer, over kills and starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// Not yet, or not now: UNKNOWN_TOPIC_OR_PARTITION, LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT,
/// the three of coordinators, CONCURRENT_TRANSACTIONS, OPERATION_NOT_ATTEMPTED, UNSTABLE_OFFSET_COMMIT.
const NOT_NOW: [i16; 10] = [3, 5, 6, 7, 14, 15, 16, 51, 55, 88];

#[test]
fn transactional_outputs_survive_kills_exactly_once() {
    let count = number_from("SEEDS", 5);
    let first = number_from("OTTLA_SEED", 1);
    let zookeeper = ZooKeeper::start();
    for seed in first..first + count {
        println!("OTTLA_SEED={seed} SEEDS=1");
        survive(&zookeeper, seed);
    }
}

fn survive(zookeeper: &ZooKeeper, seed: u64) {
    let mut rng = Rng::new(seed);
    let chroot = format!("/transactions-{seed}");
    let mut broker = Broker::start(
        &format!("{}{chroot}", zookeeper.address()),
        &[
            ("offsets.storage", rng.pick(&["kafka", "zookeeper"])),
            ("offsets.topic.num.partitions", "2"),
            ("offsets.topic.replication.factor", "1"),
            ("transaction.state.log.num.partitions", "2"),
            ("transaction.state.log.replication.factor", "1"),
            ("transaction.state.log.min.isr", "1"),
            ("log.segment.bytes", rng.pick(&["1073741824", "5000"])),
        ],
    );
    write_input(&mut broker.connect());
    let progress = Progress::default();
    let mut processor = Processor::new(broker.address(), Rng::new(rng.next()), &progress);
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let _working = progress.working();
            processor.run();
        });
        let _watching = progress.watching();
        for _ in 0..rng.within(2..6) {
            progress.wait_for_more(rng.within(1..60));
            // Somewhere inside a request, not just after an answer.
            thread::sleep(Duration::from_micros(rng.within(0..3000)));
            broker.kill();
            zookeeper.forget_broker(&chroot, 0);
            broker.start_again();
        }
        running.join().expect("the processor's own message is above");
    });
    check(&broker);
}

fn write_input(wire: &mut Wire) {
    create_topic(wire, INPUT, PARTITIONS);
    create_topic(wire, OUTPUT, PARTITIONS);
    for partition in 0..PARTITIONS {
        let values: Vec<String> = (0..INPUTS).map(|input| format!("{partition}/{input}")).collect();
        let batch = batch(&BatchOptions::default(), &values);
        let response = wire.call(7, &produce_request(INPUT, partition, batch));
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
}

fn batch(options: &BatchOptions, values: &[String]) -> Bytes {
    let mut builder = BatchBuilder::new(options.clone()).expect("sensible options");
    for value in values {
        builder.append(ottla::common::clock::now_ms(), None, Some(value.as_bytes()), &[]).expect("a record");
    }
    builder.build().expect("a batch")
}

struct Processor<'a> {
    address: String,
    wire: Option<Wire>,
    rng: Rng,
    progress: &'a Progress,
    producer_id: i64,
    producer_epoch: i16,
    positions: Vec<usize>,
    sequences: Vec<i32>,
}

fn transactional_id() -> TransactionalId {
    TransactionalId(StrBytes::from_static_str("processor"))
}

fn group() -> GroupId {
    GroupId(StrBytes::from_static_str("processors"))
}

impl Processor<'_> {
    fn new(address: String, rng: Rng, progress: &Progress) -> Processor<'_> {
        let (positions, sequences) = (vec![0; PARTITIONS as usize], vec![0; PARTITIONS as usize]);
        Processor {
            address,
            wire: None,
            rng,
            progress,
            producer_id: -1,
            producer_epoch: -1,
            positions,
            sequences,
        }
    }

    /// Until all inputs are processed.
    fn run(&mut self) {
        self.begin();
        while let Some(partition) = self.next_partition() {
            if !self.process(partition) {
                self.begin();
            }
        }
    }

    fn next_partition(&mut self) -> Option<usize> {
        let open: Vec<usize> = (0..self.positions.len()).filter(|p| self.positions[*p] < INPUTS).collect();
        if open.is_empty() { None } else { Some(self.rng.pick(&open)) }
    }

    /// Asks until the answer is neither "not now" nor lost with its connection.
    fn call<R: Request + std::fmt::Debug>(
        &mut self,
        version: i16,
        request: &R,
        code: impl Fn(&R::Response) -> i16,
    ) -> R::Response {
        let (begun, mut last) = (Instant::now(), None);
        loop {
            assert!(!self.progress.is_abandoned(), "the other thread has failed");
            assert!(begun.elapsed() < PATIENCE, "API {} {request:?}: {last:?} for {PATIENCE:?}", R::KEY);
            if self.wire.is_none() {
                self.wire = Wire::try_connect(&self.address).ok();
            }
            match self.wire.as_mut().map(|wire| wire.try_call(version, request)) {
                Some(Ok(response)) => {
                    self.progress.step();
                    let code = code(&response);
                    last = Some(code);
                    if !NOT_NOW.contains(&code) {
                        assert_eq!(code, 0, "answer to API {} {request:?}", R::KEY);
                        return response;
                    }
                }
                Some(Err(_)) => self.wire = None,
                None => {}
            }
            // No synchronisation: only not to spin while the broker is away.
            thread::sleep(Duration::from_millis(3));
        }
    }

    /// As after a start: a new epoch, which ends what was open, and the committed position.
    fn begin(&mut self) {
        for (key_type, key) in [(0, "processors"), (1, "processor")] {
            let find = FindCoordinatorRequest::default()
                .with_key(StrBytes::from_static_str(key))
                .with_key_type(key_type);
            self.call(1, &find, |response| response.error_code);
        }
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(60_000);
        let response = self.call(1, &init, |response| response.error_code);
        (self.producer_id, self.producer_epoch) = (response.producer_id.0, response.producer_epoch);
        self.sequences.fill(0);
        let topic = OffsetFetchRequestTopic::default()
            .with_name(topic_name(INPUT))
            .with_partition_indexes((0..PARTITIONS).collect());
        let fetch = OffsetFetchRequest::default()
            .with_group_id(group())
            .with_topics(Some(vec![topic]))
            .with_require_stable(true);
        let response = self.call(7, &fetch, |response| {
            let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
            partitions
                .map(|partition| partition.error_code)
                .find(|code| *code != 0)
                .unwrap_or(response.error_code)
        });
        for partition in &response.topics[0].partitions {
            self.positions[partition.partition_index as usize] = partition.committed_offset.max(0) as usize;
        }
    }

    /// One transaction; false if the processor begins anew in its middle.
    fn process(&mut self, partition: usize) -> bool {
        let inputs = self.read(partition);
        let count = inputs.len();
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic_name(OUTPUT))
            .with_partitions(vec![partition as i32]);
        let add = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id())
            .with_v3_and_below_producer_id(self.producer_id.into())
            .with_v3_and_below_producer_epoch(self.producer_epoch)
            .with_v3_and_below_topics(vec![topic]);
        self.call(1, &add, |response| {
            let results = &response.results_by_topic_v3_and_below;
            results[0].results_by_partition[0].partition_error_code
        });
        self.write(partition, &inputs);
        if self.rng.within(0..15) == 0 {
            return false;
        }
        self.commit_position(partition, self.positions[partition] + count);
        let commits = self.rng.within(0..5) > 0;
        let end = EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.producer_epoch)
            .with_committed(commits);
        self.call(1, &end, |response| response.error_code);
        if commits {
            self.positions[partition] += count;
        }
        true
    }

    /// The next inputs.
    fn read(&mut self, partition: usize) -> Vec<String> {
        let position = self.positions[partition];
        let count = self.rng.within(1..BATCH_MAX + 1) as usize;
        let request = fetch(INPUT, partition as i32, position as i64, 0);
        let response = self.call(11, &request, |response| response.responses[0].partitions[0].error_code);
        let batches = response.responses[0].partitions[0].records.clone().unwrap_or_default();
        let records = read_batches(batches).into_iter().filter(|record| record.offset >= position as i64);
        let inputs: Vec<String> = records.take(count).map(|record| text(&record)).collect();
        assert!(!inputs.is_empty(), "the input ends at {position}");
        inputs
    }

    fn write(&mut self, partition: usize, values: &[String]) {
        let options = BatchOptions {
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.sequences[partition],
            transactional: true,
            ..Default::default()
        };
        let request = produce_request(OUTPUT, partition as i32, batch(&options, values))
            .with_transactional_id(Some(transactional_id()));
        self.call(7, &request, |response| response.responses[0].partition_responses[0].error_code);
        self.sequences[partition] += values.len() as i32;
    }

    fn commit_position(&mut self, partition: usize, position: usize) {
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.producer_epoch)
            .with_group_id(group());
        self.call(1, &add, |response| response.error_code);
        let committed = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(partition as i32)
            .with_committed_offset(position as i64)
            .with_committed_metadata(Some(StrBytes::default()));
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(INPUT))
            .with_partitions(vec![committed]);
        let commit = TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional_id())
            .with_group_id(group())
            .with_producer_id(self.producer_id.into())
            .with_producer_epoch(self.producer_epoch)
            .with_topics(vec![topic]);
        self.call(2, &commit, |response| response.topics[0].partitions[0].error_code);
    }
}

fn text(record: &Record) -> String {
    String::from_utf8(record.value.clone().unwrap_or_default().to_vec()).expect("text")
}

fn fetch(topic: &str, partition: i32, offset: i64, isolation_level: i8) -> FetchRequest {
    let asked = FetchPartition::default()
        .with_partition(partition)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(1 << 20);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_bytes(1 << 20)
        .with_session_epoch(-1)
        .with_isolation_level(isolation_level)
        .with_topics(vec![FetchTopic::default().with_topic(topic_name(topic)).with_partitions(vec![asked])])
}

/// The output as a read_committed consumer sees it is the input.
fn check(broker: &Broker) {
    for partition in 0..PARTITIONS {
        wait_for("end of the last transaction", || {
            let response = broker.connect().call(11, &fetch(OUTPUT, partition, 0, 1));
            let found = &response.responses[0].partitions[0];
            (found.error_code == 0 && found.last_stable_offset == found.high_watermark).then_some(())
        });
        let values = committed(&mut broker.connect(), partition);
        let expected: Vec<String> = (0..INPUTS).map(|input| format!("{partition}/{input}")).collect();
        assert_eq!(values, expected, "output partition {partition}");
    }
}

fn committed(wire: &mut Wire, partition: i32) -> Vec<String> {
    let (mut values, mut next) = (Vec::new(), 0);
    let mut aborted: HashSet<i64> = HashSet::new();
    loop {
        let response = wire.call(11, &fetch(OUTPUT, partition, next, 1));
        let found = &response.responses[0].partitions[0];
        assert_eq!(found.error_code, 0);
        let starts = found.aborted_transactions.iter().flatten();
        let mut starts: HashMap<i64, Vec<i64>> = starts.fold(HashMap::new(), |mut starts, aborted| {
            starts.entry(aborted.first_offset).or_default().push(aborted.producer_id.0);
            starts
        });
        let records = read_batches(found.records.clone().unwrap_or_default());
        let from = next;
        for record in records.into_iter().filter(|record| record.offset >= from) {
            aborted.extend(starts.remove(&record.offset).into_iter().flatten());
            next = record.offset + 1;
            match (record.control, record.key.as_deref()) {
                (true, Some([_, _, 0, 0])) => drop(aborted.remove(&record.producer_id)),
                (true, _) => {}
                (false, _) if record.transactional && aborted.contains(&record.producer_id) => {}
                (false, _) => values.push(text(&record)),
            }
        }
        if next >= found.last_stable_offset {
            return values;
        }
    }
}
