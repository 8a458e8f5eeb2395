//! Floor 3: throttles.
//!
//! [`replication`] bounds what replication takes of the network; [`client`] what clients take of it, of the threads and
//! of the controller, by user and client-id.

pub mod client;
pub mod replication;
