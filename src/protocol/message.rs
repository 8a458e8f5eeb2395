//! What every request, response and stored record has in common.

use super::field::{Field, Layout};
use super::{ApiKey, DecodeError, Reader, Writer};
use bytes::Bytes;
use std::fmt::Debug;
use std::ops::RangeInclusive;

/// A request, a response, or the key or value of an internal record.
pub trait Message: Field + Clone + Debug + Default + PartialEq + Send + Sync + 'static {
    /// The versions that Kafka 2.8.2 knows.
    const VERSIONS: RangeInclusive<i16>;

    /// From this version on lengths are compact and structs end in tags; `i16::MAX`: never.
    const FIRST_FLEXIBLE_VERSION: i16;

    /// Reads the message, which starts where `reader` stands; what follows it stays unread.
    #[inline]
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError> {
        if !Self::VERSIONS.contains(&version) {
            return Err(DecodeError::UnsupportedVersion(version));
        }
        Self::read(reader, Layout::of::<Self>(version))
    }

    /// Writes the message. `version` must be one of [`Message::VERSIONS`]. Fields that the version lacks
    /// are left out, and null where the version allows none is written as empty.
    #[inline]
    fn encode(&self, writer: &mut Writer, version: i16) {
        debug_assert!(Self::VERSIONS.contains(&version), "version {version} of a message that has none such");
        self.write(writer, Layout::of::<Self>(version));
    }
}

/// A request, and what answers it.
pub trait ApiRequest: Message {
    /// The key in the request's header.
    const KEY: ApiKey;
    /// The answer.
    type Response: Message;
}

impl Layout {
    /// The layout of version `version` of `M`.
    #[inline]
    pub fn of<M: Message>(version: i16) -> Self {
        Layout { version, flexible: version >= M::FIRST_FLEXIBLE_VERSION }
    }
}

/// Encodes a stored record: its version as `int16`, then itself.
pub fn encode_versioned<M: Message>(message: &M, version: i16) -> Bytes {
    let mut writer = Writer::contiguous();
    writer.i16(version);
    message.encode(&mut writer, version);
    writer.into_bytes()
}

/// As [`encode_versioned`], into a writer begun with [`Writer::contiguous`] that is used again and again.
pub fn encode_versioned_into<'w, M: Message>(writer: &'w mut Writer, message: &M, version: i16) -> &'w [u8] {
    writer.clear();
    writer.i16(version);
    message.encode(writer, version);
    writer.contiguous_bytes()
}

/// Decodes what [`encode_versioned`] wrote.
pub fn decode_versioned<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    Ok((version, M::decode(&mut reader, version)?))
}

/// Decodes what [`encode_versioned`] wrote, taking versions above the newest for the newest: for formats
/// that only ever append. Returns the version that was read as.
pub fn decode_forward_compatible<M: Message>(bytes: Bytes) -> Result<(i16, M), DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?.min(*M::VERSIONS.end());
    Ok((version, M::decode(&mut reader, version)?))
}
