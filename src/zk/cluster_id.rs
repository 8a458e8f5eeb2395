//! `/cluster/id`: the first broker chooses it (KIP-78).

use super::client::ZkClient;
use super::data::{self, NodeError};
use super::paths;
use super::types::CreateMode;
use crate::common::Uuid;

/// The cluster's id, if it has one.
pub async fn get(client: &ZkClient) -> Result<Option<String>, NodeError> {
    match client.get(paths::CLUSTER_ID).await? {
        Some((data, _)) => Ok(Some(data::cluster_id::decode(&data)?)),
        None => Ok(None),
    }
}

/// The cluster's id, chosen now if it has none.
pub async fn get_or_create(client: &ZkClient) -> Result<String, NodeError> {
    loop {
        if let Some(id) = get(client).await? {
            return Ok(id);
        }
        let id = Uuid::random().to_string();
        let data = data::cluster_id::encode(&id);
        match client.create_with_parents(paths::CLUSTER_ID, data, CreateMode::Persistent).await {
            Ok(_) => return Ok(id),
            // Another broker was first.
            Err(error) if error.is_node_exists() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    #[tokio::test]
    async fn the_first_chooses() {
        let zookeeper = MemoryZooKeeper::new();
        let (a, b) = (zookeeper.connect(), zookeeper.connect());
        assert_eq!(get(&a).await.unwrap(), None);
        let id = get_or_create(&a).await.unwrap();
        assert_eq!(id.len(), 22);
        assert_eq!(get_or_create(&b).await.unwrap(), id);
        assert_eq!(
            zookeeper.take_log(),
            [
                "create P /cluster null".to_string(),
                format!(r#"create P /cluster/id {{"version":"1","id":"{id}"}}"#)
            ]
        );
    }

    #[tokio::test]
    async fn a_broken_id_is_an_error_not_a_new_cluster() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        client.create_with_parents(paths::CLUSTER_ID, "x", CreateMode::Persistent).await.unwrap();
        assert!(matches!(get_or_create(&client).await, Err(NodeError::Data(_))));
    }
}
