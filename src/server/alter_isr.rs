//! How leaders have the controller change their ISRs (AlterIsr): a call if it is here, else a connection.
//!
//! Source: Kafka 2.8.2, `BrokerToControllerChannelManager.scala`. There a request waits until its connection breaks,
//! here it is given up as soon as another broker is the controller.

use super::transport::{self, Asked, Link};
use crate::common::BrokerId;
use crate::handlers::Broker;
use crate::handlers::inter_broker::alter_isr;
use crate::protocol::messages::alter_isr::{AlterIsrRequest, AlterIsrResponse};
use crate::replication::isr_writer::{AlterIsrFuture, AskController};
use bytestring::ByteString;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const ALTER_ISR_VERSION: i16 = 0;

/// The way from this broker to the controller.
pub(super) struct ControllerLink {
    broker: Arc<Broker>,
    link: Link,
}

impl ControllerLink {
    /// None where `inter.broker.protocol.version` has leaders write their ISRs themselves.
    pub(super) fn if_it_writes_isrs(broker: &Arc<Broker>) -> Option<Arc<dyn AskController>> {
        let has_alter_isr = broker.config.inter_broker_protocol_version.has_alter_isr();
        let link = || ControllerLink { broker: Arc::clone(broker), link: Link::default() };
        has_alter_isr.then(|| Arc::new(link()) as Arc<dyn AskController>)
    }
}

impl AskController for ControllerLink {
    fn alter_isr(&self, mut request: AlterIsrRequest) -> AlterIsrFuture {
        let (broker, link) = (Arc::clone(&self.broker), Arc::clone(&self.link));
        Box::pin(async move {
            request.broker_id = broker.id;
            request.broker_epoch = broker.epoch.load(Ordering::Acquire);
            let controller = match broker.controller.get() {
                Some(here) if here.is_active() => broker.id,
                _ => broker.metadata.current().controller_id.ok_or("nobody is the controller")?,
            };
            tokio::select! {
                answer = ask(&broker, link, controller, request) => answer,
                () = another(&broker, controller) => Err("another broker is the controller now".into()),
            }
        })
    }
}

/// A call if the controller is here, else a request.
async fn ask(
    broker: &Arc<Broker>,
    link: Link,
    controller: BrokerId,
    request: AlterIsrRequest,
) -> Result<AlterIsrResponse, String> {
    if controller == broker.id {
        return Ok(alter_isr::apply(Arc::clone(broker), request).await);
    }
    let asked = Asked {
        link,
        to: transport::address(broker, controller)?,
        client_id: ByteString::from(broker.id.to_string()),
        version: ALTER_ISR_VERSION,
    };
    asked.exchange_within(i64::from(broker.config.controller_socket_timeout_ms), &request).await
}

/// Waits until the brokers are told of another controller.
async fn another(broker: &Broker, controller: BrokerId) {
    let mut updates = broker.metadata.subscribe();
    let known = broker.metadata.current().controller_id;
    // A controller that has just been elected has not told anybody yet.
    while [known, Some(controller)].contains(&broker.metadata.current().controller_id) {
        if updates.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
