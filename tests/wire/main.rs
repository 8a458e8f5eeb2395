//! Bytes to a broker process, bytes back: what clients cannot be made to send, and answers compared with those of
//! Apache Kafka 2.8.2 (`golden.rs` says how).

#[path = "../support/mod.rs"]
mod support;

mod golden;
mod records;
mod script;
mod target;

mod api_versions;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_log_dirs;
mod epochs;
mod fetch;
mod group_members;
mod group_offsets;
mod groups;
mod init_producer_id;
mod list_offsets;
mod malformed;
mod metadata;
mod not_leader;
mod offset_for_leader_epoch;
mod produce;
mod replay;
mod transactions;
