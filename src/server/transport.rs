//! How the controller's requests reach brokers: a call for this one, a connection for each of the others.
//!
//! Source: Kafka 2.8.2, `ControllerChannelManager.scala`: client id `controller-ID`, no negotiation of versions (the
//! configured inter-broker protocol decides), `controller.socket.timeout.ms` for a whole exchange.

use crate::common::{BrokerId, clock};
use crate::config::{BrokerConfig, SecurityProtocol};
use crate::controller::{
    BrokerAddress, BrokerTransport, ControlBody, ControlRequest, ControlResponse, SendFuture,
};
use crate::handlers::Broker;
use crate::handlers::inter_broker::{leader_and_isr, stop_replica, update_metadata};
use crate::network::peer::PeerConnection;
use crate::protocol::{ApiRequest, client};
use bytestring::ByteString;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

/// The connection to one broker, with the address that it leads to; none until it is needed. The async lock is held
/// for an exchange: one request is under way at a time.
pub(super) type Link = Arc<tokio::sync::Mutex<Option<(BrokerAddress, PeerConnection, i32)>>>;

/// Calls the broker of this process, and connects to others. The broker is set once it is built: the controller is
/// one of its parts.
pub struct ServerTransport {
    broker: OnceLock<Arc<Broker>>,
    client_id: ByteString,
    timeout_ms: i64,
    links: Mutex<HashMap<BrokerId, Link>>,
}

impl ServerTransport {
    /// Without connections.
    pub fn new(config: &BrokerConfig) -> ServerTransport {
        ServerTransport {
            broker: OnceLock::new(),
            client_id: ByteString::from(format!("controller-{}", config.broker_id)),
            timeout_ms: i64::from(config.controller_socket_timeout_ms),
            links: Mutex::default(),
        }
    }

    /// Names the broker of this process. Requests before that fail and are repeated.
    pub fn connect(&self, broker: Arc<Broker>) {
        // A second call would change nothing.
        let _ = self.broker.set(broker);
    }

    fn links(&self) -> MutexGuard<'_, HashMap<BrokerId, Link>> {
        self.links.lock().expect("no panic while the links are locked")
    }
}

impl BrokerTransport for ServerTransport {
    fn send(&self, to: BrokerAddress, request: Arc<ControlRequest>) -> SendFuture {
        let broker = self.broker.get().cloned();
        let (client_id, timeout_ms) = (self.client_id.clone(), self.timeout_ms);
        let link = Arc::clone(self.links().entry(to.id).or_default());
        Box::pin(async move {
            let broker = broker.ok_or("the broker is still starting")?;
            if to.id == broker.id {
                return Ok(call(broker, &request).await);
            }
            let asked = Asked { link, to, client_id, version: request.version };
            ask(asked, timeout_ms, &request.body).await
        })
    }

    fn disconnect(&self, broker: BrokerId) {
        self.links().remove(&broker);
    }
}

async fn call(broker: Arc<Broker>, request: &ControlRequest) -> ControlResponse {
    let version = request.version;
    match &request.body {
        ControlBody::LeaderAndIsr(body) => {
            ControlResponse::LeaderAndIsr(leader_and_isr::apply(broker, body.clone(), version).await)
        }
        ControlBody::StopReplica(body) => {
            ControlResponse::StopReplica(stop_replica::apply(broker, body.clone()).await)
        }
        ControlBody::UpdateMetadata(body) => {
            ControlResponse::UpdateMetadata(update_metadata::apply(&broker, body))
        }
    }
}

async fn ask(asked: Asked, timeout_ms: i64, body: &ControlBody) -> Result<ControlResponse, String> {
    Ok(match body {
        ControlBody::LeaderAndIsr(body) => {
            ControlResponse::LeaderAndIsr(asked.exchange_within(timeout_ms, body).await?)
        }
        ControlBody::StopReplica(body) => {
            ControlResponse::StopReplica(asked.exchange_within(timeout_ms, body).await?)
        }
        ControlBody::UpdateMetadata(body) => {
            ControlResponse::UpdateMetadata(asked.exchange_within(timeout_ms, body).await?)
        }
    })
}

/// Where a live broker takes requests of other brokers.
pub(super) fn address(broker: &Broker, to: BrokerId) -> Result<BrokerAddress, String> {
    let cluster = broker.metadata.current();
    let listener = &broker.config.inter_broker_listener_name;
    let endpoint = cluster.brokers.get(&to).and_then(|node| node.endpoint(listener));
    let endpoint = endpoint.ok_or("it is not alive, or does not have the inter-broker listener")?;
    Ok(BrokerAddress {
        id: to,
        host: endpoint.host.clone(),
        port: endpoint.port,
        security_protocol: endpoint.security_protocol,
    })
}

async fn open(to: &BrokerAddress) -> Result<PeerConnection, String> {
    if to.security_protocol != SecurityProtocol::Plaintext.id() {
        return Err("its listener is not PLAINTEXT, which is all that this release speaks".to_string());
    }
    let port = u16::try_from(to.port).map_err(|_| format!("{} is no port", to.port))?;
    let opened = PeerConnection::open(&to.host, port).await;
    opened.map_err(|error| format!("cannot connect to {}:{port}: {error}", to.host))
}

/// A request to another broker, of which nothing is negotiated.
pub(super) struct Asked {
    pub(super) link: Link,
    pub(super) to: BrokerAddress,
    pub(super) client_id: ByteString,
    pub(super) version: i16,
}

impl Asked {
    /// A future that is dropped half-way leaves no connection behind: the answer would be taken for the next request's.
    pub(super) async fn exchange<R: ApiRequest>(self, body: &R) -> Result<R::Response, String> {
        let mut link = self.link.lock().await;
        let (known, mut connection, correlation_id) = match link.take() {
            Some(open) if open.0 == self.to => open,
            _ => (self.to.clone(), open(&self.to).await?, 0),
        };
        let frame = client::encode_request(correlation_id, Some(&self.client_id), self.version, body);
        let answer = connection.exchange(&frame).await.map_err(|error| error.to_string())?;
        let (answered, response) = client::decode_response::<R>(answer, self.version)
            .map_err(|error| format!("unreadable answer: {error}"))?;
        if answered != correlation_id {
            return Err(format!("answer {answered} to request {correlation_id}"));
        }
        *link = Some((known, connection, correlation_id.wrapping_add(1)));
        Ok(response)
    }

    /// The same with a limit.
    pub(super) async fn exchange_within<R: ApiRequest>(
        self,
        timeout_ms: i64,
        body: &R,
    ) -> Result<R::Response, String> {
        let deadline = tokio::time::Instant::from_std(clock::deadline_after_ms(timeout_ms));
        tokio::time::timeout_at(deadline, self.exchange(body))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {timeout_ms} ms")))
    }
}
