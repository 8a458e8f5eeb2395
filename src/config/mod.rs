//! Configuration: one row per key ([`def`]), Java's property files ([`properties`]), releases ([`IbpVersion`]).

pub mod def;
mod error;
mod ibp;
pub mod properties;
mod value;

pub use error::{ConfigError, Exception};
pub use ibp::IbpVersion;
pub use properties::Properties;
pub use value::{FromValue, HIDDEN, Password, Value};
