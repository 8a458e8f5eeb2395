//! How the markers of transactions reach partition leaders: a call for those of this broker, a connection for others.
//!
//! Source: Kafka 2.8.2, `TransactionMarkerChannelManager.scala`: client id `broker-ID-txn-marker-sender`, the version
//! that the inter-broker protocol fixes, `request.timeout.ms` for a whole exchange.

use super::transport::{self, Asked, Link};
use crate::common::{BrokerId, TopicPartition};
use crate::config::{BrokerConfig, IbpVersion};
use crate::coordinator::transaction::{ExistenceFuture, MarkerFuture, MarkerTransport};
use crate::handlers::Broker;
use crate::handlers::inter_broker::write_txn_markers;
use crate::protocol::messages::write_txn_markers::WriteTxnMarkersRequest;
use crate::zk::data::{NodeError, TopicAssignment};
use crate::zk::{ZkClient, paths};
use bytestring::ByteString;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock};

/// The way of markers. The broker is set once it is built: the coordinator is one of its parts.
pub struct MarkerLinks {
    broker: OnceLock<Arc<Broker>>,
    client_id: ByteString,
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
}

impl MarkerTransport for MarkerLinks {
    fn write_markers(&self, to: BrokerId, request: WriteTxnMarkersRequest) -> MarkerFuture {
        let Some(broker) = self.broker.get().cloned() else {
            return Box::pin(async { Err("the broker is still starting".to_string()) });
        };
        if to == broker.id {
            return Box::pin(async move { Ok(write_txn_markers::apply(broker, request).await) });
        }
        let address = transport::address(&broker, to);
        let link = Arc::clone(
            self.links.lock().expect("no panic while the links are locked").entry(to).or_default(),
        );
        let (client_id, version, timeout_ms) = (self.client_id.clone(), self.version, self.timeout_ms);
        Box::pin(async move {
            let asked = Asked { link, to: address?, client_id, version };
            asked.exchange_within(timeout_ms, &request).await
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
