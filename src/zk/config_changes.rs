//! Configurations of topics, brokers, users, clients and addresses: reading and writing them, and telling all brokers.
//! Kafka's `AdminZkClient` and `DynamicConfigManager`.

use super::client::ZkClient;
use super::data::config_change::{self, ConfigChange};
use super::data::{DataError, NodeError, config_entity};
use super::error::ZkError;
use super::notifications::{NotificationListener, notify};
use super::paths;
use super::types::{ANY_VERSION, CreateMode, Watch};
use std::collections::BTreeMap;

/// Keys and values.
pub type Config = BTreeMap<String, String>;

/// Follows the changes of configurations.
pub struct ConfigChanges {
    listener: NotificationListener,
}

impl Default for ConfigChanges {
    fn default() -> Self {
        ConfigChanges::new()
    }
}

impl ConfigChanges {
    /// Begins with all notifications that are there.
    pub fn new() -> ConfigChanges {
        let listener = NotificationListener::new(paths::CONFIG_CHANGES, paths::CONFIG_CHANGE_PREFIX);
        ConfigChanges { listener }
    }

    /// Which configurations to read again, each once, in the order of their last change; and a watch: when it fires,
    /// call again. Malformed notifications are logged and left out.
    pub async fn read_new(
        &mut self,
        client: &ZkClient,
        now_ms: i64,
    ) -> Result<(Vec<ConfigChange>, Watch), ZkError> {
        let (new, watch) = self.listener.read_new(client, now_ms).await?;
        let mut changes: Vec<ConfigChange> = Vec::new();
        for notification in new {
            match config_change::decode(&notification.data) {
                Ok(change) => {
                    changes.retain(|earlier| *earlier != change);
                    changes.push(change);
                }
                Err(error) => log::error!(
                    target: super::notifications::LOG,
                    "error processing change notification {} of {}: {error}",
                    notification.sequence,
                    paths::CONFIG_CHANGES
                ),
            }
        }
        Ok((changes, watch))
    }
}

/// The configuration of one entity (name sanitised); none at all if it has no node.
pub async fn fetch(client: &ZkClient, entity_type: &str, name: &str) -> Result<Config, NodeError> {
    match client.get(&paths::config_entity(entity_type, name)).await? {
        Some((data, _)) => Ok(config_entity::decode(&data)?),
        None => Ok(Config::new()),
    }
}

/// Configurations of all entities of a type, by sanitised name.
pub async fn fetch_all(
    client: &ZkClient,
    entity_type: &str,
) -> Result<Vec<(String, Result<Config, DataError>)>, ZkError> {
    let mut names = client.children(&paths::config_entities(entity_type)).await?;
    names.sort_unstable();
    fetch_named(client, entity_type, names).await
}

/// Configurations of clients of users, by `USER/clients/CLIENT`.
pub async fn fetch_all_user_clients(
    client: &ZkClient,
) -> Result<Vec<(String, Result<Config, DataError>)>, ZkError> {
    let mut users = client.children(&paths::config_entities("users")).await?;
    users.sort_unstable();
    let parents = users.iter().map(|user| paths::config_entity("users", &format!("{user}/clients")));
    let clients = client.children_many(parents.collect()).await?;
    let join = |(user, mut clients): (&String, Vec<String>)| {
        clients.sort_unstable();
        let names = clients.into_iter().map(|client| format!("{user}/clients/{client}"));
        names.collect::<Vec<_>>()
    };
    let names = users.iter().zip(clients).flat_map(join).collect();
    fetch_named(client, "users", names).await
}

async fn fetch_named(
    client: &ZkClient,
    entity_type: &str,
    names: Vec<String>,
) -> Result<Vec<(String, Result<Config, DataError>)>, ZkError> {
    let paths = names.iter().map(|name| paths::config_entity(entity_type, name)).collect();
    let found = client.get_many(paths).await?;
    let decode = |(name, found): (String, Option<(bytes::Bytes, _)>)| {
        let (data, _) = found?;
        Some((name, config_entity::decode(&data)))
    };
    Ok(names.into_iter().zip(found).filter_map(decode).collect())
}

/// Writes the whole configuration of one entity without telling anybody; `name` is sanitised and may be a path.
pub async fn write(client: &ZkClient, entity_type: &str, name: &str, config: &Config) -> Result<(), ZkError> {
    let path = paths::config_entity(entity_type, name);
    let data = config_entity::encode(config);
    loop {
        match client.set(&path, data.clone(), ANY_VERSION).await {
            Err(error) if error.is_no_node() => {}
            outcome => return outcome.map(|_| ()),
        }
        match client.create_with_parents(&path, data.clone(), CreateMode::Persistent).await {
            Err(error) if error.is_node_exists() => {}
            outcome => return outcome.map(|_| ()),
        }
    }
}

/// Writes the whole configuration of one entity and tells all brokers.
pub async fn change(
    client: &ZkClient,
    entity_type: &str,
    name: &str,
    config: &Config,
) -> Result<(), ZkError> {
    write(client, entity_type, name, config).await?;
    let data = config_change::encode(&format!("{entity_type}/{name}"));
    notify(client, &paths::config_change(), data).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zk::memory::MemoryZooKeeper;

    fn config(pairs: &[(&str, &str)]) -> Config {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[tokio::test]
    async fn a_change_is_written_told_and_read() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        crate::zk::skeleton::create(&client).await.unwrap();
        let mut changes = ConfigChanges::new();
        let (_, watch) = changes.read_new(&client, 0).await.unwrap();
        zookeeper.take_log();
        let quota = config(&[("consumer_byte_rate", "10")]);
        change(&client, "users", "bob/clients/<default>", &quota).await.unwrap();
        // As in the captures, but that parents are made before and not after a failed create of the child.
        assert_eq!(
            zookeeper.take_log(),
            [
                "create P /config/users/bob null",
                "create P /config/users/bob/clients null",
                r#"create P /config/users/bob/clients/<default> {"version":1,"config":{"consumer_byte_rate":"10"}}"#,
                r#"create PS /config/changes/config_change_0000000000 {"version":2,"entity_path":"users/bob/clients/<default>"}"#,
            ]
        );
        change(&client, "topics", "t", &config(&[("retention.ms", "1")])).await.unwrap();
        change(&client, "topics", "t", &config(&[])).await.unwrap();
        notify(&client, &paths::config_change(), "garbage".into()).await.unwrap();
        watch.changed().await;
        let (new, _) = changes.read_new(&client, 0).await.unwrap();
        let names: Vec<String> = new.iter().map(|c| format!("{}/{}", c.entity_type, c.entity_name)).collect();
        assert_eq!(names, ["users/bob/clients/<default>", "topics/t"]);
        assert_eq!(fetch(&client, "users", "bob/clients/<default>").await.unwrap(), quota);
        assert_eq!(fetch(&client, "topics", "t").await.unwrap(), Config::new());
        assert_eq!(fetch(&client, "topics", "other").await.unwrap(), Config::new());
    }

    #[tokio::test]
    async fn all_entities_are_found() {
        let zookeeper = MemoryZooKeeper::new();
        let client = zookeeper.connect();
        for name in ["bob/clients/c1", "alice", "bob/clients/<default>"] {
            write(&client, "users", name, &config(&[("a", name)])).await.unwrap();
        }
        client.create("/config/users/broken", "{", CreateMode::Persistent).await.unwrap();
        let users = fetch_all(&client, "users").await.unwrap();
        let names: Vec<_> = users.iter().map(|(name, config)| (name.as_str(), config.is_ok())).collect();
        assert_eq!(names, [("alice", true), ("bob", true), ("broken", false)]);
        let clients = fetch_all_user_clients(&client).await.unwrap();
        let names: Vec<_> = clients.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["bob/clients/<default>", "bob/clients/c1"]);
    }
}
