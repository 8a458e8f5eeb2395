//! Reading and writing the znodes of configurations and topics, in Kafka's order (`AdminZkClient`).

use super::AdminError;
use crate::config::Settings;
use crate::zk::data::{TopicAssignment, config_change, config_entity};
use crate::zk::{ANY_VERSION, CreateMode, ZkClient, ZkError, paths};
use bytes::Bytes;
use bytestring::ByteString;

/// The settings of an entity, none if its node does not exist, and the version of the node.
pub(super) async fn read_settings(
    zk: &ZkClient,
    entity_type: &str,
    name: &str,
) -> Result<(Settings, Option<i32>), AdminError> {
    match zk.get(&paths::config_entity(entity_type, name)).await? {
        Some((data, stat)) => Ok((config_entity::decode(&data)?, Some(stat.version))),
        None => Ok((Settings::new(), None)),
    }
}

/// The settings of many topics, in their order.
pub(super) async fn read_topic_settings(
    zk: &ZkClient,
    names: &[ByteString],
) -> Vec<Result<Settings, AdminError>> {
    let nodes = names.iter().map(|name| paths::config_entity("topics", name)).collect();
    let found = match zk.get_many(nodes).await {
        Ok(found) => found,
        Err(error) => {
            let error = AdminError::from(error);
            return names.iter().map(|_| Err(error.clone())).collect();
        }
    };
    let decode = |node: Option<(Bytes, _)>| match node {
        Some((data, _)) => Ok(config_entity::decode(&data)?),
        None => Ok(Settings::new()),
    };
    found.into_iter().map(decode).collect()
}

/// Replaces the settings of an entity.
pub(super) async fn write_settings(
    zk: &ZkClient,
    entity_type: &str,
    name: &str,
    settings: &Settings,
) -> Result<(), ZkError> {
    let path = paths::config_entity(entity_type, name);
    let data = config_entity::encode(settings);
    loop {
        match zk.set(&path, data.clone(), ANY_VERSION).await {
            Err(ZkError::NoNode { .. }) => {}
            other => return other.map(|_| ()),
        }
        match zk.create_with_parents(&path, data.clone(), CreateMode::Persistent).await {
            // Somebody else created it just now: write over it.
            Err(ZkError::NodeExists { .. }) => {}
            other => return other.map(|_| ()),
        }
    }
}

/// Replaces the settings of an entity if nobody has written them since they were read at `version` (`None`: there
/// was no node). False if somebody has.
pub(super) async fn replace_settings(
    zk: &ZkClient,
    entity_type: &str,
    name: &str,
    settings: &Settings,
    version: Option<i32>,
) -> Result<bool, ZkError> {
    let path = paths::config_entity(entity_type, name);
    let data = config_entity::encode(settings);
    let written = match version {
        Some(version) => zk.set(&path, data, version).await.map(|_| ()),
        None => zk.create_with_parents(&path, data, CreateMode::Persistent).await.map(|_| ()),
    };
    match written {
        Err(ZkError::BadVersion { .. } | ZkError::NodeExists { .. } | ZkError::NoNode { .. }) => Ok(false),
        other => other.map(|()| true),
    }
}

/// Tells all brokers to read a configuration again; `entity_path` as below `/config`.
pub(super) async fn notify_change(zk: &ZkClient, entity_path: &str) -> Result<(), ZkError> {
    let data = config_change::encode(entity_path);
    zk.create_with_parents(&paths::config_change(), data, CreateMode::PersistentSequential).await.map(|_| ())
}

/// A topic and the version of its node.
pub(super) async fn read_topic(
    zk: &ZkClient,
    name: &str,
) -> Result<Option<(TopicAssignment, i32)>, AdminError> {
    match zk.get(&paths::topic(name)).await? {
        Some((data, stat)) => Ok(Some((TopicAssignment::decode(&data)?, stat.version))),
        None => Ok(None),
    }
}
