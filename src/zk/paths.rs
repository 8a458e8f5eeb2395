//! Where Kafka keeps what (`kafka.zk.ZkData`). A sequential node is created under its `..._PREFIX` and gets ten
//! digits.

use crate::common::BrokerId;

/// The controller's seat: ephemeral, [`super::data::controller`].
pub const CONTROLLER: &str = "/controller";
/// Number of controller elections; its version is the fence of the controller's writes.
pub const CONTROLLER_EPOCH: &str = "/controller_epoch";
/// Live brokers.
pub const BROKER_IDS: &str = "/brokers/ids";
/// Topics.
pub const TOPICS: &str = "/brokers/topics";
/// Its version numbers the generated broker ids.
pub const BROKER_SEQUENCE_ID: &str = "/brokers/seqid";
/// The cluster's id.
pub const CLUSTER_ID: &str = "/cluster/id";
/// Configurations.
pub const CONFIG: &str = "/config";
/// Configuration changes, sequential.
pub const CONFIG_CHANGES: &str = "/config/changes";
/// Prefix of a configuration change's name.
pub const CONFIG_CHANGE_PREFIX: &str = "config_change_";
/// Changed in-sync replicas, sequential.
pub const ISR_CHANGES: &str = "/isr_change_notification";
/// Prefix of an ISR change's name.
pub const ISR_CHANGE_PREFIX: &str = "isr_change_";
/// Failed log directories, sequential.
pub const LOG_DIR_EVENTS: &str = "/log_dir_event_notification";
/// Prefix of a log directory event's name.
pub const LOG_DIR_EVENT_PREFIX: &str = "log_dir_event_";
/// Block of producer ids claimed last.
pub const PRODUCER_ID_BLOCK: &str = "/latest_producer_id_block";
/// Topics to be deleted, one child each.
pub const DELETE_TOPICS: &str = "/admin/delete_topics";
/// Reassignment asked for by an old tool.
pub const REASSIGN_PARTITIONS: &str = "/admin/reassign_partitions";
/// Preferred leader election asked for by an old tool.
pub const PREFERRED_REPLICA_ELECTION: &str = "/admin/preferred_replica_election";
/// Finalized features (KIP-584).
pub const FEATURE: &str = "/feature";
/// The old consumers' tree; committed offsets.
pub const CONSUMERS: &str = "/consumers";
/// Where committed offsets are kept: our own.
pub const OFFSETS_STORAGE: &str = "/ottla/offsets_storage";
/// Those of the live brokers that are ours, without data: our own.
pub const OWN_BROKERS: &str = "/ottla/brokers";
/// ACLs of exact resources, by type and name.
pub const ACL: &str = "/kafka-acl";
/// ACLs of other patterns, by pattern, type and name.
pub const EXTENDED_ACL: &str = "/kafka-acl-extended";
/// Changes of ACLs of exact resources, sequential.
pub const ACL_CHANGES: &str = "/kafka-acl-changes";
/// Changes of ACLs of other patterns, sequential.
pub const EXTENDED_ACL_CHANGES: &str = "/kafka-acl-extended-changes";
/// Prefix of an ACL change's name.
pub const ACL_CHANGE_PREFIX: &str = "acl_changes_";
/// Delegation tokens.
pub const DELEGATION_TOKENS: &str = "/delegation_token/tokens";
/// Changes of delegation tokens, sequential.
pub const DELEGATION_TOKEN_CHANGES: &str = "/delegation_token/token_changes";
/// Prefix of a delegation token change's name.
pub const DELEGATION_TOKEN_CHANGE_PREFIX: &str = "token_change_";

/// Types of entities that have configurations, as path elements.
pub const CONFIG_ENTITY_TYPES: [&str; 5] = ["topics", "clients", "users", "brokers", "ips"];
/// Name of an entity's default.
pub const DEFAULT_ENTITY: &str = "<default>";

/// A broker's registration.
pub fn broker(id: BrokerId) -> String {
    format!("{BROKER_IDS}/{id}")
}

/// A topic's assignment.
pub fn topic(topic: &str) -> String {
    format!("{TOPICS}/{topic}")
}

/// Parent of a topic's partitions, without data.
pub fn partitions(topic: &str) -> String {
    format!("{TOPICS}/{topic}/partitions")
}

/// Parent of a partition's state, without data.
pub fn partition(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}")
}

/// A partition's leader and in-sync replicas.
pub fn partition_state(topic: &str, partition: i32) -> String {
    format!("{TOPICS}/{topic}/partitions/{partition}/state")
}

/// Parent of the configurations of one type (`topics`).
pub fn config_entities(entity_type: &str) -> String {
    format!("{CONFIG}/{entity_type}")
}

/// Configuration of one entity; `name` may itself be a path (`alice/clients/c1`), and is sanitised by the caller.
pub fn config_entity(entity_type: &str, name: &str) -> String {
    format!("{CONFIG}/{entity_type}/{name}")
}

/// Configuration by the path that change notifications carry (`users/alice/clients/c1`).
pub fn config_by_entity_path(entity_path: &str) -> String {
    format!("{CONFIG}/{entity_path}")
}

/// Where to create a configuration change.
pub fn config_change() -> String {
    format!("{CONFIG_CHANGES}/{CONFIG_CHANGE_PREFIX}")
}

/// Where to create an ISR change.
pub fn isr_change() -> String {
    format!("{ISR_CHANGES}/{ISR_CHANGE_PREFIX}")
}

/// Where to create a log directory event.
pub fn log_dir_event() -> String {
    format!("{LOG_DIR_EVENTS}/{LOG_DIR_EVENT_PREFIX}")
}

/// Asks for a topic's deletion by its existence, without data.
pub fn delete_topic(topic: &str) -> String {
    format!("{DELETE_TOPICS}/{topic}")
}

/// Everything of a group. `group` is its name as a node: [`super::offsets::group_node`].
pub fn consumer_group(group: &str) -> String {
    format!("{CONSUMERS}/{group}")
}

/// Live old consumers of a group.
pub fn consumer_ids(group: &str) -> String {
    format!("{CONSUMERS}/{group}/ids")
}

/// An old consumer's registration.
pub fn consumer_id(group: &str, consumer: &str) -> String {
    format!("{CONSUMERS}/{group}/ids/{consumer}")
}

/// Parent of the owners of a topic's partitions among a group's old consumers.
pub fn consumer_owners(group: &str, topic: &str) -> String {
    format!("{CONSUMERS}/{group}/owners/{topic}")
}

/// Which old consumer of a group has a partition.
pub fn consumer_owner(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/owners/{topic}/{partition}")
}

/// A group's committed offset in the old consumers' place.
pub fn consumer_offset(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/offsets/{topic}/{partition}")
}

/// Parent of a group's committed offsets, by topic.
pub fn consumer_offsets(group: &str) -> String {
    format!("{CONSUMERS}/{group}/offsets")
}

/// What belongs to a committed offset besides its number: our own, where no old reader looks.
pub fn consumer_offset_details(group: &str, topic: &str, partition: i32) -> String {
    format!("{CONSUMERS}/{group}/offset_details/{topic}/{partition}")
}

/// Says that the offsets of the groups of a partition of `__consumer_offsets` have been moved.
pub fn offsets_moved(partition: i32) -> String {
    format!("{OFFSETS_STORAGE}/{partition}")
}

/// Our own mark of one of our brokers.
pub fn own_broker(id: BrokerId) -> String {
    format!("{OWN_BROKERS}/{id}")
}

/// The number of a sequential node by its name; `None` if the name is not `prefix` and digits.
pub fn sequence_number(name: &str, prefix: &str) -> Option<i64> {
    let digits = name.strip_prefix(prefix)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_numbers() {
        assert_eq!(sequence_number("config_change_0000000012", CONFIG_CHANGE_PREFIX), Some(12));
        assert_eq!(sequence_number("isr_change_2147483648", ISR_CHANGE_PREFIX), Some(2_147_483_648));
        for bad in ["config_change_", "config_change_x", "config_change_-1", "other_0000000001"] {
            assert_eq!(sequence_number(bad, CONFIG_CHANGE_PREFIX), None, "{bad}");
        }
    }

    #[test]
    fn paths() {
        assert_eq!(partition_state("t", 3), "/brokers/topics/t/partitions/3/state");
        assert_eq!(
            config_entity("users", "alice/clients/<default>"),
            "/config/users/alice/clients/<default>"
        );
        assert_eq!(config_change(), "/config/changes/config_change_");
        assert_eq!(consumer_offset("g", "t", 0), "/consumers/g/offsets/t/0");
    }
}
