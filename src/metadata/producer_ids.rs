//! Producer ids for idempotent producers (KIP-98), out of blocks of 1000 that a broker claims in ZooKeeper.
//!
//! The first block is claimed when the broker starts, the next when one is used up. An id is never given twice: a
//! block that was claimed and not used up is lost with the process.

use crate::common::{BrokerId, ProducerId};
use crate::zk::data::NodeError;
use crate::zk::{ZkClient, producer_ids};
use tokio::sync::Mutex;

/// Hands out ids.
pub struct ProducerIds {
    zk: ZkClient,
    broker_id: BrokerId,
    /// The next id and the last one of the block. An async lock: whoever finds the block used up claims the next
    /// one, the others wait for it.
    block: Mutex<(ProducerId, ProducerId)>,
}

impl ProducerIds {
    /// Claims the first block.
    pub async fn start(zk: ZkClient, broker_id: BrokerId) -> Result<ProducerIds, NodeError> {
        let block = producer_ids::claim(&zk, broker_id).await?;
        Ok(ProducerIds { zk, broker_id, block: Mutex::new((block.first, block.last)) })
    }

    /// An id that no producer has.
    pub async fn next(&self) -> Result<ProducerId, NodeError> {
        let mut block = self.block.lock().await;
        if block.0 > block.1 {
            let claimed = producer_ids::claim(&self.zk, self.broker_id).await?;
            *block = (claimed.first, claimed.last);
        }
        block.0 += 1;
        Ok(block.0 - 1)
    }
}
