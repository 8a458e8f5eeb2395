//! Takes markers to the leaders of their partitions.
//!
//! One queue per broker, one request under way to each; what waits meanwhile goes out together. Nothing is tried
//! again here: every marker comes back with an outcome for each of its partitions, and the machine decides.
//!
//! Source: Kafka 2.8.2, `TransactionMarkerChannelManager.scala`.

use super::event::{Marker, MarkerOutcome, Place};
use super::partition_set::PartitionSet;
use crate::common::{BrokerId, ErrorCode, ProducerId, TopicPartition};
use crate::metadata::{ClusterSnapshot, MetadataCache};
use crate::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use bytestring::ByteString;
use log::{debug, info, warn};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::mpsc;

const TARGET: &str = "kafka.coordinator.transaction.TransactionMarkerChannelManager";
/// Markers in one request.
const MARKERS_MAX: usize = 1000;

/// What [`MarkerTransport::write_markers`] gives.
pub type MarkerFuture = Pin<Box<dyn Future<Output = Result<WriteTxnMarkersResponse, String>> + Send>>;

/// How markers reach brokers. The server supplies it: a call for this broker, a connection for others.
pub trait MarkerTransport: Send + Sync + 'static {
    /// Sends the request once. The implementation bounds the wait by `request.timeout.ms`; after an error it must be
    /// sure that the request is not carried out later, as far as the protocol allows: it closes the connection.
    fn write_markers(&self, to: BrokerId, request: WriteTxnMarkersRequest) -> MarkerFuture;

    /// False only if the cluster has no such partition any more, by its final authority: a broker's metadata is not
    /// complete when it starts, and what is not in it need not be deleted.
    fn may_exist(&self, partition: TopicPartition) -> ExistenceFuture;
}

/// What [`MarkerTransport::may_exist`] gives.
pub type ExistenceFuture = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Told what became of markers.
pub type OnMarked = Box<dyn Fn(Place, ByteString, Vec<(TopicPartition, MarkerOutcome)>) + Send>;

enum Input {
    Send(Marker),
    Cancel(Place),
    Answered(BrokerId, Vec<Marker>, Result<WriteTxnMarkersResponse, String>),
    /// Partitions without a leader to ask.
    Decided(Place, ByteString, Vec<(TopicPartition, MarkerOutcome)>),
}

/// The sending end.
pub struct MarkerSender {
    inputs: mpsc::UnboundedSender<Input>,
}

impl MarkerSender {
    /// Starts the task; it ends when the sender is dropped.
    pub fn start(
        metadata: Arc<MetadataCache>,
        transport: Arc<dyn MarkerTransport>,
        on_marked: OnMarked,
    ) -> MarkerSender {
        let (inputs, queue) = mpsc::unbounded_channel();
        let worker =
            Worker { metadata, transport, on_marked, inputs: inputs.downgrade(), brokers: HashMap::new() };
        tokio::spawn(worker.run(queue));
        MarkerSender { inputs }
    }

    /// Sends markers to wherever their partitions are led now.
    pub fn send(&self, marker: Marker) {
        // The task ends only with this sender.
        let _ = self.inputs.send(Input::Send(marker));
    }

    /// Gives up what has not been sent for this partition of the transaction log.
    pub fn cancel(&self, place: Place) {
        let _ = self.inputs.send(Input::Cancel(place));
    }
}

#[derive(Default)]
struct BrokerQueue {
    waiting: Vec<Marker>,
    is_busy: bool,
}

struct Worker {
    metadata: Arc<MetadataCache>,
    transport: Arc<dyn MarkerTransport>,
    on_marked: OnMarked,
    inputs: mpsc::WeakUnboundedSender<Input>,
    brokers: HashMap<BrokerId, BrokerQueue>,
}

impl Worker {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Input>) {
        while let Some(input) = queue.recv().await {
            match input {
                Input::Send(marker) => self.distribute(marker),
                Input::Cancel(place) => {
                    for broker in self.brokers.values_mut() {
                        broker.waiting.retain(|marker| marker.place != place);
                    }
                }
                Input::Decided(place, id, outcomes) => (self.on_marked)(place, id, outcomes),
                Input::Answered(broker, sent, response) => {
                    self.answered(broker, &sent, response);
                    if let Some(queue) = self.brokers.get_mut(&broker) {
                        queue.is_busy = false;
                    }
                    self.flush(broker);
                }
            }
        }
    }

    fn distribute(&mut self, marker: Marker) {
        let (by_leader, leaderless, unknown) = destinations(&marker, &self.metadata.current());
        if !leaderless.is_empty() {
            let outcomes = leaderless.into_iter().map(|name| (name, MarkerOutcome::Retry)).collect();
            (self.on_marked)(marker.place, marker.transactional_id.clone(), outcomes);
        }
        if !unknown.is_empty() {
            self.look_for(&marker, unknown);
        }
        for (broker, partitions) in by_leader {
            let part = Marker { partitions, ..marker.clone() };
            self.brokers.entry(broker).or_default().waiting.push(part);
            self.flush(broker);
        }
    }

    /// Finds out whether partitions are deleted or only not in the metadata yet.
    fn look_for(&self, marker: &Marker, unknown: Vec<TopicPartition>) {
        let looks: Vec<_> =
            unknown.into_iter().map(|name| (name.clone(), self.transport.may_exist(name))).collect();
        let (place, id, inputs) = (marker.place, marker.transactional_id.clone(), self.inputs.clone());
        tokio::spawn(async move {
            let mut outcomes = Vec::with_capacity(looks.len());
            for (name, may_exist) in looks {
                let outcome = if may_exist.await {
                    MarkerOutcome::Retry
                } else {
                    info!(target: TARGET,
                        "Partition {name} of the transaction of {id} is not there any more: it gets no marker");
                    MarkerOutcome::Skipped
                };
                outcomes.push((name, outcome));
            }
            if let Some(inputs) = inputs.upgrade() {
                // A task that has ended wants no answer.
                let _ = inputs.send(Input::Decided(place, id, outcomes));
            }
        });
    }

    fn flush(&mut self, broker: BrokerId) {
        let Some(queue) = self.brokers.get_mut(&broker) else { return };
        if queue.is_busy || queue.waiting.is_empty() {
            return;
        }
        queue.is_busy = true;
        let sent: Vec<_> = queue.waiting.drain(..queue.waiting.len().min(MARKERS_MAX)).collect();
        let answer = self.transport.write_markers(broker, request(&sent));
        let inputs = self.inputs.clone();
        tokio::spawn(async move {
            let answer = answer.await;
            if let Some(inputs) = inputs.upgrade() {
                // A task that has ended wants no answer.
                let _ = inputs.send(Input::Answered(broker, sent, answer));
            }
        });
    }

    fn answered(&self, broker: BrokerId, sent: &[Marker], response: Result<WriteTxnMarkersResponse, String>) {
        let codes = match response {
            Ok(response) => codes(&response),
            Err(reason) => {
                warn!(target: TARGET, "No answer to {} transaction markers from broker {broker}: {reason}", sent.len());
                HashMap::new()
            }
        };
        for marker in sent {
            let outcomes = marker.partitions.iter().map(|(topic, partition)| {
                let name = TopicPartition::new(topic.clone(), partition);
                let key = (marker.producer.id, topic.clone(), partition);
                let outcome =
                    codes.get(&key).map_or(MarkerOutcome::Retry, |code| judge(marker, &name, *code));
                (name, outcome)
            });
            (self.on_marked)(marker.place, marker.transactional_id.clone(), outcomes.collect());
        }
    }
}

/// Partitions by leader; those that have none; those that the metadata does not have.
fn destinations(
    marker: &Marker,
    cluster: &ClusterSnapshot,
) -> (HashMap<BrokerId, PartitionSet>, Vec<TopicPartition>, Vec<TopicPartition>) {
    let mut by_leader: HashMap<BrokerId, PartitionSet> = HashMap::new();
    let (mut leaderless, mut unknown) = (Vec::new(), Vec::new());
    for (topic, partition) in marker.partitions.iter() {
        let name = || TopicPartition::new(topic.clone(), partition);
        match cluster.partition(topic, partition) {
            Some(found) if cluster.brokers.contains_key(&found.leader) => {
                by_leader.entry(found.leader).or_default().insert(topic, partition);
            }
            Some(_) => leaderless.push(name()),
            None => unknown.push(name()),
        }
    }
    (by_leader, leaderless, unknown)
}

fn request(markers: &[Marker]) -> WriteTxnMarkersRequest {
    let markers = markers.iter().map(|marker| WritableTxnMarker {
        producer_id: marker.producer.id,
        producer_epoch: marker.producer.epoch,
        transaction_result: marker.commit,
        topics: marker
            .partitions
            .topics()
            .map(|(topic, partitions)| WritableTxnMarkerTopic {
                name: topic.clone(),
                partition_indexes: partitions.iter().copied().collect(),
                ..Default::default()
            })
            .collect(),
        coordinator_epoch: marker.place.coordinator_epoch,
        ..Default::default()
    });
    WriteTxnMarkersRequest { markers: markers.collect(), ..Default::default() }
}

fn codes(response: &WriteTxnMarkersResponse) -> HashMap<(ProducerId, ByteString, i32), ErrorCode> {
    let mut codes = HashMap::new();
    for marker in &response.markers {
        for topic in &marker.topics {
            for partition in &topic.partitions {
                let key = (marker.producer_id, topic.name.clone(), partition.partition_index);
                codes.insert(key, ErrorCode::from_code(partition.error_code));
            }
        }
    }
    codes
}

fn judge(marker: &Marker, name: &TopicPartition, code: ErrorCode) -> MarkerOutcome {
    let id = &marker.transactional_id;
    match code {
        ErrorCode::None => MarkerOutcome::Written,
        // The producer could not write there either.
        ErrorCode::UnsupportedForMessageFormat | ErrorCode::UnsupportedVersion => {
            info!(target: TARGET, "The marker of {id} cannot be written to {name}: {}", code.name());
            MarkerOutcome::Skipped
        }
        // Somebody wrote under an epoch that was never given out. Kafka's coordinator never ends the transaction then.
        ErrorCode::InvalidProducerEpoch => {
            warn!(target: TARGET, "{name} refuses the marker of {id} (producer id {}, epoch {}): it knows a newer epoch",
                marker.producer.id, marker.producer.epoch);
            MarkerOutcome::Skipped
        }
        ErrorCode::TransactionCoordinatorFenced => {
            info!(target: TARGET, "{name} refuses the marker of {id}: coordinator epoch {} is not the newest",
                marker.place.coordinator_epoch);
            MarkerOutcome::Fenced
        }
        _ => {
            debug!(target: TARGET, "The marker of {id} for {name} failed with {}; it is sent again", code.name());
            MarkerOutcome::Retry
        }
    }
}

#[cfg(test)]
mod tests;
