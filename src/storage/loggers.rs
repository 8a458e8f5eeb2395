//! Names of the loggers whose lines these are in Apache Kafka: operators and log parsers know them.

pub(crate) const LOG: &str = "kafka.log.Log";
pub(crate) const LOG_SEGMENT: &str = "kafka.log.LogSegment";
pub(crate) const LOG_MANAGER: &str = "kafka.log.LogManager";
pub(crate) const LOG_CLEANER: &str = "kafka.log.LogCleaner";
pub(crate) const PRODUCER_STATE: &str = "kafka.log.ProducerStateManager";
pub(crate) const LOG_DIR_FAILURES: &str = "kafka.server.LogDirFailureChannel";
pub(crate) const BROKER_METADATA: &str = "kafka.server.BrokerMetadataCheckpoint";
