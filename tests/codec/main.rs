//! The codec against frames that Apache Kafka 2.8.2 encoded (`tests/golden/wire/codec`): every API, version
//! and direction, both ways, byte for byte, and against Kafka's own JSON view of them.

mod golden;
mod round_trip;
