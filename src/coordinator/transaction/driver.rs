//! Runs the machine: one task that feeds it events and carries out its effects.
//!
//! Appends begin in the order in which the machine wants them; each is awaited in a task of its own, whose end is an
//! event. Partitions of the transaction log are read on blocking threads, a few at a time.

use super::event::{
    AddPartitions, Answer, AppendFailure, Effect, EndTransaction, Event, InitProducerId, Place, Producer,
};
use super::machine::{Machine, MachineConfig};
use super::marker_sender::{MarkerSender, MarkerTransport};
use super::partition_set::PartitionSet;
use super::records::{self, Replay};
use crate::common::topic_name::TRANSACTION_STATE_TOPIC;
use crate::common::{ErrorCode, LeaderEpoch, Offset, clock, java_hash};
use crate::config::BrokerConfig;
use crate::metadata::{MetadataCache, ProducerIds};
use crate::record::compression::Limits;
use crate::replication::coordination::PartitionListener;
use crate::replication::{Partition, PartitionError};
use bytes::Bytes;
use bytestring::ByteString;
use log::{error, info, warn};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

const TARGET: &str = "kafka.coordinator.transaction.TransactionStateManager";
/// Partitions that are read at a time.
const LOADS_MAX: usize = 2;
/// Wait before a partition that could not be read is read again.
const LOAD_RETRY: Duration = Duration::from_secs(1);
/// Wait between two looks whether what was read is committed.
const COMMITTED_POLL: Duration = Duration::from_millis(5);

/// What a coordinator needs.
pub struct TransactionDeps {
    /// Its part of the configuration; `transaction.state.log.num.partitions` is what `__transaction_state` has, if it
    /// exists.
    pub config: Arc<BrokerConfig>,
    /// Who leads what.
    pub metadata: Arc<MetadataCache>,
    /// Unused producer ids.
    pub producer_ids: Arc<ProducerIds>,
    /// The way to the brokers.
    pub transport: Arc<dyn MarkerTransport>,
}

/// The transaction coordinator of this broker. Told of its partitions by the replica manager
/// ([`PartitionListener`]), asked by the handlers.
pub struct TransactionCoordinator {
    inputs: mpsc::UnboundedSender<Input>,
    metadata: Arc<MetadataCache>,
    partitions_configured: i32,
    /// The most that the metadata has shown.
    partitions_seen: AtomicI32,
}

type Reply = oneshot::Sender<Answer>;

enum Input {
    Event(Event<Reply>),
    /// This broker leads a partition since the epoch.
    Leads(Arc<Partition>, LeaderEpoch),
}

impl TransactionCoordinator {
    /// Starts the task; it ends when the coordinator is dropped.
    pub fn start(deps: TransactionDeps) -> Arc<TransactionCoordinator> {
        let (inputs, queue) = mpsc::unbounded_channel();
        let marked = inputs.downgrade();
        let markers = MarkerSender::start(
            Arc::clone(&deps.metadata),
            deps.transport,
            Box::new(move |place, id, outcomes| {
                if let Some(inputs) = marked.upgrade() {
                    let _ = inputs.send(Input::Event(Event::Marked(place, id, outcomes)));
                }
            }),
        );
        let config = &deps.config;
        let machine = Machine::new(MachineConfig {
            broker_id: config.broker_id,
            max_timeout_ms: config.transaction_max_timeout_ms,
            id_expiration_ms: i64::from(config.transactional_id_expiration_ms),
        });
        let coordinator = TransactionCoordinator {
            inputs: inputs.clone(),
            metadata: deps.metadata,
            partitions_configured: config.transaction_state_log_num_partitions,
            partitions_seen: AtomicI32::new(0),
        };
        let driver = Driver {
            machine,
            markers,
            inputs: inputs.downgrade(),
            partitions: HashMap::new(),
            producer_ids: deps.producer_ids,
            loads: Arc::new(Semaphore::new(LOADS_MAX)),
            config: deps.config,
        };
        tokio::spawn(driver.run(queue));
        Arc::new(coordinator)
    }

    /// The partition of `__transaction_state` that holds a transactional id. While the topic is not known, as many
    /// partitions count as the configuration says.
    pub fn partition_of(&self, transactional_id: &str) -> i32 {
        let cluster = self.metadata.current();
        let seen = cluster.topic(TRANSACTION_STATE_TOPIC).map_or(0, |topic| topic.partitions.len() as i32);
        // Metadata may be incomplete for a moment; partitions never get fewer.
        let most = self.partitions_seen.fetch_max(seen, Ordering::Relaxed).max(seen);
        let partitions = if most > 0 { most } else { self.partitions_configured };
        java_hash::partition_of(transactional_id, partitions)
    }

    /// Gives a transactional id its producer id and a new epoch. `expected` is what the producer believes to be.
    ///
    /// # Errors
    /// INVALID_REQUEST, INVALID_TRANSACTION_TIMEOUT, NOT_COORDINATOR, COORDINATOR_LOAD_IN_PROGRESS,
    /// COORDINATOR_NOT_AVAILABLE, CONCURRENT_TRANSACTIONS, PRODUCER_FENCED, UNKNOWN_SERVER_ERROR.
    pub fn init_producer_id(
        &self,
        transactional_id: ByteString,
        timeout_ms: i32,
        expected: Option<Producer>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let partition = self.partition_of(&transactional_id);
        self.ask(move |reply| {
            Event::InitProducerId(InitProducerId {
                reply,
                partition,
                transactional_id,
                timeout_ms,
                expected,
                fresh_id: None,
            })
        })
    }

    /// Adds partitions to a transaction, and begins one if there is none.
    ///
    /// # Errors
    /// As above, and INVALID_PRODUCER_ID_MAPPING.
    pub fn add_partitions(
        &self,
        transactional_id: ByteString,
        producer: Producer,
        partitions: PartitionSet,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let partition = self.partition_of(&transactional_id);
        self.ask(move |reply| {
            Event::AddPartitions(AddPartitions { reply, partition, transactional_id, producer, partitions })
        })
    }

    /// Decides a transaction; its markers are written afterwards.
    ///
    /// # Errors
    /// As above, and INVALID_TXN_STATE.
    pub fn end_transaction(
        &self,
        transactional_id: ByteString,
        producer: Producer,
        commit: bool,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let partition = self.partition_of(&transactional_id);
        self.ask(move |reply| {
            Event::EndTransaction(EndTransaction { reply, partition, transactional_id, producer, commit })
        })
    }

    /// In line when this returns: what one connection asks comes to the machine in its order.
    fn ask<F: FnOnce(Reply) -> Event<Reply>>(
        &self,
        event: F,
    ) -> impl Future<Output = Answer> + Send + use<F> {
        let (reply, answer) = oneshot::channel();
        self.put(Input::Event(event(reply)));
        async move { answer.await.unwrap_or(Err(ErrorCode::CoordinatorNotAvailable)) }
    }

    fn put(&self, input: Input) {
        // Without the task nobody is coordinated: the broker is ending.
        let _ = self.inputs.send(input);
    }
}

impl PartitionListener for TransactionCoordinator {
    fn became_leader(&self, partition: Arc<Partition>, leader_epoch: LeaderEpoch) {
        self.put(Input::Leads(partition, leader_epoch));
    }

    fn became_follower(&self, partition: i32, leader_epoch: LeaderEpoch) {
        self.put(Input::Event(Event::Resigned(partition, Some(leader_epoch))));
    }

    fn stopped(&self, partition: i32) {
        self.put(Input::Event(Event::Resigned(partition, None)));
    }
}

struct Driver {
    machine: Machine<Reply>,
    markers: MarkerSender,
    inputs: mpsc::WeakUnboundedSender<Input>,
    partitions: HashMap<Place, Arc<Partition>>,
    producer_ids: Arc<ProducerIds>,
    loads: Arc<Semaphore>,
    config: Arc<BrokerConfig>,
}

impl Driver {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Input>) {
        let mut timeouts = every(self.config.transaction_abort_timed_out_transaction_cleanup_interval_ms);
        let mut expiry = every(self.config.transaction_remove_expired_transaction_cleanup_interval_ms);
        loop {
            let input = tokio::select! {
                input = queue.recv() => match input {
                    Some(input) => input,
                    None => return,
                },
                _ = timeouts.tick() => Input::Event(Event::AbortTimedOut),
                _ = expiry.tick() => Input::Event(Event::RemoveExpired),
            };
            let event = match input {
                Input::Event(event) => event,
                Input::Leads(partition, coordinator_epoch) => {
                    let place = Place { partition: partition.name.partition, coordinator_epoch };
                    self.partitions.insert(place, partition);
                    Event::Elected(place)
                }
            };
            for effect in self.machine.step(clock::now_ms(), event) {
                self.perform(effect);
            }
        }
    }

    fn perform(&mut self, effect: Effect<Reply>) {
        match effect {
            // A client that left wants no answer.
            Effect::Answer(reply, answer) => drop(reply.send(answer)),
            Effect::NewProducerId(request) => {
                let ids = Arc::clone(&self.producer_ids);
                self.later(async move {
                    let id = ids.next().await.map_err(|_| ErrorCode::CoordinatorLoadInProgress);
                    Some(Event::ProducerId(request, id))
                });
            }
            Effect::Load(place) => self.load(place),
            Effect::Unload(place) => {
                self.partitions.remove(&place);
                self.markers.cancel(place);
            }
            Effect::Append { place, transactional_id, state, after_ms } => {
                let timeout_ms = i64::from(state.timeout_ms);
                let batch = records::encode(&transactional_id, &state, clock::now_ms());
                let appended = move |result| Event::Appended(place, transactional_id, result);
                self.append(place, batch.ok(), (timeout_ms, after_ms), appended);
            }
            Effect::AppendTombstones(place, ids) => {
                let timeout_ms = i64::from(self.config.request_timeout_ms);
                let batch = records::encode_tombstones(&ids, clock::now_ms());
                let appended = move |result| Event::TombstonesAppended(place, ids, result);
                self.append(place, batch.ok(), (timeout_ms, 0), appended);
            }
            Effect::SendMarkers(marker, 0) => self.markers.send(marker),
            Effect::SendMarkers(marker, after_ms) => {
                self.later(async move {
                    sleep(after_ms).await;
                    Some(Event::MarkersDue(marker))
                });
            }
        }
    }

    /// Does something in a task of its own, and tells the machine.
    fn later(&self, work: impl Future<Output = Option<Event<Reply>>> + Send + 'static) {
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            if let (Some(event), Some(inputs)) = (work.await, inputs.upgrade()) {
                // Without the task nobody is coordinated.
                let _ = inputs.send(Input::Event(event));
            }
        });
    }

    fn append(
        &self,
        place: Place,
        batch: Option<Bytes>,
        (timeout_ms, after_ms): (i64, i64),
        event: impl FnOnce(Result<(), AppendFailure>) -> Event<Reply> + Send + 'static,
    ) {
        let partition = self.partitions.get(&place).cloned();
        let (Some(partition), Some(batch)) = (partition.clone(), batch) else {
            let failure = if partition.is_none() { AppendFailure::NotLeader } else { AppendFailure::Refused };
            self.later(async move { Some(event(Err(failure))) });
            return;
        };
        let begin = move || partition.append_as_coordinator(batch, place.coordinator_epoch, timeout_ms);
        if after_ms > 0 {
            self.later(async move {
                sleep(after_ms).await;
                Some(event(begin().await.map(drop).map_err(|error| append_failure(&error))))
            });
            return;
        }
        let append = begin();
        self.later(
            async move { Some(event(append.await.map(drop).map_err(|error| append_failure(&error)))) },
        );
    }

    fn load(&self, place: Place) {
        let Some(partition) = self.partitions.get(&place).cloned() else { return };
        let loads = Arc::clone(&self.loads);
        let buffer_bytes = self.config.transaction_state_log_load_buffer_size.max(0) as usize;
        self.later(async move {
            // The semaphore is never closed.
            let _permit = loads.acquire_owned().await.ok()?;
            let (replay, end) = read(&partition, place, buffer_bytes).await?;
            until_committed(&partition, place, end).await?;
            Some(Event::Loaded(place, replay.transactions.into_iter().collect()))
        });
    }
}

fn every(period_ms: i32) -> Interval {
    let period = Duration::from_millis(period_ms.max(1) as u64);
    let first = Instant::from_std(clock::deadline_after_ms(i64::from(period_ms.max(1))));
    let mut ticks = interval_at(first, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

async fn sleep(ms: i64) {
    tokio::time::sleep_until(Instant::from_std(clock::deadline_after_ms(ms))).await;
}

fn append_failure(error: &PartitionError) -> AppendFailure {
    match error {
        PartitionError::NotEnoughReplicas
        | PartitionError::NotEnoughReplicasAfterAppend
        | PartitionError::TimedOut => AppendFailure::Unavailable,
        PartitionError::NotLeader
        | PartitionError::FencedLeaderEpoch
        | PartitionError::UnknownLeaderEpoch
        | PartitionError::StorageFailed => AppendFailure::NotLeader,
        _ => AppendFailure::Refused,
    }
}

/// Reads the partition to its end; none if it is led no more.
async fn read(partition: &Arc<Partition>, place: Place, buffer_bytes: usize) -> Option<(Replay, Offset)> {
    loop {
        let work = {
            let partition = Arc::clone(partition);
            move || read_blocking(&partition, place, buffer_bytes)
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(found)) => {
                if let Some((replay, _)) = &found {
                    for what in &replay.unreadable {
                        error!(target: TARGET, "Error loading transactions from {}: {what}", partition.name);
                    }
                }
                return found;
            }
            Ok(Err(failed)) => {
                error!(target: TARGET, "Error loading transactions from {}: {failed}", partition.name);
            }
            Err(panicked) => {
                error!(target: TARGET, "Error loading transactions from {}: {panicked}", partition.name);
                return None;
            }
        }
        tokio::time::sleep(LOAD_RETRY).await;
    }
}

fn read_blocking(
    partition: &Partition,
    place: Place,
    buffer_bytes: usize,
) -> Result<Option<(Replay, Offset)>, PartitionError> {
    let mut replay = Replay::default();
    let mut offset = 0;
    info!(target: TARGET, "Loading transaction metadata from {} at epoch {}", partition.name, place.coordinator_epoch);
    while leads(partition, place).is_some() {
        let batches = partition.read_for_loading(offset, buffer_bytes)?;
        if batches.is_empty() {
            return Ok(Some((replay, offset)));
        }
        match replay.take(&batches, &Limits::default()) {
            Some(next) if next > offset => offset = next,
            _ => {
                warn!(target: TARGET, "What follows offset {offset} of {} cannot be read", partition.name);
                return Ok(Some((replay, offset)));
            }
        }
    }
    Ok(None)
}

/// The high watermark, if the partition is led under this epoch.
fn leads(partition: &Partition, place: Place) -> Option<Offset> {
    partition.with_state(|state| {
        let machine = &state.machine;
        let leads = machine.is_leader() && machine.leader_epoch() == place.coordinator_epoch;
        (leads && state.log.is_some()).then(|| machine.high_watermark().offset)
    })
}

/// Waits until everything below `end` is committed. A new leader's log may end with records that no other replica
/// has: an answer that follows from them would be lost with this broker. None if the partition is led no more.
async fn until_committed(partition: &Partition, place: Place, end: Offset) -> Option<()> {
    while leads(partition, place)? < end {
        tokio::time::sleep(COMMITTED_POLL).await;
    }
    Some(())
}
