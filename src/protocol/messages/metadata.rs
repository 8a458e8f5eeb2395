//! Metadata (key 3).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Request.
    message MetadataRequest 0..=11, flexible 9 {
        topics: Option<Vec<MetadataRequestTopic>>, 0.., nullable 1..;
        allow_auto_topic_creation: bool, 4.., default true;
        include_cluster_authorized_operations: bool, 8..=10;
        include_topic_authorized_operations: bool, 8..;
    }

    /// An element of [`MetadataRequest::topics`].
    struct MetadataRequestTopic {
        topic_id: Uuid, 10..;
        name: Option<ByteString>, 0.., nullable 10..;
    }
}

schema! {
    /// Response.
    message MetadataResponse 0..=11, flexible 9 {
        throttle_time_ms: i32, 3..;
        brokers: Vec<MetadataResponseBroker>, 0..;
        cluster_id: Option<ByteString>, 2.., default None;
        controller_id: i32, 1.., default -1;
        topics: Vec<MetadataResponseTopic>, 0..;
        cluster_authorized_operations: i32, 8..=10, default i32::MIN;
    }

    /// An element of [`MetadataResponse::brokers`].
    struct MetadataResponseBroker {
        node_id: i32, 0..;
        host: ByteString, 0..;
        port: i32, 0..;
        rack: Option<ByteString>, 1.., default None;
    }

    /// An element of [`MetadataResponse::topics`].
    struct MetadataResponseTopic {
        error_code: i16, 0..;
        name: ByteString, 0..;
        topic_id: Uuid, 10..;
        is_internal: bool, 1..;
        partitions: Vec<MetadataResponsePartition>, 0..;
        topic_authorized_operations: i32, 8.., default i32::MIN;
    }

    /// An element of [`MetadataResponseTopic::partitions`].
    struct MetadataResponsePartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        leader_id: i32, 0..;
        leader_epoch: i32, 7.., default -1;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 5..;
    }
}
