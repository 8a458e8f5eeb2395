//! How the controller's requests reach brokers: a call for this one. Other brokers need the inter-broker client
//! that comes with replication; until then a request to one fails, is logged, and is tried again.

use crate::common::BrokerId;
use crate::controller::{
    BrokerAddress, BrokerTransport, ControlBody, ControlRequest, ControlResponse, SendFuture,
};
use crate::handlers::Broker;
use crate::handlers::inter_broker::{leader_and_isr, stop_replica, update_metadata};
use std::sync::{Arc, OnceLock};

/// Calls the broker of this process. The broker is set once it is built: the controller is one of its parts.
#[derive(Default)]
pub struct LocalTransport {
    broker: OnceLock<Arc<Broker>>,
}

impl LocalTransport {
    /// Names the broker. Requests before that fail and are repeated.
    pub fn connect(&self, broker: Arc<Broker>) {
        // A second call would change nothing.
        let _ = self.broker.set(broker);
    }
}

impl BrokerTransport for LocalTransport {
    fn send(&self, to: BrokerAddress, request: Arc<ControlRequest>) -> SendFuture {
        let broker = self.broker.get().cloned();
        Box::pin(async move {
            let broker = broker.ok_or("the broker is still starting")?;
            if to.id != broker.id {
                return Err(format!(
                    "broker {} is another process; replication is not in this release",
                    to.id
                ));
            }
            let version = request.version;
            Ok(match &request.body {
                ControlBody::LeaderAndIsr(body) => {
                    ControlResponse::LeaderAndIsr(leader_and_isr::apply(broker, body.clone(), version).await)
                }
                ControlBody::StopReplica(body) => {
                    ControlResponse::StopReplica(stop_replica::apply(broker, body.clone()).await)
                }
                ControlBody::UpdateMetadata(body) => {
                    ControlResponse::UpdateMetadata(update_metadata::apply(&broker, body))
                }
            })
        })
    }

    fn disconnect(&self, _: BrokerId) {}
}
