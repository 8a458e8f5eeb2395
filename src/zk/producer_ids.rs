//! Blocks of producer ids, claimed one after the other by conditional writes. Kafka's `ProducerIdManager`.

use super::client::ZkClient;
use super::data::{NodeError, ProducerIdBlock};
use super::error::ZkError;
use super::paths;
use super::types::CreateMode;
use crate::common::{BrokerId, ProducerId};

/// Ids in a block.
pub const BLOCK_SIZE: ProducerId = 1000;

/// Claims the next block. Kafka does so at every broker start; ids that are not used are lost.
pub async fn claim(client: &ZkClient, broker_id: BrokerId) -> Result<ProducerIdBlock, NodeError> {
    loop {
        let found = client.get(paths::PRODUCER_ID_BLOCK).await?;
        let current = match &found {
            // No data yet: Kafka makes the node empty.
            Some((data, _)) if !data.is_empty() => Some(ProducerIdBlock::decode(data)?),
            _ => None,
        };
        let Some(next) = next_block(current, broker_id) else {
            return Err(ZkError::Unexpected("Have exhausted all producerIds.".into()).into());
        };
        let claimed = match found {
            Some((_, stat)) => client
                .set(paths::PRODUCER_ID_BLOCK, next.encode(), stat.version)
                .await
                .map(|stat| stat.version),
            None => {
                let mode = CreateMode::Persistent;
                client
                    .create(paths::PRODUCER_ID_BLOCK, next.encode(), mode)
                    .await
                    .map(|made| made.stat.version)
            }
        };
        match claimed {
            Ok(version) => {
                log::info!(
                    target: "kafka.coordinator.transaction.ProducerIdManager",
                    "[ProducerId Manager {broker_id}]: Acquired new producerId block (brokerId:{broker_id},\
                     blockStartProducerId:{},blockEndProducerId:{}) by writing to Zk with path version {version}",
                    next.first, next.last
                );
                return Ok(next);
            }
            // Another broker was faster.
            Err(error) if error.is_bad_version() || error.is_node_exists() || error.is_no_node() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The block after `current`; `None` when the ids are used up.
fn next_block(current: Option<ProducerIdBlock>, broker_id: BrokerId) -> Option<ProducerIdBlock> {
    let first = match current {
        Some(current) => current.last.checked_add(1)?,
        None => 0,
    };
    Some(ProducerIdBlock { broker_id, first, last: first.checked_add(BLOCK_SIZE - 1)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    #[test]
    fn blocks_follow_each_other_to_the_end() {
        let block = |first, last| Some(ProducerIdBlock { broker_id: 1, first, last });
        assert_eq!(next_block(None, 1), block(0, 999));
        assert_eq!(next_block(block(0, 999), 1), block(1000, 1999));
        assert_eq!(next_block(block(0, i64::MAX - 1000), 1), block(i64::MAX - 999, i64::MAX));
        assert_eq!(next_block(block(0, i64::MAX - 999), 1), None);
        assert_eq!(next_block(block(0, i64::MAX), 1), None);
    }

    #[tokio::test]
    async fn brokers_never_share_a_block() {
        let zookeeper = MemoryZooKeeper::new();
        let (a, b) = (zookeeper.connect(), zookeeper.connect());
        assert_eq!(claim(&a, 1).await.unwrap().first, 0);
        // Written, but the answer is lost: still ours, and written once.
        zookeeper.lose_replies(b.session_id(), 2);
        assert_eq!(claim(&b, 2).await.unwrap().first, 1000);
        let (mut blocks, mut tasks) = (Vec::new(), Vec::new());
        for (client, broker_id) in [(a, 1), (b, 2)] {
            tasks.push(tokio::spawn(async move {
                let mut blocks = Vec::new();
                for _ in 0..20 {
                    blocks.push(claim(&client, broker_id).await.unwrap().first);
                    tokio::task::yield_now().await;
                }
                blocks
            }));
        }
        for task in tasks {
            blocks.append(&mut task.await.unwrap());
        }
        blocks.sort_unstable();
        assert_eq!(blocks, (2..42).map(|n| n * 1000).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn the_empty_node_of_an_apache_broker_is_taken() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        client.create(paths::PRODUCER_ID_BLOCK, "", CreateMode::Persistent).await.unwrap();
        assert_eq!(claim(&client, 1).await.unwrap().last, 999);
    }
}
