//! Why bytes are not a message.

use std::fmt;

/// A frame that cannot be decoded. The broker's answer is to close the connection
/// (Kafka: `InvalidRequestException` in `SocketServer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// A field, a length or a count asks for more bytes than the frame has left.
    Truncated,
    /// The named field is null in a version where it must not be.
    Null(&'static str),
    /// A variable-length integer goes on after its fifth (or tenth) byte.
    Varint,
    /// A compact string is longer than 32767 bytes.
    StringTooLong,
    /// The header names an API that this broker does not serve.
    UnknownApiKey(i16),
    /// The message exists, but not in this version.
    UnsupportedVersion(i16),
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::Truncated => f.write_str("the frame ends inside a field"),
            DecodeError::Null(field) => write!(f, "null for {field}, which is not nullable"),
            DecodeError::Varint => f.write_str("endless variable-length integer"),
            DecodeError::StringTooLong => f.write_str("string longer than 32767 bytes"),
            DecodeError::UnknownApiKey(key) => write!(f, "unknown api key {key}"),
            DecodeError::UnsupportedVersion(version) => write!(f, "unsupported version {version}"),
        }
    }
}

impl std::error::Error for DecodeError {}
