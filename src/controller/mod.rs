//! Floor 4: the controller, one broker of the cluster that decides who leads what.
//!
//! ```text
//! driver ── events ──▶ machine ── effects ──▶ driver ──▶ zk_requests (ZooKeeper), channel (brokers)
//! ```
//! [`machine`] is pure; its verbs are spread over one file per concern: `failover` takes office, `brokers`,
//! `topics`, `elections`, `notifications`, `alter_isr`, `reassignment` handle what happens, `partition_state_machine` and
//! `replica_state_machine` move things between their [`states`], `topic_deletion` deletes, `request_batch`
//! makes requests, [`leader_election`] decides. `driver` runs it: [`Controller::start`].
//!
//! Follows Kafka 2.8.2's classic controller. Left out, and for whom it matters:
//! - **features** (KIP-584): 2.8.2 has none. `/feature` is set up; brokers are not compared with finalized features
//!   that some other release may have written there (`admin::features` can delete them);
//! - **delegation tokens**: expiry is not scheduled, the broker has none;
//! - the controller's **metrics**.

mod alter_isr;
mod brokers;
mod channel;
pub mod config;
pub mod context;
mod driver;
pub mod effect;
mod elections;
pub mod event;
mod failover;
pub mod leader_election;
mod logging;
pub mod machine;
mod notifications;
mod partition_state_machine;
mod reassignment;
mod replica_state_machine;
mod request_batch;
pub mod states;
mod topic_deletion;
mod topics;
pub mod zk_requests;

pub use channel::{BrokerAddress, BrokerTransport, SendFuture, TransportError};
pub use config::ControllerConfig;
pub use driver::{Controller, ControllerDeps, ControllerHandle};
pub use effect::{
    ControlBody, ControlRequest, ControlResponse, PartitionResults, ReassignmentError, ReassignmentResults,
};
pub use event::{ElectionKind, IsrChange};
