//! AddPartitionsToTxn, AddOffsetsToTxn and EndTxn, versions 0-3 (KIP-98; KIP-588 from version 2 on).
//!
//! Before version 2 PRODUCER_FENCED is sent as INVALID_PRODUCER_EPOCH. All three need an inter-broker protocol of 0.11.

use crate::common::ErrorCode;
use crate::common::topic_name::{self, GROUP_METADATA_TOPIC};
use crate::config::IbpVersion;
use crate::coordinator::transaction::{PartitionSet, Producer};
use crate::handlers::dispatch::{Broker, Call};
use crate::metadata::ClusterSnapshot;
use crate::protocol::messages::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};
use crate::protocol::messages::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse,
    AddPartitionsToTxnTopicResult,
};
use crate::protocol::messages::end_txn::{EndTxnRequest, EndTxnResponse};
use bytestring::ByteString;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

/// From this version on PRODUCER_FENCED is understood.
const FENCED_VERSION_MIN: i16 = 2;

type Decided = Pin<Box<dyn Future<Output = ErrorCode> + Send>>;

/// The code for a client of `version`: those before `understood` know only the older of the two (KIP-588).
pub(super) fn fenced_code(code: ErrorCode, version: i16, understood: i16) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if version < understood => ErrorCode::InvalidProducerEpoch,
        code => code,
    }
}

/// Transactions need markers, and those the message format of 0.11.
fn check_protocol(broker: &Broker) -> Result<(), ErrorCode> {
    match broker.config.inter_broker_protocol_version >= IbpVersion::V0_11_0_IV0 {
        true => Ok(()),
        false => Err(ErrorCode::UnsupportedVersion),
    }
}

/// Adds partitions to a transaction; if one of them cannot be added, none is.
pub fn add_partitions(
    broker: Arc<Broker>,
    call: Call,
    request: AddPartitionsToTxnRequest,
) -> impl Future<Output = AddPartitionsToTxnResponse> + Send {
    let mut partitions = PartitionSet::default();
    for topic in &request.topics {
        topic.partitions.iter().for_each(|partition| partitions.insert(&topic.name, *partition));
    }
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let cluster = broker.metadata.current();
    let refused = partitions.iter().any(|(topic, partition)| refusal(&cluster, topic, partition).is_some());
    let code = match check_protocol(&broker) {
        Err(code) => Some(code),
        Ok(()) => refused.then_some(ErrorCode::OperationNotAttempted),
    };
    let decided = match code {
        Some(code) => Box::pin(ready(code)) as Decided,
        None => {
            let added =
                broker.transactions.add_partitions(request.transactional_id, producer, partitions.clone());
            Box::pin(async move { added.await.err().unwrap_or_default() })
        }
    };
    async move {
        let code = fenced_code(decided.await, call.version, FENCED_VERSION_MIN);
        results(&partitions, |topic, partition| match code {
            ErrorCode::OperationNotAttempted => refusal(&cluster, topic, partition).unwrap_or(code),
            code => code,
        })
    }
}

/// Why a partition cannot be part of a transaction.
fn refusal(cluster: &ClusterSnapshot, topic: &str, partition: i32) -> Option<ErrorCode> {
    if topic_name::is_internal(topic) {
        return Some(ErrorCode::TopicAuthorizationFailed);
    }
    cluster.partition(topic, partition).is_none().then_some(ErrorCode::UnknownTopicOrPartition)
}

fn results(
    partitions: &PartitionSet,
    code: impl Fn(&ByteString, i32) -> ErrorCode,
) -> AddPartitionsToTxnResponse {
    let results = partitions.topics().map(|(topic, partitions)| AddPartitionsToTxnTopicResult {
        name: topic.clone(),
        results: partitions
            .iter()
            .map(|partition| AddPartitionsToTxnPartitionResult {
                partition_index: *partition,
                error_code: code(topic, *partition).code(),
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    });
    AddPartitionsToTxnResponse { results: results.collect(), ..Default::default() }
}

/// Adds the partition of `__consumer_offsets` that holds a group.
pub fn add_offsets(
    broker: Arc<Broker>,
    call: Call,
    request: AddOffsetsToTxnRequest,
) -> impl Future<Output = AddOffsetsToTxnResponse> + Send {
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let decided = match check_protocol(&broker) {
        Err(code) => Box::pin(ready(code)) as Decided,
        Ok(()) => {
            let mut partitions = PartitionSet::default();
            partitions.insert(GROUP_METADATA_TOPIC, broker.groups.partition_of(&request.group_id));
            let added = broker.transactions.add_partitions(request.transactional_id, producer, partitions);
            Box::pin(async move { added.await.err().unwrap_or_default() })
        }
    };
    async move {
        let code = fenced_code(decided.await, call.version, FENCED_VERSION_MIN);
        AddOffsetsToTxnResponse { error_code: code.code(), ..Default::default() }
    }
}

/// Commits or aborts.
pub fn end(
    broker: Arc<Broker>,
    call: Call,
    request: EndTxnRequest,
) -> impl Future<Output = EndTxnResponse> + Send {
    let producer = Producer { id: request.producer_id, epoch: request.producer_epoch };
    let decided = match check_protocol(&broker) {
        Err(code) => Box::pin(ready(code)) as Decided,
        Ok(()) => {
            let (id, commit) = (request.transactional_id, request.committed);
            let ended = broker.transactions.end_transaction(id, producer, commit);
            Box::pin(async move { ended.await.err().unwrap_or_default() })
        }
    };
    async move {
        let code = fenced_code(decided.await, call.version, FENCED_VERSION_MIN);
        EndTxnResponse { error_code: code.code(), ..Default::default() }
    }
}
