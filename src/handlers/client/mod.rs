//! What producers and consumers ask.

pub mod api_versions;
pub mod delete_records;
pub mod describe_cluster;
pub mod describe_producers;
pub mod down_conversion;
pub mod fetch;
pub mod init_producer_id;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod transactions;
