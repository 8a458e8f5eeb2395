//! Bytes to a broker process, bytes back: what clients cannot be made to send, and answers compared with those of
//! Apache Kafka 2.8.2.

#[path = "../support/mod.rs"]
mod support;

mod malformed;
