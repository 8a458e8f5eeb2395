//! DescribeCluster (key 60). Describes the cluster without its topics (KIP-700). Flexible from the start.

use bytestring::ByteString;

schema! {
    /// Asks about the cluster.
    message DescribeClusterRequest 0..=0, flexible 0 {
        include_cluster_authorized_operations: bool, 0..;
    }
}

schema! {
    /// The brokers, the controller, the cluster's id.
    message DescribeClusterResponse 0..=0, flexible 0 {
        throttle_time_ms: i32, 0..;
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0.., default None;
        cluster_id: ByteString, 0..;
        controller_id: i32, 0.., default -1;
        brokers: Vec<DescribeClusterBroker>, 0..;
        cluster_authorized_operations: i32, 0.., default i32::MIN;
    }

    /// An element of [`DescribeClusterResponse::brokers`].
    struct DescribeClusterBroker {
        broker_id: i32, 0..;
        host: ByteString, 0..;
        port: i32, 0..;
        rack: Option<ByteString>, 0.., default None;
    }
}
