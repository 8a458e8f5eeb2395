//! How tools come to ZooKeeper, and what they say when it fails.

use super::exception::Exception;
use crate::zk::{ZkClient, ZkConfig, ZkError};

/// Session and connection timeout of Kafka's tools.
const TIMEOUT_MS: i32 = 30_000;

/// Runs `act` with a client of `servers` and closes it; fails if there is no connection.
pub fn with_client<T>(servers: &str, act: impl AsyncFnOnce(ZkClient) -> T) -> Result<T, Exception> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Exception::new("java.io.IOException", error.to_string()))?;
    runtime.block_on(async {
        let config = ZkConfig {
            session_timeout_ms: TIMEOUT_MS,
            connection_timeout_ms: TIMEOUT_MS,
            ..ZkConfig::new(servers)
        };
        let zk = ZkClient::connect(config).await?;
        let done = act(zk.clone()).await;
        zk.close().await;
        Ok(done)
    })
}

impl From<ZkError> for Exception {
    fn from(error: ZkError) -> Exception {
        exception_of(&error)
    }
}

/// The Java exception of a ZooKeeper error.
pub fn exception_of(error: &ZkError) -> Exception {
    let class = match error {
        ZkError::ConnectionTimeout => "kafka.zookeeper.ZooKeeperClientTimeoutException",
        ZkError::AuthFailed => "kafka.zookeeper.ZooKeeperClientAuthFailedException",
        ZkError::SessionExpired => "kafka.zookeeper.ZooKeeperClientExpiredException",
        ZkError::NoNode { .. } => "org.apache.zookeeper.KeeperException$NoNodeException",
        ZkError::NoAuth { .. } => "org.apache.zookeeper.KeeperException$NoAuthException",
        ZkError::BadArgument(_) => "java.lang.IllegalArgumentException",
        _ => "org.apache.zookeeper.KeeperException",
    };
    Exception::new(class, error.to_string())
}
