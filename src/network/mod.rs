//! Floor 2: sockets and framing.
//!
//! Worker threads, each a single-threaded runtime, own the connections ([`worker`]); the acceptor hands
//! them round. A [`connection`] reads frames ([`receive`]), lets the [`service`] dispatch each of them,
//! keeps the answers in the order of the requests and writes them out ([`transmit`]).

pub mod acceptor;
pub mod buffer_pool;
pub mod connection;
pub mod host_name;
pub mod limits;
pub mod peer;
pub mod receive;
pub mod service;
pub mod transmit;
pub mod worker;

pub use service::{ConnectionInfo, Dispatch, Outcome, PendingReply, Service};
