//! A broker is killed (SIGKILL), or now and then stopped in order, at random moments while an idempotent producer
//! writes. After each restart the producer sends again what was not acknowledged, as Kafka's own does. At the end every
//! record is there once and in order, and every acknowledgement has named the right offset.
//!
//! `SEEDS` runs that many seeds (10), `OTTLA_SEED` is the first (1). A seed fixes the records, batches, versions and the
//! number of acknowledgements before a kill; the operating system decides the rest.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::records::Compression;

use crate::progress::Progress;
use crate::support::client::{
    create_topic, init_producer_id, leaders, produce_request, read_partition, try_leaders,
};
use crate::support::{Broker, ProducerId, Rng, Wire, ZooKeeper, idempotent_batch, number_from};

const TOPIC: &str = "survivor";
const PARTITIONS: i32 = 2;
/// A Kafka broker remembers five batches of a producer: more in flight could not be told from new ones.
const IN_FLIGHT_MAX: usize = 5;
/// How a JVM ends that got SIGTERM, and so do we.
const AFTER_SIGTERM: i32 = 143;
/// Answers that mean: the broker has just started and does not lead yet.
const NOT_YET: [i16; 3] = [3, 5, 6];

#[test]
fn acknowledged_records_survive_kills_once_and_in_order() {
    let count = number_from("SEEDS", 10);
    let first = number_from("OTTLA_SEED", 1);
    let zookeeper = ZooKeeper::start();
    for seed in first..first + count {
        println!("OTTLA_SEED={seed} SEEDS=1");
        survive(&zookeeper, seed);
    }
}

fn survive(zookeeper: &ZooKeeper, seed: u64) {
    let mut rng = Rng::new(seed);
    let chroot = format!("/seed-{seed}");
    let mut broker = Broker::start(
        &format!("{}{chroot}", zookeeper.address()),
        &[
            ("log.flush.interval.messages", "1"),
            // With small segments, kills fall between a roll and what follows it.
            ("log.segment.bytes", rng.pick(&["1073741824", "50000"])),
        ],
    );
    let producer_id = {
        let mut wire = broker.connect();
        create_topic(&mut wire, TOPIC, PARTITIONS);
        init_producer_id(&mut wire)
    };
    let progress = Progress::default();
    let mut producer = Producer::new(&broker, producer_id, Rng::new(rng.next()));
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let _working = progress.working();
            producer.run(&progress);
            producer
        });
        let _watching = progress.watching();
        for _ in 0..rng.within(1..4) {
            progress.wait_for_more(rng.within(1..150));
            // Somewhere inside a request, not just after an answer.
            thread::sleep(Duration::from_micros(rng.within(0..3000)));
            if rng.within(0..4) == 0 {
                assert_eq!(broker.terminate().code(), Some(AFTER_SIGTERM));
            } else {
                broker.kill();
            }
            zookeeper.forget_broker(&chroot, 0);
            broker.start_again();
        }
        progress.wait_for_more(20);
        progress.ask_to_end();
        let producer = running.join().expect("the producer's own message is above");
        producer.check(&mut broker.connect(), &mut rng);
        if rng.pick(&[true, false]) {
            assert_eq!(broker.terminate().code(), Some(AFTER_SIGTERM));
            broker.start_again();
            producer.check(&mut broker.connect(), &mut rng);
        }
    });
}

/// A batch that was sent and not acknowledged.
struct Pending {
    partition: i32,
    base_sequence: i32,
    request: ProduceRequest,
}

/// One idempotent producer on one connection. As it is alone on its topic, the offset of a record is its sequence
/// number.
struct Producer {
    address: String,
    id: ProducerId,
    rng: Rng,
    version: i16,
    pending: VecDeque<Pending>,
    /// By partition: the values sent, and whether one was acknowledged.
    sent: Vec<Vec<Bytes>>,
    established: Vec<bool>,
}

impl Producer {
    fn new(broker: &Broker, id: ProducerId, mut rng: Rng) -> Producer {
        let version = rng.pick(&[3, 5, 7, 8, 9]);
        let (sent, established) = (vec![Vec::new(); PARTITIONS as usize], vec![false; PARTITIONS as usize]);
        Producer { address: broker.address(), id, rng, version, pending: VecDeque::new(), sent, established }
    }

    /// Until enough is acknowledged and nothing is pending.
    fn run(&mut self, progress: &Progress) {
        while !(progress.is_enough() && self.pending.is_empty()) {
            assert!(!progress.is_abandoned(), "the other thread has failed");
            if let Ok(wire) = Wire::try_connect(&self.address) {
                // An error is the end of this connection: the broker was killed, or does not lead yet.
                let _ = self.run_connection(wire, progress);
            }
            // No synchronisation: only not to spin while the broker is away.
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn run_connection(&mut self, mut wire: Wire, progress: &Progress) -> io::Result<()> {
        if try_leaders(&mut wire, TOPIC)? != PARTITIONS {
            return Ok(());
        }
        for pending in &self.pending {
            wire.try_send(self.version, &pending.request)?;
        }
        while !progress.is_abandoned() {
            let enough = progress.is_enough();
            // Before the first acknowledgement a later batch could be taken for the first.
            let limit = if self.established.contains(&false) { 1 } else { IN_FLIGHT_MAX };
            if !enough && self.pending.len() < limit {
                self.add_batch();
                wire.try_send(self.version, &self.pending.back().expect("just added").request)?;
                continue;
            }
            let Some(oldest) = self.pending.front() else { return Ok(()) };
            let (_, response) = wire.try_receive::<ProduceRequest>(self.version)?;
            let answer = &response.responses[0].partition_responses[0];
            if NOT_YET.contains(&answer.error_code) {
                return Ok(());
            }
            let (partition, base) = (oldest.partition, oldest.base_sequence);
            assert_eq!(answer.error_code, 0, "produce of sequence {base} to partition {partition}");
            assert_eq!(answer.base_offset, i64::from(base), "acknowledged offset in partition {partition}");
            self.established[partition as usize] = true;
            self.pending.pop_front();
            progress.step();
        }
        Ok(())
    }

    fn add_batch(&mut self) {
        let unestablished = self.established.iter().position(|established| !established);
        let partition = unestablished.unwrap_or_else(|| self.rng.within(0..PARTITIONS as u64) as usize);
        let base = self.sent[partition].len();
        let count = self.rng.within(1..20) as usize;
        for i in base..base + count {
            let padding = "x".repeat(self.rng.within(0..1500) as usize);
            self.sent[partition].push(Bytes::from(format!("{partition}/{i} {padding}")));
        }
        let compression = self.rng.pick(&[Compression::None, Compression::Lz4, Compression::Gzip]);
        let base_sequence = i32::try_from(base).expect("few records");
        let batch = idempotent_batch(self.id, base_sequence, &self.sent[partition][base..], compression);
        let partition = partition as i32;
        let request = produce_request(TOPIC, partition, batch);
        self.pending.push_back(Pending { partition, base_sequence, request });
    }

    /// The log holds exactly what was sent.
    fn check(&self, wire: &mut Wire, rng: &mut Rng) {
        crate::support::wait_for("leaders", || (leaders(wire, TOPIC) == PARTITIONS).then_some(()));
        for (partition, sent) in (0..).zip(&self.sent) {
            let version = rng.pick(&[4, 7, 10, 11, 12]);
            let max_bytes = rng.within(100..200_000) as i32;
            let read = read_partition(wire, version, TOPIC, partition, max_bytes);
            assert_eq!(read.len(), sent.len(), "records in partition {partition}");
            for ((record, value), offset) in read.iter().zip(sent).zip(0..) {
                assert_eq!(record.offset, offset, "offset in partition {partition}");
                assert_eq!(record.value.as_ref(), Some(value), "value at {offset} in partition {partition}");
            }
        }
    }
}
