//! What a leader gives a follower that is held back, what it tells it at once, and where it sends consumers.

use super::*;
use crate::common::clock;
use crate::record::builder::{BatchBuilder, BatchOptions};
use crate::record::validator::prepare_client_records;
use crate::replication::ReplicaManager;
use crate::replication::partition::{Append, Appender, RequiredAcks};
use crate::replication::testing;
use crate::replication::ticket::Ticket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

const LIMITS: FetchLimits = FetchLimits {
    bytes_min: 1,
    bytes_max: 1 << 20,
    one_batch_at_least: true,
    read_committed: false,
    from_any_replica: true,
    location: None,
};

/// One partition, led by broker 0; its followers 1 and 2 are not in sync.
struct World {
    replicas: Arc<ReplicaManager>,
    exceeded: AtomicBool,
    tells: bool,
    _dir: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl PartitionSource for World {
    fn find(&self, topic: &str, partition: i32) -> Option<Arc<Partition>> {
        self.replicas.find(topic, partition)
    }

    fn is_known(&self, _: &str, _: i32) -> bool {
        true
    }

    fn holds_back(&self, _: &TopicPartition) -> bool {
        self.exceeded.load(Ordering::SeqCst)
    }

    fn tells_high_watermarks(&self) -> bool {
        self.tells
    }

    fn is_near(&self, id: BrokerId, location: &Location) -> bool {
        id.to_string() == *location.rack
    }
}

fn world(tells: bool) -> Arc<World> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let entered = runtime.enter();
    let selector = "replica.selector.class=org.apache.kafka.common.replica.RackAwareReplicaSelector\n";
    let (replicas, _, dir) = testing::replicas(if tells { selector } else { "" });
    drop(entered);
    testing::decide(&replicas, 0, (0, 0), &[0], &[0, 1, 2]);
    Arc::new(World { replicas, exceeded: AtomicBool::new(false), tells, _dir: dir, _runtime: runtime })
}

impl World {
    fn append(&self) {
        let partition = self.find("t", 0).expect("hosted");
        let mut builder = BatchBuilder::new(BatchOptions::default()).expect("valid options");
        builder.append(clock::now_ms(), None, Some(b"value"), &[]).expect("small");
        let records = builder.build().expect("a batch");
        let settings = partition.settings();
        let batches = prepare_client_records(&records, settings.coordinator_rules(), clock::now_ms());
        partition.enqueue(Append {
            batches: batches.expect("valid"),
            appender: Appender::Client,
            acks: RequiredAcks::Leader,
            ticket: Ticket::new(1),
            slot: 0,
        });
        partition.drain();
    }
}

fn request(fetch_offset: Offset, log_start_offset: Offset) -> PartitionRequest {
    PartitionRequest {
        topic: ByteString::from_static("t"),
        partition: 0,
        current_leader_epoch: -1,
        fetch_offset,
        last_fetched_epoch: -1,
        bytes_max: 1 << 20,
        log_start_offset,
    }
}

fn set_of(world: &Arc<World>, reader: Reader, fetch_offset: Offset) -> FetchSet {
    let mut set = FetchSet::new(Arc::clone(world) as Arc<dyn PartitionSource>, reader);
    set.put(request(fetch_offset, 0));
    set
}

fn is_ready(set: &mut FetchSet) -> bool {
    set.poll_enough(&LIMITS, &mut Context::from_waker(Waker::noop())).is_ready()
}

fn bytes(answers: &[PartitionAnswer]) -> usize {
    answers.iter().filter_map(|answer| answer.read.as_ref()).map(LogRead::size_bytes).sum()
}

#[test]
fn a_follower_that_is_held_back_gets_nothing_until_it_asks_again() {
    let world = world(false);
    world.append();
    world.exceeded.store(true, Ordering::SeqCst);
    let mut set = set_of(&world, Reader::Follower(1), 0);
    assert!(!is_ready(&mut set), "nothing to answer with");
    let answers = set.answer(&LIMITS, true);
    assert_eq!((answers.len(), bytes(&answers)), (1, 0));
    assert!(answers[0].error.is_none());
    world.exceeded.store(false, Ordering::SeqCst);
    assert!(is_ready(&mut set), "the next request of the session looks again, though nothing moved");
    assert!(bytes(&set.answer(&LIMITS, false)) > 0);
}

#[test]
fn consumers_are_not_held_back() {
    let world = world(false);
    world.append();
    world.exceeded.store(true, Ordering::SeqCst);
    let mut set = set_of(&world, Reader::Consumer, 0);
    assert!(is_ready(&mut set));
    assert!(bytes(&set.answer(&LIMITS, true)) > 0);
}

#[test]
fn a_consumer_is_sent_to_the_replica_in_its_rack() {
    let world = world(false);
    world.append();
    let ask = |rack: &'static str, fetch_offset| {
        let location = Location { rack: ByteString::from_static(rack), listener: "PLAINTEXT".to_string() };
        let limits = FetchLimits { location: Some(Arc::new(location)), ..LIMITS };
        let mut set = set_of(&world, Reader::Consumer, fetch_offset);
        let ready = set.poll_enough(&limits, &mut Context::from_waker(Waker::noop())).is_ready();
        let answer = set.answer(&limits, true).remove(0);
        (ready, answer.preferred_replica, answer.read.is_some())
    };
    assert_eq!(ask("1", 0), (true, None, true), "it has not fetched yet");
    let mut follower = set_of(&world, Reader::Follower(1), 1);
    assert!(!is_ready(&mut follower));
    assert_eq!(ask("1", 0), (true, Some(1), false));
    assert_eq!(ask("1", 1), (true, Some(1), false), "at once, though there is nothing to read");
    assert_eq!(ask("0", 0), (true, None, true), "the leader is as near");
    assert_eq!(ask("2", 0), (true, None, true), "replica 2 has not fetched");
    assert_eq!(ask("9", 0), (true, None, true), "nobody is near");
    world.append();
    assert_eq!(ask("1", 2), (false, None, false), "it does not have that");
}

#[test]
fn a_session_of_a_follower_hears_at_once_of_deleted_records() {
    let world = world(false);
    world.append();
    world.append();
    let mut set = set_of(&world, Reader::Follower(1), 2);
    assert!(!is_ready(&mut set));
    set.answer(&LIMITS, true);
    assert!(!is_ready(&mut set), "told");
    let partition = world.find("t", 0).expect("hosted");
    partition.with_state(|state| {
        state.log.as_mut().expect("a log").advance_log_start_offset(1, 2).expect("committed");
    });
    partition.wake_watches();
    assert!(is_ready(&mut set));
    assert_eq!(set.answer(&LIMITS, false)[0].log_start_offset, 1);
}

/// A follower that has to cut its log first does not take the high watermark from the same answer (KAFKA-14704).
#[test]
fn a_session_tells_the_high_watermark_again_after_a_cut() {
    let world = world(false);
    world.append();
    let mut set = set_of(&world, Reader::Follower(1), 5);
    set.put(PartitionRequest { last_fetched_epoch: 0, ..request(5, 0) });
    assert!(is_ready(&mut set));
    let told = set.answer(&LIMITS, true);
    assert!(told[0].diverging.is_some());
    set.put(PartitionRequest { last_fetched_epoch: 0, ..request(1, 0) });
    set.look_once(&LIMITS);
    let told = set.answer(&LIMITS, false);
    assert_eq!(told.iter().map(|answer| answer.high_watermark).collect::<Vec<_>>(), [1]);
    set.look_once(&LIMITS);
    assert!(set.answer(&LIMITS, false).is_empty(), "once");
}

#[test]
fn followers_hear_of_commits_where_consumers_read_from_them() {
    for tells in [false, true] {
        let world = world(tells);
        let (mut one, mut two) =
            (set_of(&world, Reader::Follower(1), 0), set_of(&world, Reader::Follower(2), 0));
        for set in [&mut one, &mut two] {
            assert!(!is_ready(set));
            set.answer(&LIMITS, true);
        }
        world.append();
        // Both are proposed for the ISR now, or will be: what they lack is not committed.
        for set in [&mut one, &mut two] {
            assert!(is_ready(set));
            set.answer(&LIMITS, false);
        }
        one.put(request(1, 0));
        assert!(!is_ready(&mut one), "not committed yet");
        one.answer(&LIMITS, false);
        two.put(request(1, 0));
        assert_eq!(is_ready(&mut two), tells, "its own fetch has committed it");
        assert_eq!(is_ready(&mut one), tells, "{tells}");
    }
}
