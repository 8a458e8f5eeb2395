//! SaslHandshake (key 17). Chooses a SASL mechanism. After v0 the tokens follow as bare frames, after v1
//! inside SaslAuthenticate (KIP-152). Never flexible, since old clients cannot negotiate that here
//! (KAFKA-9577).

use bytestring::ByteString;

schema! {
    /// Names a mechanism.
    message SaslHandshakeRequest 0..=1 {
        mechanism: ByteString, 0..;
    }
}

schema! {
    /// The mechanisms there are.
    message SaslHandshakeResponse 0..=1 {
        error_code: i16, 0..;
        mechanisms: Vec<ByteString>, 0..;
    }
}
