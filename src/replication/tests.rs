//! Random produce and fetch, against a model that is a list of values per partition. Every seed is printed; a failing
//! one comes back with `OTTLA_SEED`.

use super::fetch::{FetchLimits, PartitionRequest};
use super::fetch_session::{FetchSessions, FetchWait, Fetched, SessionError, SessionRequest};
use super::partition::{Append, Appender, RequiredAcks};
use super::replica_manager::Stop;
use super::testing::{self, LONG_MS};
use super::ticket::{Ticket, TicketWait};
use super::{ClusterPartitions, Partition, PartitionError, ReplicaManager};
use crate::common::{TopicPartition, clock, random};
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::compression::Limits;
use crate::record::reader::read_all;
use crate::record::validator::{RequestFormat, prepare_client_records};
use bytes::Bytes;
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

const PARTITIONS: i32 = 6;
const CLIENTS: usize = 4;
const STEPS: usize = 1500;

struct Rng(u64);

impl Rng {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % bound
    }

    fn partition(&mut self) -> i32 {
        self.below(PARTITIONS as usize) as i32
    }
}

#[derive(Default)]
struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Waiting {
    fetch: Pin<Box<FetchWait>>,
    waker: Arc<CountingWaker>,
    wakes_seen: usize,
}

#[derive(Default)]
struct Client {
    /// Where it reads on; the partitions of its session.
    positions: BTreeMap<i32, i64>,
    session_id: i32,
    session_epoch: i32,
    waiting: Option<Waiting>,
}

struct World {
    rng: Rng,
    replicas: Arc<ReplicaManager>,
    sessions: FetchSessions,
    model: BTreeMap<i32, Vec<String>>,
    clients: Vec<Client>,
    _dir: tempfile::TempDir,
}

const LIMITS: FetchLimits = FetchLimits {
    bytes_min: 1,
    bytes_max: 4000,
    one_batch_at_least: true,
    read_committed: false,
    from_any_replica: false,
    location: None,
};

fn name(partition: i32) -> TopicPartition {
    TopicPartition::new(ByteString::from_static("t"), partition)
}

impl World {
    fn new(seed: u64) -> World {
        let (replicas, _, dir) = testing::replicas("log.segment.bytes=3000\nlog.index.interval.bytes=300\n");
        for partition in 0..PARTITIONS {
            testing::decide(&replicas, partition, (0, 0), &[0], &[0]);
        }
        let source = ClusterPartitions { hosted: Arc::clone(&replicas), cluster: Arc::default() };
        World {
            rng: Rng(seed),
            sessions: FetchSessions::new(Arc::new(source), CLIENTS - 1),
            replicas,
            model: (0..PARTITIONS).map(|partition| (partition, Vec::new())).collect(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            _dir: dir,
        }
    }

    fn partition(&self, partition: i32) -> Arc<Partition> {
        self.replicas.find("t", partition).expect("hosted")
    }

    fn produce(&mut self) {
        let number = self.rng.partition();
        let partition = self.partition(number);
        let known = self.model.get_mut(&number).expect("every partition");
        let mut batch = BatchBuilder::new(BatchOptions::default()).expect("valid options");
        let base_offset = known.len() as i64;
        for _ in 0..1 + self.rng.below(4) {
            let value = format!("{number}/{}{}", known.len(), "x".repeat(self.rng.below(200)));
            batch.append(clock::now_ms(), None, Some(value.as_bytes()), &[]).expect("small");
            known.push(value);
        }
        let records = batch.build().expect("a batch");
        let result = match self.rng.below(4) {
            0 => {
                let epoch = partition.with_state(|state| state.machine.leader_epoch());
                let stale = partition.append_as_coordinator(records.clone(), epoch - 1, LONG_MS);
                assert!(matches!(now(stale), Some(Err(PartitionError::NotLeader))));
                now(partition.append_as_coordinator(records, epoch, LONG_MS))
            }
            _ => now(append(&partition, &records)).and_then(|mut results| results[0].take()),
        };
        let result =
            result.expect("alone in the ISR, an append is committed when it is written").expect("a success");
        assert_eq!(result.base_offset, base_offset);
        self.check_woken(number);
    }

    /// Whoever waits for this partition has been woken by now.
    fn check_woken(&self, partition: i32) {
        for client in &self.clients {
            if let (Some(waiting), true) = (&client.waiting, client.positions.contains_key(&partition)) {
                let wakes = waiting.waker.0.load(Ordering::SeqCst);
                assert!(wakes > waiting.wakes_seen, "nobody woke the fetch that waits for {partition}");
            }
        }
    }

    fn fetch(&mut self, who: usize) {
        if self.clients[who].waiting.is_none() && !self.start_fetch(who) {
            return;
        }
        let client = &mut self.clients[who];
        let mut waiting = client.waiting.take().expect("started");
        waiting.wakes_seen = waiting.waker.0.load(Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&waiting.waker));
        match waiting.fetch.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(fetched) => self.take_in(who, fetched),
            Poll::Pending => {
                for (partition, position) in &client.positions {
                    let end = self.model[partition].len() as i64;
                    assert_eq!(*position, end, "there is something to read in {partition}");
                }
                client.waiting = Some(waiting);
            }
        }
    }

    /// A new session, the next request of a session, or a request without one. False if it was refused.
    fn start_fetch(&mut self, who: usize) -> bool {
        let rng = &mut self.rng;
        let client = &mut self.clients[who];
        let mut request = SessionRequest { session_id: client.session_id, ..Default::default() };
        if client.session_id == 0 || rng.below(20) == 0 {
            client.positions = BTreeMap::new();
            for _ in 0..1 + rng.below(4) {
                let partition = rng.partition();
                let offset = rng.below(self.model[&partition].len() + 1) as i64;
                client.positions.insert(partition, offset);
            }
            request.session_epoch = if rng.below(5) == 0 { -1 } else { 0 };
            request.partitions = client.positions.iter().map(|(p, o)| ask(rng, *p, *o)).collect();
        } else {
            request.session_epoch = client.session_epoch;
            if client.positions.len() > 1 && rng.below(10) == 0 {
                let (partition, _) = client.positions.pop_first().expect("more than one");
                request.forgotten.push((ByteString::from_static("t"), partition));
            }
            // All of them, though a client would send those only that moved: both must do.
            request.partitions = client.positions.iter().map(|(p, o)| ask(rng, *p, *o)).collect();
        }
        let waits_ms = if rng.below(3) == 0 { 0 } else { LONG_MS };
        let fetch = match self.sessions.fetch(request, LIMITS, waits_ms) {
            Ok(fetch) => Box::pin(fetch),
            Err(refused) => {
                assert_eq!(refused, SessionError::NotFound, "evicted at most");
                *client = Client::default();
                return false;
            }
        };
        client.waiting = Some(Waiting { fetch, waker: Arc::default(), wakes_seen: 0 });
        true
    }

    fn take_in(&mut self, who: usize, fetched: Fetched) {
        let client = &mut self.clients[who];
        client.session_epoch =
            if fetched.session_id == client.session_id { client.session_epoch + 1 } else { 1 };
        client.session_id = fetched.session_id;
        for answer in fetched.answers {
            assert!(answer.error.is_none(), "{:?}", answer.error);
            let known = &self.model[&answer.partition];
            assert_eq!(answer.high_watermark, known.len() as i64);
            let Some(slice) = answer.read.and_then(|read| read.records) else { continue };
            let mut bytes = vec![0; slice.len];
            let file = std::fs::File::from(slice.file.try_clone().expect("an open file"));
            file.read_exact_at(&mut bytes, slice.position).expect("what was promised");
            let position = client.positions.get_mut(&answer.partition).expect("asked for");
            for record in read_all(&whole_batches(bytes), &Limits::default()).expect("whole records") {
                if record.offset < *position {
                    continue;
                }
                assert_eq!(record.offset, *position, "a gap");
                assert_eq!(record.value.as_deref(), Some(known[record.offset as usize].as_bytes()));
                *position += 1;
            }
        }
    }

    /// What a coordinator would load is what was written.
    fn load(&mut self) {
        let number = self.rng.partition();
        let (partition, mut found) = (self.partition(number), Vec::new());
        loop {
            let max_bytes = 1 + self.rng.below(3000);
            let bytes = partition.read_for_loading(found.len() as i64, max_bytes).expect("a read");
            let records = read_all(&bytes, &Limits::default()).expect("whole batches");
            if records.is_empty() {
                break;
            }
            let value =
                |value: Option<Bytes>| String::from_utf8(value.expect("a value").to_vec()).expect("text");
            found.extend(records.into_iter().map(|record| value(record.value)));
        }
        assert_eq!(found, self.model[&number]);
    }

    /// Another topic of the same name: the sets find the new partition, nobody reads the old one.
    fn replace(&mut self) {
        let number = self.rng.partition();
        let stop = Stop { name: name(number), leader_epoch: -2, delete: true };
        assert_eq!(self.replicas.stop(vec![stop])[0].1, Ok(()));
        self.check_woken(number);
        testing::decide(&self.replicas, number, (0, 0), &[0], &[0]);
        self.model.insert(number, Vec::new());
        for client in self.clients.iter_mut().filter(|client| client.positions.contains_key(&number)) {
            *client = Client::default();
        }
    }
}

/// A client's append.
fn append(partition: &Arc<Partition>, records: &Bytes) -> TicketWait {
    let settings = partition.settings();
    let rules = settings.rules(RequestFormat::OneBatch);
    let batches = prepare_client_records(records, rules, clock::now_ms()).expect("valid records");
    let ticket = Ticket::new(1);
    let (appender, acks) = (Appender::Client, RequiredAcks::All);
    partition.enqueue(Append { batches, appender, acks, ticket: Arc::clone(&ticket), slot: 0 });
    TicketWait::new(ticket, None)
}

/// The result, if it is there without waiting.
fn now<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

fn ask(rng: &mut Rng, partition: i32, fetch_offset: i64) -> PartitionRequest {
    let topic = ByteString::from_static("t");
    let bytes_max = 1 + rng.below(2000);
    PartitionRequest {
        topic,
        partition,
        current_leader_epoch: -1,
        fetch_offset,
        last_fetched_epoch: -1,
        bytes_max,
        log_start_offset: -1,
    }
}

/// The last batch of an answer may be cut off.
fn whole_batches(mut bytes: Vec<u8>) -> Bytes {
    let mut end = 0;
    while let Some(size) = bytes.get(end + 8..end + 12) {
        let size = i32::from_be_bytes(size.try_into().expect("four bytes")) as usize + 12;
        if end + size > bytes.len() {
            break;
        }
        end += size;
    }
    bytes.truncate(end);
    Bytes::from(bytes)
}

#[test]
fn what_is_produced_is_fetched_and_nobody_sleeps_through_it() {
    let given = std::env::var("OTTLA_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _inside = runtime.enter();
    for _ in 0..if given.is_some() { 1 } else { 8 } {
        let seed = given.unwrap_or_else(random::next_u64);
        println!("OTTLA_SEED={seed}");
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            match world.rng.below(100) {
                0..40 => world.produce(),
                40..98 => {
                    let who = world.rng.below(CLIENTS);
                    world.fetch(who);
                }
                98 => world.load(),
                _ => world.replace(),
            }
        }
    }
}
