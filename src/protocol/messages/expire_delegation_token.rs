//! ExpireDelegationToken (key 40). Shortens or ends the life of a delegation token (KIP-48). v2 is
//! flexible.

use bytes::Bytes;

schema! {
    /// Names the token by its secret; a negative period ends it at once.
    message ExpireDelegationTokenRequest 0..=2, flexible 2 {
        hmac: Bytes, 0..;
        expiry_time_period_ms: i64, 0..;
    }
}

schema! {
    /// When it expires.
    message ExpireDelegationTokenResponse 0..=2, flexible 2 {
        error_code: i16, 0..;
        expiry_timestamp_ms: i64, 0..;
        throttle_time_ms: i32, 0..;
    }
}
