//! Starting and stopping servers: what `kafka-run-class.sh`, `kafka-server-start.sh` and the stop scripts
//! do in Kafka, where they are shell.

mod java;
pub mod run_class;
pub mod stop;

pub use java::{zookeeper_shell, zookeeper_start};
