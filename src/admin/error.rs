//! Why an administrative call fails.

use crate::common::ErrorCode;
use crate::config::ConfigError;
use crate::zk::ZkError;
use crate::zk::data::DataError;
use crate::zk::replica_placement::PlacementError;
use std::fmt;

/// A code and a message as Kafka answers them. Internal errors have no message, as in Kafka: it could tell what the
/// client must not know; they are logged where they happen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdminError {
    /// The code of the answer.
    pub code: ErrorCode,
    /// Its message; `None` if the code says it all.
    pub message: Option<String>,
}

impl AdminError {
    /// An error with a message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> AdminError {
        AdminError { code, message: Some(message.into()).filter(|_| code != ErrorCode::UnknownServerError) }
    }

    /// INVALID_REQUEST.
    pub fn invalid_request(message: impl Into<String>) -> AdminError {
        AdminError::new(ErrorCode::InvalidRequest, message)
    }
}

impl From<ErrorCode> for AdminError {
    fn from(code: ErrorCode) -> AdminError {
        AdminError { code, message: None }
    }
}

impl From<ZkError> for AdminError {
    fn from(error: ZkError) -> AdminError {
        log::error!(target: "kafka.server.ZkAdminManager", "An administrative call failed in ZooKeeper: {error}");
        match error {
            ZkError::RequestTimeout => AdminError::new(ErrorCode::RequestTimedOut, error.to_string()),
            _ => ErrorCode::UnknownServerError.into(),
        }
    }
}

impl From<DataError> for AdminError {
    fn from(error: DataError) -> AdminError {
        log::error!(target: "kafka.server.ZkAdminManager", "An administrative call met a znode that it cannot read: {error}");
        ErrorCode::UnknownServerError.into()
    }
}

impl From<PlacementError> for AdminError {
    fn from(error: PlacementError) -> AdminError {
        if error.code == ErrorCode::UnknownServerError {
            log::error!(target: "kafka.server.ZkAdminManager", "{}", error.message);
        }
        AdminError::new(error.code, error.message)
    }
}

/// A setting of a new topic is refused.
impl From<ConfigError> for AdminError {
    fn from(error: ConfigError) -> AdminError {
        AdminError::new(ErrorCode::InvalidConfig, error.message)
    }
}

impl fmt::Display for AdminError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.message {
            Some(message) => f.write_str(message),
            None => f.write_str(self.code.message()),
        }
    }
}

impl std::error::Error for AdminError {}
