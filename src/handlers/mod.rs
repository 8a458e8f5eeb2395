//! Floor 6: one short file per API: decode, authorize, call one collaborator, encode.
//!
//! [`table`] is the only list of APIs; ApiVersions, the dispatcher and the tests read it. A handler is a
//! function of [`Broker`] and a decoded request; [`dispatch`] turns it into what a connection expects.

pub mod admin;
pub mod client;
pub mod dispatch;
pub mod errors;
pub mod groups;
pub mod inter_broker;
pub mod operations;
pub mod table;
pub mod throttle;

pub use dispatch::{Broker, Call, Dispatcher};
