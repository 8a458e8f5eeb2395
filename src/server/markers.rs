//! How the markers of transactions reach partition leaders: a call for those of this broker, a connection for others.
//!
//! Source: Kafka 2.8.2, `TransactionMarkerChannelManager.scala`: client id `broker-ID-txn-marker-sender`, the version
//! that the inter-broker protocol fixes, `request.timeout.ms` for a whole exchange.

use super::transport::{self, Asked, Link};
use crate::common::{BrokerId, TopicPartition, clock};
use crate::config::{BrokerConfig, IbpVersion};
use crate::controller::BrokerAddress;
use crate::coordinator::transaction::{ExistenceFuture, MarkerFuture, MarkerTransport};
use crate::handlers::Broker;
use crate::handlers::inter_broker::write_txn_markers;
use crate::protocol::messages::write_txn_markers::{WriteTxnMarkersRequest, WriteTxnMarkersResponse};
use crate::zk::data::{NodeError, TopicAssignment};
use crate::zk::{ZkClient, paths};
use bytestring::ByteString;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

/// The way of markers. The broker is set once it is built: the coordinator is one of its parts.
pub struct MarkerLinks {
    broker: OnceLock<Arc<Broker>>,
    client_id: ByteString,
    listener: String,
    version: i16,
    timeout_ms: i64,
    zk: ZkClient,
    links: Mutex<HashMap<BrokerId, Link>>,
}

impl MarkerLinks {
    /// Without connections. `zk` knows which partitions exist.
    pub fn new(config: &BrokerConfig, zk: ZkClient) -> MarkerLinks {
        MarkerLinks {
            broker: OnceLock::new(),
            client_id: ByteString::from(format!("broker-{}-txn-marker-sender", config.broker_id)),
            listener: config.inter_broker_listener_name.clone(),
            version: i16::from(config.inter_broker_protocol_version >= IbpVersion::V2_8_IV0),
            timeout_ms: i64::from(config.request_timeout_ms),
            zk,
            links: Mutex::default(),
        }
    }

    /// Names the broker of this process. Markers before that fail and are sent again.
    pub fn connect(&self, broker: Arc<Broker>) {
        // A second call would change nothing.
        let _ = self.broker.set(broker);
    }

    fn address(&self, broker: &Broker, to: BrokerId) -> Result<BrokerAddress, String> {
        let cluster = broker.metadata.current();
        let endpoint = cluster.brokers.get(&to).and_then(|node| node.endpoint(&self.listener));
        let endpoint = endpoint.ok_or("it is not alive, or does not have the inter-broker listener")?;
        Ok(BrokerAddress {
            id: to,
            host: endpoint.host.clone(),
            port: endpoint.port,
            security_protocol: endpoint.security_protocol,
        })
    }
}

impl MarkerTransport for MarkerLinks {
    fn write_markers(&self, to: BrokerId, request: WriteTxnMarkersRequest) -> MarkerFuture {
        let Some(broker) = self.broker.get().cloned() else {
            return Box::pin(async { Err("the broker is still starting".to_string()) });
        };
        if to == broker.id {
            return Box::pin(async move { Ok(write_txn_markers::apply(broker, request).await) });
        }
        let address = self.address(&broker, to);
        let link = Arc::clone(
            self.links.lock().expect("no panic while the links are locked").entry(to).or_default(),
        );
        let (client_id, version, timeout_ms) = (self.client_id.clone(), self.version, self.timeout_ms);
        Box::pin(async move {
            let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(timeout_ms));
            let exchange = exchange(link, address?, client_id, version, &request);
            tokio::time::timeout_at(deadline, exchange)
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {timeout_ms} ms")))
        })
    }

    fn may_exist(&self, partition: TopicPartition) -> ExistenceFuture {
        let zk = self.zk.clone();
        Box::pin(async move {
            match partitions(&zk, &partition.topic).await {
                Ok(found) => found.is_some_and(|found| found.contains(&partition.partition)),
                // Nobody knows: then it is not given up.
                Err(_) => true,
            }
        })
    }
}

/// Partitions of a topic as ZooKeeper has them; none if there is no such topic.
pub(super) async fn partitions(zk: &ZkClient, topic: &str) -> Result<Option<BTreeSet<i32>>, NodeError> {
    let Some((data, _)) = zk.get(&paths::topic(topic)).await? else { return Ok(None) };
    Ok(Some(TopicAssignment::decode(&data)?.partitions.into_keys().collect()))
}

/// A future that is dropped half-way closes the connection: what it asked is not answered to the next request.
async fn exchange(
    link: Link,
    to: BrokerAddress,
    client_id: ByteString,
    version: i16,
    request: &WriteTxnMarkersRequest,
) -> Result<WriteTxnMarkersResponse, String> {
    let mut link = link.lock().await;
    let (known, mut connection, correlation_id) = match link.take() {
        Some(open) if open.0 == to => open,
        _ => (to.clone(), transport::open(&to).await?, 0),
    };
    let asked = Asked { connection: &mut connection, correlation_id, client_id, version };
    let response = asked.exchange(request).await?;
    *link = Some((known, connection, correlation_id.wrapping_add(1)));
    Ok(response)
}
