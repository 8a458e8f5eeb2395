//! The codec against frames that Apache Kafka 2.8.2 encoded (`tests/golden/wire/codec`): every API, version
//! and direction, both ways, byte for byte, and against Kafka's own JSON view of them; against malformed
//! frames; and against a second implementation.

mod frames;
mod fuzz;
mod golden;
mod malformed;
mod memory;
mod mutation;
mod oracle;
mod round_trip;
