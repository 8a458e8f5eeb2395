//! Why a broker did not start, in Kafka's words.

use crate::common::BrokerId;
use crate::config::ConfigError;
use crate::storage::{StartError, StorageError};
use crate::zk::{NodeError, ZkError};
use std::fmt;

/// Class name and message of the exception that Kafka throws.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StartupError {
    /// Name of the exception's class.
    pub exception: String,
    /// Its message.
    pub message: String,
    /// True where Kafka halts: the message is the last word, a line of `kafka.log.LogManager`.
    pub halts: bool,
    /// Who failed, once that is known: the configured id may not be the right one.
    pub broker_id: Option<BrokerId>,
}

impl StartupError {
    /// An error of a class.
    pub fn new(exception: &str, message: impl Into<String>) -> StartupError {
        StartupError { exception: exception.into(), message: message.into(), halts: false, broker_id: None }
    }

    /// The same error, of a broker whose id is known.
    pub fn of_broker(self, id: BrokerId) -> StartupError {
        StartupError { broker_id: Some(id), ..self }
    }

    /// A `KafkaException`.
    pub fn kafka(message: impl fmt::Display) -> StartupError {
        StartupError::new("org.apache.kafka.common.KafkaException", message.to_string())
    }
}

impl fmt::Display for StartupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.exception, self.message)
    }
}

impl std::error::Error for StartupError {}

impl From<StartError> for StartupError {
    fn from(error: StartError) -> StartupError {
        StartupError { halts: error.halts, ..StartupError::new(error.exception, error.message) }
    }
}

impl From<std::io::Error> for StartupError {
    fn from(error: std::io::Error) -> StartupError {
        StartupError::new("java.io.IOException", error.to_string())
    }
}

impl From<ZkError> for StartupError {
    fn from(error: ZkError) -> StartupError {
        let exception = match error.cause() {
            ZkError::ConnectionTimeout => "kafka.zookeeper.ZooKeeperClientTimeoutException",
            ZkError::NodeExists { .. } => "org.apache.zookeeper.KeeperException$NodeExistsException",
            ZkError::NoNode { .. } => "org.apache.zookeeper.KeeperException$NoNodeException",
            ZkError::NoAuth { .. } => "org.apache.zookeeper.KeeperException$NoAuthException",
            ZkError::AuthFailed => "org.apache.zookeeper.KeeperException$AuthFailedException",
            ZkError::SessionExpired => "org.apache.zookeeper.KeeperException$SessionExpiredException",
            ZkError::BadArgument(_) => "java.lang.IllegalArgumentException",
            _ => "org.apache.zookeeper.KeeperException",
        };
        StartupError::new(exception, error.to_string())
    }
}

impl From<ConfigError> for StartupError {
    fn from(error: ConfigError) -> StartupError {
        StartupError::new(error.exception.class_name(), error.message)
    }
}

impl From<NodeError> for StartupError {
    fn from(error: NodeError) -> StartupError {
        match error {
            NodeError::Zk(error) => error.into(),
            NodeError::Data(error) => StartupError::kafka(error),
        }
    }
}

impl From<StorageError> for StartupError {
    fn from(error: StorageError) -> StartupError {
        StartupError::new("org.apache.kafka.common.errors.KafkaStorageException", error.to_string())
    }
}
