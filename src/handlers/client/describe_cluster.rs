//! DescribeCluster, version 0 (KIP-700).

use crate::handlers::dispatch::{Broker, Call};
use crate::handlers::operations;
use crate::protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

/// Lists the brokers that have the listener of this connection.
pub fn handle(broker: &Broker, call: &Call, request: DescribeClusterRequest) -> DescribeClusterResponse {
    let cluster = broker.metadata.current();
    let brokers = cluster.brokers.values().filter_map(|node| {
        let endpoint = node.endpoint(&call.connection.listener)?;
        Some(DescribeClusterBroker {
            broker_id: node.id,
            host: endpoint.host.clone(),
            port: endpoint.port,
            rack: node.rack.clone(),
            ..Default::default()
        })
    });
    let none = DescribeClusterResponse::default().cluster_authorized_operations;
    let asked = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        cluster_authorized_operations: if asked { operations::CLUSTER } else { none },
        cluster_id: broker.cluster_id.clone(),
        controller_id: cluster.controller_id.unwrap_or(-1),
        brokers: brokers.collect(),
        ..Default::default()
    }
}
