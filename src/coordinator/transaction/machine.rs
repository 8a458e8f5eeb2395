//! The transaction coordinator as a pure machine: `step(now, event) -> effects`.
//!
//! Invariants:
//! - A request is answered exactly once, and never before the record that it asks for is committed.
//! - No marker is sent before the decision that it tells is committed, none of the other kind ever.
//! - Of one transactional id one record is on its way at a time, so the log has them in the order of the states.
//! - What belongs to one coordinator epoch never touches the state of another: a partition that is lost and led
//!   again is read again.
//! - A prepared transaction goes on to its end without anybody asking, after a restart too.
//!
//! Source: Kafka 2.8.2, `TransactionCoordinator.scala`, `TransactionStateManager.scala`,
//! `TransactionMarkerRequestCompletionHandler.scala`.

use super::event::{
    AddPartitions, AppendFailure, Effect, EndTransaction, Event, InitProducerId, Marker, MarkerOutcome,
    Place, Reply,
};
use super::messages;
use super::state::{Change, Initialization, Pending, Transaction, TransactionState};
use super::status::Status;
use crate::common::{ErrorCode, LeaderEpoch, TopicPartition};
use bytestring::ByteString;
use std::collections::{BTreeMap, HashMap};

/// Wait before markers or a last record are tried again.
const RETRY_MS: i64 = 50;
/// Bytes of transactional ids whose tombstones go into one batch.
const TOMBSTONES_BYTES_MAX: usize = 16 * 1024;

/// The machine's part of the configuration.
#[derive(Clone, Debug)]
pub struct MachineConfig {
    /// This broker, for messages.
    pub broker_id: i32,
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`.
    pub id_expiration_ms: i64,
}

/// A partition of the transaction log that this broker leads.
#[derive(Debug)]
struct Owned<R> {
    coordinator_epoch: LeaderEpoch,
    /// By transactional id; none until the partition is read.
    transactions: Option<Transactions<R>>,
}

type Transactions<R> = HashMap<ByteString, Transaction<R>>;

/// The coordinator of one broker.
#[derive(Debug)]
pub struct Machine<R> {
    config: MachineConfig,
    owned: BTreeMap<i32, Owned<R>>,
}

impl<R> Machine<R> {
    /// A coordinator of nothing.
    pub fn new(config: MachineConfig) -> Machine<R> {
        Machine { config, owned: BTreeMap::new() }
    }

    /// Takes one event; gives what is to be done, in order.
    pub fn step(&mut self, now_ms: i64, event: Event<R>) -> Vec<Effect<R>> {
        let mut out = Vec::new();
        match event {
            Event::Elected(place) => self.elected(place, &mut out),
            Event::Loaded(place, states) => self.loaded(place, states, now_ms, &mut out),
            Event::Resigned(partition, epoch) => self.resigned(partition, epoch, &mut out),
            Event::InitProducerId(request) => self.init_producer_id(request, now_ms, &mut out),
            Event::ProducerId(request, id) => match id {
                Ok(id) => {
                    let request = InitProducerId { fresh_id: Some(id), ..request };
                    self.init_producer_id(request, now_ms, &mut out);
                }
                Err(code) => out.push(Effect::Answer(request.reply, Err(code))),
            },
            Event::AddPartitions(request) => self.add_partitions(request, now_ms, &mut out),
            Event::EndTransaction(request) => self.end_transaction(request, now_ms, &mut out),
            Event::Appended(place, id, result) => self.appended(place, id, result, now_ms, &mut out),
            Event::TombstonesAppended(place, ids, result) => self.tombstones_appended(place, &ids, result),
            Event::Marked(place, id, outcomes) => self.marked(place, &id, &outcomes, now_ms, &mut out),
            Event::MarkersDue(marker) => self.markers_due(marker, &mut out),
            Event::AbortTimedOut => self.abort_timed_out(now_ms, &mut out),
            Event::RemoveExpired => self.remove_expired(now_ms, &mut out),
        }
        out
    }

    /// A transactional id of a partition that is led here.
    pub fn transaction(&self, partition: i32, transactional_id: &str) -> Option<&Transaction<R>> {
        self.owned.get(&partition)?.transactions.as_ref()?.get(transactional_id)
    }

    fn elected(&mut self, place: Place, out: &mut Vec<Effect<R>>) {
        let known = self.owned.get(&place.partition);
        if known.is_some_and(|owned| owned.coordinator_epoch >= place.coordinator_epoch) {
            return;
        }
        messages::elected(&self.config, place);
        self.unload(place.partition, out);
        let owned = Owned { coordinator_epoch: place.coordinator_epoch, transactions: None };
        self.owned.insert(place.partition, owned);
        out.push(Effect::Load(place));
    }

    fn resigned(&mut self, partition: i32, epoch: Option<LeaderEpoch>, out: &mut Vec<Effect<R>>) {
        let Some(owned) = self.owned.get(&partition) else { return };
        if epoch.is_some_and(|epoch| epoch < owned.coordinator_epoch) {
            return;
        }
        messages::resigned(&self.config, partition, epoch);
        self.unload(partition, out);
    }

    /// Forgets a partition; whoever waits for something there has to look for the new coordinator.
    fn unload(&mut self, partition: i32, out: &mut Vec<Effect<R>>) {
        let Some(owned) = self.owned.remove(&partition) else { return };
        for transaction in owned.transactions.into_iter().flat_map(HashMap::into_values) {
            if let Some(Pending::Record(_, Some(reply))) = transaction.pending {
                out.push(reply.answer(Err(ErrorCode::NotCoordinator)));
            }
        }
        let place = Place { partition, coordinator_epoch: owned.coordinator_epoch };
        out.push(Effect::Unload(place));
    }

    fn loaded(
        &mut self,
        place: Place,
        states: Vec<(ByteString, TransactionState)>,
        now_ms: i64,
        out: &mut Vec<Effect<R>>,
    ) {
        let Some(owned) = self.owned.get_mut(&place.partition) else { return };
        if owned.coordinator_epoch != place.coordinator_epoch || owned.transactions.is_some() {
            return;
        }
        let loaded = states.into_iter().map(|(id, state)| (id, Transaction::loaded(state)));
        let transactions = owned.transactions.insert(loaded.collect());
        messages::loaded(&self.config, place, transactions.len());
        for (id, transaction) in transactions.iter_mut() {
            if transaction.state.status.is_prepared() {
                send_markers(place, id, transaction, now_ms, out);
            }
        }
    }

    /// The partition's transactions, if this broker is their coordinator and has read them.
    fn transactions(&mut self, partition: i32) -> Result<(Place, &mut Transactions<R>), ErrorCode> {
        let owned = self.owned.get_mut(&partition).ok_or(ErrorCode::NotCoordinator)?;
        let place = Place { partition, coordinator_epoch: owned.coordinator_epoch };
        let transactions = owned.transactions.as_mut().ok_or(ErrorCode::CoordinatorLoadInProgress)?;
        Ok((place, transactions))
    }

    /// The partition's transactions under this very epoch.
    fn transactions_of(&mut self, place: Place) -> Option<&mut Transactions<R>> {
        let (current, transactions) = self.transactions(place.partition).ok()?;
        (current == place).then_some(transactions)
    }

    fn init_producer_id(&mut self, request: InitProducerId<R>, now_ms: i64, out: &mut Vec<Effect<R>>) {
        match self.try_init_producer_id(&request, now_ms) {
            Err(code) => out.push(Effect::Answer(request.reply, Err(code))),
            Ok((_, Initialization::NeedsProducerId)) => out.push(Effect::NewProducerId(request)),
            Ok((place, Initialization::Change(change))) => {
                let reply = Some(Reply::Producer(request.reply));
                self.begin(place, &request.transactional_id, change, reply, out);
            }
            Ok((place, Initialization::Fence)) => {
                let Some(change) = self.fence(place, &request.transactional_id, now_ms) else { return };
                let reply = Some(Reply::ComeAgain(request.reply));
                self.begin(place, &request.transactional_id, change, reply, out);
            }
        }
    }

    fn try_init_producer_id(
        &mut self,
        request: &InitProducerId<R>,
        now_ms: i64,
    ) -> Result<(Place, Initialization), ErrorCode> {
        if request.transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        if !(1..=self.config.max_timeout_ms).contains(&request.timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let (place, transactions) = self.transactions(request.partition)?;
        let transaction = match (transactions.get(&request.transactional_id), request.fresh_id) {
            (Some(known), _) => known,
            (None, None) => return Ok((place, Initialization::NeedsProducerId)),
            (None, Some(fresh_id)) => {
                // A copy: the request's name keeps its whole frame in memory.
                let id = ByteString::from(&*request.transactional_id);
                let new = Transaction::new(fresh_id, request.timeout_ms, now_ms);
                transactions.entry(id).or_insert(new)
            }
        };
        let (expected, fresh_id) = (request.expected, request.fresh_id);
        Ok((place, transaction.initialize(expected, fresh_id, request.timeout_ms, now_ms)?))
    }

    fn fence(&mut self, place: Place, transactional_id: &ByteString, now_ms: i64) -> Option<Change> {
        let transaction = self.transactions_of(place)?.get_mut(transactional_id)?;
        Some(transaction.fence_and_abort(now_ms))
    }

    fn add_partitions(&mut self, request: AddPartitions<R>, now_ms: i64, out: &mut Vec<Effect<R>>) {
        let found = self.find(request.partition, &request.transactional_id);
        let change = found.and_then(|(place, transaction)| {
            let change = transaction.add_partitions(request.producer, &request.partitions, now_ms)?;
            Ok((place, change))
        });
        match change {
            Err(code) => out.push(Effect::Answer(request.reply, Err(code))),
            Ok((place, change)) => {
                let reply = Some(Reply::Producer(request.reply));
                self.begin(place, &request.transactional_id, change, reply, out);
            }
        }
    }

    fn end_transaction(&mut self, request: EndTransaction<R>, now_ms: i64, out: &mut Vec<Effect<R>>) {
        let found = self.find(request.partition, &request.transactional_id);
        let change = found.and_then(|(place, transaction)| {
            Ok((place, transaction.end(request.producer, request.commit, now_ms)?))
        });
        match change {
            Err(code) => out.push(Effect::Answer(request.reply, Err(code))),
            Ok((_, None)) => out.push(Effect::Answer(request.reply, Ok(request.producer))),
            Ok((place, Some(change))) => {
                let reply = Some(Reply::Producer(request.reply));
                self.begin(place, &request.transactional_id, change, reply, out);
            }
        }
    }

    fn find(
        &mut self,
        partition: i32,
        transactional_id: &ByteString,
    ) -> Result<(Place, &mut Transaction<R>), ErrorCode> {
        if transactional_id.is_empty() {
            return Err(ErrorCode::InvalidRequest);
        }
        let (place, transactions) = self.transactions(partition)?;
        let transaction = transactions.get_mut(transactional_id);
        Ok((place, transaction.ok_or(ErrorCode::InvalidProducerIdMapping)?))
    }

    /// Has the record of a change appended.
    fn begin(
        &mut self,
        place: Place,
        transactional_id: &ByteString,
        change: Change,
        reply: Option<Reply<R>>,
        out: &mut Vec<Effect<R>>,
    ) {
        let transaction = self.transactions_of(place).and_then(|all| all.get_mut(transactional_id));
        // The caller has just had it in hand.
        let Some(transaction) = transaction else { return };
        append(place, transactional_id, transaction, change, reply, out);
    }

    fn appended(
        &mut self,
        place: Place,
        id: ByteString,
        result: Result<(), AppendFailure>,
        now_ms: i64,
        out: &mut Vec<Effect<R>>,
    ) {
        // Under another epoch whoever waited has his answer, and the load finds the record or not.
        let Some(transactions) = self.transactions_of(place) else { return };
        let Some(transaction) = transactions.get_mut(&id) else { return };
        let (change, reply) = match transaction.pending.take() {
            Some(Pending::Record(change, reply)) => (*change, reply),
            other => {
                transaction.pending = other;
                return;
            }
        };
        match result {
            Ok(()) => {
                let producer =
                    Ok(super::Producer { id: change.state.producer_id, epoch: change.state.producer_epoch });
                transaction.apply(change);
                out.extend(reply.map(|reply| reply.answer(producer)));
                if transaction.state.status.is_prepared() {
                    send_markers(place, &id, transaction, now_ms, out);
                }
            }
            Err(failure) => {
                messages::not_appended(&id, &change.state, failure);
                let is_new = transaction.is_new();
                not_appended(place, &id, transaction, (change, reply), failure, out);
                if is_new {
                    transactions.remove(&id);
                }
            }
        }
    }

    fn marked(
        &mut self,
        place: Place,
        id: &ByteString,
        outcomes: &[(TopicPartition, MarkerOutcome)],
        now_ms: i64,
        out: &mut Vec<Effect<R>>,
    ) {
        let Some(transaction) = self.transactions_of(place).and_then(|all| all.get_mut(id)) else { return };
        if !matches!(transaction.pending, Some(Pending::Markers)) {
            return;
        }
        let mut again = Vec::new();
        for (name, outcome) in outcomes {
            match outcome {
                MarkerOutcome::Written | MarkerOutcome::Skipped => {
                    transaction.state.partitions.remove(&name.topic, name.partition);
                }
                MarkerOutcome::Retry => again.push(name.clone()),
                // The new coordinator will do it; that this one is replaced comes to its ears soon.
                MarkerOutcome::Fenced => {}
            }
        }
        if !again.is_empty() {
            let marker = marker(place, id, transaction, again.into_iter().collect());
            out.push(Effect::SendMarkers(marker, RETRY_MS));
        }
        if transaction.state.partitions.is_empty() {
            transaction.pending = None;
            let change = transaction.complete(now_ms);
            append(place, id, transaction, change, None, out);
        }
    }

    /// Sends markers again, unless the partition went to another coordinator meanwhile.
    fn markers_due(&mut self, marker: Marker, out: &mut Vec<Effect<R>>) {
        if self.transactions_of(marker.place).is_some() {
            out.push(Effect::SendMarkers(marker, 0));
        }
    }

    fn abort_timed_out(&mut self, now_ms: i64, out: &mut Vec<Effect<R>>) {
        for (place, transactions) in self.all() {
            for (id, transaction) in transactions {
                if transaction.is_timed_out(now_ms) {
                    messages::timed_out(id, &transaction.state);
                    let change = transaction.fence_and_abort(now_ms);
                    append(place, id, transaction, change, None, out);
                }
            }
        }
    }

    fn remove_expired(&mut self, now_ms: i64, out: &mut Vec<Effect<R>>) {
        let expiration_ms = self.config.id_expiration_ms;
        for (place, transactions) in self.all() {
            let (mut batch, mut size) = (Vec::new(), 0);
            for (id, transaction) in transactions {
                if !transaction.is_expired(now_ms, expiration_ms) {
                    continue;
                }
                transaction.pending = Some(Pending::Tombstone);
                if size + id.len() > TOMBSTONES_BYTES_MAX && !batch.is_empty() {
                    out.push(Effect::AppendTombstones(place, std::mem::take(&mut batch)));
                    size = 0;
                }
                size += id.len();
                batch.push(id.clone());
            }
            if !batch.is_empty() {
                out.push(Effect::AppendTombstones(place, batch));
            }
        }
    }

    fn tombstones_appended(&mut self, place: Place, ids: &[ByteString], result: Result<(), AppendFailure>) {
        let Some(transactions) = self.transactions_of(place) else { return };
        for id in ids {
            let Some(transaction) = transactions.get_mut(id) else { continue };
            if !matches!(transaction.pending, Some(Pending::Tombstone)) {
                continue;
            }
            match result {
                Ok(()) => {
                    transactions.remove(id);
                }
                Err(_) => transaction.pending = None,
            }
        }
    }

    fn all(&mut self) -> impl Iterator<Item = (Place, &mut Transactions<R>)> {
        self.owned.iter_mut().filter_map(|(partition, owned)| {
            let place = Place { partition: *partition, coordinator_epoch: owned.coordinator_epoch };
            owned.transactions.as_mut().map(|transactions| (place, transactions))
        })
    }
}

fn append<R>(
    place: Place,
    transactional_id: &ByteString,
    transaction: &mut Transaction<R>,
    change: Change,
    reply: Option<Reply<R>>,
    out: &mut Vec<Effect<R>>,
) {
    assert!(transaction.pending.is_none(), "one change at a time");
    out.push(Effect::Append {
        place,
        transactional_id: ByteString::from(&**transactional_id),
        state: Box::new(change.state.clone()),
        after_ms: 0,
    });
    transaction.pending = Some(Pending::Record(Box::new(change), reply));
}

/// The record was not committed, as far as is known.
fn not_appended<R>(
    place: Place,
    id: &ByteString,
    transaction: &mut Transaction<R>,
    (change, reply): (Change, Option<Reply<R>>),
    failure: AppendFailure,
    out: &mut Vec<Effect<R>>,
) {
    if matches!(change.state.status, Status::CompleteCommit | Status::CompleteAbort) {
        // Nobody asks for this record again. Without leadership the next coordinator writes it.
        if failure != AppendFailure::NotLeader {
            let (transactional_id, state) = (id.clone(), Box::new(change.state.clone()));
            out.push(Effect::Append { place, transactional_id, state, after_ms: RETRY_MS });
        }
        transaction.pending = Some(Pending::Record(Box::new(change), reply));
        return;
    }
    let is_fence = change.state.status == Status::PrepareAbort
        && !matches!(reply, Some(Reply::Producer(_)))
        && change.state.producer_epoch == transaction.state.producer_epoch;
    transaction.failed_epoch_fence |= is_fence;
    out.extend(reply.map(|reply| reply.answer(Err(failure.code()))));
}

fn marker<R>(
    place: Place,
    id: &ByteString,
    transaction: &Transaction<R>,
    partitions: super::PartitionSet,
) -> Marker {
    Marker {
        place,
        transactional_id: id.clone(),
        producer: transaction.producer(),
        commit: transaction.state.status == Status::PrepareCommit,
        partitions,
    }
}

/// Has the markers of a decided transaction written, or, without partitions, its last record.
fn send_markers<R>(
    place: Place,
    id: &ByteString,
    transaction: &mut Transaction<R>,
    now_ms: i64,
    out: &mut Vec<Effect<R>>,
) {
    if transaction.state.partitions.is_empty() {
        let change = transaction.complete(now_ms);
        append(place, id, transaction, change, None, out);
        return;
    }
    let marker = marker(place, id, transaction, transaction.state.partitions.clone());
    transaction.pending = Some(Pending::Markers);
    out.push(Effect::SendMarkers(marker, 0));
}
