//! Metadata (key 3). Describes brokers, topics and leaders, and creates topics that are asked for by name
//! and allowed to appear. In v0 no topics means all; from v1 null means all and empty means none. v1 adds
//! racks, the controller and internal topics, v2 the cluster id, v4 the choice not to create, v5 offline
//! replicas, v7 leader epochs (KIP-320), v8 authorized operations (KIP-430), v9 is flexible, v10 adds
//! topic ids (KIP-516), v11 moves the cluster's authorized operations to DescribeCluster (KIP-700).

use crate::common::Uuid;
use bytestring::ByteString;

schema! {
    /// Asks about topics.
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
    /// The cluster, as this broker knows it.
    message MetadataResponse 0..=11, flexible 9 {
        throttle_time_ms: i32, 3..;
        brokers: Vec<MetadataResponseBroker>, 0..;
        cluster_id: Option<ByteString>, 2.., default None;
        /// -1: unknown.
        controller_id: i32, 1.., default -1;
        topics: Vec<MetadataResponseTopic>, 0..;
        /// A bit for each operation; the smallest number if nobody asked.
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
        /// A bit for each operation; the smallest number if nobody asked.
        topic_authorized_operations: i32, 8.., default i32::MIN;
    }

    /// An element of [`MetadataResponseTopic::partitions`].
    struct MetadataResponsePartition {
        error_code: i16, 0..;
        partition_index: i32, 0..;
        /// -1: none.
        leader_id: i32, 0..;
        leader_epoch: i32, 7.., default -1;
        replica_nodes: Vec<i32>, 0..;
        isr_nodes: Vec<i32>, 0..;
        offline_replicas: Vec<i32>, 5..;
    }
}
