//! What stands before every request and response.
//!
//! ```text
//! request header v0    int16 api key, int16 api version, int32 correlation id
//! request header v1    v0, string client id (nullable; a length of int16, never compact)
//! request header v2    v1, tags
//! response header v0   int32 correlation id
//! response header v1   v0, tags
//! ```
//!
//! Flexible versions have request header v2 and response header v1, others v1 and v0. Two exceptions:
//! ControlledShutdown v0 has request header v0, and ApiVersions is answered with response header v0
//! always, because its sender does not yet know which versions the broker speaks (KIP-511).

use super::{ApiKey, DecodeError, Reader, UnknownTags, Writer};
use bytestring::ByteString;

/// The header of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeader {
    /// Which API.
    pub api_key: i16,
    /// In which version; not necessarily one that exists.
    pub api_version: i16,
    /// Comes back in the response.
    pub correlation_id: i32,
    /// How the client calls itself.
    pub client_id: Option<ByteString>,
    /// Tagged fields; none is defined.
    pub unknown_tags: UnknownTags,
}

/// The header of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseHeader {
    /// That of the request.
    pub correlation_id: i32,
    /// Tagged fields; none is defined.
    pub unknown_tags: UnknownTags,
}

/// Version of the header before a request.
pub fn request_header_version(api_key: ApiKey, api_version: i16) -> i16 {
    if api_version >= api_key.first_flexible_version() {
        2
    } else if api_key == ApiKey::ControlledShutdown && api_version == 0 {
        0
    } else {
        1
    }
}

/// Version of the header before a response.
pub fn response_header_version(api_key: ApiKey, api_version: i16) -> i16 {
    (api_key != ApiKey::ApiVersions && api_version >= api_key.first_flexible_version()).into()
}

/// Reads the header of a request. Fails with [`DecodeError::UnknownApiKey`] for an API that is not served.
/// An unknown version is no error here: ApiVersions must answer it.
pub fn decode_request_header(reader: &mut Reader) -> Result<(RequestHeader, ApiKey), DecodeError> {
    let api_key = reader.i16()?;
    let api_version = reader.i16()?;
    let key = ApiKey::from_i16(api_key).ok_or(DecodeError::UnknownApiKey(api_key))?;
    let version = request_header_version(key, api_version);
    let correlation_id = reader.i32()?;
    let client_id = if version >= 1 { reader.string(false)? } else { None };
    let unknown_tags = if version >= 2 { UnknownTags::read_unknown(reader)? } else { UnknownTags::default() };
    Ok((RequestHeader { api_key, api_version, correlation_id, client_id, unknown_tags }, key))
}

/// Writes the header of a request.
pub fn encode_request_header(writer: &mut Writer, api_key: ApiKey, header: &RequestHeader) {
    debug_assert_eq!(header.api_key, api_key as i16);
    let version = request_header_version(api_key, header.api_version);
    writer.i16(header.api_key);
    writer.i16(header.api_version);
    writer.i32(header.correlation_id);
    if version >= 1 {
        writer.string(header.client_id.as_deref(), false);
    }
    if version >= 2 {
        writer.unknown_tags(&header.unknown_tags);
    }
}

/// Reads the header of a response to a request of `api_key` and `api_version`.
pub fn decode_response_header(
    reader: &mut Reader,
    api_key: ApiKey,
    api_version: i16,
) -> Result<ResponseHeader, DecodeError> {
    let correlation_id = reader.i32()?;
    let tagged = response_header_version(api_key, api_version) >= 1;
    let unknown_tags = if tagged { UnknownTags::read_unknown(reader)? } else { UnknownTags::default() };
    Ok(ResponseHeader { correlation_id, unknown_tags })
}

/// Writes the header of a response.
#[inline]
pub fn encode_response_header(
    writer: &mut Writer,
    api_key: ApiKey,
    api_version: i16,
    header: &ResponseHeader,
) {
    writer.i32(header.correlation_id);
    if response_header_version(api_key, api_version) >= 1 {
        writer.unknown_tags(&header.unknown_tags);
    }
}
