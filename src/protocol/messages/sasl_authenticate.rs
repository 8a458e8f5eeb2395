//! SaslAuthenticate (key 36).

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// Request.
    message SaslAuthenticateRequest 0..=2, flexible 2 {
        auth_bytes: Bytes, 0..;
    }
}

schema! {
    /// Response.
    message SaslAuthenticateResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        auth_bytes: Bytes, 0..;
        session_lifetime_ms: i64, 1..;
    }
}
