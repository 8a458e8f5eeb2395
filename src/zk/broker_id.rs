//! Generated broker ids (`broker.id=-1`): every write of `/brokers/seqid` raises its version.

use super::client::ZkClient;
use super::error::ZkError;
use super::paths;
use super::types::ANY_VERSION;
use crate::common::BrokerId;

/// An id that no other broker gets, above `reserved.broker.max.id`. One is skipped if the connection breaks just
/// then.
pub async fn generate(client: &ZkClient, reserved_max_id: BrokerId) -> Result<BrokerId, ZkError> {
    loop {
        match client.set(paths::BROKER_SEQUENCE_ID, "", ANY_VERSION).await {
            Ok(stat) => {
                let id = reserved_max_id.checked_add(stat.version);
                return id.ok_or_else(|| ZkError::Unexpected("no broker id is left".into()));
            }
            Err(error) if error.is_no_node() => client.ensure_path(paths::BROKER_SEQUENCE_ID).await?,
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    #[tokio::test]
    async fn ids_begin_above_the_reserved_ones() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        assert_eq!(generate(&client, 1000).await, Ok(1001));
        assert_eq!(generate(&client, 1000).await, Ok(1002));
        assert!(generate(&client, i32::MAX).await.is_err());
    }
}
