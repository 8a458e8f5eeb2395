//! SaslAuthenticate (key 36). Carries a SASL token (KIP-152). v1 tells how long the session lasts
//! (KIP-368), v2 is flexible.

use bytes::Bytes;
use bytestring::ByteString;

schema! {
    /// The client's token.
    message SaslAuthenticateRequest 0..=2, flexible 2 {
        auth_bytes: Bytes, 0..;
    }
}

schema! {
    /// The broker's token.
    message SaslAuthenticateResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        error_message: Option<ByteString>, 0..;
        auth_bytes: Bytes, 0..;
        /// 0: no end.
        session_lifetime_ms: i64, 1..;
    }
}
