//! An idempotent producer with acks=all and five batches in flight, alone on its partition: the offset of a record is its
//! sequence number, and every acknowledgement says so. What is not acknowledged is sent again, the same bytes in the same
//! order, until it is, as Kafka's own producer does.

use std::collections::VecDeque;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::messages::ProduceRequest;
use kafka_protocol::records::Compression;

use super::TOPIC;
use crate::progress::Progress;
use crate::several::look_up;
use crate::support::client::produce_request;
use crate::support::{ProducerId, Rng, Wire, idempotent_batch, number_from};

const VERSION: i16 = 8;
/// A Kafka broker remembers five batches of a producer: more in flight could not be told from new ones.
const IN_FLIGHT_MAX: usize = 5;
/// How long a broker may wait for the replicas, and then the client for the broker.
const TIMEOUT_MS: i32 = 1500;
const PATIENCE: Duration = Duration::from_millis(2500);
/// Answers after which Kafka's producer looks for the leader and sends again: UNKNOWN_TOPIC_OR_PARTITION,
/// LEADER_NOT_AVAILABLE, NOT_LEADER_OR_FOLLOWER, REQUEST_TIMED_OUT, NOT_ENOUGH_REPLICAS (19, and 20 after the append),
/// KAFKA_STORAGE_ERROR, FENCED_LEADER_EPOCH.
const AGAIN: [i16; 8] = [3, 5, 6, 7, 19, 20, 56, 74];

/// Said by a broker that lacks what was acknowledged: a zombie that believes to lead may, the leader never.
const OUT_OF_ORDER_SEQUENCE_NUMBER: i16 = 45;
/// So long a zombie may believe what it believes.
const REFUSED_MAX: Duration = Duration::from_secs(60);

pub struct Producer {
    partition: i32,
    addresses: Vec<String>,
    id: ProducerId,
    rng: Rng,
    pending: VecDeque<Pending>,
    /// All values, by sequence number.
    sent: Vec<Bytes>,
    /// How many of them are acknowledged.
    acknowledged: usize,
    /// The first time since the last acknowledgement that a broker said it lacks records before what was sent.
    refused_since: Option<Instant>,
    last_acknowledgement: Instant,
    longest_silence: Duration,
    /// How its last connection ended, for who looks for the cause of a failure.
    last_seen: String,
}

/// A batch that is not acknowledged.
struct Pending {
    base_sequence: usize,
    end_sequence: usize,
    request: ProduceRequest,
}

impl Producer {
    pub fn new(partition: i32, addresses: &[String], id: ProducerId, rng: Rng) -> Producer {
        let addresses = addresses.to_vec();
        Producer {
            partition,
            addresses,
            id,
            rng,
            pending: VecDeque::new(),
            sent: Vec::new(),
            acknowledged: 0,
            refused_since: None,
            last_acknowledgement: Instant::now(),
            longest_silence: Duration::ZERO,
            last_seen: "no leader yet".to_string(),
        }
    }

    /// Until enough is acknowledged and nothing is pending. The values, by offset, and the longest time without an
    /// acknowledgement.
    pub fn run(mut self, progress: &Progress) -> (Vec<Bytes>, Duration) {
        while !(progress.is_enough() && self.pending.is_empty()) {
            assert!(!progress.is_abandoned(), "the other thread has failed; {}", self.describe());
            // Another one each time: one that is cut off believes what it believes.
            let asked = self.rng.within(0..self.addresses.len() as u64) as usize;
            if let Some((leader, _)) = look_up([&self.addresses[asked]], TOPIC, self.partition)
                && let Ok(wire) = Wire::try_connect_within(&self.addresses[leader as usize], PATIENCE)
            {
                // An error is the end of this connection: the broker is gone, hangs, or does not lead.
                let ended = self.run_connection(wire, progress);
                self.last_seen = format!("broker {leader}, said to lead by {asked}: {ended:?}");
            }
            // No synchronisation: only not to spin while there is no leader.
            thread::sleep(Duration::from_millis(20));
        }
        (self.sent, self.longest_silence)
    }

    /// The error code that ended it, 0 if there is nothing left to do.
    fn run_connection(&mut self, mut wire: Wire, progress: &Progress) -> io::Result<i16> {
        for pending in &self.pending {
            wire.try_send(VERSION, &pending.request)?;
        }
        while !progress.is_abandoned() {
            // Before the first acknowledgement a later batch could be taken for the first.
            let in_flight_max = if self.acknowledged == 0 { 1 } else { IN_FLIGHT_MAX };
            if !progress.is_enough() && self.pending.len() < in_flight_max {
                // No synchronisation: the brokers share the machine with what disturbs them.
                thread::sleep(Duration::from_micros(self.rng.within(0..4000)));
                self.add_batch();
                wire.try_send(VERSION, &self.pending.back().expect("just added").request)?;
                continue;
            }
            let Some(oldest) = self.pending.front() else { return Ok(0) };
            let (_, response) = wire.try_receive::<ProduceRequest>(VERSION)?;
            let answer = &response.responses[0].partition_responses[0];
            if AGAIN.contains(&answer.error_code) {
                return Ok(answer.error_code);
            }
            if answer.error_code == OUT_OF_ORDER_SEQUENCE_NUMBER {
                let since = self.refused_since.get_or_insert_with(Instant::now);
                assert!(since.elapsed() < REFUSED_MAX, "records before {} are lost", oldest.base_sequence);
                return Ok(answer.error_code);
            }
            let what = format!("sequence {} of partition {}", oldest.base_sequence, self.partition);
            assert_eq!(answer.error_code, 0, "produce of {what}");
            assert_eq!(answer.base_offset, oldest.base_sequence as i64, "acknowledged offset of {what}");
            self.acknowledged = oldest.end_sequence;
            self.refused_since = None;
            self.longest_silence = self.longest_silence.max(self.last_acknowledgement.elapsed());
            self.last_acknowledgement = Instant::now();
            self.pending.pop_front();
            progress.step();
        }
        Ok(0)
    }

    fn describe(&self) -> String {
        let (acknowledged, sent) = (self.acknowledged, self.sent.len());
        format!("partition {}: {acknowledged} of {sent} acknowledged, {}", self.partition, self.last_seen)
    }

    fn add_batch(&mut self) {
        let base_sequence = self.sent.len();
        for _ in 0..self.rng.within(1..20) {
            let padding = "x".repeat(self.rng.within(0..400) as usize);
            self.sent.push(Bytes::from(format!("{} {padding}", self.sent.len())));
        }
        let compression = self.rng.pick(&[Compression::None, Compression::None, Compression::Lz4]);
        let sequence = i32::try_from(base_sequence).expect("few records");
        let batch = idempotent_batch(self.id, sequence, &self.sent[base_sequence..], compression);
        let acks = if number_from("ACKS_OF_LEADER_ONLY", 0) == 1 { 1 } else { -1 };
        let request =
            produce_request(TOPIC, self.partition, batch).with_timeout_ms(TIMEOUT_MS).with_acks(acks);
        self.pending.push_back(Pending { base_sequence, end_sequence: self.sent.len(), request });
    }
}
