//! Starting and stopping servers: what `kafka-run-class.sh`, `kafka-server-start.sh` and the stop scripts
//! do in Kafka, where they are shell.

pub mod run_class;
pub mod stop;
