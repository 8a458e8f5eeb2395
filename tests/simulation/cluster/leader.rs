//! What a broker answers followers and clients. Long polls wait as they do in production, on watches and a timer.

use super::bug::Bug;
use super::disk::{self, Entry};
use super::network::{Body, CLIENTS};
use super::setup::{TOPIC, name};
use super::world::{Inner, World};
use bytestring::ByteString;
use ottla::common::{BrokerId, ErrorCode, Offset, TopicPartition};
use ottla::handlers::errors::partition_error_code;
use ottla::record::validator::{RequestFormat, prepare_client_records};
use ottla::replication::PartitionError;
use ottla::replication::fetch::{FetchError, FetchLimits, PartitionAnswer, PartitionRequest};
use ottla::replication::fetch_session::{FetchWait, Fetched, SessionError, SessionRequest};
use ottla::replication::fetcher::messages::{
    EpochQuestion, FetchAnswer, FetchQuestion, FetchedPartition, OffsetQuestion,
};
use ottla::replication::fetcher::session::SessionFetch;
use ottla::replication::fetcher::truncation::EpochEnd;
use ottla::replication::partition::{Append, Appender, Reader, RequiredAcks};
use ottla::replication::partition_machine::LeaderEnds;
use ottla::replication::ticket::{Ticket, TicketWait};
use ottla::storage::{LogPosition, read_slice};
use ottla::zk::SessionState;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

const LIMITS: FetchLimits = FetchLimits {
    bytes_min: 1,
    bytes_max: 2_000,
    one_batch_at_least: true,
    read_committed: false,
    from_any_replica: false,
    location: None,
};
const PARTITION_BYTES_MAX: usize = 500;

/// A fetch that waits.
pub struct Parked {
    wait: Pin<Box<FetchWait>>,
    waker: Waker,
    asker: Asker,
}

#[derive(Clone)]
enum Asker {
    /// `fenced`: partitions that it follows in another epoch than that of their leader.
    Follower {
        id: BrokerId,
        life: u64,
        exchange: u64,
        fenced: Vec<TopicPartition>,
    },
    Consumer {
        partition: i32,
        offset: Offset,
    },
}

/// A produce request that waits for its answer.
pub struct Unanswered {
    wait: TicketWait,
    partition: i32,
    all: bool,
    entry: Entry,
}

/// Notes who is to be looked at.
struct Note(u64, Arc<Mutex<Vec<u64>>>);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().expect("one thread").push(self.0);
    }
}

/// Fetches.
impl World {
    pub fn serve_fetch(
        &mut self,
        at: usize,
        (id, life): (BrokerId, u64),
        exchange: u64,
        question: FetchQuestion,
    ) -> Result<(), String> {
        let unfenced = self.has(Bug::LeaderEpochIgnoredInFetch);
        let session = question.session;
        let fenced = self.fenced(at, &session);
        let partitions = session.partitions.into_iter().map(|(name, position)| PartitionRequest {
            topic: name.topic,
            partition: name.partition,
            current_leader_epoch: if unfenced { -1 } else { position.current_leader_epoch },
            fetch_offset: position.fetch_offset,
            last_fetched_epoch: position.last_fetched_epoch.unwrap_or(-1),
            bytes_max: PARTITION_BYTES_MAX,
            log_start_offset: position.log_start_offset,
        });
        let request = SessionRequest {
            session_id: session.session_id,
            session_epoch: session.session_epoch,
            partitions: partitions.collect(),
            forgotten: session.forgotten.into_iter().map(|name| (name.topic, name.partition)).collect(),
            reader: Reader::Follower(id),
        };
        match self.broker(at).sessions.fetch(request, LIMITS, question.wait_ms_max) {
            Ok(wait) => {
                self.park(at, wait, Asker::Follower { id, life, exchange, fenced }, question.wait_ms_max)
            }
            Err(refused) => {
                let error = match refused {
                    SessionError::NotFound => ErrorCode::FetchSessionIdNotFound,
                    SessionError::WrongEpoch => ErrorCode::InvalidFetchSessionEpoch,
                };
                let answer = FetchAnswer { error, session_id: 0, partitions: Vec::new() };
                self.send(at as BrokerId, id, Body::Fetched { exchange, answer });
            }
        }
        Ok(())
    }

    fn fenced(&mut self, at: usize, session: &SessionFetch) -> Vec<TopicPartition> {
        let broker = self.broker(at);
        let is_fenced = |name: &TopicPartition, epoch: i32| {
            let partition = broker.partition(name.partition);
            partition
                .is_some_and(|partition| partition.with_state(|state| state.machine.leader_epoch()) != epoch)
        };
        let fenced = session.partitions.iter().filter(|(name, p)| is_fenced(name, p.current_leader_epoch));
        fenced.map(|(name, _)| name.clone()).collect()
    }

    /// A consumer's fetch, without a session.
    pub fn consume(&mut self, at: usize, partition: i32, epoch: i32, offset: Offset) {
        let request = PartitionRequest {
            topic: ByteString::from_static(TOPIC),
            partition,
            current_leader_epoch: epoch,
            fetch_offset: offset,
            last_fetched_epoch: -1,
            bytes_max: PARTITION_BYTES_MAX,
            log_start_offset: -1,
        };
        // A follower that is none: it reads all there is, and nobody counts on it.
        let reader = if self.has(Bug::UncommittedRead) { Reader::Follower(99) } else { Reader::Consumer };
        let request =
            SessionRequest { session_epoch: -1, partitions: vec![request], reader, ..Default::default() };
        let wait = self.broker(at).sessions.fetch(request, LIMITS, 0).expect("without a session");
        self.park(at, wait, Asker::Consumer { partition, offset }, 0);
    }

    fn park(&mut self, at: usize, wait: FetchWait, asker: Asker, wait_ms: i64) {
        let id = self.token();
        let broker = self.broker(at);
        let waker = Waker::from(Arc::new(Note(id, Arc::clone(&broker.woken))));
        broker.parked.insert(id, Parked { wait: Box::pin(wait), waker, asker });
        broker.woken.lock().expect("one thread").push(id);
        if wait_ms > 0 {
            self.later(at, wait_ms + 1, Inner::ParkedOver(id));
        }
    }

    /// Looks at the fetches that were woken.
    pub fn answer_fetches(&mut self, at: usize) -> Result<(), String> {
        loop {
            let broker = self.broker(at);
            let woken = std::mem::take(&mut *broker.woken.lock().expect("one thread"));
            if woken.is_empty() {
                return Ok(());
            }
            for id in woken {
                let broker = self.broker(at);
                let Some(parked) = broker.parked.get_mut(&id) else { continue };
                let waker = parked.waker.clone();
                let Poll::Ready(fetched) = parked.wait.as_mut().poll(&mut Context::from_waker(&waker)) else {
                    continue;
                };
                let asker = parked.asker.clone();
                broker.parked.remove(&id);
                match asker {
                    Asker::Consumer { partition, offset } => {
                        self.answer_consumer(at, partition, offset, fetched)
                    }
                    Asker::Follower { id, life, exchange, fenced } => {
                        let served = |name: &TopicPartition| {
                            let of = |answer: &&PartitionAnswer| {
                                answer.topic == name.topic && answer.partition == name.partition
                            };
                            fetched.answers.iter().find(of).is_some_and(|answer| answer.error.is_none())
                        };
                        if let Some(name) = fenced.iter().find(|name| served(name)) {
                            return Err(format!("broker {at} served a follower of {name} in another epoch"));
                        }
                        self.answer_follower(at, (id, life), exchange, fetched)?;
                    }
                }
            }
        }
    }

    fn answer_follower(
        &mut self,
        at: usize,
        (id, life): (BrokerId, u64),
        exchange: u64,
        fetched: Fetched,
    ) -> Result<(), String> {
        let error = if fetched.overtaken { ErrorCode::InvalidFetchSessionEpoch } else { ErrorCode::None };
        let partitions: Vec<_> = fetched.answers.into_iter().map(fetched_partition).collect();
        for partition in &partitions {
            let end = disk::parse(&partition.records).last().map(|entry| entry.next_offset);
            if let (true, Some(end)) = (self.has(Bug::SentCountsAsFetched), end) {
                self.count_as_fetched(at, id, &partition.name, end);
            }
            if self.has(Bug::IsrGrowsBelowHighWatermark) {
                self.grow_isr(at, id, partition.name.partition)?;
            }
        }
        let answer = FetchAnswer { error, session_id: fetched.session_id, partitions };
        // The connection is that of the process that asked.
        if self.life_of(id) == life {
            self.send(at as BrokerId, id, Body::Fetched { exchange, answer });
        }
        Ok(())
    }

    fn count_as_fetched(&mut self, at: usize, id: BrokerId, name: &TopicPartition, end: Offset) {
        let now_ms = self.now_ms;
        let Some(partition) = self.broker(at).partition(name.partition) else { return };
        partition.with_state(|state| {
            let Some(log) = state.log.as_ref() else { return };
            let ends = LeaderEnds { local_end: log.log_end(), log_end: log.log_end_offset(), now_ms };
            state.machine.follower_fetched(id, LogPosition::of_offset(end), 0, &ends);
        });
    }

    fn answer_consumer(&mut self, at: usize, partition: i32, offset: Offset, fetched: Fetched) {
        let found = match fetched.answers.into_iter().next().map(fetched_partition) {
            None => Err(ErrorCode::UnknownServerError),
            Some(answer) if answer.error != ErrorCode::None => Err(answer.error),
            Some(answer) => Ok(disk::parse(&answer.records)),
        };
        self.send(at as BrokerId, CLIENTS, Body::Consumed { partition, offset, found });
    }
}

fn fetched_partition(answer: PartitionAnswer) -> FetchedPartition {
    let error = match &answer.error {
        None => ErrorCode::None,
        Some(FetchError::Refused(error)) => partition_error_code(error),
        Some(FetchError::NotHosted) => ErrorCode::NotLeaderOrFollower,
        Some(FetchError::Unknown) => ErrorCode::UnknownTopicOrPartition,
    };
    let slice = answer.read.and_then(|read| read.records);
    FetchedPartition {
        name: TopicPartition { topic: answer.topic, partition: answer.partition },
        error,
        high_watermark: answer.high_watermark,
        log_start_offset: answer.log_start_offset,
        diverging: answer.diverging.map(|(leader_epoch, end_offset)| EpochEnd { leader_epoch, end_offset }),
        records: slice.map(|slice| read_slice(&slice).expect("what was promised")).unwrap_or_default(),
    }
}

/// Questions about epochs and offsets, answered as the handlers of OffsetForLeaderEpoch and ListOffsets do.
impl World {
    pub fn serve_epochs(&mut self, at: usize, from: BrokerId, exchange: u64, questions: Vec<EpochQuestion>) {
        let answer = |world: &mut World, asked: &EpochQuestion| {
            let partition =
                world.broker(at).partition(asked.name.partition).ok_or(ErrorCode::NotLeaderOrFollower)?;
            let found = partition.with_state(|state| {
                state.check_leader(asked.current_leader_epoch)?;
                let log = state.log.as_ref().ok_or(PartitionError::StorageFailed)?;
                if asked.leader_epoch == state.machine.leader_epoch() {
                    return Ok(Some((asked.leader_epoch, log.log_end_offset())));
                }
                Ok(log.end_offset_for_epoch(asked.leader_epoch))
            });
            found.map_err(|error| partition_error_code(&error))
        };
        let undefined = EpochEnd { leader_epoch: -1, end_offset: -1 };
        let mut ends = Vec::new();
        for asked in questions {
            let end = match answer(self, &asked) {
                Ok(Some((leader_epoch, end_offset))) => {
                    (ErrorCode::None, EpochEnd { leader_epoch, end_offset })
                }
                Ok(None) => (ErrorCode::None, undefined),
                Err(code) => (code, undefined),
            };
            ends.push((asked, Some(end)));
        }
        self.send(at as BrokerId, from, Body::EpochEnds { exchange, ends });
    }

    pub fn serve_offsets(
        &mut self,
        at: usize,
        from: BrokerId,
        exchange: u64,
        questions: Vec<OffsetQuestion>,
    ) {
        let answer = |world: &mut World, asked: &OffsetQuestion| {
            let partition =
                world.broker(at).partition(asked.name.partition).ok_or(ErrorCode::NotLeaderOrFollower)?;
            let found = partition.with_state(|state| {
                state.check_leader(asked.current_leader_epoch)?;
                let log = state.log.as_ref().ok_or(PartitionError::StorageFailed)?;
                Ok(if asked.earliest { log.log_start_offset() } else { log.log_end_offset() })
            });
            found.map_err(|error: PartitionError| partition_error_code(&error))
        };
        let mut offsets = Vec::new();
        for asked in questions {
            let found = match answer(self, &asked) {
                Ok(offset) => (ErrorCode::None, offset),
                Err(code) => (code, -1),
            };
            offsets.push((asked, Some(found)));
        }
        self.send(at as BrokerId, from, Body::Listed { exchange, offsets });
    }
}

/// Produce requests.
impl World {
    pub fn produce(
        &mut self,
        at: usize,
        partition: i32,
        all: bool,
        records: &bytes::Bytes,
    ) -> Result<(), String> {
        let now_ms = self.now_ms;
        let Some(hosted) = self.broker(at).partition(partition) else { return Ok(()) };
        let settings = hosted.settings();
        let batches = prepare_client_records(records, settings.rules(RequestFormat::OneBatch), now_ms);
        let batches = batches.expect("valid records");
        let entry = disk::parse(records)[0];
        let ticket = Ticket::new(1);
        let acks = if all { RequiredAcks::All } else { RequiredAcks::Leader };
        hosted.enqueue(Append {
            batches,
            appender: Appender::Client,
            acks,
            ticket: Arc::clone(&ticket),
            slot: 0,
        });
        let wait = TicketWait::new(ticket, None);
        let broker = self.broker(at);
        let is_zombie = broker.zk.status().state == SessionState::Disconnected;
        broker.unanswered.push(Unanswered { wait, partition, all, entry });
        if is_zombie && all && self.has(Bug::ZombieAcksAlone) {
            let end = hosted.with_state(|state| {
                let is_leader = state.machine.is_leader();
                state.log.as_ref().filter(|_| is_leader).map(|log| log.log_end_offset())
            });
            if let Some(end) = end {
                return self.acknowledged(at, partition, end - (entry.next_offset - entry.offset), entry);
            }
        }
        Ok(())
    }

    /// Looks which produce requests have their answer.
    pub fn answer_produces(&mut self, at: usize) -> Result<(), String> {
        let broker = self.broker(at);
        let mut answered = Vec::new();
        broker.unanswered.retain_mut(|waiting| {
            let Poll::Ready(mut results) =
                Pin::new(&mut waiting.wait).poll(&mut Context::from_waker(Waker::noop()))
            else {
                return true;
            };
            if let Some(Ok(appended)) = results[0].take()
                && waiting.all
            {
                answered.push((waiting.partition, appended.base_offset, waiting.entry));
            }
            false
        });
        answered
            .into_iter()
            .try_for_each(|(partition, offset, entry)| self.acknowledged(at, partition, offset, entry))
    }

    fn acknowledged(
        &mut self,
        at: usize,
        partition: i32,
        offset: Offset,
        entry: Entry,
    ) -> Result<(), String> {
        self.trace(|| format!("broker {at} acknowledges {} at {offset}", name(partition)));
        self.mix(offset);
        self.clients.acknowledged += 1;
        self.check_acknowledged(at, partition, offset, entry.crc)
    }
}
