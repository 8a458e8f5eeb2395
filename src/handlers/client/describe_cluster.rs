//! DescribeCluster, version 0 (KIP-700). Left out: authorized operations, until there is an authorizer.

use crate::handlers::dispatch::{Broker, Call};
use crate::protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

/// Lists the brokers that have the listener of this connection.
pub fn handle(broker: &Broker, call: &Call, _: DescribeClusterRequest) -> DescribeClusterResponse {
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
    DescribeClusterResponse {
        cluster_id: broker.cluster_id.clone(),
        controller_id: cluster.controller_id.unwrap_or(-1),
        brokers: brokers.collect(),
        ..Default::default()
    }
}
