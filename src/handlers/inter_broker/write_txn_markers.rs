//! WriteTxnMarkers, versions 0-1 (KIP-98): appends the markers that end transactions.
//!
//! A marker is appended for each partition by itself, with the checks of the producer's and the coordinator's epoch, and
//! answered once all in-sync replicas have it. One in `__consumer_offsets` then decides the offsets of its transaction.

use crate::common::topic_name::GROUP_METADATA_TOPIC;
use crate::common::{ErrorCode, TopicPartition, clock};
use crate::config::IbpVersion;
use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::errors::partition_error_code;
use crate::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult,
    WritableTxnMarkerTopicResult, WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use crate::record::control::end_transaction_marker;
use crate::replication::coordination::CoordinatorAppend;
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Batches with producer ids need this format.
const MAGIC_MIN: i8 = 2;

type Codes = BTreeMap<(ByteString, i32), ErrorCode>;

/// Appends the markers.
pub async fn handle(
    broker: Arc<Broker>,
    _: Call,
    request: WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    apply(broker, request).await
}

/// The same without a connection, for the transaction coordinator on this broker.
pub async fn apply(broker: Arc<Broker>, request: WriteTxnMarkersRequest) -> WriteTxnMarkersResponse {
    let allowed = broker.config.inter_broker_protocol_version >= IbpVersion::V0_11_0_IV0;
    // All appends begin before the first is awaited: they are committed together.
    let begun: Vec<_> = request
        .markers
        .iter()
        .flat_map(|marker| names(marker).map(move |name| (marker, name)))
        .map(|(marker, name)| {
            let append = match allowed {
                true => begin(&broker, marker, &name),
                false => Err(ErrorCode::UnsupportedVersion),
            };
            (marker, name, append)
        })
        .collect();
    // By producer, in the order of the request.
    let mut codes: Vec<(i64, Codes)> = Vec::new();
    for (marker, name, append) in begun {
        let code = match append {
            Ok(append) => match append.await {
                Ok(_) => {
                    complete_offsets(&broker, marker, &name);
                    ErrorCode::None
                }
                Err(error) => partition_error_code(&error),
            },
            Err(code) => code,
        };
        let at = codes.iter().position(|(id, _)| *id == marker.producer_id).unwrap_or_else(|| {
            codes.push((marker.producer_id, Codes::new()));
            codes.len() - 1
        });
        codes[at].1.insert((name.topic, name.partition), code);
    }
    let markers = codes.into_iter().map(|(producer_id, codes)| result(producer_id, codes));
    WriteTxnMarkersResponse { markers: markers.collect(), ..Default::default() }
}

/// Offsets that were committed in the transaction become visible, or are forgotten.
fn complete_offsets(broker: &Broker, marker: &WritableTxnMarker, name: &TopicPartition) {
    if name.topic == GROUP_METADATA_TOPIC {
        broker.groups.complete_transaction(marker.producer_id, &[name.partition], marker.transaction_result);
    }
}

fn names(marker: &WritableTxnMarker) -> impl Iterator<Item = TopicPartition> {
    marker.topics.iter().flat_map(|topic| {
        topic.partition_indexes.iter().map(|partition| TopicPartition::new(topic.name.clone(), *partition))
    })
}

fn begin(
    broker: &Broker,
    marker: &WritableTxnMarker,
    name: &TopicPartition,
) -> Result<CoordinatorAppend, ErrorCode> {
    let partition =
        broker.replicas.find(&name.topic, name.partition).ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let (leader_epoch, magic) = partition.with_state(|state| {
        (state.machine.leader_epoch(), state.log.as_ref().map(|log| log.config().message_format_magic))
    });
    if magic.ok_or(ErrorCode::UnknownTopicOrPartition)? < MAGIC_MIN {
        return Err(ErrorCode::UnsupportedForMessageFormat);
    }
    let batch = end_transaction_marker(
        marker.producer_id,
        marker.producer_epoch,
        marker.transaction_result,
        marker.coordinator_epoch,
        clock::now_ms(),
    );
    let timeout_ms = i64::from(broker.config.request_timeout_ms);
    Ok(partition.append_as_coordinator(batch.bytes, leader_epoch, timeout_ms))
}

fn result(producer_id: i64, codes: Codes) -> WritableTxnMarkerResult {
    let mut topics: Vec<WritableTxnMarkerTopicResult> = Vec::new();
    for ((topic, partition_index), code) in codes {
        if topics.last().is_none_or(|last| last.name != topic) {
            topics.push(WritableTxnMarkerTopicResult { name: topic, ..Default::default() });
        }
        if let Some(last) = topics.last_mut() {
            last.partitions.push(WritableTxnMarkerPartitionResult {
                partition_index,
                error_code: code.code(),
                ..Default::default()
            });
        }
    }
    WritableTxnMarkerResult { producer_id, topics, ..Default::default() }
}
