//! SaslHandshake (key 17).

use bytestring::ByteString;

schema! {
    /// Request.
    message SaslHandshakeRequest 0..=1 {
        mechanism: ByteString, 0..;
    }
}

schema! {
    /// Response.
    message SaslHandshakeResponse 0..=1 {
        error_code: i16, 0..;
        mechanisms: Vec<ByteString>, 0..;
    }
}
