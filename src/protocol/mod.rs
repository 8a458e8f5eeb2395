//! The wire protocol of Apache Kafka 2.8.2: every API that a broker in ZooKeeper mode serves, in every
//! version, and the records that brokers keep in internal topics.
//!
//! - [`messages`] has one file per API, declared in the language of `schema.rs`; [`stored`] has the records.
//! - [`ApiKey`] and `for_each_api!` are the list of all APIs.
//! - [`Reader`] walks a frame without copying, [`Writer`] collects one and splices in record bytes.
//! - [`header`] is what stands before a message; [`client`] and [`encode_response`] put both together.
//!
//! Every struct is `Default` with Kafka's default values. A nullable field without a default of its own
//! begins empty, not null, as in Kafka: say `None` where null is meant.

#[macro_use]
mod schema;

pub mod api_key;
pub mod client;
mod error;
pub mod field;
pub mod header;
pub mod json;
mod message;
pub mod messages;
mod reader;
mod records;
pub mod stored;
mod tags;
mod text;
mod writer;

pub use api_key::ApiKey;
pub use client::{encode_request, encode_response};
pub use error::DecodeError;
pub use header::{RequestHeader, ResponseHeader, decode_request_header};
pub use message::{
    ApiRequest, Message, decode_forward_compatible, decode_versioned, encode_versioned, encode_versioned_into,
};
pub use reader::Reader;
pub use records::Records;
pub use tags::{RawTag, UnknownTags};
pub use writer::{Frame, Part, Writer};
