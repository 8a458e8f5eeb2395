//! UpdateMetadata (key 6). The controller tells a broker what the whole cluster looks like. v1 gives a
//! broker several endpoints, v2 adds racks, v3 listener names (KIP-103), v4 offline replicas (KIP-112),
//! v5 the broker epoch (KIP-380) and partitions grouped by topic, v6 is flexible, v7 adds topic ids
//! (KIP-516).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Partitions that changed, and all brokers.
    message UpdateMetadataRequest 0..=7, flexible 6 {
        controller_id: i32, 0..;
        controller_epoch: i32, 0..;
        broker_epoch: i64, 5.., default -1;
        ungrouped_partition_states: Vec<UpdateMetadataPartitionState>, 0..=4;
        topic_states: Vec<UpdateMetadataTopicState>, 5..;
        live_brokers: Vec<UpdateMetadataBroker>, 0..;
    }

    /// An element of [`UpdateMetadataRequest::topic_states`].
    struct UpdateMetadataTopicState {
        topic_name: ByteString, 5..;
        topic_id: Uuid, 7..;
        partition_states: Vec<UpdateMetadataPartitionState>, 5..;
    }

    /// An element of [`UpdateMetadataRequest::live_brokers`].
    struct UpdateMetadataBroker {
        id: i32, 0..;
        v0_host: ByteString, 0..=0;
        v0_port: i32, 0..=0;
        endpoints: Vec<UpdateMetadataEndpoint>, 1..;
        rack: Option<ByteString>, 2..;
    }

    /// An element of [`UpdateMetadataBroker::endpoints`].
    struct UpdateMetadataEndpoint {
        port: i32, 1..;
        host: ByteString, 1..;
        listener: ByteString, 3..;
        security_protocol: i16, 1..;
    }

    /// Shared inside [`UpdateMetadataRequest`].
    struct UpdateMetadataPartitionState {
        topic_name: ByteString, 0..=4;
        partition_index: i32, 0..;
        controller_epoch: i32, 0..;
        leader: i32, 0..;
        leader_epoch: i32, 0..;
        isr: Vec<i32>, 0..;
        /// Version of the partition's state znode.
        zk_version: i32, 0..;
        replicas: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 4..;
    }
}

schema! {
    /// Received, or refused as a whole.
    message UpdateMetadataResponse 0..=7, flexible 6 {
        error_code: i16, 0..;
    }
}
