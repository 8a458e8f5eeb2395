//! Three brokers, three replicas: brokers are killed (SIGKILL), or stopped in order, while an idempotent producer writes
//! with acks=all. At the end every acknowledged record is there once and in order, all replicas are in sync, and their
//! logs are the same to the byte.
//!
//! `SEEDS` runs that many seeds (2), `OTTLA_SEED` is the first (1).

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::records::Compression;

use crate::progress::Progress;
use crate::several::{create_topic, log_bytes, look_up};
use crate::support::client::{init_producer_id, produce_request, read_partition};
use crate::support::{Broker, ProducerId, Rng, Wire, ZooKeeper, idempotent_batch, number_from, wait_for};

const TOPIC: &str = "copied";
const BROKERS: usize = 3;
/// Answers after which the producer looks for the leader and sends again.
const AGAIN: [i16; 8] = [3, 5, 6, 7, 19, 20, 56, 74];

#[test]
fn replicas_survive_kills_and_stay_the_same() {
    let first = number_from("OTTLA_SEED", 1);
    let zookeeper = ZooKeeper::start();
    for seed in first..first + number_from("SEEDS", 2) {
        println!("OTTLA_SEED={seed} SEEDS=1");
        survive(&zookeeper, seed);
    }
}

fn survive(zookeeper: &ZooKeeper, seed: u64) {
    let mut rng = Rng::new(seed);
    let chroot = format!("/seed-{seed}");
    let protocol = rng.pick(&["2.8-IV1", "2.6", "2.0"]);
    let segment_bytes = rng.pick(&["1073741824", "50000"]);
    let start = |id: usize| {
        let id = id.to_string();
        let properties = [
            ("broker.id", id.as_str()),
            ("inter.broker.protocol.version", protocol),
            ("log.message.format.version", protocol),
            ("log.segment.bytes", segment_bytes),
            ("min.insync.replicas", "2"),
            ("replica.lag.time.max.ms", "3000"),
            ("auto.leader.rebalance.enable", "false"),
        ];
        Broker::start(&format!("{}{chroot}", zookeeper.address()), &properties)
    };
    let mut brokers: Vec<Broker> = (0..BROKERS).map(start).collect();
    create_topic(&brokers, TOPIC, &[(0..BROKERS as i32).collect()]);
    let addresses: Vec<String> = brokers.iter().map(Broker::address).collect();
    let wait_until_in_sync = || {
        wait_for("all replicas in sync", || {
            (look_up(&addresses, TOPIC, 0)?.1.len() == BROKERS).then_some(())
        });
    };
    wait_until_in_sync();
    let progress = Progress::default();
    let id = init_producer_id(&mut brokers[0].connect());
    let mut producer = Producer {
        addresses: addresses.clone(),
        id,
        rng: Rng::new(rng.next()),
        sent: Vec::new(),
        acknowledged: 0,
    };
    thread::scope(|scope| {
        let running = scope.spawn(|| {
            let _working = progress.working();
            producer.run(&progress);
            producer
        });
        let _watching = progress.watching();
        for _ in 0..rng.within(3..6) {
            progress.wait_for_more(rng.within(1..100));
            let victim = rng.within(0..BROKERS as u64) as usize;
            if rng.within(0..4) == 0 {
                brokers[victim].terminate();
            } else {
                brokers[victim].kill();
                zookeeper.forget_broker(&chroot, victim as i32);
            }
            if rng.within(0..2) == 0 {
                progress.wait_for_more(rng.within(1..100));
            }
            brokers[victim].start_again();
        }
        progress.wait_for_more(20);
        progress.ask_to_end();
        let producer = running.join().expect("the producer's own message is above");
        wait_until_in_sync();
        producer.check(&brokers);
    });
    wait_for("the same bytes in every log", || {
        let logs: BTreeSet<Vec<u8>> = brokers.iter().map(|b| log_bytes(&[b.log_dir()], TOPIC, 0)).collect();
        (logs.len() == 1).then_some(())
    });
}

/// One idempotent producer, one batch under way. As it is alone on its topic, the offset of a record is its sequence
/// number.
struct Producer {
    addresses: Vec<String>,
    id: ProducerId,
    rng: Rng,
    sent: Vec<Bytes>,
    acknowledged: usize,
}

impl Producer {
    fn run(&mut self, progress: &Progress) {
        while !(progress.is_enough() && self.acknowledged == self.sent.len()) {
            assert!(!progress.is_abandoned(), "the other thread has failed");
            if let Some((leader, _)) = look_up(&self.addresses, TOPIC, 0)
                && let Ok(wire) = Wire::try_connect(&self.addresses[leader as usize])
            {
                // An error is the end of this connection: the broker was killed, or does not lead.
                let _ = self.run_connection(wire, progress);
            }
            // No synchronisation: only not to spin while there is no leader.
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn run_connection(&mut self, mut wire: Wire, progress: &Progress) -> io::Result<()> {
        while !progress.is_abandoned() {
            if self.acknowledged == self.sent.len() {
                if progress.is_enough() {
                    return Ok(());
                }
                for _ in 0..self.rng.within(1..20) {
                    let padding = "x".repeat(self.rng.within(0..1500) as usize);
                    self.sent.push(Bytes::from(format!("{} {padding}", self.sent.len())));
                }
            }
            let base = self.acknowledged;
            let sequence = i32::try_from(base).expect("few records");
            // The same bytes each time: what is sent again must be told from what is new.
            let batch = idempotent_batch(self.id, sequence, &self.sent[base..], Compression::None);
            let response = wire.try_call::<ProduceRequest>(8, &produce_request(TOPIC, 0, batch))?;
            let answer = &response.responses[0].partition_responses[0];
            if AGAIN.contains(&answer.error_code) {
                return Ok(());
            }
            assert_eq!(answer.error_code, 0, "produce of sequence {base}");
            assert_eq!(answer.base_offset, base as i64, "acknowledged offset");
            self.acknowledged = self.sent.len();
            progress.step();
        }
        Ok(())
    }

    /// The partition holds exactly what was sent.
    fn check(&self, brokers: &[Broker]) {
        let (leader, _) = look_up(&self.addresses, TOPIC, 0).expect("a leader");
        let mut wire = brokers[leader as usize].connect();
        let read = read_partition(&mut wire, 11, TOPIC, 0, 100_000);
        assert_eq!(read.len(), self.sent.len(), "records");
        for ((record, value), offset) in read.iter().zip(&self.sent).zip(0..) {
            assert_eq!((record.offset, record.value.as_ref()), (offset, Some(value)));
        }
    }
}
