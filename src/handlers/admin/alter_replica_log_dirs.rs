//! AlterReplicaLogDirs, versions 0-2, on any broker, for its own replicas (KIP-113).
//!
//! The answer says that the copying begins; DescribeLogDirs shows how far it is. A replica that is not here yet is
//! REPLICA_NOT_AVAILABLE, but if it comes it is made in that directory. Where one replica stands twice, the last
//! directory counts, as in Kafka.

use crate::common::{ErrorCode, TopicPartition};
use crate::handlers::dispatch::Broker;
use crate::protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use crate::replication::replica_manager::MoveError;
use bytestring::ByteString;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Moves the replicas.
pub async fn handle(broker: Arc<Broker>, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let work = move || move_all(&broker, request);
    tokio::task::spawn_blocking(work).await.unwrap_or_default()
}

fn move_all(broker: &Broker, request: AlterReplicaLogDirsRequest) -> AlterReplicaLogDirsResponse {
    let mut wanted: BTreeMap<TopicPartition, ByteString> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics {
            // The name outlives the request's frame.
            let name = ByteString::from(&*topic.name);
            for partition in topic.partitions {
                wanted.insert(TopicPartition::new(name.clone(), partition), dir.path.clone());
            }
        }
    }
    let mut results: Vec<AlterReplicaLogDirTopicResult> = Vec::new();
    for (name, path) in wanted {
        let moved = broker.replicas.move_log(&name, Path::new(&*path));
        let code = moved.map_or_else(|error| error_code(broker, &name, error), |()| ErrorCode::None);
        if results.last().is_none_or(|topic| topic.topic_name != name.topic) {
            let topic_name = name.topic.clone();
            results.push(AlterReplicaLogDirTopicResult { topic_name, ..Default::default() });
        }
        let topic = results.last_mut().expect("pushed above");
        topic.partitions.push(AlterReplicaLogDirPartitionResult {
            partition_index: name.partition,
            error_code: code.code(),
            ..Default::default()
        });
    }
    AlterReplicaLogDirsResponse { results, ..Default::default() }
}

fn error_code(broker: &Broker, name: &TopicPartition, error: MoveError) -> ErrorCode {
    match error {
        MoveError::NameTooLong => ErrorCode::InvalidTopicException,
        MoveError::UnknownDirectory => ErrorCode::LogDirNotFound,
        MoveError::StorageFailed => ErrorCode::KafkaStorageError,
        MoveError::NotHosted => match broker.metadata.current().partition(&name.topic, name.partition) {
            Some(_) => ErrorCode::ReplicaNotAvailable,
            None => ErrorCode::UnknownTopicOrPartition,
        },
    }
}
