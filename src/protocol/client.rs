//! The client's side of an exchange: encode a request, decode its response.

use super::header::{
    RequestHeader, ResponseHeader, decode_response_header, encode_request_header, encode_response_header,
};
use super::{ApiKey, ApiRequest, DecodeError, Frame, Message, Reader, UnknownTags, Writer};
use bytes::Bytes;
use bytestring::ByteString;

/// A request as it goes out, its 4-byte size first. `version` must be one that the other side speaks.
pub fn encode_request<R: ApiRequest>(
    correlation_id: i32,
    client_id: Option<&ByteString>,
    version: i16,
    request: &R,
) -> Bytes {
    let header = RequestHeader {
        api_key: R::KEY as i16,
        api_version: version,
        correlation_id,
        client_id: client_id.cloned(),
        unknown_tags: UnknownTags::default(),
    };
    let mut writer = Writer::contiguous_frame();
    encode_request_header(&mut writer, R::KEY, &header);
    request.encode(&mut writer, version);
    writer.finish().into_memory().expect("a contiguous frame is in memory")
}

/// Reads the answer to a request of type `R` that was sent in `version`; `frame` has no size prefix.
/// Returns the correlation id with it. An ApiVersions answer of a broker that does not know the version
/// comes in version 0 (KIP-511) and is understood.
pub fn decode_response<R: ApiRequest>(frame: Bytes, version: i16) -> Result<(i32, R::Response), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = decode_response_header(&mut reader, R::KEY, version)?;
    let fallback = (R::KEY == ApiKey::ApiVersions && version != 0).then(|| reader.clone());
    let response = match (R::Response::decode(&mut reader, version), fallback) {
        (Err(_), Some(mut reader)) => R::Response::decode(&mut reader, 0)?,
        (response, _) => response?,
    };
    Ok((header.correlation_id, response))
}

/// A response as it goes out, its 4-byte size first. `version` must exist; to an ApiVersions request whose
/// version does not, answer in version 0.
pub fn encode_response<M: Message>(
    correlation_id: i32,
    api_key: ApiKey,
    version: i16,
    response: &M,
) -> Frame {
    let mut writer = Writer::frame();
    let header = ResponseHeader { correlation_id, unknown_tags: UnknownTags::default() };
    encode_response_header(&mut writer, api_key, version, &header);
    response.encode(&mut writer, version);
    writer.finish()
}
