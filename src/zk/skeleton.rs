//! The persistent nodes that every broker makes at its start, where they are missing.

use super::client::ZkClient;
use super::error::ZkError;

/// In the order of Kafka 2.8.2 (`ZkData.PersistentZkPaths`), all without data.
///
/// `/latest_producer_id_block` is not here: Kafka makes it without data, which the client library cannot (it writes
/// empty data), and an Apache broker that finds it empty ends at its start. [`super::producer_ids::claim`] makes
/// it together with the first block.
pub const PERSISTENT_PATHS: [&str; 13] = [
    "/consumers",
    "/brokers/ids",
    "/brokers/topics",
    "/config/changes",
    "/admin/delete_topics",
    "/brokers/seqid",
    "/isr_change_notification",
    "/log_dir_event_notification",
    "/config/topics",
    "/config/clients",
    "/config/users",
    "/config/brokers",
    "/config/ips",
];

/// Makes what is missing.
pub async fn create(client: &ZkClient) -> Result<(), ZkError> {
    for path in PERSISTENT_PATHS {
        client.ensure_path(path).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    /// `create` lines of a capture of Kafka, up to the registration.
    fn golden(text: &str) -> Vec<String> {
        let lines = text.lines().take_while(|line| !line.contains("/cluster"));
        lines.filter_map(|line| line.find("create P").map(|at| line[at..].to_string())).collect()
    }

    #[tokio::test]
    async fn nodes_are_made_in_the_order_of_kafka() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        create(&client).await.unwrap();
        let text = include_str!("../../tests/golden/znodes/2.8.2/ops/01-first-broker-start.txt");
        let mut expected = golden(text);
        expected.retain(|line| !line.contains("/latest_producer_id_block"));
        assert_eq!(zookeeper.take_log(), expected);
        create(&client).await.unwrap();
        assert!(zookeeper.take_log().is_empty(), "the second broker finds everything there");
    }
}
