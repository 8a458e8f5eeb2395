//! Configuration: one row per key ([`def`]), Java's property files ([`properties`]), the broker's values as a typed
//! struct ([`BrokerConfig`]), the effective values of a topic ([`TopicConfig`]), releases ([`IbpVersion`]).

mod broker;
mod check;
pub mod def;
pub mod docs;
mod dynamic;
pub mod endpoint;
mod error;
mod ibp;
pub mod properties;
mod resolve;
pub mod synonyms;
mod topic;
mod validate;
mod value;
mod warn;

pub use broker::{BrokerConfig, ConfigWarning};
pub use check::{CheckReport, check, load};
pub use dynamic::{DynamicBrokerConfig, Scope, Settings};
pub use endpoint::{Endpoint, SecurityProtocol};
pub use error::{ConfigError, Exception};
pub use ibp::IbpVersion;
pub use properties::Properties;
pub use topic::{CleanupPolicy, CompressionType, TimestampType, TopicConfig, validate_topic_overrides};
pub use value::{FromValue, HIDDEN, Password, Value, double_text, parse_double};
pub use warn::without_effect;
