//! Lines carry Kafka's logger names, because operators filter by them: what logs under its module's path appears
//! under the name of the Kafka class that does the same.

/// Module and logger; the first that fits counts.
const NAMES: &[(&str, &str)] = &[
    ("ottla::storage::meta_properties", "kafka.server.BrokerMetadataCheckpoint"),
    ("ottla::storage::log_manager", "kafka.log.LogManager"),
    ("ottla::storage::log_dir", "kafka.log.LogManager"),
    ("ottla::storage::recovery", "kafka.log.LogSegment"),
    ("ottla::storage::producer", "kafka.log.ProducerStateManager"),
    ("ottla::storage", "kafka.log.Log"),
    ("ottla::zk::producer_ids", "kafka.coordinator.transaction.ProducerIdManager"),
    ("ottla::zk::notifications", "kafka.common.ZkNodeChangeNotificationListener"),
    ("ottla::zk::config_changes", "kafka.common.ZkNodeChangeNotificationListener"),
    ("ottla::zk::client", "kafka.zookeeper.ZooKeeperClient"),
    ("ottla::zk::remote", "kafka.zookeeper.ZooKeeperClient"),
    ("ottla::zk", "kafka.zk.KafkaZkClient"),
    ("ottla::admin", "kafka.zk.AdminZkClient"),
    ("ottla::network", "kafka.network.SocketServer"),
    ("ottla::controller", "kafka.controller.KafkaController"),
    ("ottla::replication", "kafka.server.ReplicaManager"),
    ("ottla::handlers", "kafka.server.KafkaApis"),
    ("ottla", "kafka.server.KafkaServer"),
];

/// The logger of a target: Kafka's names stay, modules of ours are translated.
pub fn logger_of(target: &str) -> &str {
    let found =
        target.starts_with("ottla").then(|| NAMES.iter().find(|(module, _)| target.starts_with(module)));
    found.flatten().map_or(target, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_module_names_the_logger() {
        assert_eq!(logger_of("ottla::storage::log_manager_start"), "kafka.log.LogManager");
        assert_eq!(logger_of("ottla::storage::loader"), "kafka.log.Log");
        assert_eq!(logger_of("kafka.server.KafkaServer"), "kafka.server.KafkaServer");
        for (at, (module, _)) in NAMES.iter().enumerate() {
            assert!(
                !NAMES[..at].iter().any(|(earlier, _)| module.starts_with(earlier)),
                "{module} is hidden"
            );
        }
    }
}
