//! The queue to one broker: strictly in order, one request under way, each repeated until the broker answers
//! or is removed.
//!
//! The queue is not bounded, as in Kafka: while a broker does not answer but is still registered, what it has
//! to know cannot be dropped, and its session timeout ends the wait.
//!
//! Source: `RequestSendThread` in `ControllerChannelManager.scala`.

use super::context::Broker;
use super::effect::{ControlRequest, ControlResponse};
use super::event::BrokerResponse;
use crate::common::{BrokerId, ControllerEpoch};
use bytestring::ByteString;
use log::warn;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// Pause before a request that failed is repeated, as in Kafka.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// Where a broker listens for its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// `broker.id`.
    pub id: BrokerId,
    /// Advertised host of the inter-broker listener.
    pub host: ByteString,
    /// Advertised port of the inter-broker listener.
    pub port: i32,
    /// Its security protocol, by Kafka's number.
    pub security_protocol: i16,
}

/// Why a request got no answer. Only for the log: every failure is retried.
pub type TransportError = String;

/// What [`BrokerTransport::send`] gives.
pub type SendFuture = Pin<Box<dyn Future<Output = Result<ControlResponse, TransportError>> + Send>>;

/// How requests reach brokers. The server supplies it: a call for the broker itself, a connection for others.
pub trait BrokerTransport: Send + Sync + 'static {
    /// Sends one request in the version it names and gives the answer to it. Called again with the same
    /// request if it fails; the implementation reconnects, and bounds the wait by
    /// `controller.socket.timeout.ms`. Dropping the future gives the request up.
    fn send(&self, to: BrokerAddress, request: Arc<ControlRequest>) -> SendFuture;

    /// The broker is gone, or this one is controller no more: connections to it may be closed.
    fn disconnect(&self, broker: BrokerId);
}

/// What becomes of answers.
pub(super) type OnResponse = Arc<dyn Fn(BrokerResponse) + Send + Sync>;

/// The sending end of a queue. Dropping it gives up what waits.
pub(super) struct BrokerChannel {
    id: BrokerId,
    epoch: i64,
    requests: mpsc::UnboundedSender<ControlRequest>,
    address: watch::Sender<Option<BrokerAddress>>,
    task: JoinHandle<()>,
    transport: Arc<dyn BrokerTransport>,
}

impl BrokerChannel {
    /// Opens a queue to `broker` for the controller with this id and epoch.
    pub(super) fn open(
        broker: &Broker,
        listener: &str,
        (controller_id, controller_epoch): (BrokerId, ControllerEpoch),
        transport: Arc<dyn BrokerTransport>,
        on_response: OnResponse,
    ) -> BrokerChannel {
        let (requests, queue) = mpsc::unbounded_channel();
        let address = watch::Sender::new(address_of(broker, listener));
        let worker = Worker {
            id: broker.id,
            broker_epoch: broker.epoch,
            controller_id,
            controller_epoch,
            address: address.subscribe(),
            transport: transport.clone(),
            on_response,
        };
        let task = tokio::spawn(worker.run(queue));
        BrokerChannel { id: broker.id, epoch: broker.epoch, requests, address, task, transport }
    }

    /// The broker's epoch when the queue was opened.
    pub(super) fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Sends to another address from here on.
    pub(super) fn set_address(&self, broker: &Broker, listener: &str) {
        self.address.send_replace(address_of(broker, listener));
    }

    /// Queues a request.
    pub(super) fn send(&self, request: ControlRequest) {
        // The worker ends only when this end is dropped.
        let _ = self.requests.send(request);
    }
}

impl Drop for BrokerChannel {
    fn drop(&mut self) {
        self.task.abort();
        self.transport.disconnect(self.id);
    }
}

fn address_of(broker: &Broker, listener: &str) -> Option<BrokerAddress> {
    let endpoint = broker.endpoint(listener)?;
    Some(BrokerAddress {
        id: broker.id,
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    })
}

struct Worker {
    id: BrokerId,
    broker_epoch: i64,
    controller_id: BrokerId,
    controller_epoch: ControllerEpoch,
    address: watch::Receiver<Option<BrokerAddress>>,
    transport: Arc<dyn BrokerTransport>,
    on_response: OnResponse,
}

impl Worker {
    async fn run(self, mut queue: mpsc::UnboundedReceiver<ControlRequest>) {
        while let Some(request) = queue.recv().await {
            let request = Arc::new(request);
            let response = self.send_until_answered(&request).await;
            (self.on_response)(BrokerResponse {
                broker: self.id,
                broker_epoch: self.broker_epoch,
                controller_epoch: self.controller_epoch,
                request,
                response,
            });
        }
    }

    async fn send_until_answered(&self, request: &Arc<ControlRequest>) -> ControlResponse {
        loop {
            let address = self.address.borrow().clone();
            let outcome = match address {
                Some(address) => self.transport.send(address, request.clone()).await,
                None => Err("it does not have the inter-broker listener".to_string()),
            };
            match outcome {
                Ok(response) => return response,
                Err(reason) => {
                    warn!(
                        target: "kafka.controller.RequestSendThread",
                        "[RequestSendThread controllerId={}] Controller {} epoch {} fails to send request to broker {}, \
                         trying again: {reason}",
                        self.controller_id, self.controller_id, self.controller_epoch, self.id
                    );
                    tokio::time::sleep(RETRY_BACKOFF).await;
                }
            }
        }
    }
}
